"""The type of any JSON value, and how to look into one whose shape is not known. Parses nothing."""

from __future__ import annotations

import sys
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

NUMBER_MAX = sys.float_info.max


def as_object(value: Json) -> JsonObject:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_names(value: Json) -> list[str]:
    """Return the strings of a list, each once, in order; nothing if it is no list."""
    return list(dict.fromkeys(name for name in as_list(value) if isinstance(name, str)))


def as_number(value: Json) -> int | float | None:
    """Return the value if it is a number that a float can hold (true and false are none), else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= NUMBER_MAX else None


def places_of(schema: JsonObject) -> tuple[list[Json], Json]:
    """Return the schemas of a list's first items, one for each, and that of all others, as today's drafts say it or those before 2020."""
    items = schema.get("items", True)
    return (items, schema.get("additionalItems", True)) if isinstance(items, list) else (as_list(schema.get("prefixItems")), items)


def bound_of(schema: JsonObject, name: str) -> tuple[int | float | None, int | float | None]:
    """Return the bound of numbers that may be reached and the one that may not: `minimum` or `maximum`.

    Of the second the oldest drafts and OpenAPI 3.0 only say that the first is it.
    """
    reached, excluded = as_number(schema.get(name)), schema.get(f"exclusive{name.capitalize()}")
    return (None, reached) if excluded is True else (reached, as_number(excluded))


def as_count(value: Json, default: int) -> int:
    """Return the value if it is a whole number that is not negative, else the default."""
    number = as_number(value)
    return int(number) if number is not None and number >= 0 and number == number // 1 else default
