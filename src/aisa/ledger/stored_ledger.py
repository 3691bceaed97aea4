"""The ledger of a server that shares its database with others: as in memory, but wallets and caps have what was allotted to this server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from aisa.keys.rules import Capped, Key
from aisa.ledger.allotted import AllottedCap, AllottedWallet
from aisa.ledger.caps import Cap, capped
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger, Post
from aisa.ledger.stored_money import StoredMoney
from aisa.ledger.wallets import Wallet


class StoredLedger(LiveLedger):
    """The live ledger; implements `ledger.port.Ledger`. See `LiveLedger` for `options`."""

    def __init__(self, journal: Journal, post: Post, money: StoredMoney, **options: object) -> None:
        super().__init__(journal, post, **options)  # type: ignore[arg-type]  # they are its own
        self._money = money
        self.leaving: Callable[[], Awaitable[None]] = nothing_left  # what else is told to other servers at the end
        self.caps = cast("dict[str, Cap]", money.caps)
        self.purse, self.spending = self.allotted_wallet, self.allotted_cap

    @property
    def database_is_away(self) -> bool | None:
        """Whether the database does not answer."""
        return self._money.away

    def allotted_wallet(self, account: str) -> AllottedWallet:
        """Return an account's wallet."""
        return self._money.wallet(account)

    def wallet(self, account: str) -> Wallet:
        """Return an account's wallet, which is like one in memory to whoever shows or fills it."""
        return cast("Wallet", self._money.wallet(account))

    def allotted_cap(self, whose: Capped, _now: float) -> AllottedCap:
        """Return the cap of a key or team that has one."""
        return self._money.cap(whose)

    def recap(self, key: Key) -> None:
        """Let the caps of a key and its team count that were changed, made or taken away."""
        for each in capped(key):
            self._money.recap(each)

    async def leave(self, left: int) -> None:
        """Let go of what this server was allotted, if nothing is left that it is for."""
        await self.leaving()
        await self._money.leave(keep=left > 0)


async def nothing_left() -> None:
    """End nothing."""
