"""What several processes and stores on the network cost beside one process on its own: CPU a call and a chunk, and many slow streams."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # whose rigs start PostgreSQL and Redis

from aisa.admission.memory import MemoryAdmission, loop_clock
from aisa.call import Call
from aisa.config.limits import Limits, Tier
from aisa.config.schema import Config, Model, Vendor
from aisa.keys.rules import Key
from aisa.keys.store import KeyStore
from aisa.routing import Routes
from aisa.storage.migrate import migrate
from aisa.storage.postgres import open_postgres
from aisa.usage import Usage
from aisa.wire.chat_door import CHAT_DOOR
from benchmarks.calls import request
from benchmarks.costs import Cost, call_round, paced_round
from benchmarks.load import BenchFailed, connect
from benchmarks.machine import cpu_seconds, tree, unpinned
from benchmarks.plan import (
    ADMISSION_BUDGET_US,
    GAP_MS_BUDGET,
    MANY_PACE_MS,
    STORES_BUDGET,
    WORKERS_BUDGET,
    Plan,
)
from benchmarks.report import Row, Table, percentile, ratios, spread, verdict
from benchmarks.streams import StreamChannel, finish_streams
from benchmarks.subjects import Running, Subject, aisa, blaming, started
from postgres_rig import CAN_RUN, postgres_server
from valkey_rig import SERVER, store_server

PLENTY = 1_000_000_000  # every kind of limit is asked, and none is reached
LIMITED: Mapping[str, Any] = {"limits": {"default_tier": "t", "tiers": {"t": {"rpm": PLENTY, "tpm": PLENTY, "concurrency": 1_000_000}}}}
ONE, TWO, STORED, ALONE = "1 process", "2 workers", "PostgreSQL + Redis", "PostgreSQL alone"
GROWN = "2 workers, twice the load"  # which is what one has a second for: each has as much to do as the one process
FREE, FREE_GROWN = "1 process, no limits", "2 workers, no limits, twice the load"
APART = "2 servers apart"  # of one process each, that share nothing but the load: what having two costs in itself, on this machine
APART_GROWN = "2 servers apart, twice the load"
ADMISSIONS = 20_000
OPEN_SECONDS_MAX = 30.0  # for the last of many to begin


class Stores(NamedTuple):
    """A PostgreSQL and a Redis of the bench's own: how servers are told of them, by their names, and their first processes."""

    settings: Mapping[str, Mapping[str, Any]]
    pids: tuple[int, ...]
    used: dict[int, float]  # by each of their processes, those that have ended too

    def seconds(self) -> float:
        """Return the CPU that they have used."""
        for first in self.pids:
            for pid in tree(first):
                with suppress(OSError):  # it has ended meanwhile
                    self.used[pid] = cpu_seconds([pid])
        return sum(self.used.values())


@contextmanager
def stores() -> Generator[Stores]:
    """Run both for a while. Raises BenchFailed where they are not installed."""
    if not CAN_RUN or SERVER is None:
        raise BenchFailed("PostgreSQL and Redis are needed: apt-get install postgresql redis-server")
    with postgres_server() as postgres, store_server() as valkey:
        first, second = postgres.migrated(), postgres.migrated()
        settings = {STORED: {"database": first, "limits": valkey.url}, ALONE: {"database": second, "limits": second}}
        yield Stores({name: {**LIMITED, "stores": stores} for name, stores in settings.items()}, (postgres.pid, valkey.process.pid), {})


def workers(vendor: tuple[int, int], plan: Plan, folder: Path) -> Generator[Table]:
    """Yield the costs of each way to run it, then what many slow streams are like on two workers. Raises BenchFailed.

    Nothing is pinned for the costs: workers are there to have more than one core, and on one they would be measured as they push each
    other's code and data out of its caches.
    """
    with ExitStack() as stack:
        stack.enter_context(unpinned(vendor[1]))
        kept = stack.enter_context(stores())
        both: Mapping[str, Any] = {"server": {"workers": 2}}
        settings = {ONE: LIMITED, TWO: {**LIMITED, **both}, **kept.settings, FREE: {}, FREE_GROWN: both}
        made = [subject(name, folder, vendor[0], plan, more) for name, more in (*settings.items(), ("the second of two", LIMITED))]
        *running, second = [stack.enter_context(started(each, alone=False)) for each in made]
        yield costs_of(running, second, vendor[1], plan, kept=kept)
    yield many(vendor, plan, folder)


def subject(name: str, folder: Path, port: int, plan: Plan, more: Mapping[str, Any]) -> Subject:
    """Return a server with these settings besides."""
    own = folder / name.replace(" ", "-")
    own.mkdir()
    key = key_in(more["stores"]["database"]) if "stores" in more else ""
    made = aisa(own, port, [*plan.models, many_model(plan)], settings=more, key=key)
    if isinstance(made, str):
        raise BenchFailed(made)
    return replace(made, name=name)


def key_in(url: str) -> str:
    """Return a key that is made in a database that servers share."""
    with closing(open_postgres(url, migrate)) as database:
        return KeyStore(database, time.time, random.SystemRandom()).create("bench")[1]


async def apart_round(
    servers: Sequence[Running], vendor_pid: int, plan: Plan, one: Callable[..., Awaitable[Cost]], *, times: float
) -> float:
    """Return the CPU seconds of a unit where each server has so many times the load of one to itself, at the same time."""
    costs = await asyncio.gather(*(one(each, vendor_pid, plan, times=times) for each in servers))
    return sum(cost.subject * cost.rate for cost in costs) / sum(cost.rate for cost in costs)


def costs_of(running: Sequence[Running], second: Running, vendor_pid: int, plan: Plan, *, kept: Stores) -> Table:
    """Return the CPU of calls and of paced chunks, all in turn, and of those that the first and this second server have together."""
    calls: dict[str, list[float]] = {each.subject.name: [] for each in running}
    chunks: dict[str, list[float]] = {each.subject.name: [] for each in running}
    theirs: dict[str, list[float]] = {name: [] for name in kept.settings}
    [grown] = [each for each in running if each.subject.name == TWO]
    for name in (GROWN, APART, APART_GROWN):
        calls[name], chunks[name] = [], []
    for number in range(plan.rounds):
        for each in running if number % 2 else reversed(running):
            with blaming(each.subject):
                before, began = kept.seconds(), time.perf_counter()
                times = 2 if each.subject.name == FREE_GROWN else 1
                call: Cost = uvloop.run(call_round(each, vendor_pid, plan, times=times))
                if each.subject.name in theirs:
                    theirs[each.subject.name].append((kept.seconds() - before) / max(1.0, call.rate * (time.perf_counter() - began)))
                calls[each.subject.name].append(call.subject)
                chunks[each.subject.name].append(uvloop.run(paced_round(each, vendor_pid, plan, times=times)).subject)
        with blaming(grown.subject):
            calls[GROWN].append(uvloop.run(call_round(grown, vendor_pid, plan, times=2)).subject)
            chunks[GROWN].append(uvloop.run(paced_round(grown, vendor_pid, plan, times=2)).subject)
        with blaming(second.subject):
            for name, share in ((APART, 0.5), (APART_GROWN, 1.0)):
                for found, units in ((calls, call_round), (chunks, paced_round)):
                    found[name].append(uvloop.run(apart_round([running[0], second], vendor_pid, plan, units, times=share)))
    rows: list[Row] = []
    for name in (ONE, APART, APART_GROWN, TWO, GROWN, STORED, ALONE, FREE, FREE_GROWN):
        rounds, one = calls[name], FREE if name in (FREE, FREE_GROWN) else ONE
        by_call, by_chunk = ratios(rounds, calls[one]), ratios(chunks[name], chunks[one])
        both = f"call {verdict(by_call, WORKERS_BUDGET, 'x')}, chunk {verdict(by_chunk, WORKERS_BUDGET, 'x')}"
        judged = {
            ONE: "",
            APART: "",
            APART_GROWN: "",
            TWO: both,
            GROWN: both,
            STORED: f"call {verdict(by_call, STORES_BUDGET, 'x')}",
            ALONE: "",
            FREE: "",
            FREE_GROWN: both,
        }[name]
        own = spread([each * 1e6 for each in theirs[name]]) if name in theirs else None
        figures = (spread([each * 1e6 for each in rounds]), by_call, spread([each * 1e6 for each in chunks[name]]), by_chunk)
        rows.append((name, *figures, own, judged))
    taken = admission_us()
    rows.append(("admission in memory", taken, None, None, None, None, verdict(taken, ADMISSION_BUDGET_US, "us")))
    how = (
        f"As `calls` and `paced`, {plan.rounds} interleaved rounds, but that everything may run on every core; CPU of all processes of a "
        "server together, those of the stores apart. The key has limits of all three kinds, or none. Twice the load: each worker has as "
        "much to do as the one process. Servers apart: two of one process each, which share the load, or have as much each. "
        "Admission: a call let in and out with all three, in memory, alone."
    )
    titles = (("us CPU / call", 2), ("x 1 process", 2), ("us CPU / chunk", 2), ("x 1 process", 2), ("stores' us / call", 2), ("budget", 0))
    return Table("workers", "Several processes, and stores on the network", how, (("way", 0), *titles), tuple(rows))


def admission_us() -> float:
    """Return the microseconds of letting a call in and out with all kinds of limits: the best of some runs."""
    limits = Limits(default_tier="t", tiers={"t": Tier(rpm=PLENTY, tpm=PLENTY, concurrency=1_000_000)})
    routes = Routes(Config(vendors={"a": Vendor(base_url="http://a.example:9/v1")}, models={"m": Model(to=("a/m",))}))
    asked = CHAT_DOOR.read(b'{"model": "m", "messages": [{"role": "user", "content": "Hi."}]}')
    key = Key("key_1", "bench", b"", "", "active", 0)
    plan, call = routes.plan(asked, key, random.Random(1)), Call("req_1", key, b"", 1, 0.0, [], CHAT_DOOR)

    async def measured() -> float:
        admission = MemoryAdmission(limits, {}, wall_clock=time.time, micros=loop_clock())
        found: list[float] = []
        for _ in range(5):
            began = time.process_time()
            for _ in range(ADMISSIONS):
                lease = await admission.admit(call, asked, plan, input_tokens=10)
                lease.release(Usage(10, 5))
            found.append((time.process_time() - began) / ADMISSIONS * 1e6)
        return min(found)

    return uvloop.run(measured())


def many_model(plan: Plan) -> str:
    """Return the script of a slow stream that outlasts the openings of all."""
    return f"bench-{many_chunks(plan)}x{MANY_PACE_MS}"


def many_chunks(plan: Plan) -> int:
    """Return how many chunks each of the many slow streams has."""
    return round((plan.many_open_seconds + plan.many_seconds) * 1_000 / MANY_PACE_MS)


class GapChannel(StreamChannel):
    """A stream that keeps every wait between two of its reads, once it is told to."""

    gaps: list[float]
    listening = False

    def data_received(self, data: bytes) -> None:
        """Note the wait."""
        if self.listening and self._last:
            self.gaps.append(time.perf_counter() - self._last)
        super().data_received(data)


async def gaps_of(running: Running, plan: Plan) -> list[float]:
    """Hold the streams open, begun one by one, and return the waits between their chunks once all are open, in seconds."""
    chunks, gaps, channels = many_chunks(plan), list[float](), list[GapChannel]()
    asked = request(many_model(plan), key=running.subject.key, stream=True)

    def channel() -> GapChannel:
        made = GapChannel(asked, chunks)
        made.gaps = gaps
        return made

    began = time.perf_counter()
    for number in range(plan.many_streams):
        channels += await connect(channel, running.subject.port, 1)
        channels[-1].ask(time.perf_counter())
        due = began + (number + 1) * plan.many_open_seconds / plan.many_streams
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
    GapChannel.listening = True
    await asyncio.sleep(plan.many_seconds * 0.8)
    GapChannel.listening = False
    await finish_streams(channels, plan.many_open_seconds + plan.many_seconds + OPEN_SECONDS_MAX)
    return gaps


def many(vendor: tuple[int, int], plan: Plan, folder: Path) -> Table:
    """Return how late the chunks of very many slow streams come on two workers, beside those straight from the vendor."""
    made = subject("2 workers, many streams", folder, vendor[0], plan, {**LIMITED, "server": {"workers": 2}})
    direct = Running(replace(made, name="direct", port=vendor[0]), (), 0.0)
    found = {"direct": uvloop.run(gaps_of(direct, plan))}
    with started(made) as running, blaming(made):
        found[TWO] = uvloop.run(gaps_of(running, plan))
    rows: list[Row] = []
    for name, gaps in found.items():
        over = [max(0.0, gap * 1e3 - MANY_PACE_MS) for gap in gaps]
        figures = [percentile(over, percent) for percent in (50, 99, 99.9, 100)]
        added = percentile(over, 99.9) - rows[0][4] if rows else 0.0  # type: ignore[operator]  # the column is a number
        rows.append((name, float(len(gaps)), *figures, verdict(max(0.0, added), GAP_MS_BUDGET, "ms added at p99.9") if rows else ""))
    how = (
        f"{plan.many_streams:,} open streams with a chunk every {MANY_PACE_MS} ms each, begun within {plan.many_open_seconds:g} s; every "
        f"chunk came and in order. By how many ms a wait for a chunk was longer than the pace, for {plan.many_seconds * 0.8:g} s then."
    )
    columns = (("way", 0), ("chunks", 0), ("late p50", 1), ("p99", 1), ("p99.9", 1), ("max", 1), ("budget", 0))
    return Table("many", "Many slow streams on two workers", how, columns, tuple(rows))
