"""What administers a running server, from its parts: one set of routes for the command line and the admin API. Starts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aisa.clock import wall_clock
from aisa.config.schema import Config
from aisa.context import Dependencies
from aisa.edge.admin import Admin
from aisa.edge.admin_calls import CallRoutes
from aisa.edge.admin_reload import Swapped, reload_route
from aisa.edge.admin_usage import usage_routes
from aisa.edge.admin_wallets import LedgerRoutes
from aisa.edge.board_view import BoardView
from aisa.edge.example_model import example_model
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.facts import Fact
from aisa.keys.rules import Key
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.live_wallets import LiveWallets
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.store import LedgerStore
from aisa.ledger.usage import UsageStore
from aisa.storage.engine import Database


class Books(NamedTuple):
    """Everything that a server keeps: `refused` are refused calls that the database may not have yet, by id."""

    database: Database
    keys: KeyStore
    ledger: LiveLedger
    journal: Journal
    store: LedgerStore
    refused: Mapping[str, RefusedCalls]

    def statement(self) -> Statement:
        """Return what was used and billed."""
        return Statement(self.ledger, UsageStore(self.database), self.refused)


def open_admin(
    config: Config, books: Books, dependencies: Dependencies, *, report: Callable[[Fact], None], reload: Callable[[], Swapped]
) -> Admin:
    """Return what answers administrators. Changes of keys and wallets count in the event loop that this is called in."""
    loop, keys, statement = asyncio.get_running_loop(), books.keys, books.statement()
    calls = CallFinder(books.database)

    def recap(key: Key) -> None:
        loop.call_soon_threadsafe(books.ledger.recap, key)

    keys.changed = recap
    admin = Admin(
        keys,
        wall_clock,
        report,
        wallets=LiveWallets(books.store, books.ledger, loop.call_soon_threadsafe),
        limits=config.limits,
        more=(
            *LedgerRoutes(books.store).routes(),
            *usage_routes(statement, keys, BoardView(dependencies.live, books.ledger, books.journal)),
            *CallRoutes(statement, keys, calls).routes(),
            reload_route(reload),
        ),
        usings=KeyUsings(statement, calls, wall_clock),
    )
    admin.example_model = lambda: example_model(dependencies.routes)
    return admin
