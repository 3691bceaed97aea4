"""AWS's binary event stream: frames of headers and a payload, each with two checksums. Cuts them out of bytes; knows no event.

A frame is its length, the length of its headers and a checksum of both (4 bytes each, big-endian), headers, payload, and a checksum of all.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

#: What the headers of a frame are called.
MESSAGE, EVENT, EXCEPTION, CODE, WORDS = ":message-type", ":event-type", ":exception-type", ":error-code", ":error-message"
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
        self._wanted = 0  # bytes of the frame that is waited for, as far as that is known
        self._headers: dict[bytes, dict[str, str]] = {}  # those that came before, as they came: a stream has few

    @property
    def held_bytes(self) -> int:
        """How much is held of a frame that is not whole yet."""
        return len(self._waiting)

    @property
    def begun(self) -> bool:
        """True while a frame is waited for whose beginning is one."""
        return self._wanted > PRELUDE.size

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now. Raises BrokenFrame, and what came before it in the same bytes is in its `args[1]`."""
        if self._waiting:
            self._waiting += data
            if len(self._waiting) < self._wanted:
                return []
            data = bytes(self._waiting)
            self._waiting.clear()
        frames: list[Frame] = []
        begin, size = 0, len(data)
        self._wanted = PRELUDE.size
        try:
            while begin + PRELUDE.size <= size:
                length, headers, checksum = PRELUDE.unpack_from(data, begin)
                self._check(length, headers, crc32(data[begin : begin + PRELUDE.size - CHECKSUM.size]) == checksum)
                if begin + length > size:
                    self._wanted = length
                    break
                frames.append(self._frame(data[begin : begin + length], headers))
                begin += length
        except BrokenFrame as broken:
            self._waiting += data[begin:]
            raise BrokenFrame(str(broken), frames) from None
        if begin < size:
            self._waiting += data[begin:]
        return frames

    def _check(self, length: int, headers: int, whole: bool) -> None:
        """Judge the beginning of a frame. Raises BrokenFrame."""
        if not whole:
            raise BrokenFrame("a frame whose beginning does not fit its checksum")
        if not FRAME_BYTES_MIN + headers <= length <= self._frame_bytes_max or headers > HEADERS_BYTES_MAX:
            raise BrokenFrame("a frame over the size limit" if length > self._frame_bytes_max else "a frame of impossible lengths")

    def _frame(self, data: bytes, headers_bytes: int) -> Frame:
        """Return the frame that these bytes are. Raises BrokenFrame."""
        if crc32(data[: -CHECKSUM.size]) != CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)[0]:
            raise BrokenFrame("a frame that does not fit its checksum")
        payload = PRELUDE.size + headers_bytes
        written = data[PRELUDE.size : payload]
        headers = self._headers.get(written)
        if headers is None:
            headers = headers_in(written)
            if len(self._headers) < HEADERS_KEPT_MAX and len(written) <= HEADERS_KEPT_BYTES_MAX:
                self._headers[written] = headers
        return Frame(headers, data[payload : -CHECKSUM.size])


def headers_in(data: bytes) -> dict[str, str]:
    """Return the headers that are texts. Raises BrokenFrame."""
    found: dict[str, str] = {}
    place, end = 0, len(data)
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
