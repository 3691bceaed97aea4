"""What the path of a call asks once its money is held: may this key make this call now. Rates, tokens a minute, calls in flight."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from aisa.call import Call
from aisa.keys.rules import Key
from aisa.offer import Offer, Plan
from aisa.providers.port import Answer, Upstream, UpstreamRequest
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.port import HeaderList


class Lease(Protocol):
    """The right to have one call in flight. Ends with the call, however that ends."""

    @property
    def covered(self) -> int:
        """How many output tokens in all the rates allow without asking."""
        ...

    def cover(self, tokens: int) -> Awaitable[None] | None:
        """Make sure that the rates allow so many output tokens in all; what is returned, if anything, is to be awaited.

        Raises ApiError rate_limit_exceeded when they do not: then they must not be sent.
        """
        ...

    def correct(self, usage: Usage) -> None:
        """Have the tokens count that the call really used, ahead of its end, so that headers tell what is left. The first time counts."""
        ...

    def release(self, usage: Usage) -> None:
        """End the lease with the tokens that the call really used. May be called once."""
        ...


class Places(Protocol):
    """A call's place at vendors that limit us: one at a time, from before a try until its answer is let go."""

    async def first(self) -> Offer:
        """Return the target of the plan that is asked first: the first with room, be it after a wait. Raises ApiError."""
        ...

    async def again(self, offer: Offer) -> None:
        """Return when a target may be asked after a try that has failed. Raises ApiError."""
        ...

    def has_room(self, offer: Offer) -> bool:
        """Say whether a target could be asked without a wait. Raises ApiError overloaded."""
        ...

    async def ask(self, upstream: Upstream, request: UpstreamRequest) -> Answer:
        """Ask the vendor at which the call has its place. Raises UpstreamFailed."""
        ...

    def end(self, used: Usage) -> None:
        """The call has ended with these tokens."""
        ...


class Admission(Protocol):
    """The limits in force."""

    @property
    def store_is_away(self) -> bool | None:
        """Whether the store that servers share does not answer, None where they share none."""
        ...

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Lease:
        """Return a lease for a call whose input was taken for so many tokens.

        Raises ApiError rate_limit_exceeded, and has taken nothing then but a place in line.
        """
        ...

    def places(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Places:
        """Return what has a call's places at vendors; asked for where one of the plan's vendors has limits."""
        ...

    def drain(self) -> None:
        """Let nobody begin to wait for a vendor any more, as the server is going away; who waits has its turn."""
        ...

    def headers(self, key: Key) -> HeaderList:
        """Return what every answer to a key tells of its limits, as they are now. Waits for nobody."""
        ...
