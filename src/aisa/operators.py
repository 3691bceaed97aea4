"""Where operators are answered, the console among it: on the API's address, or on addresses of their own. Starts and stops those."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from aisa.administration import Doors
from aisa.clock import quick_chance, system_chance, wall_clock
from aisa.config.admin_settings import listening
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.config.schema import Server as ServerSettings
from aisa.console.app import Console
from aisa.console.assets import Assets
from aisa.console.sessions import Sessions
from aisa.console.visit import Ask
from aisa.edge.addresses import Addresses
from aisa.edge.app import Edge
from aisa.edge.operator_app import MetricsSite, MetricsText, OperatorApp
from aisa.edge.refusals import Refusals
from aisa.facts import Fact, ServerNotice
from aisa.http.address import is_loopback
from aisa.http.server import HttpServer
from aisa.ids import CallIds
from aisa.reload import KEPT_OF_SERVER
from aisa.timers import Timers


class Operators:
    """What is listened on for operators. `app` is what the API's address serves: the API, and operators unless they have their own.

    `edge` is None where other processes serve the API. `metrics` returns the text of the metrics.
    """

    def __init__(
        self,
        config: Config,
        edge: Edge | None,
        doors: Doors,
        *,
        settings: ServerSettings,
        metrics: MetricsText,
        report: Callable[[Fact], None],
        timers: Timers,
    ) -> None:
        self._config = config
        self._report = report
        self._addresses = addresses_of(config)
        doors.swapped.append(self.configure)
        ids, refusals = CallIds(wall_clock, quick_chance()), Refusals(report) if edge is None else edge.refusals
        self.metrics = MetricsSite(metrics, doors.gate)

        def addresses() -> Addresses:
            return self._addresses if edge is None else edge.addresses

        moved = config.admin.listen is not None
        gate, site = (None, None) if moved else (doors.gate, self.metrics)
        self.app = OperatorApp(edge, gate, site, addresses=addresses, ids=ids, refusals=refusals)
        self.console = open_console(config, doors) if config.console else None
        if not moved:
            self.app.console = self.console
        self._control = HttpServer(doors.control, settings, timers=timers)
        self._servers: dict[str, tuple[str, HttpServer]] = {}
        if config.admin.listen is not None:
            own = OperatorApp(None, doors.gate, self.metrics, addresses=addresses, ids=ids, refusals=refusals)
            own.console = self.console
            self._servers["admin.listen"] = (config.admin.listen, HttpServer(own, settings, timers=timers))

        if config.metrics.listen is not None:
            free = OperatorApp(None, None, MetricsSite(metrics, None), addresses=addresses, ids=ids, refusals=refusals)
            self._servers["metrics.listen"] = (config.metrics.listen, HttpServer(free, settings, timers=timers))

    def configure(self, config: Config) -> None:
        """Let another configuration's proxies and time-outs count for connections from now on. Where is listened stays."""
        self._addresses = addresses_of(config)
        for _, server in self._servers.values():
            kept = {name: getattr(server.settings, name) for name in KEPT_OF_SERVER}
            server.configure(msgspec.structs.replace(config.server, **kept), None)

    async def listen(self, control: str) -> None:
        """Listen, for the command line on the unix socket `control`. Raises ConfigErrors for an address that cannot be."""
        try:
            await self._control.listen_unix(control)
        except OSError as error:
            what = f"The socket of `aisa` commands cannot be there: {error.strerror or error}."
            raise ConfigErrors(
                [Problem(control, what, "Remove what is there, or choose another folder with --data-dir.")], self._config
            ) from error
        for setting, (text, server) in self._servers.items():
            try:
                host, port = await server.listen(*listening(text))
            except OSError as error:
                problem = Problem(setting, f"{text} cannot be listened on: {error.strerror or error}.", "Choose another address or port.")
                raise ConfigErrors([problem], self._config) from error
            self._report(ServerNotice(f"{setting.partition('.')[0]} is at {host}:{port}"))

    def console_address(self, url: str, at_terminal: bool) -> str | None:
        """Return where the console of a server at `url` is, None if it is off.

        To whoever sits at the terminal of a server that listens on this machine alone it is a link that signs in, once.
        """
        if self.console is None:
            return None
        listen = self._config.admin.listen
        if listen is not None:
            return f"http://{listen}/console"
        return self.console.link(url) if at_terminal and is_loopback(self._config.server.host) else f"{url}/console"

    async def close(self) -> None:
        """Stop listening, and let what runs end."""
        servers = (self._control, *(server for _, server in self._servers.values()))
        await asyncio.gather(*(server.drain(0) for server in servers))


def addresses_of(config: Config) -> Addresses:
    """Return who clients are where other processes serve the API."""
    return Addresses(config.server.trusted_proxies, config.log.client_address)


def open_console(config: Config, doors: Doors) -> Console:
    """Return the console, which asks what administrators ask. What fills its pages is imported when the first is asked for."""
    filled: list[Callable[[str, Mapping[str, object]], str]] = []

    def render(name: str, values: Mapping[str, object]) -> str:
        if not filled:
            from aisa.console.templating import Templates

            filled.append(Templates())
        return filled[0](name, values)

    def stopping() -> str | None:
        return doors.admin.why_not_ready()

    moved = config.admin.listen is not None
    ask = Ask(doors.control.ask, render, wall_clock, lambda: doors.admin.url, Assets(), moved=moved)
    sessions = Sessions(wall_clock, system_chance(), doors.gate.is_good)
    return Console(doors.gate, sessions, ask, tls=config.tls is not None and not moved, stopping=stopping)
