"""Tells an address on the web from data, where a file's place in a request may hold either. Reads none, and takes none apart."""

from __future__ import annotations


def is_web_address(given: object) -> bool:
    """Tell whether this is an address that a vendor could read."""
    return isinstance(given, str) and given[:8].lower().startswith(("http://", "https://"))
