"""`make instructions`: what `path`, `dialects` and `doors` measure, in instructions of the processor, which bear a busy machine.

Each figure is a process of its own under valgrind's callgrind, whose counting is switched on behind calls that warm it. Two runs differ by
less than a percent; kernel and caches are not in it, nor is the look for garbage, of which one more or less would be a fourth of the
figure.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, this folder's siblings are not importable otherwise

import uvloop

from benchmarks import dialects, doors
from benchmarks.load import BenchFailed
from benchmarks.microseconds import one_chunk
from benchmarks.path import STREAM_MODEL, asking, seconds_of_cpu
from benchmarks.plan import BURST_CHUNKS, CALL_CONNECTIONS
from benchmarks.report import Row, Table, as_markdown

CALLS, STREAMS = 192, 8  # that are counted
WARM_SHARE = 2  # of so many calls one is made before
SHORT = "short"
SHAPES = {**dict(zip(("call", "alone", "burst"), doors.SHAPES, strict=True)), SHORT: "stream of one chunk"}
RELAY = ("chat", "openai")
LIMITED = {"limits in memory": "memory", "limits in shared memory": "shared"}  # a key with limits, whose use is kept there; calls alone
WAYS = (
    RELAY,
    ("messages", "openai"),
    ("responses", "openai"),
    ("messages", "anthropic"),
    ("responses", "responses"),
    *[("chat", dialect) for dialect in dialects.SPOKEN if dialect != "openai"],
    *[("chat", kept) for kept in LIMITED],
)


def switched(on: list[bool]) -> float:
    """Switch the counting of this process on, then off. Returns no seconds."""
    on.append(len(on) % 2 == 0)
    state = "on" if on[-1] else "off"
    subprocess.run(["callgrind_control", f"--instr={state}", str(os.getpid())], check=True, capture_output=True)
    return 0.0


def counted(door: str, dialect: str, shape: str, switch: Callable[[], float], *, calls: int) -> None:
    """Make the calls of one figure, in the process that is counted; `switch` is called behind those that warm it and at the end."""
    stream, limits = shape != "call", LIMITED.get(dialect, "")
    if limits:
        dialect = "openai"
    at_once = 1 if SHAPES[shape] in doors.SHAPES[1:] else CALL_CONNECTIONS
    asks: Callable[[str], bytes]
    if door == "chat":
        asks = partial(asking, STREAM_MODEL, True) if stream else partial(doors.chat_asked, False)
        speech = doors.CHAT
    else:
        speech = doors.DOORS[door][0]
        asks = partial(speech.asked, stream)
    if door != "chat" and dialect != doors.DOORS[door][1]:
        speech = doors.CHAT
    if shape == SHORT:
        pieces = [one_chunk()]
    elif door == "chat" and stream:
        pieces = dialects.arrivals(list(dialects.SPOKEN[dialect]()), alone=shape == "alone")
    else:
        pieces = doors.pieces_of(speech, SHAPES[shape])
    warm = calls // WARM_SHARE
    uvloop.run(seconds_of_cpu(calls, pieces, asks, dialect=dialect, limits=limits, warm=warm, connections=at_once, spent=switch))


def instructions(door: str, dialect: str, shape: str) -> float:
    """Return the instructions of a unit of a shape. Raises BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="aisa-instructions-") as folder:
        written = Path(folder) / "callgrind"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={written}", sys.executable]
        command += [__file__, "--one", door, dialect, shape]
        ran = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"})
        if ran.returncode:
            raise BenchFailed(ran.stderr[-2_000:])
        total = next(line for line in written.read_text().splitlines() if line.startswith("totals:"))
    return int(total.split()[1]) / (CALLS if SHAPES[shape] not in doors.SHAPES[1:] else STREAMS * BURST_CHUNKS)


def is_counted(door: str, dialect: str, shape: str) -> bool:
    """Say whether a way has a figure of a shape: another dialect costs by the chunk, limits by the call, one chunk the relay's alone."""
    if shape == SHORT:
        return (door, dialect) == RELAY
    return door != "chat" or dialect == "openai" or (shape == "call") == (dialect in LIMITED)


def main(given: Sequence[str] | None = None) -> int:
    """Print a table of all ways, or of those that were asked for."""
    parser = argparse.ArgumentParser(prog="instructions", description="Count the instructions of calls and chunks under callgrind.")
    parser.add_argument("--one", nargs=3, metavar=("DOOR", "DIALECT", "SHAPE"), help=argparse.SUPPRESS)
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="ways that hold this text, as in 'responses on'; the relay is always counted"
    )
    parser.add_argument("--shapes", metavar="SHAPES", default=",".join(SHAPES), help="which of call, alone, burst, short")
    options = parser.parse_args(given)
    if options.one:
        gc.disable()
        door, dialect, shape = options.one
        counted(door, dialect, shape, partial(switched, []), calls=STREAMS if SHAPES[shape] in doors.SHAPES[1:] else CALLS)
        return 0
    ways = [way for way in WAYS if way == RELAY or options.only in " on ".join(way)]
    shapes = [shape for shape in options.shapes.split(",") if shape in SHAPES]
    wanted = [(*way, shape) for way in ways for shape in shapes if is_counted(*way, shape)]
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            figures = dict(zip(wanted, pool.map(lambda each: instructions(*each), wanted), strict=True))
    except (BenchFailed, FileNotFoundError) as failure:
        sys.stderr.write(f"instructions: {failure}\n(needs valgrind: apt-get install valgrind)\n")
        return 1
    rows: list[Row] = []
    for way in ways:
        row: list[str] = []
        for shape in shapes:
            count = figures.get((*way, shape))
            times = "" if count is None or way == RELAY else f" ({count / figures[(*RELAY, shape)]:.2f})"
            row.append("" if count is None else f"{count:,.0f}{times}")
        rows.append((" on ".join(way), *row))
    how = (
        f"{CALLS} calls or streams of one chunk, and {STREAMS} streams of {BURST_CHUNKS} chunks with their opening and end; in brackets "
        "times chat on openai."
    )
    table = Table("instructions", "Instructions a unit", how, (("way", 0), *[(SHAPES[shape], 0) for shape in shapes]), tuple(rows))
    sys.stdout.write(as_markdown(table) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
