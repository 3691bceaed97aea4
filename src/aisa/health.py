"""Which targets and vendors have failed lately, and so are asked last for a while. Pure: outcomes and the time are told to it.

It only changes the order in which targets are asked. None is ever left out, so no call fails that would have succeeded without it.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from aisa.errors import CALLER, UpstreamFailed
from aisa.traffic import Traffic

FAILURES_TO_BENCH = 2  # in a row: one in a hundred calls fails at any vendor, and must not move the others elsewhere
BENCH_SECONDS_MIN = 5.0  # at first: a vendor that restarts, or one bad moment, is over by then
BENCH_SECONDS_MAX = 300.0  # doubled up to this with each failure after it: a vendor that is down for a day costs a call in five minutes
RETRY_AFTER_SECONDS_MAX = 3_600.0  # of what a vendor names: limits by the day would keep it away beyond a mended account
PROBE_SECONDS = 30.0  # how long one call may try a benched target alone; it may have been refused elsewhere, or take long to answer
TARGETS_MAX = 1_000  # that are remembered, as callers choose names; the one whose failures began first is forgotten


class _Record:
    """The failures of one target since it last completed an answer. Times are the event loop's seconds."""

    __slots__ = ("bench_seconds", "benched_at", "benched_until", "failures", "probed_until", "reason")

    def __init__(self) -> None:
        self.failures = 0
        self.bench_seconds = 0.0  # of the last time that it was benched
        self.benched_at = 0.0
        self.benched_until = 0.0
        self.probed_until = 0.0  # a call is asking it first, to see whether it is back
        self.reason = ""  # of the last failure, see `UpstreamFailed.of_vendor`


class Health:
    """What is known of all targets, by their names as `vendor/model`, and of vendors as a whole; also how busy they are."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self._records: dict[str, _Record] = {}  # only of those that have failed: while all is well nothing is looked up

    def failed(self, name: str, failure: UpstreamFailed, now: float) -> float | None:
        """Note a failure. Returns for how many seconds the target is asked last from now on, None if nothing changes."""
        if failure.blame == CALLER or failure.overflow_tokens is not None:
            self.answered(name)  # it refused this request, so it is there for another
            return None
        if failure.may_repeat or failure.refused:
            return None  # it is asked the same again at once
        name = subject(name, failure)
        record = self._records.get(name)
        if record is None:
            if len(self._records) >= TARGETS_MAX:
                del self._records[next(iter(self._records))]
            record = self._records[name] = _Record()
        record.reason = failure.of_vendor
        named = failure.retry_after
        if now < record.benched_until:  # it was asked before that, or because nobody else was left
            if named is not None:
                record.benched_until, record.benched_at = max(record.benched_until, now + min(named, RETRY_AFTER_SECONDS_MAX)), now
            return None
        record.failures += 1
        record.probed_until = 0.0
        if named is not None:
            seconds = min(max(named, 1.0), RETRY_AFTER_SECONDS_MAX)
        elif record.failures >= FAILURES_TO_BENCH:
            seconds = record.bench_seconds = min(max(2 * record.bench_seconds, BENCH_SECONDS_MIN), BENCH_SECONDS_MAX)
        else:
            return None
        record.benched_until, record.benched_at = now + seconds, now
        return seconds

    def answered(self, name: str, asked_at: float = inf) -> bool:
        """Note that an answer has begun to come, to what was asked at a time. Returns whether the target was asked last until now.

        What was asked before it was benched says nothing of how it is since.
        """
        if not self._records:
            return False
        was_benched = False
        for record in self._records_of(name):
            if record.benched_until and asked_at >= record.benched_at:
                was_benched = True
                record.benched_until = record.probed_until = 0.0
        return was_benched

    def completed(self, name: str, began: float = inf) -> None:
        """Note that a call that began at a time came to its proper end, which alone clears what was: vendors may break off in the middle.

        What has benched the target since stays.
        """
        if self._records:
            for each in (name, vendor_of(name)):
                record = self._records.get(each)
                if record is not None and (not record.benched_until or began >= record.benched_at):
                    del self._records[each]

    def forget(self, vendors: Collection[str]) -> None:
        """Forget what was known of vendors, and of their models: they are gone, or asked in another way from now on."""
        for name in [name for name in self._records if vendor_of(name) in vendors]:
            del self._records[name]

    def order(self, names: list[str], now: float) -> list[int]:
        """Return the positions of targets in the order to ask them: as they stand, but those that are benched last.

        One whose time on the bench is over stands in its own place again, for one call at a time until it has answered.
        """
        if not self._records:
            return list(range(len(names)))
        places = [position for position, name in enumerate(names) if not self._is_benched(name, now)]
        for record in self._records_of(names[places[0]]) if places and len(names) > 1 else ():
            if record.benched_until:
                record.probed_until = now + PROBE_SECONDS
        return places + [position for position in range(len(names)) if position not in places]

    def troubles(self, now: float) -> list[tuple[str, int, float, str]]:
        """Return whoever failed since the last complete answer: name, failures in a row, seconds it is asked last, and why a vendor is."""
        found = tuple(self._records.items())
        return [(name, record.failures, max(0.0, record.benched_until - now), record.reason) for name, record in found]

    def _is_benched(self, name: str, now: float) -> bool:
        return any(now < max(record.benched_until, record.probed_until) for record in self._records_of(name))

    def _records_of(self, name: str) -> list[_Record]:
        """Return what is known of a target, and of its vendor."""
        return [record for each in (name, vendor_of(name)) if (record := self._records.get(each)) is not None]


def vendor_of(name: str) -> str:
    """Return the vendor of a target, which no target is called."""
    return name.partition("/")[0]


def subject(name: str, failure: UpstreamFailed) -> str:
    """Return whom a failure at a target speaks against: the target, or its vendor, all of whose models fail so."""
    return vendor_of(name) if failure.of_vendor else name
