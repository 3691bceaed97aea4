"""Reads a stream in Bedrock's dialect: binary frames in, typed parts out. What the events mean, `bedrock_reader.py` says."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.answer import Part
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.bedrock_plain import plain_texts
from aisa.providers.bedrock_reader import BedrockReader
from aisa.providers.blame import broken_off, unreadable
from aisa.providers.event_objects import EventObjects, object_in
from aisa.providers.event_stream import CODE, EVENT, EXCEPTION, MESSAGE, WORDS, BrokenFrame, Frame, FrameDecoder
from aisa.providers.shape import Target
from aisa.providers.typed_stream import TypedDecoder

REFUSAL_BYTES_MAX = 1_048_576  # of a refusal that came in place of a stream; real ones have a few hundred


class FrameStream(TypedDecoder):
    """Reads a stream of frames. A body that is JSON is a refusal that came in place of one."""

    def __init__(self, builder: AnswerBuilder, reader: BedrockReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._bedrock = reader
        self._frames = FrameDecoder(target.answer_bytes_max)
        self._objects = EventObjects()
        self._refusal: bytearray | None = None
        self._first = True
        self._heard = False  # a frame, of whatever kind

    @property
    def held_bytes(self) -> int:
        """How much is held of a frame that is not whole yet, or of a refusal."""
        return self._frames.held_bytes + len(self._refusal or b"")

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        if self._first:
            data = data.lstrip()  # a blank in front of JSON; as the length of a frame, it is 150 megabytes and more
            self._first = not data
            self._refusal = bytearray() if data[:1] in (b"{", b"[") else None  # as a length, that is two gigabytes
        if self._refusal is not None:
            self._refusal += data[: REFUSAL_BYTES_MAX - len(self._refusal)]
            return []
        try:
            return self._relay(self._frames.feed(data))
        except BrokenFrame as broken:
            parts = self._relay(broken.args[1])
            if not self.done and self.failure is None:
                self._fail(unreadable(self._target, str(broken.args[0])))
            return parts

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body: a frame that was cut is a failure, and so is an answer without its end."""
        if self._refusal is not None:
            self._tell({"type": EXCEPTION, "report": object_in(bytes(self._refusal)) or {}})
        if self.done or self.failure is not None:
            return []
        if self._frames.held_bytes or not self._builder.finished:
            self._fail(broken_off(self._target, heard=self._heard or self._frames.begun))
            return []
        return self._close()

    def _relay(self, frames: list[Frame]) -> list[Part]:
        at = 0
        self._heard = self._heard or bool(frames)
        while at < len(frames) and self.failure is None and not self._reader.ended:
            index, texts = (0, []) if self._objects.waiting else plain_texts(frames, at)
            if texts:
                self._bedrock.say(index, texts)
            else:
                self._take(frames[at])
            at += len(texts) or 1
        parts = self._taken()
        self.finishing = self._builder.finishing
        return parts + self._close() if self._reader.ended and self.failure is None and not self.done else parts

    def _take(self, frame: Frame) -> None:
        headers = frame.headers
        kind = headers.get(MESSAGE, "event")
        if kind == "error":
            self._tell({"type": EXCEPTION, "report": {"code": headers.get(CODE), "message": headers.get(WORDS)}})
            return
        if kind == "exception":
            self._tell({"type": EXCEPTION, "report": {"code": headers.get(EXCEPTION), **(object_in(frame.payload) or {})}})
            return
        events = self._objects.take(frame.payload, {"type": headers.get(EVENT, "")})
        if events is None:
            self._fail(unreadable(self._target, "an event that is no JSON object"))
        for event, _ in events or ():
            self._tell(event)
