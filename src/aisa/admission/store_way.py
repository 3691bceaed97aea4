"""The way to the store that several servers' limits are in: keeps it open, says who decides, renews leases. Knows no limit.

While the store is away nobody waits for it: one connection at a time is tried in the background. When it is back each process goes on with
its share for the length of one window, in which the store is told what is used: it may have come back empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from itertools import count
from typing import Protocol

from aisa.admission.seen_servers import Seen, SeenServers
from aisa.clock import Chance
from aisa.endless import begun_again
from aisa.facts import Fact, SharedStoreAway, SharedStoreBack
from aisa.outages import Outage
from aisa.storage.unanswered import LOOKS_MAX, StoreAway

LEASE_SECONDS = 15.0  # after which the calls of a process that died are in flight no more
RENEW_SECONDS = 3.0  # between two renewals: a lease outlives four that fail
THERE_SECONDS = 10.0  # after its last word a process has no share any more
RENEWED_AT_ONCE = 200  # leases of one script: it takes 0.1 ms, in which the server does nothing else
RETRY_SECONDS = 0.5  # between two tries to connect
MICROS = 1_000_000
REMEDY = "Look whether it runs, lets this server in, takes its writes, and has room for keys; it is tried again every half second."
ID_CHARACTERS = 12


class Mode(Enum):
    """Who decides: the store, this process by its share, or nobody."""

    STORE, SHARE, NOBODY = range(3)


class Script(Protocol):
    """What decides on limits in a store, over one connection; `lost` is done when that answers no more, with what was said of that."""

    lost: asyncio.Future[str]

    def run(self, keys: Sequence[str], arguments: Iterable[str]) -> asyncio.Future[list[str]]:
        """Have it decide, whole or not at all; the future has its words, or raises StoreAway."""
        ...

    def give_up(self) -> None:
        """End the connection now; what was asked is not answered."""
        ...


#: Connects, and has the script known there; is told how patient to be. Raises StoreAway.
Open = Callable[[int], Awaitable[Script]]


class StoreWay:
    """One process's way to the store. Belongs to the loop that it was made in.

    `span` is the window in microseconds; `refuses` says that nobody decides while the store is away. `server` names what all processes of
    one server have in common; '' for a process that is a server by itself. `counted` is called when there are more servers or fewer;
    `remembered` knows how many there were before this process, which are taken to be there until it has reached the store. Of tests alone
    are `store_micros`, the time to tell the store instead of its own, and `looks_max`, how patient to be.
    """

    def __init__(
        self,
        open_script: Open,
        span: int,
        *,
        chance: Chance,
        report: Callable[[Fact], None],
        refuses: bool = False,
        server: str = "",
        remembered: SeenServers | None = None,
    ) -> None:
        self.span = span
        self.processes, self.servers = (1, 1) if remembered is None else remembered.known  # as far as is known
        self._remembered = remembered
        self.counted: Callable[[], None] = nothing
        self._least = (1, 1)  # processes and servers that are taken to be there, while not all have come back to a store that was away
        self.leases: dict[str, Sequence[str]] = {}  # the keys of each call in flight here, by its lease's id
        self._open = open_script
        self._report = report
        self._refuses = refuses
        self.store_micros: Callable[[], int] | None = None
        self.looks_max = LOOKS_MAX
        self._loop = asyncio.get_running_loop()
        own = "".join(chance.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(ID_CHARACTERS))
        self._process = f"{server}.{own}" if server else own
        self._numbers = count()
        self._connection: Script | None = None
        self._shares_until: float | None = None  # None: it was never there
        self._outage = Outage()
        self._comes_and_goes = False

    @property
    def mode(self) -> Mode:
        """Who decides now."""
        until = self._shares_until
        if until is None or not self.is_open:
            return Mode.NOBODY if self._refuses else Mode.SHARE
        return Mode.STORE if self._loop.time() >= until else Mode.SHARE

    @property
    def is_open(self) -> bool:
        """Whether the store answers, as far as is known."""
        return self._connection is not None and not self._connection.lost.done()

    @property
    def is_away(self) -> bool:
        """Whether operators have to look at the store: it does not answer, or does so for moments only."""
        return bool(self._outage.reasons) or not self.is_open

    def new_lease(self) -> str:
        """Return the id of a lease that nobody had."""
        return f"{self._process}:{next(self._numbers)}"

    async def ask(self, what: str, keys: Sequence[str], *arguments: str) -> list[str]:
        """Return what the script answers. Raises StoreAway: then nobody knows what became of it."""
        if self._connection is None:
            raise StoreAway("there is no connection")
        return await self._asked(self._connection, what, keys, arguments=arguments)

    def tell(self, what: str, keys: Sequence[str], *arguments: str, heard: Callable[[list[str]], None]) -> None:
        """Have something done and wait for nothing; `heard` gets the answer if there is one."""

        def done(answer: asyncio.Future[list[str]]) -> None:
            if not answer.cancelled() and answer.exception() is None:
                heard(answer.result())

        if self._connection is not None and not self._connection.lost.done():
            self._asked(self._connection, what, keys, arguments=arguments).add_done_callback(done)

    def _asked(self, script: Script, what: str, keys: Sequence[str], *, arguments: Iterable[str]) -> asyncio.Future[list[str]]:
        now = "" if self.store_micros is None else str(self.store_micros())
        return script.run(keys, (what, now, str(self.span), *arguments))

    async def start(self) -> None:
        """Try once to be there, and keep trying from then on. Where the store is away, go on as when it has gone away."""
        await self._try()
        if self._shares_until is None and not self._refuses:
            self._shares_until = self._loop.time()
        self._task = self._loop.create_task(begun_again(self._run))

    async def stop(self) -> None:
        """Leave. Leases that are not ended by then end by themselves."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._connection is not None:
            self._connection.give_up()

    async def renew(self) -> bool:
        """Say at once that this process and its leases are there, and count the processes. False if the store is away."""
        return self._connection is not None and await self._renew(self._connection)

    async def away(self) -> None:
        """Return once the store is known to be away."""
        if self._connection is not None:
            await asyncio.wait([self._connection.lost])

    async def decides_again(self) -> None:
        """Return once the shares' time is over."""
        until = self._shares_until
        if until is not None:
            await asyncio.sleep(until - self._loop.time())

    async def _run(self) -> None:
        while True:
            connection = self._connection
            if connection is None or connection.lost.done():
                said = "" if connection is None else connection.lost.result()
                self._say_away(said or "it does not answer")
                await asyncio.sleep(RETRY_SECONDS)
                await self._try()
            else:
                await asyncio.wait([connection.lost], timeout=RENEW_SECONDS)
                if not connection.lost.done():
                    await self._renew(connection)

    async def _try(self) -> None:
        try:
            connection = await self._open(self.looks_max)
        except StoreAway as away:
            self._say_away(str(away))
            return
        if self._shares_until is not None:
            self._least = (self.processes, self.servers)  # it may be empty, and this process the first to be back
        if not await self._renew(connection):
            return
        self._connection = connection
        seconds = 0.0 if self._shares_until is None else self.span / MICROS
        self._shares_until = self._loop.time() + seconds
        if not self._comes_and_goes:
            self._say_back(f"shares count for {seconds:g} s more, then it decides" if seconds else "it decides")

    async def _renew(self, connection: Script) -> bool:
        """Say that this process and its leases are there, and count the processes. False if the store is away."""
        there, lasting = (str(round(seconds * MICROS)) for seconds in (THERE_SECONDS, LEASE_SECONDS))
        pairs = [(lease, *keys[at : at + 2]) for lease, keys in self.leases.items() for at in range(0, len(keys), 2)]
        answer = [str(self.processes), "", str(self.servers)]
        try:
            for start in range(0, max(1, len(pairs)), RENEWED_AT_ONCE):
                some = pairs[start : start + RENEWED_AT_ONCE]
                keys = [PROCESSES, *(key for _, *both in some for key in both)]
                arguments = (self._process, there, lasting, *(lease for lease, *_ in some))
                answer = await self._asked(connection, "renew", keys, arguments=arguments)
        except StoreAway as away:
            self._say_away(str(away))
            return False
        if self.mode is Mode.STORE:
            self._least = (1, 1)
            self._say_back("it decides")
        before, least = self.servers, self._least
        self.processes, self.servers = max(int(answer[0]), least[0]), max(int(answer[2]), least[1])
        if self.servers != before:
            self.counted()
        if self._remembered is not None and self._remembered.note(Seen(self.processes, self.servers)):
            _ = self._loop.run_in_executor(None, self._remembered.write)
        return True

    def _say_away(self, why: str) -> None:
        begins = not self._outage.reasons
        if self._outage.is_news(why):
            until = self._shares_until
            if begins:  # a full one comes and goes: that is told once until it decides
                self._comes_and_goes = until is not None and self._loop.time() < until
            meanwhile = {
                Mode.NOBODY: "calls of keys with limits are refused",
                Mode.SHARE: f"each process allows its share, one of {self.processes}{'' if until else ' that this server knows of'}",
                Mode.STORE: "it is asked again",
            }[self.mode]
            self._report(SharedStoreAway("limits", f"THE STORE OF LIMITS IS AWAY ({why}): {meanwhile}", REMEDY))

    def _say_back(self, then: str) -> None:
        if self._outage.end():
            self._comes_and_goes = False
            self._report(SharedStoreBack("limits", f"the store of limits is back; {then}"))


def nothing() -> None:
    """Do nothing."""


PROCESSES = "aisa:processes"
