"""CPU time per unit of work: per call, per paced chunk, per chunk of a burst. Subjects take turns, so that a slow minute hits them all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks.calls import CALL_MODEL, CallChannel, request
from benchmarks.load import BenchFailed, Load, connect
from benchmarks.machine import cpu_seconds
from benchmarks.plan import (
    BURST_CHUNKS,
    BURST_CONNECTIONS,
    BURST_MODEL,
    CALL_BUDGET,
    CALL_CONNECTIONS,
    CHUNK_BUDGET,
    JUDGED,
    PACE_MS,
    PACED_CHUNKS,
    PACED_MODEL,
    PACED_STREAMS,
    SHORT_CONNECTIONS,
    SHORT_MODEL,
    YARDSTICK,
    Plan,
)
from benchmarks.report import Row, Table, ratios, spread, verdict
from benchmarks.streams import StreamChannel
from benchmarks.subjects import Running, blaming


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds per unit of work: of the subject, of the bench's client and of the fake vendor; and units per second of wall time."""

    subject: float
    client: float
    vendor: float
    rate: float


class Meter:
    """CPU clocks read at the start of a window and at its end."""

    def __init__(self, running: Running, vendor_pid: int) -> None:
        self._pids, self._vendor = running.pids, (vendor_pid,)
        self._from = self._read()

    def _read(self) -> tuple[float, float, float]:
        return cpu_seconds(self._pids), time.process_time(), cpu_seconds(self._vendor)

    def per(self, units: int, rate: float) -> Cost:
        """Return what each of so many units has cost since the meter was made. Raises BenchFailed if nothing was done."""
        if units <= 0:
            raise BenchFailed("a round ended without a single answer")
        subject, client, vendor = (after - before for before, after in zip(self._from, self._read(), strict=True))
        return Cost(subject / units, client / units, vendor / units, rate)


Round = Callable[[Running, int, Plan], Coroutine[Any, Any, Cost]]


def interleaved(subjects: Sequence[Running], vendor_pid: int, plan: Plan, one: Round) -> dict[str, list[Cost]]:
    """Run every subject once per round, in turn. Raises BenchFailed, naming the subject."""
    costs: dict[str, list[Cost]] = {running.subject.name: [] for running in subjects}
    for number in range(plan.rounds):
        for running in subjects if number % 2 else reversed(subjects):  # a load that grows or falls meanwhile favours nobody
            with blaming(running.subject):
                costs[running.subject.name].append(uvloop.run(one(running, vendor_pid, plan)))
    return costs


def columns(unit: str) -> tuple[tuple[str, int], ...]:
    """Return the titles that go with `rows`."""
    return (("subject", 0), (f"us CPU / {unit}", 2), ("x nginx", 2), (f"{unit}s/s", 0), ("client us", 2), ("vendor us", 2), ("budget", 0))


def rows(costs: dict[str, list[Cost]], budget: float | None) -> tuple[Row, ...]:
    """Return one row per subject: microseconds, ratio, rate, the rig's own microseconds, verdict if there is a budget."""
    yardstick = [cost.subject for cost in costs.get(YARDSTICK, [])]
    found: list[Row] = []
    for name, rounds in costs.items():
        ratio = ratios([cost.subject for cost in rounds], yardstick)
        rig = [spread(values).median * 1e6 for values in ([cost.client for cost in rounds], [cost.vendor for cost in rounds])]
        rate = spread([cost.rate for cost in rounds]).median
        judged = verdict(ratio, budget, "x nginx") if name == JUDGED and budget is not None else ""
        found.append((name, spread([cost.subject * 1e6 for cost in rounds]), ratio, rate, *rig, judged))
    return tuple(found)


async def call_round(running: Running, vendor_pid: int, plan: Plan, *, asked: bytes = b"", times: float = 1) -> Cost:
    """Keep 32 connections busy, or `times` as many, with non-streamed calls, or with these."""
    asked = asked or request(CALL_MODEL, key=running.subject.key)
    load = Load(await connect(lambda: CallChannel(asked), running.subject.port, int(times * CALL_CONNECTIONS)))
    await load.closed(plan.warm_up_seconds)
    meter = Meter(running, vendor_pid)
    rate = await load.closed(plan.call_seconds)
    cost = meter.per(load.answers, rate)
    load.leave()
    return cost


async def burst_round(running: Running, vendor_pid: int, plan: Plan) -> Cost:
    """Keep 8 connections busy with streams of 200 chunks that the vendor sends at once."""
    asked = request(BURST_MODEL, key=running.subject.key, stream=True)
    channels = await connect(lambda: StreamChannel(asked, BURST_CHUNKS), running.subject.port, BURST_CONNECTIONS)
    load = Load(channels)
    await load.closed(plan.warm_up_seconds)
    meter = Meter(running, vendor_pid)
    rate = await load.closed(plan.burst_seconds)
    cost = meter.per(load.answers * BURST_CHUNKS, rate * BURST_CHUNKS)
    load.leave()
    for channel in channels:
        channel.check()
    return cost


async def short_round(running: Running, vendor_pid: int, plan: Plan) -> Cost:
    """Keep 32 connections busy with streams of one chunk: what an agent's short answers cost."""
    asked = request(SHORT_MODEL, key=running.subject.key, stream=True)
    channels = await connect(lambda: StreamChannel(asked, 1), running.subject.port, SHORT_CONNECTIONS)
    load = Load(channels)
    await load.closed(plan.warm_up_seconds)
    meter = Meter(running, vendor_pid)
    rate = await load.closed(plan.call_seconds)
    cost = meter.per(load.answers, rate)
    load.leave()
    for channel in channels:
        channel.check()
    return cost


async def paced_round(
    running: Running, vendor_pid: int, plan: Plan, *, make: Callable[[], StreamChannel] | None = None, times: float = 1
) -> Cost:
    """Hold 64 streams open, or `times` as many, one chunk per 20 ms each, a new one when one has ended, 32 times a second.

    `make` makes the channels of other streams that are so long and so paced.
    """
    asked, streams = request(PACED_MODEL, key=running.subject.key, stream=True), int(times * PACED_STREAMS)
    channels = await connect(make or (lambda: StreamChannel(asked, PACED_CHUNKS)), running.subject.port, streams)
    load = Load(channels)
    ramp = PACED_CHUNKS * PACE_MS / 1000  # the first ends when the last begins
    before = ramp + plan.warm_up_seconds
    running_load = asyncio.ensure_future(load.closed(before + plan.paced_seconds, apart_seconds=ramp / streams))
    await asyncio.sleep(before)
    seen = sum(channel.events for channel in channels)
    meter = Meter(running, vendor_pid)
    began = time.perf_counter()
    await asyncio.sleep(plan.paced_seconds)
    came = sum(channel.events for channel in channels) - seen
    cost = meter.per(came, came / (time.perf_counter() - began))
    await running_load
    load.leave()
    for channel in channels:
        channel.check()
    return cost


def calls(subjects: Sequence[Running], vendor_pid: int, plan: Plan) -> Table:
    """CPU per non-streamed call."""
    costs = interleaved(subjects, vendor_pid, plan, call_round)
    how = (
        f"Closed loop, {CALL_CONNECTIONS} keep-alive connections, {plan.rounds} interleaved rounds of {plan.call_seconds:g} s; "
        "median (lowest-highest)."
    )
    return Table("calls", "CPU per non-streamed call", how, columns("call"), rows(costs, CALL_BUDGET))


def paced(subjects: Sequence[Running], vendor_pid: int, plan: Plan) -> Table:
    """CPU per chunk of streams at a model's pace."""
    costs = interleaved(subjects, vendor_pid, plan, paced_round)
    how = (
        f"{PACED_STREAMS} open streams of {PACED_CHUNKS} chunks, one chunk per {PACE_MS} ms each, begun one by one all the time, "
        f"{plan.rounds} interleaved rounds; a window of {plan.paced_seconds:g} s, openings and ends of streams in it included."
    )
    return Table("paced", "CPU per relayed chunk, paced", how, columns("chunk"), rows(costs, CHUNK_BUDGET))


def burst(subjects: Sequence[Running], vendor_pid: int, plan: Plan) -> Table:
    """CPU per chunk of streams that come as fast as they can."""
    costs = interleaved(subjects, vendor_pid, plan, burst_round)
    how = (
        f"{BURST_CONNECTIONS} connections, each always in a stream of {BURST_CHUNKS} chunks sent at once, {plan.rounds} interleaved "
        f"rounds of {plan.burst_seconds:g} s; a stream's opening and end are in the figure."
    )
    return Table("burst", "CPU per relayed chunk, burst", how, columns("chunk"), rows(costs, CHUNK_BUDGET))


def short(subjects: Sequence[Running], vendor_pid: int, plan: Plan) -> Table:
    """CPU per stream of one chunk."""
    costs = interleaved(subjects, vendor_pid, plan, short_round)
    how = (
        f"Closed loop, {SHORT_CONNECTIONS} keep-alive connections, each always in a stream of one chunk, {plan.rounds} interleaved rounds "
        f"of {plan.call_seconds:g} s."
    )
    return Table("short", "CPU per stream of one chunk", how, columns("stream"), rows(costs, None))
