"""Vendors that need no entry, or one that says little: by what the environment has of the rows in `aisa.vendors`. Asks nobody."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from aisa.config.schema import Vendor
from aisa.vendors.row import Row
from aisa.vendors.table import ROWS

#: The dialects that are built in: a row of another one waits for it.
SPOKEN: frozenset[str] = frozenset(typing.get_args(typing.get_type_hints(Vendor)["dialect"]))


class Found(NamedTuple):
    """A vendor and what it was made from."""

    vendor: Vendor
    origin: str


def detect(environment: Mapping[str, str], rows: Iterable[Row] = ROWS.values()) -> dict[str, Found]:
    """Return the vendors that the environment has all of that is needed, by name. An empty variable counts as unset.

    Left out are those whose variables are there for other things, too, and those that cannot be asked.
    """
    usable = [row for row in rows if row.dialect in SPOKEN and not row.named_only and not row.retired]
    return {row.name: found for row in usable if (found := in_environment(row, environment)) is not None}


def in_environment(row: Row, environment: Mapping[str, str]) -> Found | None:
    """Return a vendor if the environment has its key and says where it is; for a server of one's own, if it says where."""
    key, address = row.key_variable(environment), row.address(environment)
    if address.missing or not (address.given if row.sign else key):
        return None
    variables = ([key] if key else []) + list(address.given)
    return Found(vendor_of(row, environment), f"{' and '.join(variables)} in the environment")


def vendor_of(row: Row, environment: Mapping[str, str]) -> Vendor:
    """Return a row as settings, with the key that the environment has for it."""
    key = row.key_variable(environment)
    settings: dict[str, object] = {
        "dialect": row.dialect,
        "base_url": row.address(environment).base_url,
        "api_key": environment[key].strip() if key else None,
        "api_key_as": row.key_as or None,
    }
    return msgspec.convert(settings, Vendor)


def completed(vendor: Vendor, row: Row, *, given: Collection[str], environment: Mapping[str, str]) -> Vendor:
    """Return the settings of an entry that has no address, with all from its row that it does not say itself."""
    own = vendor_of(row, environment)
    added = {name: getattr(own, name) for name in ("dialect", "base_url", "api_key", "api_key_as") if name not in given}
    return msgspec.structs.replace(vendor, **added)
