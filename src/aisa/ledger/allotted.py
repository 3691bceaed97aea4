"""Wallets and caps of which a server may spend only what the database has allotted to it: in memory, as those of one server are.

What is held for calls, and what calls have cost whose rows the database does not have yet, is `held` and never more than `allotted` by its
own doing. For more a call must ask: it gets `Short`, and waits for `StoredMoney`, which asks for all that wait at once. Where a server's
calls run in several processes, these are the ends of who asks, and `shared_allotments` has those of who spends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aisa.errors import ApiError
from aisa.keys.rules import Capped, window_end, window_start
from aisa.ledger.allotments import Allotted, Wanted
from aisa.ledger.caps import check_cap, spender
from aisa.ledger.port import Short
from aisa.ledger.wallets import check_wallet
from aisa.money import Nanos

#: Waits until a purse may spend so much more. Raises ApiError when it may not, or nobody can say it in time.
More = Callable[["AllottedPurse", Nanos], Awaitable[None]]
SPARE_HOLDS = 8  # are asked for beside the one that lacks, so that few calls have to wait


class Amounts(Protocol):
    """What of a purse is held and allotted, wherever that is kept."""

    @property
    def held(self) -> Nanos:
        """What is held, and what was spent that the database does not have yet."""
        ...

    @property
    def allotted(self) -> Nanos:
        """What may be held."""
        ...

    @property
    def in_use(self) -> bool:
        """Whether there is anything to ask, or to give back."""
        ...

    def ask(self, lacking: Nanos, *, sweeping: bool = True) -> tuple[Nanos, Nanos]:
        """Begin a question: return what is held, and what is to be kept besides `lacking`, which calls wait for.

        `sweeping` gives back what is idle: from what nobody took since this was done last, nothing may be taken any more. What calls
        wait for counts as taken, as they take it a moment after the answer.
        """
        ...

    def allot(self, amount: Nanos) -> None:
        """Let so much be held."""
        ...

    def written(self, amount: Nanos) -> None:
        """Let go of an amount that the database has: it may not be spent again."""
        ...

    def tell(self, first: int, second: Nanos) -> None:
        """Let others see what the database said: of a wallet whether it is prepaid, and its balance; of a cap its window and its sum."""
        ...


class OwnAmounts:
    """Amounts of which this process alone spends. `taken` says whether something was taken since idle money was given back last."""

    __slots__ = ("allotted", "held", "taken")

    def __init__(self, _name: str = "") -> None:
        self.held: Nanos = 0
        self.allotted: Nanos = 0
        self.taken = False

    @property
    def in_use(self) -> bool:
        """Whether there is anything to ask, or to give back."""
        return bool(self.allotted or self.taken)

    def ask(self, lacking: Nanos, *, sweeping: bool = True) -> tuple[Nanos, Nanos]:
        """Begin a question."""
        keeps = self.taken or not sweeping
        need = wanted_beside(lacking, held=self.held, allotted=self.allotted, keeps=keeps)
        self.allotted, self.taken = min(self.allotted, need), still_taken(lacking, taken=self.taken, sweeping=sweeping)
        return self.held, need

    def allot(self, amount: Nanos) -> None:
        """Let so much be held."""
        self.allotted = amount

    def written(self, amount: Nanos) -> None:
        """Let go of an amount that the database has."""
        self.held -= amount
        self.allotted -= amount

    def tell(self, first: int, second: Nanos) -> None:
        """Nobody else looks."""


def wanted_beside(lacking: Nanos, *, held: Nanos, allotted: Nanos, keeps: bool) -> Nanos:
    """Return what a purse needs: what is held and what calls lack; the rest only if it `keeps` that."""
    return held + lacking if lacking or not keeps else max(held, allotted)


def still_taken(lacking: Nanos, *, taken: bool, sweeping: bool) -> bool:
    """Say whether a purse counts as taken from, once a question has begun."""
    return bool(lacking) or (taken and not sweeping)


class AllottedPurse(ABC):
    """What wallets and caps have in common. `free` is what the database had beside what is allotted to any server.

    `let_go` is what has been written since the database was asked last.
    """

    __slots__ = ("_is_away", "_more", "amounts", "free", "let_go", "name")

    def __init__(self, name: str, amounts: Amounts, more: More, *, is_away: Callable[[], bool]) -> None:
        self.name = name
        self.amounts = amounts
        self.free: Nanos = 0
        self.let_go: Nanos = 0
        self._more = more
        self._is_away = is_away

    @property
    def held(self) -> Nanos:
        """What is held, and what was spent that the database does not have yet."""
        return self.amounts.held

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount. Raises Short when more must be allotted first, ApiError overloaded while the database is away."""
        amounts = self._own
        if self._is_away():
            raise database_away()
        if amounts.held + amount > amounts.allotted:
            raise Short(lambda: self._more(self, amount))
        amounts.taken = True
        amounts.held += amount

    @property
    def _own(self) -> OwnAmounts:
        amounts = self.amounts
        assert isinstance(amounts, OwnAmounts), "who shares it with others does not spend it"
        return amounts

    def hold(self, amount: Nanos) -> None:
        """Hold an amount; a negative one gives back."""
        self._own.held += amount

    def spend(self, amount: Nanos, at: int, call_id: str = "") -> None:
        """Take an amount, which is held until the database has it."""
        self._own.held += amount

    def written(self, amount: Nanos) -> None:
        """Let go of an amount that the database has: it may not be spent again."""
        self.amounts.written(amount)
        self.let_go += amount

    def ask(self, lacking: Nanos, now: float, *, sweeping: bool = True) -> Wanted:
        """Begin a question, and return what is asked: what is held, what calls lack, and some of what there is plenty of."""
        self.let_go = 0
        held, need = self.amounts.ask(lacking, sweeping=sweeping)
        return self.wanted(held, need, need + lacking * SPARE_HOLDS, now=now)

    @abstractmethod
    def wanted(self, held: Nanos, need: Nanos, most: Nanos, *, now: float) -> Wanted:
        """Return these amounts as the database takes them."""

    def answered(self, given: Allotted, now: float) -> None:
        """Take an answer. What was written since it was asked may be in it or not; what is taken off too much comes with the next."""
        self.amounts.allot(given.amount - self.let_go)
        self.free = given.free

    @abstractmethod
    def refuse(self, amount: Nanos) -> None:
        """Raise ApiError when there is not so much, neither here nor free in the database."""


class AllottedWallet(AllottedPurse):
    """An account's wallet; implements `wallets.Purse`. `balance` is what the database had when it was read last, None for unlimited."""

    __slots__ = ("_balance", "account")

    def __init__(self, account: str, amounts: Amounts, more: More, *, is_away: Callable[[], bool]) -> None:
        super().__init__(wallet_name(account), amounts, more, is_away=is_away)
        self.account = account
        self.balance = 0

    @property
    def balance(self) -> Nanos | None:
        """What the database had when it was read last, None for unlimited."""
        return self._balance

    @balance.setter
    def balance(self, balance: Nanos | None) -> None:
        self._balance = balance
        self.amounts.tell(int(balance is not None), balance or 0)

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount; of an unlimited account any."""
        if self._balance is None:
            self.hold(amount)
        else:
            super().take(amount, now)

    def wanted(self, held: Nanos, need: Nanos, most: Nanos, *, now: float) -> Wanted:
        """Return these amounts as the database takes them."""
        return Wanted(self.name, held, need, most, self.account)

    def answered(self, given: Allotted, now: float) -> None:
        """Take an answer."""
        super().answered(given, now)
        self.balance = given.balance

    def refuse(self, amount: Nanos) -> None:
        """Raise ApiError insufficient_wallet_balance when there is not so much."""
        there = None if self._balance is None else self.amounts.allotted + self.free
        check_wallet(self.account, amount, balance=there, held=self.held)

    def add(self, amount: Nanos) -> None:
        """Put an amount in, or take it out. An unlimited account becomes a prepaid one with exactly that balance."""
        self.balance = (self._balance or 0) + amount

    def lift(self) -> None:
        """Make the account unlimited."""
        self.balance = None


class AllottedCap(AllottedPurse):
    """The most that a key or team may spend in a window; implements `wallets.Spending`. `spent` is what the database had of the window."""

    __slots__ = ("began", "cap", "id", "spent", "whose", "window")

    def __init__(self, whose: Capped, amounts: Amounts, more: More, *, is_away: Callable[[], bool]) -> None:
        super().__init__(cap_name(whose.id), amounts, more, is_away=is_away)
        self.id = whose.id
        self.cap: Nanos = 0
        self.window = ""
        self.began = 0
        self.spent: Nanos = 0

    def bound(self, whose: Capped) -> None:
        """Bound spending as a key or team says now."""
        assert whose.spend_cap is not None, "the caller looked"
        assert whose.spend_window is not None, "a cap has its window"
        self.cap, self.window, self.whose = whose.spend_cap, whose.spend_window, spender(whose)

    def spent_at(self, now: float) -> Nanos:
        """Return what was spent in the window that a moment is in, as far as is known here."""
        return self.spent if self.began == window_start(self.window, now) else 0

    def wanted(self, held: Nanos, need: Nanos, most: Nanos, *, now: float) -> Wanted:
        """Return these amounts as the database takes them."""
        began = window_start(self.window, now)
        return Wanted(self.name, held, need, most, None, self.id, self.cap, began, window_end(self.window, began))

    def answered(self, given: Allotted, now: float) -> None:
        """Take an answer."""
        super().answered(given, now)
        self.began, self.spent = window_start(self.window, now), given.spent
        self.amounts.tell(self.began, self.spent)

    def refuse(self, amount: Nanos) -> None:
        """Raise ApiError quota_exceeded when there is not so much: what other servers have of it is told as spent."""
        spent = self.cap - self.amounts.allotted - self.free
        check_cap(self.cap, self.window, amount, spent=spent, held=self.held, whose=self.whose)

    def reading(self, began: int) -> bool:
        """Say that what was spent is read without being asked for."""
        return True

    def late(self, began: int) -> Sequence[str]:
        """Nothing is read."""
        return ()

    def learn(self, began: int, spent: Nanos | None) -> None:
        """Nothing was asked for."""


def wallet_name(account: str) -> str:
    """Return what an account's wallet is called where purses are kept by name."""
    return f"wallet {account}"


def cap_name(id_: str) -> str:
    """Return what the cap of the key or team with an id is called there."""
    return f"cap {id_}"


def database_away() -> ApiError:
    """Return the refusal of a call whose money nobody can look up."""
    return ApiError("overloaded", "This server cannot look up what is left to spend at the moment. Try again soon.", retry_after=1)
