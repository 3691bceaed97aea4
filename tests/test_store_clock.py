"""A store of limits whose clock is set, or which fails over to a machine with another time: within a window it counts as before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest

from admission_contract import World, key_of
from aisa.admission.port import Lease
from aisa.admission.rules import MICROS
from aisa.admission.store import StoreAdmission, opener_of
from aisa.admission.store_way import LEASE_SECONDS, THERE_SECONDS, StoreWay
from aisa.clock import wall_clock
from aisa.config.limits import Limits, Tier
from aisa.errors import ApiError
from aisa.usage import Usage
from limits_rig import KINDS, LimitsStore, limits_store

PATIENT = 400  # looks of 50 ms: however busy the machine is, the store is not taken for away
WINDOW_SECONDS = 60.0
HOUR_SECONDS = 3_600.0
RPM = 4


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[LimitsStore]:
    """One server of each kind for this file."""
    with limits_store(request.param) as server:
        yield server


class Clocks:
    """Two servers' time, which goes on only when it is told to, and the store's, which is set; implements `admission_contract.Stage`."""

    window_seconds = WINDOW_SECONDS
    many = 0

    def __init__(self, server: LimitsStore) -> None:
        self.seconds = self.store_seconds = 1_800_000_000.1
        self._server = server

    def micros(self) -> int:
        """Return the servers' time."""
        return round(self.seconds * MICROS)

    def store_micros(self) -> int:
        """Return the store's."""
        return round(self.store_seconds * MICROS)

    def now(self) -> float:
        """Return the servers' time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.seconds += seconds
        self.store_seconds += seconds

    def run(self, story: Callable[[World, StoreWay, StoreWay], Awaitable[None]], **tier: int) -> None:
        """Tell a story of one server, with its way to the store and that of another."""

        async def main() -> None:
            limits = Limits(default_tier="t", tiers={"t": Tier(**tier)}, window_seconds=WINDOW_SECONDS)
            ways = [
                StoreWay(opener_of(self._server.url), round(WINDOW_SECONDS * MICROS), chance=random.Random(seed), report=print)
                for seed in (1, 2)
            ]
            for way in ways:
                way.store_micros, way.looks_max = self.store_micros, PATIENT
                await way.start()
            try:
                admission = StoreAdmission(limits, {}, ways[0], wall_clock=wall_clock, micros=self.micros)
                await story(World(self, admission, {"one": key_of("one")}), *ways)
            finally:
                for way in ways:
                    await way.stop()

        self._server.empty()
        asyncio.run(main())


async def let_in(world: World, calls: int, seconds: float = 0.0) -> int:
    """Make calls, so long apart, and return how many were let in."""
    count = 0
    for _ in range(calls):
        lease, _ = await world.tried()
        if lease is not None:
            lease.release(Usage())
            count += 1
        await world.stage.sleep(seconds)
    return count


@pytest.mark.parametrize("back", [0.3, 3.0, WINDOW_SECONDS - 1, WINDOW_SECONDS + 1, HOUR_SECONDS])
def test_a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_window(server: LimitsStore, back: float) -> None:
    """[issue 13] What was used stood in the future: it counted until the clock was there again, and some of it, in Valkey, for good."""
    clocks = Clocks(server)

    async def story(world: World, *_: StoreWay) -> None:
        assert await let_in(world, RPM - 2) == RPM - 2
        clocks.store_seconds -= back
        assert await let_in(world, RPM) == 2, "it stays used"
        await clocks.sleep(2 * WINDOW_SECONDS)
        for _ in range(3):
            assert await let_in(world, RPM + 1) == RPM
            error = await world.refused()
            assert 0 < (error.retry_after or 0) <= WINDOW_SECONDS + 2
            await clocks.sleep(WINDOW_SECONDS + 1)
        assert await let_in(world, 20, 5.0) == RPM + 20 * 5 // WINDOW_SECONDS * RPM

    clocks.run(story, rpm=RPM)


def test_a_clock_that_was_set_forward_and_back_is_as_if_it_never_was(server: LimitsStore) -> None:
    """[issue 13] For an hour whatever had been used in the wrong time counted; what is in time is let in within a window."""
    clocks = Clocks(server)

    async def story(world: World, *_: StoreWay) -> None:
        clocks.store_seconds += HOUR_SECONDS
        assert await let_in(world, RPM + 3) == RPM  # the last three are told to come again
        clocks.store_seconds -= HOUR_SECONDS
        error = await world.refused()
        assert 0 < (error.retry_after or 0) <= WINDOW_SECONDS + 2
        await clocks.sleep(WINDOW_SECONDS + 1)
        assert await let_in(world, RPM + 1) == RPM

    clocks.run(story, rpm=RPM)


async def covered(lease: Lease, tokens: int) -> None:
    """Take so many tokens in all. Raises ApiError."""
    asked = lease.cover(tokens)
    if asked is not None:
        await asked


def test_tokens_that_a_stream_needs_are_there_after_a_clock_was_set_back(server: LimitsStore) -> None:
    """[issue 13] A stream that runs asks for more by itself, and no call that begins."""
    clocks = Clocks(server)

    async def story(world: World, *_: StoreWay) -> None:
        lease = await world.call(stream=True, max_tokens=10)
        clocks.store_seconds += HOUR_SECONDS
        await covered(lease, 700)
        clocks.store_seconds -= HOUR_SECONDS
        with pytest.raises(ApiError) as error:
            await covered(lease, 1_500)
        assert 0 < (error.value.retry_after or 0) <= WINDOW_SECONDS + 2
        await clocks.sleep(WINDOW_SECONDS + 1)
        await covered(lease, 1_500)
        lease.release(Usage(10, 1_500))

    clocks.run(story, tpm=1_000)


def test_who_died_before_a_clock_was_set_back_holds_nothing_for_longer_than_else(server: LimitsStore) -> None:
    """[issue 13] Its place in flight was taken, and its share of each limit its own, for as long as the clock had been set back."""
    clocks = Clocks(server)

    async def story(world: World, way: StoreWay, other: StoreWay) -> None:
        await other.stop()
        assert await way.renew()
        assert way.processes == 2
        died = await world.call()
        way.leases.clear()  # nobody renews it
        clocks.store_seconds -= HOUR_SECONDS
        assert "in flight" in (await world.refused()).message
        assert await way.renew()
        await clocks.sleep(max(LEASE_SECONDS, THERE_SECONDS) + 0.1)
        assert await way.renew()
        assert way.processes == 1
        (await world.call()).release(Usage())
        died.release(Usage())

    clocks.run(story, concurrency=1)
