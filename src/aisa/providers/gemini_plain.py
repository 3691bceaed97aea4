"""The one shape that Gemini's streams are made of: an event that says a piece of text, and the tokens by now. Reads only that.

Whatever has one member more is read by `gemini_reader.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aisa.wire.trees import Tree


class PlainPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part that is text and nothing else."""

    text: str


class PlainContent(msgspec.Struct, forbid_unknown_fields=True):
    """One part."""

    parts: Annotated[list[PlainPart], Meta(min_length=1, max_length=1)]
    role: str = ""


class PlainCandidate(msgspec.Struct, forbid_unknown_fields=True):
    """The first candidate, which goes on."""

    content: PlainContent
    index: Literal[0] = 0


class PlainEvent(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """An event that says a piece of text."""

    candidates: Annotated[list[PlainCandidate], Meta(min_length=1, max_length=1)]
    usage_metadata: Tree
    model_version: str
    response_id: str


EVENT = msgspec.json.Decoder(PlainEvent)


def plain_event(data: bytes) -> PlainEvent | None:
    """Return an event of this shape, None for any other."""
    try:
        return EVENT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
