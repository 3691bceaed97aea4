"""What very many open streams do to a subject: the memory of silent ones, and whether paced ones bring every chunk in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import uvloop

from benchmarks.calls import request
from benchmarks.costs import Meter
from benchmarks.machine import Memory, memory
from benchmarks.plan import (
    IDLE_MIB_BUDGET,
    JUDGED,
    PACE_MS,
    SETTLE_SECONDS,
    SILENT_MODEL,
    STALL_SECONDS,
    STREAM_KIB_BUDGET,
    WATCH_EVERY,
    Plan,
    paced_model,
)
from benchmarks.report import Row, Table, percentile, verdict
from benchmarks.streams import finish_streams, open_streams
from benchmarks.subjects import NAIVE, Running, Subject, blaming, started

MIB = 1 << 20


async def held(running: Running, count: int) -> Memory:
    """Return what a subject holds while so many silent streams are open."""
    asked = request(SILENT_MODEL, key=running.subject.key, stream=True)
    channels = await open_streams(running.subject.port, asked, chunks=0, count=count)
    await asyncio.sleep(SETTLE_SECONDS)
    now = memory(running.pids)
    for channel in channels:
        channel.leave()
    return now


def memories(subjects: Sequence[Subject], plan: Plan) -> Table:
    """Memory after start and with many silent streams, each subject freshly started."""
    rows: list[Row] = []
    for subject in subjects:
        with started(subject) as running, blaming(subject):
            time.sleep(SETTLE_SECONDS)
            idle = memory(running.pids)
            full = uvloop.run(held(running, plan.streams))
        per_stream = (full.rss - idle.rss) / plan.streams / 1024
        judged = ""
        if subject.name == JUDGED:
            judged = f"{verdict(idle.rss / MIB, IDLE_MIB_BUDGET, 'MiB')}, {verdict(per_stream, STREAM_KIB_BUDGET, 'KiB')}"
        rows.append((subject.name, idle.rss / MIB, idle.pss / MIB, full.rss / MIB, full.pss / MIB, per_stream, judged))
    how = (
        f"MiB of a fresh process (with its children) after one call, then with {plan.streams:,} streams that have had their role chunk and "
        "nothing more."
    )
    columns = (("subject", 0), ("idle RSS", 1), ("idle PSS", 1), ("open RSS", 1), ("open PSS", 1), ("KiB RSS / stream", 1), ("budget", 0))
    return Table("memory", "Memory", how, columns, tuple(rows))


async def crowd_row(running: Running, vendor_pid: int, plan: Plan) -> Row:
    """Hold very many paced streams open to their end and return the row."""
    chunks = plan.crowd_chunks
    asked = request(paced_model(chunks), key=running.subject.key, stream=True)
    meter = Meter(running, vendor_pid)
    channels = await open_streams(running.subject.port, asked, chunks=chunks, count=plan.streams, watch_every=WATCH_EVERY)
    await finish_streams(channels, plan.crowd_seconds * 3)
    cost = meter.per(chunks * plan.streams, 0.0)
    watched = [channel for channel in channels if not channel.rest_seconds]
    gaps = [channel.gap for channel in watched]
    stalled = sum(gap >= STALL_SECONDS for gap in gaps)
    late = percentile([channel.took for channel in watched], 99) - plan.crowd_seconds
    rig = (cost.subject * 1e6 if running.pids else None, cost.client * 1e6, cost.vendor * 1e6)
    judged = verdict(float(stalled), 0, "stalled") if running.subject.name == JUDGED else ""
    middle = tuple(percentile(gaps, percent) * 1e3 for percent in (50, 99, 100))
    return (running.subject.name, float(chunks * plan.streams), *middle, float(stalled), late, *rig, judged)


def crowd(subjects: Sequence[Running], vendor_port: int, vendor_pid: int, *, plan: Plan) -> Table:
    """Very many paced streams at once: all chunks, their order, the longest gap. First without a gateway: what the rig itself can do."""
    rows: list[Row] = []
    direct = Running(replace(subjects[0].subject, name="direct", port=vendor_port), (), 0.0)
    for running in (direct, *subjects):
        if running.subject.name != NAIVE:
            with blaming(running.subject):
                rows.append(uvloop.run(crowd_row(running, vendor_pid, plan)))
    how = (
        f"{plan.streams:,} streams at once, one chunk per {PACE_MS} ms each for {plan.crowd_seconds:g} s. Every chunk came and in order, "
        f"or the bench had stopped. Gap: the longest of a stream in ms; stalled: a gap of {STALL_SECONDS * 1e3:g} ms or more; late: p99 "
        f"of the seconds past the pace; all three of every {WATCH_EVERY}th stream, which is read as it comes. Direct: no gateway, "
        "the rig alone. The naive relay is not asked: it would need two minutes of CPU for ten seconds of this."
    )
    columns = (("subject", 0), ("chunks", 0), ("gap p50", 0), ("gap p99", 0), ("gap max", 0), ("stalled", 0), ("late", 2))
    return Table(
        "crowd",
        "Many streams at once",
        how,
        (*columns, ("us CPU / chunk", 2), ("client us", 2), ("vendor us", 2), ("budget", 0)),
        tuple(rows),
    )
