"""A worker process: serves the connections that the office passes to it, with a journal of its own. Writes no database.

Started as `python -m aisa.workers.worker NUMBER LINK CHANNEL MEMORY FOLDER`, of which the last four are descriptors that it inherits. It
ends when it has drained, or at once when the office is gone: what it had in flight is in its journal, which the next office settles.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from aisa.administration import vendors_shown
from aisa.admission.shared import SharedAdmission
from aisa.clock import quick_chance, system_chance, wall_clock
from aisa.composition import (
    counted_routes,
    fitting,
    open_dependencies,
    open_edge,
    open_worker_data,
    seal_key,
    share_limits,
    take_tokens,
    tokenizers_in,
)
from aisa.config.load import Loaded
from aisa.config.schema import Config
from aisa.edge.account import Accounts
from aisa.edge.addresses import Addresses
from aisa.edge.board_view import BoardView
from aisa.edge.operator_app import OperatorApp
from aisa.edge.statement import CallFound
from aisa.errors import ApiError
from aisa.facts import Fact, ServerWarning
from aisa.folder_watch import NO_FOLDER, NOT_READY
from aisa.http.names import Names
from aisa.http.server import HttpServer, tls_context
from aisa.ids import CallIds
from aisa.keys.store import KeyStore
from aisa.ledger.journal import Journal
from aisa.ledger.left_behind import JOURNAL_PREFIX
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.refused import RefusalRecords
from aisa.ledger.store import LedgerStore
from aisa.ledger.sync import GroupSync
from aisa.ledger.usage import UsageStore
from aisa.observe.counters import Counters
from aisa.observe.metrics import Metrics, counted
from aisa.process import GC_YOUNG_OBJECTS, WRITE_SECONDS_MAX, ignore, keep_for_life, listen_to_process, open_observers
from aisa.providers.counting import Counting
from aisa.providers.vendor_state import Memory, Seals, VendorStates
from aisa.reload import Parts, Reload
from aisa.routing import Routes
from aisa.states import States
from aisa.storage.engine import Database
from aisa.storage.failure import StorageFailed
from aisa.storage.shared_memory import LOCK_NAME, WORKER_WORDS, WORKERS_MAX, SharedLock, SharedMemory
from aisa.timers import Timers
from aisa.vendor_pool import open_pool
from aisa.wire.tokenized_text import Tokenizer
from aisa.workers.admin_way import OfficeConsole, OfficeGate, OfficeMetrics
from aisa.workers.crew import BEATS, CALLS, CONNECTIONS, RECEIVED, inherited_sockets
from aisa.workers.desk import RetriesByLink, RowsByLink, SharedMoney, UsesByLink, WorkerStatement
from aisa.workers.link import Link, tell_bugs
from aisa.workers.messages import (
    BOARD,
    CALL,
    CONFIGURE,
    END,
    IDS,
    STATES,
    USING,
    VENDORS,
    AccountKnown,
    AnswersLearned,
    Begin,
    Drain,
    FolderGone,
    KeyKnown,
    KeysDoubted,
    LossesNoted,
    Message,
    ModelsKnown,
    PersonMet,
    Ready,
    Written,
)

PUBLISH_SECONDS = 0.05  # between two words on how much there is to do, which the office chooses by; what it passes it counts itself
FIRST_WORKER = 1  # 0 is the office
EXIT_ORPHANED = 1
EXIT_NOT_BEGUN = 3


class Worker:
    """One worker. `begun` is done when the office has said with what, `passing` when it passes no more connections."""

    link: Link

    def __init__(self, number: int, memory: int) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.begun: asyncio.Future[Begin] = loop.create_future()
        self.passing: asyncio.Future[None] = loop.create_future()
        self.draining = self.finished = self.gone = False
        self._memory_descriptor = memory
        self.counting: Counting | None = None  # from when it has begun
        self._waiting: list[Message] | None = []  # what was said before there was anybody to hear it
        self._loop = loop

    async def serve(self, begin: Begin, channel: socket.socket) -> None:
        """Serve until the office passes no more connections and all calls have ended."""
        config = begin.config
        observers = open_observers(config)
        folder = Path(config.server.data_dir)
        self.memory = SharedMemory(self._memory_descriptor, SharedLock(folder / LOCK_NAME), self.number)
        counters = [Counters(self.memory.counters(number)) for number in range(WORKERS_MAX)]
        self.metrics = Metrics(counters=counters[self.number], all_counters=lambda: counters)  # what died under this number has counted too
        report = counted(self.metrics, observers.report)
        listen_to_process(report)
        self.link.unsent = tell_bugs(report)
        self.journal = Journal.open(folder / f"{JOURNAL_PREFIX}{self.number}", slots_max=config.ledger.calls_waiting_max)
        self.rows = RowsByLink(self.link)
        try:
            database = open_worker_data(config)
            self.keys = KeyStore(database, wall_clock, system_chance())
            self._open(config, database, report)
        except (StorageFailed, ApiError) as failure:  # the database is away, and the office begins another in some seconds
            report(ServerWarning(f"worker {self.number} cannot begin: {failure}"))
            observers.close()
            raise SystemExit(EXIT_NOT_BEGUN) from None
        self.parts.edge.traces = observers.traces
        await share_limits(config, self.dependencies, self.keys.tiers, server=f"{self.memory.name_word('server'):x}")
        self.dependencies.keys = take_tokens(config, self.keys, report, adopt=lambda key: self.link.send(PersonMet(key)))
        tls = None if config.tls is None else tls_context(config.tls.cert, config.tls.key)
        self.passed = self.server.take_passed(channel, tls, lambda: self.passing.set_result(None))
        heard, self._waiting = self._waiting, None
        for message in heard or ():
            self.hear(message)
        keep_for_life()
        self._publish()
        self.link.send(Ready())
        await self.passing
        self.draining = True
        self.dependencies.admission.drain()
        await self.server.drain(self.reload.config.server.drain_seconds)
        await self.dependencies.background_reads.close()
        for pool in (*self.pools.values(), *self.parts.retired):
            await pool.close()
        self.refused.sum_up()
        await self.rows.stop(WRITE_SECONDS_MAX)
        database.close()  # before the loop waits for its threads
        observers.close()

    def _open(self, config: Config, database: Database, report: Callable[[Fact], None]) -> None:
        """Put together what serves."""
        chance = quick_chance()
        self.refused = RefusalRecords(self.rows.post_refused, wall_clock=wall_clock, report=report)
        store = LedgerStore(database, wall_clock)
        sync = None if config.ledger.durability == "process" else GroupSync(self.journal.sync, config.server.data_dir, report)
        ledger = LiveLedger(self.journal, self.rows.post, wall_clock=wall_clock, sync=sync)
        self.books = SharedMoney(self.memory, ledger, self.link, allotted=config.stores.database is not None)
        timers = Timers()
        open_way = partial(open_pool, names=Names(), timers=timers, report=report, environment=os.environ)
        self.pools = {name: open_way(name, vendor) for name, vendor in config.vendors.items()}
        routes = self._routes(store, config, tokenizers_in(config))
        dependencies = open_dependencies(config, self.keys, ledger, pools=self.pools, routes=routes, chance=chance, report=report)
        admission = dependencies.admission = SharedAdmission(
            config.limits, self.keys.tiers, self.memory, wall_clock=wall_clock, report=report, resets=dependencies.resets
        )
        admission.expect(ledger.usual)
        dependencies.keep_refusal, dependencies.timers = self.refused.keep, timers
        dependencies.note_throttled, dependencies.note_silence = self.metrics.note_throttled, self.metrics.note_silence
        dependencies.states = VendorStates(Seals(seal_key(config)), Memory(timers.loop.time))
        dependencies.resets.tell = self.tell_loss
        self.dependencies = dependencies
        statement = self.statement = WorkerStatement(self.books, UsageStore(database), self.refused.waiting, link=self.link)
        accounts = Accounts(self.books, statement, wall_clock, is_away=lambda: self.books.is_away)
        edge = open_edge(config, dependencies, chance, not_ready=self.why_not_ready, idempotency=UsesByLink(self.link), accounts=accounts)
        gate = OfficeGate(self.link, self.memory) if config.admin.listen is None else None
        ids = CallIds(wall_clock, chance)

        def addresses() -> Addresses:
            return edge.addresses

        edge.refusals.note_untold = self.metrics.note_untold
        edge.retries = RetriesByLink(self.link, on=edge.retries.on)
        metrics = None if gate is None else OfficeMetrics(self.link)
        app = OperatorApp(edge, gate, metrics, addresses=addresses, ids=ids, refusals=edge.refusals)
        if config.console and gate is not None:
            app.console = OfficeConsole(self.link)
        told = report if self.number == FIRST_WORKER else ignore  # all have the same room, which is said once
        self.server = HttpServer(app, fitting(share_of(config), told), timers=timers)
        self.parts = Parts(dependencies, edge, None, server=self.server, pools=self.pools, open_pool=open_way, lists=None)
        self.reload = Reload(config, ignore, again=self._told, routes_of=lambda config: self._routes(store, config), swap=self.parts.swap)
        self.board = BoardView(dependencies.live, ledger, self.journal, limits_away=lambda: dependencies.admission.store_is_away)
        slots = config.ledger.calls_waiting_max
        self.states = States(dependencies, self.server, ledger=ledger, journal=self.journal, names_of=self._listed, slots=slots)

    def _routes(self, store: LedgerStore, config: Config, tokenizers: Mapping[str, Tokenizer] | None = None) -> Routes:
        """Return a configuration's models, with what was learned of them."""
        loaded = tokenizers_in(config) if tokenizers is None else tokenizers
        before = self.counting
        counting = Counting(loaded, store.known_answers(), self.rows.keep_answers) if before is None else before.renewed(loaded)
        routes = counted_routes(config, counting, self.models.known())
        self.counting = counting
        return routes

    def _listed(self, vendor: str) -> tuple[str, ...] | None:
        return self.models.lists.get(vendor)

    def why_not_ready(self) -> str | None:
        """Return why no new calls are wanted, None if they are."""
        return "draining" if self.draining else NOT_READY if self.gone else None

    def tell_loss(self, key_id: str) -> None:
        """Have the other workers count a document that a key has lost."""
        self.link.send_soon(LossesNoted(key_id))

    def hear(self, message: Message) -> None:
        """Take what the office says."""
        if isinstance(message, Begin):
            self.models = message.models
            self.begun.set_result(message)
        elif self._waiting is not None:
            self._waiting.append(message)
        elif isinstance(message, Written):
            self.rows.written(message)
        elif isinstance(message, KeyKnown):
            self.keys.remember(message.key, message.former)
        elif isinstance(message, AccountKnown):
            self.keys.accounts.remember(message.account)
        elif isinstance(message, KeysDoubted):
            self.keys.doubted(message.doubted)
        elif isinstance(message, FolderGone):
            self.gone = message.gone
            self.journal.refuse(NO_FOLDER if message.gone else None)
        elif isinstance(message, AnswersLearned):
            assert self.counting is not None, "it has begun: until then messages wait"
            self.counting.take(message.target, message.answers)
        elif isinstance(message, LossesNoted):
            self.dependencies.resets.hear(message.key_id, self._loop.time())
        elif isinstance(message, ModelsKnown):
            self.models = message
            self._learning = self._loop.create_task(self.parts.learn_models(message.known()))
        elif isinstance(message, Drain):
            self.draining = True
            self.dependencies.admission.drain()
            self.server.keep_no_connections()

    async def answer(self, what: str, body: bytes) -> bytes:
        """Answer what the office asks. Raises ApiError."""
        if what == BOARD:
            return msgspec.msgpack.encode(self.board.now())
        if what == VENDORS:
            return msgspec.msgpack.encode(vendors_shown(self.dependencies, self._listed, self._loop.time()))
        if what == STATES:
            return msgspec.msgpack.encode(await self.states())
        if what == END:
            return msgspec.msgpack.encode(self.board.end_now(body.decode()))
        if what == IDS:
            return msgspec.msgpack.encode(list(self.books.calls))
        if what == USING:
            return msgspec.msgpack.encode(self.board.using())
        if what == CALL:
            found: CallFound | None = self.statement.booked(body.decode())
            return msgspec.msgpack.encode(found)
        assert what == CONFIGURE, "nothing else is asked"
        self._next = msgspec.msgpack.decode(body, type=Config)
        await self.reload()
        return b""

    def _told(self) -> Loaded:
        """Return the configuration that the office has read and checked."""
        return Loaded(share_of(self._next), {}, None)

    def _publish(self) -> None:
        words, at = self.memory.words, self.number * WORKER_WORDS
        words[at + BEATS] += 1
        words[at + CALLS], words[at + CONNECTIONS] = self.server.calls_count, self.server.connections_count
        words[at + RECEIVED] = self.passed.received - self.passed.arriving  # each is in one of the three, whenever the office looks
        self._loop.call_later(PUBLISH_SECONDS, self._publish)

    def orphaned(self) -> None:
        """End at once: the office is gone, and the next one has to find this journal at rest."""
        if not self.finished:
            os._exit(EXIT_ORPHANED)


def share_of(config: Config) -> Config:
    """Return a configuration with one worker's share of what bounds the whole server."""
    share = -(-config.server.connections_max // config.server.workers)
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, connections_max=share))


async def work(number: int, descriptors: list[str]) -> None:
    """Be a worker."""
    end, channel = inherited_sockets(descriptors[:2])
    worker = Worker(number, int(descriptors[2]))
    worker.link = await Link.on(end, worker.hear, worker.answer, ended=worker.orphaned)
    await worker.serve(await worker.begun, channel)
    worker.finished = True
    worker.link.close()


def main() -> None:
    """Run one worker to its end."""
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(ignored, signal.SIG_IGN)  # it is the office that is told: who stops the server may signal all of its processes
    number, *descriptors = sys.argv[1:]
    gc.set_threshold(GC_YOUNG_OBJECTS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(int(number), descriptors))


if __name__ == "__main__":
    main()
