"""`make soak`: mixed load on aisa for a long time, watching memory, open files and errors. Measures no speed.

Everything runs on ports of its own, and takes well under one core, so that hours of it disturb nobody. The exit status says whether the
soak ran; the verdict is its last line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, this folder's siblings are not importable otherwise

import uvloop

from benchmarks.calls import CALL_MODEL, PROMPT, CallChannel, request
from benchmarks.leaks import ALLOCATOR_ENVIRONMENT, HOUR_SECONDS, Reading, allocator_figures, judged, kinds_mib
from benchmarks.load import BenchFailed, C, Channel, connect
from benchmarks.machine import cpu_seconds, memory, open_files, raise_descriptor_limit, split_cores
from benchmarks.plan import SHORT_MODEL
from benchmarks.streams import StreamChannel
from benchmarks.subjects import Running, aisa, fake_vendor, started

CALLERS = 8
AGENTS = 4
STREAMERS = 32
LEAVERS = 12
SLOW_READERS = 4
REFUSED = 2
SENDERS = 1
STREAM_CHUNKS = 250  # five seconds at the usual pace
SLOW_CHUNKS = 5_000  # one megabyte, more than the kernels on the way would hold
STREAM_MODEL = f"bench-{STREAM_CHUNKS}x20"
SLOW_MODEL = f"bench-{SLOW_CHUNKS}x0"
NO_MODEL = "bench-of-nobody"
LARGE_BYTES = 500_000  # of a conversation that an agent sends again and again; the fake vendor takes a million

CALL_PAUSE_SECONDS = 0.05
REFUSED_PAUSE_SECONDS = 0.2
SEND_PAUSE_SECONDS = 0.5
RETRY_PAUSE_SECONDS = 0.2
SLOW_PAUSE_SECONDS = 0.05
SLOW_RECEIVE_BYTES = 16_384  # a small window, so that the slow reader is felt upstream and not absorbed by its own kernel
EXCHANGE_SECONDS_MAX = 120.0
REPORT_SECONDS = 10.0
COUNTED = ("calls", "short", "streams", "left", "slow", "refused", "large", "errors")
QUIET_SECONDS = 5.0  # within which everything that the load opened must be closed again


@dataclass
class Tally:
    """What has happened so far: counts by name, and the first error in words."""

    counts: Counter[str] = field(default_factory=Counter[str])
    first_error: str = ""

    def failed(self, reason: str) -> None:
        """Count an error."""
        self.counts["errors"] += 1
        self.first_error = self.first_error or reason


class SlowChannel(StreamChannel):
    """A client that reads a little and rests."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and shrink the receive window."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BYTES)


class RefusedChannel(Channel):
    """A client that asks for a model that nobody serves."""

    def data_received(self, data: bytes) -> None:
        """Take the refusal, which comes whole."""
        if data.startswith(b"HTTP/1.1 404 ") and b"unknown_model" in data:
            self.answered()
        else:
            self.refuse("a call for an unknown model was not answered with 404", data)


@asynccontextmanager
async def opened(make: Callable[[], C], port: int) -> AsyncGenerator[C]:
    """Hold one connection open. Raises BenchFailed if it does not come about."""
    [channel] = await connect(make, port, 1)
    try:
        yield channel
    finally:
        channel.leave()


async def exchange(channel: Channel) -> None:
    """Make one exchange on an open channel. Raises BenchFailed if it is refused, broken or too slow."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(_: Channel) -> None:
        if not over.done():
            over.set_result(None)

    def failed(reason: str) -> None:
        if not over.done():
            over.set_exception(BenchFailed(reason))

    channel.on_answer, channel.on_failure = answered, failed
    channel.ask(time.perf_counter())
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS_MAX):
            await over
    except TimeoutError as error:
        raise BenchFailed("an exchange did not end") from error


@dataclass(frozen=True)
class Visitors:
    """The kinds of clients, each a loop without end on connections of its own."""

    port: int
    key: str
    tally: Tally

    async def keep_trying(self, visit: Callable[[int], Awaitable[None]], number: int) -> None:
        """Make a visit again and again; what fails is counted and tried anew on a new connection."""
        while True:
            try:
                await visit(number)
            except BenchFailed as failure:
                self.tally.failed(str(failure))
                await asyncio.sleep(RETRY_PAUSE_SECONDS)

    async def call(self, _: int) -> None:
        """Call on one connection, some twenty times a second, until something fails."""
        asked = request(CALL_MODEL, key=self.key)
        await self.ask_on(lambda: CallChannel(asked), "calls", CALL_PAUSE_SECONDS)

    async def be_refused(self, _: int) -> None:
        """Ask for what there is not, a few times a second: refused calls are kept too, and forgotten."""
        asked = request(NO_MODEL, key=self.key)
        await self.ask_on(lambda: RefusedChannel(asked), "refused", REFUSED_PAUSE_SECONDS)

    async def send_much(self, _: int) -> None:
        """Call with a large body on a connection of its own, and leave in the middle of another: neither body may be kept."""
        asked = request(CALL_MODEL, key=self.key, words=PROMPT * (LARGE_BYTES // len(PROMPT)))
        async with opened(lambda: CallChannel(asked), self.port) as channel:
            await exchange(channel)
        async with opened(lambda: CallChannel(asked[: LARGE_BYTES // 2]), self.port) as channel:
            channel.ask(time.perf_counter())
            await asyncio.sleep(SEND_PAUSE_SECONDS)
        self.tally.counts["large"] += 1

    async def ask_on(self, make: Callable[[], Channel], name: str, pause_seconds: float) -> None:
        """Ask on one connection with pauses, until something fails."""
        async with opened(make, self.port) as channel:
            while True:
                await exchange(channel)
                self.tally.counts[name] += 1
                await asyncio.sleep(pause_seconds)

    async def stream_shortly(self, _: int) -> None:
        """Read streams of one chunk, as agents do, each on a connection of its own."""
        asked = request(SHORT_MODEL, key=self.key, stream=True)
        async with opened(lambda: StreamChannel(asked, 1), self.port) as channel:
            await exchange(channel)
            channel.check()
        self.tally.counts["short"] += 1
        await asyncio.sleep(CALL_PAUSE_SECONDS)

    async def stream(self, _: int) -> None:
        """Read paced streams on one connection and check each, until something fails."""
        asked = request(STREAM_MODEL, key=self.key, stream=True)
        async with opened(lambda: StreamChannel(asked, STREAM_CHUNKS), self.port) as channel:
            while True:
                await exchange(channel)
                channel.check()
                self.tally.counts["streams"] += 1

    async def leave_early(self, number: int) -> None:
        """Leave one stream in its middle: at the first byte, or up to two seconds later."""
        asked = request(STREAM_MODEL, key=self.key, stream=True)
        async with opened(lambda: StreamChannel(asked, STREAM_CHUNKS), self.port) as channel:
            channel.on_failure = self.tally.failed
            channel.ask(time.perf_counter())
            await asyncio.sleep((number + self.tally.counts["left"]) % 21 / 10)
        self.tally.counts["left"] += 1

    async def read_slowly(self, _: int) -> None:
        """Read one long stream more slowly than it comes, and check that nothing was dropped."""
        asked = request(SLOW_MODEL, key=self.key, stream=True)
        async with opened(lambda: SlowChannel(asked, SLOW_CHUNKS, rest_seconds=SLOW_PAUSE_SECONDS), self.port) as channel:
            await exchange(channel)
            channel.check()
            self.tally.counts["slow"] += 1


async def soak(running: Running, seconds: float, share: float, tally: Tally) -> list[Reading]:
    """Load the subject with a share of the clients for so many seconds and report; returns what was seen at each report.

    Of every kind there is one client at least. Raises BenchFailed if the subject dies.
    """
    visitors = Visitors(running.subject.port, running.subject.key, tally)
    kinds = (
        (visitors.call, CALLERS),
        (visitors.stream_shortly, AGENTS),
        (visitors.stream, STREAMERS),
        (visitors.leave_early, LEAVERS),
        (visitors.read_slowly, SLOW_READERS),
        (visitors.be_refused, REFUSED),
        (visitors.send_much, SENDERS),
    )
    tasks = [
        asyncio.ensure_future(visitors.keep_trying(visit, number))
        for visit, count in kinds
        for number in range(max(1, round(count * share)))
    ]
    began = time.monotonic()
    seen: list[Reading] = []
    while (passed := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(REPORT_SECONDS, seconds - passed))
        broken = [task for task in tasks if task.done()]
        if broken:
            broken[0].result()
        try:
            seen.append(Reading(time.monotonic() - began, memory(running.pids).rss / 2**20))
            files, held = open_files(running.pids), kinds_mib(running.pids)
        except OSError as error:
            raise BenchFailed(f"aisa is gone\n{running.subject.log_tail()}") from error
        counts = "  ".join(
            f"{name} {tally.counts[name]:,}" for name in ("calls", "short", "streams", "left", "slow", "refused", "large", "errors")
        )
        parts = ", ".join(f"{kind} {mib:.1f}" for kind, mib in held.items())
        say(f"{seen[-1].seconds:7.0f} s  {seen[-1].mib:7.1f} MiB ({parts})  {files:5} files  {counts}")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


def run(hours: float, share: float, folder: Path, *, workers: int = 1) -> None:
    """Start everything, soak, and say the verdict. Raises BenchFailed."""
    raise_descriptor_limit()
    with fake_vendor() as (vendor_port, vendor_pid):
        models = sorted({CALL_MODEL, SHORT_MODEL, STREAM_MODEL, SLOW_MODEL})
        subject = aisa(folder, vendor_port, models, settings={"server": {"workers": workers}})
        if isinstance(subject, str):
            raise BenchFailed(subject)
        subject = replace(subject, environment={**subject.environment, **ALLOCATOR_ENVIRONMENT})
        with started(subject) as running:
            os.sched_setaffinity(0, split_cores()[1])
            say(f"aisa on port {subject.port}, processes {', '.join(map(str, running.pids))}; the vendor on port {vendor_port}")
            time.sleep(QUIET_SECONDS)
            files, vendor_files = open_files(running.pids), open_files([vendor_pid])
            tally, before, log = Tally(), cpu_seconds(running.pids), subject.folder / "log"
            held = [allocator_figures(log.read_text(errors="replace"))]
            seen = uvloop.run(soak(running, hours * HOUR_SECONDS, share, tally))
            held.append(allocator_figures(log.read_text(errors="replace")))
            used = (cpu_seconds(running.pids) - before) / (hours * HOUR_SECONDS)
            time.sleep(QUIET_SECONDS)
            # A connection kept open to the vendor for the next call is not a leak; the vendor's own count says how many there are.
            left = open_files(running.pids) - files - (open_files([vendor_pid]) - vendor_files)
    for when, figures in zip(("when the load began", "when it last took an arena"), held, strict=True):
        said = ", ".join(f"{name} {value:,}" for name, value in figures.items()) or "it did not speak"
        say(f"Python's allocator {when}: {said}")
    say(f"aisa took {used:.0%} of a core")
    errors = tally.counts["errors"]
    steady, words = judged(seen, hours)
    if errors:
        say(f"first error: {tally.first_error}\n{subject.log_tail()}")
    say(
        f"{'within' if steady and errors == 0 and left <= 0 else 'over'}: {errors} errors (0), {words}, {left} files left open "
        f"{QUIET_SECONDS:g} s after the load (0)"
    )


def say(text: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run as a command; 1 if the soak could not be run to its end."""
    parser = argparse.ArgumentParser(prog="soak", description="Put mixed load on aisa for a long time and watch for leaks.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--hours", type=float, help="how long, instead: from 1 on the slope is judged, from 4 on as for a release")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual clients, so many (default 1): 0.5 beside other work")
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve (default 1); memory is that of all together")
    options = parser.parse_args()
    try:
        if platform.system() != "Linux":
            raise BenchFailed("needs Linux: it reads memory and open files from /proc")
        with tempfile.TemporaryDirectory(prefix="aisa-soak-") as folder:
            run(options.hours or options.minutes / 60, options.share, Path(folder), workers=options.workers)
    except BenchFailed as failure:
        sys.stderr.write(f"soak: {failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
