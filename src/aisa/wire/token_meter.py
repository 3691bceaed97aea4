"""Counts the tokens of one choice while it is streamed: what its vendor said so far, and our own count of the text since. Never falls.

A rate says what text is worth without anybody's word: a token a piece, or so many a byte. A tokenizer is given the text a few KiB at a
time, and what waits for it is counted by the rate. Which of all these it was is known at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import ge, le

import msgspec

from aisa.usage import BYTES_PER_TOKEN, COUNTED, ESTIMATED, Way

UNIT_BITS = 16
UNIT = 1 << UNIT_BITS  # of a token: rates are whole numbers of these, so that every count is exact
PIECE_BYTES_MIN, PIECE_BYTES_MAX = 2, 8  # a piece, on average, that can be a token: English and code have 3 to 5 bytes
TRIED_BYTES = 4_096  # of text that a tokenizer is given at once: about a thousand tokens, a millisecond; so much a stream keeps
TRIED_AT_ONCE_BYTES_MAX = 16_384  # of one piece, or of a document: four milliseconds, in which no other call has its turn

#: How tokens were counted: words of the ledger's rows.
BY_PIECES, BY_SIZE = "pieces", "size"
BY_LEARNED_PIECES, BY_LEARNED_SIZE = "learned pieces", "learned size"
BY_VENDOR, BY_LOGPROBS, BY_TOKEN_IDS = "running count", "logprobs", "token ids"
BY_TOKENIZER = "tokenizer"


class Rate(msgspec.Struct, frozen=True):
    """What text is worth: `per_piece` while a piece has `bytes_min` to `bytes_max` bytes on average, else `per_byte`, in UNITs a token.

    `answers` says of how many complete answers it was learned, 0 for a rule of thumb.
    """

    bytes_min: int = PIECE_BYTES_MIN
    bytes_max: int = PIECE_BYTES_MAX
    per_piece: int = UNIT
    per_byte: int = UNIT // BYTES_PER_TOKEN
    answers: int = 0


PIECES = Rate()
SIZE = Rate(1, 0)  # pieces are text of any length


class Tokenizer(msgspec.Struct, frozen=True):
    """What counts the tokens of a text, and what it is called."""

    name: str
    count: Callable[[str], int]


class TokenMeter:
    """The tokens of one choice: those `known` from its vendor or a tokenizer, and what a rate makes of the text since."""

    __slots__ = (
        "_counted",
        "_earlier",
        "_known",
        "_open",
        "_rate",
        "_sampled",
        "_terms",
        "_tokenizer",
        "_told",
        "pieces",
        "text_bytes",
        "tokens",
    )

    def __init__(self, rate: Rate = PIECES, tokenizer: Tokenizer | None = None) -> None:
        self.tokens = 0
        self.pieces = 0  # these and the bytes of their text have come since tokens were known
        self.text_bytes = 0
        self._rate = rate
        self._terms = (rate.bytes_min, rate.bytes_max, rate.per_piece, rate.per_byte)
        self._known = 0
        self._earlier = (0, 0)  # pieces and bytes before
        self._told = ""  # by which means the vendor told the last tokens that are known
        self._tokenizer = tokenizer
        self._open = bytearray()  # the text that the tokenizer has not seen
        self._sampled = False  # some text was taken to be like its beginning
        self._counted = (0, 0)  # how much of the open text was counted last, and to how many tokens

    @property
    def total(self) -> tuple[int, int]:
        """The pieces, and bytes of text, in all."""
        pieces, size = self._earlier
        return pieces + self.pieces, size + self.text_bytes

    @property
    def way(self) -> Way:
        """How the last tokens were counted."""
        if self._told and not self.text_bytes:
            return Way(self._told)
        if self._tokenizer is not None:
            return Way(f"{BY_TOKENIZER} {self._tokenizer.name}", ESTIMATED if self._sampled else COUNTED)
        rate, learned = self._rate, self._rate.answers > 0
        if rate.bytes_min * self.pieces <= self.text_bytes <= rate.bytes_max * self.pieces:
            return Way(BY_LEARNED_PIECES if learned else BY_PIECES, COUNTED, rate.answers)
        return Way(BY_LEARNED_SIZE if learned else BY_SIZE, COUNTED if learned else ESTIMATED, rate.answers)

    def add_bytes(self, text: bytes) -> int:
        """Take a further piece of text in UTF-8; return how many tokens there are more."""
        least, most, per_piece, per_byte = self._terms
        self.pieces = pieces = self.pieces + 1
        self.text_bytes = total = self.text_bytes + len(text)
        worth = pieces * per_piece if least * pieces <= total <= most * pieces else total * per_byte
        before, tokens = self.tokens, self._known - (-worth >> UNIT_BITS)
        if tokens > before:
            self.tokens = tokens
        if self._tokenizer is not None:
            self._open += text
            if len(self._open) >= TRIED_BYTES:
                self._try(self._tokenizer.count)
        return self.tokens - before

    def add_text(self, text: str) -> int:
        """Take a further piece of text; return how many tokens there are more."""
        return self.add_bytes(text.encode("utf-8", "surrogatepass"))

    def add_all(self, texts: Sequence[bytes], sizes: Sequence[int] | None = None) -> Sequence[int]:
        """Take further pieces of text in UTF-8, which have these sizes; return how many tokens there are more up to each.

        Written without a loop of its own where pieces are of the usual length, as it is hot.
        """
        if self._tokenizer is not None or not texts:
            return list(accumulate([self.add_bytes(text) for text in texts]))
        least, most, per_piece, per_byte = self._terms
        first = self.pieces + 1
        after = first + len(texts)
        totals = list(accumulate(map(len, texts) if sizes is None else sizes, initial=self.text_bytes))[1:]
        above = self._known - self.tokens  # what is known, seen from where this begins
        usual = most > 0 and all(map(le, range(least * first, least * after, least), totals))
        usual = usual and all(map(ge, range(most * first, most * after, most), totals))
        counts: Sequence[int]
        if usual and per_piece == UNIT:
            counts = range(above + first, above + after)
        elif usual or not most:
            worths = range(per_piece * first, per_piece * after, per_piece) if usual else [total * per_byte for total in totals]
            counts = [above - (-worth >> UNIT_BITS) for worth in worths]
        else:
            numbered = zip(range(first, after), totals, strict=True)
            worths = [number * per_piece if least * number <= total <= most * number else total * per_byte for number, total in numbered]
            counts = [above - (-worth >> UNIT_BITS) for worth in worths]
        if (most and not usual) or counts[0] < 0:  # a count never falls
            counts = list(accumulate(counts, max, initial=0))[1:]
        self.pieces, self.text_bytes = after - 1, totals[-1]
        self.tokens += counts[-1]
        return counts

    def tell(self, tokens: int, means: str, sizes: Sequence[int]) -> int:
        """Take it from the vendor that there are so many tokens with pieces of these sizes; return how many these are more."""
        pieces, size = self._earlier
        self._earlier = pieces + self.pieces + len(sizes), size + self.text_bytes + sum(sizes)
        self._settle(tokens)
        self._told = means
        return self.reach(tokens)

    def add_unseen(self) -> int:
        """Take a piece of output whose size says nothing, such as sound, for a token; return how many tokens there are more."""
        return self.reach(self.tokens + 1)

    def reach(self, tokens: int) -> int:
        """Take it that there are so many tokens at least; return how many these are more than were known."""
        more = tokens - self.tokens
        if more <= 0:
            return 0
        self.tokens = tokens
        return more

    def exact(self) -> int:
        """Return the tokens, with the text that waits for the tokenizer counted by it."""
        if self._tokenizer is None:
            return self.tokens
        size, tokens = self._counted
        if size != len(self._open):
            tokens = self._tokenizer.count(self._open.decode("utf-8", "replace"))
            self._counted = len(self._open), tokens
        return self._known + tokens

    def _settle(self, known: int) -> None:
        """Take it that so many tokens are known for all text so far, which has been added to what was earlier."""
        self._known = known
        self.pieces = self.text_bytes = 0
        if self._open:
            self._open.clear()
            self._counted = (0, 0)

    def _try(self, count: Callable[[str], int]) -> None:
        """Have the tokenizer count what waits, a block at a time, up to the last blank: a token seldom goes over one.

        Of more than may be counted at once, the rest is taken to be like the beginning.
        """
        waiting, tokens, seen = bytes(self._open), 0, 0
        while len(waiting) - seen >= TRIED_BYTES and seen < TRIED_AT_ONCE_BYTES_MAX:
            end = end_of_block(waiting, seen)
            tokens += count(waiting[seen:end].decode("utf-8", "replace"))
            seen = end
        rest = waiting[seen:]
        per_byte = max(1, tokens * UNIT // seen)
        self._terms = (1, 0, UNIT, per_byte)  # for holds, until the rest has been counted too
        if len(rest) >= TRIED_BYTES:
            tokens += tokens * len(rest) // seen
            rest, self._sampled = b"", True
        self._earlier = self.total
        self._settle(self._known + tokens)
        self._told = ""
        pieces, size = self._earlier
        self._earlier = pieces, size - len(rest)
        self._open += rest
        self.text_bytes = len(rest)
        self.reach(self._known - (-self.text_bytes * per_byte >> UNIT_BITS))


def weakest(ways: list[Way]) -> Way:
    """Return the least certain of the ways by which tokens were counted."""
    return max(ways, key=lambda way: (way.source == ESTIMATED, way.answers > 0), default=Way(source=ESTIMATED))


def end_of_block(text: bytes, start: int) -> int:
    """Return where a block of TRIED_BYTES at most ends: before the last blank of its second half, else between two characters."""
    end = start + TRIED_BYTES
    blank = text.rfind(b" ", start + TRIED_BYTES // 2, end)
    if blank >= 0:
        return blank
    while end < len(text) and text[end] & 0xC0 == 0x80 and end > start + 1:
        end -= 1
    return end
