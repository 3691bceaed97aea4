"""Targets that failed lately are asked last, for a while, and never left out. Fault S16."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.errors import CALLER, OPERATOR, ApiError, UpstreamFailed
from aisa.facts import TargetHealth, VendorFailed
from aisa.health import (
    BENCH_SECONDS_MAX,
    BENCH_SECONDS_MIN,
    FAILURES_TO_BENCH,
    PROBE_SECONDS,
    RETRY_AFTER_SECONDS_MAX,
    TARGETS_MAX,
    Health,
)
from aisa.testing.clock import run_virtual
from faults_rig import (
    SSE,
    Script,
    VendorConnection,
    body,
    broken,
    failure,
    framed,
    gateway,
    hang,
    hang_up,
    plain,
    post,
    says,
    stream_of,
    whole,
)
from repeats import repeats
from rig import content_of, document, text

DOWN = UpstreamFailed(ApiError("upstream_unavailable", "down"))


def limited(seconds: float) -> UpstreamFailed:
    """A refusal that names a wait."""
    return UpstreamFailed(ApiError("upstream_rate_limit", "slow down", retry_after=seconds))


def first_of(health: Health, now: float) -> str:
    """Return the target that a call asks first, of `a` and `b`."""
    return "ab"[health.order(["a", "b"], now)[0]]


def benched() -> Health:
    """Return what is known when `a` has just been benched, at 0."""
    health = Health()
    assert [health.failed("a", DOWN, 0) for _ in range(FAILURES_TO_BENCH)][-1] == BENCH_SECONDS_MIN
    return health


def test_one_failure_moves_nothing_and_the_next_in_a_row_benches() -> None:
    """An answer that completes in between begins the count anew; one that only begins does not."""
    health = Health()
    assert health.failed("a", DOWN, 0) is None
    health.completed("a")
    assert health.failed("a", DOWN, 1) is None
    assert first_of(health, 1) == "a"
    assert not health.answered("a")
    assert health.failed("a", DOWN, 2) == BENCH_SECONDS_MIN
    assert first_of(health, 2) == "b"


def test_the_bench_grows_with_each_failure_after_it_and_is_bounded() -> None:
    """Failures of calls that were under way do not lengthen it."""
    health, now, expected = benched(), 0.0, BENCH_SECONDS_MIN
    for _ in range(10):
        assert [health.failed("a", DOWN, now) for _ in range(100)] == [None] * 100
        assert first_of(health, now + expected - 0.1) == "b"
        now += expected
        assert first_of(health, now) == "a"
        expected = min(2 * expected, BENCH_SECONDS_MAX)
        assert health.failed("a", DOWN, now) == expected
    assert expected == BENCH_SECONDS_MAX


def test_one_call_at_a_time_tries_a_target_that_was_benched() -> None:
    """The others go on elsewhere until it has answered, or for PROBE_SECONDS if nothing is heard of it."""
    health = benched()
    assert [first_of(health, BENCH_SECONDS_MIN) for _ in range(5)] == ["a", "b", "b", "b", "b"]
    assert first_of(health, BENCH_SECONDS_MIN + PROBE_SECONDS) == "a"
    assert health.answered("a")
    assert [first_of(health, BENCH_SECONDS_MIN + PROBE_SECONDS) for _ in range(3)] == ["a", "a", "a"]
    assert not health.answered("a")


def test_a_vendor_that_always_breaks_off_in_the_middle_is_benched() -> None:
    """An answer that begins ends the bench, but only one that completes clears what was."""
    health = benched()
    assert health.answered("a")
    assert health.failed("a", DOWN, 10) == 2 * BENCH_SECONDS_MIN


@pytest.mark.parametrize(("named", "seconds"), [(120, 120), (0.2, 1), (1e9, RETRY_AFTER_SECONDS_MAX)])
def test_a_wait_that_a_vendor_names_benches_at_once_for_so_long(named: float, seconds: float) -> None:
    """The true one and not what the caller is told, within an hour; a later refusal may lengthen it."""
    health = Health()
    assert health.failed("a", limited(named), 0) == seconds
    assert (first_of(health, seconds - 0.1), first_of(health, seconds)) == ("b", "a")
    health = Health()
    health.failed("a", limited(10), 0)
    health.failed("a", limited(20), 5)
    assert (first_of(health, 24), first_of(health, 25)) == ("b", "a")


@pytest.mark.parametrize(
    "innocent",
    [
        UpstreamFailed(ApiError("invalid_request", "x"), blame=CALLER),
        UpstreamFailed(ApiError("upstream_unavailable", "x"), may_repeat=True),
        UpstreamFailed(ApiError("context_length_exceeded", "x"), overflow_tokens=0),
        UpstreamFailed(ApiError("invalid_request", "x"), refused=("stream_options",)),
    ],
)
def test_what_is_no_fault_of_the_target_does_not_bench_it(innocent: UpstreamFailed) -> None:
    """However often; ours, such as a bad key, does, as it fails every call."""
    health = Health()
    assert [health.failed("a", innocent, 0) for _ in range(50)] == [None] * 50
    assert first_of(health, 0) == "a"
    ours = UpstreamFailed(ApiError("upstream_unavailable", "x"), blame=OPERATOR)
    assert [health.failed("a", ours, 0) for _ in range(2)] == [None, BENCH_SECONDS_MIN]


def test_a_refusal_of_the_callers_shows_that_a_target_is_back() -> None:
    """The probe's own fault does not keep the others away."""
    health = benched()
    first_of(health, BENCH_SECONDS_MIN)
    health.failed("a", UpstreamFailed(ApiError("invalid_request", "x"), blame=CALLER), BENCH_SECONDS_MIN)
    assert first_of(health, BENCH_SECONDS_MIN) == "a"


def test_names_that_callers_make_up_push_each_other_out() -> None:
    """What is remembered is bounded."""
    health = Health()
    for number in range(3 * TARGETS_MAX):
        health.failed(f"v/{number}", DOWN, 0)
    assert len(health._records) == TARGETS_MAX


@settings(deadline=None, max_examples=repeats(200))
@given(st.integers(), st.integers(1, 6))
def test_no_target_is_ever_left_out_whatever_happened(seed: int, count: int) -> None:
    """Every order has every target once; benched ones keep their order among themselves, and so do the others."""
    chance, health, now = random.Random(seed), Health(), 0.0
    names = [f"v/{number}" for number in range(count)]
    for _ in range(200):
        now += chance.choice([0, 0.1, 3, 40, 400])
        name = chance.choice(names)
        happened = chance.choice(["completed", "answered", "failed", "limited"])
        if happened == "completed":
            health.completed(name)
        elif happened == "answered":
            health.answered(name)
        else:
            health.failed(name, DOWN if happened == "failed" else limited(7), now)
        order = health.order(names, now)
        assert sorted(order) == list(range(count))
        falls = sum(after < before for before, after in pairwise(order))
        assert falls <= 1


def counting(script: Script, times: list[float]) -> Script:
    """Note when a vendor is asked, and then follow the script."""

    async def counted(line: VendorConnection) -> None:
        times.append(asyncio.get_running_loop().time())
        await script(line)

    return counted


@pytest.mark.parametrize("dead", [says(plain(b"{}", status="500 X")), says(hang_up)], ids=["500", "hangs up"])
def test_a_dead_first_target_is_not_asked_by_every_call(dead: Script) -> None:
    """[fault S16] Of 300 calls, one a second, some ten ask it; all are answered, the operator is told, once mended it is first again."""

    async def main() -> None:
        asked: list[float] = []
        script = [dead]

        async def first(line: VendorConnection) -> None:
            await counting(script[0], asked)(line)

        async with gateway(first, says(stream_of("b"))) as home:
            for _ in range(300):
                assert (await home.ask(post())).status == 200
                await asyncio.sleep(1)
            assert FAILURES_TO_BENCH < len(asked) <= 10
            told = [fact.last_for_seconds for fact in home.facts if isinstance(fact, TargetHealth)]
            assert told[:4] == [5, 10, 20, 40]
            script[0] = says(stream_of("a"))
            await asyncio.sleep(BENCH_SECONDS_MAX)
            before = len(asked)
            for _ in range(10):
                assert (await home.ask(post())).status == 200
            assert len(asked) == before + 10
            assert [fact.last_for_seconds for fact in home.facts if isinstance(fact, TargetHealth)][-1] == 0

    run_virtual(main())


def test_a_target_that_falls_silent_in_the_middle_is_benched_too() -> None:
    """Its answers begin well, so nothing else would show it; the operator is told of each."""

    async def main() -> None:
        asked: list[float] = []
        async with gateway(counting(says(SSE, framed(*text("a")), hang), asked), says(stream_of("b"))) as home:
            for _ in range(FAILURES_TO_BENCH):
                broken((await home.ask(post())).body, "upstream_timeout")
            assert content_of(whole((await home.ask(post())).body)) == "b"
            assert [fact.code for fact in home.facts if isinstance(fact, VendorFailed)] == ["upstream_timeout"] * FAILURES_TO_BENCH
            assert len(asked) == FAILURES_TO_BENCH

    run_virtual(main())


def test_a_target_that_is_limited_is_asked_again_when_its_wait_is_over() -> None:
    """The true wait of 200 seconds, though callers are told 60 at most."""

    async def main() -> None:
        asked: list[float] = []
        refusal = plain(b"{}", status="429 X", headers="retry-after: 200\r\n")
        async with gateway(counting(says(refusal), asked), says(plain(document()))) as home:
            for _ in range(60):
                assert (await home.ask(post(body(stream=False)))).status == 200
                await asyncio.sleep(10)
            assert [round(at, -1) for at in asked] == [0, 200, 400]

    run_virtual(main())


def test_when_all_are_unwell_all_are_asked_in_order() -> None:
    """No call fails that would have succeeded: the one that is back is found by every call, however long it was benched."""

    async def main() -> None:
        lists: dict[str, list[float]] = {"a": [], "b": []}
        bad: Any = says(plain(b"{}", status="500 X"))
        good = says(stream_of("x"))
        scripts = {"a": bad, "b": bad}

        def of(name: str) -> Script:
            async def script(line: VendorConnection) -> None:
                await counting(scripts[name], lists[name])(line)

            return script

        async with gateway(of("a"), of("b")) as home:
            for _ in range(20):
                failure(await home.ask(post()), 502, "upstream_unavailable")
            assert (len(lists["a"]), len(lists["b"])) == (20, 20)
            scripts["b"] = good
            assert (await home.ask(post())).status == 200

    run_virtual(main())
