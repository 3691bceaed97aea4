"""A call's place at vendors that have limits: one at a time, taken before each try and held until its answer is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from aisa.admission.vendor_caps import CapLease, Want
from aisa.admission.vendor_queue import Asking, VendorQueue
from aisa.call import Call
from aisa.offer import Offer, Plan
from aisa.providers.port import Answer, Upstream, UpstreamRequest
from aisa.usage import Usage
from aisa.wire.door import Request

NOTHING = Usage()


class Places:
    """The places of one call. `waited_seconds` is how long it has waited for them in all."""

    def __init__(self, queue: VendorQueue, call: Call, request: Request, *, plan: Plan, input_tokens: int) -> None:
        self.waited_seconds = 0.0
        self._queue = queue
        self._asking = Asking(call.id, call.key.id, plan.entry.name, request, input_tokens)
        self._plan = plan
        self._lease: CapLease | None = None
        self._held: HeldAnswer | None = None
        self._used: Usage | None = None  # once the call has ended

    async def first(self) -> Offer:
        """Return the target of the plan that is asked first: the first with room, be it after a wait. Raises ApiError."""
        return await self._take([self._want(offer) for offer in self._plan.offers])

    async def again(self, offer: Offer) -> None:
        """Return when a target may be asked after a try that has failed. Raises ApiError."""
        self._give_back(NOTHING)
        await self._take([self._want(offer)])

    def has_room(self, offer: Offer) -> bool:
        """Say whether a target could be asked now. Raises ApiError overloaded."""
        return self._queue.has_room([self._want(offer)])

    async def ask(self, upstream: Upstream, request: UpstreamRequest) -> Answer:
        """Ask a vendor at which the call has its place; the answer holds that. Raises UpstreamFailed."""
        self._held = None
        held = self._held = HeldAnswer(await upstream.ask(request), self._let_go)
        return held  # pyright: ignore[reportReturnType] - its `read` is the answer's own, so that a read costs no further frame

    def end(self, used: Usage) -> None:
        """The call has ended with these tokens. Its place is free as soon as its vendor's answer is let go."""
        self._used = used
        if self._held is None or self._held.is_let_go:
            self._give_back(used)

    async def _take(self, wants: list[Want]) -> Offer:
        settings = [self._queue.caps.settings(want.offer.name) for want in wants]
        patience = max((each.queue_seconds for each in settings if each is not None), default=0.0)
        began = asyncio.get_running_loop().time()
        try:
            taken = await self._queue.take(self._asking, wants, seconds=max(0.0, patience - self.waited_seconds))
        finally:
            self.waited_seconds += asyncio.get_running_loop().time() - began
        self._lease = taken.lease if taken.want.caps else None
        return taken.want.offer

    def _want(self, offer: Offer) -> Want:
        asking = self._asking
        return self._queue.caps.want(offer, asking.request, self._plan.entry.settings, input_tokens=asking.input_tokens)

    def _let_go(self) -> None:
        if self._used is not None:
            self._give_back(self._used)

    def _give_back(self, used: Usage) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release(used)
            self._queue.serve()


class HeldAnswer:
    """A vendor's answer that tells when it is let go; implements `providers.port.Answer`. Reading costs nothing more."""

    __slots__ = ("_answer", "_tell", "headers", "is_let_go", "read", "status")

    def __init__(self, answer: Answer, tell: Callable[[], None]) -> None:
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.read: Callable[[], Coroutine[Any, Any, bytes]] = answer.read
        self.is_let_go = False
        self._answer = answer
        self._tell = tell

    def release(self) -> None:
        """Say that the answer is complete as far as the caller cares."""
        self._answer.release()
        self._note()

    def close(self) -> None:
        """Give the connection back, or abort it."""
        self._answer.close()
        self._note()

    def _note(self) -> None:
        self.is_let_go = True
        self._tell()
