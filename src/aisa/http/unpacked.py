"""A vendor's answer that came compressed, although it was asked not to be: unpacked as it is read. Judges no content."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import Protocol

from aisa.errors import UpstreamFailed
from aisa.http.failures import broke_off, unfit_answer
from aisa.providers.port import Answer

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
PIECE_BYTES_MAX = 16_384  # what one read gives, as of a plain answer: a few packed bytes may stand for megabytes
RATIO_MAX = 200  # of a stream; events that differ by a token pack 10 to 40 times, and a stream has no size to be bounded by
RATIO_FREE_BYTES = 1_048_576  # unpacked before the ratio counts: a short stream of one word repeated packs better
ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
RAW = -zlib.MAX_WBITS  # deflate without its frame, as some servers take the word
GZIP_MAGIC = b"\x1f\x8b"


class Unpacker(Protocol):
    """What zlib gives for unpacking one member."""

    @property
    def eof(self) -> bool:
        """The member has ended."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """Input that did not fit the last piece."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Input behind the member's end."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return the next bytes, `max_length` at most. Raises zlib.error."""
        ...


class Unpacked:
    """An answer in the shape of `aisa.providers.port.Answer` around a packed one. `bytes_max` bounds a document; None is for a stream."""

    def __init__(self, answer: Answer, vendor: str, *, coding: str, bytes_max: int | None) -> None:
        self._answer = answer
        self._vendor = vendor
        self._raw_allowed = coding == "deflate"
        self._bytes_max = bytes_max
        self._unpacker: Unpacker | None = None  # of the member that has begun and not ended
        self._packed = b""  # arrived and not unpacked yet: little more than what one read brought
        self._more = False  # more can be unpacked without waiting for the vendor
        self._members = 0
        self._over = False  # what still comes is padding
        self._bytes_in = self._bytes_out = 0

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers as they came."""
        return self._answer.headers

    async def read(self) -> bytes:
        """Return the next bytes, unpacked, at most PIECE_BYTES_MAX, or b"" at the proper end.

        Raises UpstreamFailed as any answer does, and when it cannot be unpacked, ends in its middle or grows beyond all bounds.
        """
        while True:
            piece = self._next_piece()
            if piece:
                if self._more:
                    await asyncio.sleep(0)  # pieces that wait for no packet would keep the loop from everybody else
                return piece
            if self._more:
                continue
            data = await self._answer.read()
            if not data:
                if self._unpacker is not None:
                    raise broke_off(self._vendor, "the compressed answer has no end")
                return b""
            self._bytes_in += len(data)
            if not self._over:
                self._packed += data

    def release(self) -> None:
        """Read no more, but let the connection be kept if it can."""
        self._answer.release()

    def close(self) -> None:
        """Give the connection back or abort it."""
        self._answer.close()

    def _next_piece(self) -> bytes:
        """Unpack what can be unpacked now, up to PIECE_BYTES_MAX."""
        unpacker = self._unpacker = self._unpacker or self._begin_member()
        if unpacker is None or not (self._packed or self._more):
            self._more = False
            return b""
        try:
            piece = unpacker.decompress(self._packed, PIECE_BYTES_MAX)
        except zlib.error as error:
            raise self._unfit("a compressed answer that cannot be unpacked", str(error)) from error
        if unpacker.eof:
            self._unpacker, self._packed = None, unpacker.unused_data
            self._more = self._packed != b""
        else:
            self._packed = unpacker.unconsumed_tail
            self._more = len(piece) == PIECE_BYTES_MAX
        self._bytes_out += len(piece)
        self._check_size()
        return piece

    def _begin_member(self) -> Unpacker | None:
        """Return what unpacks the next member, of which gzip allows several, or None while it is not there or where there is none."""
        packed = self._packed
        if not packed:
            return None
        is_gzip = packed.startswith(GZIP_MAGIC)
        if self._members and not is_gzip:
            if packed != GZIP_MAGIC[:1]:  # else its second byte may be on its way
                self._over, self._packed = True, b""
            return None
        self._members += 1
        framed = is_gzip or packed == GZIP_MAGIC[:1] or packed[0] & 0x0F == zlib.DEFLATED
        return zlib.decompressobj(ZLIB_OR_GZIP if framed or not self._raw_allowed else RAW)

    def _check_size(self) -> None:
        if self._bytes_max is not None:
            if self._bytes_out > self._bytes_max:
                raise self._unfit(f"an answer of more than {self._bytes_max} bytes", "unpacked")
        elif self._bytes_out > max(RATIO_FREE_BYTES, RATIO_MAX * self._bytes_in):
            raise self._unfit("a compressed stream that grows beyond all bounds", f"{self._bytes_in} bytes became {self._bytes_out}")

    def _unfit(self, what: str, detail: str) -> UpstreamFailed:
        return unfit_answer(self._vendor, what, detail)
