"""This build beside an older commit, in the same rounds: what each costs, their ratio and whether that is what we aim at.

A ratio is of two neighbours in time, so what else the machine does hits both; the first of a pair is the second of the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from benchmarks import costs
from benchmarks.builds import OLDER
from benchmarks.crowds import held
from benchmarks.delays import KINDS, latencies_ms
from benchmarks.load import BenchFailed
from benchmarks.machine import memory, split_cores
from benchmarks.plan import Plan
from benchmarks.report import Row, Table, ratios, spread, verdict
from benchmarks.subjects import Build, Running, Subject, blaming, pinned, started

RATE = 1_000.0  # calls a second, at which latency is compared
PATH_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Aim:
    """What is compared, in which unit, and how many times the older build's figure it may be; without a target it only explains."""

    title: str
    unit: str
    target: float | None


AIMS: Mapping[str, Aim] = {
    "calls": Aim("CPU per non-streamed call", "us", 0.50),
    "paced": Aim("CPU per paced chunk", "us", 0.62),
    "burst": Aim("CPU per chunk of a burst", "us", 0.38),
    "memory": Aim("memory per open silent stream", "KiB", 0.65),
    "short": Aim("CPU per stream of one chunk", "us", 0.35),
    "p50": Aim(f"added latency at {RATE:,.0f} calls/s, p50", "ms", 0.60),
    "p99": Aim(f"added latency at {RATE:,.0f} calls/s, p99", "ms", 1.00),
    "path call": Aim("our own Python, call", "us", None),
    "path chunk that comes alone": Aim("our own Python, chunk that comes alone", "us", None),
    "path chunk of a burst": Aim("our own Python, chunk of a burst", "us", None),
}
COSTS: Mapping[str, costs.Round] = {
    "calls": costs.call_round,
    "paced": costs.paced_round,
    "burst": costs.burst_round,
    "short": costs.short_round,
}
MEASURES = ("calls", "paced", "burst", "memory", "short", "latency", "path")  # what there is to compare

Pairs = list[tuple[float, float]]  # the older build's figure and ours, a pair a round


def against(
    only: Sequence[str], subjects: tuple[Subject, Subject], vendor: tuple[int, int], *, builds: tuple[Build, Build], plan: Plan
) -> Table:
    """Compare the older build and this one in everything wanted, and judge. Raises BenchFailed."""
    found: dict[str, Pairs] = {}
    with ExitStack() as stack:
        running: list[Running] = []
        if set(only) & {*COSTS, "latency"}:
            running = [stack.enter_context(started(subject)) for subject in subjects]
        for name in (name for name in COSTS if name in only):
            seen = costs.interleaved(running, vendor[1], plan, COSTS[name])
            each = [[cost.subject * 1e6 for cost in seen[subject.name]] for subject in subjects]
            found[name] = list(zip(*each, strict=True))
        if "latency" in only:
            found["p50"], found["p99"] = latencies(running, vendor[0], plan)
    if "memory" in only:
        found["memory"] = in_turn(plan.fresh_rounds, subjects, lambda subject: kib_per_stream(subject, plan))
    if "path" in only:
        for name, pairs in paths(plan.rounds, builds).items():
            found[f"path {name}"] = pairs
    return Table(
        "against",
        "Beside the older build",
        f"Both builds in the same rounds, everything on; median (lowest-highest) of {plan.rounds} rounds, of {plan.fresh_rounds} fresh "
        "processes for memory; the ratio within a round. Added: less a direct connection to the upstream in the same round; a round in "
        "which either added nothing has no ratio.",
        (("what", 0), (OLDER, 2), ("this build", 2), ("unit", 0), ("ratio", 2), ("target", 0)),
        tuple(row(AIMS[name], found[name]) for name in AIMS if name in found),
    )


def row(aim: Aim, pairs: Pairs) -> Row:
    """Return a line of the table: both figures, their ratio round by round, and the verdict."""
    before, after = ([pair[place] for pair in pairs] for place in (0, 1))
    sound = [pair for pair in pairs if min(pair) > 0]
    ratio = ratios([pair[1] for pair in sound], [pair[0] for pair in sound])
    judged = "" if aim.target is None else verdict(ratio, aim.target, "x")
    return (aim.title, spread(before), spread(after), aim.unit, ratio, judged)


def in_turn(rounds: int, subjects: tuple[Subject, Subject], one: Callable[[Subject], float]) -> Pairs:
    """Measure both builds once a round, each first in every other."""
    pairs: Pairs = []
    for number in range(rounds):
        figures = {subject.name: one(subject) for subject in (subjects if number % 2 else reversed(subjects))}
        pairs.append((figures[subjects[0].name], figures[subjects[1].name]))
    return pairs


def kib_per_stream(subject: Subject, plan: Plan) -> float:
    """Return by how much each silent stream makes a fresh process grow, in KiB."""
    with started(subject) as running, blaming(subject):
        idle = memory(running.pids)
        full = uvloop.run(held(running, plan.streams))
    return (full.rss - idle.rss) / plan.streams / 1024


def latencies(running: Sequence[Running], vendor_port: int, plan: Plan) -> tuple[Pairs, Pairs]:
    """Return what both builds add to the median and to the 99th percentile, in milliseconds."""
    direct = replace(running[0].subject, name="direct", port=vendor_port)
    subjects = (running[0].subject, running[1].subject)
    middle: Pairs = []
    tail: Pairs = []
    for number in range(plan.latency_rounds):
        seen: dict[str, tuple[float, float]] = {}
        for subject in (direct, *(subjects if number % 2 else reversed(subjects))):
            with blaming(subject):
                seen[subject.name] = uvloop.run(latencies_ms(subject, KINDS[0], RATE, plan.latency_seconds))
        added = [[seen[subject.name][place] - seen["direct"][place] for subject in subjects] for place in (0, 1)]
        middle.append((added[0][0], added[0][1]))
        tail.append((added[1][0], added[1][1]))
    return middle, tail


def paths(rounds: int, builds: tuple[Build, Build]) -> dict[str, Pairs]:
    """Return what the hot path of both builds takes, each measured by its own tree's bench, in microseconds."""
    found: dict[str, Pairs] = {}
    for number in range(rounds):
        seen = {build.name: path_figures(build) for build in (builds if number % 2 else reversed(builds))}
        before, after = (seen[build.name] for build in builds)
        for name in before:
            found.setdefault(name, []).append((before[name], after[name]))
    return found


def path_figures(build: Build) -> dict[str, float]:
    """Run the path bench of a build's own tree once, on the gateway's core. Raises BenchFailed."""
    core, _ = split_cores()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        program = (build.python, str(build.tree / "benchmarks" / "bench.py"), "--only", "path", "--rounds", "1", "--subjects", "bare")
        command = pinned(None if core is None else [core], (*program, "--json", file.name))
        environment = {**os.environ, "PYTHONPATH": str(build.tree / "src")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATH_SECONDS_MAX, env=environment)
        if done.returncode:
            raise BenchFailed(f"the path bench of {build.name} failed: {done.stderr[-2_000:]}")
        table = next(table for table in json.loads(Path(file.name).read_text())["tables"] if table["name"] == "path")
    return {line["per"]: line["us"]["median"] for line in table["rows"]}
