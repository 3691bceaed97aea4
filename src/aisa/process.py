"""What every process of a server has: its log, what it makes of signals and of bugs, and what it starts with. Serves nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from aisa import __version__
from aisa.clock import quick_chance, wall_clock
from aisa.config.load import Loaded
from aisa.config.problem import ConfigErrors
from aisa.config.schema import Config
from aisa.config.schema import Log as LogSettings
from aisa.edge.admin import Admin
from aisa.edge.admin_reload import Swapped
from aisa.edge.admin_status import Attention
from aisa.errors import ApiError
from aisa.facts import BugFound, CrashSettled, Fact, ServerNotice, ServerStarted, ServerWarning
from aisa.http.address import bracketed, is_loopback
from aisa.http.sockets import reached_at
from aisa.ignored_signals import IGNORED_SIGNALS
from aisa.keys.first_key import not_kept, told
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CRASHED
from aisa.observe.asked import asked_of
from aisa.observe.columns import TextLines
from aisa.observe.log import JsonLines, Log
from aisa.observe.on_demand import open_telemetry
from aisa.observe.welcome import Opening, welcome
from aisa.storage.ballast import take_on
from aisa.storage.in_place import OpenFiles
from aisa.storage.lock import exposure
from aisa.storage.secret import keep_private
from aisa.trace import Traces
from aisa.wire.tokenized_text import Tokenizer

WRITE_SECONDS_MAX = 10  # for the last rows at a stop; what the database does not take then stays in the journal
RELOAD_SECONDS_MAX = 20.0  # that an administrator waits: catalogue and files are read in a thread
LIBRARY_WORDS_CHARACTERS_MAX = 500  # of one line: an error may repeat a statement with all its values
UNKNOWN_WIDTH = 80  # of a terminal that does not say
FIRST_KEY_NAME = "first-key"  # of the data folder: where the first key is written when nobody sits at a terminal
GC_YOUNG_OBJECTS = 20_000  # the call's path makes no cycles; the default of 700 would look for them every few calls


def answer_reloads(reload: Callable[[], None]) -> None:
    """Have SIGHUP reload from now on, also one that came while the server began and was held back (`cli/serving.py`)."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


class Start(NamedTuple):
    """What a server starts with beside its configuration and its data: where it is administered, its certificate, its tokenizers.

    `say` shows text to the operator, `again` reads the configuration anew and raises ConfigErrors. `files` are those of the data
    folder that it has open, `handed` is a listening socket that it was started with, `settled` what was found of a dead process.
    """

    control: str
    tls: ssl.SSLContext | None
    tokenizers: Mapping[str, Tokenizer]
    say: Callable[[str], None]
    again: Callable[[], Loaded]
    files: OpenFiles
    handed: socket.socket | None = None
    settled: CrashSettled | None = None


class LibraryWords(logging.Handler):
    """What a library logs, as one line of ours: of an exception that it met, and that somebody has dealt with or will, the kind and words.

    Without it, Python would write such things to standard error as they come, with tracebacks: SQLAlchemy logs one of each connection that
    is gone when it is given back.
    """

    def __init__(self, report: Callable[[Fact], None]) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Report it."""
        error = record.exc_info[1] if record.exc_info else None
        words = record.getMessage() if error is None else f"{record.getMessage()}: {type(error).__name__}: {error}"
        self._report(ServerWarning(f"{record.name}: {' '.join(words.split())[:LIBRARY_WORDS_CHARACTERS_MAX]}"))


def listen_to_process(report: Callable[[Fact], None], folder: str | None = None) -> None:
    """Report what befalls the process besides its calls: bugs, what libraries log, signals that mean nothing here.

    And how the data folder is, if given.
    """
    loop = asyncio.get_running_loop()

    def in_loop(fact: Fact) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(report, fact)

    root = logging.getLogger()
    root.handlers = [*(each for each in root.handlers if not isinstance(each, LibraryWords)), LibraryWords(in_loop)]
    asyncio.get_running_loop().set_exception_handler(partial(report_bug, report))
    for number in IGNORED_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, report, ServerNotice(f"{number.name} is ignored"))
    for notice in () if folder is None else (exposure(folder), take_on(Path(folder))):
        if notice is not None:
            report(ServerWarning(notice))


#: What whoever sets a variable for `aisa reload` has to know, and what to do then.
OWN_ENVIRONMENT = (
    "The environment is the server's own, as it was when the server was started, and not that of the command. → "
    "Set the variable where the server is started, and restart it."
)


def swapped(reload: Callable[[], Awaitable[Swapped]], loop: asyncio.AbstractEventLoop) -> Swapped:
    """Reload for the administrator, whose thread may wait for it. Raises ApiError invalid_request."""

    async def reloaded() -> Swapped:
        return await reload()

    try:
        return asyncio.run_coroutine_threadsafe(reloaded(), loop).result(RELOAD_SECONDS_MAX)
    except ConfigErrors as errors:
        said = "\n".join(f"{problem.where}: {problem.what} → {problem.remedy}" for problem in errors.problems)
        said += f"\nenvironment: {OWN_ENVIRONMENT}" if errors.lacking else ""
        raise ApiError("invalid_request", f"The configuration was not taken, the old one stays.\n{said}") from None
    except TimeoutError:
        raise ApiError("overloaded", "The server is too busy to read its configuration now. Its log says when it has.") from None


class Observers(NamedTuple):
    """Who hears what happens: the log, and a collector of OpenTelemetry's if there is one. `traces` begins what is told there of calls.

    `log` is None where none is written.
    """

    report: Callable[[Fact], None]
    close: Callable[[], None]
    traces: Traces | None = None
    log: Log | None = None


def log_attention(log: Log | None) -> Callable[[], Sequence[Attention]]:
    """Return what returns what needs attention of a log."""

    def found() -> Sequence[Attention]:
        trouble = None if log is None else log.trouble()
        remedy = "Free some space where standard error is kept, or have somebody read it: lines go on by themselves."
        return () if trouble is None else (Attention("warning", trouble, remedy),)

    return found


def open_observers(config: Config) -> Observers:
    """Open the log, and the way to the collector, in the running loop."""
    loop, log, settings = asyncio.get_running_loop(), open_log(config.log), config.telemetry
    say, close = (ignore, do_nothing) if log is None else (log.report, log.close)
    if settings.endpoint is None:
        return Observers(say, close, log=log)

    def report_trouble(fact: Fact) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(say, fact)

    telemetry = open_telemetry(config, settings.endpoint, report_trouble)

    def report(fact: Fact) -> None:
        telemetry.note(fact)
        say(fact)

    def close_both() -> None:
        telemetry.close()
        close()

    traces = Traces(quick_chance(), wall_clock, share=settings.sample, passes_on=settings.to_vendors, look=asked_of)
    return Observers(report, close_both, traces, log)


def open_log(settings: LogSettings) -> Log | None:
    """Return the log in the configured form; `auto` is text on a terminal and JSON elsewhere."""
    if settings.format == "off":
        return None
    terminal = sys.stderr.isatty()
    if settings.format == "json" or (settings.format == "auto" and not terminal):
        return Log(sys.stderr.buffer, JsonLines(settings.level), wall_clock)
    colours = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    plain = terminal and "utf" not in sys.stderr.encoding.lower()
    return Log(sys.stderr.buffer, TextLines(settings.level, width=terminal_width, colours=colours, plain=plain), wall_clock)


def terminal_width() -> int | None:
    """Return how many columns the terminal of standard error has now, None if it is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or UNKNOWN_WIDTH
    except (OSError, ValueError):
        return None


def crash_settled(rows: Sequence[CallRow]) -> CrashSettled | None:
    """Return what is to be told of calls that a dead process had left, None if there are none."""
    if not rows:
        return None
    tokens, cost = sum(row.billed.output_tokens for row in rows), sum(row.cost for row in rows)
    return CrashSettled(len(rows), tokens, cost, sum(row.outcome != CRASHED for row in rows))


def tell_start(report: Callable[[Fact], None], config: Config, url: str, *, settled: CrashSettled | None, keys_count: int) -> None:
    """Report that the server listens, and what it found of a dead one."""
    if settled is not None:
        report(settled)
    folder = str(Path(config.server.data_dir).absolute())
    report(ServerStarted(url, __version__, folder, os.getpid(), config.server.workers, tuple(config.vendors), keys_count))


def report_bug(report: Callable[[Fact], None], _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what the event loop was told of and nobody caught: an exception of a callback, or what the loop itself met."""
    error = context.get("exception")
    trace = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    report(BugFound("-", f"{context['message']}\n{trace}".strip()))


def keep_for_life() -> None:
    """Have what exists now never looked at again for garbage: it lives as long as the process."""
    gc.collect()
    gc.freeze()


def ignore(fact: Fact) -> None:
    """Report nothing."""


def do_nothing() -> None:
    """Do nothing."""


def for_other_machines(host: str, url: str) -> str | None:
    """Return where other machines reach a server that listens on `host` and is at `url` here, None if this machine alone does."""
    if is_loopback(host):
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{bracketed(reached_at(host))}:{parts.port}"


def greet(
    say: Callable[[str], None],
    admin: Admin,
    config: Config,
    *,
    first_key: str | None,
    keys_count: int,
    console: Callable[[str, bool], str | None],
) -> None:
    """Tell the operator of the start, and of a first key that it was told.

    `console` returns where the console is, from the server's address and whether somebody sits at a terminal.
    """
    folder = Path(config.server.data_dir).absolute()
    assert admin.url is not None, "the server listens"
    at_terminal = sys.stdout.isatty()
    where = console(admin.url, at_terminal)
    once = where is not None and "?" in where
    known = Opening(
        admin.url,
        str(folder),
        keys_count,
        admin.example_model(),
        console=where,
        console_once=once,
        elsewhere=for_other_machines(config.server.host, admin.url),
    )
    say(welcome(config, with_key(known, first_key, at_terminal=at_terminal)))
    told(folder)


def with_key(known: Opening, first_key: str | None, *, at_terminal: bool) -> Opening:
    """Return an opening with the first key. Off a terminal it goes to a file, not to a log that others read. Raises StorageFailed."""
    if first_key is None or at_terminal:
        return msgspec.structs.replace(known, first_key=first_key)
    path = Path(known.data_dir) / FIRST_KEY_NAME
    try:
        keep_private(path, f"{first_key}\n".encode())
    except OSError as error:
        raise not_kept(path, error) from error
    return msgspec.structs.replace(known, key_file=str(path))
