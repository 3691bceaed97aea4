"""What one key, account or client address has used of its limits, and who waits for more. Decides about one of them; knows no call."""

from __future__ import annotations

from typing import Protocol

from aisa.admission.rules import MICROS, RATE_MAX, step_of
from aisa.admission.window import Use, Window
from aisa.config.limits import Rates

FIRST_SECONDS = 2.0  # how long a call is taken to last before any has ended; a usual answer
TURN_MAX = 60 * MICROS  # no longer wait is told
LEARNING = 8  # the last so many calls say how long one lasts


class Shown(Protocol):
    """What headers and refusals tell of some limits. `whose` begins a sentence; a stream's output takes `step` tokens at a time."""

    whose: str
    rates: Rates
    step: int
    concurrency: int

    @property
    def requests(self) -> Use | None:
        """What was used of the calls that may begin."""
        ...

    @property
    def tokens(self) -> Use | None:
        """What was used of the tokens."""
        ...

    @property
    def in_flight(self) -> int:
        """How many calls are in flight."""
        ...

    def take_turn(self, now: int) -> int:
        """Return when a place in flight is likely to be free for one more who waits."""
        ...


class Limited(Shown, Protocol):
    """The use of some limits, wherever it is kept."""

    def settle(self, now: int) -> None:
        """Make ready for the steps that follow, in the same hold of a lock where one is needed."""
        ...

    def limit(self, rates: Rates, span: int) -> None:
        """Set the limits; what was used stays used."""
        ...

    def has_room(self, now: int, tokens: int) -> bool:
        """Say whether a call may begin that takes so many tokens."""
        ...

    def take(self, now: int, tokens: int) -> None:
        """Begin a call for which there is room."""
        ...

    def end(self, lasted: int) -> None:
        """End a call that lasted so long. Waits for nobody."""
        ...

    def is_idle(self, now: int) -> bool:
        """Say whether it may be forgotten here."""
        ...

    def room_at(self, now: int, tokens: int) -> int:
        """Return when the rates have room for a call of so many tokens, if nobody else takes it; now if only a place in flight lacks."""
        ...

    def note_waiting(self, now: int, *, waiting: bool) -> None:
        """Tell other processes whether calls of this one wait for room; one that says nothing for a while does not."""
        ...

    def comes_first(self, now: int) -> bool:
        """Say whether no other process that waits is to have what there is room for before this one."""
        ...


class Allowance:
    """The use of some limits; implements `Limited`. Times are microseconds of one clock. `whose` begins a sentence."""

    __slots__ = ("_began", "_last_turn", "_seconds", "concurrency", "in_flight", "rates", "requests", "step", "tokens", "whose")

    def __init__(self, whose: str) -> None:
        self.whose = whose
        self.rates = Rates()
        self.requests: Window | None = None
        self.tokens: Window | None = None
        self.concurrency = RATE_MAX
        self.in_flight = 0
        self.step = 0  # by how many tokens the output of a stream takes of `tokens` at a time
        self._seconds = FIRST_SECONDS
        self._last_turn = self._began = 0  # of the last call: when it was let in

    def limit(self, rates: Rates, span: int) -> None:
        """Set the limits; what was used stays used."""
        self.rates = rates
        self.requests = windowed(self.requests, rates.rpm, span)
        self.tokens = windowed(self.tokens, rates.tpm, span)
        self.step = 0 if rates.tpm is None else step_of(rates.tpm)
        self.concurrency = RATE_MAX if rates.concurrency is None else rates.concurrency

    def settle(self, now: int) -> None:
        """It is always ready."""

    def has_room(self, now: int, tokens: int) -> bool:
        """Say whether a call may begin that takes so many tokens."""
        requests, used = self.requests, self.tokens
        return (
            self.in_flight < self.concurrency
            and (requests is None or requests.left(now) >= 1)
            and (used is None or used.left(now) >= tokens)
        )

    def take(self, now: int, tokens: int) -> None:
        """Begin a call for which there is room."""
        self.in_flight += 1
        self._began = now
        if self.requests is not None:
            self.requests.add(now, 1)
        if self.tokens is not None:
            self.tokens.add(now, tokens)

    def end(self, lasted: int) -> None:
        """End a call that lasted so long."""
        self.in_flight -= 1
        self._seconds += (lasted / MICROS - self._seconds) / LEARNING

    def take_turn(self, now: int) -> int:
        """Return when a place in flight is likely to be free for one more who waits.

        Calls end about as fast as the last ones did. Where those in flight run for longer, none has ended since the youngest of them began:
        it is taken to be as long again, so that who waits as told is told twice as long each time.
        """
        each = int(self._seconds * MICROS / self.concurrency)
        self._last_turn = min(max(now, self._last_turn) + each, now + TURN_MAX)
        return min(self._last_turn + now - self._began, now + TURN_MAX)

    def is_idle(self, now: int) -> bool:
        """Say whether it may be forgotten: nothing that was used counts any more."""
        if self.in_flight or self._last_turn > now:
            return False
        return all(window is None or window.is_idle(now) for window in (self.requests, self.tokens))

    def room_at(self, now: int, tokens: int) -> int:
        """Return when the rates have room for a call of so many tokens, if nobody else takes it; now if only a place in flight lacks."""
        return rates_room_at(self.requests, self.tokens, now, needed=tokens)

    def note_waiting(self, now: int, *, waiting: bool) -> None:
        """There is no other process."""

    def comes_first(self, now: int) -> bool:
        """There is no other process."""
        return True


class Rated(Protocol):
    """What knows when there is room for more."""

    def room_at(self, now: int, amount: int) -> int:
        """Return when, if nobody else uses it."""
        ...


def rates_room_at(requests: Rated | None, tokens: Rated | None, now: int, *, needed: int) -> int:
    """Return when both have room for a call of so many tokens, if nobody else takes it."""
    when = now if requests is None else requests.room_at(now, 1)
    return when if tokens is None else max(when, tokens.room_at(now, needed))


def windowed(window: Window | None, limit: int | None, span: int) -> Window | None:
    """Return a window with this limit, with what was used before if it is as long."""
    if limit is None:
        return None
    if window is None or window.span != span:
        return Window(limit, span)
    window.limit = limit
    return window
