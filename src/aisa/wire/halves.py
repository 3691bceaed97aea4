"""Characters that a vendor cut in two: JSON escapes one above U+FFFF as a pair of surrogates, and some send the halves in two deltas."""

from __future__ import annotations

import re

HALF = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def whole(text: str) -> str:
    """Return text with its pairs joined and U+FFFD for each half that stands alone: what can be sent as UTF-8."""
    if text.isascii() or HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Seam:
    """Joins one text that comes in pieces. Holds back the first half of a pair until the next piece shows whether the other follows."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    @property
    def open(self) -> bool:
        """True while half a character is held back."""
        return self._half != ""

    def take(self, text: str) -> str:
        """Return what can be sent now that this piece has come."""
        if not text or (not self._half and text.isascii()):
            return text
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return whole(text)

    def end(self) -> str:
        """Return what is still owed at the end: U+FFFD for a half that stayed alone, else nothing."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""
