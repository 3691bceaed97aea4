"""One answer of a vendor as it arrives: framing, limits, and the one reader who waits. Owns no socket and decodes no content."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
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
#: Finds the headers that say how the body is to be read. The parser lets no line end into a value, and no colon into a name.
FRAMING = re.compile(rb"^(content-type|content-length|content-encoding|transfer-encoding):(.*)", re.IGNORECASE | re.MULTILINE).findall
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


class Exchange:
    """A request's answer, in the shape of `aisa.providers.port.Answer`. Made by the connection, fed by it, closed by the reader."""

    __slots__ = (
        "_answered", "_begun", "_body_bytes", "_bytes_max", "_closed", "_complete", "_connection", "_failure", "_framing_bytes", "_head",
        "_interim", "_keep_alive", "_kept", "_lines", "_parser", "_paused", "_release_timer", "_timers", "_unread", "_unread_bytes",
        "_until_close", "_vendor", "_waiter", "coding", "limited", "on_body", "status",
    )  # fmt: skip

    # What the parser would call too, and looks for each time: that something is not there is dear to find out.
    on_status = on_chunk_header = on_chunk_complete = None

    def __init__(self, connection: ExchangeConnection, timers: Timers, *, vendor: str, bytes_max: int, kept: bool) -> None:
        """`bytes_max` bounds a body that is not an event stream; `kept`: the connection has served an exchange before.

        Once the head is there, `coding` says how the body is packed ("" if it is not), and `limited` whether `bytes_max` counts.
        """
        self.status = 0
        self.coding = ""
        self.limited = self._until_close = self._keep_alive = False
        self._begun = self._answered = self._complete = self._closed = self._paused = False
        self._interim = self._framing_bytes = self._body_bytes = self._unread_bytes = 0
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._release_timer: Timer | None = None
        self._head = b""
        self._connection = connection
        self._timers = timers
        self._vendor = vendor
        self._bytes_max = bytes_max
        self._kept = kept
        self._lines: list[bytes] = []
        self._unread: list[bytes] = []
        # The parser calls the list's own append: a stream has thousands of chunks, and a Python frame for each doubles their cost.
        self.on_body: Callable[[bytes], None] = self._unread.append
        self._parser = HttpResponseParser(self)

    # What the reader calls.

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in lower case, repeats joined. Read from the bytes each time: only of a refusal does anybody ask."""
        headers: dict[str, str] = {}
        for line in self._head.decode("latin-1").split("\n") if self._head else ():
            name, _, value = line.partition(":")
            known = name.lower()
            headers[known] = f"{headers[known]}, {value.rstrip()}" if known in headers else value.rstrip()
        return headers

    async def head(self) -> None:
        """Wait until status and headers have arrived. Raises UpstreamFailed. Cancelling it leaves the exchange to be closed."""
        while not self._answered:
            if self._failure is not None:
                raise self._failure
            waiter = self._waiter = self._timers.loop.create_future()
            await waiter

    async def read(self) -> bytes:
        """Return the body bytes that are there, 1 byte to 64 KiB, waiting for the first; b"" at the proper end.

        Raises UpstreamFailed once all that came before the failure has been read. Cancelling it leaves the answer as it is.
        """
        unread = self._unread
        while not unread:
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return b""
            waiter = self._waiter = self._timers.loop.create_future()
            await waiter
        data = unread[0] if len(unread) == 1 else b"".join(unread)
        unread.clear()
        self._unread_bytes = 0
        if self._paused:
            self._paused = False
            self._connection.resume()
        return data

    def release(self) -> None:
        """Read no more, but keep the connection if the body ends within RELEASE_SECONDS_MAX and RELEASE_BYTES_MAX."""
        if self._closed:
            return
        self._closed = True
        if self._complete or self._failure is not None or self._paused:
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
        return self._failure is not None or self._complete or self.status >= 400

    def wake(self) -> None:
        """Let the reader look again, or let go if it only waited for the end."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        elif self._release_timer is not None and (self._complete or self._failure is not None or self._unread_bytes > RELEASE_BYTES_MAX):
            self._release_timer.stop()
            self._let_go()

    def feed(self, data: memoryview) -> None:
        """Take the next bytes from the socket, at most ARRIVAL_BYTES_MAX of them. They are copied out before this returns."""
        if self._failure is not None:
            return
        self._begun = True
        self._framing_bytes += len(data)
        unread = self._unread
        known = len(unread)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._keep_alive = False
            self._fail(unfit_answer(self._vendor, "an answer that is not HTTP/1.1", f"{type(error).__name__}: {error}"))
        except HttpParserUpgrade:
            self._keep_alive = False
            self._fail(unfit_answer(self._vendor, "an answer that is not HTTP/1.1", "it wants to upgrade the protocol, unasked"))
        if len(unread) > known:
            self._framing_bytes = 0
            self._unread_bytes += len(unread[-1]) if len(unread) == known + 1 else sum(map(len, unread[known:]))
            if self.limited or self._unread_bytes > UNREAD_BYTES_MAX:
                self._look_at_size(unread, known)
        elif self._framing_bytes > HEAD_BYTES_MAX:
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
        if self._answered and self._until_close and self._failure is None:
            self._complete = True
        self._kept = self._kept and not taken
        self.lost("the vendor closed the connection")

    def lost(self, detail: str) -> None:
        """Take the loss of the connection."""
        self._keep_alive = False
        self._fail(broke_off(self._vendor, detail, may_repeat=self._kept and not self._begun))
        self.wake()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """See a message begin. Raises, to stop the parser, when the answer was already complete."""
        if self._complete:
            raise ValueError("bytes after the end of the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header. Nobody looks at trailers."""
        if not self._answered:
            self._lines.append(b"%b:%b" % (name, value))

    def on_headers_complete(self) -> None:
        """Judge the head: skip an interim answer, refuse what we cannot read, else let the reader have it."""
        status = self._parser.get_status_code()
        if status < 200:
            self._skip_interim(status)
            return
        if len(self._lines) > HEADER_LINES_MAX:
            self._refuse(f"more than {HEADER_LINES_MAX} header lines")
            return
        head = self._head = b"\n".join(self._lines)  # one object for a stream's whole life, not three a line
        found = FRAMING(head)
        told = {name.lower(): value for name, value in found}
        if len(told) < len(found):
            told = joined(found)
        if self._framing_bytes > HEAD_BYTES_MAX and len(head) > HEAD_BYTES_MAX:
            self._refuse(f"more than {HEAD_BYTES_MAX} bytes of headers")
        coding = ""
        if b"transfer-encoding" in told:
            coding = told[b"transfer-encoding"].rstrip().lower().decode("latin-1")
            if coding not in ("", "chunked"):
                self._refuse("a compressed answer, which was not asked for", f"transfer-encoding: {coding[:CODING_CHARACTERS_MAX]}")
        if b"content-encoding" in told:
            self._note_coding(told[b"content-encoding"].decode("latin-1").lower())
        if self._failure is not None:
            return
        self.status = status
        self.limited = not (b"content-type" in told and told[b"content-type"].lower().startswith(b"text/event-stream"))
        self._until_close = not coding and b"content-length" not in told
        self._keep_alive = self._parser.should_keep_alive()
        self._answered = True
        self._lines = []

    def on_message_complete(self) -> None:
        """Note the end of the answer (an interim one has none)."""
        self._complete = self._answered

    # Inside.

    def _let_go(self) -> None:
        whole = self._complete and self._keep_alive and self._failure is None
        self._failure = RuntimeError("the answer has been closed")
        self._unread.clear()
        # The parser holds our bound methods; without this every exchange would wait for the garbage collector.
        del self._parser, self.on_body
        self._connection.release(whole=whole)

    def _note_coding(self, named: str) -> None:
        """Keep how the body is packed, if that is something that can be unpacked."""
        codings = [coding for part in named.split(",") if (coding := part.strip()) not in ("", "identity")]
        if len(codings) > 1 or not CODINGS.issuperset(codings):
            self._refuse("a compressed answer, which was not asked for", f"content-encoding: {named[:CODING_CHARACTERS_MAX]}")
        self.coding = codings[0] if codings else ""

    def _skip_interim(self, status: int) -> None:
        self._lines.clear()
        self._interim += 1
        if status < 100 or status == 101:
            self._refuse("an answer with an impossible status", f"status {status}")
        elif self._interim > INTERIM_ANSWERS_MAX:
            self._refuse(f"more than {INTERIM_ANSWERS_MAX} interim answers")

    def _look_at_size(self, unread: list[bytes], known: int) -> None:
        """See whether what has arrived, behind what was known to be unread, is too much in all or for now."""
        if self.limited:
            self._body_bytes += sum(map(len, unread[known:]))
        if self._body_bytes > self._bytes_max:
            self._complete = False
            self._refuse(f"an answer of more than {self._bytes_max} bytes")
        elif self._unread_bytes > UNREAD_BYTES_MAX and not self._complete and not self._paused:
            self._paused = True
            self._connection.pause()

    def _refuse(self, what: str, detail: str = "") -> None:
        self._fail(unfit_answer(self._vendor, what, detail))

    def _fail(self, failure: UpstreamFailed) -> None:
        if self._failure is None and not self._complete:
            self._failure = failure
            self._connection.abort()


def joined(found: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by their names in lower case, of which some are repeated."""
    told: dict[bytes, bytes] = {}
    for name, value in found:
        framing = name.lower()
        told[framing] = told[framing] + b", " + value if framing in told else value
    return told
