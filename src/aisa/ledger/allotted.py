"""Wallets and caps of which a server may spend only what the database has allotted to it: in memory, as those of one server are.

What is held for calls, and what calls have cost whose rows the database does not have yet, is `held` and never more than `allotted` by its
own doing. For more a call must ask: it gets `Short`, and waits for `StoredMoney`, which asks for all that wait at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from aisa.errors import ApiError
from aisa.keys.rules import window_start
from aisa.ledger.port import Short
from aisa.ledger.wallets import check_cap, check_wallet
from aisa.money import Nanos

#: Waits until a purse may spend so much more. Raises ApiError when it may not, or nobody can say it in time.
More = Callable[["AllottedPurse", Nanos], Awaitable[None]]


class AllottedPurse(ABC):
    """What wallets and caps have in common. `taken` says whether something was taken since the database was asked last.

    `let_go` is what has been written since then; `free` what the database had beside what is allotted to any server.
    """

    __slots__ = ("_is_away", "_more", "allotted", "free", "held", "let_go", "name", "taken")

    def __init__(self, name: str, more: More, is_away: Callable[[], bool]) -> None:
        self.name = name
        self.held: Nanos = 0
        self.allotted: Nanos = 0
        self.free: Nanos = 0
        self.let_go: Nanos = 0
        self.taken = False
        self._more = more
        self._is_away = is_away

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount. Raises Short when more must be allotted first, ApiError overloaded while the database is away."""
        if self._is_away():
            raise database_away()
        if self.held + amount > self.allotted:
            raise Short(lambda: self._more(self, amount))
        self.taken = True
        self.held += amount

    def hold(self, amount: Nanos) -> None:
        """Hold an amount; a negative one gives back."""
        self.held += amount

    def spend(self, amount: Nanos, at: int) -> None:
        """Take an amount, which is held until the database has it."""
        self.held += amount

    def written(self, amount: Nanos) -> None:
        """Let go of an amount that the database has: it may not be spent again."""
        self.held -= amount
        self.allotted -= amount
        self.let_go += amount

    @abstractmethod
    def refuse(self, amount: Nanos) -> None:
        """Raise ApiError when there is not so much, neither here nor free in the database."""


class AllottedWallet(AllottedPurse):
    """An account's wallet; implements `wallets.Purse`. `balance` is what the database had when it was read last, None for unlimited."""

    __slots__ = ("account", "balance")

    def __init__(self, account: str, balance: Nanos | None, more: More, *, is_away: Callable[[], bool]) -> None:
        super().__init__(f"wallet {account}", more, is_away)
        self.account = account
        self.balance = balance

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount; of an unlimited account any."""
        if self.balance is None:
            self.held += amount
        else:
            super().take(amount, now)

    def refuse(self, amount: Nanos) -> None:
        """Raise ApiError insufficient_wallet_balance when there is not so much."""
        check_wallet(self.account, amount, balance=None if self.balance is None else self.allotted + self.free, held=self.held)

    def add(self, amount: Nanos) -> None:
        """Put an amount in, or take it out. An unlimited account becomes a prepaid one with exactly that balance."""
        self.balance = (self.balance or 0) + amount

    def lift(self) -> None:
        """Make the account unlimited."""
        self.balance = None


class AllottedCap(AllottedPurse):
    """The most that a key may spend in a window; implements `wallets.Spending`. `spent` is what the database had of the window."""

    __slots__ = ("began", "cap", "key_id", "spent", "window")

    def __init__(self, key_id: str, more: More, is_away: Callable[[], bool]) -> None:
        super().__init__(f"cap {key_id}", more, is_away)
        self.key_id = key_id
        self.cap: Nanos = 0
        self.window = ""
        self.began = 0
        self.spent: Nanos = 0

    def spent_at(self, now: float) -> Nanos:
        """Return what was spent in the window that a moment is in, as far as is known here."""
        return self.spent if self.began == window_start(self.window, now) else 0

    def refuse(self, amount: Nanos) -> None:
        """Raise ApiError quota_exceeded when there is not so much: what other servers have of it is told as spent."""
        check_cap(self.cap, self.window, amount, spent=self.cap - self.allotted - self.free, held=self.held)

    def reading(self, began: int) -> bool:
        """Say that what was spent is read without being asked for."""
        return True

    def learn(self, began: int, spent: Nanos | None) -> None:
        """Nothing was asked for."""


def database_away() -> ApiError:
    """Return the refusal of a call whose money nobody can look up."""
    return ApiError("overloaded", "This server cannot look up what is left to spend at the moment. Try again soon.", retry_after=1)
