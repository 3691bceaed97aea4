"""One connection to a Valkey or Redis server, on which what is asked within one turn of the loop leaves in one write. Knows no key.

For how long it is asked in vain is said in `unanswered.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import hiredis

from aisa.storage.unanswered import LOOKS_MAX, StoreAway, Unanswered

CONNECT_SECONDS_MAX = 2.0  # no call waits for it


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


class ValkeyScript(asyncio.Protocol):
    """One connection; implements `admission.store_way.Script`. Belongs to the loop that opened it."""

    _transport: asyncio.Transport
    sha = ""  # of the script

    def __init__(self, looks_max: int = LOOKS_MAX) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8")
        self._asked = Unanswered(looks_max, self.give_up)
        self._leaving: list[bytes] = []
        self.lost = self._asked.lost

    @classmethod
    async def open(cls, address: Address, script: str, looks_max: int = LOOKS_MAX) -> ValkeyScript:
        """Connect, say who we are, and have the script known there. Raises StoreAway."""
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
        connection.sha = cast("str", await connection.ask("SCRIPT", "LOAD", script))
        return connection

    def run(self, keys: Sequence[str], arguments: Iterable[str]) -> asyncio.Future[list[str]]:
        """Have the script run; the future has what it returns, or raises StoreAway."""
        asked = self.ask("EVALSHA", self.sha, str(len(keys)), *keys, *arguments)
        return cast("asyncio.Future[list[str]]", asked)

    def ask(self, *command: str) -> asyncio.Future[object]:
        """Have a command done; the future has its answer, or raises StoreAway."""
        answer = self._asked.add()
        if not self.lost.done():
            if not self._leaving:
                self._loop.call_soon(self._leave)
            self._leaving.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub wants a tuple of one
        return answer

    def give_up(self) -> None:
        """End it now; what was asked is not answered."""
        self._transport.abort()
        self._asked.end()

    # What the loop tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to be a connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take answers. One that is an error ends the connection: of what we ask, a server that works refuses nothing."""
        self._reader.feed(data)
        try:
            while (found := self._reader.gets()) is not False:
                if isinstance(found, hiredis.ReplyError):
                    self._asked.refused(str(found))
                    self.give_up()
                    return
                self._asked.answered(found)
        except (hiredis.ProtocolError, IndexError):
            self.give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: nothing that was asked is answered any more."""
        self._asked.end()

    def _leave(self) -> None:
        data, self._leaving = b"".join(self._leaving), []
        if not self.lost.done():
            self._transport.write(data)
