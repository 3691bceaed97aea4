"""How the text of one target is counted where its vendor says nothing: by a tokenizer, or at a rate that its complete answers teach.

Nothing is asked of a database: whoever keeps what was learned gives it at the start, and is told of what is learned later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aisa.usage import REPORTED, Usage
from aisa.wire.learned_meter import LearnedMeter, LearnedRate
from aisa.wire.shown import Shown
from aisa.wire.token_meter import PIECES, SIZE, UNIT, UNIT_BITS, Rate, TokenMeter
from aisa.wire.tokenized_text import Tokenizer

ANSWERS_KEPT = 64  # of each target, the last
ANSWERS_MIN = 8  # before they are believed
LEARN_EVERY = 8  # answers; sorting takes some 20 microseconds
LEARN_SELDOM_EVERY = 32  # once as many are known as are kept
TOKENS_MIN = 48  # of an answer: in a shorter one what a vendor counts beside the text weighs too much
SPREAD_MAX = 30  # percent by which the middle half of the answers may differ: beyond, something else than the text decides
THOUGHT_MAX = 2  # times what was counted of the thinking that was shown may be reported of it, or a summary was shown
PACKED = 2  # times as many bytes a token as any answer had: text beyond that has several tokens in what was one
ANY_NUMBER = UNIT << UNIT_BITS  # of tokens may be in one piece: more than any bytes are worth that one event can bring
WORTH_MAX = UNIT  # a byte is a token at most: of more, something was not shown

#: Is told what is known of a target's answers, by its name.
Learned = Callable[[str, "list[Answer]"], None]


class Answer(NamedTuple):
    """A complete answer by its vendor's report: the tokens of its text at least, and the pieces (0 for a document) and bytes it came in."""

    tokens: int
    pieces: int
    text_bytes: int


class Agreed(NamedTuple):
    """What several answers agree on: the lowest, the lower quartile and the highest, and how far the middle half spreads, in percent."""

    least: int
    worth: int
    most: int
    spread: int

    @property
    def agreed(self) -> bool:
        """True if something is known by it: the middle half is close to the median."""
        return self.spread <= SPREAD_MAX


class Measure:
    """How one target is counted. `rate` is for streams, `text_rate` for whole texts; both are `rule` until `answers` say more."""

    __slots__ = ("_learned", "_left", "_name", "_rule", "answers", "meter", "rate", "text_rate", "tokenizer")

    def __init__(
        self,
        rule: Rate = PIECES,
        tokenizer: Tokenizer | None = None,
        *,
        name: str = "",
        known: Iterable[Answer] = (),
        learned: Learned | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._rule = rule
        self._name = name
        self._learned = learned
        self.answers = deque(known, ANSWERS_KEPT)
        self._left = LEARN_EVERY  # answers until the rates are taken anew
        self.rate, self.text_rate = rates_of(self.answers, rule)
        #: Returns what counts a choice of a stream. One object for all of them.
        self.meter: Callable[[], TokenMeter] = self._meter

    def _meter(self) -> TokenMeter:
        if self.tokenizer is None and isinstance(self.rate, LearnedRate):
            return LearnedMeter(self.rate)
        return TokenMeter(self._rule, self.tokenizer)

    def text_meter(self) -> TokenMeter:
        """Return what counts a text that comes whole."""
        if self.tokenizer is None and isinstance(self.text_rate, LearnedRate):
            return LearnedMeter(self.text_rate)
        return TokenMeter(SIZE, self.tokenizer)

    def learn(self, tokens: int, pieces: int, text_bytes: int, *, choices: int = 1) -> None:
        """Take a complete answer: so many visible tokens by its vendor's report, in so many pieces and bytes of text.

        Most vendors count the token that ends a choice, which has no text and which nobody has who leaves before it.
        """
        if not TOKENS_MIN <= tokens <= text_bytes * WORTH_MAX // UNIT:
            return
        answers = self.answers
        answers.append(Answer(tokens - choices, pieces, text_bytes))
        self._left -= 1
        if self._left == 0:
            self._left = LEARN_EVERY if len(answers) < ANSWERS_KEPT else LEARN_SELDOM_EVERY
            self.rate, self.text_rate = rates_of(answers, self._rule)
            if self._learned is not None:
                self._learned(self._name, list(answers))

    def learn_from(self, usage: Usage, shown: Shown, pieces: int, *, choices: int = 1) -> None:
        """Take a complete answer, 0 pieces for a document, if its vendor reported it and all that was made was shown as text."""
        rarer = usage.breakdown
        if usage.source != REPORTED or not shown.text_bytes or usage.output_audio_tokens:
            return
        if rarer is not None and (rarer.output_image_tokens or rarer.uncharged_output_tokens or rarer.searches):
            return
        thought = usage.reasoning_tokens
        if shown.reasoning > 0 and thought > THOUGHT_MAX * shown.reasoning:  # only a part of it was shown
            return
        self.learn(usage.output_tokens - (0 if shown.reasoning else thought), pieces, shown.text_bytes, choices=choices)

    def take(self, answers: Iterable[Answer]) -> None:
        """Let these answers, which another process has learned from, count instead of those that are known here."""
        self.answers = deque(answers, ANSWERS_KEPT)
        self.rate, self.text_rate = rates_of(self.answers, self._rule)


def rates_of(answers: Iterable[Answer], rule: Rate) -> tuple[Rate | LearnedRate, Rate | LearnedRate]:
    """Return the rate of a target's streams and that of its whole texts, by its answers if they agree, else by the rule.

    Of pieces and bytes, that decides which of them the answers agree more, at its lower quartile, and what the other has ever been worth
    bounds it: a text that has more pieces, or more bytes, than any answer is unlike all of them.
    """
    known = list(answers)
    number = len(known)
    by_size = agreed([answer.tokens * UNIT // answer.text_bytes for answer in known])
    text_rate = LearnedRate(ANY_NUMBER, 0, by_size.worth, number) if by_size is not None and by_size.agreed else None
    streamed = [answer for answer in known if answer.pieces]
    by_piece = None if rule.bytes_max == 0 else agreed([answer.tokens * UNIT // answer.pieces for answer in streamed])
    rate = text_rate
    if by_size is not None and by_piece is not None and (by_size.agreed or by_piece.agreed):
        packed = by_size.least // PACKED
        if by_size.spread < by_piece.spread:
            rate = LearnedRate(by_piece.most, packed, by_size.worth, number)
        else:
            rate = LearnedRate(by_piece.worth, packed, by_size.most + 1, len(streamed))
    return rate or rule, text_rate or SIZE


def agreed(worths: list[int]) -> Agreed | None:
    """Return what the answers agree on, None if they are too few."""
    number = len(worths)
    if number < ANSWERS_MIN:
        return None
    ordered = sorted(worths)
    low, middle, high = ordered[number // 4], ordered[number // 2], ordered[number * 3 // 4]
    return Agreed(max(1, ordered[0]), max(1, low), ordered[-1], (high - low) * 100 // max(1, middle))
