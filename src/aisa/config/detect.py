"""Vendors that the environment alone makes usable: a key in a well-known variable. Reads no file and asks nobody over the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aisa.config.schema import Vendor


class KnownVendor(NamedTuple):
    """A vendor that needs no entry in the configuration."""

    name: str
    base_url: str
    key_variable: str
    base_url_variable: str


#: A further vendor is a further row.
KNOWN = (KnownVendor("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL"),)


class Found(NamedTuple):
    """A vendor and the variables it was made from."""

    vendor: Vendor
    origin: str


def detect(environment: Mapping[str, str]) -> dict[str, Found]:
    """Return the vendors that the environment has a key for, by name. An empty variable counts as unset."""
    found: dict[str, Found] = {}
    for known in KNOWN:
        api_key = environment.get(known.key_variable, "").strip()
        base_url = environment.get(known.base_url_variable, "").strip()
        if api_key:
            origin = known.key_variable + (f" and {known.base_url_variable}" if base_url else "") + " in the environment"
            found[known.name] = Found(Vendor(base_url=base_url or known.base_url, api_key=api_key), origin)
    return found
