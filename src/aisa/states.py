"""What of a running server is a state and not an event, for metrics: calls in flight, journal, vendors, process. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import resource
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aisa.administration import Books, vendors_shown
from aisa.clock import wall_clock
from aisa.context import Dependencies
from aisa.edge.admin_views import VendorLimit
from aisa.http.server import HttpServer
from aisa.model_lists import ModelLists
from aisa.observe.metrics import Gauge

PAGE_BYTES = resource.getpagesize()


class States:
    """The states of one server with so many `slots` in its journal.

    `untold` counts refusals by code that the log does not have one by one.
    """

    def __init__(
        self, books: Books, dependencies: Dependencies, server: HttpServer, *, lists: ModelLists, slots: int, untold: Mapping[str, int]
    ) -> None:
        self._books = books
        self._dependencies = dependencies
        self._lists = lists
        self._began = wall_clock()
        self._slots = slots
        self._untold = untold
        self._now = asyncio.get_running_loop().time
        self._server = server

    def __call__(self) -> Iterator[Gauge]:
        """Yield what is now."""
        live, ledger = tuple(self._dependencies.live), self._books.ledger
        kinds = Counter("stream" if context.request.stream else "document" for context in live)
        values = tuple([((("kind", kind),), float(kinds[kind])) for kind in ("stream", "document")])
        yield Gauge("calls_in_flight", "Calls that run.", values)
        yield one("client_connections", "Connections of clients that are open.", self._server.connections_count)
        unwritten = sum(charge.row is not None for charge in tuple(ledger.calls.values()))
        yield one("calls_unwritten", "Ended calls that the journal has and the database not yet.", unwritten)
        yield one(
            "journal_slots_taken", "Slots of the journal that are taken, by calls that run or are unwritten.", self._books.journal.taken
        )
        yield one("journal_slots", "Slots that the journal has at most (`ledger.calls_waiting_max`).", self._slots)
        untold = tuple([((("code", code),), float(count)) for code, count in self._untold.items()])
        told = "Requests without a known key that were refused beyond the first of a minute, which the log only sums up."
        yield Gauge("refused_unlogged_total", told, untold, counter=True)
        vendors = vendors_shown(self._dependencies, self._lists.names_of, self._now())
        connections = [
            ((("vendor", each.name), ("state", state)), float(count))
            for each in vendors
            for state, count in (("in_use", each.connections_in_use), ("idle", each.connections_open - each.connections_in_use))
        ]
        yield Gauge("vendor_connections", "Connections to vendors.", tuple(connections))
        waiting = tuple([((("vendor", each.name),), float(each.calls_waiting)) for each in vendors])
        yield Gauge("vendor_calls_waiting", "Calls that wait for a connection to a vendor.", waiting)
        yield from vendor_limits([limit for each in vendors for limit in each.limits])
        resting = [((("vendor", each.name),), float(sum(trouble.seconds > 0 for trouble in each.troubles))) for each in vendors]
        yield Gauge("vendor_targets_asked_last", "Targets that failed lately and are asked last for a while.", tuple(resting))
        yield one("start_time_seconds", "When this process began, in UNIX seconds.", self._began)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        seconds = spent.ru_utime + spent.ru_stime
        yield Gauge("process_cpu_seconds_total", "Processor time of this process.", (((), seconds),), counter=True)
        yield from held()


def vendor_limits(limits: Sequence[VendorLimit]) -> Iterator[Gauge]:
    """Yield how full the limits of vendors are, and who waits for them; as many series as the configuration has limits."""
    names = [tuple(limit.target.partition("/")[::2]) for limit in limits]
    labelled = [((("vendor", vendor), ("model", model)), limit) for (vendor, model), limit in zip(names, limits, strict=True)]
    for name, told in (
        ("rpm_left", "Calls that a vendor's limit (`limits.vendors`) has room for within its minute."),
        ("tpm_left", "Tokens that it has room for."),
        ("in_flight", "Calls in flight that it counts."),
        ("waiting", "Calls that wait for it."),
    ):
        values = [(labels, value) for labels, limit in labelled if (value := getattr(limit, name)) is not None]
        yield Gauge(f"vendor_limit_{name}", told, tuple([(labels, float(value)) for labels, value in values]))


def held() -> Iterator[Gauge]:
    """Yield what the process holds of the machine, where the system says it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        yield one("process_resident_bytes", "Memory of this process.", pages * PAGE_BYTES)
        yield one("process_open_files", "File descriptors that are open.", len(os.listdir("/proc/self/fd")))
    except OSError:
        return
    yield one("process_open_files_max", "File descriptors that may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def one(name: str, told: str, value: float) -> Gauge:
    """Return a state that is one number."""
    return Gauge(name, told, (((), value),))
