"""Which events clients of the Responses API need that a vendor's stream has left out. Changes no event, and knows no framing.

Clients put an answer together by these: a response is created, an item is added and a part of it is, before more is said of either, and
each item is done. Codex reads nothing but items that are done, OpenAI's Python client breaks at a delta of what was not added.
"""

from __future__ import annotations

import msgspec

from aisa.providers.responses_output import Told, told_before, told_item
from aisa.wire.lenient_json import encode
from aisa.wire.trees import Tree, as_tree, is_tree, key_in, trees_in

#: Events of parts that must have been added, and what they are added as.
PARTS: dict[object, Tree] = {
    "response.output_text.delta": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "response.refusal.delta": {"type": "refusal", "refusal": ""},
}
ADDED, DONE, PART_ADDED = "response.output_item.added", "response.output_item.done", "response.content_part.added"
#: How the types begin of events by which clients put items together: they break at those of an item that was not added.
PIECES = ("response.content_part.", "response.output_text.", "response.refusal.", "response.function_call_", "response.custom_tool_", DONE)
#: Members of items and parts, and of what opens an answer, to which clients add what comes: they break where these are null or not there.
GROWN: dict[str, dict[str, object]] = {
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
    "reasoning": {"summary": []},
    "output_text": {"text": ""},
    "refusal": {"refusal": ""},
}
OPENINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
#: A stream may hold 64 KiB: half of it for done items as they came, for a vendor that does not repeat them at the end. Beyond, as of
#: pictures, they are not written twice.
ITEMS_BYTES_MAX = 32_768
#: The other half for which items and parts there are, some 250 of them. Beyond, nothing is taken to be left out.
NAMES_BYTES_MAX = 32_768
ENTRY_BYTES = 64  # of a name, beside its own


class RequiredEvents:
    """Those of one stream."""

    def __init__(self) -> None:
        self._created = False
        self._told: dict[object, Told] = {}  # by place in the output
        self._parts: set[tuple[object, object]] = set()
        self._done: dict[object, bytes] = {}  # by place, the event that said so
        self._silent: dict[object, bytes] = {}  # the same of items that were added and of which nothing was said since
        self._names_bytes = self._items_bytes = 0
        self._names_dropped = self._items_dropped = False

    @property
    def held_bytes(self) -> int:
        """How much is held."""
        return self._names_bytes + self._items_bytes

    @property
    def created(self) -> bool:
        """Whether the response has been created: clients break at any event before that."""
        return self._created

    def lacks_any(self, event: Tree) -> bool:
        """Tell whether an event goes on from what no client was told of; the first creates the response."""
        kind = str(event.get("type") or "")
        if is_tree(event.get("response")):
            return not self._created and kind != "response.created"
        if "output_index" not in event:
            return False
        if not self._created or (kind != ADDED and key_in(event, "output_index") not in self._told):
            return True
        return kind in PARTS and part_of(event) not in self._parts

    def missing_before(self, event: Tree) -> list[Tree]:
        """Return the events that must come before one of text, of what has not been added. They have its number."""
        kind = event.get("type")
        if kind not in PARTS or part_of(event) in self._parts or self._names_dropped:
            return []
        events: list[Tree] = []
        place, part = part_of(event)
        known: Tree = {name: event[name] for name in ("output_index", "sequence_number") if name in event}
        if place not in self._told:
            item: Tree = {"id": event.get("item_id"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
            events.append({"type": ADDED, "item": item, **known})
        events.append({"type": PART_ADDED, "item_id": event.get("item_id"), "content_index": part, "part": PARTS[kind], **known})
        for one in events:
            self.take(one, b"")
        return events

    def is_unannounced(self, event: Tree) -> bool:
        """Tell whether an event is about an item that was not added, and clients put items together by it, or have the whole with it."""
        if "output_index" not in event or self._names_dropped or key_in(event, "output_index") in self._told:
            return False
        return str(event.get("type")).startswith(PIECES)

    def take(self, event: Tree, data: bytes) -> None:
        """Take note of an event that is told, and of its own bytes, if it is strict JSON in them."""
        match event.get("type"):
            case kind if kind == PART_ADDED:
                if self._fits(ENTRY_BYTES):
                    self._parts.add(part_of(event))
            case "response.output_item.added":
                self._add(event)
                self._keep_silent(key_in(event, "output_index"), data or encode(event))
            case "response.output_item.done":
                self._finish(event, data or encode(event))
            case "response.created":
                self._created = True
            case str(kind) if kind.endswith(".delta"):
                self._items_bytes -= len(self._silent.pop(key_in(event, "output_index"), b""))
            case _:
                pass

    def _keep_silent(self, place: object, data: bytes) -> None:
        if place in self._told and place not in self._silent and self._items_bytes + len(data) <= ITEMS_BYTES_MAX:
            self._silent[place] = data
            self._items_bytes += len(data)

    def _add(self, event: Tree) -> None:
        told = told_item(key_in(event, "output_index"), as_tree(event.get("item")))
        if self._fits(ENTRY_BYTES + sum([len(str(name)) for name in told])):
            self._told[told.key] = told

    def _fits(self, size: int) -> bool:
        """Take so much of what names may hold, and tell whether there is."""
        self._names_dropped = self._names_dropped or self._names_bytes + size > NAMES_BYTES_MAX
        self._names_bytes += 0 if self._names_dropped else size
        return not self._names_dropped

    def _finish(self, event: Tree, data: bytes) -> None:
        place = key_in(event, "output_index")
        self._items_bytes -= len(self._silent.pop(place, b""))
        if place not in self._told:
            self._add(event)
        self._items_dropped = self._items_dropped or self._names_dropped or self._items_bytes + len(data) > ITEMS_BYTES_MAX
        if not self._names_dropped:
            self._done[place] = b"" if self._items_dropped else data
            self._items_bytes += len(self._done[place])

    def missing_at_end(self, response: Tree) -> list[Tree]:
        """Return the events for items at the end of a response that were not done before, without their numbers.

        Items that have another id there than they were told by get that one. One that was added, and of which nothing was said since, not
        even there, is as it was then.
        """
        if self._names_dropped:
            return []
        events: list[Tree] = []
        after = max([place for place in self._told if isinstance(place, int)], default=-1)
        output = trees_in(response.get("output"))
        for item, told in zip(output, told_before(output, self._told.values()), strict=True):
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
                self._silent.pop(place, None)
        for place, data in [*self._silent.items()]:
            item = ended(as_tree(as_tree(msgspec.json.decode(data)).get("item")), str(response.get("status") or "completed"))
            events.append({"type": DONE, "output_index": place, "item": item})
            self._finish(events[-1], encode(events[-1]))
        return events

    def with_output(self, response: Tree) -> Tree:
        """Return a response at its end with its output, where it has none of its own: that is what clients take it for."""
        if response.get("output") or self._items_dropped:
            return response if "output" in response else {**response, "output": []}
        done = [as_tree(msgspec.json.decode(data)).get("item") for _, data in sorted(self._done.items(), key=place_of)]
        return {**response, "output": trees_in(done)}


def with_grown(event: Tree) -> Tree:
    """Return an event with what clients add to; the same where it has all of that."""
    kind, response = event.get("type"), event.get("response")
    if kind in OPENINGS and is_tree(response) and response.get("output") is None:
        return {**event, "response": {**response, "output": []}}
    name = {ADDED: "item", PART_ADDED: "part"}.get(str(kind), "")
    added = as_tree(event.get(name))
    missing = {member: empty for member, empty in GROWN.get(str(added.get("type")), {}).items() if added.get(member) is None}
    return {**event, name: {**added, **missing}} if missing else event


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
