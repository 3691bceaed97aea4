"""The way to a vendor, put together from its settings: the pool of connections, and what proves our requests. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aisa.clock import wall_clock
from aisa.config.schema import Vendor
from aisa.credentials.of_vendor import credential_of
from aisa.facts import Fact
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.http.token_requests import token_sender
from aisa.timers import Timers


def open_pool(
    name: str, vendor: Vendor, *, names: Names, timers: Timers | None = None, report: Callable[[Fact], None], environment: Mapping[str, str]
) -> HttpUpstream:
    """Return the way to a vendor, with what proves our requests to it."""
    send = token_sender(environment, names=names, timers=timers)
    credential = credential_of(name, vendor, environment, send=send, wall_clock=wall_clock, report=report)
    return HttpUpstream(name, vendor, environment, names=names, timers=timers, credential=credential)
