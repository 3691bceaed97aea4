"""Wallets and caps that the processes of one machine spend from together, in memory that they share. The rules are those of `wallets`.

What the database has (a wallet's balance, what a cap's window has spent) one process alone writes: the one that writes the database. Each
other process has a column: what it holds for calls in flight, and what calls have cost whose rows the database does not have yet. Only to
look whether there is enough and then to hold it needs the lock. A row that was written is taken off the balance first and off its column
right after, so for a moment it counts twice and never not at all. The column of a process that died is cleared when its journal is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from aisa.errors import ApiError
from aisa.keys.rules import Capped, Key, window_end, window_start
from aisa.ledger.caps import Cap, check_cap, spender
from aisa.ledger.port_usage import Span
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import check_wallet
from aisa.money import Nanos
from aisa.storage.shared_memory import PURSE_WORDS, WORD_BYTES, WORKERS_MAX, SharedFull, SharedMemory, SharedStuck

#: Words of a record: of a wallet whether it is prepaid, and its balance; of a cap when its window began, what that has spent, and when the
#: newest window begins that something may have been spent in, as the clock may have been set back from it.
PREPAID, BALANCE = 0, 1
BEGAN, SPENT, EMPTY_AFTER = 0, 1, 4
COLUMNS = 8
UNREAD = 1 << 62  # for BEGAN and EMPTY_AFTER: no window begins then or later, so nobody takes any for known
NO_WINDOW = ""  # of a cap that is yet to be given one
assert COLUMNS + WORKERS_MAX <= PURSE_WORDS
PURSES_FULL = 5  # the word of shared memory, one of the office's own, that is not zero where some purse has found no place


class Scratch:
    """A record that has no place in the memory, as the office keeps it: nobody else sees it, and workers refuse whoever it is of."""

    def __init__(self, memory: SharedMemory) -> None:
        self.lock = memory.lock
        self.words = memoryview(bytearray(PURSE_WORDS * WORD_BYTES)).cast("B").cast("Q")
        self.signed = self.words.cast("B").cast("q")


def place_for(memory: SharedMemory, name: str) -> tuple[int, SharedMemory | Scratch]:
    """Return the place of a purse by its name, made if it is new, and the memory that it is in. The lock must be held.

    As many as there may be find one; if by chance one does not, its own calls are refused, and nobody else's.
    """
    try:
        place, _ = memory.purses.take(memory.name_word(name), never_idle)
    except SharedFull:
        memory.words[PURSES_FULL] = 1
        memory.full(name)
        return 0, Scratch(memory)
    return place, memory


class Purse:
    """A record of money, and this process's column in it. It is made by the process that writes the database."""

    __slots__ = ("_memory", "_name", "_place")

    def __init__(self, memory: SharedMemory, name: str) -> None:
        self._memory = memory
        self._name = memory.name_word(name)
        self._place: int | None = None

    @property
    def place(self) -> int | None:
        """Its first word, None while it was not made."""
        if self._place is None:
            self._place = self._memory.purses.find(self._name)
        return self._place

    @property
    def held(self) -> Nanos:
        """What all processes hold, and what was spent that the database does not have yet."""
        at = self.place
        return 0 if at is None else sum(self._memory.signed[at + COLUMNS : at + COLUMNS + WORKERS_MAX])

    @property
    def lacks_place(self) -> bool:
        """Whether it has none and may never get one: what it has is not known here."""
        return self.place is None and bool(self._memory.words[PURSES_FULL])

    def hold(self, amount: Nanos) -> None:
        """Hold an amount that was checked; a negative one gives back. Of this process's column, so without the lock."""
        at = self.place
        assert at is not None, "who has no place was refused"
        self._memory.signed[at + COLUMNS + self._memory.worker] += amount

    def spend(self, amount: Nanos, at: int, call_id: str = "") -> None:
        """Take an amount, which is in this process's column until the database has it."""
        self.hold(amount)

    def written(self, amount: Nanos) -> None:
        """Let go of an amount that the database has."""
        self.hold(-amount)


class SharedWallet(Purse):
    """An account's balance; implements `wallets.Purse`. One that was not made yet is unlimited, as accounts are made."""

    __slots__ = ("account",)

    def __init__(self, memory: SharedMemory, account: str) -> None:
        super().__init__(memory, f"wallet {account}")
        self.account = account

    @property
    def balance(self) -> Nanos | None:
        """What the database says is in it, None for unlimited."""
        at = self.place
        if at is None:
            return 0 if self.lacks_place else None
        return self._memory.signed[at + BALANCE] if self._memory.words[at + PREPAID] else None

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount if it is there. Raises ApiError insufficient_wallet_balance; overloaded if that cannot be looked up."""
        if self.lacks_place:
            raise no_place()
        try:
            with self._memory.lock:
                check_wallet(self.account, amount, balance=self.balance, held=self.held)
                self.hold(amount)
        except SharedStuck:
            raise cannot_look() from None


class SharedCap(Purse):
    """The most that a key or team may spend in a window; implements `wallets.Spending`."""

    __slots__ = ("_reading", "cap", "of", "window")

    def __init__(self, memory: SharedMemory, whose: Capped) -> None:
        super().__init__(memory, f"cap {whose.id}")
        assert whose.spend_cap is not None, "the caller looked"
        assert whose.spend_window is not None, "a cap has its window"
        self.cap = whose.spend_cap
        self.window = whose.spend_window
        self.of = whose
        self._reading: set[int] = set()

    def spent_at(self, now: float) -> Nanos | None:
        """Return what the database says was spent in the window that a moment is in, None if nobody has read that yet."""
        at, began = self.place, window_start(self.window, now)
        if at is None:
            return None
        words = self._memory.signed
        if began == words[at + BEGAN]:
            return words[at + SPENT]
        return 0 if began > words[at + EMPTY_AFTER] else None

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount if the cap leaves it. Raises ApiError quota_exceeded; overloaded if that cannot be looked up."""
        if self.place is None:
            raise no_place() if self.lacks_place else cannot_look()  # which the log tells, or which is being made
        try:
            with self._memory.lock:
                check_cap(self.cap, self.window, amount, spent=self.spent_at(now) or 0, held=self.held, whose=spender(self.of))
                self.hold(amount)
        except SharedStuck:
            raise cannot_look() from None

    def reading(self, began: int) -> bool:
        """Say whether somebody was asked for the window that began then; if not, from now on that is so."""
        known = began in self._reading
        self._reading.add(began)
        return known

    def late(self, began: int) -> Sequence[str]:
        """Return none: whoever writes the database is told of them."""
        return ()

    def learn(self, began: int, spent: Nanos | None) -> None:
        """Note that whoever writes the database has said what was spent in a window, or could not."""
        self._reading.discard(began)


class MadeWallet:
    """An account's balance as the process that writes the database makes and keeps it."""

    def __init__(self, memory: SharedMemory, account: str) -> None:
        """Make it, unlimited. Raises SharedStuck."""
        with memory.lock:
            self._at, self._memory = place_for(memory, f"wallet {account}")

    @property
    def balance(self) -> Nanos | None:
        """What is in it, None for unlimited."""
        return self._memory.signed[self._at + BALANCE] if self._memory.words[self._at + PREPAID] else None

    @property
    def held(self) -> Nanos:
        """What all processes hold, and what was spent that the database does not have yet."""
        return sum(self._memory.signed[self._at + COLUMNS : self._at + COLUMNS + WORKERS_MAX])

    def add(self, amount: Nanos) -> None:
        """Put an amount in, or take it out. An unlimited account becomes a prepaid one with exactly that balance."""
        self._memory.signed[self._at + BALANCE] = (self.balance or 0) + amount
        self._memory.words[self._at + PREPAID] = 1

    def lift(self) -> None:
        """Make the account unlimited."""
        self._memory.words[self._at + PREPAID] = 0

    def spend(self, amount: Nanos) -> None:
        """Take what the database has charged."""
        if self.balance is not None:
            self._memory.signed[self._at + BALANCE] -= amount


class Treasury:
    """Every wallet and cap, as the process that writes the database keeps them for all. Used in one thread.

    `caps` are the sums of the windows of keys and teams by their ids, `teams` those of keys that are in one, by key id.
    """

    def __init__(
        self,
        memory: SharedMemory,
        wallets: Iterable[tuple[str, Nanos | None]],
        caps: Mapping[str, Cap],
        *,
        now: float,
        teams: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.caps = dict(caps)
        self.teams = dict(teams)
        self._memory = memory
        self._wallets: dict[str, MadeWallet] = {}
        for account, balance in wallets:
            made = self.wallet(account)
            if balance is not None:
                made.add(balance)
        for id_ in caps:
            self._publish(id_, now)

    def wallet(self, account: str) -> MadeWallet:
        """Return an account's wallet, made if it is not there."""
        made = self._wallets.get(account)
        if made is None:
            made = self._wallets[account] = MadeWallet(self._memory, account)
        return made

    def know(self, key: Key, now: float) -> None:
        """Make what a key needs that is new or has changed. What was spent in a window that was not bounded must be read: `unread`.

        Raises SharedStuck; once more makes the rest.
        """
        self.wallet(key.account)
        if key.team is not None:
            self.teams[key.id] = key.team.id
            self._know(key.team, now)
        self._know(key, now)

    def _know(self, whose: Capped, now: float) -> None:
        if whose.spend_cap is None or whose.spend_window is None:
            self.caps.pop(whose.id, None)
            return
        cap = self.caps.get(whose.id) or Cap(whose.spend_cap, NO_WINDOW, spent=0, now=now)
        with self._memory.lock:
            self.caps[whose.id] = cap
            if cap.change(whose.spend_cap, whose.spend_window, now):
                at, memory = place_for(self._memory, f"cap {whose.id}")
                memory.signed[at + BEGAN] = memory.signed[at + EMPTY_AFTER] = UNREAD

    def written(self, rows: Sequence[CallRow], now: float) -> None:
        """Take what the database has charged for rows that it did not have before. Raises SharedStuck, and has changed nothing then."""
        charged = [(self.wallet(row.account), row.cost) for row in rows if row.prepaid]
        capped = rows if self.caps else ()
        spent = [(id_, row) for row in capped for id_ in (row.key_id, self.teams.get(row.key_id, "")) if id_ in self.caps]
        if spent:
            with self._memory.lock:
                for id_, row in spent:
                    self.caps[id_].spend(row.cost, row.ended_ms // 1000, row.id)
                for id_ in {id_ for id_, _ in spent}:
                    self._show(id_, now)
        for wallet, cost in charged:
            wallet.spend(cost)

    def unread(self, id_: str, now: float) -> Span | None:
        """Return what must be read of the calls of a key or team to know what its window has spent.

        None if that is known, which the others then see, or is being read already. Raises ApiError overloaded.
        """
        cap = self.caps.get(id_)
        if cap is None or self._publish(id_, now):
            return None
        began = window_start(cap.window, now)
        if cap.reading(began):
            return None
        return Span(began * 1000, window_end(cap.window, began) * 1000, id_)

    def learn(self, span: Span, spent: Nanos | None, now: float) -> None:
        """Take what was read, the late calls left out, None if it could not be."""
        assert span.whose is not None, "as `unread` gave it"
        cap = self.caps.get(span.whose)
        if cap is not None:  # it was not taken away meanwhile
            cap.learn(span.start_ms // 1000, spent)
            self._publish(span.whose, now)

    def late(self, span: Span) -> Sequence[str]:
        """Return the calls that were told since a span is being read. In any thread."""
        cap = self.caps.get(span.whose or "")
        return () if cap is None else cap.late(span.start_ms // 1000)

    def forget_worker(self, worker: int) -> None:
        """Clear the column of a process that died: all that it closed is in the database, and nothing is open any more."""
        clear_column(self._memory, worker)

    def _publish(self, id_: str, now: float) -> bool:
        """Let the others see what a cap's window has spent. False if that must be read first. Raises ApiError overloaded."""
        try:
            with self._memory.lock:
                return self._show(id_, now)
        except SharedStuck:
            raise cannot_look() from None

    def _show(self, id_: str, now: float) -> bool:
        """Do so; the lock is held, as the words belong together."""
        cap = self.caps[id_]
        spent = cap.spent_at(now)
        at, memory = place_for(self._memory, f"cap {id_}")
        memory.signed[at + EMPTY_AFTER] = cap.empty_after
        if spent is not None:
            memory.signed[at + BEGAN] = window_start(cap.window, now)
            memory.signed[at + SPENT] = spent
        return spent is not None


def clear_column(memory: SharedMemory, worker: int) -> None:
    """Let a process hold nothing of any purse."""
    for place in memory.purses.taken():
        memory.signed[place + COLUMNS + worker] = 0


def never_idle(_place: int) -> bool:
    """Say that no purse may be another's: accounts and keys are never deleted."""
    return False


def no_place() -> ApiError:
    """Return the refusal of a call whose account or key has no place in the memory of the processes."""
    return ApiError("overloaded", "This server has no room to keep what this key may spend. Its operator must look at the log.")


def cannot_look() -> ApiError:
    """Return the refusal of a call while the lock is not to be had."""
    return ApiError("overloaded", "This server cannot look up what is left to spend at the moment. Try again soon.")
