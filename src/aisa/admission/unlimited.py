"""Admission for an install without limits: every call may go ahead."""

from __future__ import annotations

import sys

from aisa.call import Call
from aisa.keys.rules import Key
from aisa.offer import Plan
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.port import HeaderList


class Unlimited:
    """Admits everything; is its own lease."""

    covered = sys.maxsize

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Unlimited:
        """Let the call go ahead."""
        return self

    def cover(self, tokens: int) -> None:
        """Allow them."""

    def headers(self, key: Key) -> HeaderList:
        """Tell of no limits."""
        return []

    def release(self, usage: Usage) -> None:
        """Nothing was taken, so nothing is given back."""
