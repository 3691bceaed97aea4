"""What an answer calls the model that made it: the name that a vendor gives, unless it tells where the vendor keeps its files."""

from __future__ import annotations

import re

import msgspec

from aisa.wire.trees import text_or_none

#: How a path begins, on any system. Names of models have slashes in them, but none before the first word.
PATH = re.compile(r"[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:")


def shown_name(given: object, asked: str) -> str:
    """Return the name to show for the one that the vendor gives, and for the one that was asked for."""
    name = text_or_none(given)
    return asked if name is None or PATH.match(name) else name


class Renaming:
    """Puts one name of a model in place of another in chunks that pass in the vendor's own bytes."""

    def __init__(self, given: str, shown: str) -> None:
        old, new = msgspec.json.encode(given), msgspec.json.encode(shown)
        self._pairs = [(b'"model":' + blank + old, b'"model":' + blank + new) for blank in (b"", b" ")]

    def renamed(self, data: bytes) -> bytes | None:
        """Return the chunk with the other name; None where that cannot be done on the bytes.

        Inside a string the quotation marks would be escaped, so what is found once is the member itself.
        """
        for old, new in self._pairs:
            if data.count(old) == 1:
                return data.replace(old, new)
        return None
