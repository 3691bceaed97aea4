"""The client of streams: keeps the bytes while the clock runs, checks afterwards that every chunk came in order. Decodes no JSON."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Sequence

from benchmarks.load import BenchFailed, Channel, connect

STREAM_BYTES_MAX = 64 << 20  # the longest script of a bench run is a thousandth of it
OK = b"HTTP/1.1 200 "
END = b"\r\n0\r\n\r\n"  # cannot occur earlier: a head has no line "0" and events hold no carriage return
WORD = re.compile(rb" (w\d{6})\"")
FIRST_WORD = b' w000000"'
TAIL_BYTES_SHOWN = 300
LOOK_SECONDS = 0.02  # often enough beside the seconds that a run lasts
RAMP_SECONDS = 0.001  # between two openings, so that the chunks are spread over the pace and not sent in step
UNWATCHED_REST_SECONDS = 0.2  # ten chunks at the bench's pace: far less than the kernels on the way hold, so nobody feels it
OPENED_SECONDS_MAX = 60.0  # for a thousand streams to begin: the naive relay needs a quarter of it


def dechunk(body: bytes) -> bytes:
    """Return the content of a complete chunked body. Raises ValueError if its framing is broken."""
    pieces: list[bytes] = []
    at = 0
    while True:
        line_end = body.index(b"\r\n", at)
        size = int(body[at:line_end].partition(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        at = line_end + 2 + size
        pieces.append(body[line_end + 2 : at])
        if body[at : at + 2] != b"\r\n":
            raise ValueError("a chunk is not followed by a line end")
        at += 2


def check_stream(raw: bytes, chunks: int) -> None:
    """Check one whole response: status 200, `chunks` numbered words in order, one finish reason, `[DONE]` last. Raises BenchFailed."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if not head.startswith(OK):
        raise BenchFailed(f"a stream was not answered with 200: {raw[:TAIL_BYTES_SHOWN]!r}")
    try:
        text = dechunk(body)
    except ValueError as error:
        raise BenchFailed(f"a stream's chunked framing is broken: {error}") from error
    words = WORD.findall(text)
    if words != [b"w%06d" % number for number in range(chunks)]:
        wrong = next((at for at, word in enumerate(words) if word != b"w%06d" % at), len(words))
        came = f"a stream brought {len(words)} of {chunks} chunks, first wrong one at {wrong}"
        raise BenchFailed(f"{came}; it ended {text[-TAIL_BYTES_SHOWN:]!r}")
    if text.count(b'"finish_reason":"stop"') + text.count(b'"finish_reason": "stop"') != 1 or not text.endswith(b"data: [DONE]\n\n"):
        raise BenchFailed(f"a stream has no proper end: {text[-TAIL_BYTES_SHOWN:]!r}")


class StreamChannel(Channel):
    """A connection for streams. `finished` keeps the bytes of every finished stream for `check`.

    `events` counts what has arrived; `gap` is the longest wait between two reads of one stream and `took` the time from request to end of
    the last finished one, both in seconds. With `rest_seconds` the client rests that long after each read.
    """

    def __init__(self, request: bytes, chunks: int, *, rest_seconds: float = 0.0) -> None:
        super().__init__(request)
        self.chunks = chunks
        self.rest_seconds = rest_seconds
        self.parts: list[bytes] = []
        self.finished: list[bytes] = []
        self.events = 0
        self.gap = 0.0
        self.took = 0.0
        self._last = 0.0
        self._bytes = 0
        self._no_word_yet = True

    def begin(self) -> None:
        """Forget the previous stream's parts."""
        self.parts = []
        self._bytes = 0
        self._no_word_yet = True
        self._last = 0.0

    def data_received(self, data: bytes) -> None:
        """Keep the bytes, note when they came, and finish the stream at its last chunk."""
        now = time.perf_counter()
        if now - self._last > self.gap and self._last:
            self.gap = now - self._last
        self._last = now
        self.parts.append(data)
        self._bytes += len(data)
        self.events += data.count(b"\n\n")
        if self._no_word_yet and FIRST_WORD in b"".join(self.parts):
            self._no_word_yet = False
            self.seconds = now - self.due
        if data.endswith(END) or (len(data) < len(END) and b"".join(self.parts[-len(END) :]).endswith(END)):
            self.finished.append(b"".join(self.parts))
            self.parts = []
            self.took = now - self.due
            self.answered()
        elif not OK.startswith(self.parts[0][: len(OK)]) or self._bytes > STREAM_BYTES_MAX:
            self.refuse("a stream was refused or has no end", b"".join(self.parts))
        elif self.rest_seconds:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self.rest_seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def check(self) -> int:
        """Check and forget all finished streams; returns how many chunks they brought. Raises BenchFailed."""
        for raw in self.finished:
            check_stream(raw, self.chunks)
        brought = len(self.finished) * self.chunks
        self.finished = []
        return brought


async def until(channels: Sequence[StreamChannel], reached: Callable[[StreamChannel], bool], what: str, seconds_max: float) -> None:
    """Wait until every channel has reached something. Raises BenchFailed if that takes too long or a stream has failed."""
    try:
        async with asyncio.timeout(seconds_max):
            while not all(map(reached, channels)):
                if reasons := [channel.broken for channel in channels if channel.broken]:
                    raise BenchFailed(f"{len(reasons)} of {len(channels)} streams failed, the first: {reasons[0]}")
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError as error:
        have = sum(map(reached, channels))
        raise BenchFailed(f"only {have} of {len(channels)} streams {what} within {seconds_max:.0f} s") from error


async def open_streams(port: int, request: bytes, *, chunks: int, count: int, watch_every: int = 1) -> list[StreamChannel]:
    """Open so many streams, one by one, and return once each has had its role chunk. Raises BenchFailed.

    Each `watch_every`-th is read as it comes; the others are read a few times a second, which costs the client a fraction.
    """
    numbers = itertools.count()
    channels = await connect(
        lambda: StreamChannel(request, chunks, rest_seconds=UNWATCHED_REST_SECONDS if next(numbers) % watch_every else 0.0), port, count
    )
    for channel in channels:
        channel.ask(time.perf_counter())
        await asyncio.sleep(RAMP_SECONDS)
    await until(channels, lambda channel: channel.events > 0, "had begun", OPENED_SECONDS_MAX)
    return channels


async def finish_streams(channels: Sequence[StreamChannel], nominal_seconds: float) -> None:
    """Wait for the end of all streams, check every chunk and leave. The rest should take `nominal_seconds`. Raises BenchFailed."""
    await until(channels, lambda channel: not channel.busy, "had ended", nominal_seconds + OPENED_SECONDS_MAX)
    for channel in channels:
        if channel.check() != channel.chunks:
            raise BenchFailed(channel.broken or "a stream ended and is not there")
        channel.leave()
