"""Vendors that need no entry, or one that says little: by what the environment has of the rows in `aisa.vendors`. Asks nobody."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from aisa.config.schema import Discovery, Vendor
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
    """Return a vendor if the environment proves our requests and says where it is; for a server of one's own, if it says where."""
    variables, address = proof_variables(row, environment), row.address(environment)
    if lacking(row, environment, named=False) or (row.sign and not address.given):
        return None
    return Found(vendor_of(row, environment), f"{' and '.join((*variables, *address.given))} in the environment")


def to_have(name: str, discovery: Discovery, environment: Mapping[str, str]) -> tuple[str, tuple[str, ...]] | None:
    """Say what would make a vendor of the table one that is used, and which variables that lacks; None if no row has the name."""
    row = ROWS.get(name)
    if row is None:
        return None
    if row.retired or row.dialect not in SPOKEN:
        return f"{row.title} " + (f"was shut down on {row.retired}." if row.retired else "is not built in yet."), ()
    by_entry = row.named_only or row.sign is not None or not discovery.environment
    lacks = lacking(row, environment, named=by_entry)
    missing = " and ".join(lacks)
    entry = f"Write `{name}: {{}}` under `vendors`"
    if by_entry:
        return (f"{entry}, and set {missing}." if missing else f"{entry}."), lacks
    return f"{row.title} is used when the environment has {missing}: set it, or write {name} under `vendors` with an `api_key`.", lacks


def lacking(row: Row, environment: Mapping[str, str], *, named: bool) -> tuple[str, ...]:
    """Return the variables that a vendor needs and the environment has not, each with those that would do instead: `A or B`.

    A vendor that the configuration names is proved by what a cloud's own clients find, too, and that may be in no variable.
    """
    missing = row.address(environment).missing
    if row.sign or proof_variables(row, environment) or (named and row.proved_by in ("google", "aws")):
        return missing
    begun = any(environment.get(name, "").strip() for name in row.other_proof)
    rest = [name for name in row.other_proof if not environment.get(name, "").strip()]
    return (" or ".join(row.key_variables) + (f" (or {' and '.join(rest)})" if begun else ""), *missing)


def proof_variables(row: Row, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that prove our requests to a vendor: that of its key, else those that together do the same."""
    key = row.key_variable(environment)
    whole = row.other_proof and all(environment.get(name, "").strip() for name in row.other_proof)
    return (key,) if key else row.other_proof if whole else ()


def vendor_of(row: Row, environment: Mapping[str, str]) -> Vendor:
    """Return a row as settings, with what the environment has that proves our requests to it."""
    settings: dict[str, object] = {
        "dialect": row.dialect,
        "base_url": row.address(environment).base_url,
        "api_key_as": row.key_as or None,
    }
    variables = proof_variables(row, environment)
    values = [environment[name].strip() for name in variables]
    if row.key_variable(environment):
        settings["api_key"] = values[0]
    elif row.proved_by == "azure" and variables:
        settings["azure_credentials"] = [dict(zip(("tenant_id", "client_id", "client_secret"), values, strict=True))]
    elif row.proved_by == "google":
        settings["google_credentials"] = [DEFAULT]
    elif row.proved_by == "aws":
        settings["aws_credentials"] = [DEFAULT]
    return msgspec.convert(settings, Vendor)


DEFAULT = "default"  # what Google's, or AWS's, own clients would take
PROOFS = ("api_key", "api_key_file", "api_keys", "api_key_files", "google_credentials", "azure_credentials", "aws_credentials")
BY_HAND = ("headers", "query")  # settings in which an entry may carry a key, too


def completed(vendor: Vendor, row: Row, *, given: Collection[str], environment: Mapping[str, str]) -> Vendor:
    """Return the settings of an entry that has no address, with all from its row that it does not say itself.

    An entry that proves our requests in one way gets no other from the environment.
    """
    own = vendor_of(row, environment)
    names = ["dialect", "base_url", "api_key_as", *(PROOFS if not any(name in given for name in PROOFS) else ())]
    return msgspec.structs.replace(vendor, **{name: getattr(own, name) for name in names if name not in given})
