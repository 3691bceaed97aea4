"""What all connections of one server have in common: the app, the settings, and who is there. Reads and writes no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from aisa.clock import WallClock
from aisa.config.schema import Server
from aisa.errors import ApiError
from aisa.http.arrival import BodyBudget, UnjudgedBudget
from aisa.http.delivery import Sweep
from aisa.http.outbox import Outbox
from aisa.http.reply import Reply, http_date
from aisa.http.request import Request
from aisa.timers import Timers

READ_BYTES_MAX = 65_536  # one read; also what is held of pipelined requests while a call runs, before the client is made to wait


class Verdict(Protocol):
    """What the app has decided on a request by its head: to answer it."""

    @property
    def body_bytes_max(self) -> int | None:
        """How many bytes the request's body may have; None for as many as the server takes at all."""
        ...

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request, whose body is there now; runs in its own task and must start and end the reply.

        The task is cancelled once if the client leaves (`reply.gone`) or the server's patience at shutdown is over.
        """
        ...


class App(Protocol):
    """What the server serves."""

    def judge(self, request: Request) -> Verdict:
        """Judge a request by its head, at once: nothing of its body is kept before. Raises ApiError to have it refused."""
        ...

    def refuse(self, error: ApiError, reply: Reply, request: Request | None) -> None:
        """Start, write and end the reply with an error, at once: for what never became a call, or a call that broke.

        `request` is None where not even a head could be read.
        """
        ...


class OpenConnection(Protocol):
    """A connection as the server sees it."""

    def close_if_idle(self, refusal: ApiError | None = None) -> None:
        """Close unless a request has begun to arrive or is being answered; one that is still arriving gets the `refusal`, if given."""
        ...

    def abort(self) -> None:
        """Cut the connection at once."""
        ...


class Shared:
    """The state of one server."""

    def __init__(self, app: App, settings: Server, now: WallClock, *, timers: Timers) -> None:
        self.app = app
        self.settings = settings
        self.connections: set[OpenConnection] = set()
        self.opened_at = -1.0  # when the newest of them came, by the loop's clock
        #: The calls whose task runs; the only lasting reference to the task.
        self.calls: dict[Reply, asyncio.Task[None]] = {}
        #: Connections are not kept any more, and each answer says so; then: none is accepted any more.
        self.draining = self.closed = False
        self.timers = timers
        self.sweep = Sweep(timers)
        self.outbox = Outbox()
        self.bodies = BodyBudget(settings.unfinished_bodies_bytes_max)
        self.unjudged = UnjudgedBudget()
        #: Called whenever a connection or a call has gone.
        self.on_less: Callable[[], None] | None = None
        #: One buffer for all connections: what was read is copied from it before the loop reads again.
        self.read_buffer = memoryview(bytearray(READ_BYTES_MAX))
        self._now = now
        self._date_second = -1
        self._date_line = b""

    def date_line(self) -> bytes:
        """Return the `date` header's line with its line end, made at most once a second."""
        second = int(self._now())
        if second != self._date_second:
            self._date_second = second
            self._date_line = b"date: %b\r\n" % http_date(second).encode()
        return self._date_line

    def cancel(self, reply: Reply, reason: str) -> None:
        """Cancel a call's task for this reason, once in its life."""
        if not reply.cancelled:
            reply.cancelled = True
            task = self.calls.get(reply)
            # A task that is cancelled before its first step never runs at all, not even its clean-up; it looks at `cancelled` itself.
            if task is not None and reply.running:
                task.cancel(reason)

    def connection_ended(self, connection: OpenConnection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        if self.on_less is not None:
            self.on_less()

    def call_ended(self, reply: Reply) -> None:
        """Forget a call."""
        self.calls.pop(reply, None)
        if self.on_less is not None:
            self.on_less()
