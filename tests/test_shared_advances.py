"""What a process takes of a large limit in advance: its calls need no lock then, the limit holds as before, and what is left comes back."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Sequence

from admission_contract import World, key_of
from aisa.admission.memory import loop_clock
from aisa.admission.shared import COLUMNS, SharedAdmission
from aisa.admission.shared_window import ADVANCE_CALLS_MIN, ADVANCE_SHARE
from aisa.admission.window import BUCKETS
from aisa.config.limits import AccountRates, Limits, Tier
from aisa.errors import ApiError
from aisa.storage.shared_memory import WORKERS_MAX, SharedLock, SharedMemory
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from repeats import repeats
from test_shared_admission import SharedStage, shared

LARGE = ADVANCE_SHARE * ADVANCE_CALLS_MIN  # the smallest limit that a process has an advance of
WINDOW_SECONDS = 60.0
BUCKET_SECONDS = WINDOW_SECONDS / BUCKETS


def worlds_of(memories: Sequence[SharedMemory], tier: Tier, *, unix_seconds: float = 0.0) -> list[World]:
    """Return processes that share limits, by the clock of the running loop. Keys `one` and `two` are of one account."""
    limits = Limits(default_tier="t", tiers={"t": tier}, window_seconds=WINDOW_SECONDS)
    keys = {name: key_of(name) for name in ("one", "two")}
    return [
        World(SharedStage(), SharedAdmission(limits, {}, each, wall_clock=lambda: unix_seconds, micros=loop_clock()), keys)
        for each in memories
    ]


class CountedLock(SharedLock):
    """A lock of shared memory that counts how often it is taken."""

    def __init__(self, memory: SharedMemory) -> None:
        self._lock = memory.lock
        self.taken = 0
        memory.lock = self

    def __enter__(self) -> None:
        self.taken += 1
        self._lock.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(None, None, None)


def test_calls_of_an_advance_need_no_lock() -> None:
    """[issue 13] Of a large limit most calls of a moment begin and end without it; of a small one each takes it, as before."""
    calls, taken = 10 * ADVANCE_CALLS_MIN, list[int]()

    async def main(rpm: int) -> None:
        with shared() as memories:
            lock = CountedLock(memories[0])
            [world] = worlds_of(memories, Tier(rpm=rpm, tpm=1_000 * rpm, concurrency=1_000))
            for number in range(calls):
                (await world.call(max_tokens=50)).release(Usage(10, 5 if number % 2 else 70))  # some think for longer than anybody asked
            taken.append(lock.taken)

    run_virtual(main(10 * LARGE))
    run_virtual(main(LARGE - 1))
    assert taken[0] <= 4
    assert taken[1] == 2 * calls


def test_what_a_call_of_an_advance_used_counts_once_and_its_place_is_free_at_its_end() -> None:
    """[contract 5] Also where it is told before the end, as for a document's head: more than was taken, or less."""

    async def main() -> None:
        with shared() as memories:
            [world] = worlds_of(memories, Tier(rpm=10 * LARGE, tpm=1_000 * LARGE, concurrency=1_000))
            left = 1_000 * LARGE
            for used in (Usage(10, 5), Usage(10, 700), Usage(), Usage(10, 5)):
                lease = await world.call(max_tokens=50)
                lease.correct(used)
                left -= used.input_tokens + used.output_tokens
                assert world.told()["remaining-tokens"] == left
                lease.release(used)
                assert world.told()["remaining-tokens"] == left
                place = memories[0].rates.find(memories[0].name_word("key one"))
                assert place is not None
                first = (place + COLUMNS) * 2
                assert not any(memories[0].cells[first : first + WORKERS_MAX])

    run_virtual(main())


def test_no_window_has_more_than_a_large_limit_whoever_had_advances() -> None:
    """[issue 13] Three processes at random, under pressure: no sliding window has more calls or tokens; 99 % of an exact log is let in."""
    limit = LARGE

    async def main(seed: int) -> None:
        chance, loop = random.Random(seed), asyncio.get_running_loop()
        begun, tokens, by_log = list[float](), list[tuple[float, int]](), list[float]()
        with shared(3) as memories:
            worlds = worlds_of(memories, Tier(rpm=limit, tpm=limit * 40))
            ends: list[asyncio.Task[None]] = []

            async def one_call(world: World) -> None:
                try:
                    lease = await world.call(input_tokens=10, max_tokens=20)
                except ApiError:
                    return
                used = chance.randrange(0, 31)
                begun.append(loop.time())
                tokens.append((loop.time(), 10 + used))
                await asyncio.sleep(chance.random() / 3)
                lease.release(Usage(10, used))

            while loop.time() < 1.5 * WINDOW_SECONDS:
                busy = chance.choice(worlds)
                for _ in range(chance.randrange(1, 60)):
                    if len(by_log) < limit or by_log[-limit] <= loop.time() - WINDOW_SECONDS:
                        by_log.append(loop.time())
                    ends.append(asyncio.create_task(one_call(busy if chance.random() < 0.8 else chance.choice(worlds))))
                await asyncio.sleep(chance.choice((0, 0.001, 0.1, 0.4)))
            await asyncio.gather(*ends)
        for first, at in enumerate(begun):
            assert bisect_left(begun, at + WINDOW_SECONDS - 1e-5) - first <= limit
        used, sums = 0, [0]
        for _, amount in tokens:
            used += amount
            sums.append(used)
        times = [at for at, _ in tokens]
        for first, at in enumerate(times):
            assert sums[bisect_left(times, at + WINDOW_SECONDS - 1e-5)] - sums[first] <= limit * 40
        assert len(begun) >= 0.99 * len(by_log) > limit

    for seed in range(repeats(3)):
        run_virtual(main(seed))


async def let_in(world: World, most: int = LARGE) -> int:
    """Make short calls until one is refused, or so many, and return how many were let in."""
    for number in range(most):
        lease, _ = await world.tried(max_tokens=5)
        if lease is None:
            return number
        lease.release(Usage(10, 5))
    return most


def test_what_was_used_of_an_advance_counts_for_as_long_as_its_last_call() -> None:
    """[issue 13] Another process's call of the same bucket, earlier than the advance's last one, does not make it older."""

    async def main() -> None:
        with shared(2) as memories:
            one, other = worlds_of(memories, Tier(rpm=LARGE, tpm=1_000 * LARGE))
            assert await let_in(one, 1) == 1
            await asyncio.sleep(BUCKET_SECONDS / 100)
            (await other.call(max_tokens=4_000)).release(Usage(10, 5))  # too large for an advance of its own
            await asyncio.sleep(BUCKET_SECONDS / 2)
            assert await let_in(one, ADVANCE_CALLS_MIN) == ADVANCE_CALLS_MIN
            await asyncio.sleep(1)
            assert await let_in(other) == LARGE - 2 - ADVANCE_CALLS_MIN
            await asyncio.sleep(WINDOW_SECONDS - 1 - BUCKET_SECONDS / 4)
            assert await let_in(other) <= 2, "the advance was used within this window"
            await asyncio.sleep(BUCKET_SECONDS)
            assert await let_in(other) == 2 + ADVANCE_CALLS_MIN

    run_virtual(main())


def test_what_is_left_of_an_advance_is_there_for_others_when_its_bucket_is_over() -> None:
    """[issue 13] Also if no call comes any more; and what headers tell was never less by it for whoever has it."""

    async def main() -> None:
        with shared(2) as memories:
            one, other = worlds_of(memories, Tier(rpm=10 * LARGE, tpm=1_000 * LARGE))
            late = await one.call(max_tokens=90)
            for _ in range(2):
                (await one.call(max_tokens=5)).release(Usage(10, 5))
            left = (10 * LARGE - 3, 1_000 * LARGE - 2 * 15 - 100)
            told = one.told()
            assert (told["remaining-requests"], told["remaining-tokens"]) == left
            assert other.told()["remaining-requests"] < left[0]
            await asyncio.sleep(2 * BUCKET_SECONDS)
            told = other.told()
            assert (told["remaining-requests"], told["remaining-tokens"]) == left
            late.release(Usage(10, 5))  # of a bucket that is over: this goes to all at once
            assert other.told()["remaining-tokens"] == 1_000 * LARGE - 3 * 15

    run_virtual(main())


def test_a_cap_on_calls_in_flight_holds_beside_advances() -> None:
    """[issue 13] Near the cap each call is decided with the lock: exactly as many are in flight as may be, in three processes."""

    async def main() -> None:
        with shared(3) as memories:
            worlds = worlds_of(memories, Tier(rpm=10 * LARGE, concurrency=50))
            leases = [await worlds[turn % 3].call() for turn in range(50)]
            for world in worlds:
                assert "50 calls in flight" in (await world.refused()).message
            leases.pop().release(Usage(10, 5))
            await worlds[0].call()
            await worlds[1].refused()

    run_virtual(main())


def test_a_call_that_one_of_its_limits_refuses_leaves_the_advances_of_the_others() -> None:
    """[issue 13] The account's limit is small, so there is no advance of it: what the key had in advance is as it was."""

    async def main() -> None:
        with shared(2) as memories:
            one, other = worlds_of(memories, Tier(rpm=10 * LARGE, account=AccountRates(rpm=LARGE - 1, concurrency=1)))
            lease = await one.call()
            for name in ("one", "two"):
                await one.refused(name)
            lease.release(Usage(10, 5))
            await asyncio.sleep(2 * BUCKET_SECONDS)
            assert other.told()["remaining-requests"] == LARGE - 2
            (await other.call("two")).release(Usage(10, 5))
            await asyncio.sleep(2 * BUCKET_SECONDS)
            assert one.told("two")["remaining-requests"] == LARGE - 3

    run_virtual(main())


def test_limits_that_change_while_a_process_has_an_advance_hold_at_once() -> None:
    """[issue 13] A lower limit is not exceeded for what was taken in advance of the higher one."""

    async def main() -> None:
        with shared(2) as memories:
            worlds = worlds_of(memories, Tier(rpm=10 * LARGE))
            for world in worlds:
                (await world.call()).release(Usage(10, 5))
                assert isinstance(world.admission, SharedAdmission)
                world.admission.configure(Limits(default_tier="t", tiers={"t": Tier(rpm=30)}, window_seconds=WINDOW_SECONDS))
            let_in = 0
            for turn in range(200):
                try:
                    (await worlds[turn % 2].call()).release(Usage(10, 5))
                    let_in += 1
                except ApiError:
                    pass
            assert let_in <= 28

    run_virtual(main())


def test_keys_in_turn_have_all_of_their_accounts_limit_and_need_no_lock() -> None:
    """[issue 13] A key was looked up anew whenever another had called, and the advance of the account's limit was lost each time."""
    taken, begun = list[int](), list[int]()

    async def main(calls: int, rpm: int) -> None:
        with shared() as memories:
            lock = CountedLock(memories[0])
            [world] = worlds_of(memories, Tier(rpm=10 * LARGE, account=AccountRates(rpm=rpm)))
            number = 0
            for turn in range(calls):
                lease, _ = await world.tried(("one", "two")[turn % 2])
                if lease is not None:
                    lease.release(Usage(10, 5))
                    number += 1
            taken.append(lock.taken)
            begun.append(number)

    run_virtual(main(LARGE + 10, LARGE))
    run_virtual(main(200, 100 * LARGE))
    assert begun == [LARGE, 200]
    assert taken[1] <= 8


def test_limits_that_are_set_again_and_again_lose_no_advance() -> None:
    """[issue 13] As by reloads: what was taken in advance stays there to be used, or to be given back."""

    async def main() -> None:
        with shared(2) as memories:
            one, other = worlds_of(memories, Tier(rpm=LARGE))
            for _ in range(50):
                for _ in range(3):
                    (await one.call()).release(Usage(10, 5))
                assert isinstance(one.admission, SharedAdmission)
                one.admission.configure(Limits(default_tier="t", tiers={"t": Tier(rpm=LARGE)}, window_seconds=WINDOW_SECONDS))
            await asyncio.sleep(2 * BUCKET_SECONDS)
            assert other.told()["remaining-requests"] == LARGE - 150

    run_virtual(main())
