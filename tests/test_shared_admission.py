"""The limits that several processes keep in shared memory: the contract of every admission, and what processes make of it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from admission_contract import CLAIMS, Stage, World, key_of
from aisa.admission.memory import MemoryAdmission
from aisa.admission.rules import MICROS
from aisa.admission.shared import LAST_TURN, REQUESTS, SharedAdmission, forget_worker
from aisa.admission.shared_window import ADVANCE_CALLS_MIN, ADVANCE_SHARE, OLDEST, RING, STEP, USED, SharedWindow
from aisa.admission.window import Window
from aisa.config.limits import AccountRates, AddressRates, Limits, Tier
from aisa.errors import ApiError
from aisa.facts import Fact
from aisa.storage.shared_memory import (
    LOCK_PAUSE_SECONDS,
    LOCK_TRIES,
    PROBED,
    RATES,
    Places,
    SharedFull,
    SharedLock,
    SharedMemory,
    SharedStuck,
    new_memory,
)
from aisa.usage import Usage
from repeats import repeats
from token_hammer import PROCESSES, tokens_hold
from window_log import least_at_a_refusal, most_in_a_window

TESTS = Path(__file__).parent
SPAN = 60 * MICROS
PROCESS_SECONDS_MAX = 60.0


@contextmanager
def shared(workers: int = 1) -> Iterator[list[SharedMemory]]:
    """The same memory as so many processes would see it."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor = new_memory(Path(folder), random.Random(1))
        yield [SharedMemory(descriptor, SharedLock(Path(folder) / "lock"), worker) for worker in range(workers)]
        os.close(descriptor)


class SharedStage:
    """Two processes by turns, with a clock that goes on only when it is told to."""

    window_seconds = 60.0
    many = 4_000

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0
        self.memories: list[SharedMemory] = []

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run to the end."""
        with shared(2) as self.memories:
            asyncio.run(main)

    async def open(self, limits: Limits, tiers: Mapping[str, str]) -> ByTurns:
        """Return an empty one."""

        def micros() -> int:
            return round(self.seconds * MICROS)

        return ByTurns([SharedAdmission(limits, tiers, memory, wall_clock=self.now, micros=micros) for memory in self.memories])

    def now(self) -> float:
        """Return the time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move the clock on."""
        self.seconds += seconds
        await asyncio.sleep(0)


class ByTurns:
    """Several admissions, asked one after the other."""

    def __init__(self, all_of_them: list[SharedAdmission]) -> None:
        self._all = all_of_them
        self._turn = 0

    def configure(self, limits: Limits) -> None:
        """Let other limits hold in each."""
        for each in self._all:
            each.configure(limits)

    def __getattr__(self, name: str) -> Any:
        self._turn += 1
        return getattr(self._all[self._turn % len(self._all)], name)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.__name__ for claim in CLAIMS])
@pytest.mark.parametrize("stage", [SharedStage()], ids=["shared memory"])
def test_an_admission_in_shared_memory_keeps_its_contract(stage: Stage, claim: Callable[[Stage], None]) -> None:
    """[issue 13] Two processes that ask by turns see the same limits as one: each claim says in its docstring what that is."""
    claim(stage)


def test_a_shared_window_says_what_one_in_memory_does() -> None:
    """At random uses, returns and waits: never more room, and what is less is gone within a bucket."""
    with shared() as (memory,):
        for seed in range(repeats(20)):
            chance = random.Random(seed)
            place, _ = memory.rates.take(memory.name_word(str(seed)), lambda _place: False)
            theirs = SharedWindow(memory.words, memory.cells, place, limit=100, span=SPAN)
            ours, now = Window(100, SPAN), 1_800_000_000 * MICROS
            uses: list[tuple[int, int]] = []
            for _ in range(2_000):
                now += chance.choice((0, 1, 997, 250_000, 2_000_000, 20_000_000))
                left = theirs.left(now)
                assert left <= ours.left(now) <= left + 0 or left == ours.left(now - SPAN // 240)
                told, limit, free_at = theirs.seen(now)
                assert (told, limit) == (left, 100)
                assert (now < free_at <= now + SPAN) if left < 100 else free_at == now
                amount = chance.randrange(1, 30)
                if left >= amount:
                    theirs.add(now, amount)
                    ours.add(now, amount)
                    uses.append((now, amount))
                elif chance.random() < 0.5 and uses:
                    then, amount = uses.pop()
                    theirs.give_back(then, amount)
                    ours.give_back(then, amount)
                else:
                    assert now < theirs.take_place(now, amount) <= now + 3 * SPAN


def test_a_step_that_its_process_did_not_finish_is_mended_by_the_next() -> None:
    """[stores 4] Killed between two stores of a step, what was used counts in full for the others."""
    with shared() as (memory,):
        place, _ = memory.rates.take(memory.name_word("k"), lambda _place: False)
        window, now = SharedWindow(memory.words, memory.cells, place, limit=10, span=SPAN), 10**15
        window.add(now, 4)
        memory.words[place + STEP] = 1
        memory.cells[place * 2 + 16 + (now // (SPAN // 240)) % RING] += 3  # the cell is stored, its sum is not
        assert (window.left(now), memory.words[place + USED], memory.words[place + STEP]) == (3, 7, 0)
        assert memory.words[place + OLDEST] <= now // (SPAN // 240)
        assert window.left(now + SPAN) == 10


def test_a_record_goes_to_another_name_only_when_nothing_of_it_counts() -> None:
    """When all the places of a name are taken, an idle one is emptied for it; else nobody loses what is used."""
    places = Places(memoryview(bytearray(8 * Places.words_needed(2 * PROBED, 2))).cast("Q"), 0, count=2 * PROBED, record_words=2)
    names = [1 + PROBED * (number + 1) for number in range(PROBED + 1)]  # all begin at the same place
    taken = [places.take(name, lambda _place: False)[0] for name in names[:-1]]
    assert len(set(taken)) == PROBED
    with pytest.raises(SharedFull):
        places.take(names[-1], lambda _place: False)
    places.words[taken[7]] = 99
    place, fresh = places.take(names[-1], lambda place: place == taken[7])
    assert (place, fresh, places.words[place], places.find(names[7])) == (taken[7], True, 0, None)


def test_what_a_dead_process_had_in_flight_is_free_and_what_it_used_is_not() -> None:
    """[issue 13] Its leases end with it; the calls that it began were begun."""

    async def main() -> None:
        with shared(2) as memories:
            limits = Limits(default_tier="t", tiers={"t": Tier(rpm=9, concurrency=2)})
            one, other = [SharedAdmission(limits, {}, memory, wall_clock=lambda: 0.0) for memory in memories]
            world = World(SharedStage(), one, {"one": key_of("one")})
            kept = [await world.call(), await world.call()]
            there = World(SharedStage(), other, {"one": key_of("one")})
            assert "in flight" in (await there.refused()).message
            forget_worker(memories[1], 0)
            lease = await there.call()
            assert there.told()["remaining-requests"] == 6
            lease.release(Usage())
            assert len(kept) == 2

    asyncio.run(main())


def others_have_all_places_of(memory: SharedMemory, name: str) -> None:
    """Let somebody wait for a turn in every place that a name may have."""
    word = memory.name_word(name)
    for nth in range(1, PROBED + 1):
        place, _ = memory.rates.take(word + nth * (RATES - PROBED), lambda _place: False)
        memory.words[place + LAST_TURN] = 1 << 62


def test_addresses_without_a_place_are_not_limited_and_keys_without_one_are_refused() -> None:
    """Nobody becomes unlimited because the memory is full; the operator hears of it."""
    heard: list[Fact] = []

    async def main() -> None:
        with shared() as (memory,):
            for name in ("address 192.0.2.1", "key one"):
                others_have_all_places_of(memory, name)
            limits = Limits(default_tier="t", tiers={"t": Tier(rpm=1), "free of them": Tier()}, address=AddressRates(rpm=1))
            admission = SharedAdmission(limits, {"acme": "free of them"}, memory, wall_clock=lambda: 0.0, report=heard.append)
            world = World(SharedStage(), admission, {"one": key_of("one")})
            for _ in range(3):
                (await world.call(address="192.0.2.1")).release(Usage())
            assert len(heard) == 1
            limited = SharedAdmission(limits, {}, memory, wall_clock=lambda: 0.0, report=heard.append)
            with pytest.raises(ApiError) as refused:
                await World(SharedStage(), limited, {"one": key_of("one")}).call()
            assert refused.value.code == "overloaded"

    asyncio.run(main())


def test_who_waits_for_the_lock_sleeps_so_that_its_holder_gets_its_core_back(tmp_path: Path) -> None:
    """A holder on another core is done before the first sleep; two processes on one core tried 800 times in vain until it was its turn."""
    held, tries, slept = SharedLock(tmp_path / "lock"), [0], list[float]()

    def micros() -> int:
        tries[0] += 1
        return 0

    def pause(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            held.__exit__(None, None, None)

    waiting = SharedLock(tmp_path / "lock", micros, pause)
    held.__enter__()
    with waiting:
        assert slept == [LOCK_PAUSE_SECONDS] * 3
    assert tries[0] <= LOCK_TRIES + len(slept)
    held.close()
    waiting.close()


def test_a_holder_of_the_lock_that_is_stopped_keeps_nobody_waiting_for_long() -> None:
    """[stores 4] The wait has an end, after which the caller is told to come again; what is given back needs no lock."""
    now = [0]

    def micros() -> int:
        now[0] += 1_000
        return now[0]

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder, SharedLock(Path(folder) / "lock"):
            descriptor = new_memory(Path(folder), random.Random(1))
            lock = SharedLock(Path(folder) / "lock", micros)
            with pytest.raises(SharedStuck), lock:
                raise AssertionError("somebody else holds it")
            limits = Limits(default_tier="t", tiers={"t": Tier(rpm=9, tpm=900)})
            admission = SharedAdmission(limits, {}, SharedMemory(descriptor, lock), wall_clock=lambda: 0.0)
            world = World(SharedStage(), admission, {"one": key_of("one")})
            with pytest.raises(ApiError) as refused:
                await world.call()
            assert (refused.value.code, world.told()) == ("overloaded", {})
            os.close(descriptor)

    asyncio.run(main())


def test_headers_are_told_while_others_hold_the_lock() -> None:
    """[issue 13] They tell of both processes' calls; where a step is being done, or a process died in one, only the lock can tell."""

    async def main() -> None:
        with shared(2) as memories:
            limits = Limits(default_tier="t", tiers={"t": Tier(rpm=9, tpm=9_000, account=AccountRates(tpm=700))})
            stage = SharedStage()
            one, other = [
                World(stage, SharedAdmission(limits, {}, each, wall_clock=lambda: 0.0), {"one": key_of("one")}) for each in memories
            ]
            there = await other.call(max_tokens=90)
            (await one.call(max_tokens=40)).release(Usage(10, 5))
            with memories[1].lock:
                told = one.told()
            assert (told["remaining-requests"], told["limit-tokens"], told["remaining-tokens"]) == (7, 700, 585)
            place = memories[0].rates.find(memories[0].name_word("key one"))
            assert place is not None
            memories[0].words[place + REQUESTS + STEP] = 1
            with memories[1].lock:
                assert one.told() == {}
            assert one.told() == told
            there.release(Usage(10, 5))
            assert one.told()["remaining-tokens"] == 670

    asyncio.run(main())


#: Hammers one key for a while, and prints when each call was let in; whoever is given a number of calls first kills itself in a step.
HAMMER = """
import asyncio, os, random, signal, sys, time
sys.path[:0] = [{tests!r}, {source!r}]
from admission_contract import World, key_of
from aisa.admission.shared import COLUMNS, SharedAdmission
from aisa.clock import monotonic_micros, wall_clock
from aisa.config.limits import Limits, Tier
from aisa.errors import ApiError
from aisa.storage.shared_memory import SharedLock, SharedMemory
from aisa.usage import Usage
from pathlib import Path

descriptor, lock, worker, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
limits = Limits(default_tier="t", tiers={{"t": Tier(rpm={rpm}, concurrency={concurrency})}}, window_seconds={window})
memory = SharedMemory(descriptor, SharedLock(Path(lock)), worker)
admission = SharedAdmission(limits, {{}}, memory, wall_clock=wall_clock)
world = World(None, admission, {{"one": key_of("one")}})
chance, let_in, refused = random.Random(worker), [], []

async def client(ends):
    while (before := monotonic_micros()) < ends:
        try:
            lease = await world.call()
        except ApiError as error:
            if "may begin" in error.message:
                refused.append((before, monotonic_micros(), 1))
            await asyncio.sleep(chance.random() / 100)
            continue
        after, column = monotonic_micros(), (memory.rates.find(memory.name_word("key one")) + COLUMNS) * 2
        let_in.append((before, after, sum(memory.cells[column : column + 32])))
        await asyncio.sleep(chance.random() / 50)
        lease.release(Usage(10, 5))

async def main():
    ends = monotonic_micros() + int(seconds * 1e6)
    await asyncio.gather(*[client(ends) for _ in range(16)])

asyncio.run(main())
for what, seen in (("let_in", let_in), ("refused", refused)):
    for each in seen:
        print(what, *each)
"""


def hammer(folder: Path, memory: int, worker: int, seconds: float, **limits: float) -> subprocess.Popen[str]:
    """Start one process of sixteen clients on the key."""
    program = HAMMER.format(tests=str(TESTS), source=str(TESTS.parent / "src"), **{"window": 1.5, "rpm": 200, "concurrency": 12, **limits})
    command = [sys.executable, "-c", program, str(memory), str(folder / "lock"), str(worker), str(seconds)]
    return subprocess.Popen(command, pass_fds=[memory], stdout=subprocess.PIPE, text=True)


def hammered(processes: list[subprocess.Popen[str]]) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Return what processes have seen: when each call was let in, and how many were in flight then; when each was refused, for one more."""
    shown = "".join(process.communicate(timeout=PROCESS_SECONDS_MAX)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * len(processes)
    seen: dict[str, list[tuple[int, int, int]]] = {"let_in": [], "refused": []}
    for line in shown.splitlines():
        what, begin, end, number = line.split()
        seen[what].append((int(begin), int(end), int(number)))
    return seen["let_in"], seen["refused"]


def test_four_processes_never_let_more_in_than_the_limit_and_reach_it(tmp_path: Path) -> None:
    """[issue 13] 64 clients in real time on one key: no sliding window has more, each is full when one is refused, the cap holds."""
    memory = new_memory(tmp_path, random.Random(1))
    calls, refused = hammered([hammer(tmp_path, memory, worker, 6.0) for worker in range(4)])
    os.close(memory)
    assert max(in_flight for *_, in_flight in calls) <= 12
    uses, span = [(begin, end, 1) for begin, end, _ in calls], round(1.5 * MICROS)
    assert most_in_a_window(uses, span) <= 200 < least_at_a_refusal(uses, refused, span)


def test_four_processes_use_tokens_to_the_last_step_and_no_more(tmp_path: Path) -> None:
    """[issue 13] 32 streams in real time that take of one limit step by step: no window has more, and none ends while a step is left."""
    memory = new_memory(tmp_path, random.Random(1))
    tokens_hold([["shared", str(memory), str(tmp_path / "lock"), str(worker)] for worker in range(PROCESSES)], [memory])
    os.close(memory)


def test_four_processes_that_take_in_advance_never_let_more_in_than_a_large_limit(tmp_path: Path) -> None:
    """[issue 13] The same where most calls take no lock. Each process may have one place in flight only to look whether it may."""
    memory, limit, seconds, cap = new_memory(tmp_path, random.Random(1)), ADVANCE_SHARE * ADVANCE_CALLS_MIN, 5.0, 40
    processes = [hammer(tmp_path, memory, worker, seconds + 1, window=seconds, rpm=limit, concurrency=cap) for worker in range(4)]
    calls, _ = hammered(processes)
    os.close(memory)
    begins, ends = sorted(begin for begin, _, _ in calls), sorted(end for _, end, _ in calls)
    for number, first in enumerate(begins):
        assert bisect_left(ends, first + seconds * MICROS) - number <= limit
    assert max(in_flight for *_, in_flight in calls) <= cap + 3
    assert len(calls) > limit // 2, "a process stood still"


def test_a_killed_process_neither_keeps_its_slots_nor_the_lock(tmp_path: Path) -> None:
    """[issue 13] Killed at random moments while it hammers: the others go on within the limit, and the cap is free again."""
    memory = new_memory(tmp_path, random.Random(1))
    there = SharedMemory(memory, SharedLock(tmp_path / "lock"), 9)
    chance = random.Random(3)
    for _ in range(repeats(3)):
        process = hammer(tmp_path, memory, 1, 60.0)
        limits = Limits(default_tier="t", tiers={"t": Tier(rpm=200, concurrency=12)}, window_seconds=1.5)
        admission = SharedAdmission(limits, {}, there, wall_clock=lambda: 0.0)
        wait_for_calls(there, chance.randrange(3, 12))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        forget_worker(there, 1)
        place = there.rates.find(there.name_word("key one"))
        assert place is not None
        assert sum(there.cells[(place + 8) * 2 : (place + 8) * 2 + 32]) == 0
        assert isinstance(admission, MemoryAdmission)
        assert SharedWindow(there.words, there.cells, place + 64, limit=200, span=1_500_000).left(10**17) == 200
    os.close(memory)


def wait_for_calls(memory: SharedMemory, number: int) -> None:
    """Wait until another process has so many calls in flight."""
    while True:
        os.sched_yield()
        place = memory.rates.find(memory.name_word("key one"))
        if place is not None and memory.cells[(place + 8) * 2 + 1] >= number:
            return
