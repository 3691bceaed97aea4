"""The composition root: from a configuration to a running server, and down again in order. Decides nothing about a call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import ssl
import sys
from collections.abc import Callable

import uvloop
from sqlalchemy import Connection

from aisa import __version__
from aisa.admission.unlimited import Unlimited
from aisa.clock import quick_chance, system_chance, wall_clock
from aisa.config.load import Loaded
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.edge.admin import Admin
from aisa.edge.app import Edge
from aisa.edge.control import Control
from aisa.edge.cors import CrossOrigin
from aisa.edge.pages import Pages
from aisa.embedded.upstream import EmbeddedUpstream
from aisa.facts import Fact, ServerNotice
from aisa.http.client import HttpUpstream
from aisa.http.server import HttpServer, tls_context
from aisa.ids import CallIds
from aisa.keys.store import KeyStore, ensure_first_key
from aisa.ledger.transient import TransientLedger
from aisa.observe.log import Log, json_line, text_line
from aisa.patience import Watch
from aisa.providers import openai
from aisa.providers.port import Upstream
from aisa.relay import Gate
from aisa.routing import EMBEDDED, TINY, Routes
from aisa.storage.engine import Database, open_database
from aisa.storage.failure import StorageFailed
from aisa.storage.lock import control_path, own_folder
from aisa.wire.chat import ChatRequest, parse_chat

PARSE_INLINE_BYTES_MAX = 262_144  # larger bodies are parsed in a thread, so that other streams' tokens do not wait for them
GC_YOUNG_OBJECTS = 20_000  # the call's path makes no cycles; the default of 700 would look for them every few calls


def run(loaded: Loaded, say: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status. `say` shows text to the operator.

    Address and certificate were tried by the caller. Raises ConfigErrors when the data cannot be used.
    """
    config = loaded.config
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(own_folder(config.server.data_dir))
            control = control_path(config.server.data_dir)
            database = open_database(config.server.data_dir, migrate)
        except StorageFailed as failure:
            raise ConfigErrors([Problem(failure.where, failure.what, failure.remedy)], config) from failure
        stack.callback(database.close)
        tls = None if config.tls is None else tls_context(config.tls.cert, config.tls.key)
        gc.set_threshold(GC_YOUNG_OBJECTS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(config, database, control, tls=tls, say=say))


def migrate(connection: Connection) -> None:
    """Bring the schema up to date. Alembic is imported only when there is something to do: it takes longer than the rest of the start."""
    from aisa.storage.migrate import migrate as to_head

    to_head(connection)


async def read_chat(body: bytes) -> ChatRequest:
    """Parse a request body, a large one in a thread."""
    if len(body) <= PARSE_INLINE_BYTES_MAX:
        return parse_chat(body)
    return await asyncio.to_thread(parse_chat, body)


async def serve(config: Config, database: Database, control: str, *, tls: ssl.SSLContext | None, say: Callable[[str], None]) -> int:
    """Run the server until it is told to stop."""
    chance = quick_chance()
    log = open_log(config.log.format)
    report: Callable[[Fact], None] = log.report if log is not None else ignore
    keys = KeyStore(database, wall_clock, system_chance())
    upstreams: dict[str, Upstream] = {EMBEDDED: EmbeddedUpstream(config.embedded.tokens_per_second, wall_clock, chance)}
    pools = {name: HttpUpstream(name, vendor, os.environ) for name, vendor in config.vendors.items()}
    upstreams |= pools
    routes = Routes(config)
    gate = Gate(
        keys=keys,
        read=read_chat,
        routes=routes,
        admission=Unlimited(),
        ledger=TransientLedger(),
        dialects={openai.NAME: openai},
        upstreams=upstreams,
        stream=config.stream,
        chance=chance,
        report=report,
        watch=Watch(),
    )
    stopping = Stopping()
    ids = CallIds(wall_clock, chance)
    edge = Edge(gate, ids, wall_clock, cross_origin=CrossOrigin(config.cors), pages=Pages(), not_ready=stopping.why_not_ready)
    admin = Admin(keys, wall_clock, report)
    server, control_server = HttpServer(edge, config.server), HttpServer(Control(admin), config.server)
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
    for pool in pools.values():
        await pool.close()
    report(ServerNotice("stopped"))
    if log is not None:
        log.close()
    return 0


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


def ignore(fact: Fact) -> None:
    """Report nothing."""


def bracketed(host: str) -> str:
    """Write a host as URLs want it; an address that means all of them becomes one that works."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only compared
    return f"[{host}]" if ":" in host else host


WELCOME = """
  aisa {version}   {url}
{served}{key}
  Try it:

curl {url}/v1/chat/completions \\
  -H "Authorization: Bearer {secret}" \\
  -H "Content-Type: application/json" \\
  -N \\
  -d '{{
    "model": "{model}",
    "messages": [{{"role": "user", "content": "Write a haiku about APIs."}}],
    "stream": true
  }}'

  Stop with Ctrl-C.  More keys: aisa keys create LABEL
"""

EMBEDDED_NOTICE = """
  No vendor is configured, so the EMBEDDED model answers, under every name. It is a tiny
  statistical model for trying things out offline: it follows the protocol, not the question.
  For real answers set OPENAI_API_KEY, or write aisa.yaml (see docs/configuration.md).
"""


def welcome(config: Config, url: str, first_key: str | None, *, keys_count: int) -> str:
    """Return what the operator sees at the start: where, who answers, the first key, and a command to paste."""
    names = [name for name in config.models if name != TINY]
    if config.vendors:
        served = f"\n  Vendors: {', '.join(config.vendors)}.  Models: {', '.join(names) or 'vendor/model'}.\n"
    else:
        served = EMBEDDED_NOTICE
    if first_key:
        key = f"\n  Your first key, shown only this once:\n\n    {first_key}\n"
    else:
        key = f"\n  Keys: {keys_count} known.  aisa keys list\n"
    model = names[0] if names else f"{next(iter(config.vendors))}/MODEL" if config.vendors else "gpt-5"
    return WELCOME.format(version=__version__, url=url, served=served, key=key, secret=first_key or "$AISA_API_KEY", model=model)
