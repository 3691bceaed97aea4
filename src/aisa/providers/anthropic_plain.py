"""The one shape that Anthropic's streams are made of: a further piece of text. Reads only that; `anthropic_events.py` reads the rest."""

from __future__ import annotations

import msgspec

SIGN = b'"text_delta"'  # what has it not is not tried


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text_delta", gc=False):
    """The piece."""

    text: str


class PlainText(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="content_block_delta", gc=False):
    """An event that says it of a block."""

    index: int
    delta: PlainDelta


EVENT = msgspec.json.Decoder(PlainText)


def plain_text(data: bytes) -> PlainText | None:
    """Return an event of this shape, None for any other."""
    if SIGN not in data:
        return None
    try:
        return EVENT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
