"""The limits that several servers keep in a store: the contract of every admission, and what counts while the store is away."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from admission_contract import CLAIMS, Stage, World, key_of
from aisa.admission.rules import MICROS
from aisa.admission.seen_servers import FILE_NAME, MORE_SECONDS, Seen, SeenServers, read_seen
from aisa.admission.store import StoreAdmission, opener_of
from aisa.admission.store_way import LEASE_SECONDS, RENEW_SECONDS, Mode, StoreWay
from aisa.config.limits import Limits, Tier
from aisa.errors import ApiError
from aisa.facts import Fact, SharedStoreAway, SharedStoreBack
from aisa.storage.unanswered import LOOKS_MAX
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from limits_rig import KINDS, LimitsStore, limits_store
from token_hammer import PROCESSES, tokens_hold
from valkey_rig import needs_server, store_server
from window_log import least_at_a_refusal, most_in_a_window

TESTS = Path(__file__).parent
WAIT_SECONDS_MAX = 30.0
PROCESS_SECONDS_MAX = 120.0
PATIENT = 400  # looks of 50 ms: however busy the machine is, the store is not taken for away


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[LimitsStore]:
    """One server of each kind for this file; each admission of a test begins with nothing in it."""
    with limits_store(request.param) as server:
        yield server


@pytest.fixture(params=KINDS)
def own_server(request: pytest.FixtureRequest) -> Iterator[LimitsStore]:
    """A server of a test's own, which it may stop and kill."""
    with limits_store(request.param) as server:
        yield server


async def way_to(
    server: LimitsStore,
    limits: Limits,
    heard: list[Fact],
    *,
    seed: int = 1,
    refuses: bool = False,
    micros: Callable[[], int] | None = None,
    looks_max: int = PATIENT,
    remembered: SeenServers | None = None,
) -> StoreWay:
    """A process's way to the store, open."""
    span = round(limits.window_seconds * MICROS)
    opener = opener_of(server.url)
    way = StoreWay(opener, span, chance=random.Random(seed), report=heard.append, refuses=refuses, remembered=remembered)
    way.store_micros, way.looks_max = micros, looks_max
    await way.start()
    return way


class ByTurns:
    """Several admissions, asked one after the other."""

    def __init__(self, all_of_them: list[StoreAdmission], ways: list[StoreWay]) -> None:
        self._all = all_of_them
        self._ways = ways
        self._turn = 0

    async def admit(self, *arguments: Any, **named: Any) -> Any:
        """Ask the next, when all that the last has told is there: a call does not wait for that."""
        await self._ways[self._turn % len(self._all)].ask("end", (), "none", *"0000000")
        self._turn += 1
        return await self._all[self._turn % len(self._all)].admit(*arguments, **named)

    def configure(self, limits: Limits) -> None:
        """Let other limits hold in each."""
        for each in self._all:
            each.configure(limits)

    def headers(self, key: Any) -> Any:
        """Ask the one that was asked last: of the others what they heard last may be older."""
        return self._all[self._turn % len(self._all)].headers(key)


class StoreStage:
    """Two servers by turns on one store, with a clock that goes on only when it is told to."""

    window_seconds = 60.0

    def __init__(self, server: LimitsStore) -> None:
        self.many = server.many
        self.seconds = 1_800_000_000.0
        self.server = server
        self._ways: list[StoreWay] = []

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run to the end."""

        async def all_of_it() -> None:
            try:
                await main
            finally:
                for way in self._ways:
                    await way.stop()
                self._ways.clear()

        self.server.empty()
        asyncio.run(all_of_it())

    async def open(self, limits: Limits, tiers: Mapping[str, str]) -> ByTurns:
        """Return an empty one."""
        made = []
        for number in range(2):
            way = await way_to(self.server, limits, [], seed=number, micros=self.micros)
            self._ways.append(way)
            made.append(StoreAdmission(limits, tiers, way, wall_clock=self.now, micros=self.micros))
        return ByTurns(made, self._ways)

    def micros(self) -> int:
        """Return the time."""
        return round(self.seconds * MICROS)

    def now(self) -> float:
        """Return the time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move the clock on; leases are renewed as often as in real time."""
        until = self.seconds + seconds
        while any(way.leases for way in self._ways) and self.seconds + RENEW_SECONDS < until:
            self.seconds += RENEW_SECONDS
            for way in self._ways:
                assert await way.renew()
        self.seconds = until
        await asyncio.sleep(0)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.__name__ for claim in CLAIMS])
def test_an_admission_in_a_store_keeps_its_contract(server: LimitsStore, claim: Callable[[Stage], None]) -> None:
    """[issue 13] Two servers that ask one store by turns see the same limits as one with its memory: each claim says what that is."""
    claim(StoreStage(server))


LIMITED = Limits(default_tier="t", tiers={"t": Tier(rpm=60, tpm=9_000, concurrency=8)})


class Heard(list[Fact]):
    """What was told of a store, and a wait for the next."""

    def __init__(self) -> None:
        super().__init__()
        self._new = asyncio.Event()

    def append(self, fact: Fact) -> None:
        """Hear something."""
        super().append(fact)
        self._new.set()

    async def until(self, words: str) -> None:
        """Wait until this was said."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not any(words in str(getattr(fact, "message", "")) for fact in self):
                self._new.clear()
                await self._new.wait()


async def admission_on(
    server: LimitsStore, limits: Limits = LIMITED, *, heard: list[Fact] | None = None, **way: Any
) -> tuple[World, StoreWay, StoreAdmission]:
    """One server's admission with an account's only key, its way to the store, and where to make calls."""
    there = await way_to(server, limits, [] if heard is None else heard, **way)
    admission = StoreAdmission(limits, {}, there, wall_clock=lambda: 1_800_000_000.0)
    return World(StoreStage(server), admission, {"one": key_of("one")}), there, admission


def test_a_decision_that_is_asked_twice_counts_once(server: LimitsStore) -> None:
    """[stores 4] A time-out means unknown, so each has an id: begun, covered and ended twice is once; an end of nothing is nothing."""
    server.empty()

    async def main() -> None:
        world, way, admission = await admission_on(server)
        twice = admission._way = ByRepeating(way)
        lease = await world.call(input_tokens=100, stream=True)
        await settled(lease.cover(500))
        assert world.told()["remaining-requests"] == 59
        assert world.told()["remaining-tokens"] == 9_000 - 100 - lease.covered
        lease.release(Usage(100, 300))
        other = await world.call(input_tokens=100, stream=True)
        assert world.told()["remaining-requests"] == 58
        assert world.told()["remaining-tokens"] == 9_000 - 400 - 100 - other.covered
        assert twice.repeated >= 3
        await way.stop()

    asyncio.run(main())


class ByRepeating:
    """A way on which everything is asked twice, as by a client that tries again."""

    def __init__(self, way: StoreWay) -> None:
        self._way = way
        self.repeated = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)

    async def ask(self, *asked: Any) -> Any:
        """Ask twice, and take the second answer."""
        self.repeated += 1
        await self._way.ask(*asked)
        return await self._way.ask(*asked)

    def tell(self, *asked: Any, **heard: Any) -> None:
        """Tell twice."""
        self.repeated += 1
        self._way.tell(*asked, **heard)
        self._way.tell(*asked, **heard)


async def settled(waiting: Any) -> None:
    """Wait if there is something to wait for."""
    if waiting is not None:
        await waiting


def test_leases_of_a_server_that_died_end_by_themselves_and_those_of_one_that_lives_do_not(server: LimitsStore) -> None:
    """[issue 13] Its places in flight are free again within the lease time; what lives is renewed, even into an emptied store."""
    server.empty()
    stage = StoreStage(server)

    async def main() -> None:
        limits = Limits(default_tier="t", tiers={"t": Tier(concurrency=2)})
        one, dying, _ = await admission_on(server, limits, micros=stage.micros, seed=1)
        other, living, _ = await admission_on(server, limits, micros=stage.micros, seed=2)
        died, lives = await one.call(), await other.call()
        await dying.stop()
        assert "in flight" in (await other.refused()).message
        server.empty()
        assert await living.renew()
        stage.seconds += LEASE_SECONDS + 0.1
        assert await living.renew()
        second = await other.call()
        assert "in flight" in (await other.refused()).message
        for lease in (second, lives, died):
            lease.release(Usage())
        await living.stop()

    asyncio.run(main())


def test_a_store_that_hangs_keeps_no_call_and_each_server_allows_its_share(own_server: LimitsStore) -> None:
    """[issue 13] What a server had let in itself counts in its share; back again, the store decides after one window."""
    limits = Limits(default_tier="t", tiers={"t": Tier(rpm=10)}, window_seconds=1.0)

    async def main(server: LimitsStore) -> None:
        heard = Heard()
        world, way, _ = await admission_on(server, limits, heard=heard, looks_max=LOOKS_MAX)
        _, other, _ = await admission_on(server, limits, seed=2)
        assert await way.renew()
        assert (way.mode, way.processes) == (Mode.STORE, 2)
        (await world.call()).release(Usage())
        server.pause()
        (await world.call()).release(Usage())  # it waits for three looks, and is then let in by the share
        assert way.mode is Mode.SHARE
        let_in = 2
        while (await world.tried())[0] is not None:
            let_in += 1
        assert let_in <= 2 * 10 // 2  # of two windows at the most
        server.go_on()
        await heard.until("is back")
        assert way.mode is Mode.SHARE
        await way.decides_again()
        assert way.mode is Mode.STORE
        (await world.call()).release(Usage())
        await way.stop()
        await other.stop()

    asyncio.run(main(own_server))


@contextmanager
def still_time() -> Iterator[None]:
    """Let the loop's time stand still, which does so while a thread works for it: how long real servers take is no part of a test."""
    done = threading.Event()
    working = asyncio.get_running_loop().run_in_executor(None, done.wait)
    yield
    done.set()
    assert not working.cancelled()


@pytest.mark.parametrize("inside", [False, True], ids=["at its begin", "inside a stream"])
def test_no_call_waits_above_250_ms_for_a_store_that_hangs(own_server: LimitsStore, inside: bool) -> None:
    """[issue 13] By the loop's own time, which is virtual: who asks first waits 150 to 200 ms, and then nobody."""

    async def main(server: LimitsStore) -> None:
        loop = asyncio.get_running_loop()
        with still_time():
            world, way, _ = await admission_on(server, looks_max=LOOKS_MAX)
            leases = [await world.call(stream=True) for _ in range(2)]
            server.pause()
        waits = []
        for lease in leases:
            before = loop.time()
            if inside:
                await settled(lease.cover(lease.covered + 1))
            else:
                (await world.call(stream=True)).release(Usage())
            waits.append(loop.time() - before)
        assert 0.1 < waits[0] <= 0.25
        assert (waits[1], way.mode) == (0.0, Mode.SHARE)
        for lease in leases:
            lease.release(Usage())
        server.go_on()
        await way.stop()

    run_virtual(main(own_server))


def test_a_store_that_comes_back_empty_lets_nobody_in_twice(own_server: LimitsStore) -> None:
    """[issue 13] For one window more the server's own share counts, and what it lets in is told to the store that has forgotten."""
    limits = Limits(default_tier="t", tiers={"t": Tier(rpm=6)}, window_seconds=20.0)

    async def main(server: LimitsStore) -> None:
        heard = Heard()
        world, way, _ = await admission_on(server, limits, heard=heard)
        for _ in range(4):
            (await world.call()).release(Usage())
        server.kill()
        server.start()
        await heard.until("is back")
        for _ in range(2):
            (await world.call()).release(Usage())
        assert (await world.refused()).should_retry is True
        assert await way.renew()  # behind what it was told
        assert server.used("aisa:{key one}:20000000") == (2, 0)
        await way.stop()

    asyncio.run(main(own_server))


def test_who_is_first_back_to_an_empty_store_does_not_take_the_shares_of_those_who_are_not(own_server: LimitsStore) -> None:
    """[issue 13] While shares count nobody's grows, though the store has seen one process alone; after that the store counts."""
    limits = Limits(default_tier="t", tiers={"t": Tier(rpm=6)}, window_seconds=0.5)

    async def main(server: LimitsStore) -> None:
        heard = Heard()
        _, way, _ = await admission_on(server, limits, heard=heard)
        _, other, _ = await admission_on(server, limits, seed=2)
        assert await way.renew()
        assert way.processes == 2
        await other.stop()
        server.kill()
        server.start()
        await heard.until("is back")
        assert way.processes == 2
        await way.decides_again()
        assert await way.renew()
        assert way.processes == 1
        await way.stop()

    asyncio.run(main(own_server))


@needs_server
@pytest.mark.parametrize("trouble", ["demoted", "full"])
def test_a_store_that_answers_but_does_not_work_is_away(trouble: str) -> None:
    """[stores 4] A primary that was demoted, or a full server, refuses writes again and again: nobody is let in by halves."""

    async def main(server: LimitsStore) -> None:
        world, way, _ = await admission_on(server)
        kept = await world.call(stream=True)
        if trouble == "demoted":
            server.ask("REPLICAOF", "127.0.0.1", "1")
        else:
            server.ask("CONFIG", "SET", "maxmemory", "1")
        lease = await world.call()
        assert way.mode is Mode.SHARE
        lease.release(Usage())
        kept.release(Usage())
        await way.stop()

    with store_server() as server:
        asyncio.run(main(server))


@needs_server
def test_a_store_that_comes_and_goes_is_told_once_with_what_it_says() -> None:
    """[issue 13] A full one works for moments: two lines a second from each process, of which none said why, hid everything else."""

    async def main(server: LimitsStore) -> None:
        heard = Heard()
        world, way, admission = await admission_on(server, Limits(default_tier="t", tiers={"t": Tier(rpm=1_000_000)}), heard=heard)
        for told in ([SharedStoreAway, SharedStoreBack], [SharedStoreAway], []):
            heard.clear()
            server.ask("REPLICAOF", "127.0.0.1", "1")
            await world.call()
            await way.away()
            if told:
                await heard.until("AWAY (READONLY ")
            server.ask("REPLICAOF", "NO", "ONE")
            while not way.is_open:
                await asyncio.wait([way._task], timeout=0.02)
            assert [type(fact) for fact in heard] == told
        assert admission.store_is_away
        await way.stop()

    with store_server() as server:
        asyncio.run(main(server))


@needs_server
def test_a_full_store_still_ends_leases() -> None:
    """[stores 4] Otherwise it would never be less full: what only takes away is done."""

    async def main(server: LimitsStore) -> None:
        limits = Limits(default_tier="t", tiers={"t": Tier(concurrency=1)})
        world, way, _ = await admission_on(server, limits)
        lease = await world.call()
        server.ask("CONFIG", "SET", "maxmemory", "1")
        lease.release(Usage())
        await way.stop()
        assert server.ask("ZCARD", "aisa:{key one}:60000000:calls") == b":0\r\n"

    with store_server() as server:
        asyncio.run(main(server))


def test_who_must_not_guess_refuses_while_nobody_knows(own_server: LimitsStore) -> None:
    """`limits_down: refuse` says 503, in a server that has never reached its store too."""

    async def main(server: LimitsStore) -> None:
        world, way, _ = await admission_on(server, refuses=True)
        lease = await world.call()
        server.kill()
        for there in (world, (await admission_on(server, refuses=True))[0]):
            with pytest.raises(ApiError) as refused:
                await there.call()
            assert refused.value.code == "overloaded"
        lease.release(Usage())
        await way.stop()

    asyncio.run(main(own_server))


def test_a_server_that_begins_while_the_store_is_away_goes_by_its_share(own_server: LimitsStore) -> None:
    """[issue 13] It was ready, and refused every call of keys with limits; its share is one of its own processes, as it knows no others."""
    limits = Limits(default_tier="t", tiers={"t": Tier(rpm=6, tpm=9_000)}, window_seconds=20.0)

    async def main(server: LimitsStore) -> None:
        heard = Heard()
        server.kill()
        world, way, _ = await admission_on(server, limits, heard=heard)
        assert (way.mode, "one of 1 that this server knows of" in str(heard[0])) == (Mode.SHARE, True)
        way.processes = 2  # as of a server with two workers
        lease = await world.call(stream=True)
        (await world.call()).release(Usage())
        server.start()
        await heard.until("is back")
        assert (way.mode, way.processes) == (Mode.SHARE, 2)
        (await world.call()).release(Usage())
        assert (await world.refused()).should_retry is True
        assert await way.renew()
        assert server.used("aisa:{key one}:20000000")[0] == 1, "what is let in from then on is told"
        lease.release(Usage())
        await way.stop()

    asyncio.run(main(own_server))


def test_servers_that_all_begin_while_the_store_is_away_know_how_many_they_were(own_server: LimitsStore, tmp_path: Path) -> None:
    """[issue 13] "Limit / processes seen last": after a power failure each had the whole limit, as it knew of no other."""
    limits = Limits(default_tier="t", tiers={"t": Tier(rpm=6)}, window_seconds=20.0)
    seconds = [0.0]

    async def main(server: LimitsStore) -> None:
        first = SeenServers(tmp_path, lambda: seconds[0])
        ways = [await way_to(server, limits, [], seed=seed, remembered=first if not seed else None) for seed in range(3)]
        for seconds[0] in (1.0, MORE_SECONDS, 1.0 + MORE_SECONDS):
            assert await ways[0].renew()
        await asyncio.get_running_loop().shutdown_default_executor()  # what it was told to write is there
        for way in ways:
            await way.stop()
        server.kill()
        heard = Heard()
        world, way, _ = await admission_on(server, limits, heard=heard, remembered=SeenServers(tmp_path, lambda: seconds[0]))
        assert (way.mode, way.processes, way.servers, "one of 3 that this server knows of" in str(heard[0])) == (Mode.SHARE, 3, 3, True)
        for _ in range(2):
            (await world.call()).release(Usage())
        assert (await world.refused()).should_retry is True
        await way.stop()

    asyncio.run(main(own_server))


def test_what_a_restart_makes_of_the_number_of_servers_is_not_noted(tmp_path: Path) -> None:
    """Who was restarted is seen twice for some seconds; of servers that are stopped one by one the last sees none."""
    seconds = [0.0]
    seen = SeenServers(tmp_path, lambda: seconds[0])

    def noted(at: float, number: int) -> bool:
        seconds[0] = at
        return seen.note(Seen(2 * number, number))

    assert [noted(0, 4), noted(14, 4), noted(15, 4), noted(18, 4)] == [False, False, True, False]
    assert [noted(21, 5), noted(30, 5), noted(33, 4), noted(36, 5), noted(50, 5)] == [False] * 5
    assert [noted(60, 3), noted(70, 2), noted(80, 1), noted(100, 4), noted(101, 1), noted(3_600, 1)] == [False] * 6
    assert (noted(3_701, 1), seen.known) == (True, Seen(2, 1))
    seen.write()
    assert read_seen(tmp_path / FILE_NAME) == Seen(2, 1)
    for broken in ("", "x y", "1", "-5 0\n", "9" * 30 + " 2"):
        (tmp_path / FILE_NAME).write_text(broken)
        assert read_seen(tmp_path / FILE_NAME) in (Seen(1, 1), Seen(100_000, 2))


def test_a_share_of_tokens_that_is_too_small_is_no_fault_of_the_call(own_server: LimitsStore) -> None:
    """Of the whole limit it is small enough, so it is 503 and to be tried again, not a call that never fits."""

    async def main(server: LimitsStore) -> None:
        limits = Limits(default_tier="t", tiers={"t": Tier(tpm=1_000)})
        world, way, _ = await admission_on(server, limits)
        _, other, _ = await admission_on(server, limits, seed=2)
        assert await way.renew()
        server.kill()
        await way.away()
        with pytest.raises(ApiError) as refused:
            await world.call(input_tokens=700, stream=True)
        assert refused.value.code == "overloaded"
        assert (await world.refused(input_tokens=1_700, stream=True)).should_retry is False
        for each in (way, other):
            await each.stop()

    asyncio.run(main(own_server))


#: Hammers one key for a while, and prints when each call was let in and ended by the store's clock.
HAMMER = """
import asyncio, random, sys, time
sys.path[:0] = [{tests!r}, {source!r}]
from admission_contract import World, key_of
from aisa.admission.store import StoreAdmission, opener_of
from aisa.admission.store_way import LEASE_SECONDS, Mode, StoreWay
from aisa.clock import wall_clock
from aisa.config.limits import Limits, Tier
from aisa.errors import ApiError
from aisa.usage import Usage

url, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
limits = Limits(default_tier="t", tiers={{"t": Tier(rpm=500, concurrency=40)}}, window_seconds={window})
chance, began, ended, refused = random.Random(number), {{}}, {{}}, []

async def client(world, ends):
    while time.monotonic() < ends:
        try:
            lease = await world.call()
        except ApiError:
            await asyncio.sleep(chance.random() / 50)
            continue
        began[lease.id] = lease._began_there
        await asyncio.sleep(chance.random() / 20)
        lease.release(Usage(10, 5))

async def main():
    way = StoreWay(opener_of(url), int({window} * 1e6), chance=chance, report=print)
    way.looks_max = 400
    tell, ask = way.tell, way.ask

    def noted(what, keys, lease_id, *arguments, heard):
        tell(what, keys, lease_id, *arguments, heard=lambda answer: (ended.update({{lease_id: int(answer[1])}}), heard(answer)))

    async def asked(what, *question):
        answer = await ask(what, *question)
        if what == "begin" and answer[0] == "0" and answer[7]:  # the word on when there is room for a call
            refused.append(int(answer[1]))
        return answer

    way.tell, way.ask = noted, asked
    await way.start()
    world = World(None, StoreAdmission(limits, {{}}, way, wall_clock=wall_clock), {{"one": key_of("one")}})
    ends = time.monotonic() + seconds
    await asyncio.gather(*[client(world, ends) for _ in range(16)])
    await way.renew()

asyncio.run(main())
print("\\n".join(f"let_in {{began[each]}} {{ended[each]}}" for each in began))
print("\\n".join(f"refused {{at}} {{at}}" for at in refused))
"""


def test_four_servers_never_let_more_in_than_the_limit_and_reach_it(server: LimitsStore) -> None:
    """[issue 13] 64 clients on one key, windows of 5 real seconds: none has more, each is full when one is refused, the cap holds."""
    server.empty()
    window = 5.0
    program = HAMMER.format(tests=str(TESTS), source=str(TESTS.parent / "src"), window=window)
    commands = [[sys.executable, "-c", program, server.url, str(number), "17"] for number in range(4)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    shown = [process.communicate(timeout=PROCESS_SECONDS_MAX)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    lines = [line.split() for line in "".join(shown).splitlines()]
    lasted = [(int(began), int(ended)) for what, began, ended in lines if what == "let_in"]
    calls, span = sorted(began for began, _ in lasted), round(window * MICROS)
    uses, refused = [(began, began, 1) for began in calls], [(int(at), int(at), 1) for what, at, _ in lines if what == "refused"]
    assert most_in_a_window(uses, span) <= 500 < least_at_a_refusal(uses, refused, span)
    ends = sorted(ended for _, ended in lasted)
    assert max(place + 1 - bisect_left(ends, began) for place, began in enumerate(calls)) <= 40


def test_four_servers_use_tokens_to_the_last_step_and_no_more(server: LimitsStore) -> None:
    """[issue 13] 32 streams in real time that take of one limit step by step: no window has more, and none ends while a step is left."""
    server.empty()
    tokens_hold([["store", server.url, str(number)] for number in range(PROCESSES)])
