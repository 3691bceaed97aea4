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


def as_count(value: Json, default: int) -> int:
    """Return the value if it is a whole number that is not negative, else the default."""
    number = as_number(value)
    return int(number) if number is not None and number >= 0 and number == number // 1 else default
