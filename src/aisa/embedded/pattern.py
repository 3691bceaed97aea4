"""Writes strings that match a regular expression, and knows one that does. Runs none, so that no pattern can take for ever.

Understands what schemas use: literals, classes, groups, alternatives, quantifiers, anchors. Look-around, back references and properties
such as classes of letters by their Unicode name are refused.
"""

from __future__ import annotations

import re
import string
from typing import NamedTuple, TypeAlias

from aisa.clock import Chance
from aisa.embedded.budget import Budget

DEPTH_MAX = 30  # groups within groups; real patterns have three
RANGE_CHARS_MAX = 200  # of a range such as [\u4e00-\u9fa5]: a few are enough to draw from
REPEATS_MAX = 10_000  # of one part; longer strings are refused anyway

DIGITS = string.digits
WORD = string.ascii_lowercase + string.ascii_uppercase + string.digits + "_"
PRINTABLE = WORD + " -.,:;/!?"
ESCAPES = {"d": DIGITS, "w": WORD, "s": " ", "t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
OPPOSITES = {"D": DIGITS, "W": WORD, "S": " "}
SURROGATES = re.compile("[\ud800-\udfff]")  # halves of a pair: patterns count them as characters, JSON has no text for one
CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})")
COUNT = re.compile(r"\*|\+|\?|\{(\d{1,9})(,?)(\d{0,9})\}")
GROUP = re.compile(r"\?:|\?P?<[A-Za-z_]\w*>")


class Unwritable(Exception):
    """The pattern is not understood, or no string that it allows was found."""


class Chars(NamedTuple):
    """One character out of these."""

    options: str


class Row(NamedTuple):
    """Parts one after another."""

    parts: list[Node]


class Either(NamedTuple):
    """One of several."""

    options: list[Node]


class Repeat(NamedTuple):
    """A part, repeated; `most` None: without end."""

    part: Node
    least: int
    most: int | None


Node: TypeAlias = "Chars | Row | Either | Repeat"


class Parser:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str, budget: Budget) -> None:
        self._pattern = pattern
        self._budget = budget
        self._place = 0
        self._depth = 0

    def parse(self) -> Node:
        """Return the whole pattern. Raises Unwritable."""
        node = self._either()
        if self._place < len(self._pattern):
            raise Unwritable("unbalanced )")
        return node

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _next(self) -> str:
        self._budget.spend()
        char = self._peek()
        if not char:
            raise Unwritable("the pattern ends too early")
        self._place += 1
        return char

    def _either(self) -> Node:
        options = [self._row()]
        while self._peek() == "|":
            self._place += 1
            options.append(self._row())
        return options[0] if len(options) == 1 else Either(options)

    def _row(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            char = self._next()
            if char not in "^$":
                parts.append(self._repeated(self._atom(char)))
        return Row(parts)

    def _atom(self, char: str) -> Node:
        if char == "(":
            return self._group()
        if char == "[":
            return Chars(self._class())
        if char == "\\":
            return Row([]) if self._peek() in ("b", "B") and self._next() else Chars(whole_characters(self._escape()))
        return Chars(PRINTABLE if char == "." else char)

    def _group(self) -> Node:
        if self._peek() == "?":
            found = GROUP.match(self._pattern, self._place)
            if not found:
                raise Unwritable("look-around and flags are not understood")
            self._place = found.end()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise Unwritable("too many groups within groups")
        node = self._either()
        self._depth -= 1
        if self._next() != ")":
            raise Unwritable("unbalanced (")
        return node

    def _repeated(self, part: Node) -> Node:
        found = COUNT.match(self._pattern, self._place)
        if not found:
            return part
        self._place = found.end()
        if self._peek() in ("?", "+"):
            self._place += 1
        if found[1] is None:
            return Repeat(part, int(found[0] == "+"), 1 if found[0] == "?" else None)
        least = int(found[1])
        most = least if not found[2] else int(found[3]) if found[3] else None
        return Repeat(part, least, most)

    def _escape(self) -> str:
        code = CODE.match(self._pattern, self._place)
        if code:
            self._place = code.end()
            return chr(int(code[1] or code[2], 16))
        char = self._next()
        if char in OPPOSITES:
            return "".join(other for other in PRINTABLE if other not in OPPOSITES[char])
        if char.isalnum() and char not in ESCAPES:
            raise Unwritable(f"\\{char} is not understood")
        return ESCAPES.get(char, char)

    def _class(self) -> str:
        negative = self._peek() == "^" and bool(self._next())
        options = ""
        while (char := self._next()) != "]" or not options:
            low = self._escape() if char == "\\" else char
            if self._peek() == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("", "]"):
                self._place += 1
                char = self._next()
                high = self._escape() if char == "\\" else char
                if len(low) != 1 or len(high) != 1 or low > high:
                    raise Unwritable("a range that is none")
                low = "".join(map(chr, range(ord(low), min(ord(high), ord(low) + RANGE_CHARS_MAX) + 1)))
            options += low
        if negative:
            options = "".join(char for char in PRINTABLE if char not in options)
        return whole_characters(options)


def whole_characters(options: str) -> str:
    """Return the options that are characters. Raises Unwritable if there is none."""
    kept = SURROGATES.sub("", options)
    if not kept:
        raise Unwritable("an empty class, or a character that is none")
    return kept


class Pen:
    """Writes one string for a parsed pattern."""

    def __init__(self, extra: int, chance: Chance, budget: Budget) -> None:
        self._extra = extra
        self._chance = chance
        self._budget = budget

    def write(self, node: Node) -> str:
        """Return a string that matches. A repetition is done `extra` times more than it must be. Raises Exhausted."""
        self._budget.spend()
        match node:
            case Chars():
                return self._chance.choice(node.options)
            case Either():
                return self.write(self._chance.choice(node.options))
            case Row():
                return "".join([self.write(part) for part in node.parts])
            case Repeat():
                times = node.least + self._extra if node.most is None else min(node.least + self._extra, node.most)
                return "".join([self.write(node.part) for _ in range(min(times, REPEATS_MAX))])


class Finger:
    """Follows a text through a parsed pattern, at all places where it may be at once, so that no pattern can take for ever."""

    def __init__(self, text: str, budget: Budget) -> None:
        self._text = text
        self._budget = budget

    def follow(self, node: Node, places: frozenset[int]) -> frozenset[int]:
        """Return where in the text a match of the node may end that begins at one of these places. Raises Exhausted."""
        self._budget.spend()
        match node:
            case Chars():
                return frozenset(
                    [place + 1 for place in places if self._text[place : place + 1] in node.options and place < len(self._text)]
                )
            case Either():
                return frozenset([end for option in node.options for end in self.follow(option, places)])
            case Row():
                for part in node.parts:
                    places = self.follow(part, places)
                return places
            case Repeat():
                return self._repeated(node, places)

    def _repeated(self, node: Repeat, places: frozenset[int]) -> frozenset[int]:
        for _ in range(min(node.least, REPEATS_MAX)):
            places = self.follow(node.part, places)
        ends, fresh, times = places, places, node.least
        while fresh and (node.most is None or times < node.most):
            fresh = self.follow(node.part, fresh) - ends
            ends, times = ends | fresh, times + 1
        return ends


def matches(pattern: str, text: str, budget: Budget) -> bool:
    """Say whether a whole text is known to match a pattern; what is not understood does not. Raises Exhausted."""
    try:
        return len(text) in Finger(text, budget).follow(Parser(pattern, budget).parse(), frozenset([0]))
    except Unwritable:
        return False


def write_matching(pattern: str, *, shortest: int, longest: int, chance: Chance, budget: Budget) -> str:
    """Return a string that matches the pattern and has between `shortest` and `longest` characters.

    Raises Unwritable when the pattern is not understood or no such string was found, Exhausted when that takes too much work.
    """
    node = Parser(pattern, budget).parse()
    for extra in (3, 2, 1, 0, *range(4, 64), shortest):
        text = Pen(min(extra, REPEATS_MAX), chance, budget).write(node)
        if shortest <= len(text) <= longest:
            return text
    raise Unwritable("no string of that length")
