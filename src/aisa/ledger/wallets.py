"""What may be spent: accounts' wallets and keys' caps, with what is held for calls in flight. In memory; whoever makes them knows the past.

A hold is taken before money is spent and given back when the call is closed, so that calls side by side cannot spend the same money.
"""

from __future__ import annotations

from typing import Protocol

from aisa.errors import ApiError
from aisa.keys.rules import window_start
from aisa.money import Nanos, dollars_text


class Limit(Protocol):
    """Something that bounds spending. Amounts are nano-dollars, `now` is UNIX seconds."""

    def check(self, amount: Nanos, now: float) -> None:
        """Raise ApiError when that much more cannot be held."""
        ...

    def hold(self, amount: Nanos) -> None:
        """Hold an amount that was checked; a negative one gives back."""
        ...

    def spend(self, amount: Nanos, at: int) -> None:
        """Take an amount that was spent at a UNIX second; a negative one gives back."""
        ...


class Wallet:
    """An account's balance, None for unlimited. May go below zero by what a call cost more than was held for it."""

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
        if self.balance is not None and amount > self.balance - self.held:
            left = dollars_text(max(0, self.balance - self.held))
            message = f"The wallet of the account '{self.account}' has {left} US dollars left, and this call needs {dollars_text(amount)}."
            raise ApiError("insufficient_wallet_balance", message, should_retry=False)

    def hold(self, amount: Nanos) -> None:
        """Hold an amount."""
        self.held += amount

    def spend(self, amount: Nanos, at: int) -> None:
        """Take an amount."""
        if self.balance is not None:
            self.balance -= amount


class Cap:
    """The most that a key may spend in a day, week or month (UTC). What a call costs counts in the window in which it ends."""

    __slots__ = ("_began", "cap", "held", "spent", "window")

    def __init__(self, cap: Nanos, window: str, *, spent: Nanos, now: float) -> None:
        self.cap = cap
        self.window = window
        self.spent = spent
        self.held: Nanos = 0
        self._began = window_start(window, now)

    def check(self, amount: Nanos, now: float) -> None:
        """Raise ApiError quota_exceeded when this much more would go over the cap."""
        self._turn(now)
        if self.spent + self.held + amount > self.cap:
            message = (
                f"This key may spend {dollars_text(self.cap)} US dollars a {self.window} (UTC); {dollars_text(self.spent)} are spent, "
                f"{dollars_text(self.held)} held for calls in flight, and this call needs {dollars_text(amount)}."
            )
            raise ApiError("quota_exceeded", message, should_retry=False)

    def hold(self, amount: Nanos) -> None:
        """Hold an amount."""
        self.held += amount

    def spend(self, amount: Nanos, at: int) -> None:
        """Count an amount, if it was spent in the window that runs."""
        self._turn(at)
        if at >= self._began:
            self.spent += amount

    def _turn(self, now: float) -> None:
        began = window_start(self.window, now)
        if began > self._began:
            self._began, self.spent = began, 0
