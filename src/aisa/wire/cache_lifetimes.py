"""How long a request asks its vendor to keep what it writes to a cache, in marks of Anthropic's kind. Knows no price."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Raw

from aisa.wire.spelled_out import spelled_out

#: How long a request asks what it writes to a cache to last. Within a text the quotation marks would be escaped.
LIFETIME = re.compile(rb'"cache_control"\s*:\s*\{[^{}]*"ttl"\s*:\s*"(\w{1,8})"')


def cache_lifetime(fields: Mapping[str, Raw], known: Iterable[str]) -> str:
    """Return the longest of the known lifetimes, which stand by rising length, that a request asks for; empty if it asks for none."""
    written = {name: spelled_out(bytes(value)) for name, value in fields.items()}
    own = b'"cache_control":' + written.get("cache_control", b"")  # of the request as a whole
    asked = {lifetime.decode() for value in (own, *written.values()) for lifetime in LIFETIME.findall(value)}
    return next((lifetime for lifetime in reversed(list(known)) if lifetime in asked), "")
