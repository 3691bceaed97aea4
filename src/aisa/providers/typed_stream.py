"""Reads answers of dialects that are translated: events or one document in, typed parts out. What they mean, a dialect's reader says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aisa.answer import Part, Report, Told
from aisa.errors import UpstreamFailed
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.blame import blame_for, broken_off, unreadable
from aisa.providers.continuation import Continuation
from aisa.providers.event_objects import ENDS, EventObjects, document_in, objects_in
from aisa.providers.shape import Target
from aisa.usage import Usage
from aisa.wire.ends import Ends
from aisa.wire.shown import Asked
from aisa.wire.sse import Event, EventTooLarge, SseDecoder, beginning, events_in
from aisa.wire.trees import Tree
from aisa.wire.vendor_cost import vendor_cost
from aisa.wire.vendor_error import VendorError


class Reader(Protocol):
    """Knows what the events of a dialect mean, and tells a builder."""

    def take(self, event: Tree) -> Tree | None:
        """Tell what an event, or a whole document, says. Raises VendorError where that is a failure.

        Return it in the vendor's own shape, where somebody passes it on in that.
        """
        ...

    @property
    def ended(self) -> bool:
        """True once the vendor has said that there is no more; always False in a dialect whose streams just end."""
        ...


class TypedDecoder:
    """What the decoders of streams and documents share; implements `shape.Decoder` but for `feed` and `end`."""

    def __init__(self, builder: AnswerBuilder, reader: Reader, target: Target) -> None:
        self.done = False
        self.failure: UpstreamFailed | None = None
        self.finishing = 0
        self.tier_header = ""  # of a dialect whose answers may name their tier beside the body
        self.continuation: Continuation | None = None  # of a dialect whose answers may come in several
        self._builder = builder
        self._reader = reader
        self._target = target

    @property
    def held_bytes(self) -> int:
        """How much of an event that is not whole yet is held: nothing."""
        return 0

    @property
    def certain(self) -> bool:
        """As the builder's."""
        return self._builder.certain

    @property
    def finished(self) -> bool:
        """True when no token can follow."""
        return self.done or self._builder.complete

    @property
    def choices_made(self) -> int:
        """As the builder's."""
        return self._builder.choices_made

    @property
    def tier(self) -> str | None:
        """As the builder's."""
        return self._builder.tier

    def told(self) -> Told:
        """Return what the answer has said of itself so far."""
        builder = self._builder
        return Told(builder.tier, builder.answered, vendor_cost(builder.report.fields), input_changes=builder.input_changes)

    @property
    def unknown(self) -> list[str]:
        """As the builder's."""
        return self._builder.unknown

    @property
    def tokens(self) -> int:
        """As the builder's."""
        return self._builder.tokens

    @property
    def reasoning_shown(self) -> int:
        """As the builder's."""
        return self._builder.reasoning_shown

    @property
    def asked(self) -> Asked:
        """As the builder's."""
        return self._builder.asked

    @property
    def output(self) -> AnswerBuilder:
        """What counts it."""
        return self._builder

    def ends(self) -> Ends:
        """As the builder has it."""
        verdicts = self._builder.verdicts
        return self._builder.answer_id, tuple([verdicts.get(choice, ("", ""))[0] for choice in range(self.choices_made)])

    def usage(self) -> Usage:
        """As the builder's."""
        return self._builder.usage()

    def usage_fault(self, usage: Usage) -> str:
        """As the builder's."""
        return self._builder.usage_fault(usage)

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the report."""
        return [Report(self.usage(), cost_usd)]

    def _goes_on(self) -> bool:
        """Tell whether the rest of the answer is to be asked for."""
        return self.continuation is not None and self.continuation.wanted and self.failure is None

    def _tell(self, event: Tree) -> Tree | None:
        """Tell an event; return what its reader does, None for a failure."""
        try:
            return self._reader.take(event)
        except VendorError as error:
            self._fail(blame_for(error, self._target))
        return None

    def _cut(self, *, stream: bool) -> UpstreamFailed:
        """Return what a body is that ended before its answer did: of an answer if it has events, or something that one shows."""
        builder = self._builder
        return broken_off(self._target, heard=stream or builder.choices_made > 0 or builder.report.fields is not None)

    def _fail(self, failure: UpstreamFailed) -> None:
        """The vendor failed."""
        self.failure = failure

    def _close(self) -> list[Part]:
        """Return what is owed at the end of an answer that is complete."""
        try:
            parts = self._closed()
        except VendorError as error:
            self.failure = blame_for(error, self._target)  # whatever was reported of it: this is no answer
            return []
        self.done = True
        self._learn()
        return parts

    def _learn(self) -> None:
        """Learn from an answer that is complete."""
        self._builder.learn(streamed=True)

    def _taken(self) -> list[Part]:
        """Return what may leave now."""
        return self._builder.take()

    def _closed(self) -> list[Part]:
        """Return what is left. Raises VendorError."""
        return self._builder.close()


class TypedStream(TypedDecoder):
    """Reads a stream of events, each of them one JSON object."""

    def __init__(self, builder: AnswerBuilder, reader: Reader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._begin()

    def _begin(self) -> None:
        """Be ready for a body."""
        self._events = SseDecoder(self._target.answer_bytes_max)
        self._objects = EventObjects()
        self._array: list[bytes] | None = None  # of a body that is JSON and no stream: an array of all events, or an error
        self._size = 0
        self._start: bytes = b""  # what may be half of a byte order mark
        self._streams = False  # it is a stream
        self._event_told = False

    @property
    def held_bytes(self) -> int:
        """How much is held of an event that is not whole yet, or of a body that is no stream, and of what a dialect keeps."""
        return self._events.held_bytes + self._size + self._kept()

    def _kept(self) -> int:
        """Return how much a dialect keeps of events that were taken, in bytes."""
        return 0

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        if not self._streams and not (data := self._first(data)):
            return []
        try:
            complete = self._events.take(data)
        except EventTooLarge:
            self._fail(unreadable(self._target, "an event over the size limit"))
            return self._heard()  # which ends what had its report
        run = self._fitting(complete)
        return self._take_events(complete) if run is None else run

    def _fitting(self, events: bytes) -> Sequence[Part] | None:
        """Return what events of further text come to, in a dialect in which these look alike; None if there are others among them."""
        return None

    def _take_events(self, complete: bytes) -> Sequence[Part]:
        """Take whole events, with blank lines between them."""
        return self._relay(events_in(complete))

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        if self._array is not None:
            self._take_array(b"".join(self._array))
        last = self._events.end()
        parts = self._relay(last, last=True)
        if self._objects.waiting:
            self._tell_all(self._objects.end())
            parts += self._heard()
        if self._goes_on():
            self._begin()
        elif not self.done and self.failure is None:
            if not self._builder.finished:
                self._fail(self._cut(stream=self._array is None and (self._event_told or bool(last))))
                return parts
            parts += self._close()
        return parts

    def _relay(self, events: list[Event], *, last: bool = False) -> list[Part]:
        at = 0
        while at < len(events) and self.failure is None and not self._reader.ended:
            plain = 0 if self._objects.waiting else self._take_plain(events, at)
            if not plain:
                self._take_event(events[at][1], last=last)
            at += plain or 1
        return self._heard()

    def _heard(self) -> list[Part]:
        """Return what may leave now that events were taken, and of the last what is owed."""
        parts = self._taken()
        self.finishing = self._builder.finishing
        return parts + self._close() if self._reader.ended and self.failure is None and not self.done else parts

    def _learn(self) -> None:
        """Learn from an answer that is complete, which may have come as one document."""
        self._builder.learn(streamed=self._array is None)

    def _first(self, data: bytes) -> bytes:
        """Take bytes of a body that is not known to be a stream; return those of one. The first tell whether it is."""
        if self._array is None:
            data, self._start = beginning(self._start, data)
            if data[:1] not in (b"[", b"{"):
                self._streams = bool(data)
                return data
            self._array = []
        self._array.append(data)
        self._size += len(data)
        if self._size > self._target.answer_bytes_max:
            self._fail(unreadable(self._target, "a document over the size limit"))
        return b""

    def _take_array(self, data: bytes) -> None:
        self._tell_all([(event, b"") for event in objects_in(data)])

    def _take_event(self, data: bytes, *, last: bool) -> None:
        if data.startswith(ENDS) or data == b"null":  # llama.cpp says that for each prompt but one
            return
        events = self._objects.take(data)
        if events is not None:
            self._event_told = True
            self._tell_all(events)
        elif b"\n" in data:  # events that a sloppy vendor ended with a single newline
            for line in data.split(b"\n"):
                if line and self.failure is None and not self._reader.ended:
                    self._take_event(line, last=last)
        elif not last:  # what is cut in the middle of an event is told as broken off
            self._fail(unreadable(self._target, "an event that is no JSON object"))

    def _take_plain(self, events: Sequence[Event], at: int) -> int:
        """Take events from a place on, up to one that has not the shape which a dialect's streams are made of. Returns how many."""
        return 0

    def _tell_all(self, events: list[tuple[Tree, bytes]]) -> None:
        """Tell events that were read, each with its own bytes if it is strict JSON in them."""
        for event, _ in events:
            if self.failure is None:
                self._tell(event)


class ReportingReader(Reader, Protocol):
    """A reader of streams that just end, or have an end that may be missing."""

    reported: bool  # behind the last finish, or with it

    def end(self) -> None:
        """There is no more."""
        ...


class ReportedStream(TypedStream):
    """Reads a stream of which a failure behind the report of a finished answer only means that its vendor will say no more."""

    def __init__(self, builder: AnswerBuilder, reader: ReportingReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._reporting = reader

    def _fail(self, failure: UpstreamFailed) -> None:
        if self._reporting.reported:
            self._reporting.end()
        else:
            super()._fail(failure)


class TypedDocument(TypedDecoder):
    """Reads one document."""

    def __init__(self, builder: AnswerBuilder, reader: Reader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._body: list[bytes] = []
        self._size = 0
        self._parts: list[Part] = []

    @property
    def held_bytes(self) -> int:
        """All of it, until it is sent."""
        return self._size

    @property
    def finished(self) -> bool:
        """Never: it is whole or nothing."""
        return False

    @property
    def tokens(self) -> int:
        """None yet: it is delivered whole or not at all."""
        return 0

    @property
    def reasoning_shown(self) -> int:
        """None yet, as it is delivered whole or not at all."""
        return 0

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        self._body.append(data)
        self._size += len(data)
        if self._size > self._target.answer_bytes_max:
            self._fail(unreadable(self._target, "a document over the size limit"))
        return []

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        document = document_in(b"".join(self._body))
        if document is None:
            self._fail(unreadable(self._target, "a body that is not a JSON object"))
            return []
        tree, whole = document
        self._body = [whole]
        self._tell(tree)
        if self._goes_on():
            self._body.clear()
            return []
        if self.failure is None and not self._builder.finished:
            self._fail(self._cut(stream=False))
        if self.failure is None:
            self._parts = self._close()
        return []

    def _learn(self) -> None:
        """Learn from an answer that is complete."""
        self._builder.learn(streamed=False)

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return all that it says."""
        parts = [msgspec.structs.replace(part, tokens=0) for part in self._parts]
        return [*parts, Report(self.usage(), cost_usd)]
