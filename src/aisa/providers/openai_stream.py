"""Reads a stream in the OpenAI dialect. Sans-IO; what a chunk must look like is `wire.chunks`, whose fault a failure is, `blame`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from aisa.answer import Part, Piece, Report, Text, Told
from aisa.errors import UpstreamFailed
from aisa.providers.blame import blame_for, broken_off, unreadable
from aisa.providers.counting import AskedOf
from aisa.providers.event_objects import ENDS, tree_in
from aisa.providers.heard_texts import heard
from aisa.providers.openai_answer import Identity, as_usage, read_document
from aisa.providers.openai_plain import LIKE_FINISH, LIKE_USAGE, PlainChunks, PlainFinish
from aisa.providers.outlet import Outlet
from aisa.providers.shape import Target
from aisa.usage import IMPLAUSIBLE, REPORTED, Usage
from aisa.wire.answer import as_chunk
from aisa.wire.chat import ChatRequest
from aisa.wire.chunks import ChunkStream
from aisa.wire.fitting import untouched
from aisa.wire.lenient_json import NotEvenLenient, encode, read_leniently
from aisa.wire.plain import NOT_PLAIN, ChunkTemplate, PlainChunk, PlainUsage, is_utf8, template_of
from aisa.wire.searches import FORCING, NOTHING_SHOWN, shown_by
from aisa.wire.sse import DONE, LF, Event, EventTooLarge, SseDecoder, beginning, data_event, events_in, in_runs
from aisa.wire.stop_sequences import stop_sequences
from aisa.wire.token_meter import TokenMeter
from aisa.wire.trees import Tree, is_tree
from aisa.wire.usage_report import with_cost
from aisa.wire.vendor_cost import vendor_cost
from aisa.wire.vendor_error import VendorError
from aisa.wire.vendor_tier import first_known, tier_in, tier_named


class StreamDecoder:
    """Reads a stream: conformant events pass byte for byte, all others are made conformant."""

    __slots__ = (
        "_begun", "_chat", "_chunks", "_ended", "_events", "_final", "_finish", "_identity", "_include_usage", "_kept", "_may_search",
        "_meter", "_outlet", "_pending", "_place", "_plain", "_start", "_target", "_template", "_told", "_whole", "asked", "done",
        "failure", "finishing",
    )  # fmt: skip

    _meter: TokenMeter  # of the choice that the template is of
    _place: int  # of that choice

    def __init__(self, chat: ChatRequest, target: Target, identity: Identity, *, passes: bool = True) -> None:
        self.done = False
        self.failure: UpstreamFailed | None = None
        self.finishing = 0
        self._target, self._chat, self._identity = target, chat, identity
        self._include_usage = chat.include_usage
        self._events = SseDecoder(target.answer_bytes_max)  # an image is as large in an event as in a document
        self._chunks = ChunkStream(
            identity, chat, meter=target.measure.meter, public=target.public, stops=stop_sequences(chat.known) if target.cut_stop else ()
        )
        self.asked = AskedOf(chat, target)
        self._plain = PlainChunks(self._chunks, wanted=chat.include_usage)
        self._finish: PlainFinish | None = None  # held back, and not yet told to the chunks
        self._kept: Sequence[tuple[Tree, bytes]] = ()  # finish chunks held back that were conformant, and their events
        self._template: ChunkTemplate | None = None
        self._told: tuple[Tree | None, Usage] | None = None  # a report that came in a chunk of its own and is right as it is, and read
        self._final: Usage | None = None  # the tokens of an answer that is done
        self._ended = self._begun = False
        self._whole: bytearray | None = None  # a document where a stream was asked
        self._pending = 0  # tokens counted of which no piece has left
        self._outlet = Outlet(passes=passes)
        self._may_search = not FORCING.isdisjoint(chat.fields)
        self._start: bytes = b""  # what may be half of a byte order mark

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body; what they complete is one piece at most."""
        if not self._begun:
            data = self._first(data)
        if self._whole is not None:
            return self._kept_whole(data)
        try:
            complete = self._events.take(data)
        except EventTooLarge:
            self.failure = unreadable(self._target, "an event over the size limit")
            return []
        if self._template is not None and self._outlet.shown and (run := self._matched(self._template, complete)) is not None:
            return run
        parts = in_runs(complete, lambda: self._template, self._matched, one=self._relay_block)
        return self._outlet.take(parts, begun=self._chunks.begun or self.done)

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body. A stream that ends with neither a finish reason nor `[DONE]` has failed."""
        self._ended = True
        last = self._events.end()
        pieces = self._relay_document() if self._whole is not None else self._relay_events(last)
        if not self.done and self.failure is None:
            if self._finish is not None or self._chunks.finished:
                pieces += self._release(self._chunks.end)
            else:
                self.failure = broken_off(self._target, heard=bool(last or self._chunks.identity))
        return self._outlet.take(pieces, begun=self._chunks.begun or self.done)

    def _kept_whole(self, data: bytes) -> Sequence[Part]:
        """Take bytes of a document where a stream was asked."""
        assert self._whole is not None, "the caller looked"
        self._whole += data
        if len(self._whole) > self._target.answer_bytes_max:
            self.failure = unreadable(self._target, "a document over the size limit")
        return []

    def _first(self, data: bytes) -> bytes:
        """Take the first bytes of a body, without a byte order mark: they tell whether it is a stream or one document."""
        data, self._start = beginning(self._start, data)
        self._begun = bool(data)
        if data[:1] in (b"{", b"[", b'"'):
            self._whole = bytearray()
        return data

    def usage(self) -> Usage:
        """Return the tokens so far."""
        usage = self._final or self._usage()
        self._final = usage if self.done and usage.source == usage.input_source == REPORTED else None
        return usage

    def _usage(self) -> Usage:
        chunks = self._chunks
        if chunks.report.fields is None:
            return chunks.report.usage(chunks.shown(exact=True), self.asked)
        shown = chunks.shown()
        if self._told is not None and chunks.report.fields is self._told[0] and shown.allows(self._told[1], self.asked):
            told = self._told[1]
        else:
            told = chunks.report.usage(shown, self.asked)
        if told.source != REPORTED:
            return chunks.report.usage(chunks.shown(exact=True), self.asked)
        if self.finished or (chunks.running is not None and chunks.running.tells_of(chunks.tokens)):
            return told
        shown = chunks.shown(exact=True)
        return told.with_output(max(shown.tokens, told.output_tokens), max(told.reasoning_tokens, shown.reasoning), shown.way)

    @property
    def held_bytes(self) -> int:
        """How much is held of an event that is not whole yet, or of a document where a stream was asked."""
        return self._events.held_bytes if self._whole is None else len(self._whole)

    @property
    def finished(self) -> bool:
        """True when no token can follow, only usage and the end."""
        return self.done or self._finish is not None or self._chunks.complete

    def usage_fault(self, usage: Usage) -> str:
        """Say what is wrong with the vendor's report of a finished answer."""
        told = self.finished or IMPLAUSIBLE in (usage.source, usage.input_source)  # before its end a report may leave something out
        return self._chunks.report.fault(usage) if told else ""

    @property
    def certain(self) -> bool:
        """True when every finish so far was given for a reason that is known."""
        return self._chunks.certain

    @property
    def choices_made(self) -> int:
        """How many choices have begun."""
        return len(self._chunks.choices)

    @property
    def tier(self) -> str | None:
        """The service tier that the last chunk to name one has named, or the report of usage."""
        return first_known(tier_named(self._chunks.service_tier), tier_in(self._chunks.report.fields))

    def told(self) -> Told:
        """Return what the answer has said of itself so far; of models the last that a chunk has named."""
        chunks = self._chunks
        shown = shown_by(chunks.searches, self._chat) if chunks.searches or self._may_search else NOTHING_SHOWN
        if self._told is not None and chunks.report.fields is self._told[0]:  # as OpenAI writes it: without a tier, and without a cost
            return Told(tier_named(chunks.service_tier), chunks.answered, None, *shown)
        return Told(self.tier, chunks.answered, vendor_cost(chunks.report.fields), *shown)

    @property
    def unknown(self) -> list[str]:
        """Finish reasons in nobody's table that were taken for `stop`."""
        return self._chunks.unknown

    @property
    def tokens(self) -> int:
        """Tokens in the pieces so far."""
        return self._chunks.tokens

    @property
    def reasoning_shown(self) -> int:
        """Those of them that showed the model's thinking."""
        return self._chunks.reasoning

    @property
    def output(self) -> ChunkStream:
        """What counts it."""
        return self._chunks

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the usage chunk, if it was asked for, and `[DONE]`; or the report alone. The answer is complete, and is learned from."""
        usage = self.usage()
        self._target.measure.learn_from(usage, self._chunks.shown(), self._chunks.pieces, choices=self.choices_made)
        if not self._outlet.passes:
            return [Report(usage, cost_usd)]
        if not self._include_usage:
            return [Piece(DONE, 0)]
        document = self._chunks.report.document(usage)
        return [Piece(data_event(encode(self._chunks.usage_chunk(with_cost(document, cost_usd)))) + DONE, 0)]

    def _matched(self, template: ChunkTemplate, events: bytes) -> Sequence[Part] | None:
        """Return events as one piece, or the texts in them, if they are what the template stands for."""
        if not self._outlet.passes:
            return self._texts(template, events)
        if (piece := template.match(events, self._meter)) is None:
            return None
        self._chunks.tokens += piece.tokens
        return (piece,)

    def _texts(self, template: ChunkTemplate, events: bytes) -> Sequence[Part] | None:
        """Return the texts, for a door of another protocol."""
        texts = template.texts(events)
        if texts is None:
            return None
        before = self._meter.tokens
        parts = heard(self._place, texts, self._meter)
        self._chunks.tokens += self._meter.tokens - before
        return parts

    def _relay_block(self, block: bytes) -> list[Part]:
        """Relay one event, or nothing of a comment."""
        if not block.startswith(b"data: ") or LF in block:
            return self._relay_events(events_in(block))
        return [] if self.done or self.failure is not None else self._relay_one(b"", block[6:])

    def _relay_events(self, events: list[Event]) -> list[Part]:
        pieces: list[Part] = []
        for name, data in events:
            if not (self.done or self.failure):
                pieces += self._relay_one(name, data)
        return pieces

    def _relay_one(self, name: bytes, data: bytes) -> list[Part]:
        self._template = None  # this event may end what it stands for
        if not data.startswith(b"{") or LF in data or not is_utf8(data):
            return self._relay_slowly(name, data) if data and (name or data != b"null") else []
        if not self._chunks.identity and (event := self._plain.opening(data)) is not None:
            return [Piece(data_event(event), 0)]
        if LIKE_USAGE(data):
            usage = self._plain.usage(data)
            return self._relay_slowly(name, data) if usage is None else self._take_usage(usage, data)
        if self._finish is not None:
            return self._relay_slowly(name, data)
        if LIKE_FINISH(data):
            return self._hold_finish(self._plain.finish(data), data)
        return self._relay_text(self._plain.text(data), data) if self._chunks.identity else self._relay_slowly(name, data)

    def _relay_text(self, taken: tuple[PlainChunk, bytes] | None, data: bytes) -> list[Part]:
        """Relay a conformant chunk of text."""
        if taken is None:
            return self._relay_slowly(b"", data)
        chunk, event = taken
        choice = chunk.choices[0]
        self._template, self._place = template_of(data, event), choice.index
        self._meter = self._chunks.choices[choice.index].meter
        tokens = self._meter.add_text(choice.delta.content)
        self._chunks.tokens += tokens
        return [Piece(data_event(event), tokens, carries=True) if self._outlet.passes else Text(choice.index, choice.delta.content, tokens)]

    def _hold_finish(self, finish: PlainFinish | None, data: bytes) -> list[Part]:
        """Hold a conformant finish back: most often usage follows, or the end, and nothing that it would have to wait for."""
        if finish is None:
            return self._relay_slowly(b"", data)
        self._finish = finish
        self.finishing = self._chunks.heard + 1
        return []

    def _finished(self) -> list[Part]:
        """Return the finish that was held back, now that it may pass."""
        finish, self._finish = self._finish, None
        if finish is None:
            return []
        self._chunks.end_plainly(0, finish.reason)
        return [Piece(data_event(finish.event), self._carried(self._chunks.tokens))]

    def _take_usage(self, usage: PlainUsage, data: bytes) -> list[Part]:
        """Take usage that is right as it is, for the settlement; it is passed on behind that."""
        chunks = self._chunks
        try:
            tree: Tree = msgspec.json.decode(data)
        except NOT_PLAIN:  # a member that was skipped is no number
            tree = tree_in(data)
        chunks.report.take(tree["usage"])
        self._told = None if chunks.report.steps else (chunks.report.fields, as_usage(usage))
        counted, pieces = chunks.tokens, self._finished()
        try:
            owed = chunks.reported(tree)
        except VendorError as error:
            self._fail(blame_for(error, self._target))
            return pieces
        self.finishing = chunks.finishing
        return pieces + self._as_pieces(owed, counted)

    def _relay_slowly(self, name: bytes, data: bytes) -> list[Part]:
        if data.startswith(ENDS):
            return self._release(self._chunks.finish)
        if self._finish is not None:  # so it was not the last word: the chunks must know of it
            finish, self._finish = self._finish, None
            self._accept(tree_in(finish.data), b"", finish.data)
        try:
            return self._accept(msgspec.json.decode(data), name, data)
        except NOT_PLAIN:
            if LF in data:  # events that a sloppy vendor ended with a single newline
                return self._relay_events([(name, line) for line in data.split(b"\n") if line])
        try:
            return self._accept(read_leniently(data), name, b"")
        except NotEvenLenient:
            if not self._ended:
                self._fail(unreadable(self._target, "an event that is not JSON"))
        return []

    def _fail(self, failure: UpstreamFailed) -> None:
        """The vendor failed; once the client has every finish, that only means that it will say no more."""
        if self._chunks.closed:
            self.done = True
        else:
            self.failure = failure

    def _release(self, owed: Callable[[], list[Tree]]) -> list[Part]:
        """Return what is owed at a stream's end in order."""
        pieces = self._finished()
        counted, self._chunks.carried = self._chunks.tokens, False
        try:
            chunks = owed()
        except VendorError as error:
            self._fail(blame_for(error, self._target))
            return pieces
        self.done = True
        return pieces + self._as_pieces(chunks, counted)

    def _accept(self, tree: object, name: bytes, data: bytes) -> list[Part]:
        """Return a decoded event as pieces, in the vendor's own bytes where nothing had to change."""
        counted = self._chunks.tokens
        try:
            if not is_tree(tree) or (name == b"error" and "error" not in tree):
                raise VendorError(tree)
            chunks = self._chunks.accept(tree)
        except VendorError as error:
            self._fail(blame_for(error, self._target))
            return []
        self.finishing = self._chunks.finishing
        if self._chunks.failed is not None:
            self._fail(blame_for(self._chunks.failed, self._target))
        if not chunks and self._chunks.holding is not None:
            event = untouched(self._chunks.holding, tree, data, wanted=self._include_usage)
            self._kept = self._kept if event is None else [*self._kept, (self._chunks.holding, event)]
        elif len(chunks) == 1 and (event := untouched(chunks[0], tree, data, wanted=self._include_usage)) is not None:
            return [Piece(event, self._carried(counted), carries=self._chunks.carried)]
        return self._as_pieces(chunks, counted)

    def _carried(self, counted: int) -> int:
        """Return the tokens that the next piece carries: those above `counted`, and those that came with what was held back."""
        tokens, self._pending = self._chunks.tokens - counted + self._pending, 0
        return tokens

    def _as_pieces(self, chunks: list[Tree], counted: int) -> list[Part]:
        """Write chunks, in the vendor's bytes where those were kept; the tokens above those counted before ride on the last one."""
        tokens, last = self._carried(counted), len(chunks) - 1
        self._pending = 0 if chunks else tokens
        ends = Piece(self._event(chunks[last]), tokens, carries=self._chunks.carried) if chunks else None
        return [] if ends is None else [*[Piece(self._event(chunk), 0) for chunk in chunks[:last]], ends]

    def _event(self, chunk: Tree) -> bytes:
        kept = next((event for candidate, event in self._kept if candidate == chunk), None)
        return kept or data_event(encode(chunk))

    def _relay_document(self) -> list[Part]:
        """Relay one document as a stream."""
        answer = read_document(bytes(self._whole or b""), self._target, self._identity, chat=self._chat)
        if isinstance(answer, UpstreamFailed):
            self.failure = answer
            return []
        tree, document = answer
        self._chunks.unknown = document.unknown
        pieces = self._accept(as_chunk(tree), b"", b"")
        self._chunks.answered = document.answered  # what the answer shows may be another name
        return pieces
