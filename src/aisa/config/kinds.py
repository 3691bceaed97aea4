"""The schema's types taken apart: which part of a type a value is meant for, and what a type is called. Checks no values."""

from __future__ import annotations

import types
import typing
from functools import cache

from msgspec import inspect
from msgspec.structs import fields

from aisa.config.section import Section


def members(kind: object) -> tuple[object, ...]:
    """Return the alternatives of a union, or the type itself."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def is_section(kind: object) -> typing.TypeGuard[type[Section]]:
    """Say whether a type is a part of the configuration with named settings."""
    return isinstance(kind, type) and issubclass(kind, Section)


@cache
def hints(section: type[Section]) -> dict[str, object]:
    """Return a section's settings in order, name to type. The name is the operator's: `from`, where Python's is `from_`."""
    kinds = typing.get_type_hints(section, include_extras=True)
    return {field.encode_name: kinds[field.name] for field in fields(section)}


def part_for(kind: object, value: object) -> object | None:
    """Return the alternative that a mapping or a list is meant for, or None when the value is neither or nothing fits."""
    for member in members(kind):
        origin = typing.get_origin(member)
        if isinstance(value, dict) and (is_section(member) or origin is dict):
            return member
        if isinstance(value, list) and origin is tuple:
            return member
    return None


def may_be_empty(kind: object) -> bool:
    """Say whether nothing at all stands for an empty mapping: `models:` with no line below it."""
    return type(None) not in members(kind) and part_for(kind, {}) is not None


def entry_of(kind: object) -> object:
    """Return the type of the entries of a `dict[str, X]` or a `tuple[X, ...]`."""
    arguments = typing.get_args(kind)
    return arguments[1] if typing.get_origin(kind) is dict else arguments[0]


def describe(kind: object) -> str:
    """Say in a few words what a setting of this type may be, with its bounds."""
    return _describe(inspect.type_info(kind))


def _describe(info: inspect.Type) -> str:
    match info:
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "text"
        case inspect.DateType():
            return "a date such as 2026-12-01"
        case inspect.LiteralType():
            return "one of " + ", ".join(str(value) for value in info.values)
        case inspect.IntType() | inspect.FloatType():
            return ("a whole number" if isinstance(info, inspect.IntType) else "a number") + _bounds(info)
        case inspect.VarTupleType():
            return f"a list, each entry {_describe(info.item_type)}"
        case inspect.DictType():
            return "a mapping from names to " + ("text" if isinstance(info.value_type, inspect.StrType) else "settings")
        case inspect.UnionType():
            return " or ".join(sorted(_describe(member) for member in info.types if not isinstance(member, inspect.NoneType))[::-1])
        case _:
            return "a mapping of settings"


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    low = f"above {info.gt:,}" if info.gt is not None else f"from {info.ge:,}" if info.ge is not None else ""
    high = f"to {info.le:,}" if info.le is not None else "up"  # no setting has an open upper end without a lower one
    return f" {low} {high}" if low else ""
