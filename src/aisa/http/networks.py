"""Addresses of clients and proxies, as they are compared and told: one of IPv4 that was written as IPv6 is what it is. Resolves no name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

KEPT_MAX = 10_000  # looked-up addresses
MAPPED_BITS = 96  # of IPv6, ahead of an address of IPv4

Address = IPv4Address | IPv6Address


def parse(text: str) -> Address | None:
    """Return an address, without the name of an interface behind it; None if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(KEPT_MAX)
def plain(text: str) -> str:
    """Return an address as it is told; what is none as it is."""
    address = parse(text)
    return text if address is None else str(address)


class Networks:
    """Some networks, such as those of trusted proxies, by how they are written: `10.0.0.0/8`. Raises ValueError."""

    def __init__(self, named: Iterable[str]) -> None:
        self._networks = tuple([network(name) for name in named])
        self._has = lru_cache(KEPT_MAX)(self._look_up)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        """Whether an address is in one of them."""
        return self._has(address)

    def _look_up(self, address: str) -> bool:
        parsed = parse(address)
        return parsed is not None and any(parsed in each for each in self._networks)


def network(name: str) -> IPv4Network | IPv6Network:
    """Return a network by how it is written. Raises ValueError."""
    named = ip_network(name)
    mapped = named.network_address.ipv4_mapped if isinstance(named, IPv6Network) else None
    return named if mapped is None or named.prefixlen < MAPPED_BITS else ip_network((mapped, named.prefixlen - MAPPED_BITS))
