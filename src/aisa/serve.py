"""The composition root: from a configuration to a running server, and down again in order. Decides nothing about a call."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvloop
from sqlalchemy import Connection

from aisa.accounting import open_ledger
from aisa.administration import ServerRecords, open_admin
from aisa.clock import quick_chance, system_chance, wall_clock
from aisa.composition import (
    check_extras,
    fitting,
    open_data,
    open_dependencies,
    open_edge,
    open_keys,
    open_uses,
    routes_from,
    seal_key,
    share_limits,
    take_tokens,
    tokenizers_in,
)
from aisa.config.load import Loaded
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.edge.account import Accounts
from aisa.facts import Stopped
from aisa.folder_watch import NO_FOLDER, FolderWatch
from aisa.http.descriptors import DESCRIPTORS_MIN, raise_limit
from aisa.http.names import Names
from aisa.http.server import HttpServer, tls_context
from aisa.http.sockets import handed_listener
from aisa.keys.first_key import ensure_first_key
from aisa.ledger.journal import Journal
from aisa.ledger.left_behind import JOURNAL_NAME, JOURNAL_PREFIX
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.recovery import recover
from aisa.ledger.refused import RefusalRecords
from aisa.ledger.removal import insert_left
from aisa.ledger.retention import Retention
from aisa.ledger.row import CallRow
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import Writer
from aisa.model_lists import ModelLists
from aisa.observe.metrics import Metrics, counted
from aisa.observe.welcome import bracketed
from aisa.operators import Operators
from aisa.process import (
    GC_YOUNG_OBJECTS,
    WRITE_SECONDS_MAX,
    Start,
    answer_reloads,
    crash_settled,
    greet,
    keep_for_life,
    listen_to_process,
    log_attention,
    open_observers,
    swapped,
    tell_start,
)
from aisa.providers.vendor_state import Memory, Seals, VendorStates
from aisa.reload import Parts, Reload
from aisa.shutdowns import tell_until
from aisa.states import States
from aisa.stopping import Stopping, go_away
from aisa.storage.ballast import throw_off
from aisa.storage.engine import DATABASE_NAME, Database
from aisa.storage.failure import StorageFailed
from aisa.storage.in_place import OpenFiles
from aisa.storage.lock import LOCK_NAME, control_path, own_folder
from aisa.storage.running import Running, announced
from aisa.timers import Timers
from aisa.vendor_pool import open_pool
from aisa.workers.serving import serve_with_workers

OPEN_FILES = (LOCK_NAME, DATABASE_NAME, JOURNAL_NAME)  # of the data folder, for as long as the process lives


def run(loaded: Loaded, say: Callable[[str], None], again: Callable[[], Loaded]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status. `say` shows text to the operator.

    `again` reads the configuration anew, with all that was checked at the start but what runs now, and raises ConfigErrors.
    Address and certificate were tried by the caller. Raises ConfigErrors when the data cannot be used, however late that shows, and when
    this process may have too few files open.
    """
    if (descriptors := raise_limit()) < DESCRIPTORS_MIN:
        what = f"This process may have {descriptors} files open, and a server needs {DESCRIPTORS_MIN} at the least."
        raise ConfigErrors([Problem("open files", what, MORE_FILES)], loaded.config)
    try:
        return started(loaded, say, again)
    except StorageFailed as failure:
        raise ConfigErrors([Problem(failure.where, failure.what, failure.remedy)], loaded.config) from failure
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        raise ConfigErrors([Problem("open files", f"{error.strerror}.", MORE_FILES)], loaded.config) from error


MORE_FILES = "Raise the limit where the server is started: `ulimit -n` with its hard limit `ulimit -Hn`, or LimitNOFILE= of the unit."


def started(loaded: Loaded, say: Callable[[str], None], again: Callable[[], Loaded]) -> int:
    """Do what `run` does. Raises ConfigErrors, StorageFailed, OSError."""
    config = loaded.config
    check_extras(config)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(own_folder(config.server.data_dir))
        throw_off(Path(config.server.data_dir))
        control = control_path(config.server.data_dir)
        database = open_data(config, partial(migrate, tell=say))
        stack.callback(database.close)
        seal_key(config)
        settled = recover_workers(folder.folder, database)
        journal = Journal.open(folder.folder / JOURNAL_NAME, slots_max=config.ledger.calls_waiting_max)
        stack.callback(journal.close)
        settled += recover(journal, lambda rows: insert_left(database, rows), int(wall_clock() * 1000))
        tokenizers = tokenizers_in(config)
        try:
            handed = handed_listener(os.environ)
        except OSError as error:
            remedy = "Hand over one listening TCP socket: `ListenStream=` with a port, once."
            raise ConfigErrors([Problem("LISTEN_FDS", f"It cannot be listened on: {error}.", remedy)], config) from error
        tls = None if config.tls is None else tls_context(config.tls.cert, config.tls.key)
        gc.set_threshold(GC_YOUNG_OBJECTS)
        file = None if loaded.path is None else str(Path(loaded.path).absolute())
        found = Running(str(Path(config.server.data_dir).absolute()), file, config.server.host, config.server.port)
        stack.enter_context(announced(found, os.environ))
        start = Start(
            control, tls, tokenizers, say, again, OpenFiles(folder.folder, OPEN_FILES), handed=handed, settled=crash_settled(settled)
        )
        # The database is closed before the loop waits for its threads: one that has asked a server which hangs would be waited for.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.closing(database):
            if config.server.workers > 1:
                return runner.run(serve_with_workers(config, database, folder, start=start))
            return runner.run(serve(config, database, journal, start=start))


def recover_workers(folder: Path, database: Database) -> list[CallRow]:
    """Settle what the workers of a server that died left, in one journal each, and return it. Raises StorageFailed."""
    rows: list[CallRow] = []
    for path in sorted(folder.glob(f"{JOURNAL_PREFIX}*")):
        journal = Journal.open(path, slots_max=0)
        try:
            rows += recover(journal, lambda found: insert_left(database, found), int(wall_clock() * 1000))
        finally:
            journal.close()
        path.unlink()
    return rows


def migrate(connection: Connection, tell: Callable[[str], None]) -> None:
    """Bring the schema up to date, and tell how. Alembic is imported only when there is something to do: it is slow to import."""
    from aisa.storage.migrate import migrate as to_head

    to_head(connection, tell)


async def serve(config: Config, database: Database, journal: Journal, *, start: Start) -> int:
    """Run the server until it is told to stop."""
    chance, loop, observers, metrics = quick_chance(), asyncio.get_running_loop(), open_observers(config), Metrics()
    report = counted(metrics, observers.report)
    listen_to_process(report, config.server.data_dir)
    keys = open_keys(config, database)
    writer, idempotency = Writer(database, report), open_uses(config)
    refused = RefusalRecords(writer.post_refused, wall_clock=wall_clock, report=report)
    store = LedgerStore(database, wall_clock, lambda: tuple(ledger.calls))
    ledger = open_ledger(config, journal, store, writer=writer, keys=keys, idempotency=idempotency, report=report)
    timers, lists = Timers(), ModelLists(Path(config.server.data_dir), wall_clock, report)
    open_way = partial(open_pool, names=Names(), timers=timers, report=report, environment=os.environ)
    pools = {name: open_way(name, vendor) for name, vendor in config.vendors.items()}
    again = routes_from(store, writer)
    routes = again(config, known=lists.known(config), tokenizers=start.tokenizers)
    dependencies = open_dependencies(config, keys, ledger, pools=pools, routes=routes, chance=chance, report=report)
    await share_limits(config, dependencies, keys.tiers)
    dependencies.keep_refusal, dependencies.timers, dependencies.note_throttled = refused.keep, timers, metrics.note_throttled
    dependencies.states, dependencies.note_silence = VendorStates(Seals(seal_key(config)), Memory(timers.loop.time)), metrics.note_silence
    stopping = Stopping()
    watch = FolderWatch(start.files, report, lambda gone: journal.refuse(NO_FOLDER if gone else None), stopping=stopping.why_not_ready)
    books = ServerRecords(database, keys, ledger, journal, store, refused.waiting, writer)
    accounts = Accounts(ledger, books.statement(), wall_clock, is_away=lambda: ledger.database_is_away)
    edge = open_edge(config, dependencies, chance, not_ready=watch.why_not_ready, idempotency=idempotency, accounts=accounts)
    doors = open_admin(config, books, dependencies, report=report, reload=lambda: swapped(reload, loop), lists=lists)
    admin, settings, dependencies.keys = doors.admin, fitting(config, report), take_tokens(config, keys, report, gate=doors.gate)
    operators = Operators(config, edge, doors, settings=settings, timers=timers, metrics=metrics.text, report=report)
    server = HttpServer(operators.app, settings, timers=timers)
    metrics.states, edge.refusals.note_untold, stopping.at_once = (
        doors.overruns.beside(
            States(dependencies, server, ledger=ledger, journal=journal, names_of=lists.names_of, slots=config.ledger.calls_waiting_max)
        ),
        metrics.note_untold,
        server.keep_no_connections,
    )
    parts = Parts(dependencies, edge, doors, server=server, pools=pools, open_pool=open_way, lists=lists)
    reload = Reload(config, report, again=start.again, routes_of=lambda config: again(config, known=lists.known(config)), swap=parts.swap)
    Retention(writer.run_errand, lambda: reload.config.ledger, wall_clock=wall_clock, report=report, server=writer.server).look()
    first_key = ensure_first_key(keys, Path(config.server.data_dir), system_chance())
    reload.keep, edge.traces, admin.attention = (
        doors.keep_signal,
        observers.traces,
        doors.attention_of(watch.attention, reload.attention, log_attention(observers.log)),
    )
    host, port = await server.listen(config.server.host, config.server.port, start.tls, handed=start.handed)
    lists.follow(config, pools, parts.learn_models)
    answer_reloads(reload.soon)
    admin.why_not_ready, admin.url = watch.why_not_ready, f"{'https' if start.tls else 'http'}://{bracketed(host)}:{port}"
    await operators.listen(start.control)  # last: whoever finds it finds a server that knows where it is, and that can be reloaded
    tell_start(report, config, admin.url, settled=start.settled, keys_count=len(keys))
    greet(start.say, admin, config, first_key=first_key, keys_count=len(keys), console=operators.console_address)
    keep_for_life()
    await tell_until(watch.until(stopping.wait()), lambda: dependencies.routes, wall_clock=wall_clock, report=report)
    await go_away(server, reload.config.server, report, grace=not stopping.at_terminal, drain=dependencies.admission.drain)
    lists.stop()
    await asyncio.gather(watch.end(), operators.close())
    await dependencies.background_reads.close()
    for pool in (*pools.values(), *parts.retired):
        await pool.close()
    refused.sum_up()
    report(Stopped(await close_books(writer, ledger)))
    observers.close()
    return 0


async def close_books(writer: Writer, ledger: LiveLedger) -> int:
    """Have all rows written, and return how many are left: they stay in the journal."""
    left = await writer.stop(WRITE_SECONDS_MAX)
    await ledger.leave(left)
    return left
