"""The calls that run, for those who watch from another thread: looks at each in the event loop's. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from heapq import nsmallest
from typing import Protocol, TypeVar

import msgspec

from aisa.call import ADMITTED, ANSWERING, ASKED, ENDED
from aisa.context import CallContext
from aisa.edge.statement import LedgerShown
from aisa.errors import ApiError
from aisa.ledger.row import Opening
from aisa.money import Nanos
from aisa.pricing import cost_of
from aisa.usage import Usage
from aisa.wire.port import OPERATOR_ENDS

LIVE_ROWS_MAX = 200  # that are shown, the oldest: more than a terminal has lines, and looked at in less than a millisecond
LOOK_SECONDS_MAX = 5.0  # that the event loop may take to answer; it is stuck then

T = TypeVar("T")


class Slots(Protocol):
    """The journal in its file: `ledger.journal.Journal` has it."""

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        ...


class LiveCall(msgspec.Struct, frozen=True):
    """One call that runs. `backlog_bytes` were written for its client, which does not have them yet.

    Tokens are those estimated of the request and those sent so far; `cost` is what these cost, in nano-dollars, None without a price.
    """

    id: str
    key: str
    model: str
    target: str
    state: str
    stream: bool
    age_seconds: float
    input_tokens: int
    output_tokens: int
    backlog_bytes: int
    congested: bool
    cost: Nanos | None


class BoardShown(msgspec.Struct, frozen=True):
    """The oldest LIVE_ROWS_MAX of the calls that run, how many run in all, and how full the ledger is.

    `slots_taken` of the journal are calls that run or `rows_waiting`: ended, but not yet known to be in the database. `limits_away` says
    that a process cannot ask the store of limits.
    """

    calls: list[LiveCall]
    calls_count: int
    slots_taken: int
    rows_waiting: int
    limits_away: bool = False


class Board(Protocol):
    """The calls that run, for those who watch. Asked in any thread but the event loop's."""

    def __call__(self) -> BoardShown:
        """Return what there is to see. Raises ApiError overloaded when the event loop is stuck."""
        ...

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the calls that run, and of ended ones that may not be in the database yet."""
        ...

    def using(self) -> dict[str, str | None]:
        """Return the keys that calls run with, by id, and what is kept of where one of these came from."""
        ...

    def end(self, call_id: str) -> bool:
        """End a call: its client is told, and what has arrived is billed. False if it does not run, or is complete already."""
        ...


def running(board: Board | None) -> Board:
    """Return the calls that run. Raises ApiError resource_not_found where no server does."""
    if board is None:
        raise ApiError("resource_not_found", "No server runs on this data folder, so no calls are either. Start it: aisa serve")
    return board


class BoardView:
    """Shows the calls of a server. Made in the event loop's thread; `live` is `Dependencies.live`."""

    def __init__(
        self, live: AbstractSet[CallContext], ledger: LedgerShown, journal: Slots, *, limits_away: Callable[[], bool | None] = lambda: None
    ) -> None:
        self._live = live
        self._ledger = ledger
        self._journal = journal
        self._limits_away = limits_away
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> BoardShown:
        """Return what there is to see. Raises ApiError overloaded when the event loop is stuck."""
        live = tuple(self._live)  # in one step, because the event loop may change it meanwhile
        oldest = nsmallest(LIVE_ROWS_MAX, live, key=lambda context: context.call.began)
        return in_loop(self._loop, lambda: self.shown(oldest, len(live)))

    def now(self) -> BoardShown:
        """Return what there is to see, in the event loop's own thread."""
        return self.shown(nsmallest(LIVE_ROWS_MAX, self._live, key=lambda context: context.call.began), len(self._live))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the calls in the ledger, in one step, because the event loop may change it meanwhile."""
        return tuple(self._ledger.calls)

    def using(self) -> dict[str, str | None]:
        """Return the keys that calls run with; in one step, as `ids`."""
        return {charge.opening.key_id: charge.opening.address for charge in tuple(self._ledger.calls.values()) if charge.row is None}

    def end(self, call_id: str) -> bool:
        """End a call that runs. Raises ApiError overloaded when the event loop is stuck."""
        return in_loop(self._loop, lambda: self.end_now(call_id))

    def end_now(self, call_id: str) -> bool:
        """End a call, in the event loop's own thread."""
        for context in self._live:
            if context.call.id == call_id and context.life.state in (ADMITTED, ASKED, ANSWERING):
                context.client.interrupt(OPERATOR_ENDS)
                return True
        return False

    def shown(self, oldest: Iterable[CallContext], count: int) -> BoardShown:
        """Show these of so many calls, in the event loop's own thread."""
        calls = [self._shown(context) for context in oldest if context.life.state is not ENDED]
        booked = self._ledger.calls.values()
        waiting = sum(charge.row is not None for charge in booked)
        return BoardShown(calls, count, self._journal.taken, waiting, bool(self._limits_away()))

    def _shown(self, context: CallContext) -> LiveCall:
        charge = self._ledger.calls.get(context.call.id)
        tokens = 0 if charge is None else charge.progress
        return LiveCall(
            id=context.call.id,
            key=context.key.label,
            model=context.plan.entry.name,
            target=context.life.target,
            state=context.life.state,
            stream=context.request.stream,
            age_seconds=self._loop.time() - context.call.began,
            input_tokens=0 if charge is None else charge.opening.input_tokens,
            output_tokens=tokens,
            backlog_bytes=max(0, context.client.bytes_written - context.client.bytes_delivered()),
            congested=context.client.congested,
            cost=None if charge is None else cost_so_far(charge.opening, tokens),
        )


def cost_so_far(opening: Opening, tokens: int) -> Nanos | None:
    """Return what a call would cost that ended with so many tokens delivered: nothing without any. None without a price."""
    if opening.prices is None:
        return None
    return cost_of(Usage(opening.input_tokens, tokens), opening.prices) if tokens else 0


def in_loop(loop: asyncio.AbstractEventLoop, look: Callable[[], T]) -> T:
    """Return what `look` returns in the thread of the event loop, where what it looks at is changed. Waits for it, so call it in another.

    Raises what `look` does, and ApiError overloaded when the loop is stuck; then nothing is done any more.
    """

    async def looked() -> T:
        return look()

    seen = asyncio.run_coroutine_threadsafe(looked(), loop)
    try:
        return seen.result(LOOK_SECONDS_MAX)
    except TimeoutError:
        seen.cancel()
        raise ApiError("overloaded", f"The server is too busy to answer within {LOOK_SECONDS_MAX:g} seconds.") from None
