"""What administers a running server, from its parts: one set of routes for the command line and the admin API. Starts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aisa.clock import system_chance, wall_clock
from aisa.config.admin_settings import listening
from aisa.config.limits import Limits
from aisa.config.schema import Config
from aisa.context import Dependencies
from aisa.edge.admin import Admin, Records
from aisa.edge.admin_calls import CallRoutes
from aisa.edge.admin_gate import AdminGate, Hosts
from aisa.edge.admin_reload import Swapped, reload_route
from aisa.edge.admin_usage import usage_routes
from aisa.edge.admin_views import Trouble, VendorShown, ViewRoutes
from aisa.edge.admin_wallets import LedgerRoutes
from aisa.edge.board_view import BoardView
from aisa.edge.control import Control
from aisa.edge.example_model import example_model
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.facts import Fact
from aisa.http.pool import HttpUpstream
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.changes import ChangeStore
from aisa.keys.rules import Key
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.live_wallets import LiveWallets
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.store import LedgerStore
from aisa.ledger.usage import UsageStore
from aisa.model_lists import ModelLists
from aisa.storage.engine import Database


class Doors(NamedTuple):
    """What answers operators: the administration itself, its side of the control socket, and its gate for the network."""

    admin: Admin
    control: Control
    gate: AdminGate


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
    config: Config,
    books: Books,
    dependencies: Dependencies,
    *,
    report: Callable[[Fact], None],
    reload: Callable[[], Swapped],
    lists: ModelLists,
) -> Doors:
    """Return what answers operators. Changes of keys and wallets count in the event loop that this is called in."""
    loop, keys, statement = asyncio.get_running_loop(), books.keys, books.statement()
    calls, changes = CallFinder(books.database), ChangeStore(books.database, wall_clock)
    admin_keys = AdminKeyStore(books.database, wall_clock, system_chance())

    def recap(key: Key) -> None:
        loop.call_soon_threadsafe(books.ledger.recap, key)

    keys.changed = recap

    def limits_now() -> Limits:
        return admin.limits

    views = ViewRoutes(
        lambda: dependencies.routes,
        lambda: vendors_shown(dependencies, lists, loop.time()),
        limits_now,
        tiers=keys.tiers,
        changes=changes.newest,
        now=wall_clock,
    )
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
            *views.listed(),
            reload_route(reload),
        ),
        records=Records(KeyUsings(statement, calls, wall_clock), changes, admin_keys),
    )
    admin.example_model = lambda: example_model(dependencies.routes)
    control = Control(admin)
    return Doors(admin, control, AdminGate(admin_keys, control, admin.routes, hosts=hosts_of(config), now=loop.time))


def hosts_of(config: Config) -> Hosts:
    """Return the names by which the admin API may be asked."""
    listening_at = [config.server.host] if config.admin.listen is None else [listening(config.admin.listen)[0]]
    return Hosts(config.admin.hosts, tuple(listening_at))


def vendors_shown(dependencies: Dependencies, lists: ModelLists, now: float) -> list[VendorShown]:
    """Return how the vendors are."""
    troubles = [Trouble(*trouble) for trouble in dependencies.health.troubles(now)]
    shown: list[VendorShown] = []
    for name, upstream in dependencies.upstreams.items():
        if isinstance(upstream, HttpUpstream):
            pool, listed = upstream.statistics(), lists.names_of(name)
            ours = tuple([trouble for trouble in troubles if trouble.target.startswith(f"{name}/")])
            count = None if listed is None else len(listed)
            shown.append(VendorShown(name, pool.open, pool.in_use, pool.waiting, count, ours))
    return shown
