"""Counts facts as Prometheus reads them. Looks at no call and opens nothing; what is a state and not an event is asked for at each reading.

Counters of our own: a call costs a look-up, a few additions and three searches in short lists, some two microseconds. Each process counts
in memory of its own that all read (`counters`), and the one which is asked adds up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import msgspec

from aisa import __version__
from aisa.errors import SERVER
from aisa.facts import (
    FOLDER,
    BugFound,
    CallEnded,
    CallQueued,
    DocumentLost,
    Fact,
    FolderGone,
    LedgerAway,
    LedgerBack,
    Refused,
    VendorFailed,
)
from aisa.ledger.rules import CUT, REFUSED
from aisa.money import NANOS_PER_DOLLAR
from aisa.names import stored
from aisa.observe.counters import NAME_BYTES_MAX, Counters

#: Seconds. Up to what language models take: a first token in 50 ms, a document in ten minutes.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
TOKEN_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5)
#: Of calls, by model, target, outcome and kind, in all processes together; callers make names up, and what comes later is `other`.
SERIES_MAX = 500
OTHER = "other"
PREFIX = "aisa_"

Labels = tuple[tuple[str, str], ...]


class Gauge(msgspec.Struct, frozen=True):
    """A state at the moment of a reading. Of several processes the sum is told, or the `most`."""

    name: str
    help: str
    values: tuple[tuple[Labels, float], ...]
    counter: bool = False  # of what others have counted
    most: bool = False


#: The numbers of a record of calls: counts, then of each time how many there were up to each bound and beyond all, and their sum.
CALLS, INPUT, OUTPUT, COST, FIRST = range(5)
FIRST_SUM = FIRST + len(SECONDS) + 1
WHOLE = FIRST_SUM + 1
WHOLE_SUM = WHOLE + len(SECONDS) + 1
EACH = WHOLE_SUM + 1
EACH_SUM = EACH + len(TOKEN_SECONDS) + 1
SUMS = (FIRST_SUM, WHOLE_SUM, EACH_SUM)  # which are floating point
SIZE = EACH_SUM + 1
#: Kinds of records, ahead of their labels.
OF_CALLS, OF_FAILURES, OF_REFUSALS, OF_BUGS, OF_UNTOLD, OF_QUEUED = "calls", "failures", "refusals", "bugs", "untold", "queued"
OF_CUTS = "cuts"
OF_LOST = "lost"  # documents
OF_AWAY = "away"  # parts of the ledger, with 1 while they fail
OF_THROTTLED, OF_SILENCES = "throttled", "silences"
BY_NAME, BY_OTHER = (msgspec.json.encode(begin)[:-1] + b"," for begin in ([OF_CALLS], [OF_CALLS, OTHER]))  # how names of calls begin
QUEUED_SUM = FIRST_SUM  # of how long calls waited, in a record that has but their number beside

Series = list[float]
decode_name = msgspec.json.Decoder(list[str]).decode


class Metrics:
    """Counts the facts of this process in `counters`. `all_counters` are those of all processes that are told of together.

    `states` returns what is now; facts are noted and read in the event loop.
    """

    def __init__(
        self,
        states: Callable[[], Awaitable[Iterable[Gauge]]] | None = None,
        counters: Counters | None = None,
        all_counters: Callable[[], Iterable[Counters]] | None = None,
    ) -> None:
        self.states = states or stateless
        self._counters = counters or Counters()
        self._all = all_counters or (lambda: (self._counters,))
        self._series: dict[tuple[str, str, str, bool], int] = {}
        self._full: frozenset[bytes] | None = None  # all names that there are, once there is room for no other
        end_outages(self._counters)  # those of a process that has died are its successor's no more

    def note(self, fact: Fact) -> None:
        """Count a fact."""
        kind = type(fact)
        if kind is CallEnded:
            self._note_call(fact)  # type: ignore[arg-type]  # it is of that very type
        elif isinstance(fact, VendorFailed):
            self._add(OF_FAILURES, fact.vendor, fact.code, fact.blame)
        elif isinstance(fact, Refused):
            self._add(OF_REFUSALS, fact.code)
        elif isinstance(fact, CallQueued):
            at = self._place(OF_QUEUED, fact.target.partition("/")[0], fact.ended)
            self._counters.words[at] += 1
            self._counters.reals[at + QUEUED_SUM] += fact.seconds
        elif isinstance(fact, BugFound):
            self._add(OF_BUGS)
        elif isinstance(fact, DocumentLost):
            self._add(OF_LOST)
        elif isinstance(fact, LedgerAway | FolderGone | LedgerBack):
            part = FOLDER if isinstance(fact, FolderGone) else fact.part
            self._counters.words[self._place(OF_AWAY, part)] = int(not isinstance(fact, LedgerBack))

    def note_untold(self, code: str) -> None:
        """Count a request that was refused, and that no fact tells of."""
        self._add(OF_UNTOLD, code)

    def note_throttled(self, seconds: float) -> None:
        """Count for how long a client was slower than its vendor, once that is over."""
        self._counters.reals[self._place(OF_THROTTLED) + QUEUED_SUM] += seconds

    def note_silence(self, vendor: str) -> None:
        """Count that a vendor has said nothing inside a stream for as long as one may be without a sign."""
        self._add(OF_SILENCES, vendor)

    def _add(self, *name: str) -> None:
        self._counters.words[self._place(*name)] += 1

    def _place(self, *name: str) -> int:
        return self._counters.place(msgspec.json.encode(name))

    def _note_call(self, fact: CallEnded) -> None:
        if fact.outcome == REFUSED:  # by its caller's fault, a limit or its account's money: no failure
            self._add(OF_REFUSALS, str(fact.error_code))
            return
        if fact.outcome == CUT:
            self._add(OF_CUTS, fact.blame or SERVER)
        streamed = fact.stream
        named = (fact.model, fact.target, fact.outcome, streamed)
        at = self._series.get(named)
        if at is None:
            at = self._fresh(named)
        words, reals = self._counters.words, self._counters.reals
        tokens, whole, first = fact.billed_tokens, fact.total_seconds, fact.first_token_seconds
        words[at] += 1
        words[at + INPUT] += fact.usage.input_tokens
        words[at + OUTPUT] += tokens
        words[at + COST] += fact.cost_nanos or 0
        words[at + WHOLE + bisect_left(SECONDS, whole)] += 1
        reals[at + WHOLE_SUM] += whole
        if first is not None:
            words[at + FIRST + bisect_left(SECONDS, first)] += 1
            reals[at + FIRST_SUM] += first
            if streamed and tokens > 1:
                each = (whole - first) / (tokens - 1)
                words[at + EACH + bisect_left(TOKEN_SECONDS, each)] += 1
                reals[at + EACH_SUM] += each

    def _fresh(self, named: tuple[str, str, str, bool]) -> int:
        """Return the record of calls that are the first of theirs; all beyond a bound are one for each vendor, outcome and kind."""
        name = name_of(named)
        if len(name) > NAME_BYTES_MAX or not self._has_room(name):
            _, target, outcome, streamed = named
            named = (OTHER, f"{target.partition('/')[0]}/{OTHER}", outcome, streamed)
            name = name_of(named)
        known = self._series.get(named)
        if known is None:
            known = self._series[named] = self._counters.place(name)
        return known

    def _has_room(self, name: bytes) -> bool:
        """Say whether calls are counted by a name: one that some process has, or one of the first.

        Nobody waits for a lock: each process may begin one more at the same moment, for which there is room.
        """
        if self._full is None:
            counters = tuple(self._all())
            known = {each for one in counters for each, _ in one.records() if each.startswith(BY_NAME) and not each.startswith(BY_OTHER)}
            if name in known or len(known) <= SERIES_MAX - len(counters):
                return True
            self._full = frozenset(known)
        return name in self._full

    async def text(self) -> bytes:
        """Return everything in Prometheus' text format, version 0.0.4."""
        return "".join(self._lines(await self.states())).encode()

    def _lines(self, states: Iterable[Gauge]) -> Iterator[str]:
        yield from family("build_info", "This version.", [((("version", __version__),), 1)], kind="gauge")
        found = added_up(self._all())
        series = [(name[1:], numbers) for name, numbers in found.items() if name[0] == OF_CALLS]
        calls = [
            ((("model", model), ("vendor", target.partition("/")[0]), ("outcome", outcome), ("stream", stream)), numbers)
            for (model, target, outcome, stream), numbers in series
        ]
        ended = summed([(labels, int(each[CALLS])) for labels, each in calls])
        yield from family("calls_total", "Calls that ended, by how.", ended)
        sides = (("input", INPUT), ("output", OUTPUT))
        tokens = [((*labels[:2], ("side", side)), int(each[at])) for labels, each in calls for side, at in sides]
        yield from family("tokens_total", "Input tokens of ended calls, and output tokens that were billed.", summed(tokens))
        cost = summed([(labels[:2], int(each[COST])) for labels, each in calls])
        dollars = [(labels, value / NANOS_PER_DOLLAR) for labels, value in cost]
        yield from family("cost_dollars_total", "What ended calls cost their callers, in US dollars.", dollars)
        yield from histograms(series)
        failures = [
            (tuple(zip(("vendor", "code", "blame"), name[1:], strict=True)), each[0])
            for name, each in found.items()
            if name[0] == OF_FAILURES
        ]
        yield from family("vendor_failures_total", "Attempts at vendors that failed, by whose fault it was.", failures)
        refused = [((("code", name[1]),), each[0]) for name, each in found.items() if name[0] == OF_REFUSALS]
        yield from family("refused_total", "Requests that were refused: by their caller's fault, a limit or a wallet.", refused)
        cuts = [((("blame", name[1]),), each[0]) for name, each in found.items() if name[0] == OF_CUTS]
        yield from family("cut_total", "Calls whose answers broke off, by whose fault it was.", cuts)
        queued = [((("vendor", name[1]), ("ended", name[2])), each) for name, each in found.items() if name[0] == OF_QUEUED]
        waits = [(labels, each[0]) for labels, each in queued]
        yield from family("queued_total", "Calls that waited for a vendor's limit, by how that ended.", waits)
        yield from family("queued_seconds_total", "How long they waited.", [(labels, each[QUEUED_SUM]) for labels, each in queued])
        untold = [((("code", name[1]),), each[0]) for name, each in found.items() if name[0] == OF_UNTOLD]
        told = "Requests without a known key that were refused beyond the first of a minute, which the log only sums up."
        yield from family("refused_unlogged_total", told, untold)
        throttled = sum(each[QUEUED_SUM] for name, each in found.items() if name[0] == OF_THROTTLED)
        yield from family("throttled_seconds_total", "For how long clients were slower than their vendors.", [((), throttled)])
        silences = [((("vendor", name[1]),), each[0]) for name, each in found.items() if name[0] == OF_SILENCES]
        yield from family("stream_silences_total", "Silences of vendors inside streams, each of `stream.keep_alive_seconds`.", silences)
        bugs = sum(each[0] for name, each in found.items() if name[0] == OF_BUGS)
        yield from family("bugs_total", "Errors of this server's own.", [((), bugs)])
        lost = sum(each[0] for name, each in found.items() if name[0] == OF_LOST)
        yield from family("documents_lost_total", "Documents that left and did not arrive whole, so that they cost nothing.", [((), lost)])
        away = any(each[0] for name, each in found.items() if name[0] == OF_AWAY)
        told = "Whether the database does not take the rows of calls, the disk not the journal, or the data folder is gone."
        yield from family("ledger_away", told, [((), away)], kind="gauge")
        for gauge in states:
            yield from family(gauge.name, gauge.help, gauge.values, kind="counter" if gauge.counter else "gauge")


def end_outages(counters: Counters) -> None:
    """Let no part of the ledger be away for a process: it is new, or dead."""
    for name, at in counters.records():
        if decode_name(name)[0] == OF_AWAY:
            counters.words[at] = 0


async def stateless() -> Iterable[Gauge]:
    """Return no state."""
    return ()


def name_of(named: tuple[str, str, str, bool]) -> bytes:
    """Return the name of a record of calls. A NUL in one label, and Prometheus reads none of what it is told."""
    model, target, outcome, streamed = named
    return msgspec.json.encode((OF_CALLS, stored(model), stored(target), outcome, str(streamed).lower()))


def added_up(counters: Iterable[Counters]) -> dict[tuple[str, ...], Series]:
    """Return the numbers of all processes together, by the kind and the labels of a record."""
    found: dict[tuple[str, ...], Series] = {}
    for each in counters:
        for name, at in each.records():
            numbers: Series = list(each.words[at : at + SIZE])
            for sum_at in SUMS:
                numbers[sum_at] = each.reals[at + sum_at]
            known = tuple(decode_name(name))
            before = found.get(known)
            found[known] = numbers if before is None else [ours + theirs for ours, theirs in zip(before, numbers, strict=True)]
    return found


def histograms(series: Sequence[tuple[tuple[str, ...], Series]]) -> Iterator[str]:
    """Yield the times of calls, by vendor."""
    vendors: dict[str, list[Series]] = {}
    for (_, target, _, _), numbers in series:
        vendors.setdefault(target.partition("/")[0], []).append(numbers)
    for name, told, (begin, end), bounds in (
        ("first_token_seconds", "From a call's beginning to its first token.", (FIRST, FIRST_SUM), SECONDS),
        ("call_seconds", "From a call's beginning to its end.", (WHOLE, WHOLE_SUM), SECONDS),
        ("output_token_seconds", "Between two output tokens of a stream, on average over the stream.", (EACH, EACH_SUM), TOKEN_SECONDS),
    ):
        yield f"# HELP {PREFIX}{name} {told}\n# TYPE {PREFIX}{name} histogram\n"
        for vendor, theirs in vendors.items():
            counts = [int(sum(column)) for column in zip(*(numbers[begin:end] for numbers in theirs), strict=True)]
            yield from buckets(name, (("vendor", vendor),), bounds, counts=counts, total=sum(numbers[end] for numbers in theirs))


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
