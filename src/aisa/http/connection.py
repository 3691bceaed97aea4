"""One client's HTTP/1.1 connection: reads requests, runs a task for each, carries the replies in order, and knows when the client leaves.

Does not know what a request asks for, nor how an error reads: the app writes both.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import cast

from aisa.callbacks import call_guarded
from aisa.errors import SHUTTING_DOWN, ApiError
from aisa.http.arrival import Arrival
from aisa.http.delivery import Delivery, delivery_of
from aisa.http.reply import Reply
from aisa.http.request import NO_HEADERS, Request, RequestReader
from aisa.http.reset_watch import ResetWatch
from aisa.http.shared import READ_BYTES_MAX, Shared, Verdict
from aisa.http.sockets import peer_address
from aisa.http.stall import Stall
from aisa.timers import NEVER, Timer
from aisa.wire.port import CLIENT_LEFT

CONNECTIONS_OVER_MAX = 100  # beyond connections_max as many are told why they are refused; the rest is cut without a word
UNTOLD_SECONDS = 1.0  # for one more request, when the last head did not say that its answer was the last: clients that go on do so at once
LINGER_SECONDS_MAX = 10.0  # a refused client may still be sending; long enough to finish a body and read the answer
LINGER_BYTES_MAX = 134_217_728  # four times the default body limit: who sends more will not read the answer


class Connection(asyncio.BufferedProtocol):
    """A client's connection, from accept to close. Everything here happens on the loop's thread."""

    __slots__ = (
        "_arrival", "_busy", "_congested", "_discarded_bytes", "_eof", "_flushing", "_head_timed", "_lingering", "_loop", "_out",
        "_paused", "_pending", "_reader", "_refused", "_shared", "_timer", "_transport", "_verdict", "_watch", "reply",
    )  # fmt: skip

    _transport: asyncio.Transport
    _out: Delivery
    _watch: ResetWatch
    _verdict: Verdict  # on the request whose head was read last

    def __init__(self, shared: Shared) -> None:
        self._shared, settings = shared, shared.settings
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(settings.header_bytes_max, settings.body_bytes_max, self._judge)
        self._busy = False  # a call runs, or its reply is not flushed: what arrives has to wait
        self._pending: bytes | bytearray = b""  # what arrived meanwhile
        self._paused = False  # ... and was too much
        self._head_timed = True  # the timer is set for the head's time-out, for the first request from the start
        self._eof = False  # the client sends no more
        self._refused = False  # nothing more is read as a request
        self._lingering = False  # all was said; what arrives is thrown away
        self._discarded_bytes = 0
        self._congested = False
        self._flushing = False  # the next request waits for the reply's last bytes to leave this process
        self._arrival: Arrival | None = None  # of a body that did not come at once
        self._timer = Timer(shared.timers)
        self.reply: Reply | None = None

    # What the loop tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: wait for the first request, or refuse one connection too many."""
        self._transport = cast("asyncio.Transport", transport)
        self._reader.address = peer_address(transport)
        self._out, shared = self._measured(self._transport), self._shared
        self._watch = ResetWatch(self._out, shared.timers)
        shared.connections.add(self)
        shared.opened_at = self._loop.time()
        over = len(shared.connections) - shared.settings.connections_max
        if shared.closed or over > CONNECTIONS_OVER_MAX:
            self.abort()
        elif over > 0:
            self._refuse(ApiError("overloaded", f"This server has reached its limit of {shared.settings.connections_max} connections."))
        else:
            self._timer.set(shared.settings.header_timeout_seconds, self._time_out)

    def _measured(self, transport: asyncio.Transport) -> Delivery:
        transport.set_write_buffer_limits(high=0)  # `congested` has to be true as soon as the kernel refuses a byte
        return delivery_of(transport, self._shared.sweep, self._shared.outbox)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: whoever still writes to the client is told."""
        self._timer.stop()
        self._watch.stop()
        self._let_go()
        self._reader.give_up()  # transport and reader know us: what they hold would be there until the garbage is looked for
        reply, self.reply = self.reply, None
        self._shared.connection_ended(self)
        call_guarded(partial(self._out.lost, unfinished=reply is not None))
        if reply is not None:
            call_guarded(reply.lost)
            self._shared.cancel(reply, CLIENT_LEFT)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to, and thereby how much."""
        if self._busy and not self._lingering:
            return self._shared.read_buffer[: max(1, READ_BYTES_MAX - len(self._pending))]
        return self._shared.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if self._lingering:
            self._discarded_bytes += nbytes
            if self._discarded_bytes > LINGER_BYTES_MAX:
                self.abort()
            return
        data = bytes(self._shared.read_buffer[:nbytes])
        if self._busy:
            self._hold(data)
        else:
            self._read(data)

    def eof_received(self) -> bool:
        """The client sends no more. That is how both a client that has left and one that awaits its answer look.

        Of HTTP/1.0 it is a leaving: there is nothing to probe such a client with, and the proxies that speak it mean it so.
        """
        self._eof = True
        out = self._out
        if self.reply is None and not self._pending and (out.confirm() or not out.tells_resets):
            return False  # the loop closes
        if not out.tells_resets or not (self.reply is None or self.reply.http11):
            self.abort()
            return False
        if self.reply is not None:
            self.reply.probe(again=False)
        elif not self._pending:
            self._close()
        self._watch.start(self.abort, self._probe)
        return True

    def _probe(self) -> None:
        if self.reply is not None:
            self.reply.probe(again=True)

    def pause_writing(self) -> None:
        """The kernel has refused bytes."""
        self._congested = True
        if self.reply is not None:
            self.reply.congested = True

    def resume_writing(self) -> None:
        """The kernel has taken all bytes."""
        self._congested = False
        self._out.flushed()
        if self.reply is not None:
            self.reply.flushed()
        elif self._flushing:
            self._flushing = False
            self._go_on()

    # What a reply asks of us (reply.ReplyConnection)

    def reply_ended(self, reply: Reply) -> None:
        """Go on with the next request, or close; not at once, because whether delivery matters is said after the end."""
        self.reply = None
        if reply.closes or self._refused:
            self._loop.call_soon(self._leave)
        elif self._congested:
            # Else a client that pipelines and does not read would make us hold any number of replies.
            self._flushing = True
            Stall(self._timer, self._out, self.abort)
        else:
            self._go_on()

    def forget_head(self) -> None:
        """Keep no headers of a request whose answer has begun, unless the next may be known by the same head."""
        if (request := self._reader.request) is not None and self._reader.repeated is None:
            request.headers = NO_HEADERS

    def interrupt(self, reply: Reply, reason: str) -> None:
        """Cancel the task of a reply's call; unlike the client's leaving, this may happen more than once."""
        if (task := self._shared.calls.get(reply)) is not None:
            task.cancel(reason)

    def abort(self) -> None:
        """Cut the connection; what was not sent is lost."""
        self._transport.abort()

    # What the server asks of us

    def close_if_idle(self, refusal: ApiError | None = None) -> None:
        """Close unless a request has begun to arrive or is being answered; one that is still arriving gets the `refusal`, if given."""
        if not self._busy and self._reader.is_idle:
            self._close()
        elif not self._busy and refusal is not None:
            self._refuse(refusal)

    # Reading

    def _hold(self, data: bytes) -> None:
        self._pending = self._pending or bytearray()
        self._pending += data
        if not self._shared.unjudged.count(self, len(self._pending)):
            self._refused = True  # without a word: who pipelines asks again when a connection ends
            self._pending = b""
        if len(self._pending) >= READ_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
            self._watch.start(self.abort)  # the loop no longer tells us of a reset

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if data[0] in b"\r\n" and reader.is_idle:
            data = data.lstrip(b"\r\n")  # old clients send an empty line after a body
            if not data:
                return
        try:
            request = reader.feed(data)
            if request is None:
                self._await_rest(reader)
        except ApiError as error:
            self._refuse(error)
            return
        if request is not None:
            self._start(request, reader)

    def _judge(self, request: Request) -> int | None:
        verdict = self._verdict = self._shared.app.judge(request)
        return verdict.body_bytes_max

    def _await_rest(self, reader: RequestReader) -> None:
        """Raises ApiError overloaded."""
        settings = self._shared.settings
        if not self._shared.unjudged.count(self, len(reader.head)):
            raise ApiError("overloaded", "Unfinished requests fill what this server has for them. Send the request again.")
        if not reader.in_body:
            if not self._head_timed:
                self._head_timed = True
                self._timer.set(settings.header_timeout_seconds, self._time_out)
            return
        arrival = self._arrival
        if arrival is None:
            window = settings.body_timeout_seconds
            arrival = self._arrival = Arrival(self._shared.bodies, reader, self._timer, window_seconds=window, refuse=self._refuse)
            if reader.expects_continue:
                self._out.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        arrival.grow()

    def _time_out(self) -> None:
        message = f"The request's headers did not arrive within {self._shared.settings.header_timeout_seconds:g} seconds."
        self._refuse(ApiError("request_timeout", message))

    def _let_go(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.end()
        self._pending = b""
        self._shared.unjudged.count(self, 0)

    def _start(self, request: Request, reader: RequestReader) -> None:
        self._busy = True
        if self._out.unconfirmed:
            self._out.confirm()
        self._head_timed = False
        self._timer.due, self._timer.action = NEVER, None
        if self._arrival is not None or self._shared.unjudged.held:
            self._let_go()
        http11 = request.version == "1.1"
        reply = self.reply = Reply(self._shared, self, self._out, method=request.method, http11=http11, keep_alive=reader.keep_alive)
        if reader.rest:
            self._hold(reader.rest)
            reader.rest = b""
        if reader.refusal is None:
            self._shared.calls[reply] = self._loop.create_task(self._run(self._verdict, reply, request))
            del self._verdict  # its call's alone from here on, and goes with it
        else:
            self._refuse_with(reader.refusal, reply, request)

    def _go_on(self) -> None:
        if self._pending or self._eof or self._refused:
            self._loop.call_soon(self._read_pending)
        else:  # even while the server goes away: the head did not say that this was the last answer, so another request may be on its way
            self._busy = False
            seconds = UNTOLD_SECONDS if self._shared.closed else self._shared.settings.keep_alive_timeout_seconds
            self._timer.set(seconds, self._end_idleness)

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
            if not self._eof:
                self._watch.stop()

    def _read_pending(self) -> None:
        if self._refused or not self._pending or self._transport.is_closing():
            self._leave()
            return
        data, self._pending = bytes(self._pending), b""
        self._busy = False
        self._read_on()
        self._read(data)
        if self._eof and not self._busy:
            self._close()  # what is missing of the request will never come

    # Running a call

    async def _run(self, verdict: Verdict, reply: Reply, request: Request) -> None:
        try:
            if reply.cancelled:
                raise asyncio.CancelledError
            reply.running = True
            await verdict.answer(reply)
            if not reply.ended and not reply.gone:
                raise RuntimeError("the app returned without ending its reply")
        except asyncio.CancelledError:
            self._give_up(reply, ApiError("overloaded", SHUTTING_DOWN))
            raise
        except Exception as error:  # the last guard: one call's bug must not leave its client waiting, nor go unseen
            context = {"message": "a call failed with an unexpected error", "exception": error, "transport": self._transport}
            self._loop.call_exception_handler(context)
            self._give_up(reply, ApiError("internal_error", "The server failed to answer. This is its own fault."))
        finally:
            request.body = b""  # a connection knows its last request until the next, for as long as a client keeps it
            self._shared.call_ended(reply)

    def _give_up(self, reply: Reply, error: ApiError) -> None:
        if reply.ended or reply.gone:
            return
        if reply.started:
            self.abort()
        else:
            self._refuse_with(error, reply, self._reader.request)

    def _refuse(self, error: ApiError) -> None:
        """Answer what is not a request, or not a whole one, and read no more."""
        self._busy = self._refused = True
        self._timer.due = NEVER
        self._let_go()
        self._reader.give_up()
        request = self._reader.request
        method, http11 = ("", True) if request is None else (request.method, request.version == "1.1")
        reply = self.reply = Reply(self._shared, self, self._out, method=method, http11=http11, keep_alive=False)
        reply.address = self._reader.address
        self._refuse_with(error, reply, request)

    def _refuse_with(self, error: ApiError, reply: Reply, request: Request | None) -> None:
        try:
            self._shared.app.refuse(error, reply, request)
            if not reply.ended:
                raise RuntimeError("the app did not end the reply that refuses a request")
        except Exception:
            self.abort()
            raise

    # Ending

    def _leave(self) -> None:
        if self._transport.is_closing():
            return
        if (self._refused or self._pending) and not self._eof:
            self._linger()
        else:
            self._close()

    def _close(self) -> None:
        """Close; but as long as somebody waits for a delivery, which closing would hide, only say that this was all."""
        if self._out.confirm():
            self._watch.stop()
            self._transport.close()
            if self._congested:
                Stall(self._timer, self._out, self.abort)
        else:
            self._out.on_confirmed = self._close
            self._stop_listening()
            Stall(self._timer, self._out, self.abort)

    def _linger(self) -> None:
        """Let a client that is still sending read the answer: closing now would reset the connection under it."""
        self._stop_listening()
        self._timer.set(LINGER_SECONDS_MAX, self._end_lingering)

    def _stop_listening(self) -> None:
        """Throw away whatever else the client sends, and tell it that this was all, where that does not cut the connection."""
        self._lingering = True
        self._let_go()
        self._out.send_posted()
        self._read_on()
        if self._transport.can_write_eof():
            with suppress(OSError):  # the client has reset the connection, of which we are about to be told
                self._transport.write_eof()

    def _end_lingering(self) -> None:
        if self._out.confirm():
            self.abort()
        else:
            self._out.on_confirmed = self.abort
            Stall(self._timer, self._out, self.abort)

    def _end_idleness(self) -> None:
        if self._out.confirm():
            self._close()
        else:
            self.abort()
