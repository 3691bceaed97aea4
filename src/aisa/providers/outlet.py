"""What a stream of chat chunks gives to the path of a call: in which form, and from when on. Decodes nothing of a vendor's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part, Piece, Text, events_of, together
from aisa.wire.chat_parts import identity_of, parts_of
from aisa.wire.plain import CHUNK, PlainChoice
from aisa.wire.trees import Tree

OPENING_BYTES_MAX = 65_536  # of what comes before the first word; real ones are one chunk a choice, and a chunk of filter results
CONTENT = b'"content":'
TEXT = msgspec.json.Decoder(str)


class Outlet:
    """Keeps back what only opens an answer: until something is said, another target may still say it.

    `passes`: the client's door speaks the same protocol, so events go as they are, one piece a read. Else they go as typed parts.
    """

    __slots__ = ("_frame", "_named", "_opening", "passes", "shown")

    def __init__(self, *, passes: bool) -> None:
        self.passes = passes
        self.shown = False  # the client has something of the answer
        self._named = False  # typed parts have said who answers
        self._opening: list[Piece] = []
        self._frame: tuple[int, bytes, bytes] | None = None  # the choice of the last text, and what stood before and behind it

    def take(self, pieces: list[Piece], *, begun: bool) -> Sequence[Part]:
        """Return what goes to the client after a read; `begun` says that there is more than an opening."""
        if not self.shown:
            self._opening += pieces
            if not (begun or sum([len(piece.data) for piece in self._opening]) > OPENING_BYTES_MAX):
                return []
            self.shown = True
            pieces, self._opening = self._opening, []
        return together(pieces) if self.passes else self._typed(pieces)

    def _typed(self, pieces: list[Piece]) -> list[Part]:
        parts: list[Part] = []
        for event, tokens in [event for piece in pieces for event in events_of(piece)]:
            if self._frame is not None and (said := framed_text(event, self._frame)) is not None:
                parts.append(Text(self._frame[0], said, tokens))
                continue
            data = event.removeprefix(b"data: ")
            if self._named and (text := text_alone(data)) is not None:
                self._frame = frame_of(event, text)
                parts.append(Text(text.index, text.delta.content, tokens))
                continue
            chunk: Tree = msgspec.json.decode(data)
            if not self._named:
                self._named = True
                parts.append(identity_of(chunk))
            parts += parts_of(chunk, tokens)
        return parts


def frame_of(event: bytes, text: PlainChoice) -> tuple[int, bytes, bytes] | None:
    """Return what stands around the text of an event, as the events that follow most often have the same; None if that is not plain."""
    before, _, behind = event.partition(CONTENT + msgspec.json.encode(text.delta.content))
    return (text.index, before + CONTENT, behind) if behind else None


def framed_text(event: bytes, frame: tuple[int, bytes, bytes]) -> str | None:
    """Return the text of an event that has the same around its text as another; None if it has not."""
    _, before, behind = frame
    if not (event.startswith(before) and event.endswith(behind)):
        return None
    try:
        return TEXT.decode(event[len(before) : len(event) - len(behind)])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def text_alone(data: bytes) -> PlainChoice | None:
    """Return the choice of a chunk that says nothing but text, as nearly all do; None for any other."""
    try:
        return CHUNK.decode(data).choices[0]
    except msgspec.ValidationError:
        return None
