"""Which events clients of the Responses API need that a vendor's stream has left out. Changes no event, and knows no framing.

Clients put an answer together by these: a response is created, an item is added and a part of it is, before more is said of either, and
each item is done. Codex reads nothing but items that are done, OpenAI's Python client breaks at a delta of what was not added.
"""

from __future__ import annotations

import msgspec

from aisa.providers.responses_output import Told, told_before, told_item
from aisa.providers.responses_reader import GIVEN, PART_DONE, index_of, whole_part
from aisa.wire.lenient_json import encode
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, as_list, as_tree, is_tree, key_in, trees_in

#: Events of parts that must have been added, and what they are added as.
PARTS: dict[object, Tree] = {
    "response.output_text.delta": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "response.refusal.delta": {"type": "refusal", "refusal": ""},
}
ADDED, DONE, PART_ADDED = "response.output_item.added", "response.output_item.done", "response.content_part.added"
#: How the types begin of events by which clients put items together: they break at those of an item that was not added.
PIECES = ("response.content_part.", "response.output_text.", "response.refusal.", "response.function_call_", "response.custom_tool_", DONE)
#: Members of items and parts, and of what opens an answer, to which clients add what comes: they break where these are null, of
#: another type that has nothing in it, or not there.
GROWN: dict[str, tuple[str, object]] = {
    "message": ("content", []),
    "function_call": ("arguments", ""),
    "custom_tool_call": ("input", ""),
    "reasoning": ("summary", []),
    "output_text": ("text", ""),
    "refusal": ("refusal", ""),
}
NOTHING = ("", None)  # of what has another type
#: Events that have one, or the response, whose output grows; and the member that it is.
GROWING: dict[object, str] = {
    ADDED: "item",
    PART_ADDED: "part",
    **dict.fromkeys(("response.created", "response.queued", "response.in_progress"), "response"),
}
#: A stream may hold 64 KiB: a quarter of it for done items as they came, for a vendor that does not repeat them at the end. Beyond, as of
#: pictures, they are not written twice.
ITEMS_BYTES_MAX = 16_384
#: Half of it for which items and parts there are, some 250 of them. Beyond, nothing is taken to be left out.
NAMES_BYTES_MAX = 32_768
ENTRY_BYTES = 64  # of a name, beside its own


class RequiredEvents:
    """Those of one stream."""

    def __init__(self) -> None:
        self.created = False  # the response has been: clients break at any event before that
        self._told: dict[object, Told] = {}  # by place in the output
        self._parts: set[tuple[object, object]] = set()
        self._done: dict[object, bytes] = {}  # by place, the event that said so
        #: Of items that are not done, the events that added them, and those since that have all of a part.
        self._begun: dict[object, list[bytes]] = {}
        self._open: dict[object, tuple[object, object]] = {}  # of such items, the part that came in pieces and not yet as a whole
        self._names_bytes = self._items_bytes = 0
        self._names_dropped = self._items_dropped = False

    @property
    def held_bytes(self) -> int:
        """How much is held."""
        return self._names_bytes + self._items_bytes

    def lacks_any(self, event: Tree) -> bool:
        """Tell whether an event goes on from what no client was told of; the first creates the response."""
        kind = str(event.get("type"))
        if not self.created:
            if is_tree(event.get("response")):
                return kind != "response.created"
            return "output_index" in event or kind.startswith((*PIECES, ADDED)) or kind.endswith(".delta")
        if kind == ADDED or "output_index" not in event or is_tree(event.get("response")):
            return False
        return key_in(event, "output_index") not in self._told or (kind in PARTS and part_of(event) not in self._parts)

    def missing_before(self, event: Tree) -> list[Tree]:
        """Return the events that must come before one of PARTS, of what has not been added. They have its number."""
        place, part = of = part_of(event)
        if of in self._parts or self._names_dropped:
            return []
        events: list[Tree] = []
        known: Tree = {name: event[name] for name in ("output_index", "sequence_number") if name in event}
        if place not in self._told:
            item: Tree = {"id": event.get("item_id"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
            events.append({"type": ADDED, "item": item, **known})
        added = PARTS[event.get("type")]
        events.append({"type": PART_ADDED, "item_id": event.get("item_id"), "content_index": part, "part": added, **known})
        for one in events:
            self.take(str(one["type"]), one, b"", place=place)
        return events

    def is_unannounced(self, kind: str, event: Tree, place: object) -> bool:
        """Tell whether an event is about an item that was not added, and clients put items together by it, or have the whole with it."""
        return place not in self._told and "output_index" in event and not self._names_dropped and kind.startswith(PIECES)

    def goes_on(self, place: object, part: object) -> bool:
        """Tell whether text of a part is of one that was added, and take note that it comes in pieces."""
        if (of := (place, part)) not in self._parts:
            return False
        if place in self._begun and self._open.setdefault(place, of) != of:
            self._forget(place)
        return True

    def take(self, kind: str, event: Tree, data: bytes, *, place: object) -> None:
        """Take note of an event that is told, about the item at a place, and of its own bytes, if it is strict JSON in them."""
        if kind == PART_ADDED and self._fits(ENTRY_BYTES):
            self._parts.add(part_of(event))
        if kind == "response.created":
            self.created = True
        elif kind == ADDED:
            self._add(place, event)
            self._begin(place, event, data)
        elif kind == DONE:
            self._finish(place, event, data or encode(event))
        elif place in self._begun:
            self._go_on(kind, event, data, place=place)

    def _go_on(self, kind: str, event: Tree, data: bytes, *, place: object) -> None:
        """Take note of an event about an item that has begun."""
        if kind == PART_ADDED:
            self._keep(place, event, data)
        elif kind in GIVEN or kind in PART_DONE:
            if place in self._open and self._open[place] == part_of(event):
                del self._open[place]
            self._keep(place, event, data)
        elif kind.endswith((".delta", ".annotation.added")):
            if self._open.setdefault(place, part := part_of(event)) != part:
                self._forget(place)
        elif kind.endswith(".done") and "output_index" in event:  # the whole of something else
            self._forget(place)

    def _begin(self, place: object, event: Tree, data: bytes) -> None:
        self._forget(place)
        if place in self._told and place not in self._done:
            self._begun[place] = []
            self._keep(place, event, data)

    def _keep(self, place: object, event: Tree, data: bytes) -> None:
        """Keep what is said of an item that has begun; forget all of it if that is too much."""
        data = data or encode(event)
        self._begun[place].append(data)
        self._items_bytes += len(data)
        if self._items_bytes > ITEMS_BYTES_MAX:
            self._forget(place)

    def _forget(self, place: object) -> None:
        self._open.pop(place, None)
        for data in self._begun.pop(place, ()):
            self._items_bytes -= len(data)

    def _add(self, place: object, event: Tree) -> None:
        told = told_item(place, as_tree(event.get("item")))
        if self._fits(ENTRY_BYTES + len(str(place)) + len(told.id) + len(told.call_id) + len(told.kind)):
            self._told[told.key] = told

    def _fits(self, size: int) -> bool:
        """Take so much of what names may hold, and tell whether there is."""
        self._names_dropped = self._names_dropped or self._names_bytes + size > NAMES_BYTES_MAX
        self._names_bytes += 0 if self._names_dropped else size
        return not self._names_dropped

    def _finish(self, place: object, event: Tree, data: bytes) -> None:
        self._forget(place)
        if place not in self._told:
            self._add(place, event)
        self._items_dropped = self._items_dropped or self._names_dropped or self._items_bytes + len(data) > ITEMS_BYTES_MAX
        if not self._names_dropped:
            self._done[place] = b"" if self._items_dropped else data
            self._items_bytes += len(self._done[place])

    def missing_at_end(self, response: Tree) -> list[Tree]:
        """Return the events for items at the end of a response that were not done before, without their numbers.

        Items that have another id there than they were told by get that one. One that is not there is as it was added, with the wholes that
        were said of it since; it is left out if more was said of it than these.
        """
        if self._names_dropped:
            return []
        events: list[Tree] = []
        output = trees_in(response.get("output"))
        before = told_before(output, self._told.values())
        after = max([place for place in self._told if isinstance(place, int)], default=-1) if None in before else -1
        for item, told in zip(output, before, strict=True):
            if told is None:
                if not (item.get("id") or item.get("call_id")):
                    continue
                place: object = (after := after + 1)
                events.append({"type": ADDED, "output_index": place, "item": item})
            else:
                place = told.key
                if told.id:
                    item["id"] = told.id
            if place not in self._done:
                events.append({"type": DONE, "output_index": place, "item": item})
            self._forget(place)
        for place in list(self._begun):
            if place in self._open:
                continue
            whole = item_of([as_tree(msgspec.json.decode(data)) for data in self._begun[place]])
            if whole is not None:
                item = ended(whole, str(response.get("status") or "completed"))
                events.append({"type": DONE, "output_index": place, "item": item})
                self._finish(place, events[-1], encode(events[-1]))
        return events

    def with_output(self, response: Tree) -> Tree:
        """Return a response at its end with its output, where it has none of its own: that is what clients take it for."""
        if response.get("output") or self._items_dropped:
            return response if "output" in response else {**response, "output": []}
        done = [as_tree(msgspec.json.decode(data)).get("item") for _, data in sorted(self._done.items(), key=place_of)]
        return {**response, "output": trees_in(done)}


def with_grown(event: Tree) -> Tree:
    """Return one of GROWING with what clients add to; the same where it has all of that."""
    name = GROWING[event.get("type")]
    grows = event.get(name)
    if name == "response":
        return {**event, name: {**grows, "output": []}} if is_tree(grows) and grows.get("output") is None else event
    added = as_tree(grows)
    member, empty = GROWN.get(str(added.get("type")), NOTHING)
    known = added.get(member)
    return event if known or isinstance(known, type(empty)) else {**event, name: {**added, member: empty}}


def item_of(events: list[Tree]) -> Tree | None:
    """Return the item that an event added, with the wholes that others say of it; None if a part is missing among these."""
    item = {**as_tree(events[0].get("item"))}
    for event in events[1:]:
        if name := GIVEN.get(str(event.get("type"))):
            item[name] = arguments_text(event.get(name))
            continue
        content, place = as_list(item.get("content")), index_of(event, "content_index")
        if place > len(content):
            return None
        if event.get("type") == PART_ADDED and place < len(content):
            continue
        item["content"] = [*content[:place], whole_part(event), *content[place + 1 :]]
    return item


def ended(item: Tree, status: str) -> Tree:
    """Return an item that was added as one that is done."""
    told: Tree = {"status": status} if "status" in item else {}
    return {**item, **told, **({"arguments": "{}"} if item.get("arguments") == "" else {})}


def part_of(event: Tree) -> tuple[object, object]:
    """Return which item and part of it an event is about."""
    return key_in(event, "output_index"), key_in(event, "content_index")


def place_of(placed: tuple[object, bytes]) -> int:
    """Return which item of the output it is."""
    place, _ = placed
    return place if isinstance(place, int) else 0
