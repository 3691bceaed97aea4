"""What was said of something that does not work, such as a store that is away: each reason once, until it works again."""

from __future__ import annotations

REASONS_MAX = 5  # that are said of one outage: some have a number that differs each time


class Outage:
    """An outage, or that there is none.

    What is heard first is often not what is in the way: a connection that breaks says nothing, the next one that the password is another.
    """

    __slots__ = ("reasons",)

    def __init__(self) -> None:
        self.reasons: set[str] = set()  # none: it works

    def is_news(self, reason: str) -> bool:
        """Note that it does not work, and say whether that, or why, is to be told."""
        if reason in self.reasons or len(self.reasons) == REASONS_MAX:
            return False
        self.reasons.add(reason)
        return True

    def end(self) -> bool:
        """Note that it works, and say whether that is to be told."""
        was_on = bool(self.reasons)
        self.reasons.clear()
        return was_on
