"""Brings a journal of the format before into today's, with the calls that a dead process left in it. Reads no record, settles nothing.

In that format a slot lay in one piece: its words, then each record at its longest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from aisa.ledger.journal_file import FORMAT, HEADER_BYTES, flush, header_of, sync_folder

SLOT_BYTES = 8192
SEGMENT_BYTES = SLOT_BYTES * 1024
STATE_BYTES = 8  # a slot's first word; of a free one zero
OPENING_END, CLOSING_A, CLOSING_B, END = 2064, 2064, 5064, 8064  # where its records lay; the words and the opening before them


def rewrite(descriptor: int, path: Path) -> None:
    """Put a journal of today's format, with the same calls, in place of the one that is open. Raises OSError, and leaves that then.

    A death meanwhile leaves one of the two whole. One without calls, as most are that a server left in order, is emptied where it is: that
    needs no room, and who opens it makes it anew.
    """
    beside = path.with_name(f".{path.name}.rewritten")
    size = os.fstat(descriptor).st_size - HEADER_BYTES
    whole = max(0, size) // SEGMENT_BYTES * SEGMENT_BYTES
    if not any(any(os.pread(descriptor, STATE_BYTES, HEADER_BYTES + begin)) for begin in range(0, whole, SLOT_BYTES)):
        with suppress(FileNotFoundError):
            os.unlink(beside)  # a death has left it
        os.ftruncate(descriptor, 0)
        return
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(header_of(FORMAT).ljust(HEADER_BYTES, b"\0"))
            for begin in range(0, whole, SEGMENT_BYTES):
                file.write(rearranged(os.pread(descriptor, SEGMENT_BYTES, HEADER_BYTES + begin)))
            file.flush()
            flush(file.fileno())
        os.rename(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)  # it may be what fills the disk
        raise
    sync_folder(path.parent)


def rearranged(segment: bytes) -> bytes:
    """Return a segment as today's are laid out."""
    slots = [segment[at : at + SLOT_BYTES] for at in range(0, len(segment), SLOT_BYTES)]
    first = [slot[:640] for slot in slots]
    second = [slot[CLOSING_A:CLOSING_B].ljust(3200, b"\0") for slot in slots]
    third = [slot[640:OPENING_END].ljust(1480, b"\0") + slot[CLOSING_B:END] for slot in slots]
    return b"".join(first + second + third)
