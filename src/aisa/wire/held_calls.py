"""Calls of tools that are held until they are whole, for clients that take each in one piece. Writes none.

Vendors make calls side by side, in one choice and in several: what a call is given finds it by its choice and its place there.
"""

from __future__ import annotations

from aisa.answer import Arguments, ToolCall
from aisa.wire.completeness import Completeness


class HeldCall:
    """A call that is held: its beginning, its arguments so far, and the tokens in both."""

    __slots__ = ("_progress", "call", "texts", "tokens")

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        self.texts: list[str] = []
        self.tokens = call.tokens
        self._progress = Completeness()

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow: of a text in any form nobody can tell."""
        return self._progress.complete and not self.call.custom

    def add(self, part: Arguments) -> None:
        """Take a further part of its arguments."""
        self.texts.append(part.text)
        self.tokens += part.tokens
        self._progress.feed(part.text)


class HeldCalls:
    """Those of one answer, in the order in which they began; `characters` is what all of them were given, `tokens` what they show."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], HeldCall] = {}
        self.characters = self.tokens = 0

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._held)

    def begin(self, call: ToolCall) -> list[HeldCall]:
        """Hold a call from its beginning. Returns those of its choice that are whole, as `whole` does."""
        before = self.whole(call.choice)
        self._held[call.choice, call.index] = HeldCall(call)
        self.tokens += call.tokens
        return before

    def add(self, part: Arguments) -> bool:
        """Give a call what is its own; tell whether it is held."""
        held = self._held.get((part.choice, part.index))
        if held is None:
            return False
        held.add(part)
        self.characters += len(part.text)
        self.tokens += part.tokens
        return True

    def whole(self, choice: int) -> list[HeldCall]:
        """Let go of the calls of a choice that are whole, and return them; one behind a call that may still grow waits for it."""
        let_go: list[HeldCall] = []
        for held in self._of(choice):
            if not held.is_whole:
                break
            let_go.append(self._let_go(held))
        return let_go

    def rest(self, choice: int | None = None) -> list[HeldCall]:
        """Let go of all calls of a choice, or of every one, whole or not, and return them."""
        return [self._let_go(held) for held in self._of(choice)]

    def _of(self, choice: int | None) -> list[HeldCall]:
        return [held for held in self._held.values() if choice in (None, held.call.choice)]

    def _let_go(self, held: HeldCall) -> HeldCall:
        del self._held[held.call.choice, held.call.index]
        self.characters -= sum(map(len, held.texts))
        self.tokens -= held.tokens
        return held
