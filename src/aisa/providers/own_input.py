"""The input of a call by our own count, where its vendor does not say it: by a tokenizer, if its target has one, else by its size.

A long text is not counted on the event loop, where other calls would wait for it: there its beginning is, and all of it in a thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from aisa.providers.shape import Target
from aisa.usage import COUNTED, ESTIMATED
from aisa.wire.content import Content, input_tokens
from aisa.wire.generated import text_bytes
from aisa.wire.tokenized_text import TRIED_AT_ONCE_BYTES_MAX, in_pieces

TRIED_CHARACTERS_MAX = TRIED_AT_ONCE_BYTES_MAX  # of a text that is counted on the loop: some 4,000 tokens, a few milliseconds


class Counted(NamedTuple):
    """The tokens of an input, what the count is worth, and whether that is of the `beginning` of a long text alone."""

    tokens: int
    source: str
    beginning: bool = False


class OwnInput(ABC):
    """The input of one call."""

    __slots__ = ("_known", "_target")

    _known: Counted | None  # once somebody has asked
    _target: Target

    def input(self) -> tuple[int, str]:
        """Return the tokens, and what the count is worth."""
        if self._known is None:
            self._known = counted(self.content(), self.text, self._target)
        return self._known[:2]

    @property
    def is_long(self) -> bool:
        """True if somebody has asked, and only the beginning of the text was counted."""
        return self._known is not None and self._known.beginning

    def count_all(self, given_up: Callable[[], bool]) -> Counted | None:
        """Count all of a text that is long: for a thread. Returns None if it is given up; that is looked at every TRIED_CHARACTERS_MAX."""
        tokenizer = self._target.measure.tokenizer
        assert tokenizer is not None, "without one no text is long"
        content, tokens = self.content(), 0
        text = self.text(content.text_bytes)
        for piece in in_pieces(text):
            if given_up():
                return None
            tokens += tokenizer.count(piece)
        return in_all(tokens, text, content, target=self._target)

    def take(self, known: Counted) -> None:
        """Let that be the count."""
        self._known = known

    @abstractmethod
    def content(self) -> Content:
        """Return what the request holds."""

    @abstractmethod
    def text(self, characters_max: int) -> str:
        """Return the beginning of its text."""


def counted(content: Content, text: Callable[[int], str], target: Target) -> Counted:
    """Return the tokens of an input that no vendor has counted: of a long text by its beginning, and the rest is taken to be like it."""
    tokenizer = target.measure.tokenizer
    if tokenizer is None or not content.text_bytes:
        return Counted(input_tokens(content, target.model, target.context_window), ESTIMATED)
    tried = text(TRIED_CHARACTERS_MAX)
    found = in_all(tokenizer.count(tried), tried, content, target=target)
    return found._replace(beginning=len(tried) == TRIED_CHARACTERS_MAX and text_bytes(tried) < content.text_bytes)


def in_all(tokens: int, text: str, content: Content, *, target: Target) -> Counted:
    """Return the tokens of an input whose text, or a part of it, has so many: what else is written there is taken to be like it."""
    size = text_bytes(text)
    if size != content.text_bytes:
        tokens = -(-tokens * content.text_bytes // max(1, size))
    exact = content == Content(size, windows=content.windows)
    return Counted(input_tokens(content, target.model, target.context_window, text_tokens=tokens), COUNTED if exact else ESTIMATED)
