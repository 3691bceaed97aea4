"""Reads Gemini's streams for clients of other protocols. What the events mean, `gemini_reader.py` says."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.answer import Part
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.gemini_plain import PlainTemplate, plain_template
from aisa.providers.gemini_reader import GeminiReader
from aisa.providers.shape import Target
from aisa.providers.text_stream import TextStream
from aisa.wire.sse import LF

DATA = b"data: "


class GeminiStream(TextStream[PlainTemplate]):
    """Reads a stream. Events of text and the tokens by now, as nearly all are, are read by their one shape."""

    def __init__(self, builder: AnswerBuilder, reader: GeminiReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._gemini = reader

    def _text(self, block: bytes) -> bool:
        if not block.startswith(DATA) or LF in block or not self._gemini.take_plain(block[len(DATA) :]):
            return False
        self._template = None if self._builder.finished else plain_template(block)
        return True

    def _fit(self, template: PlainTemplate, events: bytes) -> Sequence[Part] | None:
        """Return what events of further text say, None if something else is among them."""
        told = template.told(events)
        return None if told is None else self._gemini.hear(told)
