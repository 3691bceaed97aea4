"""How a call is held for that needs more money than its server was allotted: once more has been, again and again. Holds nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from aisa.errors import ApiError
from aisa.ledger.port import Short

ALLOTTED_TRIES = 4  # to hold what was allotted before another call does


async def hold_with_more(short: Short, hold: Callable[[], None], explained: Callable[[ApiError], ApiError]) -> None:
    """Hold it once more has been allotted, each time that another call was quicker. Raises ApiError."""
    for _ in range(ALLOTTED_TRIES):
        try:
            await short.more()
        except ApiError as refusal:
            raise explained(refusal) from None
        try:
            hold()
        except Short as again:
            short = again
        else:
            return
    raise short
