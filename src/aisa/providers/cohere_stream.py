"""Reads Cohere's streams. What the events mean, `cohere_reader.py` says."""

from __future__ import annotations

import re

import msgspec

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.cohere_reader import CohereReader
from aisa.providers.shape import Target
from aisa.providers.text_stream import TextStream
from aisa.wire.plain import NOT_PLAIN, ChunkTemplate, are_simple
from aisa.wire.sse import parse_block


class PlainContent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A piece of text."""

    text: str


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What of the message grows."""

    content: PlainContent


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """By what the answer grows."""

    message: PlainMessage


class PlainText(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="content-delta", gc=False):
    """An event that says it of a block of content. One with log-probabilities is more than that."""

    index: int
    delta: PlainDelta


SIGN = b'"content-delta"'  # what has it not is not tried
TEXT_MEMBER = re.compile(rb'"text": ?"')
EVENT = msgspec.json.Decoder(PlainText)


class CohereStream(TextStream[ChunkTemplate]):
    """Reads a stream. Events of further text, as nearly all are, are read without looking at the rest of them."""

    def __init__(self, builder: AnswerBuilder, reader: CohereReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._cohere = reader
        self._place = 0  # of the block whose text the template is of

    def _text(self, block: bytes) -> bool:
        """Take an event of text; say no of one that is more than that."""
        events = parse_block(block) if SIGN in block else ()
        if len(events) != 1:
            return False
        try:
            event = EVENT.decode(events[0][1])
        except NOT_PLAIN:
            return False
        self._cohere.say(event.index, event.delta.message.content.text)
        if self._template is None or self._place != event.index:
            self._template, self._place = template_around(block), event.index
        return True

    def _hear(self, texts: list[bytes]) -> None:
        """Tell further texts of the block."""
        self._cohere.hear(texts)


def template_around(block: bytes) -> ChunkTemplate | None:
    """Return the template of events that differ in their one member `text`; None where the text cannot be told from the bytes."""
    places = list(TEXT_MEMBER.finditer(block))
    if len(places) != 1:
        return None
    begin = places[0].end()
    end = block.find(b'"', begin)
    if not are_simple([block[begin:end]]):
        return None
    before, after = block[:begin], block[end:]
    return ChunkTemplate(before, after, before, after + b"\n\n", untouched=True)
