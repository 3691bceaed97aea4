"""Which addresses anybody on the internet can reach. Pure: resolves no name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: Within what Python calls global: ways to embed an address of another kind, and relays to them.
NOT_PUBLIC = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16", "3fff::/20", "192.88.99.0/24")))
UNICAST = ip_network("2000::/3")  # all that is given out of IPv6


def is_public(address: str) -> bool:
    """Say whether an address, as a literal, belongs to the public internet. What is no address does not."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return False
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found not in UNICAST:
            return False
    special = (
        found.is_private or found.is_multicast or found.is_reserved or found.is_loopback or found.is_link_local or found.is_unspecified
    )
    return found.is_global and not special and not any(found.version == network.version and found in network for network in NOT_PUBLIC)
