"""Counts facts as Prometheus reads them. Looks at no call and opens nothing; what is a state and not an event is asked for at each reading.

Counters of our own: a call costs a look-up, a few additions and three searches in short lists, some two microseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from aisa import __version__
from aisa.facts import BugFound, CallEnded, CallQueued, Fact, LedgerAway, LedgerBack, Refused, VendorFailed
from aisa.money import NANOS_PER_DOLLAR

#: Seconds. Up to what language models take: a first token in 50 ms, a document in ten minutes.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
TOKEN_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5)
SERIES_MAX = 500  # of calls, by model, target, outcome and kind; callers make names up, and what comes later is the model `other`
OTHER = "other"
PREFIX = "aisa_"

Labels = tuple[tuple[str, str], ...]


class Gauge(msgspec.Struct, frozen=True):
    """A state at the moment of a reading."""

    name: str
    help: str
    values: tuple[tuple[Labels, float], ...]
    counter: bool = False  # of what others have counted


class _Series:
    """What the calls of one model, target, outcome and kind came to; of each time how many there were up to each bound, and their sum."""

    __slots__ = ("calls", "cost", "each", "each_sum", "first", "first_sum", "input", "output", "whole", "whole_sum")

    def __init__(self) -> None:
        self.calls = self.input = self.output = self.cost = 0
        self.first, self.whole, self.each = [0] * (len(SECONDS) + 1), [0] * (len(SECONDS) + 1), [0] * (len(TOKEN_SECONDS) + 1)
        self.first_sum = self.whole_sum = self.each_sum = 0.0


class Metrics:
    """Counts the facts of this process. `states` returns what is now; facts are noted and read in the event loop."""

    def __init__(self, states: Callable[[], Iterable[Gauge]] = tuple) -> None:
        self.states = states
        self._series: dict[tuple[str, str, str, bool], _Series] = {}
        self._failures: Counter[tuple[str, str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._queued: Counter[tuple[str, str]] = Counter()
        self._queued_seconds: dict[tuple[str, str], float] = {}
        self._bugs = 0
        self._away = 0

    def note(self, fact: Fact) -> None:
        """Count a fact."""
        kind = type(fact)
        if kind is CallEnded:
            self._note_call(fact)  # type: ignore[arg-type]  # it is of that very type
        elif isinstance(fact, VendorFailed):
            self._failures[fact.vendor, fact.code, fact.blame] += 1
        elif isinstance(fact, Refused):
            self._refused[fact.code] += 1
        elif isinstance(fact, CallQueued):
            named = (fact.target.partition("/")[0], fact.ended)
            self._queued[named] += 1
            self._queued_seconds[named] = self._queued_seconds.get(named, 0.0) + fact.seconds
        elif isinstance(fact, BugFound):
            self._bugs += 1
        elif isinstance(fact, LedgerAway | LedgerBack):
            self._away = int(isinstance(fact, LedgerAway))

    def _note_call(self, fact: CallEnded) -> None:
        streamed = fact.stream
        named = (fact.model, fact.target, fact.outcome, streamed)
        series = self._series.get(named)
        if series is None:
            series = self._fresh(named)
        tokens, whole, first = fact.billed_tokens, fact.total_seconds, fact.first_token_seconds
        series.calls += 1
        series.input += fact.usage.input_tokens
        series.output += tokens
        series.cost += fact.cost_nanos or 0
        series.whole[bisect_left(SECONDS, whole)] += 1
        series.whole_sum += whole
        if first is not None:
            series.first[bisect_left(SECONDS, first)] += 1
            series.first_sum += first
            if streamed and tokens > 1:
                each = (whole - first) / (tokens - 1)
                series.each[bisect_left(TOKEN_SECONDS, each)] += 1
                series.each_sum += each

    def _fresh(self, named: tuple[str, str, str, bool]) -> _Series:
        """Return the series of calls that are the first of theirs; all beyond a bound are one for each vendor, outcome and kind."""
        if len(self._series) >= SERIES_MAX:
            _, target, outcome, streamed = named
            named = (OTHER, f"{target.partition('/')[0]}/{OTHER}", outcome, streamed)
        return self._series.setdefault(named, _Series())

    def text(self) -> bytes:
        """Return everything in Prometheus' text format, version 0.0.4."""
        return "".join(self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        yield from family("build_info", "This version.", [((("version", __version__),), 1)], kind="gauge")
        calls = [
            ((("model", model), ("vendor", target.partition("/")[0]), ("outcome", outcome), ("stream", str(stream).lower())), series)
            for (model, target, outcome, stream), series in self._series.items()
        ]
        ended = summed([(labels, each.calls) for labels, each in calls])
        yield from family("calls_total", "Calls that ended, by how.", ended)
        tokens = [((*labels[:2], ("side", side)), getattr(each, side)) for labels, each in calls for side in ("input", "output")]
        yield from family("tokens_total", "Input tokens of ended calls, and output tokens that were billed.", summed(tokens))
        cost = summed([(labels[:2], each.cost) for labels, each in calls])
        dollars = [(labels, value / NANOS_PER_DOLLAR) for labels, value in cost]
        yield from family("cost_dollars_total", "What ended calls cost their callers, in US dollars.", dollars)
        yield from self._histograms()
        failures = [
            ((("vendor", vendor), ("code", code), ("blame", blame)), number) for (vendor, code, blame), number in self._failures.items()
        ]
        yield from family("vendor_failures_total", "Attempts at vendors that failed, by whose fault it was.", failures)
        refused = [((("code", code),), count) for code, count in self._refused.items()]
        yield from family("refused_total", "Requests that were refused before they were calls.", refused)
        waits = [((("vendor", vendor), ("ended", ended)), number) for (vendor, ended), number in self._queued.items()]
        yield from family("queued_total", "Calls that waited for a vendor's limit, by how that ended.", waits)
        lasted = [((("vendor", vendor), ("ended", ended)), seconds) for (vendor, ended), seconds in self._queued_seconds.items()]
        yield from family("queued_seconds_total", "How long they waited.", lasted)
        yield from family("bugs_total", "Errors of this server's own.", [((), self._bugs)])
        yield from family("ledger_away", "Whether the database does not take the rows of calls.", [((), self._away)], kind="gauge")
        for gauge in self.states():
            yield from family(gauge.name, gauge.help, gauge.values, kind="counter" if gauge.counter else "gauge")

    def _histograms(self) -> Iterator[str]:
        vendors: dict[str, list[_Series]] = {}
        for (_, target, _, _), series in self._series.items():
            vendors.setdefault(target.partition("/")[0], []).append(series)
        for name, told, of, bounds in (
            ("first_token_seconds", "From a call's beginning to its first token.", "first", SECONDS),
            ("call_seconds", "From a call's beginning to its end.", "whole", SECONDS),
            ("output_token_seconds", "Between two output tokens of a stream, on average over the stream.", "each", TOKEN_SECONDS),
        ):
            yield f"# HELP {PREFIX}{name} {told}\n# TYPE {PREFIX}{name} histogram\n"
            for vendor, theirs in vendors.items():
                counts = [sum(column) for column in zip(*(getattr(series, of) for series in theirs), strict=True)]
                total = sum(getattr(series, f"{of}_sum") for series in theirs)
                yield from buckets(name, (("vendor", vendor),), bounds, counts=counts, total=total)


def counted(metrics: Metrics, report: Callable[[Fact], None]) -> Callable[[Fact], None]:
    """Return what counts a fact and then reports it."""

    def note(fact: Fact) -> None:
        metrics.note(fact)
        report(fact)

    return note


def summed(values: Iterable[tuple[Labels, int]]) -> list[tuple[Labels, int]]:
    """Return one value for each set of labels."""
    sums: Counter[Labels] = Counter()
    for labels, value in values:
        sums[labels] += value
    return list(sums.items())


def family(name: str, told: str, values: Iterable[tuple[Labels, float]], *, kind: str = "counter") -> Iterator[str]:
    """Yield the lines of one metric."""
    yield f"# HELP {PREFIX}{name} {told}\n# TYPE {PREFIX}{name} {kind}\n"
    for labels, value in values:
        yield f"{PREFIX}{name}{braces(labels)} {number(value)}\n"


def buckets(name: str, labels: Labels, bounds: tuple[float, ...], *, counts: list[int], total: float) -> Iterator[str]:
    """Yield the lines of one histogram: `counts` has one more than there are bounds, each with the values up to its bound."""
    count = 0
    for bound, more in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        count += more
        yield f"{PREFIX}{name}_bucket{braces((*labels, ('le', bound)))} {count}\n"
    yield f"{PREFIX}{name}_sum{braces(labels)} {number(total)}\n{PREFIX}{name}_count{braces(labels)} {count}\n"


def braces(labels: Labels) -> str:
    """Write labels; quotes, backslashes and line ends in their values are escaped."""
    return "{" + ",".join(f'{name}="{value.translate(ESCAPED)}"' for name, value in labels) + "}" if labels else ""


ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def number(value: float) -> str:
    """Write a number: whole ones without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))
