"""Money in the JSON that commands print: exact, with its unit in the name. Knows which of our names mean money, and no command."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from aisa.money import dollars_text

#: Members that are amounts in nano-dollars wherever they stand.
MONEY = frozenset({"amount", "balance", "charged", "closing", "cost", "left", "opening", "spend_cap", "spent"})


def with_units(value: object) -> object:
    """Return what is to be printed as JSON, each amount twice: `NAME_nanos_usd`, an integer, and `NAME_usd`, an exact number or null."""
    if isinstance(value, dict):
        shown: dict[str, object] = {}
        for name, each in cast("dict[str, Any]", value).items():
            if name in MONEY and (each is None or isinstance(each, int)):
                shown[f"{name}_nanos_usd"] = each
                shown[f"{name}_usd"] = None if each is None else msgspec.Raw(dollars_text(each).encode())
            else:
                shown[name] = with_units(each)
        return shown
    if isinstance(value, list):
        return [with_units(each) for each in cast("list[object]", value)]
    return value
