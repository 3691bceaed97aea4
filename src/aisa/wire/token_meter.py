"""Counts the tokens of one choice while it is streamed: what its vendor said so far, and our own count of the text since. Never falls.

A rate says what text is worth without anybody's word: a token a piece, or so many a byte. With a tokenizer (`tokenized_text.py`) that is
the running count, and the bill is its. Which of all these it was is known at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from operator import ge, le
from typing import NamedTuple

from aisa.usage import BYTES_PER_TOKEN, COUNTED, ESTIMATED, Way
from aisa.wire.tokenized_text import SMALL, TRIED_BYTES, Counted, TokenizedText, Tokenizer

UNIT_BITS = 16
UNIT = 1 << UNIT_BITS  # of a token: rates are whole numbers of these, so that every count is exact
FIRST_PIECES = 32  # of text that a tokenizer counts: the running count tells these apart, however short they are
PIECE_BYTES_MIN, PIECE_BYTES_MAX = 2, 8  # a piece, on average, that can be a token: English and code have 3 to 5 bytes

#: How tokens were counted: words of the ledger's rows.
BY_PIECES, BY_SIZE = "pieces", "size"
BY_LEARNED_PIECES, BY_LEARNED_SIZE = "learned pieces", "learned size"
BY_VENDOR, BY_LOGPROBS, BY_TOKEN_IDS = "running count", "logprobs", "token ids"
BY_TOKENIZER = "tokenizer"


class Rate(NamedTuple):
    """A rule of thumb: `per_piece` while a piece has `bytes_min` to `bytes_max` bytes on average, else `per_byte`, in UNITs a token."""

    bytes_min: int = PIECE_BYTES_MIN
    bytes_max: int = PIECE_BYTES_MAX
    per_piece: int = UNIT
    per_byte: int = UNIT // BYTES_PER_TOKEN


PIECES = Rate()
SIZE = Rate(1, 0)  # pieces are text of any length


class TokenMeter:
    """The tokens of one choice: those known from its vendor or a tokenizer, and what a rate makes of the text since."""

    __slots__ = ("_earlier", "_guesses", "_left", "_rate", "_terms", "_told", "known", "pieces", "text", "text_bytes", "tokens")

    def __init__(self, rate: Rate = PIECES, tokenizer: Tokenizer | None = None) -> None:
        self.tokens = 0  # the running count: what holds follow, and on whose scale is known what of a stream has arrived
        self.pieces = self.text_bytes = 0  # these and the bytes of their text have come since `known`
        self._rate = rate
        self._terms: tuple[int, int, int, int] = rate
        self.known = 0  # tokens of which the vendor told last
        self._earlier = (0, 0)  # pieces and bytes before
        self._told = ""  # by which means the vendor told the last tokens that are known
        self.text: TokenizedText | None = None
        if tokenizer is not None:
            self.text = TokenizedText(tokenizer, by_pieces=rate.bytes_max > 0)
            self._left = 0  # of a token, which the text is worth beyond the running count
            self._guesses = True  # nothing of the text was counted yet

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
        if self.text is not None:
            return Way(f"{BY_TOKENIZER} {self.text.name}", ESTIMATED if self.text.sampled else COUNTED)
        rate = self._rate
        if rate.bytes_min * self.pieces <= self.text_bytes <= rate.bytes_max * self.pieces:
            return Way(BY_PIECES)
        return Way(BY_SIZE, ESTIMATED)

    def add_bytes(self, text: bytes) -> int:
        """Take a further piece of text in UTF-8; return how many tokens there are more."""
        if self.text is not None:
            return self._add_tokenized(self.text, text)
        least, most, per_piece, per_byte = self._terms
        self.pieces = pieces = self.pieces + 1
        self.text_bytes = total = self.text_bytes + len(text)
        worth = pieces * per_piece if least * pieces <= total <= most * pieces else total * per_byte
        more = self.known - (-worth >> UNIT_BITS) - self.tokens
        if more <= 0:
            return 0
        self.tokens += more
        return more

    def add_text(self, text: str) -> int:
        """Take a further piece of text; return how many tokens there are more."""
        return self.add_bytes(text.encode("utf-8", "surrogatepass"))

    def add_all(self, texts: Sequence[bytes], sizes: Sequence[int] | None = None) -> Sequence[int]:
        """Take further pieces of text in UTF-8, which have these sizes; return how many tokens there are more up to each.

        Written without a loop of its own where pieces are of the usual length, as it is hot.
        """
        if self.text is not None or not texts:
            return list(accumulate([self.add_bytes(text) for text in texts]))
        least, most, per_piece, per_byte = self._terms
        first = self.pieces + 1
        after = first + len(texts)
        totals = list(accumulate(map(len, texts) if sizes is None else sizes, initial=self.text_bytes))[1:]
        above = self.known - self.tokens  # what is known, seen from where this begins
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
        self.pieces = self.text_bytes = 0
        self.known, self._told = tokens, means
        more = self._reach(tokens)
        if self.text is not None:
            self.text.restart(self.tokens, tokens)
            self._left = 0
        return more

    def add_unseen(self, tokens: int = 1) -> int:
        """Take a piece of output that is no text, such as sound, for so many tokens; return how many tokens there are more."""
        self.tokens += tokens
        if self.text is not None:
            self.text.add_unseen(tokens)
            self.text.mark(tokens)
        return tokens

    def exact(self) -> int:
        """Return the tokens, with the text that waits for the tokenizer counted by it."""
        return self.tokens if self.text is None else self.text.tokens()

    def exact_at(self, tokens: int) -> int:
        """Return the same of the text with which the running count had come to so many."""
        return min(tokens, self.tokens) if self.text is None else min(self.text.tokens_at(tokens), self.text.tokens())

    @property
    def has_tokenizer(self) -> bool:
        """True if the text itself is counted, which may come to another figure than the running count."""
        return self.text is not None

    def _reach(self, tokens: int) -> int:
        """Take it that there are so many tokens at least; return how many these are more than were known."""
        more = tokens - self.tokens
        if more <= 0:
            return 0
        self.tokens = tokens
        return more

    def _add_tokenized(self, known: TokenizedText, text: bytes) -> int:
        """Take a further piece of text that a tokenizer counts later. Until then the running count grows with each piece, if it can.

        It grows by what the piece is worth by itself: by the worth of all pieces it would stand still where they become shorter, and that
        count alone says what of a stream has arrived.
        """
        least, most, per_piece, per_byte = self._terms
        self.pieces = pieces = self.pieces + 1
        self.text_bytes = total = self.text_bytes + len(text)
        worth = self._left + (per_piece if least * pieces <= total <= most * pieces else len(text) * per_byte)
        more, self._left = worth >> UNIT_BITS, worth & (UNIT - 1)
        if more == 0 and self._guesses and (pieces <= FIRST_PIECES or total > PIECE_BYTES_MAX * pieces):
            more, self._left = 1, 0
        self.tokens += more
        known.open += text
        if len(known.open) >= TRIED_BYTES:
            before = self.tokens - more
            self._correct(known.count_blocks())
            more = self.tokens - before
        if more < len(SMALL):  # as nearly always
            known.open += SMALL[more]
        else:
            known.mark(more)
        return more

    def _correct(self, counted: Counted) -> None:
        """Go on from what the tokenizer has counted; where the running count is above that, which never falls, more slowly."""
        self._earlier, self._told = self.total, ""
        self.pieces = self.text_bytes = self._left = 0
        self._guesses = False
        per_byte = max(1, int(counted.per_byte * UNIT))
        now = counted.tokens - (-counted.waiting * per_byte >> UNIT_BITS)
        self._terms = (1, 0, UNIT, per_byte if now >= self.tokens else -(-per_byte // 2))
        self._reach(now)


def weakest(ways: list[Way]) -> Way:
    """Return the least certain of the ways by which tokens were counted."""
    return max(ways, key=lambda way: (way.source == ESTIMATED, way.answers > 0), default=Way(source=ESTIMATED))


def arrived(meters: Collection[TokenMeter], tokens: int, *, everything: bool) -> tuple[int, int] | None:
    """Return how many tokens the text has of which so many of the running count arrived, or everything did, and how many all text has.

    None where no tokenizer counts it. Of several choices the same share has arrived: which of them was behind is not known.
    """
    if not any(meter.has_tokenizer for meter in meters):
        return None
    made = sum([meter.exact() for meter in meters])
    running = sum([meter.tokens for meter in meters])
    if everything or not running:
        return made, made
    return sum([meter.exact_at(tokens * meter.tokens // running) for meter in meters]), made
