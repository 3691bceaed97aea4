"""What a long run says of memory: its slope, its kinds, what Python's own allocator holds. Puts no load on anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression, median

from benchmarks.machine import PROC

HOUR_SECONDS = 3_600.0
GROWTH_MIB_MAX = 4.0  # of a run too short for a slope: between its second and its last quarter
#: From so many hours on: how steep the second half of a run may be, in MiB an hour. Less than a release's bound is not told from the noise
#: of an allocator within an hour.
SLOPES_MAX = ((4.0, 1.0), (1.0, 2.0))
#: Asks the interpreter to write what its allocator holds whenever it takes a new arena from the system, and at its end.
ALLOCATOR_ENVIRONMENT = {"PYTHONMALLOCSTATS": "1"}
ALLOCATOR_FIGURES = {
    "arenas": r"# arenas allocated current += +([\d,]+)",
    "highest": r"# arenas highwater mark += +([\d,]+)",
    "used bytes": r"# bytes in allocated blocks += +([\d,]+)",
    "free bytes in used pools": r"# bytes in available blocks += +([\d,]+)",
    "bytes of unused pools": r"unused pools \* [\d,]+ bytes += +([\d,]+)",
}
MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen at a moment, in seconds since the beginning: resident memory in MiB."""

    seconds: float
    mib: float


def slope_mib(readings: Sequence[Reading]) -> float | None:
    """Return by how many MiB an hour memory grows over the second half of a run, by least squares; None if that has no two readings."""
    later = [reading for reading in readings if reading.seconds >= readings[-1].seconds / 2]
    if len(later) < 2:
        return None
    return linear_regression([reading.seconds / HOUR_SECONDS for reading in later], [reading.mib for reading in later]).slope


def growth_mib(readings: Sequence[Reading]) -> float:
    """Return by how much the middle of the last quarter lies above that of the second, in MiB; 0 if there are fewer than four readings."""
    seen = [reading.mib for reading in readings]
    quarter = len(seen) // 4
    return median(seen[-quarter:]) - median(seen[quarter : 2 * quarter]) if quarter else 0.0


def judged(readings: Sequence[Reading], hours: float) -> tuple[bool, str]:
    """Return whether memory stays within what a run of that length may show, and in words what it did."""
    slope = slope_mib(readings)
    said = "" if slope is None else f"{slope:+.2f} MiB an hour over the second half"
    for long_enough, most in SLOPES_MAX:
        if hours >= long_enough and slope is not None:
            return slope <= most, f"{said} (<= {most:g})"
    growth = growth_mib(readings)
    return (
        growth <= GROWTH_MIB_MAX,
        f"{growth:+.1f} MiB from the second to the last quarter (<= {GROWTH_MIB_MAX:g}); {said}, too short to judge",
    )


def kinds_mib(pids: Sequence[int]) -> dict[str, float]:
    """Return the resident memory of processes by what it is: `heap` (the C library's), `anonymous` (Python's arenas, threads), `files`.

    Raises OSError if one is gone.
    """
    kinds: Counter[str] = Counter()
    for pid in pids:
        kind = ""
        for line in (PROC / str(pid) / "smaps").read_text().splitlines():
            if mapping := MAPPING.fullmatch(line):
                name = mapping[1]
                kind = "heap" if name == "[heap]" else "files" if name.startswith("/") else "anonymous"
            elif line.startswith("Rss:"):
                kinds[kind] += int(line.split()[1])
    return {kind: kinds[kind] / 1024 for kind in ("heap", "anonymous", "files")}


def allocator_figures(log: str) -> dict[str, int]:
    """Return what Python's allocator said last in a log, by name; nothing if it never spoke."""
    found: dict[str, int] = {}
    for name, pattern in ALLOCATOR_FIGURES.items():
        told = re.findall(pattern, log)
        if told:
            found[name] = int(told[-1].replace(",", ""))
    return found
