"""Reads members of JSON that may be of any shape, without an exception. Judges nothing."""

from __future__ import annotations

from typing import Any, cast

Json = dict[str, Any]


def at(value: object, *path: str | int) -> Any:
    """Return what stands at a path of names and places; None where something on the way is not there, or not of that kind."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = cast("Json", value).get(step)
        elif isinstance(step, int) and isinstance(value, list):
            items = cast("list[object]", value)
            value = items[step] if -len(items) <= step < len(items) else None
        else:
            return None
    return value


def objects(value: object) -> list[Json]:
    """Return the objects in a list; none of what is no list."""
    return [cast("Json", item) for item in cast("list[object]", value) if isinstance(item, dict)] if isinstance(value, list) else []
