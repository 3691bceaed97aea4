"""The head that a proxy may put before a connection's own bytes: the PROXY protocol of HAProxy, versions 1 and 2. Sans-IO."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

V1 = b"PROXY "
V2 = b"\r\n\r\n\0\r\nQUIT\n"
V1_BYTES_MAX = 107  # as the protocol says, line end included
V2_HEAD_BYTES = 16
V2_BYTES_MAX = 4_096  # of the head and what comes with it: addresses, and what clouds add; 65,551 could be written
LOCAL, PROXIED = 0x20, 0x21
TCP4, TCP6 = 0x11, 0x21
SIZES = {TCP4: 4, TCP6: 16}
PORT, PORT_MAX = re.compile("0|[1-9][0-9]{0,4}"), 65_535


class Head(NamedTuple):
    """A whole head: how many bytes it has, and the client's address, None where the proxy speaks for itself or does not say."""

    size: int
    address: str | None


class NotProxied(Exception):
    """What came is no such head."""


class BrokenHead(Exception):
    """It began as one and is not well formed; the words say how."""


def read_head(data: bytes) -> Head | None:
    """Return the head at the beginning of some bytes, None while it is not whole. Raises NotProxied, BrokenHead.

    While it returns None, all of the bytes belong to the head.
    """
    if data.startswith(V1):
        return read_line(data)
    if data.startswith(V2):
        return read_binary(data)
    if V1.startswith(data) or V2.startswith(data):
        return None
    raise NotProxied


def read_line(data: bytes) -> Head | None:
    """Read version 1: `PROXY TCP4 192.0.2.1 203.0.113.9 51000 443` and a line end."""
    end = data.find(b"\r\n", 0, V1_BYTES_MAX)
    if end < 0:
        if len(data) >= V1_BYTES_MAX:
            raise BrokenHead(f"its line has more than {V1_BYTES_MAX} bytes")
        return None
    words = data[len(V1) : end].decode("ascii", "replace").split(" ")
    if words[0] == "UNKNOWN":
        return Head(end + 2, None)
    if words[0] not in ("TCP4", "TCP6") or len(words) != 5:
        raise BrokenHead("its line is not `PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT`")
    try:
        source, destination = ip_address(words[1]), ip_address(words[2])
    except ValueError:
        raise BrokenHead("one of its addresses is none") from None
    if {type(source), type(destination)} != {IPv4Address if words[0] == "TCP4" else IPv6Address} or "%" in words[1] + words[2]:
        raise BrokenHead("one of its addresses is of another kind than it says")
    if not all(PORT.fullmatch(port) and int(port) <= PORT_MAX for port in words[3:]):
        raise BrokenHead(f"its ports are not numbers from 0 to {PORT_MAX}")
    return Head(end + 2, str(source))


def read_binary(data: bytes) -> Head | None:
    """Read version 2."""
    if len(data) < V2_HEAD_BYTES:
        return None
    command, family = data[12], data[13]
    size = V2_HEAD_BYTES + int.from_bytes(data[14:16])
    if size > V2_BYTES_MAX:
        raise BrokenHead(f"it has {size:,} bytes, and {V2_BYTES_MAX:,} are the most that are taken")
    if command not in (LOCAL, PROXIED):
        raise BrokenHead("it is of an unknown version or command")
    if len(data) < size:
        return None
    length = SIZES.get(family)
    if command == LOCAL or length is None:
        return Head(size, None)
    if size < V2_HEAD_BYTES + 2 * length + 4:
        raise BrokenHead("its addresses are cut")
    source = data[V2_HEAD_BYTES : V2_HEAD_BYTES + length]
    return Head(size, str(IPv4Address(source) if family == TCP4 else IPv6Address(source)))
