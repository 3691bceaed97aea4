"""What a server of several processes may spend of wallets and caps that it shares with other servers. Asks no database itself.

One process asks, `StoredMoney` in the office; the others spend, each in its column of memory that they share (`shared_wallets`). What may
be held in all is a word that the office alone writes. It lowers it before it gives something back, under the lock that whoever takes has
too, so that nothing is taken that is given back at the same time. A worker that lacks something asks the office.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from aisa.clock import monotonic_micros
from aisa.keys.rules import Capped, Key, window_start
from aisa.ledger.allotted import AllottedCap, AllottedWallet, database_away, still_taken, wanted_beside
from aisa.ledger.caps import capped
from aisa.ledger.port import Short
from aisa.ledger.port_usage import Span
from aisa.ledger.row import CallRow
from aisa.ledger.shared_wallets import (
    BALANCE,
    BEGAN,
    COLUMNS,
    SPENT,
    Purse,
    SharedCap,
    SharedWallet,
    cannot_look,
    clear_column,
    no_place,
    place_for,
)
from aisa.ledger.stored_money import StoredMoney
from aisa.money import Nanos
from aisa.storage.shared_memory import WORKERS_MAX, SharedMemory, SharedStuck

#: Words of a record, beside those that `shared_wallets` has: what may be held, and whether something was taken since idle money was given
#: back last.
ALLOTTED, TAKEN = 2, 3
BELIEVED_UNTIL = 6  # the word of shared memory, one of the office's own: the machine's microsecond until which all this may be spent


class MoreWanted(msgspec.Struct, frozen=True):
    """What a worker asks for: so much more of an account's wallet, or of the cap of the key or team with an id."""

    amount: Nanos
    account: str | None = None
    capped: str | None = None


#: Waits until so much more may be spent. Raises ApiError when it may not, or nobody can say it in time.
AskMore = Callable[[MoreWanted], Awaitable[None]]


class SharedAmounts:
    """What of a purse is held by all processes and allotted to their server; implements `allotted.Amounts` in the office."""

    def __init__(self, memory: SharedMemory, name: str) -> None:
        """Make its record. Raises SharedStuck."""
        with memory.lock:
            self._at, self._memory = place_for(memory, name)

    @property
    def held(self) -> Nanos:
        """What all processes hold, and what was spent that the database does not have yet."""
        return sum(self._memory.signed[self._at + COLUMNS : self._at + COLUMNS + WORKERS_MAX])

    @property
    def allotted(self) -> Nanos:
        """What they may hold in all."""
        return self._memory.signed[self._at + ALLOTTED]

    @property
    def in_use(self) -> bool:
        """Whether there is anything to ask, or to give back."""
        return bool(self.allotted or self._memory.words[self._at + TAKEN])

    def ask(self, lacking: Nanos, *, sweeping: bool = True) -> tuple[Nanos, Nanos]:
        """Begin a question. Raises SharedStuck, and has changed nothing then."""
        with self._memory.lock:
            held, taken = self.held, bool(self._memory.words[self._at + TAKEN])
            need = wanted_beside(lacking, held=held, allotted=self.allotted, keeps=taken or not sweeping)
            self._memory.signed[self._at + ALLOTTED] = min(self.allotted, need)
            self._memory.words[self._at + TAKEN] = still_taken(lacking, taken=taken, sweeping=sweeping)
        return held, need

    def allot(self, amount: Nanos) -> None:
        """Let so much be held."""
        self._memory.signed[self._at + ALLOTTED] = amount

    def written(self, amount: Nanos) -> None:
        """Let an amount not be spent again that the database has; the worker whose call it was lets go of it after that."""
        self._memory.signed[self._at + ALLOTTED] -= amount

    def tell(self, first: int, second: Nanos) -> None:
        """Let the others see what the database said."""
        self._memory.signed[self._at + BALANCE] = second  # ahead of the word that says what it is worth
        self._memory.signed[self._at] = first


class AllottedTreasury:
    """Every wallet and cap of a server on a shared database, as its office keeps them for all: what `Treasury` is to one of its own."""

    def __init__(self, memory: SharedMemory, money: StoredMoney) -> None:
        self.teams: dict[str, str] = {}  # of keys that are in one, by key id
        self._memory = memory
        self._money = money

    @property
    def caps(self) -> Mapping[str, AllottedCap]:
        """Caps by the id of the key or team."""
        return self._money.caps

    def wallet(self, account: str) -> AllottedWallet:
        """Return an account's wallet, made if it is not there."""
        return self._money.wallet(account)

    def know(self, key: Key, now: float) -> None:
        """Make what a key needs that is new or has changed."""
        self.wallet(key.account)
        if key.team is not None:
            self.teams[key.id] = key.team.id
        for each in capped(key):
            self._money.recap(each)

    def written(self, rows: Iterable[CallRow], now: float) -> None:
        """Take what the database has charged for rows that it did not have before."""
        for row in rows:
            if row.prepaid:
                self.wallet(row.account).written(row.cost)
            for whose in (row.key_id, self.teams.get(row.key_id, "")):
                cap = self.caps.get(whose)
                if cap is not None:
                    cap.written(row.cost)

    def unread(self, id_: str, now: float) -> Span | None:
        """Say that nothing must be read: what a window has spent comes with what is allotted."""
        return None

    def learn(self, span: Span, spent: Nanos | None, now: float) -> None:
        """Nothing was asked for."""

    def late(self, span: Span) -> Sequence[str]:
        """Nothing was asked for."""
        return ()

    def forget_worker(self, worker: int) -> None:
        """Clear the column of a process that died: all that it closed is in the database, and nothing is open any more."""
        clear_column(self._memory, worker)

    async def more(self, wanted: MoreWanted) -> None:
        """Wait until a purse may spend so much more. Raises ApiError."""
        purse = self.caps.get(wanted.capped or "") if wanted.account is None else self.wallet(wanted.account)
        if purse is None:
            raise cannot_look()  # the cap has just been taken away
        await self._money.more(purse, wanted.amount)


class AllottedHereWallet(SharedWallet):
    """An account's wallet in a worker; implements `wallets.Purse`. One that nobody made yet has nothing until the office has asked."""

    __slots__ = ("_more",)

    def __init__(self, memory: SharedMemory, account: str, more: AskMore) -> None:
        super().__init__(memory, account)
        self._more = more

    @property
    def balance(self) -> Nanos | None:
        """What the database says is in it, None for unlimited."""
        return 0 if self.place is None else super().balance

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount; of an unlimited account any. Raises Short, ApiError overloaded."""
        if self.balance is None:
            self.hold(amount)
        else:
            take_allotted(self, self._memory, amount, more=lambda: self._more(MoreWanted(amount, account=self.account)))


class AllottedHereCap(SharedCap):
    """The most that a key or team may spend in a window, in a worker; implements `wallets.Spending`."""

    __slots__ = ("_id", "_more")

    def __init__(self, memory: SharedMemory, whose: Capped, more: AskMore) -> None:
        super().__init__(memory, whose)
        self._id = whose.id
        self._more = more

    def spent_at(self, now: float) -> Nanos:
        """Return what was spent in the window that a moment is in, as far as the office knows."""
        at = self.place
        known = at is not None and self._memory.signed[at + BEGAN] == window_start(self.window, now)
        return self._memory.signed[at + SPENT] if at is not None and known else 0

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount. Raises Short, ApiError overloaded."""
        take_allotted(self, self._memory, amount, more=lambda: self._more(MoreWanted(amount, capped=self._id)))


def is_away(memory: SharedMemory) -> bool:
    """Say whether the database does not answer, or has not answered the office for so long that others may have what was allotted here."""
    return memory.words[BELIEVED_UNTIL] < monotonic_micros()


def take_allotted(purse: Purse, memory: SharedMemory, amount: Nanos, *, more: Callable[[], Awaitable[None]]) -> None:
    """Hold an amount if it is allotted. Raises Short, which waits for `more`; ApiError overloaded when nobody can say it."""
    if is_away(memory):
        raise database_away()
    if purse.lacks_place:
        raise no_place()
    try:
        with memory.lock:
            at = purse.place
            if at is None or purse.held + amount > memory.signed[at + ALLOTTED]:
                raise Short(more)
            memory.words[at + TAKEN] = 1
            purse.hold(amount)
    except SharedStuck:
        raise cannot_look() from None


def shared_amounts(memory: SharedMemory) -> Callable[[str], SharedAmounts]:
    """Return what makes the record of a purse by its name."""

    def made(name: str) -> SharedAmounts:
        return SharedAmounts(memory, name)

    return made


def tell_all(memory: SharedMemory) -> Callable[[float], None]:
    """Return what lets all processes see for how many seconds from now what is allotted may be spent."""

    def told(seconds: float) -> None:
        memory.words[BELIEVED_UNTIL] = monotonic_micros() + int(seconds * 1_000_000) if seconds > 0 else 0

    return told
