"""What events have in common that differ in their text alone, and in members that mean nothing. Knows no protocol."""

from __future__ import annotations

import re

from aisa.wire.plain import is_utf8

#: The inside of a JSON string that needs no look at its escapes, as in `wire.plain`.
TEXT = rb"([ !#-\[\]-~\x80-\xff]+)"
#: Members that differ from event to event and mean nothing of it.
NUMBER = re.compile(rb'("sequence_number": ?)\d{1,15}')
PADDING = re.compile(rb'("obfuscation": ?")[A-Za-z0-9+/=_-]*(?=")')


class NumberedTemplate:
    """Events of the Responses API's further text, each of which has a number, and perhaps padding."""

    def __init__(self, start: bytes, whole: re.Pattern[bytes]) -> None:
        self._start = start
        self._whole = whole.fullmatch

    def reach(self, events: bytes, begin: int) -> int:
        """As `sse.Template` has it."""
        if not events.startswith(self._start, begin):
            return begin
        last = events.rfind(b"\n\n" + self._start, begin)
        end = events.find(b"\n\n", begin if last < 0 else last + 2)
        return len(events) if end < 0 else end

    def texts(self, events: bytes) -> list[bytes] | None:
        """Return the texts of whole events (without the last blank line) that all fit, None if one does not."""
        if not (events.isascii() or is_utf8(events)):
            return None
        if (only := self._whole(events)) is not None:
            return [only[1]]
        found = [self._whole(block) for block in events.split(b"\n\n")]
        texts = [match[1] for match in found if match is not None]
        return texts if len(texts) == len(found) else None


def numbered_template(block: bytes, start: bytes, name: bytes) -> NumberedTemplate | None:
    """Return the template of an event that begins so, whose text is the member of this name; None if that cannot be told from its bytes."""
    mark = b'"%b":"' % name
    before, found, rest = block.partition(mark)
    text, _, after = rest.partition(b'"')
    if not found or mark in rest or not block.startswith(start) or not re.fullmatch(TEXT, text):
        return None
    return NumberedTemplate(start, re.compile(varied(before) + re.escape(mark) + TEXT + b'"' + varied(after)))


def varied(fixed: bytes) -> bytes:
    """Return a pattern for bytes that are the same in each event but for what means nothing."""
    pattern, end = b"", 0
    marks = [(found, rb"\d{1,15}") for found in NUMBER.finditer(fixed)] + [
        (found, rb"[A-Za-z0-9+/=_-]*") for found in PADDING.finditer(fixed)
    ]
    for found, any_value in sorted(marks, key=lambda mark: mark[0].start()):
        pattern += re.escape(fixed[end : found.end(1)]) + any_value
        end = found.end()
    return pattern + re.escape(fixed[end:])
