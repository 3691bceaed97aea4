"""The one shape that Bedrock's streams are made of: further text of a block. Reads only that, `bedrock_reader.py` all else."""

from __future__ import annotations

from itertools import islice

import msgspec

from aisa.providers.event_objects import NOT_JSON
from aisa.providers.event_stream import EVENT, MESSAGE, Frame


class PlainText(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Text and nothing else."""

    text: str


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """Further text of a block, as nearly all events are. `p` is padding, so that lengths tell less."""

    content_block_index: int
    delta: PlainText
    p: str = ""


DELTA, PLAIN_DELTA = "contentBlockDelta", msgspec.json.Decoder(PlainDelta)


def plain_texts(frames: list[Frame], at: int) -> tuple[int, list[str]]:
    """Return which block frames say further text of from a place on, and that; no text where the frame there is something else."""
    headers = frames[at].headers
    if headers.get(EVENT) != DELTA or headers.get(MESSAGE, "event") != "event":
        return 0, []
    index = 0
    texts: list[str] = []
    try:
        for frame in islice(frames, at, None):
            delta = PLAIN_DELTA.decode(frame.payload)
            if frame.headers is not headers or (texts and delta.content_block_index != index):
                break
            index = delta.content_block_index
            texts.append(delta.delta.text)
    except NOT_JSON:
        pass  # something else
    return index, texts
