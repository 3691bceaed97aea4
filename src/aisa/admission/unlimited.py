"""Admission for an install without limits: every call may go ahead."""

from __future__ import annotations

from aisa.keys.rules import Key
from aisa.routing import Plan
from aisa.usage import Usage
from aisa.wire.door import Request


class Unlimited:
    """Admits everything; is its own lease."""

    async def admit(self, key: Key, request: Request, plan: Plan) -> Unlimited:
        """Let the call go ahead."""
        return self

    def release(self, usage: Usage) -> None:
        """Nothing was taken, so nothing is given back."""
