"""Request bodies that came compressed, gzip or Zstandard, unpacked piece by piece within bounds. Judges no content and reads no socket."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from aisa.config.schema import Server
from aisa.errors import ApiError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SLICE_BYTES = 65_536  # that are unpacked from at a time: what is left of it is copied with each piece
PIECE_BYTES_MAX = 262_144  # that are unpacked at a time, in less than a millisecond: then other calls have their turn
MEMBERS_MAX = 64  # of which a body may consist; tools that pack in parallel make one of each megabyte
RATIO_MAX = 100  # times the body's own size: prompts pack 3 to 10 times, and those that repeat themselves some 50
RATIO_FREE_BYTES = 1_048_576  # unpacked before the ratio counts: a short text of one word repeated packs better
HELD_FREE_BYTES = 1_048_576  # of each that are in no common bound, as plain bodies are in none once they are there: most have less
WINDOW_LOG_MAX = 23  # of Zstandard, 8 MiB: what RFC 9659 lets a content coding ask of its reader
GZIP = zlib.MAX_WBITS | 16
GZIP_NAMES, ZSTD_NAME = frozenset({"gzip", "x-gzip"}), "zstd"
CODINGS = GZIP_NAMES | {ZSTD_NAME}
BEGINNINGS = {"gzip": b"\x1f\x8b", ZSTD_NAME: b"\x28\xb5\x2f\xfd"}
DAMAGED = "it is damaged"


class Member(Protocol):
    """One gzip member or Zstandard frame that is being unpacked."""

    @property
    def eof(self) -> bool:
        """It has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""
        ...

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes unpack to, PIECE_BYTES_MAX at a time. Raises ValueError."""
        ...


class GzipMember:
    """A gzip member."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(GZIP)

    @property
    def eof(self) -> bool:
        """It has ended."""
        return self._unpacker.eof

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""
        return self._unpacker.unused_data

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes unpack to."""
        unpacker, full = self._unpacker, True
        while (data or full) and not unpacker.eof:
            try:
                piece = unpacker.decompress(data, PIECE_BYTES_MAX)
            except zlib.error as error:
                raise ValueError(DAMAGED) from error
            data, full = unpacker.unconsumed_tail, len(piece) == PIECE_BYTES_MAX
            yield piece


class ZstdFrame:
    """A Zstandard frame."""

    def __init__(self) -> None:
        self._unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})

    @property
    def eof(self) -> bool:
        """It has ended."""
        return self._unpacker.eof

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""
        return self._unpacker.unused_data

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes unpack to."""
        unpacker = self._unpacker
        while data or not (unpacker.needs_input or unpacker.eof):
            try:
                piece = unpacker.decompress(data, max_length=PIECE_BYTES_MAX)
            except zstd.ZstdError as error:
                raise ValueError(DAMAGED) from error
            data = b""
            yield piece


def pieces(body: bytes, new_member: Callable[[], Member]) -> Iterator[bytes]:
    """Yield what a body unpacks to. Raises ValueError for what cannot be unpacked, ends in its middle or has too many members."""
    member, members = new_member(), 1
    for start in range(0, len(body), SLICE_BYTES):
        data = body[start : start + SLICE_BYTES]
        while data:
            if member.eof:
                member, members = new_member(), members + 1
                if members > MEMBERS_MAX:
                    raise ValueError(f"it consists of more than {MEMBERS_MAX} members")
            yield from member.take(data)
            data = member.unused_data if member.eof else b""
    if not member.eof:
        raise ValueError("it ends in its middle")


class Unpacker:
    """Unpacks bodies within what one may have, and what all may hold together: a body is held until the call that needs it has ended."""

    def __init__(self, settings: Server) -> None:
        self.held = 0  # bytes, by all calls
        self.configure(settings)

    def configure(self, settings: Server) -> None:
        """Let these limits count from now on."""
        self._body_bytes_max = settings.body_bytes_max
        self._held_bytes_max = settings.unfinished_bodies_bytes_max

    async def unpacked(self, body: bytes, coding: str, bytes_max: int | None = None) -> bytes:
        """Return a body without its compression, `coding` being one of CODINGS; the running task is the call's, and holds it.

        Raises ApiError: request_too_large for more than `bytes_max` bytes or the server's limit, or more than RATIO_MAX times what came;
        overloaded where all hold too much; invalid_request for what cannot be unpacked.
        """
        limit = min(self._body_bytes_max, bytes_max or self._body_bytes_max)
        most = min(limit, max(RATIO_FREE_BYTES, RATIO_MAX * len(body)))
        found = bytearray()
        held = Held(self)
        try:
            for piece in pieces(body, ZstdFrame if coding == ZSTD_NAME else GzipMember):
                found += piece
                if len(found) > most:
                    raise too_large(len(body), coding, limit if most == limit else None)
                held.grow(len(found) - HELD_FREE_BYTES)
                if self.held > self._held_bytes_max:
                    message = f"Unpacked request bodies fill the {self._held_bytes_max} bytes that this server has for them."
                    raise ApiError("overloaded", f"{message} Send the request again, or without Content-Encoding.")
                await asyncio.sleep(0)
        except ValueError as error:
            raise cannot_be_unpacked(body, coding, f"{error}, {len(found)} bytes into what it unpacks to") from None
        return bytes(found)


class Held:
    """What the running task holds of an unpacker's bytes, until it ends."""

    def __init__(self, unpacker: Unpacker) -> None:
        self._unpacker = unpacker
        self._size = 0

    def grow(self, size: int) -> None:
        """It holds so much by now."""
        if size <= 0:
            return
        if not self._size and (task := asyncio.current_task()) is not None:
            task.add_done_callback(self._end)
        self._unpacker.held += size - self._size
        self._size = size

    def _end(self, _task: asyncio.Task[None]) -> None:
        self._unpacker.held -= self._size


def cannot_be_unpacked(body: bytes, coding: str, why: str) -> ApiError:
    """Return the refusal of a body that is not what its Content-Encoding says, or not whole."""
    begins = BEGINNINGS[ZSTD_NAME if coding == ZSTD_NAME else "gzip"]
    if not body.startswith(begins):
        why = f"it does not begin as {coding} does, with the bytes {begins.hex(' ')}"
    remedy = f"Send what {coding} makes of the JSON, or the JSON without Content-Encoding."
    return ApiError("invalid_request", f"The request's body could not be unpacked as {coding}: {why}. {remedy}")


def too_large(size: int, coding: str, bytes_max: int | None) -> ApiError:
    """Return the refusal of a body of this size that grows beyond the limit, or, without one, out of all proportion."""
    if bytes_max is not None:
        return ApiError("request_too_large", f"The request's body has more than {bytes_max} bytes when it is unpacked, which is the limit.")
    what = f"The request's {size} bytes of {coding} unpack to more than {RATIO_MAX} times as many. Send them without Content-Encoding."
    return ApiError("request_too_large", what)
