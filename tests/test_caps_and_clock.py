"""(fault M13) A spend cap holds whatever the wall clock shows: set forward, set back, or wrong when the server was started."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.call import Call
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import DAY, MONTH, WEEK, Key, Team, verify_state, window_end, window_start
from aisa.ledger.caps import WINDOWS_MAX, Cap
from aisa.ledger.charge import Charge
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.port import Ending
from aisa.ledger.port_usage import Span
from aisa.ledger.row import CallRow
from aisa.ledger.rules import COMPLETED, Delivered
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import insert_rows
from aisa.routing import Routes
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.usage import REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from ledger_rig import shared_journal
from repeats import repeats
from rig import body

NOON = 1_767_182_400.0  # 2025-12-31T12:00:00Z, a Wednesday
A_DAY = 86_400.0
#: A call of it costs 1,000,000 nano-dollars: a thousand tokens of output, which is also what is held for it.
CONFIG = Config(
    vendors={"v": Vendor(base_url="http://v.example/v1", prices={"m": Prices(input=0, output=1)})}, models={"fast": Model(to=("v/m",))}
)
CHAT = parse_chat(body(max_tokens=1_000))
COST = 1_000_000
USED = Usage(0, 1_000, source=REPORTED, input_source=REPORTED)
ENDING = Ending(
    outcome=COMPLETED,
    generated=USED,
    delivered=Delivered(1_000, 1_000),
    attempts=1,
    queue_ms=0,
    first_token_ms=0,
    total_ms=0,
    bytes_sent=1,
    error_code=None,
)


class TimedLedger:
    """A live ledger whose clock is set by hand, in front of a database that takes each row at once, or late."""

    def __init__(self, window: str = DAY, *, calls_per_window: int = 5, rows: Sequence[CallRow] = (), now: float = NOON) -> None:
        self.now = now
        self.rows = list(rows)
        self.waiting: list[tuple[CallRow, Callable[[], None]]] = []
        self.late = False
        self.reads: list[Span] = []
        self.read_gate: asyncio.Event | None = None
        self.away = False
        self.key = Key("key_1", "test", b"", "sk-…", "active", 0, spend_cap=calls_per_window * COST, spend_window=window)
        began = window_start(window, now)
        spent = self._sum(began * 1000, window_end(window, began) * 1000, ())
        newest = max((row.ended_ms for row in self.rows), default=0) // 1000
        cap = Cap(calls_per_window * COST, window, spent=spent, now=now, newest=newest)
        self.ledger = LiveLedger(shared_journal(), self.post, caps=[("key_1", cap)], wall_clock=lambda: self.now)
        self.ledger.spent = self.spent
        self._plan = Routes(CONFIG).plan(CHAT, self.key, random.Random(1))
        self._number = 0

    def post(self, row: CallRow, committed: Callable[[], None]) -> None:
        """Take a row."""
        if self.late:
            self.waiting.append((row, committed))
        else:
            self.rows.append(row)
            committed()

    def commit(self) -> None:
        """Have the ledger take what waits."""
        for row, committed in self.waiting:
            self.rows.append(row)
            committed()
        self.waiting.clear()

    def _sum(self, start_ms: int, end_ms: int, without: Sequence[str]) -> int:
        return sum(row.cost for row in self.rows if start_ms <= row.ended_ms < end_ms and row.id not in without)

    async def spent(self, span: Span, without: Callable[[], Sequence[str]]) -> int:
        """Say what the ledger has."""
        self.reads.append(span)
        if span.whose == "team_1":
            await (self.read_gate or asyncio.Event()).wait()
            return 0
        assert span.whose == "key_1"
        if self.read_gate is not None and self.key.team is None:
            await self.read_gate.wait()
        if self.away:
            raise ApiError("internal_error", "The database is away.")
        return self._sum(span.start_ms, span.end_ms, without())

    async def open(self) -> Charge:
        """Open a call. Raises ApiError."""
        self._number += 1
        call = Call(f"req_{self.now:.0f}_{self._number}", None, b"", int(self.now), asyncio.get_running_loop().time(), [], CHAT_DOOR)
        charge = await self.ledger.open(call, self.key, CHAT, plan=self._plan)
        charge.serve(self._plan.offers[0], 1)
        return charge

    def end(self, charge: Charge) -> None:
        """End a call that was answered."""
        charge.close(ENDING)
        charge.confirm(ENDING.delivered, whole=True)

    async def call(self) -> str:
        """Make a call, and return `ok` or the code of its refusal. One that is refused while the ledger is read is made again."""
        for _ in range(2):
            try:
                self.end(await self.open())
            except ApiError as refusal:
                if refusal.code != "overloaded" or self.away or self.read_gate is not None:
                    return refusal.code
                if (refusal.status, refusal.retry_after) != (503, 1):
                    raise
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            else:
                return "ok"
        return "overloaded"

    async def until_refused(self) -> int:
        """Make calls until the cap refuses one, and return how many were served."""
        served = 0
        while (answer := await self.call()) == "ok":
            served += 1
            assert served < 50, "there is no cap"
        assert answer == "quota_exceeded"
        return served


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a scene, and leave nothing in the journal."""

    async def main() -> None:
        await scene()

    before = shared_journal().taken  # by tests of other things, in the same process
    asyncio.run(main())
    assert shared_journal().taken == before


@pytest.mark.parametrize("window", [DAY, WEEK, MONTH])
@pytest.mark.parametrize("jump", [1, 40, 400, -1, -40, 20_000])
def test_a_clock_that_is_set_and_set_back_leaves_no_more_to_spend_than_the_cap(window: str, jump: int) -> None:
    """Forward and back, by one window or several: what was spent by the right time still counts, and is counted once."""

    async def scene() -> None:
        ledger = TimedLedger(window)
        assert [await ledger.call() for _ in range(3)] == ["ok"] * 3
        ledger.now += jump * A_DAY
        there = await ledger.until_refused()
        same = window_start(window, ledger.now) == window_start(window, NOON)
        assert there == (2 if same else 5)
        ledger.now = NOON + 1
        assert await ledger.until_refused() == (0 if same else 2)
        ledger.now += jump * A_DAY
        assert await ledger.until_refused() == 0

    play(scene)


@pytest.mark.parametrize("window", [DAY, WEEK, MONTH])
@pytest.mark.parametrize("wrong", [2, 40, 4_000, -3, -40])
def test_a_server_that_was_started_with_a_wrong_clock_counts_what_was_spent_before(window: str, wrong: int) -> None:
    """The windows of the right time are read from the ledger when the clock is set right, and so are those of the wrong one."""

    async def scene() -> None:
        first = TimedLedger(window)
        assert [await first.call() for _ in range(3)] == ["ok"] * 3
        wrongly = TimedLedger(window, rows=first.rows, now=NOON + wrong * A_DAY)
        same = window_start(window, wrongly.now) == window_start(window, NOON)
        assert await wrongly.until_refused() == (2 if same else 5)
        wrongly.now = NOON + 60
        assert await wrongly.until_refused() == (0 if same else 2)
        again = TimedLedger(window, rows=wrongly.rows, now=NOON + 120)
        assert await again.until_refused() == 0
        again.now = NOON + wrong * A_DAY + 60
        assert await again.until_refused() == 0

    play(scene)


def test_the_ledger_is_not_asked_at_an_ordinary_midnight() -> None:
    """A window that begins after every call that there is has nothing in it: nobody waits and nobody is refused."""

    async def scene() -> None:
        ledger = TimedLedger()
        for _ in range(10):
            assert await ledger.until_refused() == 5
            ledger.now += A_DAY
        assert ledger.reads == []

    play(scene)


@pytest.mark.parametrize(
    "when", ["ended before, written", "ended before, not written", "ends meanwhile", "ends meanwhile, written", "ends later"]
)
def test_a_call_of_this_process_in_a_window_that_is_read_is_counted_once(when: str) -> None:
    """Wherever it is when the ledger answers: in the database, in the journal, or on its way between them."""

    async def scene() -> None:
        ledger = TimedLedger(now=NOON + 3 * A_DAY)
        ledger.now = NOON
        cap = ledger.ledger.caps["key_1"]
        cap.reading(today := window_start(DAY, NOON))
        cap.learn(today, 0)  # so that a call can begin
        charge = await ledger.open()
        for number in range(1, WINDOWS_MAX + 1):  # ... and forgotten, because the clock was set again and again
            cap.spend(0, int(NOON + (3 + number) * A_DAY))
        assert cap.spent_at(NOON) is None
        ledger.late = "not written" in when or "meanwhile" in when
        if "before" in when:
            ledger.end(charge)
        ledger.read_gate = asyncio.Event()
        assert [await ledger.call() for _ in range(3)] == ["overloaded"] * 3
        await asyncio.sleep(0)
        assert len(ledger.reads) == 1, "it is read once, however many ask"
        if "meanwhile" in when:
            ledger.end(charge)
        if when == "ends meanwhile, written":
            ledger.commit()
        ledger.read_gate.set()
        ledger.read_gate = None
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if when == "ends later":
            ledger.end(charge)
        assert cap.spent_at(NOON) == COST
        ledger.commit()

    play(scene)


def test_the_first_call_after_a_cap_was_set_waits_for_what_was_spent() -> None:
    """[issue 13] A key that an administrator had just made with a cap was 503 for the milliseconds in which the database was read."""

    async def scene() -> None:
        ledger = TimedLedger()
        ledger.read_gate = asyncio.Event()
        ledger.key = msgspec.structs.replace(ledger.key, spend_window=WEEK)
        ledger.ledger.recap(ledger.key)
        opening = asyncio.ensure_future(ledger.open())
        for _ in range(3):
            await asyncio.sleep(0)
        assert (len(ledger.reads), opening.done()) == (1, False)
        ledger.read_gate.set()
        ledger.end(await opening)

    play(scene)


def test_a_cap_that_is_made_while_a_call_waits_for_its_teams_is_the_one_that_it_is_held_in() -> None:
    """[issue 13] The call held in the one that was looked up before the wait, which nobody reads any more: a cap was spent twice."""

    async def scene() -> None:
        ledger = TimedLedger(calls_per_window=2)
        ledger.read_gate = asyncio.Event()
        del ledger.ledger.caps["key_1"]  # the key was just made: that it counts is yet to be said
        ledger.key = msgspec.structs.replace(ledger.key, team=Team("team_1", "acme", "bots", 0, 100 * COST, DAY))
        ledger.ledger.recap(msgspec.structs.replace(ledger.key, id="key_2", spend_cap=None, spend_window=None))
        opening = [asyncio.ensure_future(ledger.open()) for _ in range(2)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert [each.done() for each in opening] == [False, False]
        ledger.ledger.recap(ledger.key)
        ledger.read_gate.set()
        for each in opening:
            ledger.end(await each)
        assert await ledger.call() == "quota_exceeded"

    play(scene)


def test_while_the_database_is_away_a_window_that_must_be_read_lets_no_call_through() -> None:
    """And once it is back the next call has it read."""

    async def scene() -> None:
        ledger = TimedLedger(now=NOON + 9 * A_DAY)
        ledger.now, ledger.away = NOON, True
        for _ in range(3):
            assert await ledger.call() == "overloaded"
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert len(ledger.reads) == 3
        ledger.away = False
        assert await ledger.until_refused() == 5

    play(scene)


def test_a_stream_that_runs_while_the_clock_is_set_goes_on() -> None:
    """What it needs more is held against the cap as if the new window were empty; its cost counts where it ends."""

    async def scene() -> None:
        ledger = TimedLedger(calls_per_window=3)
        charge = await ledger.open()
        ledger.now -= 40 * A_DAY
        charge.cover(1_900)
        charge.note(1_900)
        with pytest.raises(ApiError, match="held for calls in flight"):
            charge.cover(3_100)
        ledger.end(charge)
        assert ledger.ledger.caps["key_1"].spent_at(NOON) == COST

    play(scene)


def test_few_windows_are_kept_whatever_the_clock_does() -> None:
    """And one that was given up is read again rather than taken for empty."""
    cap = Cap(10, DAY, spent=3, now=NOON)
    for day in range(1, 1_000):
        cap.spend(1, int(NOON + day * A_DAY))
    assert len(cap._sums) == WINDOWS_MAX
    assert cap.spent_at(NOON) is None
    assert cap.spent_at(NOON + 900 * A_DAY) is None
    assert [cap.spent_at(NOON + day * A_DAY) for day in (999, 1_000, 2_000)] == [1, 0, 0]


@settings(max_examples=repeats(200), deadline=None)
@given(
    window=st.sampled_from([DAY, WEEK, MONTH]),
    moments=st.lists(st.integers(0, 90), min_size=1, max_size=60),
    starts=st.sets(st.integers(0, 59)),
)
def test_no_order_of_clocks_and_starts_spends_more_than_the_cap_in_any_window(window: str, moments: list[int], starts: set[int]) -> None:
    """Calls at days in any order, with restarts in between: in each window the ledger has what the cap allows, no more and no less."""

    async def scene() -> None:
        ledger = TimedLedger(window, calls_per_window=3)
        asked: dict[int, int] = {}
        for place, day in enumerate(moments):
            now = NOON + day * A_DAY
            if place in starts:
                ledger = TimedLedger(window, calls_per_window=3, rows=ledger.rows, now=now)
            ledger.now = now + place
            began = window_start(window, now)
            asked[began] = asked.get(began, 0) + 1
            assert await ledger.call() == ("ok" if asked[began] <= 3 else "quota_exceeded")
        sums = {began: ledger._sum(began * 1000, window_end(window, began) * 1000, ()) for began in asked}
        assert sums == {began: min(3, count) * COST for began, count in asked.items()}

    play(scene)


def test_the_database_and_the_caps_agree_about_a_window(tmp_path: Path) -> None:
    """The database's own sums, without the calls that the live ledger counts itself."""
    ledger = TimedLedger()
    asyncio.run(ledger.until_refused())
    database = open_database(str(tmp_path), migrate)
    insert_rows(database, ledger.rows)
    store = LedgerStore(database, lambda: NOON)
    began = window_start(DAY, NOON) * 1000
    span = Span(began, began + 86_400_000, "key_1")
    assert store.spent_in(span) == 5 * COST
    assert store.spent_in(span, lambda: [ledger.rows[0].id]) == 4 * COST
    database.close()


@pytest.mark.parametrize("window", [DAY, WEEK, MONTH])
def test_a_window_ends_where_the_next_begins(window: str) -> None:
    """Every month of four years, leap day included."""
    began = window_start(window, NOON)
    for _ in range(200):
        ended = window_end(window, began)
        assert window_start(window, ended) == ended
        assert window_start(window, ended - 1) == began
        began = ended


def test_a_key_that_had_expired_by_a_wrong_clock_may_be_used_again_by_the_right_one() -> None:
    """Whether it has expired follows from the clock each time and is never kept."""
    key = Key("key_1", "test", b"", "sk-…", "active", 0, expires_at=int(NOON + 60))
    verify_state(key, NOON)
    for now in (NOON + 60, NOON + 90 * A_DAY):
        with pytest.raises(ApiError, match="expired"):
            verify_state(key, now)
    verify_state(key, NOON)


def test_a_call_waiting_for_the_disk_is_in_the_books_and_leaves_them_if_it_is_refused(tmp_path: Path) -> None:
    """A window that is read meanwhile counts it once; what was held for it goes back."""
    journal = Journal.open(tmp_path / "board", slots_max=10)
    seen: list[int] = []

    async def sync() -> None:
        seen.append(len(ledger.calls))
        raise ApiError("overloaded", "for a test")

    key = Key("key_1", "test", b"", "sk-…", "active", 0, spend_cap=9 * COST, spend_window=DAY)
    ledger = LiveLedger(journal, lambda row, done: None, wall_clock=lambda: NOON, sync=sync)
    plan = Routes(CONFIG).plan(CHAT, key, random.Random(1))
    with pytest.raises(ApiError, match="for a test"):
        asyncio.run(ledger.open(Call("req_1", None, b"", 1, 0.0, [], CHAT_DOOR), key, CHAT, plan=plan))
    assert (seen, len(ledger.calls), ledger.caps["key_1"].held, journal.taken) == ([1], 0, 0, 0)
    journal.close()
