"""The events of a Messages stream as the parts of an answer, for clients that speak anything else. Frames no events and judges no failures.

A finish is told when the message has stopped, and not before: whatever fails until then is no end.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Refusal, Text, ToolCall
from aisa.providers.anthropic_layout import Layout
from aisa.providers.heard_texts import heard
from aisa.providers.shape import Target
from aisa.wire.finish import CUT, FAILURE, FUNCTION_CALL, STOP, TOOL_CALLS, UNKNOWN, spoken, verdict_on
from aisa.wire.model_name import shown_name
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, as_tree, is_tree, key_in, text_or_none, trees_in
from aisa.wire.vendor_error import Unintelligible, VendorError


class Block:
    """A content block that is open: what it began as, what has come of it, and for a call its place among them."""

    __slots__ = ("call", "given", "start", "whole")

    def __init__(self, start: Tree, call: int | None) -> None:
        self.start = start
        self.call = call
        self.given: list[str] = []  # text, thinking or arguments
        self.whole: dict[str, list[object]] = {}  # lists that grow: citations


class Asker(NamedTuple):
    """What of a request and its target the parts depend on: the model as it was asked for, and whether calls are in the older form."""

    model: str
    legacy: bool
    call_id: str
    created: int


class Events:
    """Reads the events of one message. Raises VendorError for what makes no sense."""

    def __init__(self, target: Target, asker: Asker) -> None:
        self.stopped = False  # the message has its end
        self.begun = False  # there is more than an opening
        self.tokens = self.reasoning = 0
        self.id = ""  # of the message
        self.reason = ""  # the vendor's word for its end, once it has said it
        self.hidden = False  # there was output whose size says nothing of its tokens
        self.unknown: list[str] = []
        self.meter = target.measure.meter()
        self.sealing = target.state is not None  # what the vendor wants back is to come back through us
        self._target = target
        self._asker = asker
        self._open: dict[object, Block] = {}
        self._layout = Layout()
        self._calls = self._cited = 0
        self._ids: set[str] = set()  # of the calls
        self._ungiven: int | None = None  # the last call, while it has been given nothing
        self._text_characters = 0
        self._details: Tree = {}
        self._inside = False  # of a message: its opening, or content without one, has come

    def take(self, event: Tree) -> list[Part]:
        """Return what an event says."""
        match event.get("type"):
            case "content_block_delta":
                return self._grow(key_in(event, "index"), as_tree(event.get("delta")))
            case "content_block_start":
                return self._start(key_in(event, "index"), as_tree(event.get("content_block")))
            case "content_block_stop":
                return self._stop(key_in(event, "index"))
            case "message_start":
                return self._open_message(as_tree(event.get("message")))
            case "message_delta":
                delta = as_tree(event.get("delta"))
                self.reason = spoken(delta.get("stop_reason")) or self.reason
                self._details = as_tree(delta.get("stop_details")) or self._details
                self.begun = self.begun or bool(self.reason)
                return []
            case "message_stop":
                return self._end()
            case _:
                return []

    @property
    def ended(self) -> bool:
        """True once nothing more will be said: the message has told why it stops, and that is no failure."""
        return self.stopped or (bool(self.reason) and verdict_on(self.reason) != FAILURE)

    def say(self, index: int, text: str) -> Text | None:
        """Return a further piece of a block's text; None if there is more to it than that, as of a block that was not begun."""
        block = self._open.get(index)
        if block is None or not text:
            return None
        block.given.append(text)
        self.begun = True
        return Text(0, text, self._counted(text))

    def hear(self, index: int, texts: list[bytes]) -> list[Text]:
        """Return further pieces of the text of a block that is open. They are as they stand in JSON, without escapes."""
        before = self.meter.tokens
        parts = heard(0, texts, self.meter)
        self.tokens += self.meter.tokens - before
        self._open[index].given += [part.text for part in parts]
        return parts

    def _open_message(self, message: Tree) -> list[Part]:
        if self._inside:
            raise Unintelligible("a second message in one answer, or one that begins behind its content")
        self._inside = True
        asker = self._asker
        shown = self._target.public or shown_name(message.get("model"), asker.model)
        self.id = text_or_none(message.get("id")) or f"msg_{asker.call_id}"
        return [Identity(self.id, asker.created, shown)]

    def _start(self, index: object, start: Tree) -> list[Part]:
        kind = start.get("type")
        if not isinstance(kind, str):
            raise Unintelligible("a content block without a type")
        self._inside = True
        ended = self._nothing() + (self._stop(index) if index in self._open else [])  # else what it had said would be lost
        block = self._open[index] = Block(start, None)
        self.hidden = self.hidden or kind not in ("text", "tool_use")
        if kind == "text":
            return [*ended, *self._grow(index, {"type": "text_delta", "text": start.get("text")})]
        if kind == "thinking":
            return [*ended, *self._grow(index, {"type": "thinking_delta", "thinking": start.get("thinking")})]
        if kind != "tool_use":
            return ended
        block.call = self._calls
        self._calls += 1
        self.begun = True
        name, call_id = text_or_none(start.get("name")), str(start.get("id") or "")
        if not call_id or call_id in self._ids:
            call_id = f"toolu_{self._asker.call_id}_{block.call}"
        self._ids.add(call_id)
        if name is None:
            raise Unintelligible("a tool call without a name")
        block.start = {**start, "id": call_id}
        if self._asker.legacy:
            return [*ended, FunctionCall(0, name, "")] if block.call == 0 else ended
        return [*ended, ToolCall(0, block.call, call_id, name)]

    def _grow(self, index: object, delta: Tree) -> list[Part]:
        block = self._open.get(index)
        if block is None:
            raise Unintelligible("a part of a content block that was not begun")
        kind = delta.get("type")
        if kind == "citations_delta":
            block.whole.setdefault("citations", []).append(delta.get("citation"))
            return []
        if kind == "signature_delta":
            block.start = {**block.start, "signature": f"{block.start.get('signature') or ''}{delta.get('signature') or ''}"}
            return []
        said = delta.get(GROWN.get(str(kind), ""))
        if not isinstance(said, str) or not said:
            return []
        block.given.append(said)
        if kind == "text_delta":
            self.begun = True
            return [Text(0, said, self._counted(said))]
        if kind == "thinking_delta":
            self.begun = True
            tokens = self._counted(said)
            self.reasoning += tokens
            return [Reasoning(0, said, tokens)]
        return [] if block.call is None else self._arguments(block.call, said)

    def _arguments(self, call: int, text: str) -> list[Part]:
        tokens = self._counted(text)
        if self._asker.legacy:
            return [FunctionCall(0, "", text, tokens)] if call == 0 else []
        return [Arguments(0, call, text, tokens)]

    def _counted(self, text: str) -> int:
        tokens = self.meter.add_text(text)
        self.tokens += tokens
        return tokens

    def _stop(self, index: object) -> list[Part]:
        block = self._open.pop(index, None)
        if block is None:
            raise Unintelligible("the end of a content block that was not begun")
        kind, said = block.start.get("type"), "".join(block.given)
        if kind == "text":
            self._layout.text(said)
            begin, self._text_characters = self._text_characters, self._text_characters + len(said)
            cited = [*trees_in(block.start.get("citations")), *block.whole.get("citations", [])]
            notes = cited_in(cited, (begin, self._text_characters), self._cited)
            self._cited += len(notes)
            return [Extra(0, "annotations", notes)] if notes else []
        if kind == "tool_use":
            self._layout.call(str(block.start["id"]))
            if said or block.call is None:
                return []
            if not block.start.get("input"):
                self._ungiven = block.call
                return []
            return self._arguments(block.call, arguments_text(block.start.get("input")))
        grown = {"thinking": said} if kind == "thinking" else {"input": input_of(said)} if kind == "server_tool_use" and said else {}
        self._layout.other({**block.start, **grown})
        return []

    def _nothing(self) -> list[Part]:
        """Give the call before, which was given nothing, an empty object: it was not cut, as the answer went on or ended in order."""
        call, self._ungiven = self._ungiven, None
        return [] if call is None else self._arguments(call, "{}")

    def _end(self) -> list[Part]:
        """The message has stopped: what is open ends, what the vendor wants back goes along, and the finish."""
        if not self.reason:
            raise Unintelligible("a message that stopped without a reason")
        parts = [part for index in list(self._open) for part in self._stop(index)]
        verdict = verdict_on(self.reason)
        if verdict == FAILURE:
            raise VendorError({"type": self.reason, "message": f"The model stopped: {self.reason}."})
        if verdict == UNKNOWN:
            if not (self.tokens or self.hidden or self._layout.encoded()):
                raise Unintelligible(f"nothing but the stop reason {self.reason!r}")
            self.unknown.append(self.reason)
            verdict = STOP
        if verdict == FUNCTION_CALL or (self._calls and verdict in (STOP, TOOL_CALLS)):
            verdict = FUNCTION_CALL if self._asker.legacy else TOOL_CALLS
        parts += [] if verdict in CUT else self._nothing()
        self.begun = self.stopped = True
        told = text_or_none(self._details.get("explanation"))
        return [*parts, *([Refusal(0, told)] if told else []), *self._sealed(), Finish(0, verdict)]

    def _sealed(self) -> list[Part]:
        state, layout = self._target.state, self._layout.encoded()
        if state is None or not self.sealing or not layout:
            return []
        if self._layout.first_call:
            state.keep(self._layout.first_call, layout)
        return [Reasoning(0, "", 0, state.seal(layout))]


ON_THE_WEB = "web_search_result_location"
#: What each delta adds to.
GROWN = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def input_of(arguments: str) -> object:
    """Return what a tool of the vendor's own was given; nothing if the JSON is broken."""
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def cited_in(citations: list[object], place: tuple[int, int], first: int) -> list[Tree]:
    """Return what a text cites on the web, as chat completions tell it: where in the whole text, and the page. Numbered from `first`."""
    begin, end = place
    pages = [cited for cited in citations if is_tree(cited) and cited.get("type") == ON_THE_WEB]
    return [
        {
            "index": first + number,
            "type": "url_citation",
            "url_citation": {"start_index": begin, "end_index": end, "url": str(page.get("url")), "title": page.get("title") or ""},
        }
        for number, page in enumerate(pages)
    ]
