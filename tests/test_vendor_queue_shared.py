"""Limits of vendors that several processes share in memory, or of which each has a part: that they hold, and that none starves another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aisa.admission.memory import MemoryAdmission, loop_micros
from aisa.admission.shared import SILENT_MS, SharedAdmission, forget_worker
from aisa.config.limits import Limits
from aisa.storage.shared_memory import SharedMemory
from aisa.testing.clock import run_virtual
from queue_rig import Desk, VendorRates, limits_of, most_in_any_window
from repeats import repeats
from test_shared_admission import shared

Scene = Callable[[list[Desk], list[SharedMemory]], Coroutine[Any, Any, None]]


def with_processes(number: int, limits: Limits, scene: Scene) -> None:
    """Run a scene at the desks of so many processes, in virtual time."""

    async def whole(memories: list[SharedMemory]) -> None:
        await scene([Desk(limits, shared_admission(limits, memory)) for memory in memories], memories)

    with shared(number) as memories:
        run_virtual(whole(memories))


def shared_admission(limits: Limits, memory: SharedMemory) -> MemoryAdmission:
    """One process's admission."""
    return SharedAdmission(limits, {}, memory, wall_clock=lambda: 0.0, micros=loop_micros)


@pytest.mark.parametrize("seed", range(repeats(4)))
def test_processes_together_never_have_more_than_a_vendor_allows(seed: int) -> None:
    """Neither in any minute nor at any moment, whichever of them a call comes to; and what is allowed is used up."""
    chance = random.Random(seed)
    begun: list[tuple[float, int]] = []
    flying = most = 0

    async def scene(desks: list[Desk], _memories: list[SharedMemory]) -> None:
        async def call(desk: Desk, key: str) -> None:
            nonlocal flying, most
            mine = await desk.begin(key)
            begun.append((mine.at, 1))
            flying += 1
            most = max(most, flying)
            await asyncio.sleep(chance.uniform(0.01, 0.4))
            flying -= 1
            mine.end(10, 5)

        tasks = [asyncio.create_task(call(chance.choice(desks), f"key {chance.randrange(4)}")) for _ in range(500)]
        await asyncio.sleep(61)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with_processes(3, limits_of(VendorRates(rpm=200, concurrency=7, queue_seconds=600)), scene)
    assert most_in_any_window(begun, 60.0) <= 200
    assert len([at for at, _ in begun if at < 60.0]) >= 198
    assert most <= 7


@pytest.mark.parametrize(
    ("rates", "at_latest"), [(VendorRates(concurrency=1, queue_seconds=600), 102.5), (VendorRates(rpm=60, queue_seconds=600), 120.02)]
)
def test_a_flood_in_one_process_does_not_starve_a_single_call_in_another(rates: VendorRates, at_latest: float) -> None:
    """Processes whose calls wait let each other go first, so that the lone call has the next room but one there is."""

    async def scene(desks: list[Desk], _memories: list[SharedMemory]) -> None:
        crowded, quiet = desks

        async def call() -> None:
            mine = await crowded.begin("greedy")
            await asyncio.sleep(1)
            mine.end(10, 5)

        tasks = [asyncio.create_task(call()) for _ in range(200)]
        await asyncio.sleep(100.5)
        mine = await quiet.begin("modest")
        assert mine.at <= at_latest
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with_processes(2, limits_of(rates), scene)


def test_a_process_that_dies_frees_its_places_and_holds_nobody_up() -> None:
    """Its column is cleared, as for limits of keys; that its calls waited counts for nothing."""

    async def scene(desks: list[Desk], memories: list[SharedMemory]) -> None:
        dying, living = desks
        await dying.begin()
        lost = asyncio.create_task(dying.begin())
        waiting = asyncio.create_task(living.begin())
        await asyncio.sleep(5)
        assert not waiting.done()
        dying.admission.queue._lines.clear()  # it does nothing any more
        forget_worker(memories[0], 0)
        await asyncio.sleep(0.1)
        assert waiting.done()
        lost.cancel()

    with_processes(2, limits_of(VendorRates(concurrency=1, queue_seconds=60)), scene)


def test_a_process_that_is_stopped_keeps_nobody_waiting_for_its_turn() -> None:
    """Who has not looked for a while is passed over."""

    async def scene(desks: list[Desk], _memories: list[SharedMemory]) -> None:
        stopped, living = desks
        first = await living.begin()
        lost = asyncio.create_task(stopped.begin())
        await asyncio.sleep(1)
        waiting = [asyncio.create_task(living.begin()) for _ in range(2)]
        await asyncio.sleep(1)
        timer = stopped.admission.queue._timer
        assert timer is not None
        timer.cancel()
        first.end()
        await asyncio.sleep(SILENT_MS / 1_000 + 0.1)
        assert [task.done() for task in waiting] == [True, False]
        for task in (lost, waiting[1]):
            task.cancel()
        await asyncio.gather(lost, waiting[1], return_exceptions=True)

    with_processes(2, limits_of(VendorRates(concurrency=1, queue_seconds=60)), scene)


def test_of_servers_that_share_a_store_each_goes_by_its_share() -> None:
    """Together they have no more than the limit, however the calls are spread."""
    servers = 4

    async def scene() -> None:
        limits = limits_of(VendorRates(concurrency=8, queue_seconds=0))
        desks = [Desk(limits) for _ in range(servers)]
        for desk in desks:
            desk.admission.queue.share(servers)
            for _ in range(2):
                await desk.begin()
            await desk.refused()
        assert sum(cap.in_flight for desk in desks for _, cap in desk.admission.queue.caps.named()) == 8

    run_virtual(scene())


def test_workers_of_one_server_have_its_share_together() -> None:
    """[issue 13] Each of its processes had a share of its own: of a limit of 1 as many calls were in flight as there were processes."""

    async def scene(desks: list[Desk], _memories: list[SharedMemory]) -> None:
        for desk in desks:
            desk.admission.queue.share(4)
        begun = [await desk.begin() for desk in (desks[0], desks[1], desks[1])]
        for desk in desks:
            await desk.refused()
        begun[1].end()
        await desks[0].begin()
        await desks[1].refused()
        for desk in desks:
            desk.admission.queue.share(3)
        await desks[1].begin()
        await desks[0].refused()

    with_processes(2, limits_of(VendorRates(concurrency=12, queue_seconds=0)), scene)


def test_a_call_that_is_larger_than_a_server_s_share_has_become_keeps_nobody() -> None:
    """[fault M6] Another server comes while it waits: no wait helps it here any more, and whoever stands behind it has the next turn."""

    async def scene() -> None:
        desk = Desk(limits_of(VendorRates(tpm=10_000, queue_seconds=300)))
        await desk.begin(input_tokens=9_000, max_tokens=1_000)
        large = asyncio.create_task(desk.refused("large", input_tokens=8_000, max_tokens=1_000))
        await asyncio.sleep(1)
        desk.admission.queue.share(2)
        small = asyncio.create_task(desk.begin("small", input_tokens=80, max_tokens=20))
        assert (await large).should_retry is False
        assert (await small).at < 62.0

    run_virtual(scene())
