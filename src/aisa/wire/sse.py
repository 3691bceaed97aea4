"""Server-sent events without I/O: bytes in, (name, data) out. Does not know what an event means.

Follows the WHATWG event-stream grammar, and is lenient where vendors are sloppy: the last event need not end in a blank line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from aisa.wire.event_comments import BARE_ERROR, told_beside

BOM = b"\xef\xbb\xbf"
CR, LF = b"\r\n"  # as numbers: of bytes, `in` first finds out, by way of an exception, that they are none

#: (event name, data); the name is empty unless an `event:` field was sent.
Event = tuple[bytes, bytes]


class EventTooLarge(Exception):
    """An event grew beyond its bound."""


class SseDecoder:
    """Collects bytes, whatever the split, and gives back whole events in order. One may have `event_bytes_max` bytes."""

    __slots__ = ("_after_cr", "_event_bytes_max", "_fresh", "_rest")

    def __init__(self, event_bytes_max: int) -> None:
        self._event_bytes_max = event_bytes_max
        self._rest: bytearray | None = None
        self._after_cr = False
        self._fresh = True

    @property
    def held_bytes(self) -> int:
        """How much of an unfinished event is held."""
        return len(self._rest or b"")

    def feed(self, data: bytes) -> list[Event]:
        """Return the events completed by these bytes. Raises EventTooLarge."""
        return events_in(self.take(data))

    def take(self, data: bytes) -> bytes:
        """Return the events completed by these bytes as one text, without the blank line behind the last. Raises EventTooLarge."""
        if self._fresh or self._after_cr or CR in data:
            data = self._with_plain_newlines(self._without_bom(data) if self._fresh else data)
        rest = self._rest
        if not rest and data[-2:] == b"\n\n":
            return data[:-2]
        if rest is None:
            rest = self._rest = bytearray()
        searched = max(0, len(rest) - 1)  # the blank line may straddle the split
        rest += data
        end = rest.rfind(b"\n\n", searched)
        if end >= 0:
            complete = bytes(rest[:end])
            del rest[: end + 2]
            return complete
        if len(rest) > self._event_bytes_max:
            raise EventTooLarge
        return b""

    def end(self) -> list[Event]:
        """Return the event that the stream's end completes, if there is one."""
        block, self._rest = bytes(self._rest or b""), None
        return parse_block(block)

    def _without_bom(self, data: bytes) -> bytes:
        data, self._rest = bytes(self._rest or b"") + data, None
        if len(data) < len(BOM) and BOM.startswith(data):
            self._rest = bytearray(data)
            return b""
        self._fresh = False
        return data.removeprefix(BOM)

    def _with_plain_newlines(self, data: bytes) -> bytes:
        # A CR ends its line at once; the LF of a CRLF that comes after it, even in the next read, is then not a line of its own.
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def beginning(kept: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return a body from its first letter on, and what of it may be half of the mark before that; `kept` is that of what came before."""
    data = (kept + data).lstrip()
    if len(data) < len(BOM) and BOM.startswith(data):
        return b"", data
    return data.removeprefix(BOM).lstrip(), b""


def events_in(complete: bytes) -> list[Event]:
    """Return the events in a text of blocks with blank lines between them."""
    events: list[Event] = []
    for block in complete.split(b"\n\n"):
        if block.startswith(b"data: ") and len(block) > 6 and LF not in block:
            events.append((b"", block[6:]))
        elif block:
            events += parse_block(block)
    return events


class Template(Protocol):
    """What events of a run have in common. It stands for the event before; whoever reads one that is something else puts it away."""

    def reach(self, events: bytes, begin: int) -> int:
        """Return the end of the last event that looks like one that fits, if so does the one that begins there; else `begin`."""
        ...


T = TypeVar("T", bound=Template)
Part = TypeVar("Part")


def in_runs(
    complete: bytes,
    template: Callable[[], T | None],
    fit: Callable[[T, bytes], Iterable[Part] | None],
    *,
    one: Callable[[bytes], Iterable[Part]],
) -> list[Part]:
    """Return what comes of whole events: `fit` is tried on those that look alike, by the `template` that holds; `one` takes each other."""
    parts: list[Part] = []
    begin, size, mixed = 0, len(complete), False
    while begin < size:
        known = template()
        if known is not None and (end := known.reach(complete, begin)) > begin:
            if mixed:  # some that looked alike do not fit: each for itself from there on
                cut = complete.find(b"\n\n", begin, end)
                end = end if cut < 0 else cut
            if (run := fit(known, complete[begin:end])) is not None:
                parts += run
                begin = end + 2
                continue
            mixed = True
        end = complete.find(b"\n\n", begin)
        end = size if end < 0 else end
        parts += one(complete[begin:end])
        begin = end + 2
    return parts


def parse_block(block: bytes) -> list[Event]:
    """Return the event in the lines between two blank lines; none if they carry no data."""
    name, _, only = block.partition(b"\ndata: ")
    if only and LF not in only and LF not in name and name.startswith(b"event: "):  # as nearly all are that have a name
        return [(name[7:], only)]
    name = b""
    data: list[bytes] = []
    comments: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif not field:
            comments.append(value)
    if not any(data):
        return [(b"", block)] if BARE_ERROR.match(block) else []
    return [(name, told_beside(comments, b"\n".join(data)) if comments else b"\n".join(data))]


def data_event(data: bytes) -> bytes:
    """Write one event; `data` is a single line."""
    return b"data: " + data + b"\n\n"


KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
