"""The chunked transfer coding of a request's body, without I/O: bytes in, body out. Does not know headers; ignores trailers."""

from __future__ import annotations

import re
from enum import Enum, auto

from aisa.errors import ApiError

LINE_BYTES_MAX = 4_096  # a size is at most 16 digits; the rest is room for chunk extensions and trailers, which nobody reads
# One-byte chunks make five bytes of framing for each of the body, and cost us a hundred times what the body does.
FRAMING_BYTES_MAX = 16_384  # ... beyond FRAMING_PER_BODY_MAX bytes for each of the body; real clients send chunks of kilobytes
FRAMING_PER_BODY_MAX = 2
TRAILER_BYTES_MAX = 16_384  # trailers are ignored, so this only bounds how long we are willing to ignore them

# int(x, 16) would also take signs, underscores, blanks and 0x, on each of which another server may disagree with us.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t -~\x80-\xff]*)?")
_PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
# As strict as for headers: what another server would read as the next request must not pass for a trailer.
_TRAILER_LINE = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*)?")


class _Expecting(Enum):
    SIZE = auto()
    DATA = auto()
    END_OF_DATA = auto()
    TRAILER = auto()


class ChunkedBody:
    """Decodes one chunked body of at most `body_bytes_max` bytes into `body`."""

    __slots__ = ("_body_bytes_max", "_data_bytes_left", "_expecting", "_framing_bytes", "_line", "_trailer_bytes", "body")

    def __init__(self, body_bytes_max: int) -> None:
        self.body = bytearray()
        self._body_bytes_max = body_bytes_max
        self._expecting = _Expecting.SIZE
        self._data_bytes_left = 0
        self._line = b""
        self._trailer_bytes = 0
        self._framing_bytes = 0

    def feed(self, data: bytes) -> int | None:
        """Take bytes. Return the offset in `data` just behind the body's end, or None while it has not ended.

        Raises ApiError `invalid_request` for bad framing, or for much more of it than of a body, and `request_too_large` as soon as a
        chunk's size would pass the limit.
        """
        at = 0
        while at < len(data):
            if self._expecting is _Expecting.SIZE and not self._line:
                at = self._take_whole(data, at)
                if at == len(data):
                    break
            if self._expecting is _Expecting.DATA:
                piece = data[at : at + self._data_bytes_left]
                self.body += piece
                at += len(piece)
                self._data_bytes_left -= len(piece)
                if not self._data_bytes_left:
                    self._expecting = _Expecting.END_OF_DATA
                continue
            newline = data.find(b"\n", at)
            end = len(data) if newline < 0 else newline + 1
            self._line += data[at:end]
            self._count_framing(end - at)
            at = end
            if len(self._line) > LINE_BYTES_MAX:
                raise ApiError("invalid_request", f"A line of the chunked body's framing is longer than {LINE_BYTES_MAX} bytes.")
            if newline >= 0 and self._take_line():
                return at
        return None

    def _take_whole(self, data: bytes, at: int) -> int:
        """Take the chunks that are here whole and framed as nearly all are; return the offset behind them."""
        while (match := _PLAIN_SIZE.match(data, at)) is not None:
            begin = match.end()
            size = int(match[1], 16)
            end = begin + size
            if not size or data[end : end + 2] != b"\r\n" or len(self.body) + size > self._body_bytes_max:
                break
            self.body += data[begin:end]
            self._count_framing(begin - at + 2)
            at = end + 2
        return at

    def _count_framing(self, count: int) -> None:
        self._framing_bytes += count
        if self._framing_bytes > FRAMING_BYTES_MAX + FRAMING_PER_BODY_MAX * len(self.body):
            raise ApiError("invalid_request", "The chunked body has far more framing than body. Send larger chunks.")

    def _take_line(self) -> bool:
        """Act on a complete line; True if it ended the body."""
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise ApiError("invalid_request", "A line of the chunked body's framing does not end with CR LF.")
        line = line[:-2]
        if self._expecting is _Expecting.SIZE:
            self._take_size(line)
        elif self._expecting is _Expecting.TRAILER:
            self._trailer_bytes += len(line) + 2
            if not _TRAILER_LINE.fullmatch(line) or self._trailer_bytes > TRAILER_BYTES_MAX:
                raise ApiError("invalid_request", f"The chunked body's trailers are malformed or over {TRAILER_BYTES_MAX} bytes.")
            return not line
        elif line:
            raise ApiError("invalid_request", "A chunk of the body is longer than its stated size.")
        else:
            self._expecting = _Expecting.SIZE
        return False

    def _take_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise ApiError("invalid_request", "A chunk of the body has no valid size; 1 to 16 hexadecimal digits were expected.")
        self._data_bytes_left = int(match[1], 16)
        if len(self.body) + self._data_bytes_left > self._body_bytes_max:
            raise ApiError("request_too_large", f"The request's body is larger than this server's limit of {self._body_bytes_max} bytes.")
        self._expecting = _Expecting.DATA if self._data_bytes_left else _Expecting.TRAILER
