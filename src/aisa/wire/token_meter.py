"""Counts the tokens of one choice while it is streamed, where no vendor says how many they are. The figure never falls.

Vendors send one token in a piece, or many, or a few characters: pieces are tokens while the text so far averages 2 to 8 bytes a piece,
else four bytes of it are one. With a tokenizer, text is counted a few KiB at a time, and in between by size.
"""

from __future__ import annotations

from collections.abc import Callable

from aisa.usage import BYTES_PER_TOKEN

PIECE_BYTES_MIN, PIECE_BYTES_MAX = 2, 8  # a piece, on average, that can be a token: English and code have 3 to 5 bytes
TRIED_BYTES = 4_096  # of text that a tokenizer is given at once: about a thousand tokens, a millisecond


class TokenMeter:
    """The tokens of one choice. `by_pieces` False: the vendor's pieces are text of any length."""

    __slots__ = ("_count", "_open", "_open_bytes", "_settled", "by_pieces", "pieces", "text_bytes", "tokens")

    def __init__(self, count: Callable[[str], int] | None = None, *, by_pieces: bool = True) -> None:
        self.tokens = 0
        self.pieces = 0
        self.text_bytes = 0
        self.by_pieces = by_pieces
        self._count = count
        self._settled = 0  # tokens of the text that the tokenizer has seen
        self._open: list[str] = []  # the text that it has not
        self._open_bytes = 0

    def add(self, text_bytes: int) -> int:
        """Take a further piece of so many bytes of text; return how many tokens there are more."""
        self.pieces = pieces = self.pieces + 1
        self.text_bytes = size = self.text_bytes + text_bytes
        fits = self.by_pieces and PIECE_BYTES_MIN * pieces <= size <= PIECE_BYTES_MAX * pieces
        tokens = pieces if fits else -(-size // BYTES_PER_TOKEN)
        more = tokens - self.tokens
        if more <= 0:
            return 0
        self.tokens = tokens
        return more

    def add_bytes(self, text: bytes) -> int:
        """Take a further piece of text in UTF-8; return how many tokens there are more."""
        return self.add(len(text)) if self._count is None else self.add_text(text.decode())

    def add_text(self, text: str) -> int:
        """Take a further piece of text; return how many tokens there are more."""
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if self._count is None:
            return self.add(size)
        self.pieces += 1
        self.text_bytes += size
        self._open.append(text)
        self._open_bytes += size
        if self._open_bytes >= TRIED_BYTES:
            self._try()
        return self.reach(self._settled - (-self._open_bytes // BYTES_PER_TOKEN))

    def reach(self, tokens: int) -> int:
        """Take it that there are so many tokens at least; return how many these are more than were known."""
        more = tokens - self.tokens
        if more <= 0:
            return 0
        self.tokens = tokens
        return more

    def exact(self) -> int:
        """Return the tokens, with the text that waits for the tokenizer counted by it."""
        if self._count is None:
            return self.tokens
        return self._settled + self._count("".join(self._open))

    def _try(self) -> None:
        """Have the tokenizer count what waits, up to the last blank: a token seldom goes over one."""
        text = "".join(self._open)
        cut = text.rfind(" ") if " " in text[len(text) // 2 :] else len(text)
        assert self._count is not None, "there is one"
        self._settled += self._count(text[:cut])
        self._open = [text[cut:]]
        self._open_bytes = len(text[cut:].encode("utf-8", "surrogatepass"))
