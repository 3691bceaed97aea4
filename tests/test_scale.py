"""Many streams at once through a server process, from a vendor process: none loses a chunk, and stalled ones cost little. Times nothing."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the bench is beside the package, not in it

from benchmarks.calls import request
from benchmarks.machine import raise_descriptor_limit
from benchmarks.streams import finish_streams, open_streams
from benchmarks.subjects import fake_vendor

from faults_rig import Caller, Served, connect, on_uvloop, process, until, whole
from rig import content_of

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="what a process holds is read from /proc")

STREAMS = 1_000
CHUNKS = 300  # at 20 ms each: six seconds
STALLED = 300
# A stream may hold 64 KiB; the rest is what the connections, the call and the allocator need.
RESIDENT_BYTES_MAX = 160 * 1024
KERNEL_BYTES_MAX = 64 * 1024  # unsent or not acknowledged; with the kernel's own settings it would be megabytes


def calls(served: Served) -> list[dict[str, Any]]:
    """Return the log's lines on calls that have ended."""
    whole_lines = served.log.read_bytes().rpartition(b"\n")[0]  # the last one may be half written
    return [line for line in map(json.loads, whole_lines.splitlines()) if line["type"] == "call"]


def unsent_bytes(served: Served) -> int:
    """Return what waits in the kernel on the connections to clients."""
    table = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].partition(":")[0], 16) for row in table if row[1].endswith(f":{served.port:04X}") and row[3] == "01")


def test_a_thousand_paced_streams_lose_no_chunk(tmp_path: Path) -> None:
    """Every chunk of every stream arrives, in order, and the log counts as many tokens; afterwards no connection to a client is left."""
    raise_descriptor_limit()

    async def main(served: Served) -> None:
        channels = await open_streams(served.port, request(model, key=served.key, stream=True), chunks=CHUNKS, count=STREAMS)
        await finish_streams(channels, CHUNKS * 0.02)

    model = f"bench-{CHUNKS}x20"
    with fake_vendor() as (port, _), process(tmp_path, port, models={model: [f"local/{model}"]}) as served:
        files = len(os.listdir(f"/proc/{served.pid}/fd"))
        on_uvloop(main(served))

        async def settled() -> None:
            await until(lambda: len(calls(served)) == STREAMS)
            await until(lambda: len(os.listdir(f"/proc/{served.pid}/fd")) <= files + STREAMS)  # the vendor's connections may be kept

        on_uvloop(settled())
        assert {(call["outcome"], call["usage"]["output_tokens"]) for call in calls(served)} == {("completed", CHUNKS)}


async def stalled(served: Served, count: int) -> list[Caller]:
    """Open streams of which nobody reads more than the beginning, and wait until nothing moves any more."""
    callers: list[Caller] = []
    for _ in range(count):
        caller = await connect(served.port, receive_bytes=4_096)
        callers.append(caller)
        await caller.send(request("flood", key=served.key, stream=True))
        await caller.until(b" w000003")
    before = (-1, -1)
    while before != (before := (served.resident_bytes(), unsent_bytes(served))):  # noqa: ASYNC110  # another process is waited for
        await asyncio.sleep(0.3)
    return callers


async def one(served: Served) -> None:
    """Make one call to a paced model and check that it is whole."""
    caller = await connect(served.port)
    await caller.send(request("paced", key=served.key, stream=True))
    assert content_of(whole((await caller.reply()).body)) == "".join(f" w{number:06}" for number in range(50))
    caller.leave()


MODELS = {"flood": ["local/bench-3000x0"], "paced": ["local/bench-50x10"]}


def test_stalled_streams_hold_up_nobody(tmp_path: Path) -> None:
    """[C10] What waits for them in the kernel is bounded, a stream beside them arrives whole, and so does one that reads on at last."""
    raise_descriptor_limit()

    async def main(served: Served) -> None:
        callers = await stalled(served, STALLED)
        try:
            print(f"per stalled stream: {unsent_bytes(served) / STALLED / 1024:.0f} KiB of kernel buffers")
            assert unsent_bytes(served) / STALLED <= KERNEL_BYTES_MAX
            await one(served)
            assert content_of(whole((await callers[7].reply()).body)).endswith(" w002999")
        finally:
            for caller in callers:
                caller.reset()
        await until(lambda: len(calls(served)) == STALLED + 1)
        assert sum(call["outcome"] == "client_gone" for call in calls(served)) == STALLED - 1

    with fake_vendor() as (port, _), process(tmp_path, port, models=MODELS) as served:
        on_uvloop(main(served))


def test_a_stalled_stream_costs_little_memory(tmp_path: Path) -> None:
    """[C10] The process grows by 64 KiB for each, and what a connection and a call need."""
    raise_descriptor_limit()

    async def main(served: Served) -> None:
        for _ in range(2):  # what is allocated once is not a stream's
            await one(served)
        before = served.resident_bytes()
        callers = await stalled(served, STALLED)
        resident = (served.resident_bytes() - before) / STALLED
        for caller in callers:
            caller.reset()
        print(f"per stalled stream: {resident / 1024:.0f} KiB of the process")
        assert resident <= RESIDENT_BYTES_MAX

    with fake_vendor() as (port, _), process(tmp_path, port, models=MODELS) as served:
        on_uvloop(main(served))
