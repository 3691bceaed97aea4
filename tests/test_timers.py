"""The wheel of timers: each rings when it is due, in the order of the ticks, whatever the others do. In virtual time."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Callable

from aisa.testing.clock import run_virtual
from aisa.timers import NEVER, SPARE_TIMERS_MAX, TICKS_PER_SECOND, Timer, Timers

TICK_SECONDS = 1 / TICKS_PER_SECOND


def test_timers_ring_when_they_are_due_and_share_a_turn_in_each_tick() -> None:
    """A thousand within a second cost one turn a tick at most, none rings too soon, none more than a tick too late."""

    async def main() -> list[tuple[float, float]]:
        timers, rung = Timers(), list[tuple[float, float]]()
        loop = asyncio.get_running_loop()
        for number in range(1000):
            due = 10 + number / 1000
            Timer(timers).set(due, lambda due=due: rung.append((due, loop.time())))
        await asyncio.sleep(100)
        return rung

    rung = run_virtual(main())
    assert len(rung) == 1000
    assert all(0 <= at - due <= TICK_SECONDS for due, at in rung)
    assert len({at for _, at in rung}) <= TICKS_PER_SECOND + 1


def test_a_timer_can_be_moved_either_way_and_rings_once() -> None:
    """Later costs no turn of its own at the new time's tick before it; sooner is sooner."""

    async def main() -> dict[str, list[float]]:
        timers, rung = Timers(), dict[str, list[float]]()
        loop = asyncio.get_running_loop()

        def ring(name: str) -> Callable[[], None]:
            return lambda: rung.setdefault(name, []).append(loop.time())

        later, sooner, both, stopped, forgotten = (Timer(timers) for _ in range(5))
        later.set(5, ring("first"))
        later.set(50, ring("later"))
        sooner.set(50, ring("first"))
        sooner.set(5, ring("sooner"))
        both.set(5, ring("first"))
        both.set(50, ring("first"))
        both.set(20, ring("both"))
        stopped.set(5, ring("first"))
        stopped.stop()
        forgotten.set(5, ring("first"))
        forgotten.due = NEVER
        await asyncio.sleep(100)
        forgotten.set(7, ring("forgotten"))
        await asyncio.sleep(10)
        return rung

    assert run_virtual(main()) == {"later": [50], "sooner": [5], "both": [20], "forgotten": [107]}


def test_what_a_ring_does_to_other_timers_of_its_tick_holds() -> None:
    """One that is stopped by a ring before it is silent, one that is moved rings then, one that is set anew rings once more."""

    async def main() -> list[tuple[str, float]]:
        timers, rung = Timers(), list[tuple[str, float]]()
        loop = asyncio.get_running_loop()
        first, stopped, moved, sooner = (Timer(timers) for _ in range(4))

        def note(name: str) -> None:
            rung.append((name, loop.time()))

        def first_rings() -> None:
            note("first")
            stopped.stop()
            moved.set(1, lambda: note("moved"))
            sooner.set(0, lambda: note("sooner"))
            first.set(2, lambda: note("again"))

        for timer, action in ((first, first_rings), (stopped, note), (moved, note), (sooner, note)):
            timer.set(3, action)  # type: ignore[arg-type]  # the other three must not be called at all
        await asyncio.sleep(10)
        return rung

    assert run_virtual(main()) == [("first", 3), ("sooner", 3), ("moved", 4), ("again", 5)]


def test_a_timer_that_is_set_again_and_again_for_now_lets_others_have_their_turn() -> None:
    """A time-out of no time at all rings in the next turn of the loop, not in a loop of its own."""

    async def main() -> int:
        timers, rings = Timers(), 0
        timer, done = Timer(timers), asyncio.Event()

        def again() -> None:
            nonlocal rings
            rings += 1
            if rings < 50:
                timer.set(0, again)
            else:
                done.set()

        timer.set(0, again)
        turns = 0
        while not done.is_set():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert run_virtual(main()) >= 50


def test_random_timers_ring_as_a_plain_list_of_deadlines_says() -> None:
    """Set, moved and stopped at random, at random times: each rings within a tick of the last time that was set, or never."""

    async def main(seed: int) -> None:
        chance, timers = random.Random(seed), Timers()
        loop = asyncio.get_running_loop()
        wanted: dict[int, float] = {}
        rung: dict[int, list[float]] = {number: [] for number in range(20)}
        every = [Timer(timers) for _ in rung]

        def ring(number: int) -> Callable[[], None]:
            def rings() -> None:
                rung[number].append(loop.time() - wanted.pop(number))

            return rings

        for _ in range(400):
            number = chance.randrange(len(every))
            what = chance.random()
            if what < 0.2:
                every[number].stop()
                wanted.pop(number, None)
            elif what < 0.3:
                every[number].due = NEVER
                wanted.pop(number, None)
            else:
                seconds = chance.choice((0, 0.01, 0.5, chance.uniform(0, 3), chance.uniform(0, 60)))
                wanted[number] = loop.time() + seconds
                every[number].set(seconds, ring(number))
            await asyncio.sleep(chance.choice((0, 0, chance.uniform(0, 0.1), chance.uniform(0, 2))))
        await asyncio.sleep(100)
        assert not wanted
        late = [seconds for many in rung.values() for seconds in many]
        assert len(late) > 100
        assert all(0 <= seconds <= TICK_SECONDS for seconds in late)

    for seed in range(5):
        run_virtual(main(seed))


def test_a_timer_that_was_stopped_keeps_nothing_alive() -> None:
    """Neither its action nor itself, however far away its time is: a short call leaves nothing behind."""

    class Owner:
        def __init__(self, timers: Timers) -> None:
            self.timer = Timer(timers)
            self.timer.set(60, self.ring)

        def ring(self) -> None:
            """Do nothing."""

    async def main() -> None:
        timers = Timers()
        gc.disable()  # whatever is freed is freed by its last reference
        try:
            owner = Owner(timers)
            watched = weakref.ref(owner)
            owner.timer.stop()
            del owner
            assert watched() is None
        finally:
            gc.enable()

    run_virtual(main())


def test_a_borrowed_timer_forgets_who_had_it_before() -> None:
    """It stays in the wheel when it is given back, and then rings only for who borrows it next, when that is due, sooner or later."""

    async def scenario() -> None:
        timers, rung = Timers(), list[tuple[str, float]]()
        loop = asyncio.get_running_loop()
        began = loop.time()

        def ring(name: str) -> Callable[[], None]:
            return lambda: rung.append((name, round(loop.time() - began)))

        for first, second in ((10, 20), (20, 10)):
            timer = timers.borrow()
            timer.set(first, ring("first"))
            timers.give_back(timer)
            assert timers.borrow() is timer
            timer.set(second, ring("second"))
            began = loop.time()
            await asyncio.sleep(30)
            timers.give_back(timer)
        assert rung == [("second", 20), ("second", 10)]
        lent = [timers.borrow() for _ in range(SPARE_TIMERS_MAX + 1)]
        assert len(set(lent)) == len(lent)
        for timer in lent:
            timer.set(5, ring("nobody"))
            timers.give_back(timer)
        await asyncio.sleep(30)
        assert len(rung) == 2

    run_virtual(scenario())
