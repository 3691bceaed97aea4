"""One connection to a Valkey or Redis server, on which what is asked within one turn of the loop leaves in one write. Knows no key.

Nobody waits for longer than LOOKS_MAX looks: a connection whose oldest question is older than that is given up with all that it was
asked, of which nobody knows what became. Nothing is ever asked twice here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Protocol, cast

import hiredis

LOOK_SECONDS = 0.05  # between two looks at the oldest question
#: Looks that find the same one: after 150 to 200 ms, as a call may wait 250 for a store. Not a time, as a busy loop's answers lie unread.
LOOKS_MAX = 3
CONNECT_SECONDS_MAX = 2.0  # no call waits for it


class StoreAway(Exception):
    """The server does not answer, or answers that it cannot do what it is there for."""


class Address(Protocol):
    """Where a server is, and who we are there. `path` is that of a Unix socket, else None."""

    @property
    def host(self) -> str:
        """Its name or address."""
        ...

    @property
    def port(self) -> int:
        """Its TCP port."""
        ...

    @property
    def path(self) -> str | None:
        """Its Unix socket, which is used instead if there is one."""
        ...

    @property
    def tls(self) -> bool:
        """Whether it speaks TLS."""
        ...

    @property
    def user(self) -> str | None:
        """Our name there, None for the server's default."""
        ...

    @property
    def password(self) -> str | None:
        """What proves it, None if nothing is asked."""
        ...

    @property
    def database(self) -> int:
        """Which of its databases."""
        ...


class Connection(asyncio.Protocol):
    """One connection. Belongs to the loop that opened it."""

    _transport: asyncio.Transport

    def __init__(self, looks_max: int = LOOKS_MAX) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._asked: deque[asyncio.Future[object]] = deque()
        self._looks_max = looks_max
        self._oldest: asyncio.Future[object] | None = None
        self._looks = 0  # that have found it
        self._leaving: list[bytes] = []
        self._watching = False

    @classmethod
    async def open(cls, address: Address, looks_max: int = LOOKS_MAX) -> Connection:
        """Connect and say who we are. Raises StoreAway."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                if address.path:
                    _, connection = await loop.create_unix_connection(lambda: cls(looks_max), address.path)
                else:
                    tls = ssl.create_default_context() if address.tls else None
                    _, connection = await loop.create_connection(lambda: cls(looks_max), address.host, address.port, ssl=tls)
                if address.password is not None:
                    who = (address.user, address.password) if address.user else (address.password,)
                    await connection.ask("AUTH", *who)
                if address.database:
                    await connection.ask("SELECT", str(address.database))
        except (OSError, TimeoutError) as error:
            raise StoreAway(str(error) or "it does not answer") from error
        return connection

    def ask(self, *command: str | bytes) -> asyncio.Future[object]:
        """Have a command done; the future has its answer, or raises StoreAway."""
        answer: asyncio.Future[object] = self._loop.create_future()
        if self.lost.done():
            fail(answer, "the connection is gone")
            return answer
        if not self._leaving:
            self._loop.call_soon(self._leave)
        self._leaving.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub wants a tuple of one
        self._asked.append(answer)
        if not self._watching:
            self._watching = True
            self._loop.call_later(LOOK_SECONDS, self._watch)
        return answer

    def give_up(self) -> None:
        """End it now; what was asked is not answered."""
        self._transport.abort()
        self._end()

    # What the loop tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to be a connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take answers. One that is an error ends the connection: of what we ask, a server that works refuses nothing."""
        self._reader.feed(data)
        try:
            while (found := self._reader.gets()) is not False:
                answer = self._asked.popleft()
                if isinstance(found, hiredis.ReplyError):
                    fail(answer, str(found))
                    self.give_up()
                    return
                if not answer.done():
                    answer.set_result(found)
        except (hiredis.ProtocolError, IndexError):
            self.give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: nothing that was asked is answered any more."""
        self._end()

    def _leave(self) -> None:
        data, self._leaving = b"".join(self._leaving), []
        if not self.lost.done():
            self._transport.write(data)

    def _watch(self) -> None:
        self._watching = bool(self._asked)
        if self._asked:
            oldest = self._asked[0]
            self._looks = self._looks + 1 if oldest is self._oldest else 0
            self._oldest = oldest
            if self._looks >= self._looks_max:
                self.give_up()
            else:
                self._loop.call_later(LOOK_SECONDS, self._watch)

    def _end(self) -> None:
        if self.lost.done():
            return
        self.lost.set_result(None)
        asked, self._asked = self._asked, deque()
        for answer in asked:
            fail(answer, "it did not answer in time, or the connection broke")


def fail(answer: asyncio.Future[object], why: str) -> None:
    """Let a question have no answer. Some are asked without a wait for it."""
    if not answer.done():
        answer.set_exception(StoreAway(why))
        answer.exception()
