"""What administers a running server, from its parts: one set of routes for the command line and the admin API. Starts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from aisa.admission.memory import MemoryAdmission
from aisa.admission.rules import VendorLimit
from aisa.clock import system_chance, wall_clock
from aisa.config.admin_settings import listening
from aisa.config.limits import Limits
from aisa.config.schema import Config
from aisa.context import Dependencies
from aisa.edge.admin import Admin, Records
from aisa.edge.admin_calls import CallRoutes
from aisa.edge.admin_gate import AdminGate, Hosts
from aisa.edge.admin_reload import Swapped, reload_route
from aisa.edge.admin_status import Attention, status_route
from aisa.edge.admin_usage import usage_routes
from aisa.edge.admin_views import NOT_ASKED, NOT_REACHED, Trouble, VendorShown, ViewRoutes
from aisa.edge.admin_wallets import LedgerRoutes
from aisa.edge.board_view import Board, BoardView, in_loop
from aisa.edge.control import Control
from aisa.edge.example_model import example_model
from aisa.edge.free_models import free_models
from aisa.edge.key_usings import KeyUsings
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.facts import Changed, Fact
from aisa.http.pool import HttpUpstream
from aisa.keys.admin_keys import AdminKeyStore
from aisa.keys.changes import ChangeStore
from aisa.keys.rules import Key
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.live_wallets import Fillable, LiveWallets
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.store import LedgerStore
from aisa.ledger.usage import UsageStore
from aisa.ledger.writer import Writer
from aisa.model_lists import ModelLists
from aisa.overruns import Overruns
from aisa.routing import Routes
from aisa.standing import Standing
from aisa.storage.engine import Database

SYSTEM, SIGNAL = "system", "SIGHUP"  # who reloads, and by what, where nobody is known to have asked


class Doors(NamedTuple):
    """What answers operators: the administration itself, its side of the control socket, and its gate for the network.

    `swapped` are told of each other configuration, too. `keep_signal` keeps for good what a signal has changed, and raises ApiError.
    `overruns` says what was spent beyond wallets and caps.
    """

    admin: Admin
    control: Control
    gate: AdminGate
    swapped: list[Callable[[Config], None]]
    keep_signal: Callable[[Swapped], None]
    overruns: Overruns

    def attention_of(self, *parts: Callable[[], Iterable[Attention]]) -> Callable[[], tuple[Attention, ...]]:
        """Return what needs attention of these parts of a server, and of its money."""
        return lambda: tuple([each for part in (*parts, self.overruns.attention) for each in part()])

    def configure(self, config: Config) -> None:
        """Let another configuration count from now on."""
        self.admin.limits = config.limits
        self.gate.hosts = hosts_of(config)
        for tell in self.swapped:
            tell(config)


class ServerRecords(NamedTuple):
    """Everything that a server keeps: `refused` are refused calls that the database may not have yet, by id."""

    database: Database
    keys: KeyStore
    ledger: LiveLedger
    journal: Journal
    store: LedgerStore
    refused: Mapping[str, RefusedCalls]
    writer: Writer

    def statement(self) -> Statement:
        """Return what was used and billed."""
        return Statement(self.ledger, UsageStore(self.database), self.refused)


def open_admin(
    config: Config,
    books: ServerRecords,
    dependencies: Dependencies,
    *,
    report: Callable[[Fact], None],
    reload: Callable[[], Swapped],
    lists: ModelLists,
) -> Doors:
    """Return what answers operators of one process. Changes of keys and wallets count in the event loop that this is called in."""
    loop = asyncio.get_running_loop()

    def recap(key: Key) -> None:
        loop.call_soon_threadsafe(books.ledger.recap, key)

    books.keys.changed = recap
    ways = Ways(
        books.statement(),
        books.ledger.wallet,
        BoardView(dependencies.live, books.ledger, books.journal, limits_away=lambda: dependencies.admission.store_is_away),
        lambda: dependencies.routes,
        lambda: in_loop(loop, lambda: vendors_shown(dependencies, lists.names_of, loop.time(), went_unheard=lists.went_unheard)),
        reload,
        lambda: books.writer.is_away() or bool(books.ledger.database_is_away),
    )
    return administer(config, books.database, books.keys, store=books.store, ways=ways, report=report)


class Ways(NamedTuple):
    """How an administrator sees and changes what runs, wherever that is. `wallet` returns what is to be told of a change of a wallet."""

    statement: Statement
    wallet: Callable[[str], Fillable]
    board: Board
    routes: Callable[[], Routes]
    vendors: Callable[[], list[VendorShown]]
    reload: Callable[[], Swapped]
    ledger_is_away: Callable[[], bool]


def administer(
    config: Config, database: Database, keys: KeyStore, *, store: LedgerStore, ways: Ways, report: Callable[[Fact], None]
) -> Doors:
    """Return what answers operators."""
    loop, calls, changes = asyncio.get_running_loop(), CallFinder(database), ChangeStore(database, wall_clock)
    admin_keys = AdminKeyStore(database, wall_clock, system_chance())

    def limits_now() -> Limits:
        return admin.limits

    def note(fact: Changed, before: object = None, after: object = None) -> None:
        admin.note(fact, before, after)

    def reload() -> Swapped:
        swapped = ways.reload()
        admin.record("reloaded", None, kept_of(swapped))
        return swapped

    def keep_signal(swapped: Swapped) -> None:
        changes.keep(SYSTEM, None, SIGNAL, changes=[("reloaded", None, kept_of(swapped))])

    standing = Standing(
        config,
        board=ways.board,
        vendors=ways.vendors,
        routes=ways.routes,
        is_away=ways.ledger_is_away,
        keys_count=lambda: len(keys),
        shared=None if config.stores.database is None else database.where,
    )
    views = ViewRoutes(ways.routes, ways.vendors, limits_now, tiers=keys.tiers, changes=changes.newest, now=wall_clock)
    admin = Admin(
        keys,
        wall_clock,
        report,
        wallets=LiveWallets(store, ways.wallet, loop.call_soon_threadsafe),
        limits=config.limits,
        more=(
            *LedgerRoutes(store).routes(),
            *usage_routes(ways.statement, keys, wall_clock, board=ways.board),
            *CallRoutes(ways.statement, keys, calls, board=ways.board, note=note).routes(),
            *views.listed(),
            reload_route(reload),
            status_route(standing),
        ),
        records=Records(KeyUsings(ways.statement, calls, wall_clock, board=ways.board), changes, admin_keys),
    )
    keys.admin_changed = admin_keys.remember
    standing.admin = admin
    admin.example_model = lambda: example_model(ways.routes())
    admin.free_models = lambda allowed: free_models(ways.routes(), allowed)
    control, live = Control(admin), ways.statement.ledger
    assert live is not None, "a server runs"
    overruns = Overruns(store.overdrawn, keys.list, caps=lambda: live.caps, wall_clock=wall_clock)
    gate = AdminGate(admin_keys, control, admin.routes, hosts=hosts_of(config), now=loop.time)
    admin_keys.changed = gate.changed
    return Doors(admin, control, gate, [], keep_signal, overruns)


def kept_of(swapped: Swapped) -> Swapped:
    """Return what is kept of a reload: the names of settings, as what they are may be secret."""
    return Swapped(swapped.changed, swapped.after_restart)


def hosts_of(config: Config) -> Hosts:
    """Return the names by which the admin API may be asked."""
    listening_at = [config.server.host] if config.admin.listen is None else [listening(config.admin.listen)[0]]
    return Hosts(config.admin.hosts, tuple(listening_at))


def vendors_shown(
    dependencies: Dependencies,
    names_of: Callable[[str], Sequence[str] | None],
    now: float,
    *,
    went_unheard: Callable[[str], bool] = lambda _vendor: False,
) -> list[VendorShown]:
    """Return how the vendors are. To be called in the event loop.

    `went_unheard` says whether one could not be asked for its list, as far as this process asks for any.
    """
    troubles = [Trouble(*trouble) for trouble in dependencies.health.troubles(now)]
    shown: list[VendorShown] = []
    admission = dependencies.admission
    assert isinstance(admission, MemoryAdmission), "it is what a server has"
    limits: list[VendorLimit] = []
    with suppress(ApiError):  # the lock that processes share is not to be had: how vendors are is told without it
        limits = admission.queue.shown()
    for name, upstream in dependencies.upstreams.items():
        if isinstance(upstream, HttpUpstream) and (name in dependencies.routes.vendors or upstream.statistics().open):
            pool, listed = upstream.statistics(), names_of(name)
            ours = tuple([trouble for trouble in troubles if trouble.target.partition("/")[0] == name])
            count = None if listed is None else len(listed)
            of_vendor = tuple([limit for limit in limits if limit.target.partition("/")[0] == name])
            unheard = "" if upstream.was_reached else NOT_REACHED if went_unheard(name) else "" if ours else NOT_ASKED
            shown.append(VendorShown(name, pool.open, pool.in_use, pool.waiting, count, ours, of_vendor, unheard))
    return shown
