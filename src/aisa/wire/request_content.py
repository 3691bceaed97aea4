"""What a chat request holds that its bill may depend on, read from the client's own bytes. Prices nothing and asks no vendor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Raw

#: How long a request asks what it writes to a cache to last. Within a text the quotation marks would be escaped.
LIFETIME = re.compile(rb'"cache_control"\s*:\s*\{[^{}]*"ttl"\s*:\s*"(\w{1,8})"')


def cache_lifetime(fields: Mapping[str, Raw], known: Iterable[str]) -> str:
    """Return the longest of the known lifetimes, which stand by rising length, that a request asks for; empty if it asks for none."""
    asked = {lifetime.decode() for value in fields.values() for lifetime in LIFETIME.findall(bytes(value))}
    return next((lifetime for lifetime in reversed(list(known)) if lifetime in asked), "")
