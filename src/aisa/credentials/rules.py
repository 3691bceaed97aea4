"""What proves a request ours, and what does so with a key of the configuration, wherever the vendor looks for it. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from aisa.config.schema import Vendor

BEARER = "bearer"
HEADER = "header:"
QUERY = "query:"
#: dialect -> where the vendors that speak it look for a key, if not in a bearer token.
PLACES = MappingProxyType({"anthropic": "header:x-api-key", "gemini": "header:x-goog-api-key"})


class Proof(NamedTuple):
    """What is added to a request: headers, names in lower case, and a query that is percent-encoded already. All of it is secret."""

    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""


def keys_of(vendor: Vendor) -> tuple[str, ...]:
    """Return all keys of a vendor's settings, each once."""
    return tuple(dict.fromkeys([*([vendor.api_key] if vendor.api_key is not None else ()), *vendor.api_keys]))


def proof_of(vendor: Vendor, key: str | None = None) -> Proof:
    """Return what proves every request with a key of a vendor's settings, if none is given with the first.

    What its `headers` say of the same header counts instead.
    """
    key = key or next(iter(keys_of(vendor)), None)
    place = vendor.api_key_as or PLACES.get(vendor.dialect, BEARER)
    if key is None:
        return Proof()
    if place == BEARER:
        return Proof(headers=(("authorization", f"Bearer {key}"),))
    if place.startswith(HEADER):
        return Proof(headers=((place.removeprefix(HEADER).lower(), key),))
    return Proof(query=f"{quote(place.removeprefix(QUERY), safe='')}={quote(key, safe='')}")
