"""What proves a request ours, and the credential that is a key of the configuration, wherever the vendor wants to see it. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from aisa.config.schema import Vendor
from aisa.providers.port import UpstreamRequest

BEARER = "bearer"
HEADER = "header:"
QUERY = "query:"


class Proof(NamedTuple):
    """What is added to a request: headers, names in lower case, and a query that is percent-encoded already. All of it is secret."""

    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""


class Fixed:
    """The same proof for every request."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    def proof(self, request: UpstreamRequest, now: float) -> Proof:
        """Return it."""
        return self._proof

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Return it."""
        return self._proof


def credential_of(vendor: Vendor) -> Fixed:
    """Return the credential of a vendor's settings. What its `headers` and `query` say stands beside it, and before it."""
    key, place = vendor.api_key, vendor.api_key_as
    if key is None:
        return Fixed(Proof())
    if place == BEARER:
        return Fixed(Proof(headers=(("authorization", f"Bearer {key}"),)))
    if place.startswith(HEADER):
        return Fixed(Proof(headers=((place.removeprefix(HEADER).lower(), key),)))
    return Fixed(Proof(query=f"{quote(place.removeprefix(QUERY), safe='')}={quote(key, safe='')}"))
