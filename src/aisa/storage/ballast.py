"""A file that only takes room: thrown off when the disk is full at a start, so that a server that has served can start again.

It holds nothing. What a start needs of the disk are the database's journal and the rows of calls that a crash had left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

BALLAST_NAME = "ballast"
BALLAST_BYTES = 16 << 20  # the rows of some ten thousand calls, and the journal many times over
ROOM_BYTES_MIN = 64 << 20  # left beside it when it is taken on: a disk so full has no room for ballast

#: Returns how many bytes the disk of a folder has left.
Room = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """Return how many bytes the disk of a folder has left for this user."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def throw_off(folder: Path, room: Room = free_bytes) -> None:
    """Before anything is opened: make room if the disk has less than the ballast takes. A failure shows in what is opened next."""
    with suppress(OSError):
        if room(folder) < BALLAST_BYTES:
            (folder / BALLAST_NAME).unlink(missing_ok=True)


def take_on(folder: Path, room: Room = free_bytes) -> str | None:
    """When everything is open: take the room that a later start may need, if it is there. Return what the operator must know if not."""
    path = folder / BALLAST_NAME
    try:
        if path.exists() and path.stat().st_size == BALLAST_BYTES:
            return None
        left = room(folder)
        if left < BALLAST_BYTES + ROOM_BYTES_MIN:
            return f"the disk of the data folder is nearly full, with {left >> 20} MiB left: free some space, or the next start may fail"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, AttributeError):  # a file system, or a system, that cannot set room aside has no ballast
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None
