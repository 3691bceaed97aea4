"""What stands between a socket and TLS: gives TLS little at a time, and the end only behind all that came before it. Does no encryption."""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

CIPHERTEXT_BYTES_MAX = 16_384  # of one read, and of what is kept for whoever wants nothing for now, besides what it takes to end a record
EARLY_BYTES_MAX = 32_768  # of a handshake, and of what comes right behind it


@runtime_checkable
class Secures(Protocol):
    """What both loops' TLS has of `asyncio.BufferedProtocol`; uvloop's does not say that it is one."""

    def get_buffer(self, sizehint: int, /) -> memoryview:
        """Say where to put what comes."""
        ...

    def buffer_updated(self, nbytes: int, /) -> None:
        """Take that many bytes from there."""
        ...

    def eof_received(self) -> bool | None:
        """Take the end, and forget what was not read by then."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the socket."""
        ...

    def pause_writing(self) -> None:
        """Hear that the socket takes no more for now."""
        ...

    def resume_writing(self) -> None:
        """Hear that it does again."""
        ...


@runtime_checkable
class Decrypts(Protocol):
    """What both loops' transports over TLS can do beyond asyncio's interface: hold less of what nobody reads, and say how much."""

    def set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Stop reading from the socket above `high` bytes of ciphertext."""
        ...

    def get_read_buffer_size(self) -> int:
        """Return how many bytes of ciphertext wait."""
        ...


class Ciphertext(asyncio.BufferedProtocol):
    """The protocol of a socket whose bytes are for `tls`.

    On its own TLS has 256 KiB read at once, keeps what nobody has asked for yet, and forgets that when the socket's end comes: every
    connection could make us hold 600 KiB, and a vendor that closed behind its answer took the last of it away.
    """

    def __init__(self, plain: asyncio.Transport, tls: Secures) -> None:
        self._plain, self._tls = plain, tls
        self._decrypted: asyncio.Transport | None = None
        self._buffer = tls.get_buffer(CIPHERTEXT_BYTES_MAX)[:CIPHERTEXT_BYTES_MAX]
        self._early_bytes = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to, and thereby how much."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Give TLS what was read; not for ever, as long as nobody can say that he wants no more."""
        self._tls.buffer_updated(nbytes)
        if self._decrypted is None:
            self._early_bytes += nbytes
            if self._early_bytes > EARLY_BYTES_MAX and not self._plain.is_closing():
                self._plain.pause_reading()

    def decrypted_by(self, transport: asyncio.Transport) -> None:
        """Know the transport that reads what TLS has decrypted, once the handshake is over."""
        self._decrypted = transport
        if isinstance(transport, Decrypts):
            transport.set_read_buffer_limits(high=CIPHERTEXT_BYTES_MAX)
        if self._early_bytes > EARLY_BYTES_MAX and not self._plain.is_closing():
            self._plain.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._tls.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._tls.resume_writing()

    def eof_received(self) -> bool | None:
        """Take the end of the socket's bytes; the loop closes it where that is all."""
        if not self._unread():
            return self._tls.eof_received()
        self._read_out(self._unread())
        return True

    def _read_out(self, unread: int) -> None:
        """Have what has come read, though its reader may have paused, as long as that gets anywhere; then end."""
        transport, loop = self._decrypted, asyncio.get_running_loop()
        if transport is None or self._plain.is_closing():
            return
        transport.resume_reading()
        loop.call_soon(self._look_again, unread)  # behind TLS, which reads on in a turn of its own

    def _look_again(self, unread: int) -> None:
        left, transport = self._unread(), self._decrypted
        if left and (left != unread or not (transport is None or transport.is_reading())):  # else that is half of a record
            self._read_out(left)
        elif not self._plain.is_closing():
            self._tls.eof_received()
            self._plain.close()

    def _unread(self) -> int:
        """Return how many bytes have come that were not given to their reader."""
        transport = self._decrypted
        if transport is None or transport.is_closing() or not isinstance(transport, Decrypts):
            return 0
        decrypted: int = transport.get_extra_info("ssl_object").pending()
        return transport.get_read_buffer_size() + decrypted


def read_little(plain: asyncio.Transport) -> Ciphertext | None:
    """Put that between the socket of `plain` and the TLS that has it; None if none has."""
    tls = plain.get_protocol()
    if plain.is_closing() or not isinstance(tls, Secures):
        return None
    between = Ciphertext(plain, tls)
    plain.set_protocol(between)
    return between
