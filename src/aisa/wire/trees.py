"""JSON values as types: what a decoder gives back, narrowed without a copy. Knows no field."""

from __future__ import annotations

from typing import TypeGuard

#: A JSON object.
Tree = dict[str, object]
KEYS = (int, str, float)  # types of what things are told apart by; made once, as a union is in each question


def is_tree(value: object) -> TypeGuard[Tree]:
    """Tell whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Tell whether a JSON value is an array."""
    return isinstance(value, list)


def as_tree(value: object) -> Tree:
    """Return an object as it is, anything else as an empty one."""
    return value if is_tree(value) else {}


def as_list(value: object) -> list[object]:
    """Return an array as it is, anything else as an empty one."""
    return value if is_list(value) else []


def trees_in(value: object) -> list[Tree]:
    """Return the objects in an array; none if it is no array."""
    return [item for item in value if is_tree(item)] if is_list(value) else []


def key_in(tree: Tree, name: str) -> str | int | float | None:
    """Return a member that things are told apart by: a number or a text. Of anything else None, as nothing can be kept under it."""
    value = tree.get(name)
    return value if isinstance(value, KEYS) else None


def text_or_none(value: object) -> str | None:
    """Return text that is not empty."""
    return value if isinstance(value, str) and value else None
