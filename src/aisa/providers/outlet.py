"""What a stream of chat chunks gives to the path of a call: in which form, and from when on. Decodes nothing of a vendor's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part, Piece, Text, together
from aisa.providers.event_objects import tree_in
from aisa.wire.chat_parts import identity_of, parts_of
from aisa.wire.plain import CHUNK, PlainChoice

OPENING_BYTES_MAX = 65_536  # of what comes before the first word; real ones are one chunk a choice, and a chunk of filter results
EVENT_BEGINS, EVENT_ENDS = b"data: ", b"\n\n"


class Outlet:
    """Keeps back what only opens an answer: until something is said, another target may still say it.

    `passes`: the client's door speaks the same protocol, so events go as they are, one piece a read. Else they go as typed parts.
    """

    __slots__ = ("_named", "_opening", "passes", "shown")

    def __init__(self, *, passes: bool) -> None:
        self.passes = passes
        self.shown = False  # the client has something of the answer
        self._named = False  # typed parts have said who answers
        self._opening: list[Part] = []

    def take(self, parts: Sequence[Part], *, begun: bool) -> Sequence[Part]:
        """Return what goes to the client after a read; `begun` says that there is more than an opening."""
        if not self.shown:
            self._opening += parts
            if not (begun or sum([len(piece.data) for piece in self._opening if isinstance(piece, Piece)]) > OPENING_BYTES_MAX):
                return ()
            self.shown = True
            parts, self._opening = self._opening, []
        return together([part for part in parts if isinstance(part, Piece)]) if self.passes else self._typed(parts)

    def _typed(self, parts: Sequence[Part]) -> list[Part]:
        """Return what each event says; texts that were read already stay as they are."""
        typed: list[Part] = []
        for part in parts:
            if not isinstance(part, Piece):
                typed.append(part)
                continue
            data = part.data.removeprefix(EVENT_BEGINS).removesuffix(EVENT_ENDS)
            if self._named and (text := text_alone(data)) is not None:
                typed.append(Text(text.index, text.delta.content, part.tokens))
                continue
            chunk = tree_in(data)
            if not self._named:
                self._named = True
                typed.append(identity_of(chunk))
            typed += parts_of(chunk, part.tokens)
        return typed


def text_alone(data: bytes) -> PlainChoice | None:
    """Return the choice of a chunk that says nothing but text, as nearly all do; None for any other."""
    try:
        return CHUNK.decode(data).choices[0]
    except msgspec.ValidationError:
        return None
