"""A server of several processes: the office, which accepts connections, keeps books and keys, and is administered. Carries no call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from aisa.accounting import caps_of, remember_uses, server_id, share_money, teams_of
from aisa.administration import Doors, Ways, administer
from aisa.admission.shared import forget_worker
from aisa.clock import system_chance, wall_clock
from aisa.composition import fitting, in_thread, open_keys, open_uses, routes_from, take_tokens
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.edge.admin_gate import AdminGate
from aisa.facts import Draining, Fact, NotReady, ServerWarning, Stopped
from aisa.folder_watch import FolderWatch
from aisa.http.acceptor import Acceptor
from aisa.http.sockets import tcp_listener
from aisa.keys.first_key import ensure_first_key
from aisa.keys.rules import Account, Key
from aisa.keys.store import KeyStore
from aisa.ledger.retention import Retention
from aisa.ledger.shared_allotments import AllottedTreasury
from aisa.ledger.shared_wallets import Treasury
from aisa.ledger.store import LedgerStore
from aisa.ledger.stored_money import StoredMoney
from aisa.ledger.usage import UsageStore
from aisa.ledger.writer import Writer
from aisa.observe.counters import Counters
from aisa.observe.metrics import Metrics, counted, end_outages
from aisa.observe.welcome import bracketed
from aisa.operators import Operators
from aisa.process import (
    WRITE_SECONDS_MAX,
    Start,
    answer_reloads,
    greet,
    ignore,
    keep_for_life,
    listen_to_process,
    log_attention,
    open_log,
    swapped,
    tell_start,
)
from aisa.providers.measure import Answer
from aisa.reload import Prepared, Reload
from aisa.shutdowns import tell_until
from aisa.stopping import Stopping, end_within
from aisa.storage.engine import Database
from aisa.storage.lock import FolderLock
from aisa.storage.shared_memory import LOCK_NAME, STUCK_SECONDS, WORKERS_MAX, SharedLock, SharedMemory, SharedStuck, new_memory
from aisa.timers import Timers
from aisa.workers.admin_way import ADMIN_KEYS
from aisa.workers.crew import Crew, Descriptors
from aisa.workers.listing import Listing
from aisa.workers.messages import CONFIGURE, AccountKnown, AnswersLearned, KeyKnown, KeysDoubted
from aisa.workers.office import CrewBoard, CrewStatement, CrewStates, Office


async def serve_with_workers(config: Config, database: Database, folder: FolderLock, *, start: Start) -> int:
    """Run the server until it is told to stop. Raises ConfigErrors when the workers cannot start."""
    log = open_log(config.log)
    descriptor = new_memory(folder.folder, system_chance())
    memory = SharedMemory(descriptor, SharedLock(folder.folder / LOCK_NAME))
    metrics = metrics_of(memory)
    report = counted(metrics, log.report if log is not None else ignore)
    listen_to_process(report, config.server.data_dir)
    books = OfficeRecords(database, memory, config=config, report=report)
    crew = books.office.crew = Crew(config, Descriptors(descriptor, folder.descriptor), memory, office=books.office, report=report)
    listing = Listing(config, crew, report, routes_of=routes_from(books.store, books.writer))
    swap = CrewSwap(crew, listing)
    reload = Reload(config, report, again=start.again, routes_of=listing.made_of, swap=swap)
    loop = asyncio.get_running_loop()
    Retention(
        books.writer.run_errand, lambda: reload.config.ledger, wall_clock=wall_clock, report=report, server=books.writer.server
    ).look()
    statement = CrewStatement(books.office, UsageStore(database))
    ways = Ways(
        statement,
        books.treasury.wallet,
        books.board,
        lambda: listing.routes,
        lambda: [*map(listing.heard, books.board.vendors())],
        lambda: swapped(reload, loop),
        books.is_away,
    )
    doors = swap.doors = administer(config, database, books.keys, store=books.store, ways=ways, report=report)
    take_tokens(config, books.keys, report, gate=doors.gate)
    books.office.adopt = in_thread(books.keys.adopt, report)
    admin, books.office.gate, settings, timers = doors.admin, doors.gate, fitting(config, ignore), Timers()
    metrics.states = doors.overruns.beside(CrewStates(crew, wall_clock(), books.money))
    operators = Operators(config, None, doors, settings=settings, metrics=metrics.text, report=report, timers=timers)
    publish_admin_keys(doors.gate, memory)
    first_key = ensure_first_key(books.keys, Path(config.server.data_dir), system_chance())
    tell_changes(books.keys, crew, books.office)
    stopping = Stopping()
    watch = FolderWatch(start.files, report, crew.lose_folder, stopping=stopping.why_not_ready)
    crew.look_at_folder, books.office.console, books.office.metrics = watch.look, operators.console, operators.metrics
    if not await crew.start(config.server.workers):
        await crew.stop(0)
        raise ConfigErrors([Problem("server.workers", "A worker process did not start.", "Its own words are in the log.")], config)
    listener = start.handed or tcp_listener(config.server.host, config.server.port)
    acceptor = Acceptor(listener, crew.pass_on, crew.wanted)
    host, port = listener.getsockname()[:2]
    await listing.follow(config, listing.routes)
    answer_reloads(reload.soon)
    reload.keep, admin.attention = doors.keep_signal, doors.attention_of(watch.attention, reload.attention, log_attention(log))
    admin.why_not_ready, admin.url = watch.why_not_ready, f"{'https' if start.tls else 'http'}://{bracketed(host)}:{port}"
    await operators.listen(start.control)  # last: whoever finds it finds a server that knows where it is, and that can be reloaded
    tell_start(report, config, admin.url, settled=start.settled, keys_count=len(books.keys))
    greet(start.say, admin, config, first_key=first_key, keys_count=len(books.keys), console=operators.console_address)
    keep_for_life()
    await tell_until(watch.until(stopping.wait()), lambda: listing.routes, wall_clock=wall_clock, report=report)
    closed = partial(acceptor.close, leave=start.handed is not None)
    settled = await go_away(crew, closed, reload.config, report=report, grace=not stopping.at_terminal)
    await asyncio.gather(listing.stop(), watch.end())
    await operators.close()
    report(Stopped(await books.close(WRITE_SECONDS_MAX if settled else 0)))
    if log is not None:
        log.close()
    return 0


class OfficeRecords:
    """What the office keeps: keys, the database's writer, wallets and caps for all, and who hears the workers."""

    def __init__(self, database: Database, memory: SharedMemory, *, config: Config, report: Callable[[Fact], None]) -> None:
        """Read what the database has. Raises StorageFailed."""
        self.keys = open_keys(config, database)
        self.store = LedgerStore(database, wall_clock, self._on_board)
        idempotency = self.uses = open_uses(config)
        remember_uses(idempotency, self.store)
        self.writer = Writer(database, report)
        self.money: StoredMoney | None = None
        memory.full = tell_full(report)
        self.treasury = self._treasury(config, memory, report)
        self.office = Office(
            Path(config.server.data_dir),
            writer=self.writer,
            store=self.store,
            treasury=self.treasury,
            idempotency=idempotency,
            wall_clock=wall_clock,
            forget=partial(forget_dead, memory),
        )
        self.board = CrewBoard(self.office)

    def _treasury(self, config: Config, memory: SharedMemory, report: Callable[[Fact], None]) -> Treasury | AllottedTreasury:
        """Return the wallets and caps for all workers: of this server, or what it may spend of those that it shares with others."""
        if config.stores.database is None:
            balances = [(account.name, account.balance) for account in self.store.accounts()]
            return Treasury(memory, balances, caps_of(self.keys, self.store), now=wall_clock(), teams=teams_of(self.keys))
        self.writer.server = server_id(config)
        money = self.money = share_money(config, self.keys, self.store, report=report, learned=self._learned, memory=memory)
        treasury = AllottedTreasury(memory, money)
        for key in self.keys.list():
            treasury.know(key, wall_clock())
        return treasury

    def _learned(self, target: str, answers: list[Answer]) -> None:
        """Tell all workers what other servers have learned."""
        self.office.crew.send(AnswersLearned(target, answers))

    async def close(self, seconds: int) -> int:
        """Have all rows written within so many seconds, and return how many are left: they stay in the journals."""
        left = await self.writer.stop(seconds)
        await self.uses.leave()
        if self.money is not None:
            await self.money.leave(keep=left > 0)
        return left

    def is_away(self) -> bool:
        """Say whether the database does not take rows, or does not answer: one that hangs may hold the writer without a word."""
        return self.writer.is_away() or (self.money is not None and self.money.away)

    def _on_board(self) -> tuple[str, ...]:
        return self.board.ids()


def forget_dead(memory: SharedMemory, worker: int) -> None:
    """Free what a worker that died had in flight, and let what failed for it be over: its successor has another number."""
    forget_worker(memory, worker)
    end_outages(Counters(memory.counters(worker)))


def tell_full(report: Callable[[Fact], None]) -> Callable[[str], None]:
    """Return what tells, once of each, which purses have found no place in shared memory: by chance, as there is room for all."""
    told = set[str]()

    def full(name: str) -> None:
        if name not in told:
            told.add(name)
            what = f"the {name} HAS FOUND NO PLACE in the memory that the processes share: calls of it are refused with 503"
            report(ServerWarning(f"{what}. All others are served. Restart the server: places are drawn anew"))

    return full


def metrics_of(memory: SharedMemory) -> Metrics:
    """Return the metrics of all processes: each counts in memory that the office reads, which outlives it."""
    all_counters = [Counters(memory.counters(number)) for number in range(WORKERS_MAX)]
    return Metrics(counters=all_counters[0], all_counters=lambda: all_counters)


def publish_admin_keys(gate: AdminGate, memory: SharedMemory) -> None:
    """Let the workers see whether there are admin keys, and so whether the admin API is there, before whoever makes one has it."""

    def publish() -> None:
        memory.words[ADMIN_KEYS] = int(gate.is_open)

    gate.tell = publish
    publish()


def tell_changes(keys: KeyStore, crew: Crew, office: Office) -> None:
    """Let all workers know what the administrator's thread changes of keys and accounts, in the next turn of the loop."""
    loop = asyncio.get_running_loop()

    def key_known(id_: str) -> None:
        key = keys.with_id(id_)
        assert key is not None, "none is ever removed"
        try:
            office.know(key)  # before anybody can call with it
        except SharedStuck:  # it is known all the same, as it may have been revoked: what it lacks is asked for, and refused until then
            loop.call_later(STUCK_SECONDS, key_known, id_)
        crew.send(KeyKnown(key, keys.former(id_)))

    def account_known(account: Account) -> None:
        crew.send(AccountKnown(account))
        make_wallet(account.name)

    def make_wallet(name: str) -> None:
        try:
            office.wallet(name)
        except SharedStuck:
            loop.call_later(STUCK_SECONDS, make_wallet, name)

    def key_changed(key: Key) -> None:
        loop.call_soon_threadsafe(key_known, key.id)

    def account_changed(account: Account) -> None:
        loop.call_soon_threadsafe(account_known, account)

    keys.changed, keys.accounts.changed = key_changed, account_changed
    here = keys.doubted

    def doubted(doubted: bool) -> None:
        here(doubted)
        crew.hold(KeysDoubted(doubted))

    keys.doubted = doubted


async def go_away(crew: Crew, stop_accepting: Callable[[], None], config: Config, *, report: Callable[[Fact], None], grace: bool) -> bool:
    """Let the calls in flight end; False if the database did not take the rows of all.

    With `grace`, whoever sends us clients has time to notice that we are not ready any more. From here on this process ends in time.
    """
    settings = config.server
    end_within(settings, grace=grace, last=crew.kill)
    crew.drain()
    if grace and settings.drain_grace_seconds:
        report(NotReady(settings.drain_grace_seconds))
        await asyncio.sleep(settings.drain_grace_seconds)
    report(Draining(settings.drain_seconds))
    stop_accepting()
    return await crew.stop(settings.drain_seconds)


class CrewSwap:
    """Lets another configuration count here and in all workers."""

    doors: Doors

    def __init__(self, crew: Crew, listing: Listing) -> None:
        self._crew = crew
        self._listing = listing

    async def __call__(self, prepared: Prepared, _old: Config) -> int:
        """Do so. Returns how many workers do not have it yet."""
        config = self._crew.config = prepared.config
        self.doors.configure(config)
        await self._listing.follow(config, prepared.routes)
        told = len(await self._crew.ask(CONFIGURE, msgspec.msgpack.encode(config)))
        return len(self._crew.workers) - told
