"""How load is put on a subject: connections in a closed loop, or calls at a fixed rate, answered or not. Knows no response format."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self, TypeVar, cast

CONNECT_TOGETHER_MAX = 64  # a thousand at once would measure the listen queue
CONNECT_SECONDS_MAX = 20.0
ANSWER_SECONDS_MAX = 30.0  # after the end of a run, for what is still on the way
OPEN_LOOP_CONNECTIONS_MAX = 256  # at half load far fewer are busy; beyond it, calls wait and the wait is counted
REFUSAL_BYTES_SHOWN_MAX = 400


class BenchFailed(Exception):
    """A subject did not do what every subject must; the message says which promise was broken. Ends the bench."""


class Channel(asyncio.Protocol):
    """One keep-alive connection with at most one exchange on it. A subclass knows when an answer is complete.

    `due` is when the exchange was to begin and `seconds` how long its answer (or first token) took since then; `broken` says which promise
    was broken, if one was.
    """

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.on_answer: Callable[[Channel], None] = ignore
        self.on_failure: Callable[[str], None] = ignore
        self.transport: asyncio.Transport
        self.busy = False
        self.broken = ""
        self.due = 0.0
        self.seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports have its methods, not its type

    def ask(self, due: float) -> None:
        """Send the request, which was due at `due` on the performance counter."""
        self.busy = True
        self.due = due
        self.begin()
        self.transport.write(self.request)

    def begin(self) -> None:
        """Forget the previous answer."""

    def answered(self) -> None:
        """Report a complete answer."""
        self.busy = False
        self.on_answer(self)

    def refuse(self, reason: str, data: bytes = b"") -> None:
        """Report a broken promise and leave."""
        self.busy = False
        self.broken = f"{reason}: {data[:REFUSAL_BYTES_SHOWN_MAX]!r}" if data else reason
        self.on_failure(self.broken)
        self.transport.abort()

    def leave(self) -> None:
        """Close the connection, whatever is on its way."""
        self.busy = False
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection may be closed between exchanges only."""
        if self.busy:
            self.refuse(f"the connection was lost inside an answer ({exc})")


def ignore(_: object) -> None:
    """Do nothing: nobody listens yet."""


C = TypeVar("C", bound=Channel)


async def connect(make: Callable[[], C], port: int, count: int) -> list[C]:
    """Open `count` connections to a loopback port. Raises BenchFailed if they do not come about in time."""
    loop = asyncio.get_running_loop()
    channels: list[C] = []
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            while len(channels) < count:
                together = min(CONNECT_TOGETHER_MAX, count - len(channels))
                made = await asyncio.gather(*(loop.create_connection(make, "127.0.0.1", port) for _ in range(together)))
                channels += [channel for _, channel in made]
    except (OSError, TimeoutError) as error:
        raise BenchFailed(f"only {len(channels)} of {count} connections could be opened: {error!r}") from error
    return channels


class Load:
    """A set of open channels and the two ways to drive them. Any failure of any channel fails the run that is under way."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = channels
        self.answers = 0
        self.latencies: list[float] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._over.set_result(None)
        for channel in channels:
            channel.on_failure = self._fail

    def _fail(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_exception(BenchFailed(reason))

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    async def _until_over(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds + ANSWER_SECONDS_MAX):
                await self._over
        except TimeoutError as error:
            waiting = sum(channel.busy for channel in self.channels)
            raise BenchFailed(f"{waiting} answers did not end within {ANSWER_SECONDS_MAX:.0f} s of the end of a run") from error

    async def closed(self, seconds: float, *, apart_seconds: float = 0.0) -> float:
        """Keep every channel busy for so many seconds. Returns answers per second of wall time; counts `answers`.

        The channels begin all at once, or one by one so far apart.
        """
        self.answers = 0
        self._over = asyncio.get_running_loop().create_future()
        clock = time.perf_counter
        began = clock()
        ends = began + seconds
        working = len(self.channels)

        def again(channel: Channel) -> None:
            nonlocal working
            self.answers += 1
            now = clock()
            if now < ends:
                channel.ask(now)
            else:
                working -= 1
                if not working:
                    self._finish()

        def begin(channel: Channel) -> None:
            channel.ask(clock())

        loop = asyncio.get_running_loop()
        for number, channel in enumerate(self.channels):
            channel.on_answer = again
            if apart_seconds:
                loop.call_later(number * apart_seconds, begin, channel)
            else:
                begin(channel)
        await self._until_over(seconds + apart_seconds * len(self.channels))
        return self.answers / (clock() - began)

    async def open(self, rate: float, seconds: float) -> None:
        """Begin `rate` exchanges per second, evenly spaced, for so many seconds, answered or not; collects `latencies` in seconds.

        A latency counts from the instant at which the exchange was due, so that a stall is charged to all who waited.
        """
        self.latencies = []
        self._over = asyncio.get_running_loop().create_future()
        clock = time.perf_counter
        free = list(self.channels)
        waiting: deque[float] = deque(maxlen=int(rate * (seconds + 1)) + 1)
        total = max(1, int(rate * seconds))
        sent = 0

        def answered(channel: Channel) -> None:
            self.latencies.append(channel.seconds)
            if waiting:
                channel.ask(waiting.popleft())
            else:
                free.append(channel)
            if len(self.latencies) == total:
                self._finish()

        def tick(expirations: int) -> None:
            nonlocal sent
            for _ in range(min(expirations, total - sent)):
                sent += 1
                due = began + sent / rate
                if free:
                    free.pop().ask(due)
                else:
                    waiting.append(due)

        for channel in self.channels:
            channel.on_answer = answered
        ticker = Ticker(1 / rate, tick)
        began = clock()  # last of all: what passes before the timer starts would be added to every latency
        with ticker:
            await self._until_over(seconds)

    def leave(self) -> None:
        """Close every channel."""
        for channel in self.channels:
            channel.leave()


class Ticker:
    """A periodic kernel timer on the running loop, whose own timers are a millisecond coarse: too much for thousands of calls a second."""

    def __init__(self, period_seconds: float, on_tick: Callable[[int], None]) -> None:
        """Call `on_tick` with the number of periods that have passed since the last call. Raises OSError where timerfd is missing."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.timerfd_create(1, os.O_NONBLOCK | os.O_CLOEXEC)  # 1: CLOCK_MONOTONIC
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        seconds, nanoseconds = divmod(max(1, round(period_seconds * 1e9)), 1_000_000_000)
        self._setting = (ctypes.c_long * 4)(seconds, nanoseconds, seconds, nanoseconds)
        self._on_tick = on_tick

    def __enter__(self) -> Self:
        """Start."""
        self._libc.timerfd_settime(self._file, 0, ctypes.byref(self._setting), None)
        asyncio.get_running_loop().add_reader(self._file, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)

    def _read(self) -> None:
        self._on_tick(int.from_bytes(os.read(self._file, 8), "little"))
