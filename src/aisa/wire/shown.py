"""What is known of a call beside its vendor's report of usage: the request, and the output that was seen. Reads no report."""

from __future__ import annotations

from typing import Protocol

import msgspec

from aisa.usage import Usage, Way

COUNT_MAX = 1_000_000_000  # tokens of one call: no model comes near it, and a row and its cost must fit 64 bits
VISIBLE_PER_BYTE = 4  # tokens of what was shown: no tokenizer makes more of a byte
COUNTED_HIGH = 2  # times as many tokens as there are, by the worst of our own counts (docs/billing.md has the table)
BESIDE_TOKENS_MAX = 1_000_000  # of one call, in no limit on its text: pictures, of which a large one has some 6,000, and research
VISIBLE_SPARE = 5_000  # more, as some vendors think without saying so
UNWRITTEN_SPARE = 64  # ... of an answer that goes on, whose thinking is not billed: what has no text, such as what frames a call


class Asked(Protocol):
    """What is known of the request where the report is silent or cannot be: asked only then, as it may take a while.

    More tokens of a side than its maximum are not possible. Of its output, `unseen_max` can be in answers that were made and not given.
    """

    input_tokens_max: int
    output_tokens_max: int
    unseen_max: int

    def input(self) -> tuple[int, str]:
        """Return the tokens of the input by our own count, and what that is worth."""
        ...

    def lifetime(self) -> str:
        """Return how long cache writes were asked to last, as in LIFETIMES; an empty text if nothing was asked."""
        ...


class Shown(msgspec.Struct, frozen=True):
    """The output that was seen, by our own count: tokens, those of them that show thinking, how they were counted, and bytes of text.

    `text_bytes` is None where there is output whose size says nothing, such as sound.
    """

    tokens: int
    reasoning: int
    way: Way = Way()
    text_bytes: int | None = None

    @property
    def most(self) -> int:
        """The most tokens that can have been shown."""
        return COUNT_MAX if self.text_bytes is None else VISIBLE_PER_BYTE * self.text_bytes + VISIBLE_SPARE

    def most_shown(self, more: int = 0) -> int:
        """Return the most tokens that so far can have been shown, with so many bytes of text that are not in here."""
        return COUNT_MAX if self.text_bytes is None else VISIBLE_PER_BYTE * (self.text_bytes + more) + UNWRITTEN_SPARE

    def hidden(self, made: int, thought: int) -> int:
        """Return how much of what was made can be thinking, of which a report says that it was so much.

        What was seen as text was no thinking. Our count of it may be up to twice too high, and is believed where a report leaves less.
        """
        text = self.tokens - self.reasoning
        return thought if (made - thought) * COUNTED_HIGH >= text else max(0, made - text)

    def allows(self, told: Usage, asked: Asked) -> bool:
        """Tell whether what a report that is right as it is says can be."""
        if told.reasoning_tokens > self.hidden(told.output_tokens, told.reasoning_tokens):
            return False
        told_of = (told.reasoning_tokens, 0, 0)
        return told.input_tokens <= asked.input_tokens_max and self.can_be(told.output_tokens, told_of, asked)

    def can_be(self, made: int, beside: tuple[int, int, int], asked: Asked) -> bool:
        """Tell whether an output can be, of which so much was thinking, sound, and what is in no limit on its text, such as pictures."""
        thought, spoken, drawn = beside
        if made - drawn > asked.output_tokens_max or drawn > BESIDE_TOKENS_MAX:
            return False
        return made - thought - spoken - drawn <= self.most + asked.unseen_max
