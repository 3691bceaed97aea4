"""Which wallets are below zero and which caps are overshot, for whoever looks after a server: as lines to be looked at, and as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import NamedTuple

from aisa.clock import WallClock
from aisa.edge.admin_status import NAMED_MAX, Attention
from aisa.edge.statement import CapShown
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.caps import capped
from aisa.ledger.port_admin import AccountStanding
from aisa.money import Nanos, dollars_text
from aisa.observe.metrics import Gauge

WAIT_SECONDS = 1.0  # for the database, which may hang: what watches over a server must not hang with it
STATEMENT = "See by which calls: aisa wallet statement {}. Calls are refused until a top-up; `hold_output_tokens` of a model holds for more"
CALLS = "See by which calls: aisa calls {}. More are refused until the {} is over; `hold_output_tokens` of a model holds for more"


class Overshot(NamedTuple):
    """A cap of which more was spent than it is: `whose`, in words and for `aisa calls`."""

    whose: str
    option: str
    spent: Nanos
    cap: Nanos
    window: str


class Overruns:
    """Looks at one server's money. To be called in any thread, which waits for the database, but not for long.

    `overdrawn` returns the accounts whose wallets are below zero, `keys` every key, `caps` the caps by the id of the key or team. Only one
    thread ever asks the database, of however many that wait for it.
    """

    def __init__(
        self,
        overdrawn: Callable[[], Sequence[AccountStanding]],
        keys: Callable[[], Iterable[Key]],
        *,
        caps: Callable[[], Mapping[str, CapShown]],
        wall_clock: WallClock,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._overdrawn = overdrawn
        self._keys = keys
        self._caps = caps
        self._wall_clock = wall_clock
        self._wait_seconds = wait_seconds
        self._thread = ThreadPoolExecutor(1, "overruns")
        self._lock = Lock()
        self._look: Future[Sequence[AccountStanding]] | None = None

    def overdrawn(self) -> Sequence[AccountStanding]:
        """Return the accounts whose wallets are below zero. Raises ApiError, TimeoutError."""
        with self._lock:
            if self._look is None or self._look.done():
                self._look = self._thread.submit(self._overdrawn)
            look = self._look
        return look.result(self._wait_seconds)

    def overshot(self) -> list[Overshot]:
        """Return the caps that are overshot in the window that is now, by most first, as far as is known here what was spent."""
        now, caps, found = self._wall_clock(), dict(self._caps()), dict[str, Overshot]()
        for key in self._keys():
            for whose in capped(key):
                cap = caps.get(whose.id)
                spent = None if cap is None else cap.spent_at(now)
                if spent is not None and whose.spend_cap is not None and spent > whose.spend_cap:
                    named = f"key '{key.label}'" if whose is key else f"team '{key.team.name if key.team else ''}'"
                    option = f"--key {key.label}" if whose is key else f"--account {key.account}"
                    found[whose.id] = Overshot(named, option, spent, whose.spend_cap, str(whose.spend_window))
        return sorted(found.values(), key=lambda each: each.cap - each.spent)

    def attention(self) -> Iterator[Attention]:
        """Yield what is to be looked at: the deepest of each kind by itself, the rest as one."""
        with suppress(ApiError, TimeoutError):  # of a database that fails others tell
            overdrawn = sorted(self.overdrawn(), key=lambda each: each.balance or 0)
            for each in overdrawn[:NAMED_MAX]:
                below = dollars_text(-(each.balance or 0))
                yield Attention("warning", f"The wallet of '{each.name}' is {below} US dollars below zero.", STATEMENT.format(each.name))
            yield from beyond(len(overdrawn), "wallets are below zero", "aisa wallet show")
        overshot = self.overshot()
        for cap in overshot[:NAMED_MAX]:
            what = f"The {cap.whose} has spent {dollars_text(cap.spent)} of {dollars_text(cap.cap)} US dollars a {cap.window}."
            yield Attention("warning", what, CALLS.format(cap.option, cap.window))
        yield from beyond(len(overshot), "caps are overshot", "aisa keys list, aisa teams list")

    def beside(self, states: Callable[[], Awaitable[Iterable[Gauge]]]) -> Callable[[], Awaitable[list[Gauge]]]:
        """Return states with how many wallets and caps there are of this."""

        async def both() -> list[Gauge]:
            return [*await states(), *await asyncio.to_thread(lambda: list(self.gauges()))]

        return both

    def gauges(self) -> Iterator[Gauge]:
        """Yield how many there are; nothing of wallets while the database fails, or hangs."""
        with suppress(ApiError, TimeoutError):
            yield Gauge("wallets_below_zero", "Accounts whose wallet is below zero.", (((), float(len(self.overdrawn()))),))
        overshot = float(len(self.overshot()))
        yield Gauge("caps_overshot", "Keys and teams that have spent more than their cap in its window.", (((), overshot),))


def beyond(count: int, what: str, where: str) -> Iterator[Attention]:
    """Yield that there are more than are named."""
    if count > NAMED_MAX:
        yield Attention("warning", f"{count - NAMED_MAX:,} more {what}.", f"See them: {where}")
