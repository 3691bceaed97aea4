"""Which items of the output at the end of a Responses answer were told before, in events. Knows no events."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from aisa.wire.trees import Tree, text_or_none


class Told(NamedTuple):
    """An item that was told, as whoever keeps it knows it (`key`), and by what it may be known again; ids are empty where it has none."""

    key: Hashable
    id: str
    call_id: str
    kind: str


def told_item(key: Hashable, item: Tree) -> Told:
    """Return what an item is to be known by."""
    return Told(key, text_or_none(item.get("id")) or "", text_or_none(item.get("call_id")) or "", str(item.get("type")))


def told_before(output: list[Tree], told: Iterable[Told]) -> list[Told | None]:
    """Return for each item which of those told it is: by its ids, else the next of its type that is none of the others.

    Some vendors make up another id for the end, or have none there, and some leave out there what they told.
    """
    known = list(told)
    by_id: dict[str, Told] = {}
    for each in known:
        by_id |= {each.call_id: each, each.id: each}
    by_id.pop("", None)
    found = [by_id.get(text_or_none(item.get("id")) or "") or by_id.get(text_or_none(item.get("call_id")) or "") for item in output]
    if None not in found:
        return found
    taken = {each.key for each in found if each is not None}
    left: dict[str, list[Told]] = {}
    for each in reversed(known):
        if each.key not in taken:
            left.setdefault(each.kind, []).append(each)
    for place, item in enumerate(output):
        if found[place] is None and (rest := left.get(str(item.get("type")))):
            found[place] = rest.pop()
    return found


def chat_annotation(note: Tree) -> Tree:
    """Return a note on a text as chat completions have it: what it says in an object of its own."""
    kind = str(note.get("type"))
    return {"type": kind, kind: {name: value for name, value in note.items() if name != "type"}}
