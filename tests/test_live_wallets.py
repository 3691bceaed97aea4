"""Wallets as an administrator changes them while the server runs (fault M20): what is booked is done, however busy the event loop is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aisa.clock import wall_clock
from aisa.keys.store import KeyStore
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.live_wallets import LiveWallets
from aisa.ledger.store import LedgerStore
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from ledger_rig import ledger_into

DOLLAR = 1_000_000_000


@contextmanager
def live(folder: Path) -> Iterator[tuple[LiveWallets, LedgerStore, LiveLedger, list[Callable[[], None]]]]:
    """Give wallets of an account `acme` with five dollars, in front of an event loop that does nothing until it is told to."""
    with closing(open_database(str(folder), migrate)) as database:
        KeyStore(database, wall_clock, random.Random(1)).create("a", account="acme")
        store, ledger, waiting = LedgerStore(database, wall_clock), ledger_into([]), list[Callable[[], None]]()
        wallets = LiveWallets(store, ledger.wallet, waiting.append)
        wallets.top_up("acme", 5 * DOLLAR, reference="invoice 1")
        yield wallets, store, ledger, waiting


def test_a_change_is_told_as_done_though_the_event_loop_is_stuck(tmp_path: Path) -> None:
    """Nobody is told that it failed, and so nobody books it twice; when the loop goes on, it counts once, in the order of the bookings."""
    with live(tmp_path) as (wallets, store, ledger, waiting):
        booking = wallets.adjust("acme", -2 * DOLLAR, note="refund")
        assert (booking.fresh, booking.balance) == (True, 3 * DOLLAR)
        assert [account.balance for account in store.accounts() if account.name == "acme"] == [3 * DOLLAR]
        assert ledger.wallet("acme").balance is None
        for change in waiting:
            change()
        assert ledger.wallet("acme").balance == 3 * DOLLAR
        waiting.clear()
        assert wallets.unlimit("acme").balance is None
        waiting.pop()()
        assert ledger.wallet("acme").balance is None


def test_a_payment_that_is_booked_already_changes_nothing_in_memory(tmp_path: Path) -> None:
    """The same reference again."""
    with live(tmp_path) as (wallets, _, _, waiting):
        waiting.clear()
        assert not wallets.top_up("acme", 5 * DOLLAR, reference="invoice 1").fresh
        assert waiting == []
