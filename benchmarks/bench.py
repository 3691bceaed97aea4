"""`make bench`: what aisa costs beside nginx and a naive relay, in one run. Chooses and orders; others measure.

The exit status says whether the bench ran, never whether a figure is good: a verdict is a column of the output.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, this folder's siblings are not importable otherwise

from benchmarks import costs, crowds, delays
from benchmarks.account import account
from benchmarks.against import MEASURES as COMPARED
from benchmarks.against import against
from benchmarks.bookkeeping import bookkeeping
from benchmarks.builds import OLDER, older
from benchmarks.counting import counting
from benchmarks.dialects import dialects
from benchmarks.doors import doors
from benchmarks.load import BenchFailed
from benchmarks.machine import Bystanders, describe, raise_descriptor_limit, source_version, split_cores
from benchmarks.microseconds import microseconds
from benchmarks.path import path
from benchmarks.plan import QUICK, Plan
from benchmarks.rates import rates
from benchmarks.report import Table, as_markdown, as_text, as_values, put_between_markers
from benchmarks.routes import routes
from benchmarks.served import served
from benchmarks.subjects import THIS, Running, Subject, aisa, bare, fake_vendor, naive, nginx, nginx_program, started
from benchmarks.workers import LIMITED, workers

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
SUBJECTS = ("nginx", "bare", "aisa", "naive")
FRESH = ("memory", "account", "start", "workers", "rates")
OURS = ("path", "dialects", "doors", "served", "ledger", "routes", "counting")  # these bring what they measure
MEASURES = ("calls", "short", "paced", "burst", *OURS, "latency", "crowd", "microseconds", *FRESH)
#: The first two are for who changes the path or what streams keep; `workers` needs PostgreSQL and Redis, and eight minutes. Its last table
#: is `rates`, which may be asked for alone.
ASKED_FOR = ("microseconds", "account", "workers", "rates")


def say(text: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def names(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """Return an argument type: a comma-separated list of allowed names. `chunks` stands for both of its kinds."""

    def parse(text: str) -> list[str]:
        wanted = text.replace("chunks", "paced,burst").split(",") if "paced" in allowed else text.split(",")
        unknown = sorted(set(wanted) - set(allowed))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(allowed)}")
        return wanted

    return parse


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure aisa, nginx and a naive relay in front of one fake upstream.")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer rounds: about a minute")
    parser.add_argument("--only", type=names(MEASURES), help=f"comma-separated: {', '.join(MEASURES)}, chunks")
    parser.add_argument("--subjects", type=names(SUBJECTS), help=f"comma-separated: {', '.join(SUBJECTS)} (--quick: without naive)")
    parser.add_argument("--against", metavar="REV", help=f"only compare with an older commit, in: {', '.join(COMPARED)}")
    parser.add_argument("--rounds", type=int, help="interleaved rounds of the CPU measurements")
    parser.add_argument("--streams", type=int, help="how many streams at once in `crowd` and `memory` (default 1000)")
    parser.add_argument("--rate-cores", type=int, help="how many cores are enough for `rates` (default 6)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to a file")
    parser.add_argument("--markdown", action="store_true", help="print Markdown instead of plain tables")
    parser.add_argument("--write", action="store_true", help=f"put the Markdown into docs/{PAGE.name}")
    options = parser.parse_args(given)
    options.only = options.only or list(COMPARED if options.against else (each for each in MEASURES if each not in ASKED_FOR))
    options.subjects = options.subjects or list(SUBJECTS[:3] if options.quick else SUBJECTS)
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """Return how long and how often to measure."""
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = replace(plan, rounds=max(1, options.rounds))
    if options.streams:
        plan = replace(plan, streams=options.streams)
    if options.rate_cores:
        plan = replace(plan, rate_cores=options.rate_cores)
    return plan


def prepared(wanted: Sequence[str], folder: Path, vendor_port: int, plan: Plan) -> Iterator[Subject | str]:
    """Yield each wanted subject, ready to start, or the reason why it is left out. Raises BenchFailed."""
    for name in SUBJECTS:  # the yardstick first, whatever the order asked for
        if name in wanted:
            own = folder / name
            own.mkdir()
            if name == "nginx":
                yield nginx(own, vendor_port)
            elif name == "bare":
                yield bare(own, vendor_port)
            elif name == "naive":
                yield naive(own, vendor_port)
            else:
                yield aisa(own, vendor_port, plan.models)


def compared(options: argparse.Namespace, folder: Path, vendor: tuple[int, int], plan: Plan) -> Table:
    """Return this build beside the older one that was asked for. Raises BenchFailed."""
    tree = folder / "tree"
    tree.mkdir()
    build, name = older(options.against, tree)
    say(f"{OLDER}: {name} by {build.python}\n")
    subjects: list[Subject] = []
    for one in (build, THIS):
        own = folder / one.name
        own.mkdir()
        subject = aisa(own, vendor[0], plan.models, one)
        if isinstance(subject, str):
            raise BenchFailed(subject)
        subjects.append(subject)
    return against(options.only, (subjects[0], subjects[1]), vendor, builds=(build, THIS), plan=plan)


def measured(only: Sequence[str], subjects: Sequence[Subject], vendor: tuple[int, int], plan: Plan) -> Iterator[Table]:
    """Yield the wanted tables as they are done. Raises BenchFailed."""
    port, pid = vendor
    with ExitStack() as stack:
        running: list[Running] = []
        if set(only) - set(FRESH) - set(OURS):
            running = [stack.enter_context(started(subject)) for subject in subjects]
        for name, one in (("calls", costs.calls), ("short", costs.short), ("paced", costs.paced), ("burst", costs.burst)):
            if name in only:
                yield one(running, pid, plan)
        if "path" in only:
            yield path(plan)
        if "dialects" in only:
            yield dialects(plan)
        if "doors" in only:
            yield doors(plan)
        if "served" in only:
            yield served(plan)
        if "ledger" in only:
            yield bookkeeping(plan)
        if "routes" in only:
            yield routes(plan)
        if "counting" in only or "path" in only:
            yield counting(plan)
        if "crowd" in only:
            yield crowds.crowd(running, port, pid, plan=plan)
        if "latency" in only:
            yield delays.latency(running, port, plan)
        if "microseconds" in only:
            yield microseconds(running, pid, plan)
    if "memory" in only:
        yield crowds.memories(subjects, plan)
    if "account" in only:
        yield account(subjects, plan)
    if "start" in only:
        yield delays.starts(subjects, plan)
    if "workers" in only:
        with tempfile.TemporaryDirectory(prefix="aisa-bench-") as folder:
            yield from workers(vendor, plan, Path(folder))
    if "workers" in only or "rates" in only:
        with tempfile.TemporaryDirectory(prefix="aisa-bench-") as folder:
            yield rates(plan, Path(folder), LIMITED)


def run(options: argparse.Namespace) -> None:
    """Measure what was asked for and write it where it was asked for. Raises BenchFailed."""
    plan = plan_of(options)
    facts = describe(nginx_program(), source_version(PAGE.parents[1] / "src" / "aisa" / "__init__.py"))
    core, load_cores = split_cores()
    where = "nothing is pinned" if core is None else f"gateways on core {core}, load and fake upstream on {','.join(map(str, load_cores))}"
    headline = "; ".join(f"{name} {value}" for name, value in facts.items()) + f"; {where}"
    say(headline + "\n")
    raise_descriptor_limit()
    bystanders = Bystanders()
    os.sched_setaffinity(0, load_cores)
    gc.disable()  # a collection in the client would look like latency of the subject; a run makes little garbage
    render = as_markdown if options.markdown else as_text
    with tempfile.TemporaryDirectory(prefix="aisa-bench-") as folder, fake_vendor() as vendor:
        ready = [] if options.against else list(prepared(options.subjects, Path(folder), vendor[0], plan))
        notes = [subject for subject in ready if isinstance(subject, str)]
        for note in notes:
            say(f"{note}\n")
        subjects = [subject for subject in ready if isinstance(subject, Subject)]
        if options.against:
            found = iter((compared(options, Path(folder), vendor, plan),))
        elif subjects:
            found = measured(options.only, subjects, vendor, plan)
        else:
            raise BenchFailed("there is nothing to measure")
        tables: list[Table] = []
        for table in found:
            tables.append(table)
            say(render(table))
    notes.append(
        f"Other programs took {bystanders.share():.0%} of this machine during the run; above a few percent, distrust the latencies."
    )
    say(notes[-1])
    if options.json:
        values = {"facts": facts, "notes": notes, "tables": [as_values(table) for table in tables]}
        options.json.write_text(json.dumps(values, indent=1) + "\n")
    if options.write:
        text = [f"Measured on {headline}.", "", *(as_markdown(table) for table in tables), *notes]
        put_between_markers(PAGE, "\n".join(text))


def main() -> int:
    """Run as a command; 1 if the bench could not be run to its end."""
    try:
        if platform.system() != "Linux":
            raise BenchFailed("needs Linux: it reads CPU time and memory from /proc and sets kernel timers")
        run(arguments())
    except BenchFailed as failure:
        sys.stderr.write(f"bench: {failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
