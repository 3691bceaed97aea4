"""Lists that vendors write as objects: `{"0": {...}}` for a list of one, or what is in it without a list. Knows no protocol."""

from __future__ import annotations

from collections.abc import Collection
from operator import is_

from aisa.wire.trees import Tree, is_tree, trees_in

PLACE_DIGITS_MAX = 9  # of a place in a list: a longer number is a name
CHOICE = frozenset({"index", "delta", "message", "text", "finish_reason", "content"})


def objects_of(value: object, members: frozenset[str]) -> list[Tree]:
    """Return the objects in a list, or in an object in place of one. One with any of these `members` stands alone."""
    if not is_tree(value):
        return trees_in(value)
    if not members.isdisjoint(value) or not value or not all(map(is_tree, value.values())):
        return [value] if value else []
    entries = [(int(name), entry) for name, entry in value.items() if is_place(name)]
    if len(entries) < len(value):  # by names, such as the ids of calls
        return [{"id": name, **entry} for name, entry in value.items() if is_tree(entry)]
    return [{"index": place, **entry} for place, entry in sorted(entries, key=lambda each: each[0]) if is_tree(entry)]


def choices_of(answer: Tree) -> list[Tree]:
    """Return the choices of an answer, or of a chunk of one."""
    return objects_of(answer.get("choices"), CHOICE)


def same_items(new: Collection[object], old: Collection[object]) -> bool:
    """Tell whether the items of two lists are the same objects."""
    return len(new) == len(old) and all(map(is_, new, old))


def is_place(name: str) -> bool:
    """Tell whether a member is named by a place in a list."""
    return name.isascii() and name.isdecimal() and len(name) <= PLACE_DIGITS_MAX


def is_content(value: object) -> bool:
    """Tell whether a value can be a content: a text, a list, an object, or nothing."""
    return value is None or isinstance(value, str | list | dict)


def is_block(value: object) -> bool:
    """Tell whether a value can be an entry of a content: a text, an object, or nothing."""
    return value is None or isinstance(value, str | dict)
