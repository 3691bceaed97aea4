"""Reads Gemini's streams for clients of other protocols. What the events mean, `gemini_reader.py` says."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.gemini_reader import GeminiReader
from aisa.providers.shape import Target
from aisa.providers.typed_stream import ReportedStream
from aisa.wire.sse import Event


class GeminiStream(ReportedStream):
    """Reads a stream. Events of text and the tokens by now, as nearly all are, are read by their one shape."""

    def __init__(self, builder: AnswerBuilder, reader: GeminiReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._gemini = reader

    def _take_plain(self, events: Sequence[Event], at: int) -> int:
        return self._gemini.take_plain(events, at)
