"""How far the bytes written to one TLS connection got, and when it is to be given no more. Does no encryption.

A TLS transport writes to a transport of its own, `plain`, and says nothing of what that one holds. So that is asked here.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right

from aisa.http.delivery import Delivery, Sweep, TcpDelivery
from aisa.http.outbox import Outbox
from aisa.http.sockets import tcp_progress, unacknowledged_bytes

TLS_RECORD_BYTES_MAX = 16_384  # of plaintext, by the standard; what is written at once is cut at this size
TLS_13_FRAMING_BYTES = 22  # a record's header, content type and tag, in every cipher suite of TLS 1.3 that is on by default
TLS_12_GCM_FRAMING_BYTES = 29  # a nonce instead of the type
TLS_12_CHACHA_FRAMING_BYTES = 21  # neither


class TlsDelivery(TcpDelivery):
    """A TLS connection on Linux: the kernel counts ciphertext, so the framing of every record is counted here.

    A client can read a record when it has all of it: what it has is what the whole records held.
    """

    __slots__ = ("_ciphertext_ends", "_halted", "_plain", "_plaintext_ends", "_record_framing_bytes")

    tells_resets = False

    def __init__(
        self, transport: asyncio.WriteTransport, sweep: Sweep, outbox: Outbox, *, descriptor: int, plain: asyncio.WriteTransport
    ) -> None:
        super().__init__(transport, sweep, outbox, descriptor=descriptor)
        self._plain = plain
        self._halted = False  # the protocol was told to write no more
        cipher, version, _ = transport.get_extra_info("cipher")
        if version == "TLSv1.3":
            self._record_framing_bytes = TLS_13_FRAMING_BYTES
        else:
            self._record_framing_bytes = TLS_12_CHACHA_FRAMING_BYTES if "CHACHA20" in cipher else TLS_12_GCM_FRAMING_BYTES
        #: Where the records end that the client may not have yet, after the last that it had when that was asked: in both scales.
        self._plaintext_ends = [0]
        # The handshake; its last part still waits in this process.
        waiting = transport.get_write_buffer_size() + plain.get_write_buffer_size()
        self._ciphertext_ends = [tcp_progress(descriptor)[1] + unacknowledged_bytes(descriptor) + waiting]
        # Our own descriptor: the transport closes its own before it says that the connection is lost.
        self._descriptor = os.dup(descriptor)

    def delivered(self) -> int:
        """Return how many of the bytes written the client's kernel has acknowledged, in records that are whole."""
        delivered = self._acknowledged()
        known = bisect_right(self._plaintext_ends, delivered) - 1
        del self._plaintext_ends[:known], self._ciphertext_ends[:known]
        return delivered

    def taken(self) -> int:
        """Return how many of the bytes written have left this process; of a connection that is being closed, those delivered."""
        if self.is_closing():
            return self._acknowledged()
        return self._within(tcp_progress(self._descriptor)[1] + unacknowledged_bytes(self._descriptor))

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport, behind what was posted."""
        Delivery.write(self, data)  # with the framing counted

    def flushed(self) -> None:
        """Take note that everything written has left this process."""
        super().flushed()
        if self._halted:
            self._halted = False
            self._transport.set_write_buffer_limits(high=1, low=0)

    def halt(self) -> bool:
        """Have the protocol told to write no more if the kernel has refused a byte, and again when it has taken all; return whether it has.

        The transport itself would only say so when its `plain` one is full and something was written on top of that. Told that it may
        hold nothing at all, it says so at once.
        """
        if not self._plain.get_write_buffer_size():
            return False
        self._halted = True
        self._transport.set_write_buffer_limits(high=0, low=0)
        return True

    def _within(self, sent: int) -> int:
        return self._plaintext_ends[max(0, bisect_right(self._ciphertext_ends, sent) - 1)]

    def _put(self, data: bytes) -> None:
        end, plaintext, ciphertext = self.bytes_written, self._plaintext_ends[-1], self._ciphertext_ends[-1]
        while plaintext < end:
            size = min(TLS_RECORD_BYTES_MAX, end - plaintext)
            plaintext, ciphertext = plaintext + size, ciphertext + size + self._record_framing_bytes
            self._plaintext_ends.append(plaintext)
            self._ciphertext_ends.append(ciphertext)
        self._transport.write(data)
        if not self._halted:
            self.halt()

    def _let_go(self, *, throw_away: bool) -> None:
        super()._let_go(throw_away=throw_away)
        os.close(self._descriptor)
