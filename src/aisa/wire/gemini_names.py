"""Gemini's members, each of which may be written in camelCase or with underscores: its Python client mixes the two. Knows no member."""

from __future__ import annotations

import re
from functools import cache

from aisa.errors import ApiError
from aisa.wire.members import Shape
from aisa.wire.trees import Tree, as_list, is_tree, trees_in

HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


@cache
def with_underscores(name: str) -> str:
    """Return a name of ours, in camelCase, as it is with underscores."""
    return HUMP.sub(lambda found: "_" + found[1].lower(), name)


def check_names(tree: Tree, shape: Shape) -> None:
    """Raise ApiError json_parse_error for a known name in another case, or in both spellings at once: we would act on one of the two."""
    shape.check(tree)
    check_spellings(tree, shape)


def check_spellings(tree: Tree, shape: Shape, path: str = "") -> None:
    """Raise ApiError json_parse_error for a member of this shape, or below, that is there in both spellings."""
    for name, inner in shape.shapes.items():
        if name not in tree:
            continue
        other = with_underscores(name)
        if other != name and other in tree:
            message = f"The member '{path}{name}' is there as '{other}' too. Send one of them."
            raise ApiError("json_parse_error", message, param=path + name)
        if inner is not None:
            for each in trees_at(tree, name):
                check_spellings(each, inner, f"{path}{name}.")


def member(tree: Tree, name: str) -> object:
    """Return a member by its name in camelCase, however it is written; None if it is absent."""
    value = tree.get(name)
    return tree.get(with_underscores(name)) if value is None else value


def tree_in(tree: Tree, name: str) -> Tree:
    """Return a member that is an object; an empty one if it is not."""
    value = member(tree, name)
    return value if is_tree(value) else {}


def trees_at(tree: Tree, name: str) -> list[Tree]:
    """Return the objects in a member that is an array, or the one that stands in its place."""
    value = member(tree, name)
    return [value] if is_tree(value) else trees_in(value)


def list_at(tree: Tree, name: str) -> list[object]:
    """Return a member that is an array; an empty one if it is not."""
    return as_list(member(tree, name))
