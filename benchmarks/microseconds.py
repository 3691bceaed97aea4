"""Where the microseconds of a call are: the kernel's and the loop's, our threads', our own Python's by folder, and what is left.

The kernel and the loop are what `bare` takes, which does nothing else. Our own Python is what `path` measures, without sockets, shared out
by samples of what runs in it. What a library in C does for us stands with the code that asked for it.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from types import FrameType
from typing import NamedTuple

import uvloop

from benchmarks.costs import Round, call_round, paced_round, short_round
from benchmarks.doors import chat_asked, chat_document, chat_events
from benchmarks.load import BenchFailed
from benchmarks.machine import PROC
from benchmarks.path import CALLS, STREAM_MODEL, STREAMS, asking, seconds_of_cpu
from benchmarks.plan import BURST_CHUNKS, CALL_CONNECTIONS, JUDGED, Plan
from benchmarks.report import Row, Table, spread
from benchmarks.subjects import Running, blaming
from benchmarks.upstream import stream as streamed

FLOOR = "bare"
LONGER = 3  # times a round of `path`: the kernel looks every four milliseconds at the most, and a folder wants some samples
SAMPLE_SECONDS = 0.001
LEAST_US = 0.1  # smaller folders stand together
PACKAGE, RIG = "/src/aisa/", "/benchmarks/"
ENDS = "the bench's own ends"
RELAY = "relay, context, permit, routing and what else has no folder"


class Shape(NamedTuple):
    """What is measured: how its rounds run, what the vendor answers without sockets, of how many units a call is, how many calls."""

    title: str
    round: Round
    pieces: list[bytes]
    units: int
    calls: int


class Samples:
    """Whose code runs, looked at again and again while it uses CPU. Switched on by one call of `spent`, off by the next."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._on = False

    def spent(self) -> float:
        """Return the seconds of CPU of this thread so far."""
        if not self._on:
            signal.signal(signal.SIGPROF, self._look)
        self._on = not self._on
        seconds = SAMPLE_SECONDS if self._on else 0.0
        signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
        return time.thread_time()

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        while frame is not None:
            path = frame.f_code.co_filename
            _, ours, file = path.rpartition(PACKAGE)
            if ours:
                folder, inside, _ = file.partition("/")
                self.found[f"{folder}/" if inside else RELAY] += 1
                return
            if RIG in path:
                break
            frame = frame.f_back
        self.found[ENDS] += 1


def one_chunk() -> bytes:
    """Return a stream of one chunk, with a report of usage, which every vendor is asked for."""
    reply = streamed(STREAM_MODEL, 1, 0, True)
    return b"".join((reply.first, *reply.rest))


def shapes() -> tuple[Shape, ...]:
    """Return what is measured."""
    return (
        Shape("call", call_round, [chat_document()], 1, LONGER * CALLS),
        Shape("stream of one chunk", short_round, [one_chunk()], 1, LONGER * CALLS // 2),
        Shape("paced chunk", paced_round, chat_events(), BURST_CHUNKS, LONGER * STREAMS),
    )


def python_by_folder(shape: Shape, rounds: int) -> dict[str, float]:
    """Return the microseconds of our own Python of a unit, by where they are. Raises BenchFailed."""
    asks = partial(chat_asked, False) if shape.round is call_round else partial(asking, STREAM_MODEL, True)
    samples, seconds = Samples(), list[float]()
    for _ in range(rounds):
        at_once = CALL_CONNECTIONS if shape.units == 1 else 1
        took = seconds_of_cpu(shape.calls, shape.pieces, asks, warm=shape.calls // 10, connections=at_once, spent=samples.spent)
        seconds.append(uvloop.run(took))
    unit = spread(seconds).median * 1e6 / shape.calls / shape.units
    return {name: unit * count / samples.found.total() for name, count in samples.found.items() if name != ENDS}


def threads_seconds(pid: int) -> float:
    """Return the CPU seconds that all threads of a process but its first have used. Raises OSError if it is gone."""
    tasks = [task for task in (PROC / str(pid) / "task").iterdir() if task.name != str(pid)]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def through_sockets(running: Mapping[str, Running], shape: Shape, vendor_pid: int, plan: Plan) -> tuple[float, float, float]:
    """Return microseconds a unit: of `bare`, of aisa, and of aisa's threads beside its loop. Raises BenchFailed."""
    found: dict[str, list[float]] = {FLOOR: [], JUDGED: []}
    shares: list[float] = []
    for _ in range(plan.rounds):
        for name, costs in found.items():
            (pid, *_) = running[name].pids
            with blaming(running[name].subject):
                began, threads = time.clock_gettime(~pid << 3 | 2), threads_seconds(pid)
                costs.append(uvloop.run(shape.round(running[name], vendor_pid, plan)).subject * 1e6)
                used = time.clock_gettime(~pid << 3 | 2) - began
            if name == JUDGED:
                shares.append((threads_seconds(pid) - threads) / used)
    bare, ours = spread(found[FLOOR]).median, spread(found[JUDGED]).median
    return bare, ours, ours * spread(shares).median


def microseconds(subjects: Sequence[Running], vendor_pid: int, plan: Plan) -> Table:
    """Say where they are, for a call, a stream of one chunk and a paced chunk. Raises BenchFailed."""
    running = {each.subject.name: each for each in subjects}
    if not {FLOOR, JUDGED} <= set(running):
        raise BenchFailed(f"microseconds needs the subjects {FLOOR} and {JUDGED}")
    columns: list[dict[str, float]] = []
    places: Counter[str] = Counter()
    for shape in shapes():
        bare, whole, threads = through_sockets(running, shape, vendor_pid, plan)
        python = python_by_folder(shape, plan.rounds)
        places.update(python)
        first = {"kernel, loop and parser (what bare takes)": bare, "threads: rows into the database, the log": threads}
        last = {"waking, caches that grew cold": whole - bare - threads - sum(python.values()), "all of it, through sockets": whole}
        columns.append({**first, **python, **last})
    (head, *_) = columns
    names = [*list(head)[:2], *(name for name, most in places.most_common() if most >= LEAST_US), *list(head)[-2:]]
    rows: list[Row] = [(name, *(column.get(name, 0.0) for column in columns)) for name in names]
    how = (
        f"Microseconds of CPU; rounds as for `calls`, `short` and `paced`, {plan.rounds} of each, medians. A paced chunk of our own Python "
        f"has a 200th of its stream's opening and end in it, the one through sockets a 100th."
    )
    titles = (("where", 0), *((shape.title, 1) for shape in shapes()))
    return Table("microseconds", "Where the microseconds are", how, titles, tuple(rows))
