"""The accounts' wallets as the administrator of a running server changes them: in the database first, then in memory. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aisa.ledger.port_admin import AccountStanding, Booking, Wallets
from aisa.money import Nanos

#: Has something done in the event loop's thread, where the ledger is changed, before any call that is read later. Returns at once.
InLoop = Callable[[Callable[[], None]], object]


class Fillable(Protocol):
    """A wallet in memory."""

    def add(self, amount: Nanos) -> None:
        """Put an amount in, or take it out. An unlimited account becomes a prepaid one with exactly that balance."""
        ...

    def lift(self) -> None:
        """Make the account unlimited."""
        ...


class LiveWallets:
    """Wallets whose changes count from the next call on; implements `port_admin.Wallets`. Called in the administrator's thread.

    What the database has is done: nobody waits for the event loop then, so that a busy one cannot make a booking look as if it had failed.
    """

    def __init__(self, stored: Wallets, wallet: Callable[[str], Fillable], in_loop: InLoop) -> None:
        self._stored = stored
        self._wallet = wallet
        self._in_loop = in_loop

    def accounts(self) -> list[AccountStanding]:
        """Return every account, by name."""
        return self._stored.accounts()

    def top_up(self, account: str, nanos: Nanos, *, note: str = "", reference: str | None = None) -> Booking:
        """Put an amount into a wallet, unless its reference was booked before."""
        booking = self._stored.top_up(account, nanos, note=note, reference=reference)
        if booking.fresh:
            self._in_loop(lambda: self._wallet(account).add(nanos))
        return booking

    def adjust(self, account: str, nanos: Nanos, *, note: str) -> Booking:
        """Add an amount, which may be negative."""
        booking = self._stored.adjust(account, nanos, note=note)
        self._in_loop(lambda: self._wallet(account).add(nanos))
        return booking

    def unlimit(self, account: str) -> AccountStanding:
        """Make an account unlimited."""
        known = self._stored.unlimit(account)
        self._in_loop(lambda: self._wallet(account).lift())
        return known
