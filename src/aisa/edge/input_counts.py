"""How many tokens the input of a call would have, for clients that ask: as its bill counts it where no vendor reports. Asks nobody.

What a call would be refused before a vendor is asked, a count is refused, too: there is nothing to count of what nobody can be sent. Of a
model that is at hand, the built-in one, what it would report is asked itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aisa.clock import Chance
from aisa.errors import UpstreamFailed
from aisa.keys.rules import Key
from aisa.long_counts import LongCounts
from aisa.offer import Plan
from aisa.providers.blame import to_tell
from aisa.providers.counting import AskedOf
from aisa.providers.port import AtHand, Upstream, UpstreamRequest
from aisa.providers.shape import Target
from aisa.providers.tasks import DIALECTS
from aisa.routing import Routes
from aisa.wire.door import Request
from aisa.wire.origins import at_home


class InputCounts:
    """Counts by the target that is asked first; long texts in a thread of its own, so that no bill waits behind a question."""

    def __init__(
        self, chance: Chance, long_counts: LongCounts | None = None, *, upstreams: Callable[[], Mapping[str, Upstream]] = dict
    ) -> None:
        self._chance = chance
        self._long = long_counts or LongCounts()
        self._upstreams = upstreams

    async def tokens(self, request: Request, routes: Routes, key: Key) -> int:
        """Return the tokens of a request's input. Raises ApiError as a call would, but for money and limits: it takes none of them."""
        plan = routes.plan(request, key, self._chance)
        try:
            target, written = await asyncio.to_thread(first_that_can, plan, request)
        except UpstreamFailed as refused:
            raise at_home(refused, request, refused.asked_in, ours=True).error from None
        model = self._upstreams().get(target.vendor)
        known = await asyncio.to_thread(model.prompt_tokens, written) if isinstance(model, AtHand) else None
        return await self._long.input(AskedOf(request, target)) if known is None else known


def first_that_can(plan: Plan, request: Request) -> tuple[Target, UpstreamRequest]:
    """Return the first target that can be asked, in the configuration's order so that a count is always the same, and what it is asked.

    Raises UpstreamFailed for what the caller of a call would be told if there is none.
    """
    order = [offer.name for offer in plan.entry.offers]
    told: UpstreamFailed | None = None
    for offer in sorted(plan.offers, key=lambda each: order.index(each.name)):
        target = offer.target
        try:
            return target, DIALECTS[request.task + target.dialect].to_upstream(request, target)
        except UpstreamFailed as refused:
            refused.asked_in = target.dialect
            told = to_tell(told, refused)
    assert told is not None, "a plan has an offer"
    raise told
