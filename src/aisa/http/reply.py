"""One answer on an HTTP/1.1 connection: status, headers and body framing. Does not know requests, time-outs or what it carries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

from aisa.callbacks import call_guarded
from aisa.http.delivery import Delivery
from aisa.http.outbox import POSTED_BYTES_MAX
from aisa.wire.port import HeaderList

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
_UNPRINTABLE = re.compile(r"[^ -~]")
_AS_QUERY = bytes(byte if 0x20 <= byte < 0x7F or byte in b"\r\n" else ord("?") for byte in range(256))
CHUNK_END_BYTES = 2  # the line end behind a chunk
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(unix_seconds: int) -> str:
    """Return the time as HTTP writes it, whatever the process's locale: `Sun, 06 Nov 1994 08:49:37 GMT`."""
    then = datetime.fromtimestamp(unix_seconds, UTC)
    return f"{_DAYS[then.weekday()]}, {then.day:02} {_MONTHS[then.month - 1]} {then:%Y %H:%M:%S} GMT"


def header_lines(headers: HeaderList) -> bytes:
    """Return headers' lines. What does not belong into them is replaced: a line break would begin a header, or a reply, of its own."""
    text = ""
    for name, value in headers:
        text += f"{name}: {value}\r\n"
    lines = text.encode("ascii", "replace").translate(_AS_QUERY)
    if lines.count(b"\n") == lines.count(b"\r") == len(headers):
        return lines
    return "".join([_UNPRINTABLE.sub("?", f"{name}: {value}") + "\r\n" for name, value in headers]).encode()


class ReplyServer(Protocol):
    """What a reply asks of the server."""

    draining: bool  # the server is going away: connections are not kept, and the head has to say so

    def date_line(self) -> bytes:
        """Return the `date` header's line with its line end."""
        ...


class ReplyConnection(Protocol):
    """What a reply asks of the connection that carries it."""

    def reply_ended(self, reply: Reply) -> None:
        """Called once, when the reply's last byte was handed over."""
        ...

    def forget_head(self) -> None:
        """Called when a body of unknown length begins: it may go on for hours, and only who refuses a request reads its headers."""
        ...

    def interrupt(self, reply: Reply, reason: str) -> None:
        """Cancel the task of the reply's call."""
        ...

    def abort(self) -> None:
        """Cut the connection at once."""
        ...


class Reply:
    """The receiving end of one call's answer; implements `aisa.wire.port.Client`.

    Breaking a promise about the body (its length, its order) is a bug of the caller: the connection is cut and RuntimeError raised.
    `address` is the client's as the connection tells it, where that has refused what is no request.
    """

    __slots__ = (
        "_bodiless", "_chunk_end", "_chunked", "_connection", "_corked", "_flowing", "_flushed", "_head", "_is_head", "_length",
        "_on_taken", "_out", "_probe", "_server", "address", "bytes_sent", "bytes_taken", "cancelled", "closes", "congested", "ended",
        "gone", "http11", "running", "started",
    )  # fmt: skip

    _probe: bytes
    _length: int | None
    _bodiless: bool
    _chunked: bool

    def __init__(
        self, server: ReplyServer, connection: ReplyConnection, out: Delivery, *, method: str, http11: bool, keep_alive: bool
    ) -> None:
        self._server, self._connection, self._out = server, connection, out
        #: Returns how many of the bytes written have left this process; of a connection that is being cut, those delivered.
        self.bytes_taken = out.taken
        self._is_head = method == "HEAD"
        #: The client speaks HTTP/1.1.
        self.http11 = http11
        self._head, self._chunk_end, self.address = b"", b"\r\n", ""
        self._flowing = False  # a chunked body has begun and may go on: what a stream asks of each of its thousands of chunks
        self._corked = False  # what is written waits in `_head`
        self._flushed: asyncio.Event | None = None
        self._on_taken: Callable[[], None] | None = None
        self.gone = self.started = self.ended = self.congested = False
        self.bytes_sent = 0
        #: The connection ends with this reply.
        self.closes = not keep_alive
        #: The call's task has begun to run; has been asked to stop. Kept by the server.
        self.running = self.cancelled = False

    def start(self, status: int, headers: HeaderList, length: int | None, *, probe: bytes = b"") -> None:
        """Commit to a status; the head leaves together with the first write, or with the end.

        `headers` must not name date, connection, content-length or transfer-encoding (ours). `length` is in bytes, None if not known.
        `probe` is what a living client ignores between two writes of a body without a known length.
        """
        if self.started:
            raise RuntimeError("a reply was started twice")
        self.started, self._probe, self._length = True, probe, length
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, self._server.date_line(), header_lines(headers)]
        self._bodiless, self._chunked = self._is_head, False
        if status in (204, 304):
            self._bodiless = True
        elif length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        else:
            self._connection.forget_head()
            if self.http11:
                lines.append(b"transfer-encoding: chunked\r\n")
                self._chunked = not self._is_head
        if self.closes or self._server.draining:
            self.closes = True
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def cork(self) -> None:
        """Have what is written leave together with the end, which comes at once, if nothing has been written yet."""
        self._corked = not self.started

    def write(self, data: bytes) -> int:
        """Hand over body bytes in one write; an empty one sends the head alone. Once the client is gone nothing is sent.

        Returns where they end, as `bytes_written` counts: what frames them may end later. Raises RuntimeError if the reply is not open or
        the body grows over its length; the connection is cut in the latter case.
        """
        out = self._out
        if self._flowing and data and not out.is_closing():
            size = len(data)
            self.bytes_sent += size
            out.write(b"%x\r\n%b\r\n" % (size, data))
            return out.bytes_written - CHUNK_END_BYTES
        if not self.started or self.ended:
            raise RuntimeError("a reply was written to before its start or after its end")
        if self.gone or out.is_closing():
            out.bytes_written += len(data)  # so that they never count as delivered
            return out.bytes_written
        head, self._head = self._head, b""
        if data and not self._bodiless:
            self.bytes_sent += len(data)
            if self._length is not None and self.bytes_sent > self._length:
                self._fail(f"a reply of {self._length} bytes was given {self.bytes_sent}")
            payload = b"%b%x\r\n%b%b" % (head, len(data), data, self._chunk_end) if self._chunked else head + data
        else:
            payload = head
        framing = len(self._chunk_end) if self._chunked else 0
        if self._corked:
            self._head = payload
            return out.bytes_written + len(payload) - framing
        if payload:
            self._flowing = self._chunked and not self.ended
            out.write(payload)
        return out.bytes_written - framing

    async def writable(self, taken: Callable[[], None] | None = None) -> None:
        """Wait until the kernel has taken what is waiting, or the client is gone. The caller bounds the wait.

        `taken` is called at the very moment, before the waiting task gets its turn; not if the client is gone.
        """
        if self.congested:
            if self._flushed is None:
                self._flushed = asyncio.Event()
            self._on_taken = taken
            await self._flushed.wait()

    def end(self, data: bytes = b"") -> None:
        """End the body after these last bytes of it; a second call does nothing.

        Raises RuntimeError, and cuts the connection, if the body is longer or shorter than its length.
        """
        if self.ended:
            return
        if not self.started:
            raise RuntimeError("a reply was ended before its start")
        if self._head and self._length == len(data) and data and not (self._bodiless or self.gone or self._out.is_closing()):
            self._send_whole(data)
            return
        if self._corked and data and self._chunked and not (self.gone or self._out.is_closing()):
            self._send_whole(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data), self.bytes_sent + len(data))
            return
        self._corked = self._flowing = False  # so that the write below sees to the end
        last = b"0\r\n\r\n" if self._chunked else b""
        if data and not self._bodiless:
            self._chunk_end += last  # one write, not two
            last = b""
            self.write(data)
        self.ended, self._flowing = True, False
        last = self._head + last
        if self.gone or self._out.is_closing():
            self._out.bytes_written += len(last)
            if self.gone:
                return
        else:
            if self._length is not None and not self._bodiless and self.bytes_sent != self._length:
                self._fail(f"a reply of {self._length} bytes was ended after {self.bytes_sent}")
            if last:
                self._out.write(last)
        self._connection.reply_ended(self)

    def _send_whole(self, data: bytes, size: int | None = None) -> None:
        """Send a reply whose whole body is here: one message, which can wait for the end of the loop's turn unless it is a large one."""
        head, self._head = self._head, b""
        self.bytes_sent = len(data) if size is None else size
        self.ended = True
        if len(data) <= POSTED_BYTES_MAX:
            self._out.post(head + data)
        else:
            self._out.write(head + data)
        self._connection.reply_ended(self)

    @property
    def bytes_written(self) -> int:
        """Bytes written to the connection so far, this reply's and those before it, heads and framing included."""
        return self._out.bytes_written

    def bytes_delivered(self) -> int:
        """Return how many of the bytes written the client's system has acknowledged (`delivery.py` says where that cannot be told)."""
        return self._out.delivered()

    def when_taken(self, tell: Callable[[], None]) -> None:
        """After the end: call once when all that was written has left this process, if the kernel takes it in one go; else not at all."""
        self._out.when_taken(tell)

    def tell_delivery(self, tell: Callable[[bool], None]) -> None:
        """Call once with True when all that was written so far is delivered, with False if the connection is lost before."""
        self._out.tell(tell)

    def interrupt(self, reason: str) -> None:
        """Cancel the call's task."""
        self._connection.interrupt(self, reason)

    def abort(self) -> None:
        """Cut the connection at once; what the client has not taken is lost."""
        self.ended, self._flowing = True, False
        self._connection.abort()

    def probe(self, *, again: bool) -> None:
        """Send what a living client ignores, so that one who has left answers with a reset.

        Before the head that is an interim response, once: there are proxies that break at a second one.
        """
        if not self.started or self._head:
            if not again:
                self._out.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif self._probe and self._chunked and not self.congested:
            self.write(self._probe)

    def flushed(self) -> None:
        """Wake who waits in `writable`: nothing is waiting in this process any more."""
        self.congested = False
        taken, self._on_taken = self._on_taken, None
        if taken is not None:
            call_guarded(taken)  # whoever waits below must be woken
        if self._flushed is not None:
            self._flushed.set()
            self._flushed = None

    def lost(self) -> None:
        """The client is gone: wake who waits for it."""
        self.gone, self._flowing, self._on_taken = True, False, None
        self.flushed()

    def _fail(self, why: str) -> None:
        self.ended = True
        self._connection.abort()
        raise RuntimeError(why)
