"""What the events and the documents of the Responses API mean, told to a builder. Knows no framing and no door.

Vendors repeat at the end of an item, and of the answer, what they have said in pieces; what they left out of the pieces is told then.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated

import msgspec
from msgspec import Meta

from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.content_blocks import blocks_of
from aisa.providers.responses_output import Told, chat_annotation, told_before
from aisa.providers.responses_report import CALLS as OWN_CALLS
from aisa.providers.responses_report import reason_in, reduced, tell_report
from aisa.providers.responses_shapes import usual
from aisa.providers.vendor_state import VendorState
from aisa.wire.lenient_json import encode
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, as_list, as_tree, is_tree, key_in, text_or_none, trees_in
from aisa.wire.usage_report import count_of
from aisa.wire.vendor_error import Unintelligible, VendorError, is_error, refuse_errors

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
#: Which member of the event that ends what a call is given has all of it.
GIVEN = {"response.function_call_arguments.done": "arguments", "response.custom_tool_call_input.done": "input"}
#: Events that have all of a part of a message.
PART_DONE = frozenset({"response.output_text.done", "response.refusal.done", "response.content_part.done"})
ENDS = frozenset({"response.completed", "response.incomplete"})
PHASE = "phase"  # of a note on a message that has one, among what is to come back
#: Which items and parts of an answer there are may take so much: some 8,000 items, where deep research makes hundreds.
ITEMS_BYTES_MAX = 4_194_304
ITEM_BYTES, PART_BYTES = 384, 128  # of an item and of a part of it, beside its names
#: What items began with may take so much, of all of them. Beyond, it is forgotten.
BEGINNINGS_BYTES_MAX = 16_384
CONTENT = ("content", "arguments", "input", "summary")  # members of an item by which it says something
BREAK = "\n\n"  # between two messages, and two parts of a summary, which clients of other protocols get as one text


class Item:
    """An item of the output: which call it is, if it is one, and how much of its texts was told."""

    __slots__ = ("added", "added_bytes", "call", "call_id", "kind", "told")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call_id = ""
        self.call = -1
        self.added: Tree | None = None  # as it began, if that said something
        self.added_bytes = 0
        self.told: dict[str, int] = {}  # by part, how many characters, or annotations


class TextDelta(msgspec.Struct):
    """An event of further text, as nearly all are. One with log-probabilities takes the long way."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: Annotated[list[object], Meta(max_length=0)] = []
    sequence_number: int | None = None


class ResponsesReader:
    """Reads one answer; implements `typed_stream.Reader`. `last` is the event, or the document, that ended it.

    `state` seals encrypted reasoning for clients of other protocols; None for those of this one, who have it as it is.
    """

    def __init__(self, builder: AnswerBuilder, state: VendorState | None) -> None:
        self.last: Tree | None = None
        self.ended = False
        self._builder = builder
        self._state = state
        self._items: dict[str, Item] = {}  # by the vendor's id, else by place
        self._names: dict[object, str] = {}  # of items, by their place in the output
        self._thoughts: list[Tree] = []  # what is to come back before the next call
        self._items_bytes = 0
        self.held_bytes = 0  # of what items began with
        self._said = self._thought = False
        self._pictures = 0
        self._ran: list[Tree] = []  # calls of the vendor's tools, which some leave out of the output at the end

    def take(self, event: Tree) -> Tree:
        """Tell what an event, or a whole document, says, and return it as OpenAI itself would send it. Raises VendorError for a failure."""
        event = usual(event)
        kind = str(event.get("type") or "")
        if kind.endswith(".delta"):
            self._delta(kind, event)
        elif kind == "response.output_item.added":
            self._added(self._item(event.get("item"), key_in(event, "output_index")), as_tree(event.get("item")))
        elif kind == "response.output_item.done":
            self._done(event.get("item"), key_in(event, "output_index"))
        elif kind in GIVEN:
            self._given(self._named(event), event.get(GIVEN[kind]))
        elif kind in PART_DONE:
            self._part_done(event)
        elif kind == "response.output_text.annotation.added":
            item = self._named(event)
            self._go_on(item, None)
            self._annotated(item, index_of(event, "content_index"), [event.get("annotation")])
        elif kind in ENDS or event.get("object") == "response":
            self._end(event)
        elif kind in {"response.failed", "error"} or event.get("error"):
            raise VendorError(failure_in(event))
        elif is_tree(response := event.get("response")):
            self._identify(response)
            tell_report(response, self._builder)
        elif not kind:
            refuse_errors(event)
        return event

    def say(self, event: TextDelta) -> bool:
        """Tell further text of an item; return False if there is more to it, or nothing."""
        item = self._items.get(self._names.get(event.output_index, event.item_id))
        if item is None or not event.delta:
            return False
        part = f"text {event.content_index}"
        if part in item.told:
            item.told[part] += len(event.delta)
            self._builder.say(0, event.delta)
        else:
            self._go_on(item, event.delta)
            self._say(item, part, event.delta)
        return True

    def place_of(self, event: TextDelta) -> tuple[Item, str]:
        """Return the item and the part of it that an event has said something of."""
        return self._items[self._names.get(event.output_index, event.item_id)], f"text {event.content_index}"

    def _identify(self, response: Tree) -> None:
        self._builder.identify(response.get("id"), response.get("model"))

    def _delta(self, kind: str, event: Tree) -> None:
        text = text_or_none(event.get("delta"))
        if text is None:
            return
        item = self._named(event)
        self._go_on(item, text)
        if kind == "response.output_text.delta":
            self._say(item, f"text {index_of(event, 'content_index')}", text)
            if logprobs := as_list(event.get("logprobs")):
                self._builder.carry(0, "logprobs", {"content": logprobs, "refusal": None}, beside=True)
        elif kind == "response.refusal.delta":
            self._note(item, f"refusal {index_of(event, 'content_index')}", text)
            self._builder.refuse(0, text)
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            member = "summary" if "summary" in kind else "content"
            index = index_of(event, "summary_index") if event.get("summary_index") is not None else index_of(event, "content_index")
            self._think(item, f"{member} {index}", text)
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta") and item.call >= 0:
            self._note(item, "given", text)
            self._builder.give(0, item.call, text)

    def _named(self, event: Tree) -> Item:
        """Return the item that an event is about, which nobody may have announced."""
        name, kind = self._names.get(key_in(event, "output_index"), str(event.get("item_id"))), str(event.get("type"))
        return self._items.get(name) or self._new(name, "message" if "output_text" in kind or "refusal" in kind else "reasoning")

    def _new(self, name: str, kind: str) -> Item:
        self._hold(ITEM_BYTES + len(name))
        item = self._items[name] = Item(kind)
        return item

    def _hold(self, size: int) -> None:
        """Take so much of what items may hold. Raises Unintelligible, a VendorError, for what no model can have made."""
        self._items_bytes += size
        if self._items_bytes > ITEMS_BYTES_MAX:
            raise Unintelligible("more items, or parts of them, than any answer has")

    def _added(self, item: Item | None, given: Tree) -> None:
        """Keep an item that begins with something of its own: it may be all that is ever said of it."""
        if item is not None and item.added is None and not item.told and any(given.get(name) for name in CONTENT):
            given = {name: value for name, value in given.items() if name != "result"}
            if self.held_bytes + (size := len(encode(given))) <= BEGINNINGS_BYTES_MAX:
                item.added, item.added_bytes = given, size
                self.held_bytes += size

    def _drop(self, item: Item) -> None:
        self.held_bytes -= item.added_bytes
        item.added, item.added_bytes = None, 0

    def _go_on(self, item: Item, text: str | None) -> None:
        """Tell what an item began with, before more of it comes; nothing, where that is the beginning once more, in pieces."""
        given = item.added
        self._drop(item)
        if given is not None and (text is None or not begins_with(given, text)):
            self._say_whole(item, given)

    def _item(self, given: object, place: object) -> Item | None:
        """Take note of an item that begins, or that nobody announced. A call is told at once."""
        if not is_tree(given):
            return None
        kind = str(given.get("type"))
        name = text_or_none(given.get("id")) or text_or_none(given.get("call_id")) or f"at {place}"
        if place is not None:
            if place not in self._names:
                self._hold(PART_BYTES + len(str(place)))
            name = self._names.setdefault(place, name)
        item = self._items.get(name) or self._new(name, kind)
        self._announce(item, given)
        return item

    def _announce(self, item: Item, given: Tree) -> None:
        """Tell that a call begins, unless it was told: one that nobody announced may have had deltas before."""
        kind = str(given.get("type"))
        if kind in CALLS and item.call < 0:
            item.kind, item.call_id = kind, text_or_none(given.get("call_id")) or ""
            self._hold(len(item.call_id))
            self._call(item, given)

    def _call(self, item: Item, given: Tree) -> None:
        call_id, named = self._builder.id_of_next(0, text_or_none(given.get("call_id"))), str(given.get("name") or "")
        if namespace := text_or_none(given.get("namespace")):
            named = f"{namespace}__{named}"
        if self._thoughts and self._state is not None:
            self._state.keep(call_id, msgspec.json.encode(self._thoughts))
        item.call = self._builder.call(0, call_id, named, custom=item.kind == "custom_tool_call")

    def _done(self, given: object, place: object) -> None:
        """Tell what of a whole item has not been told."""
        item = self._item(given, place)
        if item is not None and is_tree(given):
            self._whole(item, given)

    def _say_whole(self, item: Item, given: Tree) -> None:
        """Tell what of the texts of a whole item, or of a beginning, has not been told."""
        if item.kind == "message":
            for place, part in enumerate(blocks_of(given.get("content"))):
                self._part(item, place, part)
        elif item.kind == "reasoning":
            self._reasoning(item, given)
        elif item.kind in CALLS:
            self._given(item, given.get(CALLS[item.kind]))

    def _whole(self, item: Item, given: Tree) -> None:
        self._say_whole(item, given)
        if item.kind == "message":
            self._phase(item, given)
        elif item.kind == "reasoning":
            self._sealed(item, given)
        elif item.kind in OWN_CALLS and "done" not in item.told:
            self._ran.append(call := reduced(given))
            self._hold(len(encode(call)))
        elif item.kind == "image_generation_call" and "done" not in item.told and (data := text_or_none(given.get("result"))):
            url = f"data:image/{text_or_none(given.get('output_format')) or 'png'};base64,{data}"
            self._builder.carry(0, "images", [{"type": "image_url", "image_url": {"url": url}, "index": self._pictures}], made=True)
            self._pictures += 1
        item.told["done"] = 1
        self._drop(item)

    def _given(self, item: Item, whole: object) -> None:
        """Give a call what it has not been given of the whole."""
        if item.call >= 0:
            self._builder.give(0, item.call, self._rest(item, "given", arguments_text(whole)))

    def _part(self, item: Item, place: int, part: Tree) -> None:
        """Tell what of a part of a message has not been told."""
        if (refusal := part.get("refusal")) and (rest := self._rest(item, f"refusal {place}", refusal)):
            self._builder.refuse(0, rest)
        if rest := self._rest(item, f"text {place}", part.get("text"), note=False):
            self._say(item, f"text {place}", rest)
            if logprobs := as_list(part.get("logprobs")):
                self._builder.carry(0, "logprobs", {"content": logprobs, "refusal": None}, beside=True)
        if notes := as_list(part.get("annotations")):
            self._annotated(item, place, notes[item.told.get(f"annotations {place}", 0) :])

    def _part_done(self, event: Tree) -> None:
        """Tell what of a part that is done has not been told; of an item that was not added, its whole will say it."""
        item = self._items.get(self._names.get(key_in(event, "output_index"), str(event.get("item_id"))))
        if item is not None and item.kind == "message":
            self._part(item, index_of(event, "content_index"), whole_part(event))

    def _phase(self, item: Item, given: Tree) -> None:
        """Keep which phase of its answer a message was: the vendor wants that back with it."""
        if self._state is None or not text_or_none(given.get(PHASE)) or "done" in item.told:
            return
        size = sum([count for part, count in item.told.items() if part.startswith(("text", "refusal"))])
        note: Tree = {"type": PHASE, PHASE: given[PHASE], "characters": size}
        self._thoughts.append(note)
        self._builder.think(0, "", self._state.seal(msgspec.json.encode([note])))

    def _reasoning(self, item: Item, given: Tree) -> None:
        for member in ("summary", "content"):
            for place, part in enumerate(trees_in(given.get(member))):
                if rest := self._rest(item, f"{member} {place}", part.get("text"), note=False):
                    self._think(item, f"{member} {place}", rest)

    def _sealed(self, item: Item, given: Tree) -> None:
        """Keep encrypted reasoning, which the vendor wants back."""
        if self._state is not None and text_or_none(given.get("encrypted_content")) and "done" not in item.told:
            self._thoughts.append(given)
            self._builder.think(0, "", self._state.seal(msgspec.json.encode([given])))

    def _say(self, item: Item, part: str, text: str) -> None:
        if self._said and not item.told:
            self._builder.say(0, BREAK)
        self._said = True
        self._note(item, part, text)
        self._builder.say(0, text)

    def _think(self, item: Item, part: str, text: str) -> None:
        if self._thought and part not in item.told:
            self._builder.think(0, BREAK)
        self._thought = True
        self._note(item, part, text)
        self._builder.think(0, text)

    def _note(self, item: Item, part: str, told: Sized) -> None:
        self._drop(item)
        if part not in item.told:
            self._hold(PART_BYTES + len(part))
        item.told[part] = item.told.get(part, 0) + len(told)

    def _rest(self, item: Item, part: str, whole: object, *, note: bool = True) -> str:
        """Return what of a text has not been told."""
        text = whole if isinstance(whole, str) else ""
        rest = text[item.told.get(part, 0) :]
        if note and rest:
            self._note(item, part, rest)
        return rest

    def _annotated(self, item: Item, place: object, annotations: list[object]) -> None:
        if annotations:
            self._note(item, f"annotations {place}", annotations)
        notes = [chat_annotation(note) for note in annotations if is_tree(note)]
        if notes:
            self._builder.carry(0, "annotations", notes)

    def _end(self, event: Tree) -> None:
        """The answer is complete, or as complete as it will be. Raises VendorError for one that is neither."""
        given = event.get("response", event)
        response = given if is_tree(given) else {}
        status = response.get("status") or "completed"
        if status not in ("completed", "incomplete"):
            raise VendorError(failure_in(response))
        self._identify(response)
        output, known = trees_in(response.get("output")), bool(self._items)
        for place, (whole, item) in enumerate(zip(output, self._told_before(output), strict=True)):
            if item is not None and "done" not in item.told:
                self._announce(item, whole)
                self._whole(item, whole)
            elif item is None and (whole.get("id") or whole.get("call_id") or not known):
                self._done(whole, f"end {place}")
        calls = [item for item in self._items.values() if item.kind == "function_call"]
        cut = calls[-1] if calls and status != "completed" else None
        for item in self._items.values():
            if "done" not in item.told and item.added is not None:
                self._whole(item, item.added)
            elif not item.told and item.kind == "function_call" and item is not cut:
                self._given(item, "{}")
        why = response.get("incomplete_details")
        tell_report(response if output else response | {"output": self._ran}, self._builder, complete=status == "completed" and not why)
        self._builder.finish(0, reason_in(why, cut=status == "incomplete"))
        self.last, self.ended = event, True

    def _told_before(self, output: list[Tree]) -> list[Item | None]:
        """Return for each item at the end which of those told it is."""
        found = [self._items.get(name) if (name := text_or_none(whole.get("id"))) else None for whole in output]
        if None in found:
            known = [Told(name, name, item.call_id, item.kind) for name, item in self._items.items()]
            found = [None if told is None else self._items[told.id] for told in told_before(output, known)]
        return found


def index_of(event: Tree, name: str) -> int:
    """Return which part of its item an event is of, as the item that comes whole numbers them: the first where nothing is said of it."""
    return count_of(event.get(name)) or 0


def begins_with(given: Tree, text: str) -> bool:
    """Tell whether one of the texts of an item begins so."""
    parts = [part for member in ("content", "summary") for part in blocks_of(given.get(member))]
    texts = [part.get(name) for part in parts for name in ("text", "refusal")] + [given.get(name) for name in CALLS.values()]
    return any(isinstance(each, str) and each.startswith(text) for each in texts)


def whole_part(event: Tree) -> Tree:
    """Return the part of a message that an event has all of, or adds."""
    if is_tree(part := event.get("part")):
        return part
    if "refusal" in event:
        return {"type": "refusal", "refusal": event["refusal"]}
    return {"type": "output_text", "text": event.get("text"), "annotations": []}


def failure_in(event: Tree) -> object:
    """Return the error of an event or a response that failed, in whichever place it stands."""
    response = event.get("response")
    for holder in (event, response if is_tree(response) else {}):
        error = holder.get("error")
        if is_error(error):
            return error
    told = {name: event[name] for name in ("code", "message", "param") if event.get(name) is not None}
    return told or {"message": f"the answer ended as {str(event.get('status') or event.get('type'))[:40]}"}
