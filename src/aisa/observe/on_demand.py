"""Opens what sends to an OpenTelemetry collector, whose libraries are those of an extra. Sends nothing itself."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from typing import Protocol

from aisa.clock import monotonic_micros, wall_clock
from aisa.config.schema import Config
from aisa.facts import Fact
from aisa.observe.gen_ai import PROVIDERS, Server
from aisa.vendors.table import row_of


class Collected(Protocol):
    """What sends facts to a collector."""

    def note(self, fact: Fact) -> None:
        """Take a fact. Returns at once."""
        ...

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...


def open_telemetry(config: Config, endpoint: str, report: Callable[[Fact], None]) -> Collected:
    """Open the way to a collector. `report` hears of troubles, in a thread of its own."""
    from aisa.observe.telemetry import Identity, Telemetry

    scheme, several = "http" if config.tls is None else "https", config.server.workers > 1
    identity = Identity(f"{platform.node()}:{os.getpid()}", scheme, one_of=several, environment=os.environ)
    return Telemetry(endpoint, servers_of(config), clocks=(wall_clock, monotonic_micros), report=report, identity=identity)


def servers_of(config: Config) -> Mapping[str, Server]:
    """Return where the vendors of a configuration are, by name."""
    servers: dict[str, Server] = {}
    for name, vendor in config.vendors.items():
        scheme, _, rest = vendor.base_url.partition("://")
        host, _, port = rest.partition("/")[0].rpartition("@")[2].partition(":")
        row = row_of(name, vendor.base_url)
        kind = name if row is None else row.name
        servers[name] = Server(PROVIDERS.get(kind, kind), host, int(port) if port.isdigit() else 443 if scheme == "https" else 80)
    return servers
