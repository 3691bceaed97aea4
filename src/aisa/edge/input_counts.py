"""How many tokens the input of a call would have, for clients that ask: as its bill counts it where no vendor reports. Asks nobody."""

from __future__ import annotations

from aisa.keys.rules import Key
from aisa.long_counts import LongCounts
from aisa.providers.counting import AskedOf
from aisa.routing import Routes
from aisa.wire.door import Request


class InputCounts:
    """Counts by the target that is asked first; long texts in a thread of its own, so that no bill waits behind a question."""

    def __init__(self, long_counts: LongCounts | None = None) -> None:
        self._long = long_counts or LongCounts()

    async def tokens(self, request: Request, routes: Routes, key: Key) -> int:
        """Return the tokens of a request's input. Raises ApiError unknown_model, model_not_allowed."""
        entry = routes.find(request.model)
        routes.allow(key, entry)
        return await self._long.input(AskedOf(request, entry.offers[0].target))
