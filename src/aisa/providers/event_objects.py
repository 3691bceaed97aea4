"""The JSON objects of vendors' events and documents: read strictly, and what only strict JSON refuses once more. Knows no dialect.

A character whose two halves came in neighbouring events is put together, so that what is told of either is text for everybody.
"""

from __future__ import annotations

import msgspec

from aisa.wire.lenient_json import NotEvenLenient, encode, read_leniently, with_whole_text
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, trees_in

#: How streams say that there is no more: as OpenAI's do, and as some write that, in quotation marks or in small letters.
ENDS = (b"[DONE]", b'"[DONE]"', b"[done]")
#: What msgspec raises for what is no strict JSON.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class EventObjects:
    """Reads events one behind the other. One with text that ends in half a character waits for the next, which may have the rest."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: tuple[Tree, bytes] | None = None  # an event that waits for the next, so that this has to be read here too

    def take(self, data: bytes, members: Tree | None = None) -> list[tuple[Tree, bytes]] | None:
        """Return the events that can be told now, each with its own bytes, none if these are no strict JSON; None for what holds no object.

        `members` are what the event has beside those bytes.
        """
        event, strict = read(data)
        if is_tree(event):
            if members:
                event |= members
            return [(event, data)] if strict and self.waiting is None else self._joined(event, data if strict else b"")
        trees = trees_in(event)  # one gateway or another puts what it says in an array
        return [*self.end(), *[(with_whole_text(tree | (members or {})), b"") for tree in trees]] if trees else None

    def end(self) -> list[tuple[Tree, bytes]]:
        """Return the event that waited in vain."""
        waiting, self.waiting = self.waiting, None
        return [] if waiting is None else [(with_whole_text(waiting[0]), b"")]

    def _joined(self, event: Tree, data: bytes) -> list[tuple[Tree, bytes]]:
        before, self.waiting = self.waiting, None
        told: list[tuple[Tree, bytes]] = []
        if before is not None:
            first, rest = joined(before[0], event)
            told = [(with_whole_text(as_tree(first)), b"")]
            event, data = as_tree(rest), data if rest == event else b""
        if ends_in_half(event):
            self.waiting = event, data
            return told
        return [*told, (with_whole_text(event), data)]


def joined(before: object, after: object) -> tuple[object, object]:
    """Return two values in which texts in the same places that end in the first half of a character have the other from the next."""
    if isinstance(before, str) and isinstance(after, str):
        cut = before and after and "\ud800" <= before[-1] <= "\udbff" and "\udc00" <= after[0] <= "\udfff"
        return (before + after[0], after[1:]) if cut else (before, after)
    if is_tree(before) and is_tree(after):
        pairs = {name: joined(value, after[name]) for name, value in before.items() if name in after}
        return before | {name: one for name, (one, _) in pairs.items()}, after | {name: other for name, (_, other) in pairs.items()}
    if is_list(before) and is_list(after):
        places = [joined(one, other) for one, other in zip(before, after, strict=False)]
        return [one for one, _ in places] + before[len(places) :], [other for _, other in places] + after[len(places) :]
    return before, after


def ends_in_half(value: object) -> bool:
    """Tell whether a text in a value ends in the first half of a character."""
    if isinstance(value, str):
        return value != "" and "\ud800" <= value[-1] <= "\udbff"
    return any(map(ends_in_half, value.values() if is_tree(value) else value if is_list(value) else ()))


def read(data: bytes) -> tuple[object, bool]:
    """Return a JSON value, which may hold halves of characters if it is no strict JSON, and whether it is; None for what is none at all."""
    try:
        return msgspec.json.decode(data), True
    except NOT_JSON:
        try:
            return read_leniently(data), False
        except NotEvenLenient:
            return None, False


def tree_in(data: bytes) -> Tree:
    """Return the JSON object in a text that was already read in part: what was skipped then may hold numbers that are none."""
    return as_tree(read(data)[0])


def objects_in(data: bytes) -> list[Tree]:
    """Return the JSON object in a text, or those in an array."""
    value, strict = read(data)
    trees = [value] if is_tree(value) else trees_in(value)
    return trees if strict else [with_whole_text(tree) for tree in trees]


def object_in(data: bytes) -> Tree | None:
    """Return the JSON object in a text, or the first in an array; None if there is none."""
    return next(iter(objects_in(data)), None)


def document_in(data: bytes) -> tuple[Tree, bytes] | None:
    """Return the JSON object in a text, or the first in an array, and it as strict JSON: the same bytes if they are; None without any."""
    value, strict = read(data)
    if is_tree(value) and strict:
        return value, data
    tree = value if is_tree(value) else next(iter(trees_in(value)), None)
    return None if tree is None else ((whole := with_whole_text(tree)), encode(whole))
