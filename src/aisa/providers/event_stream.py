"""AWS's binary event stream: frames of headers and a payload, each with two checksums. Cuts them out of bytes; knows no event.

A frame is its length, the length of its headers and a checksum of both (4 bytes each, big-endian), headers, payload, and a checksum of all.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

PRELUDE = Struct(">III")
CHECKSUM = Struct(">I")
FRAME_BYTES_MIN = PRELUDE.size + CHECKSUM.size
HEADERS_BYTES_MAX = 131_072  # AWS's own bound
#: Bytes of a header's value by its type; None where a length of two bytes stands before it.
VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}
TEXT = 7
HEADERS_KEPT_MAX = 16  # different ones of a stream that are read once: more than there are kinds of event
HEADERS_KEPT_BYTES_MAX = 512  # of one; real ones have a hundred


class BrokenFrame(Exception):
    """The bytes are no frame; the text says why, fit for the operator."""


class Frame(NamedTuple):
    """One frame: those of its headers that are texts, and its payload."""

    headers: dict[str, str]
    payload: bytes


class FrameDecoder:
    """Cuts a stream into frames, whatever the split. `frame_bytes_max` bounds each."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._waiting = bytearray()
        self._headers: dict[bytes, dict[str, str]] = {}  # those that came before, as they came: a stream has few

    @property
    def held_bytes(self) -> int:
        """How much is held of a frame that is not whole yet."""
        return len(self._waiting)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now. Raises BrokenFrame, and what came before it in the same bytes is in its `args[1]`."""
        waiting = self._waiting
        waiting += data
        frames: list[Frame] = []
        begin = 0
        try:
            while len(waiting) - begin >= PRELUDE.size:
                length = self._length(begin)
                if len(waiting) - begin < length:
                    break
                frames.append(self._frame(bytes(waiting[begin : begin + length])))
                begin += length
        except BrokenFrame as broken:
            raise BrokenFrame(str(broken), frames) from None
        del waiting[:begin]
        return frames

    def _frame(self, data: bytes) -> Frame:
        """Return the frame that these bytes are. Raises BrokenFrame."""
        [checksum] = CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)
        if crc32(data[: -CHECKSUM.size]) != checksum:
            raise BrokenFrame("a frame that does not fit its checksum")
        end = PRELUDE.size + PRELUDE.unpack_from(data)[1]
        written = data[PRELUDE.size : end]
        headers = self._headers.get(written)
        if headers is None:
            headers = headers_in(data, PRELUDE.size, end)
            if len(self._headers) < HEADERS_KEPT_MAX and len(written) <= HEADERS_KEPT_BYTES_MAX:
                self._headers[written] = headers
        return Frame(headers, data[end : -CHECKSUM.size])

    def _length(self, begin: int) -> int:
        length, headers, checksum = PRELUDE.unpack_from(self._waiting, begin)
        if crc32(self._waiting[begin : begin + PRELUDE.size - CHECKSUM.size]) != checksum:
            raise BrokenFrame("a frame whose beginning does not fit its checksum")
        if not FRAME_BYTES_MIN + headers <= length <= self._frame_bytes_max or headers > HEADERS_BYTES_MAX:
            raise BrokenFrame("a frame over the size limit" if length > self._frame_bytes_max else "a frame of impossible lengths")
        return int(length)


def headers_in(data: bytes, place: int, end: int) -> dict[str, str]:
    """Return the headers that are texts. Raises BrokenFrame."""
    found: dict[str, str] = {}
    try:
        while place < end:
            name_end = place + 1 + data[place]
            name, kind = data[place + 1 : name_end].decode(), data[name_end]
            place = name_end + 1
            size = VALUE_BYTES[kind]
            if size is None:
                size = int.from_bytes(data[place : place + 2], "big")
                place += 2
            if kind == TEXT:
                found[name] = data[place : place + size].decode()
            place += size
    except (IndexError, KeyError, UnicodeDecodeError):
        raise BrokenFrame("a frame with headers that cannot be read") from None
    if place != end:
        raise BrokenFrame("a frame with headers that cannot be read")
    return found
