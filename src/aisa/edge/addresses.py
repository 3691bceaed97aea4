"""Where a request came from: the connection's peer, or whom the proxies that are trusted name. And what of that log and ledger may show."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from aisa.http.networks import KEPT_MAX, Networks, parse, plain
from aisa.http.request import Request

FORWARDED_MAX = 32  # proxies that a header may name; chains have two or three
NETWORK_BITS = {4: 24, 6: 48}  # of an address that are shown of a network: what one provider gives to many, or to one, customer


class Addresses:
    """The addresses of clients. `trusted` are networks of proxies, `shown` is `whole`, `network` or `none`."""

    def __init__(self, trusted: tuple[str, ...] = (), shown: str = "network") -> None:
        self._trusted = Networks(trusted) if trusted else None
        self._shown = shown

    def of(self, request: Request) -> str:
        """Return the client's address, nothing if it has none.

        The header counts only from a proxy that is trusted, and is read from its end: up to the first that no trusted proxy has written.
        """
        peer = plain(request.address)
        if self._trusted is None or peer not in self._trusted:
            return peer
        named = request.headers.get("x-forwarded-for", "").split(",")
        for entry in named[: -FORWARDED_MAX - 1 : -1]:
            address = forwarded(entry)
            if address is None:
                break
            peer = address
            if peer not in self._trusted:
                break
        return peer

    def shown(self, address: str) -> str | None:
        """Return what may be kept of an address, None for nothing."""
        if not address or self._shown == "none":
            return None
        return network_of(address) if self._shown == "network" else plain(address)


def forwarded(entry: str) -> str | None:
    """Return the address in an entry of X-Forwarded-For, which some proxies write with a port; None if it is none."""
    entry = entry.strip().strip('"')
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    parsed = parse(entry)
    return None if parsed is None else str(parsed)


@lru_cache(KEPT_MAX)
def network_of(address: str) -> str | None:
    """Return the network that an address is in, such as `192.0.2.0/24`."""
    parsed = parse(address)
    return None if parsed is None else str(ip_network(f"{parsed}/{NETWORK_BITS[parsed.version]}", strict=False))
