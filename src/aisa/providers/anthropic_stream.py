"""Reads a stream in Anthropic's dialect. Sans-IO; what events say is in `anthropic_events.py`, how they pass in `anthropic_pass.py`."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.answer import Part, Piece, Report, Told, together
from aisa.errors import UpstreamFailed
from aisa.providers.anthropic_events import Asker, Events
from aisa.providers.anthropic_pass import Passing
from aisa.providers.anthropic_plain import FURTHER_PLACES, further_of, plain_text
from aisa.providers.anthropic_shapes import before_its_end, error_of, message_of, usual
from aisa.providers.anthropic_usage import MessageUsage
from aisa.providers.blame import blame_for, broken_off, unreadable
from aisa.providers.content_blocks import blocks_of
from aisa.providers.counting import AskedOf
from aisa.providers.event_objects import ENDS, EventObjects, object_in
from aisa.providers.shape import Target
from aisa.usage import REPORTED, Usage
from aisa.wire.door import Request
from aisa.wire.ends import Ends
from aisa.wire.finish import verdict_on
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_code import runs_code
from aisa.wire.plain import ChunkTemplate
from aisa.wire.shown import Shown
from aisa.wire.sse import Event, EventTooLarge, SseDecoder, beginning, events_in, in_runs
from aisa.wire.token_meter import TokenMeter, weakest
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none
from aisa.wire.vendor_cost import vendor_cost
from aisa.wire.vendor_error import VendorError, error_in

#: Events of further text, as Anthropic writes them, by the place of their block: they are passed without being decoded.
FURTHER = {place: further_of(place) for place in range(FURTHER_PLACES)}
OPENING_PARTS_MAX = 1_000  # pings and openings that come before the first word; beyond, the client gets them


class MessageReader:
    """What every decoder of an answer in this dialect has in common: its events, its usage, and what it knows of the request."""

    finishing = 0  # it says itself when it has said all
    certain = True

    def __init__(self, request: Request, target: Target, asker: Asker) -> None:
        self.done = False
        self.failure: UpstreamFailed | None = None
        self.held_bytes = 0
        self._target = target
        self._events = Events(target, asker)
        self._usage = MessageUsage()
        self._answered = ""  # the model that the vendor names
        self._final: Usage | None = None  # of an answer that is complete, as its vendor reported it
        self.asked = AskedOf(request, target)
        self._request = request
        self._ran = False  # code, in a container of the vendor's

    @property
    def choices_made(self) -> int:
        """One, once it is begun."""
        return int(self._events.begun)

    @property
    def tier(self) -> str | None:
        """The service tier, or the speed, that the answer has named so far."""
        return self._usage.tier

    def told(self) -> Told:
        """Return what the answer has said of itself so far."""
        usage, request = self._usage, self._request
        advice = usage.advice if self.done else ()
        ran = int(self._ran and isinstance(request, MessagesRequest) and runs_code(request.tree.get("tools")))
        return Told(usage.tier, usage.served_by or self._answered, vendor_cost(usage.fields), code_runs=ran, advice=advice)

    @property
    def unknown(self) -> list[str]:
        """Reasons to stop in nobody's table that were taken for `stop`."""
        return self._events.unknown

    def usage(self) -> Usage:
        """Return the tokens so far."""
        if self._final is not None:
            return self._final
        told = self._usage.usage(self.shown(), self.asked)
        if self.done and told.source == REPORTED:
            self._final = told if told.input_source == REPORTED else None
            return told
        shown = self.shown(exact=True)
        if told.source != REPORTED:
            return self._usage.usage(shown, self.asked)
        return told.with_output(shown.tokens, shown.reasoning, shown.way)

    @property
    def output(self) -> MessageReader:
        """What counts it."""
        return self

    def ends(self) -> Ends:
        """Return the message's id and why it stopped."""
        events = self._events
        return events.id, (verdict_on(events.reason) if events.reason else "",) if events.begun else ()

    @property
    def meters(self) -> list[TokenMeter]:
        """What counts the message."""
        return [self._events.meter]

    def shown(self, *, exact: bool = False) -> Shown:
        """Return the output so far by our own count; `exact` has a tokenizer count it."""
        events = self._events
        tokens = events.meter.exact() if exact else events.tokens
        way = weakest([events.meter.way] if events.tokens else [])
        return Shown(tokens, min(events.reasoning, tokens), way, None if events.hidden else events.meter.total[1])

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report of a finished answer."""
        return self._usage.fault(usage) if self.done else ""

    def _read(self, tree: Tree) -> list[Part]:
        """Return what an event says. Raises VendorError."""
        kind = tree.get("type")
        if kind == "error":
            raise VendorError(tree.get("error") or tree)
        if kind == "message_start":
            message = tree.get("message")
            self._usage.take(message.get("usage") if is_tree(message) else None)
            self._answered = (text_or_none(message.get("model")) if is_tree(message) else None) or self._answered
        elif kind == "message_delta":
            self._usage.take(tree.get("usage"))
        self._ran = self._ran or any(is_tree(as_tree(tree.get(part)).get("container")) for part in ("message", "delta"))
        parts = self._events.take(tree)
        if self._events.stopped and not self.done:
            self.done = True
            self._learn()
        return parts

    def _learn(self) -> None:
        """Let the target's measure learn from a message that is complete; what it thought in is mostly a summary, and teaches nothing."""
        events = self._events
        pieces, size = events.meter.total
        shown = Shown(events.tokens, events.reasoning, text_bytes=None if events.hidden else size)
        self._target.measure.learn_from(self.usage(), shown, pieces if self._streamed else 0)

    @property
    def _streamed(self) -> bool:
        """True of an answer that came in pieces."""
        return False


class StreamDecoder(MessageReader):
    """Reads a stream: for a door of the same protocol its events pass, made whole where they are not; else typed parts."""

    failure: UpstreamFailed | None

    def __init__(self, request: Request, target: Target, asker: Asker, *, passes: bool) -> None:
        super().__init__(request, target, asker)
        self._sse = SseDecoder(target.answer_bytes_max)
        self._objects = EventObjects()
        self._passing = Passing(target, asker) if passes else None
        self._events.sealing = not passes  # who gets the vendor's own blocks sends them back
        self._opening: list[Part] = []
        self._shown = False
        self._template: ChunkTemplate | None = None  # of the text that is being said, in the block with this number
        self._place = 0
        self._whole: bytearray | None = None  # a document where a stream was asked
        self._first = True
        self._heard = False  # an event, of whatever kind
        self._start: bytes = b""  # what may be half of a byte order mark

    @property
    def _streamed(self) -> bool:
        """True unless it was one document where a stream was asked."""
        return self._whole is None

    @property
    def finished(self) -> bool:
        """True once the message says why it stops: only its end is to come, and until then its report is not believed."""
        return self._events.ended

    @property
    def tokens(self) -> int:
        """Tokens in the parts so far."""
        return self._events.tokens

    @property
    def reasoning_shown(self) -> int:
        """Those of them that showed the model's thinking."""
        return self._events.reasoning

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        if self._first:
            data, self._start = beginning(self._start, data)
            self._first = not data
            if data[:1] in (b"{", b"["):
                self._whole = bytearray()
        if self._whole is not None:
            self._whole += data
            self.held_bytes = len(self._whole)
            if self.held_bytes > self._target.answer_bytes_max:
                self.failure = unreadable(self._target, "a document over the size limit")
            return []
        try:
            complete = self._sse.take(data)
        except EventTooLarge:
            self.failure = unreadable(self._target, "an event over the size limit")
            return []
        self.held_bytes = self._sse.held_bytes
        template = self._template
        if template is not None and self._shown and (run := self._fitting(template, complete)) is not None:
            return run
        return self._given(in_runs(complete, lambda: self._template, self._fitting, one=lambda block: self._parts(events_in(block))))

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body. A message that has not stopped has failed."""
        last = self._sse.end()
        parts = self._parts(last) if self._whole is None else self._as_stream(bytes(self._whole))
        parts += self._told(self._objects.end(), b"")
        if not self.done and self.failure is None:
            self.failure = broken_off(self._target, heard=self._heard or bool(last))
        return self._given(parts)

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the end with its usage, or the report alone."""
        if self._passing is None:
            return [Report(self.usage(), cost_usd)]
        return [Piece(self._passing.closing(self._usage.fields, self.usage(), cost_usd), 0)]

    def _given(self, parts: list[Part]) -> Sequence[Part]:
        """Keep back what only opens an answer: until something is said, another target may still say it."""
        if not self._shown:
            self._opening += parts
            if not self._events.begun and len(self._opening) < OPENING_PARTS_MAX:
                return []
            self._shown = True
            parts, self._opening = self._opening, []
        return parts if self._passing is None else together([part for part in parts if isinstance(part, Piece)])

    def _fitting(self, template: ChunkTemplate, events: bytes) -> Sequence[Part] | None:
        """Return what comes of events of further text, None if there are others among them."""
        if self._passing is None:
            texts = template.texts(events)
            return None if texts is None else self._events.hear(self._place, texts)
        piece = template.match(events, self._events.meter)
        if piece is None:
            return None
        self._events.tokens += piece.tokens
        return (piece,)

    def _parts(self, events: list[Event]) -> list[Part]:
        parts: list[Part] = []
        for name, data in events:
            if self.done or self.failure is not None:
                break
            event, passing = None if self._objects.waiting else plain_text(data), self._passing
            if event is not None and passing is not None and not passing.keeps(event.index, data):
                event = None
            text = None if event is None else self._events.say(event.index, event.delta.text)
            if event is None or text is None:
                self._template = None
                parts += self._one(name, data)
                continue
            self._template, self._place = FURTHER.get(event.index), event.index
            if passing is None:
                parts.append(text)
            else:
                parts.append(Piece(b"event: content_block_delta\ndata: %b\n\n" % data, text.tokens, carries=text.tokens > 0))
        return parts

    def _one(self, name: bytes, data: bytes) -> list[Part]:
        if data.startswith(ENDS) or (name == b"ping" and not data.startswith(b"{")):
            return []
        self._heard = True
        if name == b"error" and b"\n" not in data:  # else the name is that of the last of several events
            return self._told([*self._objects.end(), (error_of(data), b"")], name)
        events = self._objects.take(data)
        if events is None and b"\n" in data:  # events that a sloppy vendor ended with a single newline
            return self._parts([(b"", line) for line in data.split(b"\n") if line])
        if events is None:
            self.failure = unreadable(self._target, "an event that is no JSON object")
            return []
        return self._told(events, name)

    def _told(self, events: list[tuple[Tree, bytes]], name: bytes) -> list[Part]:
        """Return what events say; `name` is that of the last of them, where it does not say so itself."""
        parts: list[Part] = []
        for tree, data in [one for event in events for one in apart(*event)]:
            typed = "type" in tree
            if not typed:
                failed = "error" in tree or (not is_tree(tree.get("message")) and error_in(tree) is not None)
                tree["type"] = "error" if failed else name.decode("utf-8", "replace")
            for event in before_its_end(tree):
                if not self.done and self.failure is None:
                    parts += self._event(event, data if typed and event is tree else b"")
        return parts

    def _event(self, tree: Tree, data: bytes) -> list[Part]:
        before = self._events.tokens
        try:
            given, tree = tree, usual(tree)
            data = data if tree is given else b""
            parts = self._read(tree)
            if self._passing is None:
                return parts
            return list(self._passing.take(tree, data, self._events.tokens - before))
        except VendorError as error:
            self.failure = blame_for(error, self._target)
            return []

    def _as_stream(self, body: bytes) -> list[Part]:
        """Read one document as the stream that was asked for."""
        tree = object_in(body)
        if tree is None:
            self.failure = unreadable(self._target, "a body that is neither a stream nor JSON")
            return []
        try:
            events = events_of(message_of(tree))
        except VendorError as error:
            self.failure = blame_for(error, self._target)
            return []
        parts: list[Part] = []
        for event in events:
            if self.failure is None:
                parts += self._event(event, b"")
        return parts


def apart(tree: Tree, data: bytes) -> list[tuple[Tree, bytes]]:
    """Return an event and, of one that opens a message with content in it already, the openings of these blocks behind it."""
    message = as_tree(tree.get("message"))
    return [(tree, data), *((one, b"") for one in openings(message.get("content")))]


def openings(content: object) -> list[Tree]:
    """Return the events in which blocks that are whole begin."""
    return [{"type": "content_block_start", "index": index, "content_block": block} for index, block in enumerate(blocks_of(content))]


def events_of(message: Tree) -> list[Tree]:
    """Return the events that a whole message would have been streamed in; of an error, that."""
    if message.get("type") == "error" or "error" in message or "content" not in message:
        return [{"type": "error", "error": message.get("error") or message}]
    opening: Tree = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Tree] = [{"type": "message_start", "message": opening}]
    for begun in openings(message["content"]):
        events += [begun, {"type": "content_block_stop", "index": begun["index"]}]
    ending = {name: message.get(name) for name in ("stop_reason", "stop_sequence", "stop_details", "container") if name in message}
    return [*events, {"type": "message_delta", "delta": ending, "usage": message.get("usage")}, {"type": "message_stop"}]
