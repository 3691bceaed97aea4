"""Tells once a day which models that are in use will not be served much longer, or are not any more. Looks at routes, and asks nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime

from aisa.clock import WallClock
from aisa.endless import begun_again
from aisa.facts import Fact, ServerWarning
from aisa.routing import Routes

AHEAD_DAYS = 90  # before the end that it is told: vendors give three to six months
DAY_SECONDS = 86_400.0


def shutdown_notices(routes: Routes, today: date) -> Iterator[str]:
    """Yield a sentence for each configured model with a target whose end is near or past, the nearest first."""
    found: set[tuple[date, str, str, str]] = set()
    for name in routes.names():
        for offer in routes.find(name).offers:
            facts = offer.target.facts
            if facts is not None and facts.shutdown is not None and (facts.shutdown - today).days <= AHEAD_DAYS:
                found.add((facts.shutdown, name, offer.name, facts.row.successor if facts.row else ""))
    for end, name, target, successor in sorted(found):
        days = (end - today).days
        when = f"in {days} day{'' if days == 1 else 's'}, on {end}" if days > 0 else f"since {end}"
        instead = f"; its vendor recommends {successor}" if successor else ""
        verb = "will not be served any more" if days > 0 else "is not served any more"
        yield f"the model {target}, which serves '{name}', {verb} {when}{instead}"


async def tell_until(
    stopped: Awaitable[None], routes: Callable[[], Routes], *, wall_clock: WallClock, report: Callable[[Fact], None]
) -> None:
    """Tell now and then once a day, until `stopped` ends. `routes` returns those that hold at that time."""

    async def tell() -> None:
        while True:
            today = datetime.fromtimestamp(wall_clock(), UTC).date()
            for notice in shutdown_notices(routes(), today):
                report(ServerWarning(notice))
            await asyncio.sleep(DAY_SECONDS)

    telling = asyncio.create_task(begun_again(tell))
    try:
        await stopped
    finally:
        telling.cancel()
