"""What the path of a call asks once its money is held: may this key make this call now. Rates, tokens a minute, calls in flight."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from aisa.call import Call
from aisa.keys.rules import Key
from aisa.offer import Plan
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

    def release(self, usage: Usage) -> None:
        """End the lease with the tokens that the call really used. May be called once."""
        ...


class Admission(Protocol):
    """The limits in force."""

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Lease:
        """Return a lease for a call whose input was taken for so many tokens.

        Raises ApiError rate_limit_exceeded, and has taken nothing then but a place in line.
        """
        ...

    def headers(self, key: Key) -> HeaderList:
        """Return what every answer to a key tells of its limits, as they are now. Waits for nobody."""
        ...
