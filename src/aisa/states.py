"""What of a running server is a state and not an event, for metrics: calls in flight, journal, vendors, process. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from aisa.administration import vendors_shown
from aisa.admission.rules import VendorLimit
from aisa.clock import wall_clock
from aisa.context import Dependencies
from aisa.http.server import HttpServer
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.observe.metrics import Gauge, Labels

PAGE_BYTES = resource.getpagesize()
START_TIME = "start_time_seconds"


class States:
    """The states of one process that serves calls, with so many `slots` in its journal. `names_of` returns which models a vendor lists."""

    def __init__(
        self,
        dependencies: Dependencies,
        server: HttpServer,
        *,
        ledger: LiveLedger,
        journal: Journal,
        names_of: Callable[[str], Sequence[str] | None],
        slots: int,
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._dependencies = dependencies
        self._names_of = names_of
        self._began = wall_clock()
        self._slots = slots
        self._now = asyncio.get_running_loop().time
        self._server = server

    async def __call__(self) -> list[Gauge]:
        """Return what is now."""
        return list(self._now_so())

    def _now_so(self) -> Iterator[Gauge]:
        live, ledger = tuple(self._dependencies.live), self._ledger
        yield stores_away(database=ledger.database_is_away, limits=self._dependencies.admission.store_is_away)
        yield standing(0)  # who tells this does not
        kinds = Counter("stream" if context.request.stream else "document" for context in live)
        values = tuple([((("kind", kind),), float(kinds[kind])) for kind in ("stream", "document")])
        yield Gauge("calls_in_flight", "Calls that run.", values)
        throttled = sum(context.client.congested for context in live)
        yield one("calls_throttled", "Calls whose client is slower than their vendor at this moment.", throttled)
        yield one("client_connections", "Connections of clients that are open.", self._server.connections_count)
        unwritten = [charge.row.ended_ms for charge in tuple(ledger.calls.values()) if charge.row is not None]
        yield one("calls_unwritten", "Ended calls that the journal has and the database not yet.", len(unwritten))
        lag = max(0.0, wall_clock() - min(unwritten) / 1000) if unwritten else 0.0
        yield Gauge("unwritten_seconds", "How far the database is behind: since the oldest of those ended.", (((), lag),), most=True)
        yield one("journal_slots_taken", "Slots of the journal that are taken, by calls that run or are unwritten.", self._journal.taken)
        yield one("journal_slots", "Slots that the journal has at most (`ledger.calls_waiting_max`).", self._slots)
        vendors = vendors_shown(self._dependencies, self._names_of, self._now())
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
        yield from held(self._began)


def standing(count: int) -> Gauge:
    """Return how many worker processes stand still."""
    return one("workers_standing", "Worker processes that stand still: stopped, or in something without end.", count)


def stores_away(**away: bool | None) -> Gauge:
    """Return which of the stores that servers share are away; None is said of those that a server has not."""
    values = tuple([((("store", name),), float(is_away)) for name, is_away in away.items() if is_away is not None])
    return Gauge("store_away", "Whether a store that servers share does not answer.", values, most=True)


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
        shared = name != "waiting" and any(limit.shared for limit in limits)  # then all processes see the same
        yield Gauge(f"vendor_limit_{name}", told, tuple([(labels, float(value)) for labels, value in values]), most=shared)


def held(began: float) -> Iterator[Gauge]:
    """Yield what the process, which began at a UNIX second, holds of the machine, where the system says it.

    Of one that has started others, their processor time counts once they are gone: while they run, they tell it.
    """
    yield one(START_TIME, "When this process began, in UNIX seconds.", began)
    spent = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in spent)
    yield Gauge("process_cpu_seconds_total", "Processor time of this process.", (((), seconds),), counter=True)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        yield one("process_resident_bytes", "Memory of this process.", pages * PAGE_BYTES)
        opened = len(os.listdir("/proc/self/fd"))
    except OSError:
        return
    # Each process has a limit of its own, so of several the one with most is told: others do not make up for one that has no file left.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield Gauge("process_open_files", "File descriptors that are open.", (((), float(opened)),), most=True)
    yield Gauge("process_open_files_max", "File descriptors that may be open.", (((), float(limit)),), most=True)


def together(processes: Iterable[Iterable[Gauge]]) -> list[Gauge]:
    """Return the states of several processes as those of one: the sum of each, or the most; it began when the first of them did."""
    found: dict[str, Gauge] = {}
    for gauge in (each for states in processes for each in states):
        before = found.get(gauge.name)
        if before is None:
            found[gauge.name] = gauge
        elif gauge.name != START_TIME:
            values = dict(before.values)
            for labels, value in gauge.values:
                had = values.get(labels, 0.0)
                values[labels] = max(had, value) if gauge.most else had + value
            found[gauge.name] = msgspec.structs.replace(before, values=tuple(values.items()))
    return list(found.values())


class Counted:
    """Remembers what others have counted: one that stands still, or has just died, is missing from their sum for a moment."""

    def __init__(self) -> None:
        self._before: dict[str, dict[Labels, float]] = {}

    def no_less(self, gauge: Gauge) -> Gauge:
        """Return a counter as no less than it was when last told, all else as it is."""
        if not gauge.counter:
            return gauge
        before = self._before.get(gauge.name, {})
        values = tuple([(labels, max(value, before.get(labels, 0.0))) for labels, value in gauge.values])
        self._before[gauge.name] = dict(values)
        return msgspec.structs.replace(gauge, values=values)


def one(name: str, told: str, value: float) -> Gauge:
    """Return a state that is one number."""
    return Gauge(name, told, (((), value),))
