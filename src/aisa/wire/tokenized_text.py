"""The text of one choice and its tokens by a tokenizer: of all of it, or up to any of its events. Keeps a few KiB, however long it grows.

A token of the running count stands for a place in the text: behind each piece stands by how many tokens that count grew with it. So what
of the text a client has can be counted itself, when it is known how much of the running count has arrived.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec

TRIED_BYTES = 3_072  # of text and marks that a tokenizer is given at once: some 700 tokens, a millisecond; twice as much a stream keeps
TRIED_AT_ONCE_BYTES_MAX = 16_384  # of one piece, or of a document: four milliseconds, in which no other call has its turn
LOOK_SECONDS = 0.05  # between two looks whether a count that is made elsewhere is given up
PLACES_MAX = 32  # blocks of which the counts up to them are known: all of some 64 KiB of text, more than can be on its way to a client

#: Growth in octal digits; as bytes, these are in no text in UTF-8. The other one stands for a token without a text.
DIGITS = b"01234567"
MARKS = bytes(range(0xF8, 0x100))
UNSEEN = b"\xc1"
NO_TEXT = MARKS + UNSEEN
WRITTEN = bytes.maketrans(DIGITS, MARKS)
READ = bytes.maketrans(MARKS, DIGITS)
RUNS = re.compile(b"[\xf8-\xff]+")
SMALL = tuple((b"%o" % growth).translate(WRITTEN) for growth in range(64))

#: A model does not always cut a text as its tokenizer does. Where there are a few pieces less than tokens, and as short as tokens, the
#: vendor sends token by token, and the pieces are what the model made. A few are one, and one in so many.
SPARE_TOKENS = 50
PIECE_BYTES_MAX = 8  # a piece, on average, that can be a token
PARTS = 2  # pieces to a token: where there are as many, or more, a token comes in parts


class LaterCount(Protocol):
    """A count that is being made elsewhere."""

    def result(self, timeout: float | None = None) -> int:
        """Wait for it. Raises TimeoutError after so many seconds."""
        ...


def nowhere(_text: str) -> None:
    """Count nothing later: what is long is taken to be like its beginning."""


class Tokenizer(msgspec.Struct, frozen=True):
    """What counts the tokens of a text, and what it is called; `later` has a long text counted elsewhere, None if there is no room."""

    name: str
    count: Callable[[str], int]
    later: Callable[[str], LaterCount | None] = nowhere


class Counted(NamedTuple):
    """What was counted of a text: `tokens` up to a place behind which some `waiting` bytes are, and how many a byte has."""

    tokens: int
    waiting: int
    per_byte: float


class TokenizedText:
    """One text. `by_pieces` says that a piece may be a token. `sampled` is that some of it was taken to be like its beginning.

    That is handed on at once, to be counted elsewhere, and not kept.
    """

    __slots__ = ("_block", "_by_pieces", "_counted", "_grown", "_known", "_later", "_tokenizer", "open", "sampled")

    def __init__(self, tokenizer: Tokenizer, *, by_pieces: bool) -> None:
        self.sampled = False
        self.open = bytearray()  # the text, with its marks, that no block was made of; whoever adds to it has it counted when it is large
        self._tokenizer = tokenizer
        self._by_pieces = by_pieces
        self._block = b""  # the last of the blocks
        self._grown = array("q", (0,))  # places in the text: the running count up to each; the last two are where block and open text begin
        self._known = array("q", (0,))  # ... and the tokens
        self._later: list[tuple[int, int, LaterCount]] = []  # what is: the running count behind it, what it was taken for, and its count
        self._counted = (0, 0)  # how much of the open text was counted last, and to how many tokens

    @property
    def name(self) -> str:
        """What the tokenizer is called."""
        return self._tokenizer.name

    def count_blocks(self) -> Counted:
        """Count the open text, once it has TRIED_BYTES, a block at a time up to the last blank: a token seldom goes over one.

        Of more than may be counted at once, the rest is taken to be like the beginning.
        """
        waiting, seen, begun = bytes(self.open), 0, self._known[-1]
        while len(waiting) - seen >= TRIED_BYTES and seen < TRIED_AT_ONCE_BYTES_MAX:
            end = end_of_block(waiting, seen)
            block = waiting[seen:end]
            cut = 0 if waiting[end : end + 1] == b" " else 1  # a token that goes over the end is counted with what follows
            self._begin(block, self._grown[-1] + growth_in(block), self._known[-1] + max(1, self._count(block) - cut))
            seen = end
        rest = waiting[seen:]
        if len(rest) >= TRIED_BYTES:
            tokens = (self._known[-1] - begun) * len(rest) // seen
            self._begin(b"", self._grown[-1] + growth_in(rest), self._known[-1] + tokens)
            if (counting := self._tokenizer.later(rest.translate(None, NO_TEXT).decode("utf-8", "replace"))) is not None:
                self._later.append((self._grown[-1], tokens, counting))
            rest, self.sampled = b"", True
        self.open[:] = rest
        self._counted = (0, 0)
        return Counted(self._known[-1], bytes_in(rest), (self._known[-1] - begun) / bytes_in(waiting[: len(waiting) - len(rest)]))

    @property
    def is_long(self) -> bool:
        """True if there is text that is counted elsewhere."""
        return bool(self._later)

    def count_all(self, given_up: Callable[[], bool]) -> list[int] | None:
        """Wait for the tokens of what is counted elsewhere: in a thread. Returns None once it is given up."""
        found: list[int] = []
        for _, _, counting in self._later:
            while True:
                try:
                    found.append(counting.result(LOOK_SECONDS))
                    break
                except TimeoutError:
                    if given_up():
                        return None
        return found

    def take(self, counted: list[int]) -> None:
        """Let these be the tokens of what was counted elsewhere."""
        for (behind, taken_for, _), tokens in zip(self._later, counted, strict=True):
            for place, grown in enumerate(self._grown):
                if grown >= behind:
                    self._known[place] += tokens - taken_for
        self._later.clear()
        self.sampled = False

    def add_unseen(self, tokens: int) -> None:
        """Take so many tokens without a text, whose mark is to follow."""
        self.open += UNSEEN * tokens

    def mark(self, growth: int) -> None:
        """Note by how much the running count grew with what was added last."""
        self.open += SMALL[growth] if growth < len(SMALL) else (b"%o" % growth).translate(WRITTEN)

    def restart(self, grown: int, known: int) -> None:
        """Take it that so many tokens are known of all text so far, where the running count is at that many."""
        self.open.clear()
        self._later.clear()
        self._counted = (0, 0)
        while len(self._grown) > 1 and self._grown[-1] >= grown:
            del self._grown[-1], self._known[-1]
        self._begin(b"", grown, known)

    def tokens(self) -> int:
        """Return the tokens of all text."""
        size, tokens = self._counted
        if size != len(self.open):
            tokens = self._count(self.open)
            self._counted = len(self.open), tokens
        return self._known[-1] + tokens

    def tokens_at(self, grown: int) -> int:
        """Return the tokens of the text up to the event with which the running count came to so many, or the last one before that."""
        place = bisect_left(self._grown, grown) - 1  # the last place that the running count had passed
        if place < 0:
            return 0
        kept = len(self._grown) - place  # 1: in the open text; 2: in the last block
        known = self._known[place]
        text = self.open if kept == 1 else self._block if kept == 2 else b""
        if text or kept == 1:
            had = text[: reached(text, grown - self._grown[place])]
            tokens = self._count(had)
            if len(had) - bytes_in(had) >= PARTS * tokens > PARTS:
                tokens -= 1  # the last is not known to be whole, and counts when it is
            return known + tokens
        further, more = self._grown[place + 1] - self._grown[place], self._known[place + 1] - known
        return known + more * (grown - self._grown[place]) // further

    def _count(self, text: bytes | bytearray) -> int:
        """Return the tokens of a part of the text with its marks."""
        seen = text.translate(None, NO_TEXT)
        tokens = self._tokenizer.count(seen.decode("utf-8", "replace")) if seen else 0
        pieces = len(text) - len(seen)  # marks of pieces as short as tokens are single bytes
        if self._by_pieces and pieces < tokens <= pieces + 1 + tokens // SPARE_TOKENS and len(seen) <= PIECE_BYTES_MAX * pieces:
            tokens = pieces
        return tokens + text.count(UNSEEN)

    def _begin(self, block: bytes, grown: int, known: int) -> None:
        """Begin the open text behind a block."""
        self._block = block
        self._grown.append(grown)
        self._known.append(known)
        if len(self._grown) > PLACES_MAX:
            del self._grown[1], self._known[1]  # of what is older only the average is known


def in_pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of TRIED_AT_ONCE_BYTES_MAX characters at most, cut before a blank where there is one."""
    begin = 0
    while len(text) - begin > TRIED_AT_ONCE_BYTES_MAX:
        end = begin + TRIED_AT_ONCE_BYTES_MAX
        blank = text.rfind(" ", begin + TRIED_AT_ONCE_BYTES_MAX // 2, end)
        end = blank if blank > 0 else end
        yield text[begin:end]
        begin = end
    yield text[begin:]


def bytes_in(text: bytes | bytearray) -> int:
    """Return how many bytes a text has without its marks."""
    return len(text.translate(None, NO_TEXT))


def growth_in(text: bytes) -> int:
    """Return by how much the running count grew within a text."""
    return sum([int(run.translate(READ), 8) for run in RUNS.findall(text)])


def reached(text: bytes | bytearray, growth: int) -> int:
    """Return where in a text the last event ends with which the running count grew and that brought it to so much more at most."""
    end = grown = 0
    for run in RUNS.finditer(text):
        more = int(run[0].translate(READ), 8)
        if grown + more > growth:
            break
        if more:
            grown, end = grown + more, run.end()
    return end


def end_of_block(text: bytes, start: int) -> int:
    """Return where a block of TRIED_BYTES at most ends: before the last blank of its second half, else between two characters."""
    end = start + TRIED_BYTES
    blank = text.rfind(b" ", start + TRIED_BYTES // 2, end)
    if blank >= 0:
        return blank
    while end < len(text) and end > start + 1 and not begins_character(text[end]):
        end -= 1
    return end


def begins_character(byte: int) -> bool:
    """Tell whether a character of a text begins with a byte: it continues none, and is no mark."""
    return byte & 0xC0 != 0x80 and byte < MARKS[0]
