"""One connection to a PostgreSQL server on which a script of functions decides, as one does in Valkey. Knows no key and no table.

One statement is under way at a time, and what is asked meanwhile leaves together in the next: a round trip and a commit are of as many
questions as there are. For how long it is asked in vain is said in `unanswered.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Protocol, cast

import asyncpg
import msgspec

from aisa.storage.unanswered import LOOKS_MAX, StoreAway, Unanswered

CONNECT_SECONDS_MAX = 2.0  # no call waits for it
LOAD_SECONDS_MAX = 5.0  # for the script, once a version; it waits for another server that loads it
ASKED_AT_ONCE = 64  # questions of one statement, which holds the locks of all of them for some 0.1 ms each
LOADING_LOCK = 0x61697362  # the advisory lock of whoever loads; that of writers is in `postgres.py`
VERSION = "VERSION"  # a word of the script, put for which is what tells two of its versions apart
#: What an error's code says when statements that were prepared on one connection are looked for on another one (SQLSTATE).
POOLED = ("26000", "42P05")
ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError)


class Session(Protocol):
    """What we use of asyncpg's connections, which have no types."""

    async def fetch(self, query: str, *parameters: str) -> list[tuple[list[str]]]:
        """Return the rows that a statement gives."""
        ...

    async def execute(self, query: str) -> str:
        """Have statements done."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Return a transaction, which is one where it is entered."""
        ...

    def terminate(self) -> None:
        """End it, and wait for nothing."""
        ...

    def add_termination_listener(self, callback: Callable[[object], None]) -> None:
        """Have somebody know when it has ended."""
        ...


class PostgresScript:
    """One connection; implements `admission.store_way.Script`. Belongs to the loop that opened it."""

    def __init__(self, connection: Session, version: str, looks_max: int = LOOKS_MAX) -> None:
        self._connection = connection
        self._statement = f"SELECT words FROM aisa_limits.decide_{version}($1) AS words"  # noqa: S608 - our own words
        self._asked = Unanswered(looks_max, self.give_up)
        self._waiting: list[tuple[Sequence[str], Sequence[str]]] = []
        self._work: asyncio.Task[None] | None = None
        self.lost = self._asked.lost
        connection.add_termination_listener(lambda _ended: self._asked.end())

    @classmethod
    async def open(cls, url: str, script: str, looks_max: int = LOOKS_MAX) -> PostgresScript:
        """Connect, and have the script known there. Raises StoreAway."""
        version = sha256(script.encode()).hexdigest()[:8]
        try:
            connection = await connected(url)
        except ERRORS as error:
            raise StoreAway(said_of(error)) from error
        try:
            async with asyncio.timeout(LOAD_SECONDS_MAX):
                await load(connection, script, version)
        except ERRORS as error:
            connection.terminate()
            raise StoreAway(said_of(error)) from error
        return cls(connection, version, looks_max)

    def run(self, keys: Sequence[str], arguments: Iterable[str]) -> asyncio.Future[list[str]]:
        """Have the script decide; the future has what it says, or raises StoreAway.

        Keys are in pairs, the first of which names a record. One that stands alone, ahead of them, names what needs no name here.
        """
        answer = cast("asyncio.Future[list[str]]", self._asked.add())
        if not self.lost.done():
            self._waiting.append((keys[len(keys) % 2 :: 2], tuple(arguments)))
            if self._work is None:
                self._work = asyncio.get_running_loop().create_task(self._decide())
        return answer

    def give_up(self) -> None:
        """End it now; what was asked is not answered."""
        self._connection.terminate()
        self._asked.end()

    async def _decide(self) -> None:
        """Ask what is waiting until nothing is."""
        while self._waiting and not self.lost.done():
            some, self._waiting = self._waiting[:ASKED_AT_ONCE], self._waiting[ASKED_AT_ONCE:]
            try:
                rows = await self._connection.fetch(self._statement, msgspec.json.encode(some).decode())
            except ERRORS as error:
                if not self.lost.done():
                    self._asked.refused(said_of(error))
                    self.give_up()
                break
            if self.lost.done():  # given up while the answer was on its way
                break
            for row in rows:
                self._asked.answered(row[0])
        self._work = None


def said_of(error: Exception) -> str:
    """Return what an error says, in words that help whoever looks after the server."""
    if getattr(error, "sqlstate", None) in POOLED:
        return "a pooler of connections is in front of it, through which it cannot decide: name the database itself in stores.limits"
    return str(error) or "it does not answer"


async def connected(url: str) -> Session:
    """Connect, under a name by which administrators know what it is for."""
    connect = cast("Callable[..., Awaitable[Session]]", asyncpg.connect)  # pyright: ignore[reportUnknownMemberType] - it has no types
    return await connect(url, timeout=CONNECT_SECONDS_MAX, server_settings={"application_name": "aisa limits"})


async def load(connection: Session, script: str, version: str) -> None:
    """Make the tables and functions of a script, unless they are there."""
    if await connection.fetch("SELECT WHERE to_regprocedure($1) IS NOT NULL", f"aisa_limits.decide_{version}(jsonb)"):
        return
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOADING_LOCK})")
        await connection.execute(script.replace(VERSION, version))
