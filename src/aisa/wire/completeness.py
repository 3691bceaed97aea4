"""Tells how much of JSON is there: whether what comes in pieces is one whole value so far, and what of a cut object is whole.

Looks at brackets, quotes and commas only; judges no syntax.
"""

from __future__ import annotations

import re

#: Of one text that are looked at, each once; a longer one counts as never complete. Real arguments stay under 100 kB.
CHARACTERS_MAX = 1 << 20

OUTSIDE = re.compile(r'["{}\[\]]')
INSIDE = re.compile(r'["\\]')
MARKS = re.compile(r'["{}\[\],]')


class Completeness:
    """Follows one text of JSON."""

    __slots__ = ("_begun", "_depth", "_escaped", "_left", "_quoted")

    def __init__(self) -> None:
        self._left = CHARACTERS_MAX
        self._depth = 0
        self._quoted = self._escaped = self._begun = False

    @property
    def complete(self) -> bool:
        """True when every object, array and string that was opened is closed, and there was one."""
        return self._begun and self._depth <= 0 and not self._quoted and self._left >= 0

    def feed(self, text: str) -> None:
        """Take the next piece."""
        self._left -= len(text)
        at, end = 0, len(text) if self._left >= 0 else 0
        while at < end:
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            mark = (INSIDE if self._quoted else OUTSIDE).search(text, at)
            if mark is None:
                return
            at = mark.end()
            self._take(mark[0])

    def _take(self, mark: str) -> None:
        if mark == '"':
            self._quoted = not self._quoted
            self._begun = True
        elif mark == "\\":
            self._escaped = True
        elif mark in "{[":
            self._depth += 1
            self._begun = True
        else:
            self._depth -= 1


def whole_members(text: str) -> tuple[str, ...]:
    """Return texts of objects with the members that are whole in that of one which was cut, the most first; the first that is JSON counts.

    Of a number that is cut off nobody knows the rest, so that it is whole only if something stands behind it.
    """
    at, depth, comma, end = 0, 0, 0, 0
    while (mark := MARKS.search(text, at)) is not None:
        at = mark.end()
        if mark[0] == '"':
            while (inner := INSIDE.search(text, at)) is not None and inner[0] == "\\":
                at = inner.end() + 1
            if inner is None:
                break
            at = inner.end()
        elif mark[0] != ",":
            depth += 1 if mark[0] in "{[" else -1
        if depth == 1:
            comma, end = (mark.start(), end) if mark[0] == "," else (comma, at)
    return tuple([text[:place] + "}" for place in (end, comma) if place])
