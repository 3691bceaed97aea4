"""What events have in common that differ in their text, in their number, and in padding that means nothing. Knows no protocol.

The numbers of a stream rise by one, so all of the next event is known but its text: it is compared, not searched.
"""

from __future__ import annotations

import re

from aisa.wire.plain import SIMPLE_TEXT, are_simple, is_utf8

NUMBER = re.compile(rb'"sequence_number": ?(\d{1,15})(?!\d)')
PADDING = re.compile(rb'"obfuscation": ?"([A-Za-z0-9+/=_-]*)"')
IS_PADDING = re.compile(rb"[A-Za-z0-9+/=_-]*").fullmatch
Halves = tuple[bytes, ...]  # bytes with the number between them; or all of them, where it stands elsewhere


class NumberedTemplate:
    """Events of the Responses API's further text: it stands for the next, whose `number` is one above that of the last."""

    __slots__ = ("_back", "_before", "_behind", "_between", "_front", "_start", "characters", "number")

    def __init__(self, front: Halves, between: bytes, back: Halves, *, number: int) -> None:
        self.number = number
        self.characters = 0  # of the texts that were taken
        self._start = front[0]
        self._front, self._back = numbered(front), numbered(back)
        self._before = front[0] if len(front) == 1 else b""  # the same in every event; nothing if the number is in it
        self._behind = back[0] if len(back) == 1 else b""
        self._between = between  # the text and its padding; nothing where there is none

    def reach(self, events: bytes, begin: int) -> int:
        """As `sse.Template` has it."""
        start = self._start
        if not events.startswith(start, begin):
            return begin
        last = events.rfind(b"\n\n" + start, begin)
        end = events.find(b"\n\n", begin if last < 0 else last + 2)
        return len(events) if end < 0 else end

    def only(self, event: bytes) -> bytes:
        """Take one event (without its blank line) and return its text; nothing if it does not fit, or there are several."""
        before, behind = self._before or self._front % self.number, self._behind or self._back % self.number
        text = event[len(before) : -len(behind)]
        if before + text + behind != event:
            return b""
        if self._between:
            text = unpadded(text, self._between)
        if not SIMPLE_TEXT(text):
            return b""
        if text.isascii():
            self.characters += len(text)
        elif is_utf8(text):
            self.characters += len(text.decode())
        else:
            return b""
        self.number += 1
        return text

    def texts(self, events: bytes) -> list[bytes] | None:
        """Take whole events (without the last blank line) that all fit, and return their texts; None if one does not."""
        text = self.only(events)
        return [text] if text else self.several(events.split(b"\n\n"))

    def several(self, events: list[bytes]) -> list[bytes] | None:
        """Take events and return their texts, None if one does not fit."""
        numbers = range(self.number, self.number + len(events))
        around = [(self._before or self._front % number, self._behind or self._back % number) for number in numbers]
        inside = [event[len(before) : -len(behind)] for event, (before, behind) in zip(events, around, strict=True)]
        if [before + text + behind for text, (before, behind) in zip(inside, around, strict=True)] != events:
            return None
        texts = [unpadded(text, self._between) for text in inside] if self._between else inside
        if not are_simple(texts):
            return None
        self.characters += len(b"".join(texts).decode())
        self.number += len(texts)
        return texts


def unpadded(text: bytes, between: bytes) -> bytes:
    """Return a text without its padding, which is behind these bytes; nothing if it is not."""
    text, found, padding = text.partition(between)
    return text if found and IS_PADDING(padding) else b""


def numbered_template(block: bytes, name: bytes) -> NumberedTemplate | None:
    """Return the template of events behind this one, whose text is the member of this name; None if that cannot be told from its bytes."""
    mark = b'"%b":"' % name
    front, _, rest = block.partition(mark)
    text, _, back = rest.partition(b'"')
    if not SIMPLE_TEXT(text) or mark in back or PADDING.search(front):
        return None
    between, back = b"", b'"' + back
    if (padding := PADDING.search(back)) is not None:
        between, back = back[: padding.start(1)], back[padding.end(1) :]
    numbers = [NUMBER.findall(part) for part in (front + mark, between, back)]
    if numbers[1] or sum(map(len, numbers)) > 1:
        return None
    number = int(b"".join([*numbers[0], *numbers[2]]) or b"0")
    return NumberedTemplate(halves(front + mark), between, halves(back), number=number + 1)


def numbered(parts: Halves) -> bytes:
    """Return bytes into which a number is to be written."""
    return b"%d".join([part.replace(b"%", b"%%") for part in parts])


def halves(known: bytes) -> Halves:
    """Return bytes without the number in them, if there is one, in what stands before and behind it."""
    number = NUMBER.search(known)
    return (known,) if number is None else (known[: number.start(1)], known[number.end(1) :])
