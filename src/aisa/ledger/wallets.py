"""What accounts' wallets hold, with what is held for calls in flight; what wallets and caps (`caps.py`) are to a call. Kept in memory.

A hold is taken before money is spent and given back when the call is closed, so that calls side by side cannot spend the same money.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aisa.errors import ApiError
from aisa.money import Nanos, dollars_text


class Limit(Protocol):
    """Something that bounds spending. Amounts are nano-dollars, `now` is UNIX seconds."""

    @property
    def held(self) -> Nanos:
        """What is held."""
        ...

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount. Raises ApiError when that much more cannot be held, and holds nothing then."""
        ...

    def hold(self, amount: Nanos) -> None:
        """Hold an amount whatever there is; a negative one gives back."""
        ...

    def spend(self, amount: Nanos, at: int, call_id: str = "") -> None:
        """Take an amount that was spent at a UNIX second, on a call if one is named; a negative one gives back."""
        ...

    def written(self, amount: Nanos) -> None:
        """Note that what was spent on a call is in the database now."""
        ...


class Purse(Limit, Protocol):
    """An account's wallet, wherever it is kept."""

    @property
    def balance(self) -> Nanos | None:
        """What is in it, None for unlimited."""
        ...


class Spending(Limit, Protocol):
    """What a key or team may spend in a window, wherever that is kept."""

    @property
    def window(self) -> str:
        """Which window: a day, a week or a month (UTC)."""
        ...

    def spent_at(self, now: float) -> Nanos | None:
        """Return what was spent in the window that a moment is in, None if that must be read first."""
        ...

    def reading(self, began: int) -> bool:
        """Say whether the window that began then is being read; if not, from now on it is."""
        ...

    def late(self, began: int) -> Sequence[str]:
        """Return the calls that were told since the window that began then is being read. In any thread."""
        ...

    def learn(self, began: int, spent: Nanos | None) -> None:
        """Take what was spent in a window, the late calls left out, None if it could not be read."""
        ...


class Wallet:
    """An account's balance, implementing `Purse`; None for unlimited. May go below zero by what a call cost more than was held for it."""

    __slots__ = ("account", "balance", "held")

    def __init__(self, account: str, balance: Nanos | None) -> None:
        self.account = account
        self.balance = balance
        self.held: Nanos = 0

    def add(self, amount: Nanos) -> None:
        """Put an amount in, or take it out. An unlimited account becomes a prepaid one with exactly that balance."""
        self.balance = (self.balance or 0) + amount

    def lift(self) -> None:
        """Make the account unlimited."""
        self.balance = None

    def check(self, amount: Nanos, now: float) -> None:
        """Raise ApiError insufficient_wallet_balance when there is less than this beyond what is held."""
        check_wallet(self.account, amount, balance=self.balance, held=self.held)

    def take(self, amount: Nanos, now: float) -> None:
        """Hold an amount if it is there. Raises ApiError insufficient_wallet_balance."""
        self.check(amount, now)
        self.held += amount

    def hold(self, amount: Nanos) -> None:
        """Hold an amount."""
        self.held += amount

    def spend(self, amount: Nanos, at: int, call_id: str = "") -> None:
        """Take an amount."""
        if self.balance is not None:
            self.balance -= amount

    def written(self, amount: Nanos) -> None:
        """It is taken already."""


def check_wallet(account: str, amount: Nanos, *, balance: Nanos | None, held: Nanos) -> None:
    """Raise ApiError insufficient_wallet_balance when a wallet has less than an amount beyond what is held."""
    if balance is not None and amount > balance - held:
        left = dollars_text(max(0, balance - held))
        message = f"The wallet of the account '{account}' has {left} US dollars left, and this call needs {dollars_text(amount)}."
        if held:
            message += f" {dollars_text(held)} more are held for calls in flight: what they do not use comes back as they end."
        raise ApiError("insufficient_wallet_balance", message, should_retry=False)
