"""What the events of a Responses stream promise their client, and which of them are not kept. Changes no event, and knows no framing.

Clients put an answer together by these: a response is created, an item is added and a part of it is, before more is said of either, and
each item is done. Codex reads nothing but items that are done, OpenAI's Python client breaks at a delta of what was not added.
"""

from __future__ import annotations

from aisa.wire.trees import Tree, as_tree, is_tree, key_in, text_or_none, trees_in

#: Events of parts that must have been added, and what they are added as.
PARTS: dict[object, Tree] = {
    "response.output_text.delta": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "response.refusal.delta": {"type": "refusal", "refusal": ""},
}
IDS = ("id", "call_id")  # what an item is known by
ITEMS_KEPT_MAX = 1_000  # done items that are held to the end, for a vendor that does not repeat them there
KEPT_BYTES_MAX = 1_048_576  # of the events that brought them; beyond, as of pictures, they are not written twice


class Promises:
    """Those of one stream."""

    def __init__(self) -> None:
        self._created = False
        self._added: dict[object, tuple[str, object]] = {}  # by place in the output, the item's id and type
        self._parts: set[tuple[object, object]] = set()
        self._done: dict[object, Tree] = {}
        self._kept_bytes = 0

    def breaks(self, event: Tree) -> bool:
        """Tell whether an event goes on from what no client was told of; the first creates the response."""
        kind, place = str(event.get("type") or ""), key_in(event, "output_index")
        if is_tree(event.get("response")):
            return not self._created and kind != "response.created"
        if "output_index" not in event:
            return False
        if not self._created or (kind != "response.output_item.added" and place not in self._added):
            return True
        return kind in PARTS and (place, key_in(event, "content_index")) not in self._parts

    def lacking(self, event: Tree) -> list[Tree]:
        """Return the events that must come before one of text, of what has not been added. They have its number."""
        kind = event.get("type")
        if kind not in PARTS:
            return []
        place, part = key_in(event, "output_index"), key_in(event, "content_index")
        if (place, part) in self._parts:
            return []
        events: list[Tree] = []
        known: Tree = {name: event[name] for name in ("output_index", "sequence_number") if name in event}
        if place not in self._added:
            item: Tree = {"id": event.get("item_id"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
            events.append({"type": "response.output_item.added", "item": item, **known})
        events.append(
            {"type": "response.content_part.added", "item_id": event.get("item_id"), "content_index": part, "part": PARTS[kind], **known}
        )
        for one in events:
            self.take(one, 0)
        return events

    def take(self, event: Tree, size: int) -> None:
        """Take note of an event that is told, of so many bytes."""
        match event.get("type"):
            case "response.content_part.added":
                self._parts.add((key_in(event, "output_index"), key_in(event, "content_index")))
            case "response.output_item.added":
                item = as_tree(event.get("item"))
                self._added[key_in(event, "output_index")] = name_of(item), item.get("type")
            case "response.output_item.done":
                place, item = key_in(event, "output_index"), as_tree(event.get("item"))
                self._added.setdefault(place, (name_of(item), item.get("type")))
                self._kept_bytes += size
                self._done[place] = item if self._kept else {}
            case "response.created":
                self._created = True
            case _:
                pass

    @property
    def _kept(self) -> bool:
        """Whether all items that are done are still known, and not their places alone."""
        return self._kept_bytes <= KEPT_BYTES_MAX and len(self._done) < ITEMS_KEPT_MAX

    def owed(self, response: Tree) -> list[Tree]:
        """Return the events for items at the end of a response that were not done before, without their numbers.

        Items that have another id there than they were told by get that one.
        """
        events: list[Tree] = []
        places = {name: place for place, (name, _) in self._added.items() if name}
        after = max([place for place in self._added if isinstance(place, int)], default=-1)
        for position, item in enumerate(trees_in(response.get("output"))):
            name, kind = name_of(item), item.get("type")
            there = position if position in self._added and self._added[position][1] == kind else None
            place = places.get(name, there)
            if place is not None and (told := self._added[place][0]) and told != item.get("call_id"):
                item["id"] = told
            if place in self._done or not name:
                continue
            if place is None:
                place = after = after + 1
                events.append({"type": "response.output_item.added", "output_index": place, "item": item})
            events.append({"type": "response.output_item.done", "output_index": place, "item": item})
        return events

    def whole(self, response: Tree) -> Tree:
        """Return a response at its end with its output, where it has none of its own: that is what clients take it for."""
        if response.get("output") or not self._kept:
            return response if "output" in response else {**response, "output": []}
        return {**response, "output": [item for _, item in sorted(self._done.items(), key=place_of)]}


def place_of(placed: tuple[object, Tree]) -> int:
    """Return which item of the output it is."""
    place, _ = placed
    return place if isinstance(place, int) else 0


def name_of(item: Tree) -> str:
    """Return what an item is known by, nothing if it has no id."""
    return next((name for each in IDS if (name := text_or_none(item.get(each)))), "")
