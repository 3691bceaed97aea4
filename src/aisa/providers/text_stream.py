"""Reads streams whose events of further text look alike: what has the bytes of the one before around its text is not decoded.

Which events these are, a dialect says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from aisa.answer import Part
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.shape import Target
from aisa.providers.typed_stream import Reader, TypedStream
from aisa.wire.sse import in_runs, parse_block


class TextTemplate(Protocol):
    """What events of further text have in common; as `sse.Template`."""

    def reach(self, events: bytes, begin: int) -> int:
        """As `sse.Template` has it."""
        ...

    def texts(self, events: bytes) -> list[bytes] | None:
        """Take whole events (without the last blank line) that all fit, and return their texts; None if one does not."""
        ...


T = TypeVar("T", bound=TextTemplate)


class TextStream(TypedStream, Generic[T]):
    """Reads a stream. A dialect's own says what is an event of text, and makes the template of those behind it."""

    def __init__(self, builder: AnswerBuilder, reader: Reader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._template: T | None = None  # of the text that is being said

    def _text(self, block: bytes) -> bool:
        """Take an event of text, of which the next may have the template; say no of one that is more than that, and do nothing."""
        return False

    def _hear(self, texts: list[bytes]) -> None:
        """Tell further texts, as they stand in JSON, without escapes."""
        self._builder.hear(texts)

    def _fitting(self, events: bytes) -> Sequence[Part] | None:
        """Return what events of further text say, None if there are others among them."""
        texts = None if self._template is None else self._template.texts(events)
        if texts is None:
            return None
        self._hear(texts)
        return self._taken()

    def _take_events(self, complete: bytes) -> Sequence[Part]:
        """Take whole events; those of a run of text are read by their template."""
        if complete.find(b"\n\n") < 0:
            self._take_block(complete)
            return self._heard()
        return in_runs(complete, lambda: self._template, lambda _, events: self._fitting(events), one=self._take_one) + self._heard()

    def _take_one(self, block: bytes) -> Sequence[Part]:
        """Take one event of several."""
        self._take_block(block)
        return self._taken()

    def _take_block(self, block: bytes) -> None:
        """Take one event, unless nothing counts any more."""
        if self.failure is None and not self._reader.ended and (self._objects.waiting or not self._text(block)):
            for _, event in parse_block(block):
                if self._template is not None:
                    self._text_ends(self._template)
                self._take_event(event, last=False)

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        if self._template is not None:
            self._text_ends(self._template)
        return super().end()

    def _text_ends(self, template: T) -> None:
        """What follows is not of this text."""
        self._template = None
