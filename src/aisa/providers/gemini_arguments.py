"""Arguments of a call that Vertex sends in pieces, each with the place that it belongs to. Knows no answer."""

from __future__ import annotations

import re

from aisa.wire.trees import Tree, is_list, is_tree, trees_in

STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]")
DEPTH_MAX = 64  # of a place: no JSON that we take is nested deeper
ITEMS_MAX = 10_000  # of an array; a larger index is a fault of the vendor's, not a reason to fill memory
VALUES = ("stringValue", "numberValue", "boolValue")


class PartialArguments:
    """The arguments of the `index`-th call of a choice."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.arguments: Tree = {}

    def take(self, pieces: object) -> None:
        """Put further pieces in their places: `$.city`, `$.days[0].name`. Texts grow."""
        for piece in trees_in(pieces):
            path = steps(str(piece.get("jsonPath") or ""))
            value = next((piece[name] for name in VALUES if name in piece), None)
            if path and isinstance(path[0], str):
                put(self.arguments, path, value)


def steps(path: str) -> list[str | int]:
    """Return the steps of a JSON path; none of what is no path."""
    found = [int(index) if index else name or quoted for name, index, quoted in STEP.findall(path.removeprefix("$"))]
    return found if len(found) <= DEPTH_MAX else []


def put(place: object, path: list[str | int], value: object) -> None:
    """Put a value behind a path of steps; what is on the way is made."""
    for depth, step in enumerate(path):
        if depth == len(path) - 1:
            known = member(place, step)
            store(place, step, known + value if isinstance(known, str) and isinstance(value, str) else value)
            return
        inner = member(place, step)
        if not (is_tree(inner) or is_list(inner)):
            begun: Tree | list[object] = [] if isinstance(path[depth + 1], int) else {}
            inner = begun
            store(place, step, inner)
        place = inner


def member(place: object, step: str | int) -> object:
    """Return what is in a place, None if nothing is."""
    if is_tree(place):
        return place.get(str(step))
    return place[step] if is_list(place) and isinstance(step, int) and step < len(place) else None


def store(place: object, step: str | int, value: object) -> None:
    """Put a value in a place."""
    if is_tree(place):
        place[str(step)] = value
    elif is_list(place) and isinstance(step, int) and step < ITEMS_MAX:
        place += [None] * (step + 1 - len(place))
        place[step] = value
