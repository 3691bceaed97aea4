"""What a store has told of limits that it keeps, and beside it what this process alone has used of them. Asks no store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aisa.admission.allowance import Allowance
from aisa.admission.rules import RATE_MAX, share_of, step_of
from aisa.config.limits import Rates


class SeenUse:
    """What was used of a limit when the store told of it last; implements `window.Use`. Times are this process's microseconds."""

    __slots__ = ("_free_at", "_left", "_room_at", "limit", "span")

    def __init__(self, limit: int, span: int) -> None:
        self.limit = limit
        self.span = span
        self._left = limit
        self._free_at = self._room_at = 0

    def see(self, left: int, free_at: int, room_at: int = 0) -> None:
        """Take what the store says; `room_at` is when there is room for what it has just refused."""
        self._left, self._free_at, self._room_at = left, free_at, room_at

    def left(self, now: int) -> int:
        """Return how much there is room for."""
        return self.limit if now >= self._free_at else self._left

    def unused(self, now: int) -> int:
        """Return the same: nothing is kept for anybody."""
        return self.left(now)

    def add(self, now: int, amount: int) -> None:
        """Take into account what the store is being told."""
        self._left, self._free_at = self.left(now) - amount, now + self.span

    def give_back(self, then: int, amount: int) -> None:
        """Take into account what the store is being told."""
        self._left = min(self.limit, self._left + amount)

    def take_place(self, now: int, amount: int) -> int:
        """Return when there is room for what was refused: the store has kept a place for it."""
        return self._room_at

    def seen(self, now: int) -> tuple[int, int, int]:
        """Return how much there is room for, of which limit, and when all of it is free again if nothing more is used."""
        return self.left(now), self.limit, max(now, self._free_at)


class Seen:
    """A key, account or address as the store has told of it; implements `allowance.Shown`."""

    __slots__ = ("_turn", "concurrency", "in_flight", "rates", "requests", "span", "step", "tokens", "whose")

    def __init__(self, whose: str, rates: Rates, span: int) -> None:
        self.whose = whose
        self.span = span
        self.rates = rates
        self.requests = None if rates.rpm is None else SeenUse(rates.rpm, span)
        self.tokens = None if rates.tpm is None else SeenUse(rates.tpm, span)
        self.step = 0 if rates.tpm is None else step_of(rates.tpm)
        self.concurrency = RATE_MAX if rates.concurrency is None else rates.concurrency
        self.in_flight = 0
        self._turn = 0

    def see(self, told: Sequence[str], later: int) -> None:
        """Take what the store says of calls and tokens: what is left and when all is free. `later` is our clock less the store's."""
        for use, at in ((self.requests, 0), (self.tokens, 2)):
            if use is not None and told[at]:
                use.see(int(told[at]), int(told[at + 1]) + later)

    def see_refusal(self, told: Sequence[str], later: int) -> None:
        """Take that besides for a call that is refused: how many are in flight, and when there is room."""
        for use, at in ((self.requests, 0), (self.tokens, 2)):
            if use is not None:
                use.see(int(told[at]), int(told[at + 1]) + later, int(told[5 + at // 2] or 0) + later)
        self.in_flight, self._turn = int(told[4]), int(told[7] or 0) + later

    def take_turn(self, now: int) -> int:
        """Return when a place in flight is likely to be free."""
        return self._turn


class StoredAllowance(Allowance):
    """What this process has used of limits that a store keeps, against this process's share of them. `seen` is what the store told last."""

    __slots__ = ("_processes", "name", "seen")

    def __init__(self, name: str, whose: str, processes: Callable[[], int]) -> None:
        """`processes` returns among how many a limit is shared out."""
        super().__init__(whose)
        self.name = name
        self.seen = Seen(whose, Rates(), 0)
        self._processes = processes

    def limit(self, rates: Rates, span: int) -> None:
        """Set the limits; what was used stays used."""
        if self.seen.rates != rates or self.seen.span != span:
            self.seen = Seen(self.whose, rates, span)
        self.rates = rates
        self.share_anew()

    def share_anew(self) -> None:
        """Take this process's share as it is now."""
        rates = self.rates
        super().limit(share_of(rates, self._processes()), self.seen.span)
        self.rates = rates

    def limits(self) -> list[str]:
        """Return the limits as the store is told of them: calls, tokens, calls in flight."""
        return ["" if limit is None else str(limit) for limit in (self.rates.rpm, self.rates.tpm, self.rates.concurrency)]
