"""Admission for an install without limits: every call may go ahead."""

from __future__ import annotations

import sys

from aisa.admission.port import Places
from aisa.call import Call
from aisa.keys.rules import Key
from aisa.offer import Offer, Plan
from aisa.providers.port import Answer, Upstream, UpstreamRequest
from aisa.usage import Usage
from aisa.wire.door import Request
from aisa.wire.port import HeaderList


class FreePlaces:
    """Places where there is always room; implements `port.Places`."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    async def first(self) -> Offer:
        """Return the plan's first target."""
        return self._offer

    async def again(self, offer: Offer) -> None:
        """Wait for nobody."""

    def has_room(self, offer: Offer) -> bool:
        """There is."""
        return True

    async def ask(self, upstream: Upstream, request: UpstreamRequest) -> Answer:
        """Ask the vendor. Raises UpstreamFailed."""
        return await upstream.ask(request)

    def end(self, used: Usage) -> None:
        """Nothing was taken."""


class Unlimited:
    """Admits everything; is its own lease."""

    covered = sys.maxsize

    async def admit(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Unlimited:
        """Let the call go ahead."""
        return self

    def places(self, call: Call, request: Request, plan: Plan, *, input_tokens: int) -> Places:
        """Return places at vendors without limits."""
        return FreePlaces(plan.offers[0])

    def drain(self) -> None:
        """Nobody waits."""

    def cover(self, tokens: int) -> None:
        """Allow them."""

    def headers(self, key: Key) -> HeaderList:
        """Tell of no limits."""
        return []

    def correct(self, usage: Usage) -> None:
        """Nothing was taken."""

    def release(self, usage: Usage) -> None:
        """Nothing was taken, so nothing is given back."""
