"""Limits of vendors: that they hold, who waits for them and for how long, and what becomes of those for whom there is no room."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from aisa.config.limits import ModelRates
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from queue_rig import Begun, Desk, VendorRates, limits_of, most_in_any_window
from repeats import repeats

MINUTE = 60.0


async def held(desk: Desk, seconds: float, key: str, model: str = "one") -> Begun:
    """Make a call that lasts so long."""
    begun = await desk.begin(key, model)
    asyncio.get_running_loop().call_later(seconds, begun.end, 10, 5)
    return begun


def test_a_call_for_which_there_is_room_waits_for_nobody() -> None:
    """Its place is taken at once, and nothing is said of a wait."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(rpm=2, concurrency=2)))
        assert [(await desk.begin()).at, (await desk.begin()).at] == [0.0, 0.0]
        assert desk.waits == []

    run_virtual(scene())


@pytest.mark.parametrize("seed", range(repeats(6)))
def test_no_window_and_no_moment_has_more_than_a_vendor_allows(seed: int) -> None:
    """Calls of any number of keys, with any lengths and sizes: their begins, their tokens as foreseen, and those in flight are bounded."""
    chance = random.Random(seed)
    rpm, tpm, concurrency = chance.randrange(5, 40), chance.randrange(3_000, 20_000), chance.randrange(1, 9)
    begun: list[tuple[float, int]] = []
    tokens: list[tuple[float, int]] = []
    flying: list[tuple[float, int]] = []

    async def call(desk: Desk, at: float, key: str) -> None:
        await asyncio.sleep(at)
        asked, own_input = chance.randrange(1, 300), chance.randrange(1, 200)
        try:
            mine = await desk.begin(key, chance.choice(["one", "other"]), input_tokens=own_input, max_tokens=asked)
        except ApiError:
            return
        begun.append((mine.at, 1))
        tokens.append((mine.at, asked + own_input))
        await asyncio.sleep(chance.uniform(0.01, 20))
        flying.extend([(mine.at, 1), (asyncio.get_running_loop().time(), -1)])
        mine.end(own_input, asked)

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(rpm=rpm, tpm=tpm, concurrency=concurrency, queue_seconds=30)))
        arrivals = [(chance.uniform(0, 240), f"key {chance.randrange(5)}") for _ in range(300)]
        await asyncio.gather(*(call(desk, at, key) for at, key in arrivals))
        assert [(shown.in_flight, shown.waiting) for shown in desk.admission.queue.shown()] == [(0, 0)]

    run_virtual(scene())
    assert begun
    assert most_in_any_window(begun, MINUTE) <= rpm
    assert most_in_any_window(tokens, MINUTE) <= tpm
    now = most = 0
    for _, step in sorted(flying, key=lambda each: (each[0], each[1])):  # ends before begins of the same moment
        now += step
        most = max(most, now)
    assert most <= concurrency


def test_what_a_vendor_allows_is_used_up_while_calls_wait() -> None:
    """[issue 13] At least 99 % of the rate, as nobody sleeps past the moment at which there is room."""

    async def scene() -> int:
        desk = Desk(limits_of(VendorRates(rpm=600, queue_seconds=100)))
        calls = [asyncio.create_task(held(desk, 0.5, f"key {number % 7}")) for number in range(900)]
        await asyncio.sleep(2 * MINUTE + 1)
        done = [call for call in calls if call.done() and call.exception() is None]
        return len(done)

    assert run_virtual(scene()) >= 0.99 * 900


@pytest.mark.parametrize("flood", [10, 400])
def test_a_flood_of_one_key_delays_the_single_call_of_another_by_one_call(flood: int) -> None:
    """However many wait before it: each key has its turn."""

    async def scene() -> tuple[float, Counter[str]]:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=600)))
        order: list[str] = []

        async def call(key: str) -> None:
            begun = await held(desk, 1.0, key)
            order.append(f"{key} {begun.at:g}")

        tasks = [asyncio.create_task(call("greedy")) for _ in range(flood)]
        await asyncio.sleep(0.5)
        lone = await desk.begin("modest")
        for task in tasks:
            task.cancel()
        return lone.at, Counter(order)

    at, _ = run_virtual(scene())
    assert at <= 2.0, "at 1 s the greedy key's second call may have its turn, at 2 s it is the other's"


@pytest.mark.parametrize("seed", range(repeats(6)))
def test_keys_that_all_want_more_than_there_is_get_the_same(seed: int) -> None:
    """Whoever asks ten times as often: while all have calls waiting, none is served twice before another is served once."""
    chance = random.Random(seed)
    keys = [f"key {number}" for number in range(chance.randrange(2, 9))]
    served: list[str] = []

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=chance.randrange(1, 4), queue_seconds=600)))

        async def call(key: str) -> None:
            await held(desk, chance.uniform(0.5, 2.0), key)
            served.append(key)

        wanted = [key for key in keys for _ in range(chance.randrange(20, 60))]
        chance.shuffle(wanted)
        enough = 17 * len(keys)  # each key asks for at least 20, so all are still in line then
        tasks = [asyncio.create_task(call(key)) for key in wanted]
        for done in asyncio.as_completed(tasks):
            await done
            if len(served) >= enough:
                break
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(scene())
    turns = served[4:]  # the first had no line
    for start in range(0, len(turns) - len(keys), len(keys)):
        assert set(turns[start : start + len(keys)]) == set(keys), turns


def test_another_target_with_room_comes_before_a_wait() -> None:
    """Spread first: the model's second target is asked while the first is full, be it one with limits or without."""

    async def scene() -> list[str]:
        desk = Desk(limits_of(VendorRates(concurrency=1), VendorRates(concurrency=1)))
        return [(await desk.begin(model=model)).target for model in ("both", "both", "free", "free")]

    assert run_virtual(scene()) == ["a/m", "b/m", "c/m", "c/m"]


def test_who_waits_for_several_targets_gets_the_first_that_has_room() -> None:
    """It is in line for all of them."""

    async def scene() -> tuple[str, float]:
        desk = Desk(limits_of(VendorRates(concurrency=1), VendorRates(concurrency=1)))
        await held(desk, 9.0, "key", "both")
        await held(desk, 3.0, "key", "both")
        late = await desk.begin("key", "both")
        return late.target, late.at

    assert run_virtual(scene()) == ("b/m", 3.0)


def test_a_large_call_is_not_overtaken_for_ever_by_small_ones() -> None:
    """Whose turn it is keeps what it lacks from all behind it."""

    async def scene() -> float:
        desk = Desk(limits_of(VendorRates(tpm=1_000, queue_seconds=120)))

        async def small(number: int) -> None:
            await asyncio.sleep(number * 6.1)
            (await desk.begin(f"small {number % 3}", input_tokens=50, max_tokens=50)).end(50, 50)

        going = [asyncio.create_task(small(number)) for number in range(100)]
        await asyncio.sleep(200)
        large = await desk.begin("large", input_tokens=450, max_tokens=450)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        return large.at

    assert run_virtual(scene()) <= 200 + MINUTE


@pytest.mark.parametrize("rates", [VendorRates(rpm=1, queue_seconds=5), VendorRates(tpm=4_120, queue_seconds=5)])
def test_in_vain_is_a_429_that_says_whose_limit_and_a_time_at_which_there_is_room(rates: VendorRates) -> None:
    """A wait that cannot help is not begun, and who comes back as told is let in at once."""

    async def scene() -> None:
        desk = Desk(limits_of(rates))
        (await desk.begin()).end(10, 4_000)
        await asyncio.sleep(3)
        error = await desk.refused()
        assert asyncio.get_running_loop().time() == 3.0, "nobody waits 5 s for what comes in a minute"
        assert (error.status, error.code, error.should_retry) == (429, "upstream_rate_limit", True)
        assert error.message.startswith("This server, at the vendor 'a', may ")
        assert error.retry_after == 57
        await asyncio.sleep(error.retry_after)
        assert (await desk.begin()).at == 60.0
        assert desk.waits == []

    run_virtual(scene())


def test_who_has_waited_long_enough_is_told_when_to_come_again() -> None:
    """How long calls in flight last nobody knows, so a wait for a place may be in vain."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=4)))
        await held(desk, 10.0, "key")
        error = await desk.refused()
        assert asyncio.get_running_loop().time() == 4.0
        assert "may have 1 call in flight at the same time, and has." in error.message
        assert [(fact.ended, fact.seconds, fact.target) for fact in desk.waits] == [("refused", 4.0, "a/m")]

    run_virtual(scene())


def test_a_call_that_is_larger_than_the_limit_itself_is_not_to_be_sent_again() -> None:
    """No wait helps it; a guess of ours never makes a call too large."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(tpm=1_000)))
        error = await desk.refused(input_tokens=1_000)
        assert (error.code, error.should_retry, error.retry_after) == ("upstream_rate_limit", False, None)
        assert (await desk.begin(input_tokens=900)).at == 0.0

    run_virtual(scene())


def test_a_client_that_leaves_gives_up_its_place_and_keeps_nobody() -> None:
    """Also one that leaves in the moment in which its turn has come: its room goes on to the next."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=100)))
        first = await desk.begin()
        leaving, next_one = asyncio.create_task(desk.begin("x")), asyncio.create_task(desk.begin("y"))
        await asyncio.sleep(1)
        first.end()
        leaving.cancel()  # its future has its result, and its task has not run
        assert (await next_one).at == 1.0
        gone = asyncio.create_task(desk.begin("x"))
        last = asyncio.create_task(desk.begin("y"))
        await asyncio.sleep(1)
        gone.cancel()
        await asyncio.sleep(1)
        next_one.result().end()
        assert (await last).at == 3.0
        assert [fact.ended for fact in desk.waits] == ["left", "served", "left", "served"]
        assert not desk.admission.queue._lines
        assert not desk.admission.queue._waited

    run_virtual(scene())


def test_a_full_line_gives_up_the_newest_call_of_the_key_that_has_the_most_there() -> None:
    """The queue is bounded, and its bound is no way to lock others out; a single key's own newest call is refused itself."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=60), queue_calls_max=5))
        await desk.begin()
        greedy = [asyncio.create_task(desk.begin("greedy")) for _ in range(5)]
        await asyncio.sleep(1)
        error = await desk.refused("greedy")
        assert asyncio.get_running_loop().time() == 1.0
        assert error.retry_after is not None
        modest = asyncio.create_task(desk.begin("modest"))
        await asyncio.sleep(1)
        assert [task.done() for task in greedy] == [False, False, False, False, True]
        refused = greedy[4].exception()
        assert isinstance(refused, ApiError)
        assert refused.status == 429
        assert not modest.done()
        for task in (*greedy, modest):
            task.cancel()

    run_virtual(scene())


def test_bodies_that_wait_have_a_bound_in_bytes() -> None:
    """A few large bodies fill the line as many small ones do."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=60), queue_bytes_max=2_000))
        await desk.begin()
        large = [asyncio.create_task(desk.begin("greedy", user="x" * 800)) for _ in range(2)]
        await asyncio.sleep(1)
        await desk.refused("greedy", user="x" * 800)
        modest = asyncio.create_task(desk.begin("modest", user="x" * 500))
        await asyncio.sleep(1)
        assert [task.done() for task in (*large, modest)] == [False, True, False]
        assert isinstance(large[1].exception(), ApiError)
        for task in (large[0], modest):
            task.cancel()

    run_virtual(scene())


def test_a_drain_lets_nobody_join_and_those_in_line_have_their_turns() -> None:
    """So the line empties within `queue_seconds`, and what could be answered is."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=60)))
        await held(desk, 5.0, "key")
        waiting = asyncio.create_task(desk.begin())
        await asyncio.sleep(1)
        desk.admission.drain()
        error = await desk.refused()
        assert (error.status, error.code, error.retry_after) == (503, "overloaded", 1)
        assert (await waiting).at == 5.0

    run_virtual(scene())


def test_limits_that_are_raised_let_those_go_who_wait() -> None:
    """As does their end: a reload counts for the line too."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=1, queue_seconds=60)))
        await desk.begin()
        tasks = [asyncio.create_task(desk.begin(key)) for key in "xyz"]
        await asyncio.sleep(1)
        desk.admission.configure(limits_of(VendorRates(concurrency=2, queue_seconds=60)))
        await asyncio.sleep(0)
        assert [task.done() for task in tasks].count(True) <= 1
        await asyncio.sleep(1)
        assert [task.done() for task in tasks] == [True, False, False]
        desk.admission.configure(limits_of(VendorRates()))
        await asyncio.sleep(1)
        assert [task.result().at for task in tasks] == [1.0, 2.0, 2.0]

    run_virtual(scene())


def test_a_call_for_which_a_lowered_limit_is_too_small_keeps_nobody() -> None:
    """[fault M6] No wait helps it: it is told so at once unless another target fits, and whoever stands behind it has the next turn."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(tpm=10_000, queue_seconds=300), VendorRates(tpm=10_000, queue_seconds=300)))
        for model in ("one", "both"):
            await desk.begin(model=model, input_tokens=9_000, max_tokens=1_000)
        large = asyncio.create_task(desk.refused("large", input_tokens=8_000, max_tokens=1_000))
        spread = asyncio.create_task(desk.begin("spread", "both", input_tokens=8_000, max_tokens=1_000))
        await asyncio.sleep(1)
        small = asyncio.create_task(desk.begin("small", input_tokens=80, max_tokens=20))
        await asyncio.sleep(1)
        desk.admission.configure(limits_of(VendorRates(tpm=5_000, queue_seconds=300), VendorRates(tpm=10_000, queue_seconds=300)))
        error = await large
        assert (error.status, error.should_retry, asyncio.get_running_loop().time()) == (429, False, 2.0)
        assert 60.0 <= (await small).at < 61.0
        assert ((await spread).target, 60.0 <= (await spread).at < 61.0) == ("b/m", True)

    run_virtual(scene())


def test_a_model_may_have_limits_of_its_own_within_its_vendors() -> None:
    """What one model lacks the vendor's others do not, but what the vendor lacks they all do."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(concurrency=3, queue_seconds=0, models={"m": ModelRates(concurrency=1)})))
        await desk.begin(model="one")
        error = await desk.refused(model="one")
        assert "of the model 'm' at the vendor 'a'" in error.message
        assert [(await desk.begin(model="other")).at, (await desk.begin(model="other")).at] == [0.0, 0.0]
        assert "at the vendor 'a', may have 3 calls" in (await desk.refused(model="other")).message

    run_virtual(scene())


def test_tokens_that_were_not_used_are_given_back() -> None:
    """A call takes what it may need, and in the end what it used."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(tpm=1_000, queue_seconds=0)))
        begun = await desk.begin(input_tokens=100, max_tokens=800)
        await desk.refused(input_tokens=100, max_tokens=100)
        begun.end(100, 100)
        assert (await desk.begin(input_tokens=100, max_tokens=600)).at == 0.0

    run_virtual(scene())
