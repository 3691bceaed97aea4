"""Tokens to text as it may be shown: whole characters only, and nothing of a stop sequence. Knows no model and no message."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

Note = TypeVar("Note")


class Part(NamedTuple, Generic[Note]):
    """A piece of text and the notes of the tokens that made it: one, or more when a character took several."""

    text: str
    notes: list[Note]


class Cutter(Generic[Note]):
    """Lets text through in the parts in which it came, but holds back what may be the beginning of a stop sequence."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = [stop for stop in stops if stop]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[Part[Note]] = []

    def feed(self, token: bytes, note: Note) -> list[Part[Note]]:
        """Take the next token; return what may be shown now. After a stop sequence `stopped` is true and nothing more comes."""
        return self._let_through(self._decoder.decode(token), [note])

    def end(self) -> list[Part[Note]]:
        """Take the end of the tokens; return what was held back."""
        rest = self._decoder.decode(b"", final=True)
        released = self._let_through(rest, []) if rest else []
        released += self._held
        self._held = []
        return released

    def _let_through(self, text: str, notes: list[Note]) -> list[Part[Note]]:
        held = self._held
        if held and (not held[-1].text or not notes):
            last = held.pop()
            text, notes = last.text + text, last.notes + notes
        held.append(Part(text, notes))
        joined = "".join(part.text for part in held)
        found = [place for place in map(joined.find, self._stops) if place >= 0]
        if found:
            self.stopped = True
            self._held = []
            return cut(held, min(found))
        safe = len(joined) - self._may_begin(joined)
        released: list[Part[Note]] = []
        while held and held[0].text and len(held[0].text) <= safe:
            safe -= len(held[0].text)
            released.append(held.pop(0))
        return released

    def _may_begin(self, text: str) -> int:
        """Return how many characters at the end of a text may be the beginning of a stop sequence."""
        sizes = (size for stop in self._stops for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size]))
        return max(sizes, default=0)


def cut(parts: Sequence[Part[Note]], length: int) -> list[Part[Note]]:
    """Return the first `length` characters of the parts; a part of which nothing is left is dropped."""
    kept: list[Part[Note]] = []
    for part in parts:
        if length <= 0:
            break
        kept.append(Part(part.text[:length], part.notes))
        length -= len(part.text)
    return kept
