"""Documents that were whole and did not reach their client: its own retry gets them, and is billed as the one call that it is.

Only where the operator says so (`retries: replay`), and only for clients that count their retries in a header. Kept in memory, of a server
of several processes in that of its office, and for a minute: what the vendor sent, so that the retry goes the way of every call, and its
bill follows its own delivery. Streams are not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import msgspec

from aisa.call import Call
from aisa.clock import Chance
from aisa.context import Dependencies
from aisa.edge.idempotency import mark_of
from aisa.facts import CallEnded, Fact
from aisa.health import Health
from aisa.keys.rules import Key
from aisa.ledger.rules import CLIENT_GONE, CLIENT_STALLED
from aisa.offer import Plan
from aisa.providers.port import Answer, Upstream, UpstreamRequest
from aisa.relay import relay
from aisa.routing import Routes
from aisa.wire.door import Request
from aisa.wire.port import Client

HEADER = "x-stainless-retry-count"  # of OpenAI's and Anthropic's clients, and all that are built with the same generator
KEPT_SECONDS = 60.0  # clients try again within seconds; who waits for longer asks anew
ANSWER_BYTES_MAX = 1 << 20  # of one answer; a document has a few KB
ANSWERS_BYTES_MAX = 64 << 20  # of all that are kept: what the rest of an idle server takes; the oldest go first
ANSWER_EXTRA_BYTES = 512  # the objects around a body, so that very many small answers are counted too
READ_BYTES_MAX = 65_536  # of one read of what was kept, as the port promises
STREAM_TYPE = "text/event-stream"


class Kept(msgspec.Struct, frozen=True):
    """What a target sent, whole, for a call whose client did not get it. `until` is the event loop's seconds."""

    target: str
    headers: Mapping[str, str]
    body: bytes
    until: float


class RetriesKept(Protocol):
    """What may be given to a retry, wherever it is kept. `on` is the operator's setting."""

    on: bool

    def keep(self, mark: str, kept: Kept) -> None:
        """Keep an answer for its client's next try."""
        ...

    async def claim(self, mark: str, now: float) -> Kept | None:
        """Return what is kept under a mark, and keep it no longer, None if there is nothing that is not too old."""
        ...


class Retries:
    """What may be given to a retry, by its mark; implements `RetriesKept`. Belongs to the event loop; memory only."""

    def __init__(self, *, answers_bytes_max: int = ANSWERS_BYTES_MAX) -> None:
        self.on = False
        self._answers_bytes_max = answers_bytes_max
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, mark: str, kept: Kept) -> None:
        """Keep an answer for its client's next try; older ones go where it needs the room."""
        self.take(mark)
        self.forget_old(kept.until - KEPT_SECONDS)
        self._kept[mark] = kept
        self._bytes += size_of(kept)
        while self._bytes > self._answers_bytes_max:
            self.take(next(iter(self._kept)))

    async def claim(self, mark: str, now: float) -> Kept | None:
        """Return what is kept under a mark, and keep it no longer."""
        return self.take(mark, now)

    def take(self, mark: str, now: float | None = None) -> Kept | None:
        """Return what is kept under a mark, and keep it no longer: it is billed once. None if there is nothing, or it is too old `now`."""
        kept = self._kept.pop(mark, None)
        if kept is None:
            return None
        self._bytes -= size_of(kept)
        return kept if now is None or now <= kept.until else None

    def forget_old(self, now: float) -> None:
        """Forget what is too old, which stands first."""
        while self._kept and next(iter(self._kept.values())).until < now:
            self.take(next(iter(self._kept)))


def size_of(kept: Kept) -> int:
    """Return the bytes that an answer counts for."""
    return len(kept.body) + ANSWER_EXTRA_BYTES


def is_retry(count: str) -> bool:
    """Say whether a client says in its header that it has tried before."""
    return count.isascii() and count.isdigit() and count.strip("0") != ""


class KeptAnswer:
    """What was kept, as a vendor's answer; implements `providers.port.Answer`."""

    status = 200

    def __init__(self, kept: Kept) -> None:
        self.headers = kept.headers
        self._rest = memoryview(kept.body)

    async def read(self) -> bytes:
        """Return the next bytes."""
        data, self._rest = bytes(self._rest[:READ_BYTES_MAX]), self._rest[READ_BYTES_MAX:]
        return data

    def release(self) -> None:
        """Do nothing: there is no connection to keep."""

    def close(self) -> None:
        """Do nothing, as above."""


class RecordedAnswer:
    """A vendor's answer on its way, of which a document is remembered; implements `providers.port.Answer`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers
        self._parts: list[bytes] | None = None
        if answer.status == 200 and not answer.headers.get("content-type", "").startswith(STREAM_TYPE):
            self._parts = []
        self._size = 0
        self.body: bytes | None = None  # once it is whole

    async def read(self) -> bytes:
        """Return the next bytes. Raises UpstreamFailed."""
        data = await self._answer.read()
        if self._parts is not None:
            self._parts.append(data)
            self._size += len(data)
            if self._size > ANSWER_BYTES_MAX:
                self._parts = None
            elif not data:
                self.body = b"".join(self._parts)
        return data

    def release(self) -> None:
        """Say that the answer is complete as far as the caller cares."""
        self._answer.release()

    def close(self) -> None:
        """Give the connection back."""
        self._answer.close()


class Try:
    """One call that may be a retry, or be tried again: what it is given instead of the usual routes, vendors and reports."""

    def __init__(self, call: Call, dependencies: Dependencies, *, kept: Kept | None, keep: Callable[[Kept], None]) -> None:
        self._call = call
        self._dependencies = dependencies
        self._kept = kept
        self._keep = keep
        self.replays = False  # the target that gave the kept answer may serve this call too
        self.recorded: RecordedAnswer | None = None
        self._asked = 0

    def dependencies(self) -> Dependencies:
        """Return what the path of the call needs."""
        usual = self._dependencies
        return msgspec.structs.replace(usual, routes=SameTarget(usual.routes, self), upstreams=Recording(self), report=self._report)

    def same_target(self, plan: Plan) -> Plan:
        """Return a plan with the target alone whose answer is kept, if it is one of them, else the plan."""
        kept = self._kept
        offers = [] if kept is None else [offer for offer in plan.offers if offer.name == kept.target]
        if not offers:
            return plan
        self.replays = True
        self._call.headers.append(("idempotent-replayed", "true"))
        return msgspec.structs.replace(plan, offers=(offers[0],))

    async def ask(self, vendor: str, request: UpstreamRequest) -> Answer:
        """Ask a vendor, or give what it has sent before. Raises UpstreamFailed."""
        kept = self._kept
        self._asked += 1  # one that cannot be reached is an attempt too
        answer: Answer = KeptAnswer(kept) if self.replays and kept is not None else await self._dependencies.upstreams[vendor].ask(request)
        self.recorded = RecordedAnswer(answer)
        return self.recorded

    def _report(self, fact: Fact) -> None:
        """Pass a fact on; of the one that the call ended see whether its answer is to be kept.

        One that its vendor gave in several is not: there was more than one answer to an attempt.
        """
        self._dependencies.report(fact)
        if isinstance(fact, CallEnded) and fact.request_id == self._call.id and fact.outcome in (CLIENT_GONE, CLIENT_STALLED):
            recorded, in_one = self.recorded, self._asked == fact.attempts
            if recorded is not None and recorded.body is not None and in_one and not fact.stream and not fact.cost_nanos:
                kept = self._kept if self.replays else None
                until = self._dependencies.timers.loop.time() + KEPT_SECONDS if kept is None else kept.until
                self._keep(Kept(fact.target, dict(recorded.headers), recorded.body, until))


class SameTarget(Routes):
    """The routes, but that a retry goes where its first try went."""

    def __init__(self, routes: Routes, attempt: Try) -> None:
        self.__dict__.update(vars(routes))  # the same in all else
        self._usual = routes
        self._attempt = attempt

    def plan(
        self, request: Request, key: Key, chance: Chance, *, health: Health | None = None, now: float = 0.0, unix_seconds: float = 0.0
    ) -> Plan:
        """Return what a call will do. Raises ApiError as the usual routes do."""
        return self._attempt.same_target(self._usual.plan(request, key, chance, health=health, now=now, unix_seconds=unix_seconds))


class RecordedUpstream:
    """The way to one vendor in such a call; implements `providers.port.Upstream`."""

    def __init__(self, attempt: Try, vendor: str) -> None:
        self._attempt = attempt
        self._vendor = vendor

    async def ask(self, request: UpstreamRequest) -> Answer:
        """Ask it. Raises UpstreamFailed."""
        return await self._attempt.ask(self._vendor, request)


class Recording(Mapping[str, Upstream]):
    """The ways to all vendors in such a call."""

    def __init__(self, attempt: Try) -> None:
        self._attempt = attempt

    def __getitem__(self, vendor: str) -> Upstream:
        return RecordedUpstream(self._attempt, vendor)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def relay_retried(call: Call, count: str, client: Client, *, dependencies: Dependencies, retries: RetriesKept) -> None:
    """Carry a call that may be a client's retry, or be tried again, to its end, as `relay` does. Raises ApiError as that does.

    A retry is the same request from the same key through the same door, within KEPT_SECONDS of the end of a first try that was whole.
    `count` is what its client says of its tries, nothing if it says nothing. What nobody was given is there for the next one.
    """
    mark = await mark_of(call, "")
    kept = await retries.claim(mark, dependencies.timers.loop.time()) if is_retry(count) else None
    attempt = Try(call, dependencies, kept=kept, keep=lambda whole: retries.keep(mark, whole))
    try:
        await relay(call, client, attempt.dependencies())
    finally:
        if kept is not None and attempt.recorded is None:
            retries.keep(mark, kept)
