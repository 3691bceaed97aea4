"""Where operators are answered: on the API's address, or on addresses of their own. Starts and stops those."""

from __future__ import annotations

from collections.abc import Callable

from aisa.administration import Doors
from aisa.clock import quick_chance, wall_clock
from aisa.config.admin_settings import listening
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.config.schema import Server as ServerSettings
from aisa.edge.addresses import Addresses
from aisa.edge.app import Edge
from aisa.edge.operator_app import OperatorApp
from aisa.edge.refusals import Refusals
from aisa.facts import Fact, ServerNotice
from aisa.http.server import HttpServer, Request
from aisa.ids import CallIds
from aisa.observe.metrics import Metrics
from aisa.timers import Timers


class Operators:
    """What is listened on for operators. `app` is what the API's address serves: the API, and operators unless they have their own.

    `edge` and `metrics` are None where other processes serve the API.
    """

    def __init__(
        self,
        config: Config,
        edge: Edge | None,
        doors: Doors,
        *,
        settings: ServerSettings,
        metrics: Metrics | None,
        report: Callable[[Fact], None],
        timers: Timers,
    ) -> None:
        self._config = config
        self._report = report
        own_addresses = Addresses(config.server.trusted_proxies, config.log.client_address)
        ids, refusals = CallIds(wall_clock, quick_chance()), Refusals(report) if edge is None else edge.refusals
        text = None if metrics is None else metrics.text

        def address(request: Request) -> str:
            return (own_addresses if edge is None else edge.addresses).of(request)

        moved = config.admin.listen is not None
        self.app = OperatorApp(edge, None if moved else doors.gate, text, address=address, ids=ids, refusals=refusals)
        self._control = HttpServer(doors.control, settings, timers=timers)
        self._servers: dict[str, tuple[str, HttpServer]] = {}
        if config.admin.listen is not None:
            own = OperatorApp(None, doors.gate, text, address=address, ids=ids, refusals=refusals)
            self._servers["admin.listen"] = (config.admin.listen, HttpServer(own, settings, timers=timers))

        if config.metrics.listen is not None and text is not None:
            free = OperatorApp(None, None, text, free=True, address=address, ids=ids, refusals=refusals)
            self._servers["metrics.listen"] = (config.metrics.listen, HttpServer(free, settings, timers=timers))

    async def listen(self, control: str) -> None:
        """Listen, for the command line on the unix socket `control`. Raises ConfigErrors for an address that cannot be."""
        await self._control.listen_unix(control)
        for setting, (text, server) in self._servers.items():
            try:
                host, port = await server.listen(*listening(text))
            except OSError as error:
                problem = Problem(setting, f"{text} cannot be listened on: {error.strerror or error}.", "Choose another address or port.")
                raise ConfigErrors([problem], self._config) from error
            self._report(ServerNotice(f"{setting.partition('.')[0]} is at {host}:{port}"))

    async def close(self) -> None:
        """Stop listening, and let what runs end."""
        for server in (self._control, *(server for _, server in self._servers.values())):
            await server.drain(0)
