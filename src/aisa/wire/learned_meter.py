"""Counts the tokens of one choice by what complete answers of the same target came to. Learns nothing itself: `providers/measure.py` does.

What is charged is on the caller's side: of a count by pieces and one by bytes it is the lower. Both only grow with the text, so a figure
that follows them never has to fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, repeat

import msgspec

from aisa.usage import Way
from aisa.wire.token_meter import BY_LEARNED_PIECES, BY_LEARNED_SIZE, UNIT_BITS, TokenMeter

SPARE_BYTES = 256  # of text that may be a few long tokens, such as rulers: what is beyond tells that pieces hold several


class LearnedRate(msgspec.Struct, frozen=True):
    """What a target's text is worth, in UNITs of a token: so much a piece, but never more than `most_per_byte` makes of its bytes.

    Nor less than `least_per_byte` makes of all but SPARE_BYTES: where that is more, pieces hold more than those that were learned from.
    `answers` says of how many complete answers it was learned.
    """

    per_piece: int
    least_per_byte: int
    most_per_byte: int
    answers: int


class LearnedMeter(TokenMeter):
    """The tokens of one choice at a rate that was learned."""

    __slots__ = ("_learned", "_worth")

    def __init__(self, rate: LearnedRate) -> None:
        super().__init__()
        self._learned = rate
        self._worth = (rate.per_piece, rate.least_per_byte, SPARE_BYTES * rate.least_per_byte, rate.most_per_byte)

    @property
    def way(self) -> Way:
        """How the last tokens were counted."""
        if self._told and not self.text_bytes:
            return super().way
        per_piece, least, spare, most = self._worth
        size = self.text_bytes
        by_pieces = size * least - spare <= self.pieces * per_piece <= size * most
        return Way(BY_LEARNED_PIECES if by_pieces else BY_LEARNED_SIZE, answers=self._learned.answers)

    def add_bytes(self, text: bytes) -> int:
        """Take a further piece of text in UTF-8; return how many tokens there are more."""
        per_piece, least, spare, most = self._worth
        self.pieces = pieces = self.pieces + 1
        self.text_bytes = total = self.text_bytes + len(text)
        worth, lower, upper = pieces * per_piece, total * least - spare, total * most
        if worth > upper:
            worth = upper
        elif worth < lower:
            worth = lower
        before, tokens = self.tokens, self.known - (-worth >> UNIT_BITS)
        if tokens > before:
            self.tokens = tokens
        return self.tokens - before

    def add_all(self, texts: Sequence[bytes], sizes: Sequence[int] | None = None) -> Sequence[int]:
        """Take further pieces of text in UTF-8, which have these sizes; return how many tokens there are more up to each."""
        per_piece, least, spare, most = self._worth
        totals = list(accumulate(map(len, texts) if sizes is None else sizes, initial=self.text_bytes))[1:]
        by_pieces = accumulate(repeat(per_piece, len(totals)), initial=(self.pieces + 1) * per_piece)
        above = self.known - self.tokens  # what is known, seen from where this begins
        counts = [
            above - (-(high if worth > (high := total * most) else low if worth < (low := total * least - spare) else worth) >> UNIT_BITS)
            for worth, total in zip(by_pieces, totals, strict=False)  # the last is of a piece that did not come
        ]
        if counts[0] < 0 or least > most:  # a count never falls
            counts = list(accumulate(counts, max, initial=0))[1:]
        self.pieces, self.text_bytes = self.pieces + len(totals), totals[-1]
        self.tokens += counts[-1]
        return counts
