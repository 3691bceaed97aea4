"""What the path of a call asks before it spends anything: may this key make this call now. Rates, tokens a minute, calls in flight."""

from __future__ import annotations

from typing import Protocol

from aisa.keys.rules import Key
from aisa.routing import Plan
from aisa.usage import Usage
from aisa.wire.door import Request


class Lease(Protocol):
    """The right to have one call in flight. Ends with the call, however that ends."""

    def release(self, usage: Usage) -> None:
        """End the lease with the tokens that the call really used. May be called once."""
        ...


class Admission(Protocol):
    """The limits in force."""

    async def admit(self, key: Key, request: Request, plan: Plan) -> Lease:
        """Return a lease. Raises ApiError rate_limit_exceeded or quota_exceeded."""
        ...
