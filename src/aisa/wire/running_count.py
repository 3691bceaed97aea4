"""What a vendor says, before the end of an answer, of how many tokens it has shown: a claim, which the text that was seen bounds.

What it says beyond that was not shown, such as thinking of which it does not speak: of an answer that was cut that is not billed.
"""

from __future__ import annotations

from aisa.wire.shown import Shown


class RunningCount:
    """The running count of one answer. Figures that do not grow say nothing."""

    __slots__ = ("_hidden", "_news", "_said", "_tokens")

    def __init__(self) -> None:
        self._said = 0  # the highest so far
        self._news: int | None = None  # the last, if it was higher than all before
        self._hidden = 0  # of it, what was not shown
        self._tokens = -1  # our count when it was believed last, with nothing hidden in it

    def hear(self, said: int) -> None:
        """Take what it says with an event, 0 where it says nothing."""
        self._news = said if said > self._said else None
        self._said = max(self._said, said)

    def shown(self, seen: Shown, size: int = 0) -> int | None:
        """Return how many tokens have been shown by what was heard last, None where that says nothing or more than can be.

        What was seen before it, and so many bytes of text with it, are all that they can be in.
        """
        if self._news is None:
            return None
        told = self._news - self._hidden
        return told if told <= seen.most_shown(size) else None

    def believe(self, tokens: int) -> None:
        """Take it that what was heard last tells of all that has been shown, which is so much by our own count."""
        self._tokens = -1 if self._hidden else tokens

    def doubt(self, tokens: int) -> None:
        """Take it that so many have been shown, whatever was heard last: the rest of that was not."""
        if self._news is not None:
            self._hidden = max(0, self._news - tokens)

    def tells_of(self, tokens: int) -> bool:
        """Tell whether the vendor's report is of all that has been shown, which is so much by our own count: nothing came behind it."""
        return self._tokens == tokens
