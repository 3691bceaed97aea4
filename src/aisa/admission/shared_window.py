"""How much was used in the last minute, kept in memory that several processes share. The rules are those of `window`; this is their layout.

A window is a head of words and three rings of 32-bit cells, one cell a bucket: how much was used, when last (microseconds from the bucket's
begin), and how much was promised to those who wait. A process that is killed inside a step leaves STEP set, and the next one adds up
anew: what was used is then at most a step too much, never too little. Everything here is done with the lock held, but `seen` and what
is said of advances.

A process may have an advance: what counts as used at the end of a bucket, and its own calls of that bucket have without the lock. It is
small beside the limit, is taken while at least half of that is free, and is given back when its bucket is over.
"""

from __future__ import annotations

from struct import Struct

from aisa.admission.line import LINE_MICROS, PLACE_KEPT_MICROS
from aisa.admission.window import BUCKETS
from aisa.storage.shared_memory import WORD_BYTES

RING = BUCKETS + 4  # a window of any position touches so many buckets, and one is begun while the oldest still counts
CELL_MAX = (1 << 32) - 1
ADVANCE_SHARE = 2_000  # of a limit: 32 processes that all have one hold back 1.6 % of it
ADVANCE_CALLS_MIN = 4  # that it must be good for; else it saves nothing
#: The words of a head: whether a step is being done, the window's length, numbers of buckets, sums; when the last use in the oldest bucket
#: was, and the last of all.
STEP, SPAN, OLDEST, NEWEST, USED, FIRST, LAST, WAITING, LINE_OLDEST, LINE_NEWEST = range(10)
HEAD_WORDS = 10
WINDOW_WORDS = HEAD_WORDS + 3 * RING // 2
#: What is read of a head, and written to it, at once: a word alone takes as long as three of several.
TOLD = Struct(f"{LAST + 1}Q")  # from STEP on: what tells of what was used
BEGUN = Struct(f"{LINE_OLDEST + 1}Q")  # from STEP on: what a use has to know
KNOWN = Struct(f"{USED + 1}Q")  # from STEP on: what giving back has to know
USE = Struct(f"{LAST - OLDEST + 1}Q")  # from OLDEST on: what a use changes


class Unsure(Exception):
    """What was used cannot be told without the lock."""


class SharedWindow:
    """What was used of a limit; implements `window.Use`. Times are microseconds of a clock that all processes share."""

    __slots__ = (
        "_advance_bucket", "_advance_max", "_at", "_cells", "_head", "_last", "_line", "_line_width", "_open", "_ring", "_width", "_words",
        "advance", "limit", "span",
    )  # fmt: skip

    def __init__(self, words: memoryview, cells: memoryview, at: int, *, limit: int, span: int) -> None:
        """`at` is the number of the first word."""
        self.limit = limit
        self.span = span
        self._width = -(-span // BUCKETS)
        self._line_width = max(self._width, LINE_MICROS // BUCKETS)  # of a minute the same; a line may be longer than a shorter window
        self._words = words
        self._cells = cells
        self._head = at
        self._at = at * WORD_BYTES
        self._ring = (at + HEAD_WORDS) * 2
        self._last = self._ring + RING
        self._line = self._last + RING
        self.advance = 0  # what this process has of it
        self._advance_bucket = self._open = -1  # where it counts as used, and whose calls may have it: none's once that is over
        self._advance_max = limit // ADVANCE_SHARE

    def is_at(self, at: int, span: int) -> bool:
        """Say whether it is there, and as long."""
        return self._head == at and self.span == span

    def change(self, limit: int) -> None:
        """Let another limit hold. What is left of an advance of the former one is not used any more, and given back as any."""
        self.limit, self._open = limit, -1
        self._advance_max = limit // ADVANCE_SHARE

    def left(self, now: int) -> int:
        """Return how much there is room for."""
        step, span, _, _, used, first, _ = TOLD.unpack_from(self._words, self._at)
        if step or span != self.span or (used and first <= now - span):
            return self._left_once_mended(now)
        return self.limit - int(used)

    def unused(self, now: int) -> int:
        """Return the same: nothing is kept for anybody here."""
        return self.left(now)

    def _left_once_mended(self, now: int) -> int:
        """Return how much there is room for, once what is wrong is mended and what is too old is forgotten."""
        words, head = self._words, self._head
        if words[head + STEP] or words[head + SPAN] != self.span:
            self._mend()
        if words[head + FIRST] <= now - self.span and words[head + USED]:
            self._forget(now)
        return self.limit - words[head + USED]

    def add(self, now: int, amount: int) -> None:
        """Use so much."""
        self.left(now)
        self.use(now, amount)

    def use(self, now: int, amount: int) -> None:
        """Use so much, as `add` does, where `left` was asked at this moment with the same lock."""
        words, cells, step_at, width = self._words, self._cells, self._head + STEP, self._width
        _, _, oldest, _, used, first, last, waiting, line_oldest = BEGUN.unpack_from(words, self._at)
        bucket = now // width
        at = self._ring + bucket % RING
        total = cells[at] + amount
        if total > CELL_MAX:  # noqa: PLR1730 - a call of `min` takes as long as three of these lines
            total = CELL_MAX
        if last > now:  # noqa: PLR1730 - as above; as of an advance, which may be used until then
            now = last
        if not used:
            oldest, first = bucket, now
        elif oldest == bucket:
            first = now
        words[step_at] = 1
        USE.pack_into(words, self._at + OLDEST * WORD_BYTES, oldest, bucket, used + amount, first, now)
        cells[at + RING] = now - bucket * width
        cells[at] = total
        words[step_at] = 0
        if waiting and line_oldest * self._line_width <= now:
            self._leave_line(amount)

    @property
    def is_large(self) -> bool:
        """Whether an advance of it is good for several calls."""
        return self._advance_max >= ADVANCE_CALLS_MIN

    def has_advance(self, now: int, amount: int) -> bool:
        """Say whether this process may use so much of its advance at this moment. Needs no lock."""
        return self.advance >= amount and self._open == now // self._width

    def spend(self, now: int, amount: int) -> bool:
        """Use so much of the advance, and say so; False if it is another bucket's, or not enough. Needs no lock."""
        if not self.has_advance(now, amount):
            return False
        self.advance -= amount
        return True

    def keep(self, then: int, amount: int) -> bool:
        """Put what was used then back to the advance, and say so; False if that is another bucket's, or large enough. Needs no lock."""
        if self._open != then // self._width or self.advance + amount > self._advance_max:
            return False
        self.advance += amount
        return True

    def bucket_of(self, now: int) -> int:
        """Return the number of the bucket that a moment is in."""
        return now // self._width

    def may_advance(self, now: int, amount: int) -> bool:
        """Say whether an advance is good for several calls that use so much, and half of the limit is free."""
        return self._advance_max >= amount * ADVANCE_CALLS_MIN and self.left(now) * 2 >= self.limit

    def take_advance(self, now: int) -> None:
        """Take an advance for the bucket of this moment; the last one was given back."""
        self._advance_bucket = self._open = now // self._width
        self.use((self._advance_bucket + 1) * self._width - 1, self._advance_max)
        self.advance = self._advance_max

    def give_advance_back(self) -> None:
        """Give back what is left of an advance, whichever bucket it was for."""
        if self.advance:
            self.give_back(self._advance_bucket * self._width, self.advance)
            self.advance = 0
        self._open = -1

    def give_back(self, then: int, amount: int) -> None:
        """Undo a use, unless it is too old to count."""
        words, cells, head = self._words, self._cells, self._head
        step, span, oldest, newest, used = KNOWN.unpack_from(words, self._at)
        if step or span != self.span:
            self._mend()
            step, span, oldest, newest, used = KNOWN.unpack_from(words, self._at)
        bucket = then // self._width
        if not oldest <= bucket <= newest:
            return
        at = self._ring + bucket % RING
        counted = cells[at]
        amount = min(amount, counted)
        words[head + STEP] = 1
        cells[at] = counted - amount
        words[head + USED] = used - amount
        words[head + STEP] = 0

    def take_place(self, now: int, amount: int) -> int:
        """Return when there will be room for so much behind all in line, and take that place."""
        self.left(now)
        words, head, width = self._words, self._head, self._line_width
        bucket = now // width
        kept = min(-(-PLACE_KEPT_MICROS // width), RING // 2)
        while words[head + WAITING] and words[head + LINE_OLDEST] + kept < bucket:
            self._leave_line(self._cells[self._line + words[head + LINE_OLDEST] % RING])
        waiting = int(words[head + WAITING])
        when = self._room_at(int(words[head + USED]) + waiting + amount - self.limit)
        first = words[head + LINE_OLDEST] if waiting else bucket
        if waiting:
            when = max(when, words[head + LINE_NEWEST] * width)
        place = max(bucket, min(when // width, first + RING - 1))
        at = self._line + place % RING
        words[head + STEP] = 1
        if not waiting:
            words[head + LINE_OLDEST] = place
        words[head + LINE_NEWEST] = max(place, words[head + LINE_NEWEST]) if waiting else place
        self._cells[at] = min(self._cells[at] + amount, CELL_MAX)
        words[head + WAITING] += amount
        words[head + STEP] = 0
        return when

    def room_at(self, now: int, amount: int) -> int:
        """Return when there will be room for so much if nobody else uses it: now if there is."""
        left = self.left(now)
        return now if left >= amount else self._room_at(amount - left)

    def seen(self, now: int) -> tuple[int, int, int]:
        """Return how much there is room for, of which limit, and when all of it is free again. Needs no lock, and changes nothing.

        Raises Unsure when another process does a step meanwhile, and when what is too old to count was not forgotten yet: `left` does that.
        """
        before = TOLD.unpack_from(self._words, self._at)
        step, span, _, _, used, first, last = before
        if step or span != self.span or (used and first <= now - span) or TOLD.unpack_from(self._words, self._at) != before:
            raise Unsure
        return self.limit - used + self.advance, self.limit, last + span if used else now

    def is_idle(self, now: int) -> bool:
        """Say whether nothing is left that counts, and nobody in line."""
        self.left(now)
        words, head = self._words, self._head
        waits = words[head + WAITING] and words[head + LINE_NEWEST] * self._line_width + PLACE_KEPT_MICROS > now
        return not words[head + USED] and not waits

    def _forget(self, now: int) -> None:
        """Forget what is too old to count."""
        words, cells, head, ring = self._words, self._cells, self._head, self._ring
        bucket, newest, edge = words[head + OLDEST], words[head + NEWEST], now - self.span
        if words[head + LAST] <= edge:
            self._clear(ring, USED)
            return
        while bucket < newest:
            amount = cells[ring + bucket % RING]
            if amount:
                if self._last_use(bucket) > edge:
                    break
                words[head + STEP] = 1
                cells[ring + bucket % RING] = 0
                words[head + USED] -= amount
            bucket += 1
            words[head + OLDEST] = bucket
        words[head + FIRST] = self._last_use(bucket)
        words[head + STEP] = 0

    def _last_use(self, bucket: int) -> int:
        return int(bucket * self._width + self._cells[self._last + bucket % RING])

    def _room_at(self, missing: int) -> int:
        """Return when so much will have become too old to count: of what was used, then of what those in line will have used."""
        words, cells, head, when = self._words, self._cells, self._head, 0
        if words[head + USED]:
            for bucket in range(words[head + OLDEST], words[head + NEWEST] + 1):
                amount = cells[self._ring + bucket % RING]
                if amount:
                    when = self._last_use(bucket) + self.span
                    missing -= amount
                    if missing <= 0:
                        return when
        if words[head + WAITING]:
            for bucket in range(words[head + LINE_OLDEST], words[head + LINE_NEWEST] + 1):
                amount = cells[self._line + bucket % RING]
                if amount:
                    when = (bucket + 1) * self._line_width + self.span
                    missing -= amount
                    if missing <= 0:
                        return when
        return when

    def _leave_line(self, amount: int) -> None:
        """Take so much off the front of the line: it was one of those who waited, or has taken what they waited for."""
        words, cells, head = self._words, self._cells, self._head
        bucket = words[head + LINE_OLDEST]
        at = self._line + bucket % RING
        amount = min(amount, cells[at])
        words[head + STEP] = 1
        cells[at] -= amount
        words[head + WAITING] -= amount
        while not cells[self._line + bucket % RING] and bucket < words[head + LINE_NEWEST]:
            bucket += 1
            words[head + LINE_OLDEST] = bucket
        words[head + STEP] = 0

    def _clear(self, ring: int, total: int) -> None:
        words, head = self._words, self._head
        words[head + STEP] = 1
        self._cells[ring : ring + RING] = ZEROS
        words[head + total] = 0
        words[head + STEP] = 0

    def _mend(self) -> None:
        """Empty a window that was never used, or is of another length; of one whose last step was not finished, add up anew."""
        words, cells, head = self._words, self._cells, self._head
        if words[head + SPAN] != self.span:
            self._clear(self._ring, USED)
            self._clear(self._line, WAITING)
            words[head + SPAN] = self.span
            return
        self._clear(self._line, WAITING)  # who waits asks again
        words[head + STEP] = 1
        words[head + USED] = sum(cells[self._ring : self._ring + RING])
        words[head + OLDEST] = max(0, words[head + NEWEST] - RING + 1)
        words[head + FIRST] = 0  # what is too old is looked for
        words[head + LAST] = self._last_use(words[head + NEWEST])
        words[head + STEP] = 0


ZEROS = memoryview(bytes(4 * RING)).cast("I")
