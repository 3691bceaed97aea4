"""Reads streams of the Responses API, and for its own clients passes them: all events but the last, which waits until the bill is settled.

Of the last, and of a document, the cost is added and what `model` and `store` say is made true. A stream that lacks what clients need
(`responses_required.py`) is told in parts instead, of which the door makes a whole one. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import msgspec

from aisa.answer import Part, Piece, together
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.blame import blame_for
from aisa.providers.responses_plain import PlainResponse, plain_response
from aisa.providers.responses_reader import ENDS, ResponsesReader, TextDelta
from aisa.providers.responses_report import SIDES, with_pictures
from aisa.providers.responses_required import DONE, GROWING, PARTS, RequiredEvents, with_grown
from aisa.providers.shape import Target
from aisa.providers.text_stream import TextStream
from aisa.providers.typed_stream import TypedDocument
from aisa.usage import Usage
from aisa.wire.lenient_json import encode
from aisa.wire.numbered_events import NumberedTemplate, numbered_template
from aisa.wire.passed_document import passed
from aisa.wire.plain import is_utf8
from aisa.wire.responses_usage import usage_of
from aisa.wire.sse import LF
from aisa.wire.trees import Tree, as_tree, is_tree, key_in, trees_in
from aisa.wire.usage_report import count_of, with_cost
from aisa.wire.vendor_error import VendorError
from aisa.wire.vendor_tier import tier_named

COUNTS = (*SIDES, "total_tokens")
DETAILS = ("input_tokens_details", "output_tokens_details")
OPENING_EVENTS_MAX = 1_000  # of what comes before the first word; beyond, the client gets them
TEXT_BEGINS = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
DATA_AT = TEXT_BEGINS.index(b"{")
TEXT = msgspec.json.Decoder(TextDelta)


class ResponsesStream(TextStream[NumberedTemplate]):
    """Reads a stream. Events of further text, as nearly all are, are read without looking at the rest of them."""

    def __init__(self, builder: AnswerBuilder, reader: ResponsesReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._responses = reader

    def _kept(self) -> int:
        return self._responses.held_bytes

    def _text(self, block: bytes) -> bool:
        """Take an event of text; return False for one that is more than that."""
        if not block.startswith(TEXT_BEGINS):
            return False
        data, before = block[DATA_AT:], self._builder.tokens
        if LF in data or not is_utf8(data):
            return False
        try:
            event = TEXT.decode(data)
            if not (self._may_go_on(event) and self._responses.say(event)):
                return False
        except msgspec.DecodeError:
            return False
        except VendorError as error:
            self._fail(blame_for(error, self._target))
            return True
        self._said(block, self._builder.tokens - before)
        if self._template is None:
            self._template = numbered_template(block, b"delta")
            self._place, self._meter = self._responses.place_of(event), self._builder.meter_of(0)
        elif event.sequence_number is not None:
            self._template.number = event.sequence_number + 1
        return True

    def _may_go_on(self, event: TextDelta) -> bool:
        """Tell whether text needs nothing before it."""
        return True

    def _said(self, block: bytes, tokens: int) -> None:
        """An event of text was told, which shows so many tokens."""

    def _text_ends(self, template: NumberedTemplate) -> None:
        item, part = self._place
        item.told[part] += template.characters
        super()._text_ends(template)


class PassingStream(ResponsesStream):
    """Reads a stream, whose events pass. Until some have, one that is left out turns it into one that is told in parts."""

    def __init__(self, builder: AnswerBuilder, reader: ResponsesReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._required = RequiredEvents()
        self._opening: list[Part] = []  # what was told while nothing has passed
        self._passed_any = self._in_parts = False
        self._pieces: list[Piece] = []
        self._withheld = 0  # tokens of events that did not pass, which what has the whole item shows
        self._number = 0  # of the last event, where a document is made one
        self._data: bytes = b""  # of the event that is told, if it can pass in them

    def _kept(self) -> int:
        held = self._responses.held_bytes + self._required.held_bytes
        for piece in self._pieces:  # which wait for the first word
            held += len(piece.data)
        return held

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the last event."""
        if self._in_parts:
            return super().closing(cost_usd)
        event = self._responses.last or {}
        response = event.get("response")
        if response is None:  # one document where a stream was asked
            event, response = {"type": f"response.{event.get('status') or 'completed'}", "sequence_number": self._number}, event
        ended = settled(self._required.with_output(response) if is_tree(response) else {}, self._builder, cost_usd)
        return [Piece(event_of({**event, "response": ended}), 0)]

    def _fitting(self, events: bytes) -> Sequence[Part] | None:
        """Return events of further text as they are, None if there are others among them."""
        if self._in_parts:
            return super()._fitting(events)
        template = self._template
        if template is None:
            return None
        if text := template.only(events):
            piece = Piece(events + b"\n\n", self._meter.add_bytes(text), carries=True)
        elif events.find(b"\n\n") < 0:
            return None
        else:
            blocks = events.split(b"\n\n")
            if (texts := template.several(blocks)) is None:
                return None
            counts = self._meter.add_all(texts)
            piece = Piece(events + b"\n\n", counts[-1], list(accumulate([len(block) + 2 for block in blocks])), counts, carries=True)
        self._builder.tokens += piece.tokens
        return (piece,)

    def _may_go_on(self, event: TextDelta) -> bool:
        return self._in_parts or self._required.goes_on(event.output_index, event.content_index)

    def _said(self, block: bytes, tokens: int) -> None:
        if not self._in_parts:
            self._builder.take()
            self._pieces.append(Piece(block + b"\n\n", tokens, carries=True))

    def _tell_all(self, events: list[tuple[Tree, bytes]]) -> None:
        for event, data in events:
            if self.failure is None:
                self._data = data
                self._tell_one(event)

    def _tell_one(self, event: Tree) -> None:
        """Tell an event, and let it pass."""
        builder, before, given = self._builder, self._builder.tokens, event
        if (told := self._tell(event)) is None:
            return
        event, kind = told, told.get("type")
        if not self._passed_any and not self._in_parts and self._required.lacks_any(event):
            self._in_parts, self._pieces = True, []
        if self._in_parts:
            return
        self._data = self._data if event is given else b""
        parts = builder.take()
        if not self._passed_any:
            self._opening += parts
        if event.get("object") == "response":
            events = opened({**event, "model": builder.name_shown(event.get("model"))})
            self._number = len(events)
            self._pieces += [Piece(event_of(one), builder.tokens - before if one is events[-1] else 0, carries=True) for one in events]
        elif not isinstance(kind, str):
            pass  # its clients tell events apart by that
        elif kind in ENDS:
            self._tell_missing(event, builder.tokens - before + self._withheld)
        elif self._required.created or kind == "response.created":
            if kind in GROWING and (grown := with_grown(event)) is not event:
                event, self._data = grown, b""
            self._pass(kind, event, builder.tokens - before)

    def _pass(self, kind: str, event: Tree, tokens: int) -> None:
        """Let an event pass that shows so many tokens, behind those that must come before it."""
        required, place = self._required, key_in(event, "output_index")
        if kind in PARTS:
            self._pieces += [Piece(event_of(one), 0) for one in required.missing_before(event)]
        if required.is_unannounced(kind, event, place):
            if kind != DONE:
                self._withheld += tokens
                return
            tokens, self._withheld = tokens + self._withheld, 0
        required.take(kind, event, self._data, place=place)
        self._pieces.append(Piece(self._passed(kind, event), tokens, carries="output_index" in event))

    def _tell_missing(self, end: Tree, tokens: int) -> None:
        """Tell in front of the end what it alone has told, which shows so many tokens, and number it anew."""
        number = end.get("sequence_number")
        events = self._required.missing_at_end(as_tree(end.get("response")))
        if not events:
            return
        if isinstance(number, int):
            events = [{**event, "sequence_number": number + place} for place, event in enumerate(events)]
            end["sequence_number"] = number + len(events)
        self._pieces += [Piece(event_of(event), tokens if event is events[-1] else 0, carries=True) for event in events]

    def _passed(self, kind: str, event: Tree) -> bytes:
        """Return an event in its own bytes, but for the name of the model, if that is another here."""
        response = event.get("response")
        if (
            response is not None
            and is_tree(response)
            and "model" in response
            and (shown := self._builder.name_shown(response["model"])) != response["model"]
        ):
            return event_of({**event, "response": {**response, "model": shown}})
        if not self._data or LF in self._data:
            return event_of(event)
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), self._data)

    def _taken(self) -> list[Part]:
        if self._in_parts:
            parts, self._opening = [*self._opening, *self._builder.take()], []
            return parts
        pieces = self._pieces
        if not self._passed_any:
            if not pieces or not (self._builder.begun or self._reader.ended or len(pieces) > OPENING_EVENTS_MAX):
                return []
            self._opening, self._passed_any = [], True
        self._pieces = []
        return [*together(pieces)]

    def _closed(self) -> list[Part]:
        left = self._builder.close()
        return [*self._taken(), *(left if self._in_parts else ())]


class PassingDocument(TypedDocument):
    """Reads one document. One that needs no second look is not taken apart."""

    _plain: PlainResponse | None = None

    def __init__(self, builder: AnswerBuilder, reader: ResponsesReader, target: Target) -> None:
        super().__init__(builder, reader, target)
        self._responses = reader

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        body = b"".join(self._body)
        self._body = [body]
        return [] if self._take_plain(body) else super().end()

    def _take_plain(self, body: bytes) -> bool:
        """Read a response that passes but for its cost; say no of any other, and of what cannot be."""
        response = plain_response(body)
        told = None if response is None else response.usage.usage()
        if response is None or told is None or not self._builder.take_whole(response.texts(), told):
            return False
        self._plain, self.done = response, True
        self._builder.tier, self._builder.answered = tier_named(response.service_tier), response.model
        return True

    def _passed(self, response: PlainResponse, body: bytes, cost_usd: str | None) -> bytes:
        """Return a response as it may leave, in its own bytes but for what is `settled`."""
        stored: Tree = {} if response.store is False else {"store": False}
        return passed(body, response.model, self._builder.name_shown(response.model), cost_usd=cost_usd, changed=stored)

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return it."""
        if self._plain is not None:
            return [Piece(self._passed(self._plain, self._body[0], cost_usd), 0)]
        return [Piece(encode(settled(self._responses.last or {}, self._builder, cost_usd)), 0)]


def opened(document: Tree) -> list[Tree]:
    """Return the events that a whole response might have been streamed in, but for its end: each item at once."""
    begun: Tree = {**document, "status": "in_progress", "output": [], "usage": None}
    events: list[Tree] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(trees_in(document.get("output"))):
        place: Tree = {"output_index": index, "item": item}
        events += [{"type": f"response.output_item.{kind}"} | place for kind in ("added", "done")]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def settled(response: Tree, builder: AnswerBuilder, cost_usd: str | None) -> Tree:
    """Return a response as it may leave: with what it costs, under the model's name here, and stored nowhere."""
    told, usage = as_tree(response.get("usage")), builder.usage()
    written = with_cost(told, cost_usd) if is_as_billed(told, response, usage) else told | usage_of(usage, cost_usd)
    named: Tree = {"model": builder.name_shown(response["model"])} if "model" in response else {}
    return {**response, **named, "store": False, "usage": written}


def is_as_billed(told: Tree, response: Tree, usage: Usage) -> bool:
    """Tell whether a vendor's report is as clients read it, and says what was billed; pictures that a tool made stand beside it."""
    whole = with_pictures(told, response) if response.get("tool_usage") else told
    inner, outer = [as_tree(whole.get(name)) for name in DETAILS]
    seen = [whole.get("input_tokens"), inner.get("cached_tokens"), whole.get("output_tokens"), outer.get("reasoning_tokens")]
    if seen != [usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens]:
        return False
    counts = [*map(told.get, COUNTS), *[count for name in DETAILS for count in as_tree(told.get(name)).values() if not is_tree(count)]]
    return all(type(count) is int and count_of(count) is not None for count in counts)


def event_of(event: Tree) -> bytes:
    """Write an event."""
    return b"event: " + str(event.get("type")).encode() + b"\ndata: " + encode(event) + b"\n\n"
