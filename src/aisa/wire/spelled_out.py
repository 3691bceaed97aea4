"""JSON whose letters are written as their numbers, so that what is looked for in it is found all the same. Judges none of it."""

from __future__ import annotations

import re

import msgspec

#: A letter, a digit, an underscore or a colon as its number, as no program writes them by itself: names that are looked for have these.
AS_NUMBER = re.compile(rb"\\u00(?:3[0-9aA]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")


def spelled_out(written: bytes) -> bytes:
    """Return a JSON value in which each of these is itself; as it stands where each is."""
    return written if AS_NUMBER.search(written) is None else msgspec.json.encode(msgspec.json.decode(written))
