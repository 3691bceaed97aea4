"""The pool of connections to one vendor: who gets one, who waits, which are thrown away. Parses nothing and opens nothing itself.

Every decision about the pool is made in a plain function, between two awaits; coroutines only act on it. A *place* is the right to
have one connection open: `connections_max` of them exist, and each belongs to an idle connection, to a call, or to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import lru_cache, partial
from urllib.parse import quote, urlencode

import msgspec

from aisa import __version__
from aisa.config.schema import Vendor
from aisa.credentials.port import BAD_REQUEST, Credential, refuses_who_asks
from aisa.credentials.rules import Proof, proof_of
from aisa.http.address import PRINTABLE
from aisa.http.dial import Dialer
from aisa.http.exchange import Intake
from aisa.http.failures import overloaded, unreachable
from aisa.http.names import Names
from aisa.http.outbox import Outbox
from aisa.http.peeked import peeked
from aisa.http.pool_connection import WRITE_BYTES_MAX, PoolConnection
from aisa.http.unpacked import Unpacked
from aisa.providers.port import ABOVE, Answer, Pictures, UpstreamRequest
from aisa.timers import NEVER, Timer, Timers

IDLE_SECONDS_MAX = 30.0  # below the 60 s and more that servers and load balancers commonly allow, so that we are the first to hang up
WAITING_CALLS_MAX = 10_000  # more than a full pool can serve within the connect timeout; a longer queue would only delay the refusal
CREDENTIALS_TRIED_MAX = 4  # for one request: when so many are refused, it is for another reason
CLOSING_TURNS_MAX = 5  # of the event loop: an aborted TLS transport has closed its socket after three
HEADS_MAX = 256  # a target's head is the same for each call, but for the length; more targets than this with one vendor are unlikely
OUR_HEADERS = ("accept-encoding", "connection", "content-length", "transfer-encoding")  # they frame the message, so nobody else sets them


class PoolStatistics(msgspec.Struct, frozen=True):
    """A snapshot in numbers of connections: `open` = `idle` + `in_use` (being opened counts as in use), and calls that wait for one."""

    open: int
    idle: int
    in_use: int
    waiting: int


class HttpUpstream:
    """The way to ONE vendor over HTTP/1.1, in the shape of `aisa.providers.port.Upstream`. Belongs to the event loop that first uses it."""

    def __init__(
        self,
        name: str,
        settings: Vendor,
        environment: Mapping[str, str],
        *,
        names: Names | None = None,
        timers: Timers | None = None,
        credential: Credential | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        """`environment` is read for HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY. `names` and `timers` are best shared by all vendors.

        Without `credential` it is that of the settings. `pictures` reads what requests give by address. Raises ValueError for an unusable
        base URL or proxy.
        """
        self._name = name
        self._settings = settings
        self._dialer = Dialer(name, settings, environment, names=names or Names())
        self._prefix, self._own_headers = _fixed_parts(self._dialer)
        self._credential = credential  # that of the settings is one proof, made once
        self._fixed_proof = None if credential else proof_of(settings)
        self._pictures = pictures
        self._query = urlencode(settings.query, quote_via=quote)
        self._head_before_length = lru_cache(maxsize=HEADS_MAX)(self._write_head_before_length)
        self._intake = Intake()
        self._outbox = Outbox()
        self._timers = timers or Timers()
        self._open = 0  # places taken
        self._connections: set[PoolConnection] = set()
        self._idle: dict[PoolConnection, float] = {}  # since when, in loop seconds; the longest idle first
        self._waiting: dict[asyncio.Future[PoolConnection | None], None] = {}  # the longest waiting first
        self._idle_timer = Timer(self._timers)
        self._closed = False
        self.was_reached = False  # by any connection so far

    def ask(self, request: UpstreamRequest) -> Awaitable[Answer]:
        """Send the request and return once the answer's head has arrived. Cancelling it, or a `read` of the answer, aborts the request.

        Raises UpstreamFailed: `upstream_unavailable` (also without a valid credential), `gateway_error`, or `overloaded` when no
        connection is free within the connect timeout. `may_repeat` is set when a kept connection broke before the answer's first byte,
        and the vendor had not read the whole request.
        Raises ValueError, and sends nothing, if path or headers contain what would change the request's framing.
        """
        if self._fixed_proof is None or (request.fetches and self._pictures is not None):
            return self._ask_prepared(request)
        return self._ask(request, self._fixed_proof)

    async def _ask_prepared(self, request: UpstreamRequest) -> Answer:
        if request.fetches and self._pictures is not None:
            request = await self._pictures.filled(request)
        if self._fixed_proof is not None:
            return await self._ask(request, self._fixed_proof)
        return await self._ask_in_turn(request)

    async def _ask_in_turn(self, request: UpstreamRequest) -> Answer:
        """Ask with what the credential gives, and with another where the vendor refuses who asks."""
        assert self._credential is not None, "else the proof is fixed"
        for last in range(CREDENTIALS_TRIED_MAX - 1, -1, -1):
            now = asyncio.get_running_loop().time()
            proof = self._credential.proof(request, now) or await self._credential.fetch(request)
            answer, beginning = await peeked(await self._ask(request, proof), BAD_REQUEST)
            status, headers = answer.status, answer.headers
            if not refuses_who_asks(status, headers, beginning) or not self._credential.refused(proof, status, headers) or not last:
                return answer
            answer.release()
            answer.close()
        raise AssertionError("the last one is returned")

    async def _ask(self, request: UpstreamRequest, proof: Proof) -> Answer:
        before_length = self._head_before_length((request.method, request.path), request.headers, proof)
        head = b"%bcontent-length: %d\r\n\r\n" % (before_length, len(request.body))
        connection = self._take_idle() or await self._new_or_next()
        exchange = connection.start(head, request.body, vendor=self._name, answer_bytes_max=self._settings.answer_bytes_max)
        try:
            if len(request.body) > WRITE_BYTES_MAX:
                await connection.send_rest(exchange, request.body)
            await exchange.head()
        except BaseException:
            exchange.close()
            raise
        if exchange.coding:
            bytes_max = self._settings.answer_bytes_max if exchange.limited else None
            return Unpacked(exchange, self._name, coding=exchange.coding, bytes_max=bytes_max)
        return exchange

    def statistics(self) -> PoolStatistics:
        """Return the pool's numbers now."""
        idle = len(self._idle)
        return PoolStatistics(open=self._open, idle=idle, in_use=self._open - idle, waiting=len(self._waiting))

    async def close(self) -> None:
        """Drop all connections and refuse new calls. Whoever still reads an answer or waits gets UpstreamFailed."""
        self._closed = True
        self._idle_timer.stop()
        for waiter in self._waiting:
            self._refuse(waiter, "the server is stopping")
        for connection in list(self._idle):
            self._discard_idle(connection)
        for connection in self._connections:
            connection.abort()
        for _ in range(CLOSING_TURNS_MAX):
            await asyncio.sleep(0)

    def __repr__(self) -> str:
        now = self.statistics()
        waiting = f" {now.waiting} waiting" if now.waiting else ""
        return f"<HttpUpstream {self._name} {now.idle} idle {now.in_use} in use{waiting}>"

    # What the connections call.

    def release(self, connection: PoolConnection, *, reusable: bool) -> None:
        """Take a connection back: hand it to who waits longest, keep it, or drop it and let its place go."""
        if not reusable or self._closed:
            connection.abort()
            self._free_place()
        elif waiter := self._next_waiter():
            waiter.set_result(connection)
        else:
            self._idle[connection] = self._timers.loop.time()
            if self._idle_timer.due == NEVER:
                self._idle_timer.set(IDLE_SECONDS_MAX, self._drop_long_idle)

    def lost(self, connection: PoolConnection) -> None:
        """Forget a connection that is gone. One in use keeps its place until its exchange is closed."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._discard_idle(connection)

    # Decisions.

    def _take_idle(self) -> PoolConnection | None:
        """Return the most recently used idle connection that still is one."""
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.usable():
                return connection
            self._idle[connection] = since
            self._discard_idle(connection)
        return None

    def _discard_idle(self, connection: PoolConnection) -> None:
        del self._idle[connection]
        connection.abort()
        self._open -= 1  # while a connection is idle nobody waits for its place

    def _free_place(self) -> None:
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._open -= 1

    def _next_waiter(self) -> asyncio.Future[PoolConnection | None] | None:
        while self._waiting:
            waiter = next(iter(self._waiting))
            del self._waiting[waiter]
            if not waiter.done():
                return waiter
        return None

    def _refuse(self, waiter: asyncio.Future[PoolConnection | None], why: str) -> None:
        if not waiter.done():
            waiter.set_exception(overloaded(self._name, why))

    def _drop_long_idle(self) -> None:
        loop = self._timers.loop
        for connection, since in list(self._idle.items()):
            if loop.time() < since + IDLE_SECONDS_MAX:
                self._idle_timer.set_at(since + IDLE_SECONDS_MAX, self._drop_long_idle)
                return
            self._discard_idle(connection)

    # Actions.

    async def _new_or_next(self) -> PoolConnection:
        """Open a connection if a place is free, else wait for one. Returns it with its place."""
        if self._closed:
            raise overloaded(self._name, "the server is stopping")
        if self._open < self._settings.connections_max:
            self._open += 1
        else:
            connection = await self._turn()
            if connection is not None and connection.usable():
                return connection
        try:
            return await self._dial()
        except BaseException:
            self._free_place()
            raise

    async def _dial(self) -> PoolConnection:
        connection = await self._dialer.dial(lambda: PoolConnection(self, self._intake, self._outbox, timers=self._timers))
        if connection.is_fresh() and not self._closed:
            self._connections.add(connection)
            self.was_reached = True
            return connection
        connection.abort()
        raise unreachable(self._name, "the vendor spoke or hung up before it was asked, or the pool was closed")

    async def _turn(self) -> PoolConnection | None:
        """Wait for a place, first come first served: one with a kept connection, or None for a bare one."""
        busy = f"all {self._settings.connections_max} connections to it are in use"
        if len(self._waiting) >= WAITING_CALLS_MAX:
            raise overloaded(self._name, busy)
        waiter: asyncio.Future[PoolConnection | None] = self._timers.loop.create_future()
        self._waiting[waiter] = None
        timer = Timer(self._timers)
        timer.set(self._settings.connect_timeout_seconds, partial(self._refuse, waiter, busy))
        try:
            return await waiter
        except asyncio.CancelledError:
            # The place may have come in the very turn in which the call was cancelled.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give_back(waiter.result())
            raise
        finally:
            timer.stop()
            self._waiting.pop(waiter, None)

    def _give_back(self, granted: PoolConnection | None) -> None:
        if granted is None:
            self._free_place()
        else:
            self.release(granted, reusable=granted.usable())

    # The request's head.

    def _write_head_before_length(self, line: tuple[str, str], headers: tuple[tuple[str, str], ...], proof: Proof) -> bytes:
        method, path = line
        if not PRINTABLE.fullmatch(path):
            raise ValueError("the path of a request may only contain printable ASCII characters and no space")
        if self._query or proof.query:
            path += ("&" if "?" in path else "?") + "&".join(filter(None, (self._query, proof.query)))
        block, last = self._write_header_block(headers, proof.headers), self._dialer.origin.last if path.startswith(ABOVE) else b""
        return b"%b %b%b HTTP/1.1\r\n%b" % (method.encode(), self._prefix.removesuffix(last), path.removeprefix(ABOVE).encode(), block)

    def _write_header_block(self, headers: tuple[tuple[str, str], ...], proof: tuple[tuple[str, str], ...]) -> bytes:
        lines = {**self._own_headers, **dict(proof), **{name.lower(): value for name, value in headers if name.lower() not in OUR_HEADERS}}
        text = "".join([f"{name}: {value}\r\n" for name, value in lines.items()])
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise ValueError("a header of a request contains a line break")
        return text.encode("latin-1")


def _fixed_parts(dialer: Dialer) -> tuple[bytes, dict[str, str]]:
    """Return what stands between method and path in the request line, and the headers that each request has."""
    origin, proxy = dialer.origin, dialer.proxy
    headers = {"host": origin.authority, "user-agent": f"aisa/{__version__}", "accept-encoding": "identity"}
    if proxy is None or origin.secure:
        return origin.prefix.encode("ascii"), headers
    if proxy.authorization is not None:
        headers["proxy-authorization"] = proxy.authorization
    return f"http://{origin.authority}{origin.prefix}".encode("ascii"), headers
