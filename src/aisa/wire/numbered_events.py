"""What events have in common that differ in their text, in their number, and in padding that means nothing. Knows no protocol.

The numbers of a stream rise by one, so all of the next event is known but its text: it is compared, not searched.
"""

from __future__ import annotations

import re

from aisa.wire.plain import SIMPLE_TEXT, are_simple, is_utf8

#: The members that differ beside the text. Patterns are tried where they begin, and nowhere else.
SEQUENCE, OBFUSCATION = b'"sequence_number"', b'"obfuscation"'
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
    begin = block.find(mark) + len(mark)
    end = behind = block.find(b'"', begin)
    if begin < len(mark) or not SIMPLE_TEXT(block, begin, end) or block.find(mark, end) >= 0:
        return None
    if (at := block.find(OBFUSCATION)) >= 0 and (padding := PADDING.match(block, at)) is not None:
        between, behind = block[end : padding.start(1)], padding.end(1)
        if at < begin:
            return None
    else:
        between = b""
    front: Halves = (block[:begin],)
    back: Halves = (block[behind:],)
    at = block.find(SEQUENCE)
    number = NUMBER.match(block, at) if at >= 0 else None
    if number is None:
        return NumberedTemplate(front, between, back, number=0)
    if block.find(SEQUENCE, at + 1) >= 0:
        return None
    if at < begin:
        front = block[: number.start(1)], block[number.end(1) : begin]
    elif at > behind:
        back = block[behind : number.start(1)], block[number.end(1) :]
    else:
        return None
    return NumberedTemplate(front, between, back, number=int(number[1]) + 1)


def numbered(parts: Halves) -> bytes:
    """Return bytes into which a number is to be written; nothing where none is."""
    return parts[0].replace(b"%", b"%%") + b"%d" + parts[1].replace(b"%", b"%%") if len(parts) > 1 else b""
