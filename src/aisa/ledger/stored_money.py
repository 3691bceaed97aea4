"""The money of a server that shares its database with others: asks for allotments, gives back what is idle. One question at a time.

Calls that lack money wait for one question for all of them, and for MORE_MAX at the most. While the database does not answer, calls
that need its word are refused; those that need none go on, and are settled from the journal later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from aisa.clock import WallClock
from aisa.endless import begun_again
from aisa.facts import Fact, ServerWarning, SharedStoreAway, SharedStoreBack
from aisa.keys.rules import Capped
from aisa.ledger.allotments import Allotted, Wanted, allot, forget_server, note_seen
from aisa.ledger.allotted import AllottedCap, AllottedPurse, AllottedWallet, Amounts, OwnAmounts, cap_name, database_away, wallet_name
from aisa.money import Nanos
from aisa.outages import Outage
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.shared_memory import SharedStuck

MORE_MAX = timedelta(milliseconds=200)  # that a call waits; a question takes some milliseconds
#: Between two questions that nobody waits for: what others changed counts within a second. And between two that give back what is idle:
#: while calls wait for several purses one question follows the other at once, and each gave back what the one before had got for a call
#: that was about to take it, until its tries were over.
TICK = timedelta(milliseconds=400)
BUSY_MILLISECONDS_MAX = 5_000  # that other writers are waited for
BELIEVED = timedelta(seconds=10)  # after the last question that was answered, what was allotted may be spent: less than its lease
AWAY = timedelta(milliseconds=1000)  # without an answer, after which no call waits for one; a busy database is no database that is away
LEAVE_MAX = timedelta(milliseconds=2000)  # for a question that is under way
REMEDY = "Look whether it runs and takes this server's connections; nothing is lost, as calls are in the journal until it is back."
#: That it was noted and not by this process shows it. Both have what one was allotted, so wallets and caps are exceeded by that.
TWIN = (
    "ANOTHER SERVER HAS THIS ONE'S NAME ({server}) at the database: the data folder of one is a copy of the other's, and both spend what "
    "one was allotted. Stop one of them, remove `server.id` from its folder, and start it again"
)
WALLETS_AT_ONCE = 500  # prepaid ones, of one question: what others spent of them is seen as often as all of them had their turn


class StoredMoney:
    """Wallets and caps as this server may spend from them. Belongs to the loop that it was made in.

    `amounts` makes what of a purse is held and allotted, by its name. `told` hears for how many seconds from now that may be believed: none
    while the database is away.
    """

    def __init__(
        self,
        database: Database,
        server: str,
        *,
        wall_clock: WallClock,
        report: Callable[[Fact], None],
        amounts: Callable[[str], Amounts] = OwnAmounts,
        told: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """Begin with nothing: what this server had before it ended is nobody's now. Raises StorageFailed."""
        self.caps: dict[str, AllottedCap] = {}  # by the id of a key or team
        self._outage = Outage()
        self._database = database
        self._server = server
        self._wall_clock = wall_clock
        self._report = report
        self._amounts = amounts
        self._told = told
        self._wallets: dict[str, AllottedWallet] = {}
        self._listed: list[AllottedWallet] = []  # the same, in the order in which they take turns
        self._in_use: dict[str, AllottedPurse] = {}  # by name: what has something, or wants it; all else has nothing that could be taken
        self._loop = asyncio.get_running_loop()
        self._wanting: dict[str, Nanos] = {}  # by purse, what calls lack that wait
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._wanted = asyncio.Event()
        self._turn = 0
        self._swept_at = self._loop.time()  # when what was idle was given back last
        self._asking: asyncio.Future[dict[str, Allotted]] | None = None
        self._noted: int | None = None  # when this server was there, as it has noted last; None where that may not have been committed
        self._told_twin = False
        self._forget()
        self._believe(self._loop.time())  # it is nothing yet

    @property
    def away(self) -> bool:
        """Whether the database does not answer."""
        return bool(self._outage.reasons)

    def wallet(self, account: str) -> AllottedWallet:
        """Return an account's wallet; one that is not known yet has nothing until the database was asked."""
        return self._wallets.get(account) or self.know(account, 0)

    def know(self, account: str, balance: Nanos | None) -> AllottedWallet:
        """Take what is in an account's wallet."""
        wallet = self._wallets.get(account)
        if wallet is None:
            amounts = self._amounts(wallet_name(account))
            wallet = self._wallets[account] = AllottedWallet(account, amounts, self.more, is_away=self._is_away)
            self._listed.append(wallet)
        wallet.balance = balance
        return wallet

    def cap(self, whose: Capped) -> AllottedCap:
        """Return the cap of a key or team that has one."""
        cap = self.caps.get(whose.id)
        if cap is None:
            cap = self.caps[whose.id] = AllottedCap(whose, self._amounts(cap_name(whose.id)), self.more, is_away=self._is_away)
            cap.bound(whose)
        return cap

    def recap(self, whose: Capped) -> None:
        """Let a cap count that was changed: calls that began before it know another, so none of theirs counts."""
        self.cap(whose).bound(whose)

    def _believe(self, asked_at: float) -> None:
        self._believed_until = asked_at + BELIEVED.total_seconds()
        self._told(self._believed_until - self._loop.time())

    def _is_away(self) -> bool:
        """Say whether what is allotted may not be spent: nobody answers, or this process was stopped for a while and others may have it."""
        return self.away or self._loop.time() > self._believed_until

    async def more(self, purse: AllottedPurse, amount: Nanos) -> None:
        """Wait until a purse may spend so much more. Raises ApiError."""
        self._wanting[purse.name] = self._wanting.get(purse.name, 0) + amount
        self._in_use[purse.name] = purse
        self._wanted.set()
        answered = self._answered
        done, _ = await asyncio.wait([answered], timeout=MORE_MAX.total_seconds())
        if not done or answered.cancelled() or self.away:
            raise database_away()
        purse.refuse(amount)

    async def follow(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            wanting, self._wanting = self._wanting, {}
            answered, self._answered = self._answered, self._loop.create_future()
            self._wanted.clear()
            heard = False
            try:
                heard = await self._ask(wanting)
            finally:
                if heard:
                    answered.set_result(None)
                else:
                    answered.cancel()  # what is free nobody knows: it is not that there is none
            if not self._wanting:
                waiting = asyncio.ensure_future(self._wanted.wait())
                await asyncio.wait([waiting], timeout=TICK.total_seconds())
                waiting.cancel()

    async def _ask(self, wanting: dict[str, Nanos]) -> bool:
        """Ask the database, and take its answer. False if there is none."""
        purses = [*self._in_use.values(), *self._in_turn()]
        now, began = self._wall_clock(), self._loop.time()
        sweeping = began - self._swept_at >= TICK.total_seconds()
        try:
            wanted = [each.ask(wanting.get(each.name, 0), now, sweeping=sweeping) for each in purses]
        except SharedStuck:
            return False  # a worker that has the lock is stopped
        if sweeping:
            self._swept_at = began
        asking = self._asking = asyncio.ensure_future(asyncio.to_thread(self._allot, wanted))
        while not (await asyncio.wait([asking], timeout=AWAY.total_seconds()))[0]:
            self._go_away("it does not answer")
        try:
            given = asking.result()
        except StorageFailed as error:
            self._go_away(error.what)
            return False
        for each in purses:
            each.answered(given[each.name], now)
            if not (each.amounts.in_use or each.name in self._wanting):
                self._in_use.pop(each.name, None)
        self._believe(began)
        if self._outage.end():
            self._report(SharedStoreBack("database", "the database is back: wallets and caps can be looked up again"))
        return True

    def _in_turn(self) -> list[AllottedPurse]:
        """Return some of the prepaid wallets that nothing else is asked of: others may spend from them."""
        turn = self._listed[self._turn : self._turn + WALLETS_AT_ONCE]
        self._turn = self._turn + WALLETS_AT_ONCE if self._turn + WALLETS_AT_ONCE < len(self._listed) else 0
        return [each for each in turn if each.balance is not None and each.name not in self._in_use]

    def _go_away(self, why: str) -> None:
        if not self.away:
            self._told(0)
        if self._outage.is_news(why):
            meanwhile = "calls of keys with a wallet or a cap are refused, and after a minute those of all keys"
            self._report(SharedStoreAway("database", f"THE DATABASE IS AWAY ({why.rstrip('.')}): {meanwhile}", REMEDY))

    def start(self) -> None:
        """Begin to ask."""
        self._task = self._loop.create_task(begun_again(self.follow))

    async def leave(self, *, keep: bool) -> None:
        """Ask no more; let go of all that this server has, or `keep` it for the next start, which settles what is left."""
        self._task.cancel()
        await asyncio.wait([each for each in (self._task, self._asking) if each is not None], timeout=LEAVE_MAX.total_seconds())
        if not keep:
            forgetting = asyncio.ensure_future(asyncio.to_thread(self._forget))
            await asyncio.wait([forgetting], timeout=LEAVE_MAX.total_seconds())
            with suppress(StorageFailed, asyncio.InvalidStateError):  # then it is forgotten in time
                forgetting.result()

    def _forget(self) -> None:
        with self._database.transaction(BUSY_MILLISECONDS_MAX) as connection:
            forget_server(connection, self._server)

    def _allot(self, wanted: list[Wanted]) -> dict[str, Allotted]:
        last, self._noted = self._noted, None
        with self._database.transaction(BUSY_MILLISECONDS_MAX) as connection:
            noted = note_seen(connection, self._server)
            given = allot(connection, self._server, wanted)
        self._noted = noted.now
        if last is not None and noted.before is not None and noted.before > last and not self._told_twin:
            self._told_twin = True
            self._loop.call_soon_threadsafe(self._report, ServerWarning(TWIN.format(server=self._server)))
        return given
