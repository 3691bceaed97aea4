"""How long callers wait: latency added at half load, and the time from exec to a first answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import uvloop

from benchmarks.calls import CALL_MODEL, CallChannel, request
from benchmarks.load import OPEN_LOOP_CONNECTIONS_MAX, Channel, Load, connect
from benchmarks.plan import (
    ADDED_P50_MS_BUDGET,
    ADDED_P99_MS_BUDGET,
    CALL_CONNECTIONS,
    FIRST_TOKEN_CHUNKS,
    FIRST_TOKEN_MODEL,
    JUDGED,
    START_SECONDS_BUDGET,
    Plan,
)
from benchmarks.report import Row, Table, percentile, spread, verdict
from benchmarks.streams import StreamChannel
from benchmarks.subjects import Running, Subject, blaming, started

RATE_MAX = 4_000.0  # calls/s: beyond it the client and the fake vendor, one wake-up per call each, fill half of their own core


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked and how its answer is read: whole calls, or streams up to their first token."""

    name: str
    model: str
    stream: bool

    async def load(self, subject: Subject, connections: int) -> Load:
        """Open so many connections to a subject."""
        asked = request(self.model, key=subject.key, stream=self.stream)

        def make() -> Channel:
            return StreamChannel(asked, FIRST_TOKEN_CHUNKS) if self.stream else CallChannel(asked)

        return Load(await connect(make, subject.port, connections))


KINDS = (Kind("call", CALL_MODEL, False), Kind("first token", FIRST_TOKEN_MODEL, True))


def close(load: Load) -> None:
    """Leave, and check what streams have brought. Raises BenchFailed."""
    load.leave()
    for channel in load.channels:
        if isinstance(channel, StreamChannel):
            channel.check()


async def rate_max(subject: Subject, kind: Kind, plan: Plan) -> float:
    """Return how many answers per second a closed loop gets."""
    load = await kind.load(subject, CALL_CONNECTIONS)
    await load.closed(plan.warm_up_seconds)
    rate = await load.closed(plan.latency_seconds / 2)
    close(load)
    return rate


async def latencies_ms(subject: Subject, kind: Kind, rate: float, seconds: float) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds at so many calls per second."""
    load = await kind.load(subject, OPEN_LOOP_CONNECTIONS_MAX)
    await load.open(rate, seconds)
    close(load)
    return percentile(load.latencies, 50) * 1e3, percentile(load.latencies, 99) * 1e3


def latency_row(running: Running, direct: Subject, kind: Kind, plan: Plan) -> Row:
    """Return one subject's row: rate; p50 and p99 direct and through it; the differences."""
    subject = running.subject
    rate = min(RATE_MAX, uvloop.run(rate_max(subject, kind, plan)) / 2)
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for _ in range(plan.latency_rounds):
        without = uvloop.run(latencies_ms(direct, kind, rate, plan.latency_seconds))
        pairs.append((without, uvloop.run(latencies_ms(subject, kind, rate, plan.latency_seconds))))
    seen = [spread([pair[way][at] for pair in pairs]).median for at in (0, 1) for way in (0, 1)]
    more50, more99 = (spread([through[at] - without[at] for without, through in pairs]) for at in (0, 1))
    judged = ""
    if subject.name == JUDGED:
        judged = f"{verdict(more50, ADDED_P50_MS_BUDGET, 'ms')}, {verdict(more99, ADDED_P99_MS_BUDGET, 'ms')}"
    return (f"{subject.name}, {kind.name}", rate, *seen, more50, more99, judged)


def latency(subjects: Sequence[Running], vendor_port: int, plan: Plan) -> Table:
    """Latency that a subject adds at half of its own highest rate."""
    direct = replace(subjects[0].subject, name="direct", port=vendor_port)
    rows: list[Row] = []
    for kind in KINDS:
        for running in subjects:
            with blaming(running.subject):
                rows.append(latency_row(running, direct, kind, plan))
    how = (
        f"Open loop at half of the subject's own highest rate (at most {RATE_MAX:,.0f}/s, half of what the rig can do), "
        f"{plan.latency_rounds} rounds of {plan.latency_seconds:g} s, each beside a direct connection to the upstream at the same rate; "
        "ms, counted from when a call was due."
    )
    columns = (("subject", 0), ("calls/s", 0), ("direct p50", 2), ("p50", 2), ("direct p99", 2), ("p99", 2))
    return Table("latency", "Added latency", how, (*columns, ("added p50", 2), ("added p99", 2), ("budget", 0)), tuple(rows))


def starts(subjects: Sequence[Subject], plan: Plan) -> Table:
    """Seconds from exec to the first answered call."""
    rows: list[Row] = []
    for subject in subjects:
        seconds: list[float] = []
        for _ in range(plan.starts):
            with started(subject) as running:
                seconds.append(running.start_seconds)
        found = spread(seconds)
        rows.append((subject.name, found, verdict(found, START_SECONDS_BUDGET, "s") if subject.name == JUDGED else ""))
    how = f"Seconds from exec to the first answered call, {plan.starts} starts; files are in the page cache, the data folder exists."
    return Table("start", "Start", how, (("subject", 0), ("seconds", 3), ("budget", 0)), tuple(rows))
