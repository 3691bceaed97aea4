"""Which addresses anybody on the internet can reach. Pure: resolves no name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: What IANA's registries of special purposes have, relays and ways to embed an address of another kind included. All of it stands here,
#: because what Python calls global differs from release to release.
NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
            *("192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
            *("5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8"),
        ),
    )
)
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
