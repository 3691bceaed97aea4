"""Sends several events of one stream in one system call, and has the kernel itself note on the board which of them it took.

`sendmmsg(2)` stores behind each message how many of its bytes it has taken, before it looks at the next. The messages' headers lie in the
board's file, so whatever instant the process dies at, the next start can read how far the call had come. Linux only; opens no socket.

    word        what
    0           armed: the number of the call's slot and one, or nothing
    1           how many messages
    2           length and checksum of the call's opening, as in its slot: after a power failure the slot may be another call's
    3...        after each message: the call's output tokens
    ...         each message's length
    ...         the kernel's headers, `struct mmsghdr`

It is armed last before the call and disarmed after the call's slot has its progress; both are single stores.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Sequence
from mmap import mmap
from typing import NamedTuple

MESSAGES_MAX = 64  # of one system call; a read of a fast vendor brings fewer
BYTES_MAX = 131_072  # of all of them: more than one read brings, with our framing

ARMED, COUNT, OPENING, TOKENS, LENGTHS = 0, 1, 2, 3, 3 + MESSAGES_MAX
HEADERS = 8 * (LENGTHS + MESSAGES_MAX)  # in bytes
HEADER = struct.Struct("=QIIQQQQiiII")  # name, its length, vectors, their number, control, its length, flags; and the bytes taken
TAKEN = HEADER.size - 8  # ... which are here, in bytes
SPACE_BYTES = HEADERS + MESSAGES_MAX * HEADER.size
VECTOR_BYTES = 16  # struct iovec: address and length
assert HEADER.size == 64, "as the kernel lays it out on 64-bit machines"

MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE = 0x40, 0x4000, 0x8000  # Linux; more follows, so that events share packets


class Left(NamedTuple):
    """Of which call, in which slot, the kernel had taken events, and up to how many tokens."""

    number: int
    opening: int
    tokens: int


class Carried(NamedTuple):
    """How many of several events the kernel took whole, and how many bytes of the next."""

    whole: int
    bytes_more: int


class Courier:
    """The place on a board from which events are sent, one group at a time. `memory` is mapped for it; `begin` is where, in bytes."""

    def __init__(self, memory: mmap, begin: int) -> None:
        self._memory = memory
        self._begin = begin
        self._words = memoryview(memory)[begin : begin + SPACE_BYTES].cast("Q")
        self._payload = bytearray(BYTES_MAX)
        self._vectors = bytearray(MESSAGES_MAX * VECTOR_BYTES)
        self._exported = [ctypes.c_char.from_buffer(memory, begin), *map(ctypes.c_char.from_buffer, (self._payload, self._vectors))]
        here, self._payload_at, vectors_at = map(ctypes.addressof, self._exported)
        self._headers_at = here + HEADERS
        self._blank = b"".join(HEADER.pack(0, 0, 0, vectors_at + VECTOR_BYTES * at, 1, 0, 0, 0, 0, 0, 0) for at in range(MESSAGES_MAX))
        self._call = ctypes.PyDLL(None).sendmmsg  # never blocks, so the interpreter's lock can be kept

    def left(self) -> Left | None:
        """Return how far a call had come when the process died here; None if it did not, or if the kernel had taken no event whole."""
        words = self._words
        armed, count = words[ARMED], words[COUNT]
        if not armed > 0 or not 0 < count <= MESSAGES_MAX:
            return None
        whole = self._whole(count)
        return Left(armed - 1, words[OPENING], words[TOKENS + whole - 1]) if whole else None

    def disarm(self) -> None:
        """Forget what was left."""
        self._words[ARMED] = 0

    def send(self, descriptor: int, events: Sequence[bytes], tokens: Sequence[int], *, number: int, opening: int) -> Carried:
        """Send events on a TCP connection, MESSAGES_MAX and BYTES_MAX at most, and leave it armed for the slot with this number and word.

        The call has so many output `tokens` after each. More must follow soon: the kernel may keep a part of a packet for it. What was not
        taken is for the caller to send; a connection that is broken takes nothing.
        """
        count = len(events)
        place = self._payload_at
        vectors: list[int] = []
        for event in events:
            vectors += (place, len(event))
            place += len(event)
        self._payload[: place - self._payload_at] = b"".join(events)
        struct.pack_into(f"={2 * count}Q", self._vectors, 0, *vectors)
        memory, begin, words = self._memory, self._begin, self._words
        struct.pack_into(f"={count}Q", memory, begin + 8 * TOKENS, *tokens)
        struct.pack_into(f"={count}Q", memory, begin + 8 * LENGTHS, *vectors[1::2])
        memory[begin + HEADERS : begin + HEADERS + HEADER.size * count] = self._blank[: HEADER.size * count]
        words[COUNT] = count
        words[OPENING] = opening
        words[ARMED] = number + 1
        taken = self._call(descriptor, ctypes.c_void_p(self._headers_at), count, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)
        if taken <= 0:
            return Carried(0, 0)
        whole = self._whole(taken)
        return Carried(whole, 0 if whole == taken else self._taken(whole))

    def close(self) -> None:
        """Let the memory go."""
        self._words.release()
        self._exported.clear()

    def _whole(self, count: int) -> int:
        """Return how many of the first messages the kernel took whole: there is at most one, the last, of which it took a part."""
        words = self._words
        return next((at for at in range(count) if self._taken(at) != words[LENGTHS + at]), count)

    def _taken(self, at: int) -> int:
        return self._words[(HEADERS + HEADER.size * at + TAKEN) // 8] & 0xFFFF_FFFF


def can_carry() -> bool:
    """Say whether this system has what a courier needs."""
    return sys.platform == "linux" and sys.maxsize > 1 << 32 and sys.byteorder == "little" and hasattr(ctypes.PyDLL(None), "sendmmsg")
