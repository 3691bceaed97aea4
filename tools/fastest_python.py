"""Finds the supported Pythons of this machine and says which is fastest: by a tenth of a second of what a call's path does in each.

How an interpreter was built matters as much as its version: one that was compiled by hand without profile-guided optimisation loses a
seventh. `--list` prints all of them with their figures; else the fastest one's path goes to standard output and a line to standard error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3")
PLACES = ("/usr/local/bin", "/usr/bin")  # beside the search path, where shims of a version manager may stand before the system's own
ANSWER_SECONDS_MAX = 20.0  # a machine that is busy; the usual one answers in a fifth of a second

#: What each is asked: whether it can make environments, who it is, and how long the work takes it at best, in microseconds of CPU.
PROBE = """
import sys, time, venv, ensurepip

class Piece:
    __slots__ = ("data", "tokens", "ends")
    def __init__(self, data, tokens, *, ends=()):
        self.data, self.tokens, self.ends = data, tokens, ends

class Stream:
    left = 0
    def __init__(self, limit):
        self.limit, self.kept = limit, {}
    @property
    def open(self):
        return self.left < self.limit
    def take(self, piece):
        self.left += piece.tokens
        self.kept[piece.tokens] = piece.data
        return [part.partition(b":")[2].strip() for part in piece.data.split(b";") if part]

async def each(stream, pieces):
    for piece in pieces:
        if not stream.open:
            raise ValueError("limit")
        if len(stream.take(piece)) != 3 or f"{piece.tokens:x}" == "":
            return None
    return stream.left

def work():
    for _ in range(40):
        pieces = [Piece(b"a: 1;b: 22;c: 333", number, ends=(number,)) for number in range(25)]
        course = each(Stream(1_000_000), pieces)
        try:
            course.send(None)
        except StopIteration:
            pass

best = 1e9
for _ in range(25):
    began = time.process_time()
    work()
    best = min(best, time.process_time() - began)
print("%d.%d.%d" % sys.version_info[:3], round(best * 1e6), sys.executable, sep="\\t")
"""


def candidates(search_path: str, places: Sequence[str]) -> list[str]:
    """Return every program that is called like a Python, once each."""
    folders = [*search_path.split(os.pathsep), *places]
    paths = [Path(folder) / name for folder in folders for name in NAMES if folder]
    return list(dict.fromkeys([str(path) for path in paths if os.access(path, os.X_OK)]))


def asked(program: str) -> tuple[int, str, str] | None:
    """Return how many microseconds a Python took, its version and its own path; None for one that is not supported or cannot be used."""
    try:
        command = [program, "-I", "-c", PROBE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS_MAX)  # noqa: S603 - on the path
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.strip().split("\t")
    if done.returncode or len(words) != 3:
        return None
    version, microseconds, path = words
    major, minor, _ = version.split(".")
    return (int(microseconds), version, path) if OLDEST <= (int(major), int(minor)) <= NEWEST else None


def found(search_path: str, places: Sequence[str] = PLACES) -> list[tuple[int, str, str]]:
    """Return the supported Pythons, the fastest first; several names of the same one are one."""
    seen: dict[str, tuple[int, str, str]] = {}
    for program in candidates(search_path, places):
        told = asked(program)
        if told is not None:
            seen.setdefault(os.path.realpath(told[2]), told)
    return sorted(seen.values())


def main() -> int:
    """Run as a command; 1 if there is none."""
    pythons = found(os.environ.get("PATH", ""))
    if not pythons:
        sys.stderr.write("Python 3.11 to 3.14 with its venv module is needed. On Debian: apt install python3 python3-venv\n")
        return 1
    best = pythons[0][0]
    if "--list" in sys.argv:
        for microseconds, version, path in pythons:
            sys.stdout.write(f"{microseconds / best:5.2f} x  {version:8}  {path}\n")
        return 0
    sys.stderr.write(f"Python {pythons[0][1]} at {pythons[0][2]} is the fastest of {len(pythons)} here\n")
    sys.stdout.write(f"{pythons[0][2]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
