"""What other doors cost beside that of chat completions with everything around them: sockets, the kernel, the ledger, streams at a pace.

`doors` measures the same in our own Python alone. Here it is a process of ours for each vendor's dialect; they take turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.calls import request
from benchmarks.costs import Cost, Round, call_round, interleaved, paced_round
from benchmarks.doors import OPENAI, messages_asked, responses_asked
from benchmarks.load import BenchFailed
from benchmarks.plan import PACE_MS, PACED_CHUNKS, PACED_MODEL, PACED_STREAMS, PASSING_BUDGET, WRITING_BUDGET, Plan
from benchmarks.report import Row, Table, ratios, spread, verdict
from benchmarks.streams import WORD, StreamChannel, dechunk
from benchmarks.subjects import Build, Running, Subject, aisa, fake_vendor, started

#: What is asked at which door of a vendor of which dialect. The first is what the others are measured by.
WAYS = {
    "chat on openai": ("chat", OPENAI),
    "messages on openai": ("messages", OPENAI),
    "responses on openai": ("responses", OPENAI),
    "messages on anthropic": ("messages", "anthropic"),
    "responses on responses": ("responses", "responses"),
}
CHAT, *OTHERS = WAYS
ENDS = {"chat": b"data: [DONE]\n", "messages": b"event: message_stop\n", "responses": b"event: response.completed\n"}


class DoorChannel(StreamChannel):
    """A connection for streams of a door."""

    def __init__(self, request: bytes, door: str) -> None:
        super().__init__(request, PACED_CHUNKS)
        self._door = door

    def check(self) -> int:
        """Check and forget all finished streams; returns how many chunks they brought. Raises BenchFailed."""
        for raw in self.finished:
            text = dechunk(raw.partition(b"\r\n\r\n")[2])
            words = WORD.findall(text)[:PACED_CHUNKS]  # what ends an item of a response has its text again
            if words != [b"w%06d" % number for number in range(PACED_CHUNKS)] or text.count(ENDS[self._door]) != 1:
                raise BenchFailed(f"a stream of {self._door} is not whole: {text[-300:]!r}")
        brought = len(self.finished) * PACED_CHUNKS
        self.finished = []
        return brought


def asked(door: str, key: str, *, stream: bool) -> bytes:
    """Return a request at a door."""
    if door == "chat":
        return request(PACED_MODEL, key=key, stream=True) if stream else request("bench-model", key=key)
    return (messages_asked if door == "messages" else responses_asked)(stream, key, PACED_MODEL)


def one_call(running: Running, vendor_pid: int, plan: Plan) -> Coroutine[Any, Any, Cost]:
    """Measure calls at a way's door."""
    door, _ = WAYS[running.subject.name]
    return call_round(running, vendor_pid, plan, asked=asked(door, running.subject.key, stream=False))


def one_paced(running: Running, vendor_pid: int, plan: Plan) -> Coroutine[Any, Any, Cost]:
    """Measure paced chunks at a way's door."""
    door, _ = WAYS[running.subject.name]
    sent = asked(door, running.subject.key, stream=True)
    return paced_round(running, vendor_pid, plan, make=lambda: DoorChannel(sent, door))


def rows(shape: str, subjects: Sequence[Running], vendor_pid: int, *, plan: Plan, one: Round) -> list[Row]:
    """Return a row for each way: microseconds, times chat, verdict."""
    costs = {name: [cost.subject for cost in taken] for name, taken in interleaved(subjects, vendor_pid, plan, one).items()}
    found: list[Row] = [(f"{shape}, {CHAT}", spread([cost * 1e6 for cost in costs[CHAT]]), 1.0, "")]
    for name in OTHERS:
        times = ratios(costs[name], costs[CHAT])
        budget = WRITING_BUDGET if WAYS[name][1] == OPENAI else PASSING_BUDGET
        found.append((f"{shape}, {name}", spread([cost * 1e6 for cost in costs[name]]), times, verdict(times, budget, "x chat")))
    return found


def served(plan: Plan) -> Table:
    """Measure calls and paced chunks at each door. Raises BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="aisa-bench-") as folder, fake_vendor("speaking.py") as (port, pid), ExitStack() as stack:
        subjects: list[Running] = []
        for name, (_, dialect) in WAYS.items():
            own = Path(folder) / name.replace(" ", "-")
            own.mkdir()
            subject = aisa(own, port, ["bench-model", PACED_MODEL], Build(name), dialect=dialect)
            if not isinstance(subject, Subject):
                raise BenchFailed(subject)
            subjects.append(stack.enter_context(started(subject)))
        found = rows("call", subjects, pid, plan=plan, one=one_call) + rows("paced chunk", subjects, pid, plan=plan, one=one_paced)
    how = (
        f"A process of ours for each; calls as in `calls`, and {PACED_STREAMS} open streams of {PACED_CHUNKS} chunks, one chunk per "
        f"{PACE_MS} ms each, begun one by one all the time, their openings and ends in the figure; {plan.rounds} interleaved rounds; "
        "microseconds of CPU."
    )
    return Table("served", "Other doors, served", how, (("per", 0), ("us CPU", 2), ("times chat", 2), ("budget", 0)), tuple(found))
