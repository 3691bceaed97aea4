"""`aisa serve`: says everything that is in the way, or runs the server. The server itself is `aisa.serve`."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aisa.cli.problems import Misuse, block, counted
from aisa.cli.written import Number
from aisa.ignored_signals import IGNORED_SIGNALS

if TYPE_CHECKING:
    from aisa.config.load import Loaded

EXAMPLES = """\b
Examples:
  aisa serve
  OPENAI_API_KEY=sk-... aisa serve --port 9000
  aisa serve --config /etc/aisa.yaml --data-dir /var/lib/aisa --log-format json
"""


@click.command(epilog=EXAMPLES)
@click.option("--config", metavar="FILE", help="Configuration file.  [AISA_CONFIG; ./aisa.yaml if it exists]")
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [HOST; 127.0.0.1]")
@click.option("--port", type=Number(0, 65_535), metavar="PORT", help="Port to listen on, 0 for any free one.  [PORT; 8000]")
@click.option("--data-dir", metavar="FOLDER", help="Where keys and database are kept.  [AISA_DATA_DIR; ./aisa-data]")
@click.option("--log-format", type=click.Choice(["auto", "text", "json", "off"]), help="How the log is written.  [auto]")
@click.option("--workers", type=Number(1, 16), metavar="N", help="Processes that serve calls.  [1]")
def serve(
    config: str | None, host: str | None, port: int | None, *, data_dir: str | None, log_format: str | None, workers: int | None
) -> None:
    """Run the server.

    Nothing needs to be configured. Vendors whose key is in the environment are used; without any, a small built-in
    language model answers. The first start makes an API key and shows it, once.
    """
    overrides: dict[str, object] = {"server.host": host, "server.port": port, "server.data_dir": data_dir, "log.format": log_format}
    overrides["server.workers"] = workers
    with signals_held():
        begin(config, overrides)


@contextmanager
def signals_held() -> Generator[None]:
    """Have each SIGHUP wait until the server can answer it: whoever sends one cannot know what a server that begins has read by then.

    By itself it would end the process, as would those that mean nothing: these are ignored before there is a log to say it in, too. At the
    end nobody is left who could answer, and what Python does at its own would let each of them take the place of the server's status.
    """
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` has it ignored, and what is ignored does not wait
    try:
        yield
    finally:
        for number in (*IGNORED_SIGNALS, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def begin(config: str | None, overrides: dict[str, object]) -> None:
    """Say everything that is in the way of a server, or run it and exit with its status. Raises Misuse."""
    from aisa.config.load import ConfigErrors

    def again() -> Loaded:
        check_written(loaded.path)
        read = checked(config, overrides, running=True)
        check_extras(read.config)  # the next start would refuse it
        return read

    try:
        loaded = checked(config, overrides, running=False)
    except ConfigErrors as errors:
        raise Misuse(f"the server cannot start: {counted(len(errors.problems))}", errors.problems) from errors
    from aisa.cli.terminal import say
    from aisa.composition import check_extras
    from aisa.serve import run

    for note in loaded.notes:
        say("\n" + block(note))
    try:
        status = run(loaded, say, again)
    except ConfigErrors as raised:
        raise Misuse(f"the server cannot start: {counted(len(raised.problems))}", raised.problems) from raised
    raise SystemExit(status)


def check_written(path: str | None) -> None:
    """Raise ConfigErrors if nothing is in the file that a server began with: an editor or a full disk left it so, and nobody means that."""
    from aisa.config.problem import ConfigErrors, Problem

    if path is None or (Path(path).exists() and Path(path).stat().st_size > 0):
        return
    what = "The file is empty." if Path(path).exists() else "The file, with which the server began, is gone."
    raise ConfigErrors([Problem(path, what, "Put back what was in it; for a server without settings, write {} into it.")])


def checked(config: str | None, overrides: dict[str, object], *, running: bool) -> Loaded:
    """Return a configuration with which a server can start, or one that is `running` can go on. Raises ConfigErrors with all problems."""
    from aisa.cli.preflight import standing_problems, start_problems
    from aisa.cli.price_check import price_problems
    from aisa.config.load import ConfigErrors, load
    from aisa.http.nearby import look_around

    loaded: Loaded | None = None
    errors: ConfigErrors | None = None
    try:
        loaded = load(config, os.environ, overrides, nearby=look_around)
    except ConfigErrors as raised:
        errors = raised
    settings = loaded.config if loaded else errors and errors.partial
    look = standing_problems if running else start_problems
    problems = [*(errors.problems if errors else ()), *(look(settings, errors, os.environ) if settings else ())]
    problems += price_problems(loaded.config, loaded.origins) if loaded else ()
    if loaded is None or problems:
        raise ConfigErrors(problems, settings or None, lacking=errors.lacking if errors else ())
    return loaded
