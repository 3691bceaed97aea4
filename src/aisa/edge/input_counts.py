"""How many tokens the input of a call would have, for clients that ask: as its bill counts it where no vendor reports. Asks nobody.

Of a model that is at hand, the built-in one, what it would report is asked itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from aisa.errors import UpstreamFailed
from aisa.keys.rules import Key
from aisa.long_counts import LongCounts
from aisa.providers.counting import AskedOf
from aisa.providers.port import AtHand, Upstream
from aisa.providers.shape import Target
from aisa.providers.tasks import DIALECTS
from aisa.routing import Routes
from aisa.wire.door import Request


class InputCounts:
    """Counts by the target that is asked first; long texts in a thread of its own, so that no bill waits behind a question."""

    def __init__(self, long_counts: LongCounts | None = None, *, upstreams: Callable[[], Mapping[str, Upstream]] = dict) -> None:
        self._long = long_counts or LongCounts()
        self._upstreams = upstreams

    async def tokens(self, request: Request, routes: Routes, key: Key) -> int:
        """Return the tokens of a request's input. Raises ApiError unknown_model, model_not_allowed."""
        entry = routes.find(request.model)
        routes.allow(key, entry)
        target = entry.offers[0].target
        upstream = self._upstreams().get(target.vendor)
        known = await asyncio.to_thread(reported, request, target, upstream) if isinstance(upstream, AtHand) else None
        return await self._long.input(AskedOf(request, target)) if known is None else known


def reported(request: Request, target: Target, model: AtHand) -> int | None:
    """Return the tokens that a model at hand would report; None for what cannot be asked of it, which no bill counts."""
    try:
        return model.prompt_tokens(DIALECTS[request.task + target.dialect].to_upstream(request, target))
    except UpstreamFailed:
        return None
