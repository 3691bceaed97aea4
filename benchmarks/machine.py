"""What the kernel knows of a process and of this machine: CPU time, memory, cores, versions. Measures nothing over time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import resource
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

PROC = Path("/proc")
DESCRIPTORS_WANTED = 16_384  # both ends of several thousand streams, and the files of a server


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident and proportional set size of a process tree, in bytes."""

    rss: int
    pss: int


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system seconds that these processes have used, ended threads included, to the nanosecond.

    The process clock of another process is asked instead of /proc/PID/stat, whose ticks are 10 ms. Raises OSError if one is gone.
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)  # the kernel's name for "CPU clock of this process"


def memory(pids: Iterable[int]) -> Memory:
    """Return what these processes hold in memory. Raises OSError if one is gone or belongs to another user."""
    rss = pss = 0
    for pid in pids:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
        rss += int(re.findall(r"^Rss: +(\d+) kB", text, re.MULTILINE)[0]) * 1024
        pss += int(re.findall(r"^Pss: +(\d+) kB", text, re.MULTILINE)[0]) * 1024
    return Memory(rss, pss)


def tree(pid: int) -> tuple[int, ...]:
    """Return a process and all its descendants, parents first."""
    parents: dict[int, int] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended between the listing and the reading
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return tuple(found)


def open_files(pids: Iterable[int]) -> int:
    """Return how many file descriptors these processes hold."""
    return sum(1 for pid in pids for _ in (PROC / str(pid) / "fd").iterdir())


@cache
def split_cores() -> tuple[int | None, list[int]]:
    """Return the core of the gateway and the cores of the load. With one core there is nothing to pin: (None, that core).

    The first answer holds, because the bench confines itself to the load's cores then, and would find no other the next time.
    """
    cores = sorted(os.sched_getaffinity(0))
    return (cores[-1], cores[:-1]) if len(cores) > 1 else (None, cores)


def cores() -> int:
    """Return how many cores the bench may use in all."""
    core, load = split_cores()
    return len(load) + (core is not None)


@contextmanager
def unpinned(*pids: int) -> Generator[None]:
    """Let this process and others run on every core for a while."""
    core, load = split_cores()
    before = {pid: os.sched_getaffinity(pid) for pid in (0, *pids)}
    for pid in before:
        os.sched_setaffinity(pid, load if core is None else [*load, core])
    try:
        yield
    finally:
        for pid, cores in before.items():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(pid, cores)


def raise_descriptor_limit() -> int:
    """Raise this process's limit of open files as far as wanted and allowed; children inherit it. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def version_of(distribution: str) -> str:
    """Return the installed version of a distribution, or "absent"."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def nginx_version(program: str | None) -> str:
    """Return nginx's version, or "absent"."""
    if program is None:
        return "absent"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False, timeout=10).stderr
    return said.strip().rpartition("/")[2] or "unknown"


def source_version(file: Path) -> str:
    """Return the version that a module's source states, or "absent"."""
    found = re.search(r'^__version__ = "([^"]+)"', file.read_text(), re.MULTILINE) if file.exists() else None
    return found[1] if found else "absent"


class Bystanders:
    """How much of the machine's CPU others took since this was made. Counts every ended child of this process as ours."""

    def __init__(self) -> None:
        self._busy, self._ours, self._began = self._busy_seconds(), sum(os.times()[:4]), time.monotonic()

    @staticmethod
    def _busy_seconds() -> float:
        user, nice, system, _, _, irq, softirq, steal = map(int, (PROC / "stat").read_text().split(maxsplit=9)[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    def share(self) -> float:
        """Return what others, other machines on the same host included, took of all cores, 0 to 1."""
        busy = self._busy_seconds() - self._busy
        others = busy - (sum(os.times()[:4]) - self._ours)
        return max(0.0, others / ((time.monotonic() - self._began) * (os.cpu_count() or 1)))


def describe(nginx: str | None, aisa_version: str) -> dict[str, str]:
    """Return what a reader must know of this machine to compare figures: name -> value, in the order to print."""
    models = re.findall(r"^model name\s*: (.*)$", (PROC / "cpuinfo").read_text(), re.MULTILINE)
    return {
        "machine": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "aisa": aisa_version,
        "uvloop": version_of("uvloop"),
        "nginx": nginx_version(nginx),
        "fastapi": version_of("fastapi"),
        "httpx": version_of("httpx"),
        "uvicorn": version_of("uvicorn"),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
