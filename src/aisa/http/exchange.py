"""One answer of a vendor as it arrives: framing, limits, and the one reader who waits. Owns no socket and decodes no content."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aisa.errors import UpstreamFailed
from aisa.http.failures import broke_off, unfit_answer
from aisa.http.unpacked import CODINGS
from aisa.timers import Timer, Timers

HEAD_BYTES_MAX = 65_536  # real vendors send 1 to 3 KiB of headers; also bounds trailers and chunk extensions
HEADER_LINES_MAX = 100  # real vendors send up to 40
INTERIM_ANSWERS_MAX = 10  # 1xx answers before the real one; more than two have no use
ARRIVAL_BYTES_MAX = 16_384  # what one read from the socket takes at most: large enough that a burst costs few wake-ups
RELEASE_SECONDS_MAX = 0.25  # the end of a body often is a packet of its own behind the last event; a new TLS connection costs about as much
RELEASE_BYTES_MAX = 4_096  # what may still precede that end unread; a vendor that says more after its last word is not worth keeping
CODING_CHARACTERS_MAX = 60  # of a coding that we cannot read, for the log; real names are shorter
#: Headers that say how the body is to be read, as they stand in a head in lower case. The parser lets no line end into a value, no colon
#: into a name, and no line end but this one pass.
LINE_END, HEAD_END = b"\r\n", b"\r\n\r\n"
CONTENT_TYPE, CONTENT_LENGTH = b"\r\ncontent-type:", b"\r\ncontent-length:"
CONTENT_ENCODING, TRANSFER_ENCODING = b"\r\ncontent-encoding:", b"\r\ntransfer-encoding:"
EVENT_STREAM = b"text/event-stream"
MEDIA_TYPE_BYTES = 64  # that are looked at, blanks before it included
SHORT_HEAD_BYTES = 4 * HEADER_LINES_MAX  # no more lines than that fit into it
UNREAD_BYTES_MAX = 12_288  # beyond it the socket is not read; with one more arrival, and as much waiting for the client, under 64 KiB


class ExchangeConnection(Protocol):
    """What an exchange asks of the connection that carries it."""

    def pause(self) -> None:
        """Stop reading from the socket."""
        ...

    def resume(self) -> None:
        """Read from the socket again."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...

    def release(self, *, whole: bool) -> None:
        """End the exchange. `whole`: the answer arrived to its end and the vendor lets the connection live on."""
        ...


class Intake:
    """What a pool's connections read into, each in its turn, and what their parsers call, for the `exchange` that has set itself there."""

    __slots__ = ("buffer", "exchange", "on_body", "on_headers_complete", "on_message_begin", "on_message_complete", "pieces")

    # What a parser would call too, and looks for: that something is not there is dear to find out.
    on_status = on_header = on_chunk_header = on_chunk_complete = None

    def __init__(self, bytes_max: int = ARRIVAL_BYTES_MAX) -> None:
        self.buffer = memoryview(bytearray(bytes_max))
        self.exchange: Exchange
        self.pieces: list[bytes] = []  # of the body, that one read has brought
        # The parsers call the list's own append: a stream has thousands of chunks, and a Python frame for each doubles their cost. Nor
        # does each parser have bound methods of its own, which with an object to bind them to would be half of what it takes.
        self.on_body = self.pieces.append
        self.on_message_begin, self.on_message_complete = self._begin, self._complete
        self.on_headers_complete = lambda: self.exchange.take_head()  # noqa: PLW0108 - of another exchange each time

    def _begin(self) -> None:
        """See a message begin. Raises, to stop the parser, when the answer was already complete."""
        if self.exchange.complete:
            raise ValueError("bytes after the end of the answer")

    def _complete(self) -> None:
        """Note the end of the answer (an interim one has none)."""
        self.exchange.complete = self.exchange.answered


class Exchange:
    """A request's answer, in the shape of `aisa.providers.port.Answer`. Made by the connection, fed by it, closed by the reader."""

    __slots__ = (
        "_body_bytes", "_bytes_max", "_closed", "_connection", "_failure", "_framing_bytes", "_head", "_intake", "_interim",
        "_keep_alive", "_kept", "_parser", "_paused", "_release_timer", "_timers", "_unread", "_until_close", "_vendor",
        "_waiter", "answered", "coding", "complete", "limited", "status",
    )  # fmt: skip

    def __init__(
        self, connection: ExchangeConnection, timers: Timers, parser: HttpResponseParser, *,
        intake: Intake, vendor: str, bytes_max: int, kept: bool,
    ) -> None:  # fmt: skip
        """`parser` tells `intake`. `bytes_max` bounds a body that is no event stream; `kept`: the connection has served an exchange.

        Once the head is there, `coding` says how the body is packed ("" if it is not), and `limited` whether `bytes_max` counts.
        """
        self.status, self.coding = 0, ""
        self.limited = self._until_close = self._keep_alive = False
        self.answered = self.complete = self._closed = self._paused = False
        self._interim = self._framing_bytes = self._body_bytes = 0
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._release_timer: Timer | None = None
        self._connection, self._timers, self._vendor = connection, timers, vendor
        self._bytes_max, self._kept, self._intake, self._parser = bytes_max, kept, intake, parser
        self._head: bytes = b""
        self._unread: bytes = b""

    # What the reader calls.

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in lower case, repeats joined; of a good event stream none, unless they name its tier."""
        headers: dict[str, str] = {}
        for line in self._head.decode("latin-1").split("\r\n")[1:] if self.answered else ():
            name, _, value = line.partition(":")
            known, value = name.lower(), value.strip(" \t")
            headers[known] = f"{headers[known]}, {value}" if known in headers else value
        return headers

    async def head(self) -> None:
        """Wait until status and headers have arrived. Raises UpstreamFailed. Cancelling it leaves the exchange to be closed."""
        while not self.answered:
            if self._failure is not None:
                raise self._failure
            waiter = self._waiter = self._timers.loop.create_future()
            await waiter

    async def read(self) -> bytes:
        """Return the body bytes that are there, 1 byte to 64 KiB, waiting for the first; b"" at the proper end.

        Raises UpstreamFailed once all that came before the failure has been read. Cancelling it leaves the answer as it is.
        """
        while not self._unread:
            if self._failure is not None:
                raise self._failure
            if self.complete:
                return b""
            waiter = self._waiter = self._timers.loop.create_future()
            await waiter
        data, self._unread = self._unread, b""
        if self._paused:
            self._paused = False
            self._connection.resume()
        return data

    def release(self) -> None:
        """Read no more, but keep the connection if the body ends within RELEASE_SECONDS_MAX and RELEASE_BYTES_MAX."""
        if self._closed:
            return
        self._closed = True
        if self.complete or self._failure is not None or self._paused:
            self._let_go()
        else:
            timer = self._release_timer = Timer(self._timers)
            timer.set(RELEASE_SECONDS_MAX, self._let_go)

    def close(self) -> None:
        """Give the connection back if the answer has arrived to its end, else abort it. A no-op after either."""
        if not self._closed:
            self._closed = True
            self._let_go()

    async def arrival(self) -> None:
        """Wait until anything happens on the connection. Cancelling it aborts the connection."""
        waiter = self._waiter = self._timers.loop.create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.close()
            raise

    # What the connection calls.

    @property
    def needs_no_more(self) -> bool:
        """True once sending the rest of the request is pointless: the vendor has refused it, answered it in full or gone."""
        return self._failure is not None or self.complete or self.status >= 400

    def wake(self) -> None:
        """Let the reader look again, or let go if it only waited for the end."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        elif self._release_timer is not None and (self.complete or self._failure is not None or len(self._unread) > RELEASE_BYTES_MAX):
            self._release_timer.stop()
            self._let_go()

    def feed(self, data: memoryview) -> None:
        """Take the next bytes from the socket, at most ARRIVAL_BYTES_MAX of them. They are copied out before this returns."""
        if self._failure is not None:
            return
        if not self.answered:
            self._head += bytes(data)
        intake = self._intake
        intake.exchange, pieces = self, intake.pieces
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._refuse_unfit(error)
        except BaseException:
            pieces.clear()  # the next to read is another's
            raise
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._unread += body
            self._framing_bytes = 0
            if self.limited:
                self._body_bytes += len(body)
            if len(self._unread) > UNREAD_BYTES_MAX or self._body_bytes > self._bytes_max:
                self._look_at_size()
        else:
            self._framing_bytes += len(data)
            if self._framing_bytes > HEAD_BYTES_MAX:
                self._refuse(f"more than {HEAD_BYTES_MAX} bytes of headers")
        waiter = self._waiter  # `wake`, without a frame for it
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        elif self._release_timer is not None:
            self.wake()

    def end(self, *, taken: bool) -> None:
        """Take the end of the vendor's bytes, which for an answer without any length is its proper end.

        `taken`: the vendor has read the whole request, and may have done what it asks.
        """
        if self.answered and self._until_close and self._failure is None:
            self.complete = True
        self._kept = self._kept and not taken
        self.lost("the vendor closed the connection")

    def lost(self, detail: str) -> None:
        """Take the loss of the connection."""
        self._keep_alive = False
        self._fail(broke_off(self._vendor, detail, may_repeat=self._kept and not (self._head or self.answered)))
        self.wake()

    # What the parser calls.

    def take_head(self) -> None:
        """Judge the head: skip an interim answer, refuse what we cannot read, else let the reader have it. Nobody looks at trailers."""
        status = self._parser.get_status_code()
        head = self._head.lstrip(LINE_END)
        end = head.index(HEAD_END)
        if status < 200:
            self._head = head[end + len(HEAD_END) :]
            self._skip_interim(status)
            return
        head = self._head = head[:end]  # one object, not three a line
        if end > SHORT_HEAD_BYTES:
            self._look_at_head(head)
        told, coding = head.lower(), b""
        if told.find(TRANSFER_ENCODING) >= 0:  # not `in`, which first finds out, by way of an exception, that bytes are no number
            coding = told_in(told, TRANSFER_ENCODING)
            if coding not in (b"", b"chunked"):
                self._refuse_coding("transfer-encoding", coding)
        if told.find(CONTENT_ENCODING) >= 0:
            self._note_coding(told_in(told, CONTENT_ENCODING))
        if self._failure is not None:
            return
        self.status = status
        begin = told.find(CONTENT_TYPE) + len(CONTENT_TYPE)
        self.limited = begin < len(CONTENT_TYPE) or not told[begin : begin + MEDIA_TYPE_BYTES].lstrip(b" \t").startswith(EVENT_STREAM)
        self._until_close = not coding and told.find(CONTENT_LENGTH) < 0
        self._keep_alive = self._parser.should_keep_alive()
        if status == 200 and not self.limited and told.find(b"service-tier:") < 0:  # which one vendor names in its head alone
            self._head = b""
        self.answered = True

    # Inside.

    def _let_go(self) -> None:
        whole = self.complete and self._keep_alive and self._failure is None
        self._failure = RuntimeError("the answer has been closed")
        self._unread = b""
        self._connection.release(whole=whole)

    def _refuse_unfit(self, error: HttpParserError | HttpParserUpgrade) -> None:
        self._keep_alive = False
        upgrade = isinstance(error, HttpParserUpgrade)
        why = "it wants to upgrade the protocol, unasked" if upgrade else f"{type(error).__name__}: {error}"
        self._refuse("an answer that is not HTTP/1.1", why)

    def _look_at_head(self, head: bytes) -> None:
        """Refuse a head that is too long."""
        if len(head.split(LINE_END, HEADER_LINES_MAX + 1)) > HEADER_LINES_MAX + 1:
            self._refuse(f"more than {HEADER_LINES_MAX} header lines")
        elif len(head) > HEAD_BYTES_MAX:
            self._refuse(f"more than {HEAD_BYTES_MAX} bytes of headers")

    def _note_coding(self, named: bytes) -> None:
        """Keep how the body is packed, if that is something that can be unpacked."""
        codings = [coding for part in named.decode("latin-1").split(",") if (coding := part.strip()) not in ("", "identity")]
        if len(codings) > 1 or not CODINGS.issuperset(codings):
            self._refuse_coding("content-encoding", named)
        self.coding = codings[0] if codings else ""

    def _refuse_coding(self, header: str, named: bytes) -> None:
        shown = named[:CODING_CHARACTERS_MAX].decode("latin-1")
        self._refuse("a compressed answer, which was not asked for", f"{header}: {shown}")

    def _skip_interim(self, status: int) -> None:
        self._interim += 1
        if status < 100 or status == 101:
            self._refuse("an answer with an impossible status", f"status {status}")
        elif self._interim > INTERIM_ANSWERS_MAX:
            self._refuse(f"more than {INTERIM_ANSWERS_MAX} interim answers")

    def _look_at_size(self) -> None:
        """See whether what has arrived is too much in all, or for now."""
        if self._body_bytes > self._bytes_max:
            self.complete = False
            self._refuse(f"an answer of more than {self._bytes_max} bytes")
        elif len(self._unread) > UNREAD_BYTES_MAX and not self.complete and not self._paused:
            self._paused = True
            self._connection.pause()

    def _refuse(self, what: str, detail: str = "") -> None:
        self._fail(unfit_answer(self._vendor, what, detail))

    def _fail(self, failure: UpstreamFailed) -> None:
        if self._failure is None and not self.complete:
            self._failure = failure
            self._connection.abort()


def told_in(head: bytes, name: bytes) -> bytes:
    """Return what a header says in a head in lower case that has it, with the values of repeated ones behind each other."""
    begin = head.index(name) + len(name)
    value = head[begin : end if (end := head.find(LINE_END, begin)) >= 0 else len(head)].strip(b" \t")
    return value if head.find(name, begin) < 0 else value + b", " + told_in(head[begin:], name)
