"""Reads one document in Anthropic's dialect. Sans-IO; what it says is read as the stream that it would have been."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from aisa.answer import Part, Piece, Report, Told
from aisa.errors import UpstreamFailed
from aisa.providers.anthropic_events import Asker
from aisa.providers.anthropic_pass import reason_shown
from aisa.providers.anthropic_plain import PlainMessage, plain_message
from aisa.providers.anthropic_shapes import message_of, usual
from aisa.providers.anthropic_stream import MessageReader, StreamDecoder, events_of
from aisa.providers.anthropic_usage import OUTPUT, in_place_of, written
from aisa.providers.blame import blame_for, unreadable
from aisa.providers.event_objects import document_in
from aisa.providers.shape import Target
from aisa.usage import REPORTED
from aisa.wire.door import Request
from aisa.wire.ends import Ends
from aisa.wire.finish import verdict_on
from aisa.wire.model_name import shown_name
from aisa.wire.passed_document import FIELDS, passed
from aisa.wire.shown import Shown
from aisa.wire.trees import Tree, as_tree, trees_in
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_error import VendorError


class AnswerDecoder(MessageReader):
    """Reads one document, and gives it back whole once the bill is settled."""

    failure: UpstreamFailed | None

    def __init__(self, request: Request, target: Target, asker: Asker, *, passes: bool) -> None:
        super().__init__(request, target, asker)
        self.tokens = self.reasoning_shown = 0  # a document is delivered whole or not at all
        self.finished = False
        self._passes = passes
        self._asker = asker
        self._body = bytearray()
        self._message: Tree = {}
        self._parts: list[Part] = []
        self._plain: PlainMessage | None = None  # the message, where nothing of it needs a second look

    @property
    def choices_made(self) -> int:
        """One, once it is there."""
        return 1 if self._plain is not None else super().choices_made

    @property
    def tier(self) -> str | None:
        """The service tier, or the speed, that the answer has named."""
        return super().tier if self._plain is None else self._plain.usage.tier()

    def told(self) -> Told:
        """Return what the answer says of itself."""
        return super().told() if self._plain is None else Told(self._plain.usage.tier(), self._plain.model)

    def ends(self) -> Ends:
        """Return the message's id and why it stopped."""
        return super().ends() if self._plain is None else (self._plain.id, (verdict_on(self._plain.stop_reason),))

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        self._body += data
        if len(self._body) > self._target.answer_bytes_max:
            self.failure = unreadable(self._target, "a document over the size limit")
        return []

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        if self._passes and self._take_plain():
            return []
        document = document_in(bytes(self._body))
        if document is None:
            self.failure = unreadable(self._target, "a body that is not a JSON object")
            return []
        tree, self._body[:] = document
        try:
            self._message = message_of(tree)
            if self._message is not tree:
                self._body[:] = msgspec.json.encode(self._message)
            for event in events_of(self._message):
                self._parts += self._read(usual(event))
        except VendorError as error:
            self.failure = blame_for(error, self._target)
        return []

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the whole body, or what it says."""
        if not self._passes:
            return [*[msgspec.structs.replace(part, tokens=0) for part in self._parts], Report(self.usage(), cost_usd)]
        return [Piece(self._whole(cost_usd), 0)]

    def _take_plain(self) -> bool:
        """Read a message that can only pass as it is; say no of any other, and of what cannot be."""
        message = plain_message(self._body)
        told = None if message is None else message.usage.usage()
        if message is None or told is None:
            return False
        meter = self._events.meter
        tokens = sum([meter.add_text(text) for text in message.texts()])
        shown = Shown(tokens, 0, text_bytes=meter.total[1])
        if not shown.allows(told, self.asked):
            self._events.meter = self._target.measure.meter()
            return False
        self._plain, self._final, self.done = message, told, True
        self._target.measure.learn_from(told, shown, 0)
        return True

    def _passed(self, message: PlainMessage, cost_usd: str | None) -> bytes:
        """Return a message under the model's name here, with what it costs."""
        shown = self._target.public or shown_name(message.model, self._asker.model)
        return passed(bytes(self._body), message.model, shown, cost_usd=cost_usd)

    def _whole(self, cost_usd: str | None) -> bytes:
        if self._plain is not None:
            return self._passed(self._plain, cost_usd)
        message, usage = self._message, self.usage()
        shown = self._target.public or shown_name(message.get("model"), self._asker.model)
        changed: Tree = {} if message.get("model") == shown else {"model": shown}
        calls = any(block.get("type") == "tool_use" for block in trees_in(message.get("content")))
        if (reason := reason_shown(message.get("stop_reason"), calls=calls)) != message.get("stop_reason"):
            changed["stop_reason"] = reason
        given = as_tree(message.get("usage"))
        counts: Tree = {} if (told := written(given)) is given else told
        if usage.source != REPORTED or count_of(given.get(OUTPUT)) is None:
            counts[OUTPUT] = usage.output_tokens
        if usage.input_source != REPORTED:
            counts |= in_place_of(given, usage)
        if cost_usd is not None:
            counts["cost"] = Raw(cost_usd.encode())
        if counts:
            changed["usage"] = given | counts
        return msgspec.json.encode({**FIELDS.decode(self._body), **changed}) if changed else bytes(self._body)


class AssemblyDecoder(AnswerDecoder):
    """Reads a stream that the client does not know of, and gives back what it says once the bill is settled.

    For doors that write the document themselves. A vendor notices that somebody has left a stream at once, and of a document often not.
    """

    def __init__(self, request: Request, target: Target, asker: Asker) -> None:
        super().__init__(request, target, asker, passes=False)
        self._stream = StreamDecoder(request, target, asker, passes=False)
        self._events, self._usage = self._stream._events, self._stream._usage  # noqa: SLF001 - of one kind with it

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        self.held_bytes += len(data)
        if self.held_bytes > self._target.answer_bytes_max:
            self.failure = unreadable(self._target, "a document over the size limit")
            return []
        return self._take(self._stream.feed(data))

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        return self._take(self._stream.end())

    def _take(self, parts: Sequence[Part]) -> Sequence[Part]:
        self._parts += parts
        self.done, self.failure = self._stream.done, self._stream.failure
        return []
