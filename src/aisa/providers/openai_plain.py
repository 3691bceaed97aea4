"""The chunks of a stream that are right as they are: read into types, and passed in the vendor's own bytes. Mends nothing.

Every method returns None for what is not quite so: the loose way of `wire.chunks` is for all that. Nothing has changed then, except that
the stream may know its id, time and model.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import UNSET

from aisa.wire.chunks import ChunkStream
from aisa.wire.fitting import fit_usage
from aisa.wire.model_name import Renaming
from aisa.wire.plain import (
    CHUNK,
    FINISH_CHUNK,
    NOT_PLAIN,
    OPENING,
    OPENING_CHUNK,
    ROLE_DELTA,
    USAGE_CHUNK,
    PlainChunk,
    PlainFinishChunk,
    PlainOpening,
    PlainOpeningChunk,
    PlainUsage,
    with_delta,
)

#: What a chunk looks like that can be nothing but a finish, or usage. Inside a string the quotation marks would be escaped.
LIKE_FINISH = re.compile(rb'"finish_reason": ?"').search
LIKE_USAGE = re.compile(rb'"choices": ?\[\]').search
EMPTY_DELTA = b"{}"


class PlainFinish(NamedTuple):
    """The finish of the one choice of a stream: why, the vendor's event, and the one that the client is to get."""

    reason: str
    data: bytes
    event: bytes


class PlainChunks:
    """Reads the conformant chunks of one stream, whose state `chunks` keeps. `wanted`: each is to have a `usage` member."""

    __slots__ = ("_chunks", "_renaming", "_wanted")

    def __init__(self, chunks: ChunkStream, *, wanted: bool) -> None:
        self._chunks = chunks
        self._wanted = wanted
        self._renaming: Renaming | None = None

    def opening(self, data: bytes) -> bytes | None:
        """Take the chunk that opens the stream; what vendors leave out of its delta is put in."""
        chunks = self._chunks
        try:
            chunk = OPENING_CHUNK.decode(data)
            choice = chunk.choices[0]
            delta = OPENING.decode(choice.delta)
        except NOT_PLAIN:
            return None
        if chunk.error is not UNSET or not chunks.may_begin(choice.index):
            return None
        chunks.identify_as(chunk)
        event: bytes | None = data
        if delta.content != "" or delta.refusal is not None or delta.role is UNSET:
            event = with_delta(data, choice, ROLE_DELTA)
        event = None if event is None else self._fitted(event, chunk)
        if event is not None:
            chunks.begin()
            chunks.heard += 1
        return event

    def text(self, data: bytes) -> tuple[PlainChunk, bytes] | None:
        """Return a chunk of text that carries on the stream, and its event."""
        chunks = self._chunks
        try:
            chunk = CHUNK.decode(data)
        except NOT_PLAIN:
            return None
        if not (chunks.continues(chunk) and chunks.is_open(chunk.choices[0].index)):
            return None
        event = self._fitted(data, chunk)
        return None if event is None else (chunk, event)

    def finish(self, data: bytes) -> PlainFinish | None:
        """Return the finish of a stream's one choice, if nothing else is owed before it."""
        chunks = self._chunks
        try:
            chunk = FINISH_CHUNK.decode(data)
            choice = chunk.choices[0]
            empty: PlainOpening | None = None if bytes(choice.delta) == EMPTY_DELTA else OPENING.decode(choice.delta)
        except NOT_PLAIN:
            return None
        if not (chunks.continues(chunk) and chunks.ends_plainly(choice.index)):
            return None
        event = data if empty is None else with_delta(data, choice, EMPTY_DELTA)
        event = None if event is None else self._fitted(event, chunk)
        return None if event is None else PlainFinish(choice.finish_reason, data, event)

    def usage(self, data: bytes) -> PlainUsage | None:
        """Return the report in a chunk of usage and nothing else, if it adds up and is the first."""
        if self._chunks.report.fields is not None or self._chunks.asked_for > 1:  # of several choices it may not tell all
            return None
        try:
            usage = USAGE_CHUNK.decode(data).usage
        except NOT_PLAIN:
            return None
        return usage if usage.adds_up() else None

    def _fitted(self, data: bytes, chunk: PlainChunk | PlainOpeningChunk | PlainFinishChunk) -> bytes | None:
        """Return a chunk with the model's name and the `usage` member that the client is to see; None if the bytes cannot be fitted.

        Of one that can, the service tier is noted.
        """
        event = fit_usage(data, present=chunk.usage is None, wanted=self._wanted)
        if event is not None and chunk.model != self._chunks.model:
            self._renaming = self._renaming or Renaming(chunk.model, self._chunks.model)
            event = self._renaming.renamed(event)
        if event is not None:
            self._chunks.service_tier = chunk.service_tier or self._chunks.service_tier
        return event
