"""How much was used in the last minute, or any such window, and when there is room again. Pure: it is told what time it is.

A window slides: what counts at a moment is everything since exactly one window before. So that a busy one needs little memory, what is used
within one bucket, a 240th of the window, is kept as one number with the time of the last of it, and counts whole until that is too old. So
no window of any position ever has more than the limit; at most a 240th of the time is lost. Fixed windows, and leaky buckets of any burst,
let up to twice the limit through. Times are whole microseconds, as sums of fractions would let one call too many in.

Who is refused takes a place in line (`line`), and what becomes free for him is kept for him.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

from aisa.admission.line import WaitingLine

BUCKETS = 240  # of a window; each costs some 80 bytes while it is used


class Use(Protocol):
    """What was used of a limit, wherever that is kept."""

    limit: int
    span: int

    def left(self, now: int) -> int:
        """Return how much there is room for beside what is kept for others; below zero where more was used than was foreseen."""
        ...

    def unused(self, now: int) -> int:
        """Return how much of the limit is not used, for what has begun."""
        ...

    def add(self, now: int, amount: int) -> None:
        """Use so much."""
        ...

    def give_back(self, then: int, amount: int) -> None:
        """Undo a use of so much that was added at a moment."""
        ...

    def take_place(self, now: int, amount: int) -> int:
        """Return when there will be room for so much behind all who were told before, and take that place in line."""
        ...

    def seen(self, now: int) -> tuple[int, int, int]:
        """Return how much there is room for, of which limit, and when all of it is free again if nothing more is used."""
        ...


class Window:
    """What was used of a limit; implements `Use`. Amounts are calls or tokens, all times microseconds of one clock that never goes back."""

    __slots__ = ("_amounts", "_bucket", "_line", "_times", "_width", "limit", "span", "used")

    def __init__(self, limit: int, span: int) -> None:
        """`limit` is the most in each `span` of microseconds."""
        self.limit = limit
        self.span = span
        self.used = 0
        self._width = max(1, span // BUCKETS)
        self._bucket = -1  # the number of the newest
        self._times: list[int] = []  # of the last use in each bucket, the oldest first
        self._amounts: list[int] = []
        self._line: WaitingLine | None = None  # since somebody was refused

    def left(self, now: int) -> int:
        """Return how much there is room for beside what is kept for others; below zero where more was used than was foreseen."""
        times = self._times
        if times and times[0] <= now - self.span:
            self._forget(now - self.span)
        return self.limit - self.used if self._line is None else self.limit - self.used - self._line.kept(now)

    def unused(self, now: int) -> int:
        """Return how much of the limit is not used, for what has begun."""
        self.left(now)
        return self.limit - self.used

    def add(self, now: int, amount: int) -> None:
        """Use so much. Whoever is to be bounded has asked `left` first."""
        bucket = now // self._width
        if bucket == self._bucket and self._times:
            self._times[-1] = now
            self._amounts[-1] += amount
        else:
            self.left(now)
            self._bucket = bucket
            self._times.append(now)
            self._amounts.append(amount)
        self.used += amount
        if self._line is not None:
            self._line.leave(now)

    def give_back(self, then: int, amount: int) -> None:
        """Undo a use of so much that was added at a moment; nothing if that is too old to count."""
        bucket = then // self._width
        if bucket == self._bucket and self._times:
            at = -1
        else:
            at = bisect_left(self._times, bucket * self._width)
            if at == len(self._times) or self._times[at] // self._width != bucket:
                return
        amount = min(amount, self._amounts[at])
        self._amounts[at] -= amount
        self.used -= amount

    def take_place(self, now: int, amount: int) -> int:
        """Return when there will be room for so much behind all who were told before, and take that place in line.

        The amount must be within the limit, and there must be no room for it now.
        """
        self.left(now)
        if self._line is None:
            self._line = WaitingLine(self.span)
        return self._line.take(now, amount, zip(self._times, self._amounts, strict=True), missing=self.used + amount - self.limit)

    def room_at(self, now: int, amount: int) -> int:
        """Return when there will be room for so much, which must be within the limit, if nobody else uses it: now if there is."""
        return now if self.left(now) >= amount else self._room_at(self.used + amount - self.limit)

    def seen(self, now: int) -> tuple[int, int, int]:
        """Return how much there is room for, of which limit, and when all of it is free again if nothing more is used."""
        left, limit = self.left(now), self.limit
        return left, limit, now if left >= limit or not self._times else self._times[-1] + self.span

    def is_idle(self, now: int) -> bool:
        """Say whether nothing is left that counts, and nobody in line."""
        self.left(now)
        return not self._times and (self._line is None or self._line.is_over(now))

    def _room_at(self, missing: int) -> int:
        """Return when so much will have become too old to count, of what was used."""
        when = 0
        for time, amount in zip(self._times, self._amounts, strict=True):
            when = time + self.span
            missing -= amount
            if missing <= 0:
                break
        return when

    def _forget(self, oldest: int) -> None:
        """Forget what is too old to count: all up to a moment."""
        times, amounts = self._times, self._amounts
        if times[-1] <= oldest:
            times.clear()
            amounts.clear()
            self.used = 0
            return
        count = 1
        while times[count] <= oldest:
            count += 1
        self.used -= sum(amounts[:count])
        del times[:count], amounts[:count]
