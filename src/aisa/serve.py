"""The composition root: from a configuration to a running server, and down again in order. Decides nothing about a call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import ssl
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from sqlalchemy import Connection

from aisa.admission.memory import MemoryAdmission
from aisa.background_reads import BackgroundReads
from aisa.clock import Chance, quick_chance, system_chance, wall_clock
from aisa.config.load import Loaded
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.config.schema import Server as ServerSettings
from aisa.context import Dependencies
from aisa.edge.account import Accounts
from aisa.edge.addresses import Addresses
from aisa.edge.admin import Admin
from aisa.edge.admin_calls import CallRoutes
from aisa.edge.admin_usage import usage_routes
from aisa.edge.admin_wallets import LedgerRoutes
from aisa.edge.app import Edge, Readiness
from aisa.edge.board_view import BoardView
from aisa.edge.control import Control
from aisa.edge.cors import CrossOrigin
from aisa.edge.idempotency import IdempotencyStore
from aisa.edge.statement import Statement
from aisa.embedded.upstream import EmbeddedUpstream
from aisa.facts import BugFound, Fact, ServerNotice
from aisa.http.descriptors import clients_that_fit, raise_limit
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.http.server import HttpServer, tls_context
from aisa.ids import CallIds
from aisa.keys.rules import window_end, window_start
from aisa.keys.store import KeyStore, ensure_first_key
from aisa.large_events import LargeEvents
from aisa.ledger.find import CallFinder
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.live_wallets import LiveWallets
from aisa.ledger.port_usage import Span
from aisa.ledger.recovery import recover
from aisa.ledger.refused import RefusalRecords
from aisa.ledger.store import LedgerStore
from aisa.ledger.sync import GroupSync
from aisa.ledger.usage import UsageStore
from aisa.ledger.wallets import Cap, Wallet
from aisa.ledger.writer import Writer, insert_rows
from aisa.money import Nanos
from aisa.observe.log import Log, json_line, text_line
from aisa.observe.welcome import bracketed, welcome
from aisa.prices.rules import LookUp, may_be_listed, unlisted
from aisa.providers import anthropic, gemini, openai, responses
from aisa.providers.counting import Counting, NoTokenizer, tokenizers_of
from aisa.providers.port import Upstream
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorStates
from aisa.routing import EMBEDDED, Routes
from aisa.storage.ballast import take_on, throw_off
from aisa.storage.engine import Database, open_database
from aisa.storage.failure import StorageFailed
from aisa.storage.lock import control_path, exposure, own_folder
from aisa.storage.secret import own_secret
from aisa.timers import Timers
from aisa.tokenizers.on_demand import load_tokenizer
from aisa.wire.door import Door, Request
from aisa.wire.token_meter import Tokenizer

#: Signals that end a process that has no answer to them. Nothing is reloaded yet; a log that was rotated goes on where it is.
IGNORED_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
PARSE_INLINE_BYTES_MAX = 262_144  # a millisecond; larger bodies are parsed in a thread, between whose steps other streams have their turn
# A step keeps the interpreter, for up to a tenth of a second of 32 MiB on an idle machine: several at once would keep streams waiting for
# all of them together, and no body would be read any sooner.
PARSES_MAX = 1
REPEATED_MS_MAX = 86_400_000  # how long an Idempotency-Key is remembered
WRITE_SECONDS_MAX = 10  # for the last rows at a stop; what the database does not take then stays in the journal
JOURNAL_NAME = "board"
SEAL_KEY_NAME = "seal.key"  # what vendors want back is sealed with it: processes that share it open each other's seals
GC_YOUNG_OBJECTS = 20_000  # the call's path makes no cycles; the default of 700 would look for them every few calls


def run(loaded: Loaded, say: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status. `say` shows text to the operator.

    Address and certificate were tried by the caller. Raises ConfigErrors when the data cannot be used.
    """
    config = loaded.config
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # until there is a log to say it in
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(own_folder(config.server.data_dir))
            throw_off(Path(config.server.data_dir))
            control = control_path(config.server.data_dir)
            database = open_database(config.server.data_dir, migrate)
            stack.callback(database.close)
            seal_key(config)
            journal = Journal.open(Path(config.server.data_dir) / JOURNAL_NAME, slots_max=config.ledger.calls_waiting_max)
            stack.callback(journal.close)
            recover(journal, lambda rows: insert_rows(database, rows), int(wall_clock() * 1000))
        except StorageFailed as failure:
            raise ConfigErrors([Problem(failure.where, failure.what, failure.remedy)], config) from failure
        try:
            tokenizers = tokenizers_of(config, load_tokenizer)
        except NoTokenizer as failure:
            raise ConfigErrors([Problem(failure.where, str(failure), "Correct it, or leave it out.")], config) from failure
        tls = None if config.tls is None else tls_context(config.tls.cert, config.tls.key)
        gc.set_threshold(GC_YOUNG_OBJECTS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(config, database, journal, control=control, tls=tls, tokenizers=tokenizers, say=say))


def migrate(connection: Connection) -> None:
    """Bring the schema up to date. Alembic is imported only when there is something to do: it takes longer than the rest of the start."""
    from aisa.storage.migrate import migrate as to_head

    to_head(connection)


def seal_key(config: Config) -> bytes:
    """Return the key that states of vendors are sealed with, which the first start makes. Raises StorageFailed."""
    return own_secret(Path(config.server.data_dir) / SEAL_KEY_NAME, SEAL_KEY_BYTES, system_chance())


def body_reader() -> Callable[[Door, bytes], Awaitable[Request]]:
    """Return what parses request bodies: small ones at once, large ones in a thread and one at a time."""
    threads = ThreadPoolExecutor(PARSES_MAX, thread_name_prefix="parse")

    async def read(door: Door, body: bytes) -> Request:
        if len(body) <= PARSE_INLINE_BYTES_MAX:
            return door.read(body)
        return await asyncio.get_running_loop().run_in_executor(threads, door.read, body)

    return read


async def serve(
    config: Config,
    database: Database,
    journal: Journal,
    *,
    control: str,
    tls: ssl.SSLContext | None,
    tokenizers: Mapping[str, Tokenizer],
    say: Callable[[str], None],
) -> int:
    """Run the server until it is told to stop."""
    chance = quick_chance()
    log = open_log(config.log.format)
    report: Callable[[Fact], None] = log.report if log is not None else ignore
    listen_to_process(config, report)
    keys = KeyStore(database, wall_clock, system_chance())
    writer = Writer(database, report)
    refused = RefusalRecords(writer.post_refused, writer.prune, wall_clock=wall_clock, report=report)
    refused.forget_old()
    idempotency = IdempotencyStore(wall_clock)
    store = LedgerStore(database, wall_clock, lambda: tuple(ledger.calls))
    ledger = open_ledger(config, journal, store, writer=writer, keys=keys, idempotency=idempotency, report=report)
    names, timers = Names(), Timers()
    pools = {name: HttpUpstream(name, vendor, os.environ, names=names, timers=timers) for name, vendor in config.vendors.items()}
    counting = Counting(tokenizers, store.known_answers(), writer.keep_answers)
    dependencies = open_dependencies(config, keys, ledger, pools=pools, counting=counting, chance=chance, report=report)
    dependencies.keep_refusal, dependencies.timers = refused.keep, timers
    dependencies.states = VendorStates(Seals(seal_key(config)), Memory(timers.loop.time))
    stopping = Stopping()
    statement = Statement(ledger, UsageStore(database), refused.waiting)
    accounts = Accounts(ledger, statement, wall_clock)
    edge = open_edge(config, dependencies, chance, not_ready=stopping.why_not_ready, idempotency=idempotency, accounts=accounts)
    wallets = LiveWallets(store, ledger, asyncio.get_running_loop().call_soon_threadsafe)
    shown = (
        *usage_routes(statement, keys, BoardView(dependencies.live, ledger, journal)),
        *CallRoutes(statement, keys, CallFinder(database)).routes(),
    )
    admin = Admin(keys, wall_clock, report, wallets=wallets, limits=config.limits, more=(*LedgerRoutes(store).routes(), *shown))
    settings = fitting(config, report)
    server, control_server = HttpServer(edge, settings, timers=timers), HttpServer(Control(admin), settings, timers=timers)
    first_key = ensure_first_key(keys)
    host, port = await server.listen(config.server.host, config.server.port, tls)
    await control_server.listen_unix(control)
    admin.url = f"{'https' if tls else 'http'}://{bracketed(host)}:{port}"
    say(welcome(config, admin.url, first_key, keys_count=len(keys)))
    gc.collect()
    gc.freeze()  # what exists now lives as long as the process: never look at it again
    await stopping.wait()
    report(ServerNotice(f"draining: {server.calls_count} calls in flight, {config.server.drain_seconds:g} s at most"))
    await server.drain(0 if stopping.at_once else config.server.drain_seconds)
    await control_server.drain(0)
    await dependencies.background_reads.close()
    for pool in pools.values():
        await pool.close()
    refused.sum_up()
    left = await writer.stop(WRITE_SECONDS_MAX)
    report(ServerNotice(f"stopped; {left} calls stay in the journal until the database takes them" if left else "stopped"))
    if log is not None:
        log.close()
    return 0


def listen_to_process(config: Config, report: Callable[[Fact], None]) -> None:
    """Report what befalls the process besides its calls: bugs, signals that mean nothing here, and how the data folder is."""
    asyncio.get_running_loop().set_exception_handler(partial(report_bug, report))
    for number in IGNORED_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, report, ServerNotice(f"{number.name} is ignored"))
    for notice in (exposure(config.server.data_dir), take_on(Path(config.server.data_dir))):
        if notice is not None:
            report(ServerNotice(notice))


def fitting(config: Config, report: Callable[[Fact], None]) -> ServerSettings:
    """Return the server's settings with no more connections than there are file descriptors for, and say what fits."""
    descriptors = raise_limit()
    asked = config.server.connections_max
    fit = clients_that_fit(descriptors, [vendor.connections_max for vendor in config.vendors.values()], tls=config.tls is not None)
    if asked <= fit:
        report(ServerNotice(f"{asked} connections of clients fit the {descriptors} file descriptors of this process"))
        return config.server
    what = f"only {fit} connections of clients fit the {descriptors} file descriptors of this process, besides those to vendors"
    report(ServerNotice(f"{what}: server.connections_max is {fit} instead of {asked}. Raise the hard limit (ulimit -Hn, LimitNOFILE=)."))
    return msgspec.structs.replace(config.server, connections_max=fit)


def open_edge(
    config: Config,
    dependencies: Dependencies,
    chance: Chance,
    *,
    not_ready: Readiness,
    idempotency: IdempotencyStore,
    accounts: Accounts,
) -> Edge:
    """Return what answers the API's requests."""
    edge = Edge(
        dependencies,
        CallIds(wall_clock, chance),
        wall_clock,
        cross_origin=CrossOrigin(config.cors),
        not_ready=not_ready,
        idempotency=idempotency,
        accounts=accounts,
    )
    edge.addresses = Addresses(config.server.trusted_proxies, config.log.client_address)
    return edge


def open_dependencies(
    config: Config,
    keys: KeyStore,
    ledger: LiveLedger,
    *,
    pools: Mapping[str, Upstream],
    counting: Counting,
    chance: Chance,
    report: Callable[[Fact], None],
) -> Dependencies:
    """Return everything that the path of a call needs."""
    embedded = EmbeddedUpstream(config.embedded.tokens_per_second, wall_clock, chance)
    read_on = [name for name, vendor in config.vendors.items() if vendor.on_disconnect == "drain"]
    return Dependencies(
        keys=keys,
        read=body_reader(),
        routes=Routes(config, price_look_up(config), counting),
        admission=MemoryAdmission(config.limits, keys.tiers, wall_clock=wall_clock, report=report),
        ledger=ledger,
        dialects={dialect.NAME: dialect for dialect in (anthropic, gemini, openai, responses)},
        upstreams={EMBEDDED: embedded, **pools},
        stream=config.stream,
        large_events=LargeEvents(config.stream.large_events_bytes_max),
        chance=chance,
        report=report,
        background_reads=BackgroundReads(read_on, reads_max=config.ledger.drains_max, seconds_max=config.ledger.drain_seconds),
    )


def open_ledger(
    config: Config,
    journal: Journal,
    store: LedgerStore,
    *,
    writer: Writer,
    keys: KeyStore,
    idempotency: IdempotencyStore,
    report: Callable[[Fact], None],
) -> LiveLedger:
    """Return the live ledger, with what the database has."""
    now = wall_clock()
    idempotency.remember((call.idempotency, call.id, call.ended_ms / 1000) for call in store.recent(int(now * 1000) - REPEATED_MS_MAX))
    wallets = [Wallet(account.name, account.balance) for account in store.accounts()]
    caps: dict[str, Cap] = {}
    for key in keys.list():
        if key.spend_cap is not None and key.spend_window is not None:
            began = window_start(key.spend_window, now)
            spent = store.spent_in(Span(began * 1000, window_end(key.spend_window, began) * 1000, key.id))
            newest = store.newest_ms(key.id) // 1000
            caps[key.id] = Cap(key.spend_cap, key.spend_window, spent=spent, now=now, newest=newest)

    sync = None if config.ledger.durability == "process" else GroupSync(journal.sync, config.server.data_dir, report)
    ledger = LiveLedger(journal, writer.post, wallets=wallets, caps=caps.items(), wall_clock=wall_clock, sync=sync, final=idempotency.final)

    async def spent_in(span: Span, without: Sequence[str]) -> Nanos:
        return await asyncio.to_thread(store.spent_in, span, without)

    ledger.spent = spent_in
    return ledger


def price_look_up(config: Config) -> LookUp:
    """Return what asks the catalogue for prices. It is imported, in 0.3 s and 30 MiB, only if it can know one of the vendors."""
    if not any(may_be_listed(name, vendor.base_url) for name, vendor in config.vendors.items()):
        return unlisted
    from aisa.prices.catalogue import catalogue_price

    return catalogue_price


class Stopping:
    """The wish to stop: SIGTERM or SIGINT once to drain, twice to leave at once."""

    def __init__(self) -> None:
        self.at_once = False
        self._asked = asyncio.Event()
        self._task = asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)

    async def wait(self) -> None:
        """Wait until somebody wants the server to stop."""
        await self._asked.wait()

    def why_not_ready(self) -> str | None:
        """Return why no new calls are wanted, None if they are."""
        return "draining" if self._asked.is_set() else None

    def _stop(self) -> None:
        if self._asked.is_set():
            os._exit(EXIT_IMPATIENT)  # the second signal: the operator does not want to wait for calls in flight
        self._asked.set()


EXIT_IMPATIENT = 1


def open_log(form: str) -> Log | None:
    """Return the log in the configured form; `auto` is text on a terminal and JSON elsewhere."""
    if form == "off":
        return None
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    return Log(sys.stderr.buffer, text_line if text else json_line, wall_clock)


def report_bug(report: Callable[[Fact], None], _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what the event loop was told of and nobody caught: an exception of a callback, or what the loop itself met."""
    error = context.get("exception")
    trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    report(BugFound("-", f"{context['message']}\n{trace}".strip()))


def ignore(fact: Fact) -> None:
    """Report nothing."""
