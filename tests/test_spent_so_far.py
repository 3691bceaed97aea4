"""What a key without a cap has spent in the running month: right at every moment, and asked of the database a day at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from aisa.background_reads import BackgroundReads
from aisa.edge.spent_so_far import SETTLED_SECONDS, SUMS_MAX, Kept, SpentSoFar
from aisa.keys.rules import MONTH, window_start
from aisa.ledger.port_usage import Used, day_of
from aisa.long_counts import LongCounts
from aisa.providers.port import Answer
from aisa.providers.shape import Decoder
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.door import Door, Request
from repeats import repeats
from rig import MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, document, whole_stream
from rows import priced

JANUARY = 1_767_225_600  # UNIX seconds
DAY = 86_400


def test_a_month_is_right_at_every_moment_and_added_up_a_day_at_a_time() -> None:
    """[fault M20] Two months of calls, asked for at random moments, rows that come late included; never more than is not kept anew."""
    chance = random.Random(20)
    moments = sorted(chance.randrange(JANUARY, JANUARY + 59 * DAY) for _ in range(repeats(1_000)))
    late = [chance.choice([0, 900, 3_000]) for _ in moments]
    rows = [priced(number, ended_ms=moment * 1000 + 5, cost=chance.randrange(10**9)) for number, moment in enumerate(moments)]
    spent, now, before = SpentSoFar(), JANUARY, JANUARY
    while now < JANUARY + 59 * DAY:
        now += chance.choice([1, 600, 3_000, DAY // 2])
        known = [row for row, after in zip(rows, late, strict=True) if row.ended_ms // 1000 + after <= now]
        began = window_start(MONTH, now)
        kept = spent.since("key_1", began, now=now)
        assert began <= kept.until <= now
        assert now - kept.until <= DAY + SETTLED_SECONDS + (now - before)
        by_day: dict[str, Used] = {}
        for row in known:
            if kept.until * 1000 <= row.ended_ms < (now + 1) * 1000:
                by_day.setdefault(day_of(row.ended_ms), Used()).add(row)
        found = spent.add("key_1", kept, by_day, now=now)
        assert found == sum(row.cost for row in known if began <= row.ended_ms // 1000)
        before = now


def test_sums_are_kept_of_so_many_keys_and_of_one_window_each() -> None:
    """[fault M20] The key that was asked for longest ago goes; another window begins with nothing."""
    spent = SpentSoFar()
    now = JANUARY + 3 * DAY + 4_000
    by_day = {"2026-01-01": Used(cost=5), "2026-01-03": Used(cost=7), "2026-01-04": Used(cost=9)}
    for number in range(SUMS_MAX + 1):
        assert spent.add(f"key_{number}", Kept(JANUARY, JANUARY, 0), by_day, now=now) == 21
    assert spent.since("key_1", JANUARY, now=now) == Kept(JANUARY, JANUARY + 3 * DAY, 12)
    assert spent.since("key_0", JANUARY, now=now) == Kept(JANUARY, JANUARY, 0)
    assert spent.since("key_1", JANUARY + 31 * DAY, now=JANUARY + 31 * DAY) == Kept(JANUARY + 31 * DAY, JANUARY + 31 * DAY, 0)


def test_a_clock_that_is_set_back_adds_the_days_up_anew() -> None:
    """[fault M20] What is spent on days that were over by a wrong clock counts; a clock that is right again has lost nothing."""
    spent = SpentSoFar()
    right, wrong = JANUARY + 3 * DAY + 7_200, JANUARY + 20 * DAY
    assert spent.add("key_1", spent.since("key_1", JANUARY, now=wrong), {"2026-01-02": Used(cost=5)}, now=wrong) == 5
    assert spent.since("key_1", JANUARY, now=wrong).until == wrong - DAY
    assert spent.since("key_1", JANUARY, now=right) == Kept(JANUARY, JANUARY, 0)
    by_day = {"2026-01-02": Used(cost=5), "2026-01-04": Used(cost=7)}
    assert spent.add("key_1", spent.since("key_1", JANUARY, now=right), by_day, now=right) == 12
    assert spent.since("key_1", JANUARY, now=wrong) == Kept(JANUARY, JANUARY + 3 * DAY, 5)


def test_a_call_ended_when_it_ended_however_long_its_body_was_read() -> None:
    """[fault M20] It began when it came: what it took to read and to route it is in its time once, not twice."""
    rig = Rig(ScriptedUpstream(Script([Stall(2.0), document()])))

    async def slow(door: Door, data: bytes) -> Request:
        await asyncio.sleep(3.0)
        return door.read(data)

    async def scene() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        shift = 1_000.0 - loop.time()
        rig.ledger.wall_clock = lambda: loop.time() + shift
        rig.dependencies.read = slow
        began = rig.ledger.wall_clock()
        await rig.call(MemoryClient(), body())
        return began, rig.ledger.wall_clock()

    began, ended = run_virtual(scene())
    [row] = rig.rows
    assert (row.began_ms, row.ended_ms, row.total_ms) == (round(began * 1000), round(ended * 1000), 5_000)


class Watched(BackgroundReads):
    """The real thing, which stops with everything in the moment in which it has begun to read on."""

    closing: asyncio.Task[None] | None = None

    def start(self, answer: Answer, decoder: Decoder, report: Callable[[Usage], None], *, vendor: str | None, counts: LongCounts) -> bool:
        """Read on, and be stopped before the first turn."""
        begun = super().start(answer, decoder, report, vendor=vendor, counts=counts)
        self.closing = asyncio.get_running_loop().create_task(self.close())
        for task in self._tasks:
            task.cancel()
        return begun


def test_a_read_out_that_is_cancelled_before_its_first_turn_has_its_row() -> None:
    """[fault M20] The server stops in the moment in which the client left: its row is written, and its bill is what had arrived."""
    rig = Rig(ScriptedUpstream(Script([*whole_stream("One.", " Two.")[:2], Stall()])))
    rig.dependencies.background_reads = reads = Watched("a", reads_max=1, seconds_max=100)

    async def scene() -> None:
        await rig.call(MemoryClient(leaves_after=1), body(stream=True))
        assert reads.closing is not None
        await reads.closing

    run_virtual(scene())
    [row] = rig.rows
    assert (row.outcome, len(reads)) == ("client_gone", 0)
