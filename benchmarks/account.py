"""Where the memory of silent streams is: what each line of ours, of the loop's and of its libraries has allocated that is still there.

Run as a program it is a server, like `python -m aisa`, whose allocations are traced: slower and larger than one that is measured, so the
figures of `memory` come from elsewhere. The server writes its allocations to a file each time when that is made.
"""

from __future__ import annotations

import asyncio
import gc
import os
import runpy
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, this folder's siblings are not importable otherwise

import uvloop

from benchmarks.calls import request
from benchmarks.load import BenchFailed
from benchmarks.plan import JUDGED, SETTLE_SECONDS, SILENT_MODEL, Plan
from benchmarks.report import Row, Table
from benchmarks.streams import open_streams
from benchmarks.subjects import Running, Subject, blaming, started

WANTED, TAKEN = "wanted-allocations", "allocations"  # files in the subject's folder
LOOK_SECONDS = 0.1
TAKEN_SECONDS_MAX = 60.0
LEAST_BYTES = 8.0  # a stream: what is less is of tables that grow seldom
MAPPED = "the journal's mapped file"
LOOP = {"runners.py": "the loop: clients' transports, contexts", "dial.py": "the loop: vendors' transports, sockets"}


def watch(folder: Path) -> None:
    """Write what is allocated whenever somebody wants it."""
    while True:
        time.sleep(LOOK_SECONDS)
        if (folder / WANTED).exists():
            gc.collect()
            tracemalloc.take_snapshot().dump(str(folder / TAKEN))
            (folder / WANTED).unlink()


def serve() -> None:
    """Be a server that is traced; the folder is the first argument, what `aisa` takes follows."""
    folder, *rest = sys.argv[1:]
    tracemalloc.start()
    threading.Thread(target=watch, args=(Path(folder),), daemon=True).start()
    sys.argv = ["aisa", *rest]
    runpy.run_module("aisa", run_name="__main__", alter_sys=True)


def traced(subject: Subject) -> Subject:
    """Return aisa as such a server."""
    place = subject.command.index("-m")
    command = (*subject.command[:place], str(Path(__file__)), str(subject.folder), *subject.command[place + 2 :])
    return replace(subject, command=command)


def allocated(folder: Path) -> tracemalloc.Snapshot:
    """Return what a running server has allocated. Raises BenchFailed."""
    (folder / WANTED).touch()
    give_up = time.monotonic() + TAKEN_SECONDS_MAX
    while (folder / WANTED).exists():
        if time.monotonic() > give_up:
            raise BenchFailed("the traced server did not say what it has allocated")
        time.sleep(LOOK_SECONDS)
    return tracemalloc.Snapshot.load(str(folder / TAKEN))


def mapped_bytes(pid: int, ending: str) -> int:
    """Return how much of mapped files whose names end so is in a process's memory."""
    found = 0
    for part in Path(f"/proc/{pid}/smaps").read_text().split("\nVmFlags:"):
        if f"{ending}\n" in part:
            found += int(part.partition("\nRss:")[2].split()[0]) * 1024
    return found


async def streaming(running: Running, before: tracemalloc.Snapshot, count: int) -> list[Row]:
    """Open silent streams and return what each has left, by file, the most first."""
    asked = request(SILENT_MODEL, key=running.subject.key, stream=True)
    channels = await open_streams(running.subject.port, asked, chunks=0, count=count)
    await asyncio.sleep(SETTLE_SECONDS)
    differences = allocated(running.subject.folder).compare_to(before, "filename")
    mapped = mapped_bytes(running.pids[0], "/data/board")
    for channel in channels:
        channel.leave()
    sizes: Counter[str] = Counter({MAPPED: mapped})
    blocks: Counter[str] = Counter()
    for difference in differences:
        file = difference.traceback[0].filename
        name = LOOP.get(os.path.basename(file)) or ("aisa" + file.rpartition("/aisa")[2] if "/aisa/" in file else "libraries")
        sizes[name] += difference.size_diff
        blocks[name] += difference.count_diff
    rows: list[Row] = [(name, size / count, blocks[name] / count) for name, size in sizes.most_common() if size >= LEAST_BYTES * count]
    return [*rows, ("all of it", sum(sizes.values()) / count, sum(blocks.values()) / count)]


def account(subjects: Sequence[Subject], plan: Plan) -> Table:
    """Say by file where the memory of a silent stream is. Raises BenchFailed."""
    rows: list[Row] = []
    for subject in (traced(subject) for subject in subjects if subject.name == JUDGED):
        with started(subject) as running, blaming(subject):
            time.sleep(SETTLE_SECONDS)
            rows += uvloop.run(streaming(running, allocated(subject.folder), plan.streams))
    how = (
        f"Bytes that one of {plan.streams:,} silent streams has allocated and keeps, by the file that asked for them (tracemalloc). What "
        "RSS has more is the allocators': sizes are rounded up to 16 bytes, and pages have room that nobody has."
    )
    return Table("account", "What a silent stream keeps", how, (("where", 0), ("bytes", 0), ("blocks", 1)), tuple(rows))


if __name__ == "__main__":
    serve()
