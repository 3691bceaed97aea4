"""The journal's file by itself: its header, the room on its disk, and what is said of one that cannot be used. Knows no slots."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from aisa.storage.failure import StorageFailed

MAGIC = b"aisabord"
FORMAT = 2
HEADER = struct.Struct("=8sI")  # magic and format; their checksum follows, and nothing else
HEADER_BYTES = 65536  # a mapping begins at a multiple of the page size, which is 64 KiB on some systems

#: Returns how many bytes the disk of an open file has left.
Room = Callable[[int], int]


def free_bytes(descriptor: int) -> int:
    """Return how many bytes the disk of an open file has left. A file system that does not tell is taken to have room."""
    disk = os.fstatvfs(descriptor)
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else sys.maxsize


def check_header(descriptor: int, path: Path) -> int:
    """Make the header of an empty file, or judge the one that is there; return its format. Raises StorageFailed, OSError."""
    header = os.pread(descriptor, HEADER.size + 4, 0)
    if not header:
        os.pwrite(descriptor, header_of(FORMAT), 0)
        os.fsync(descriptor)
        sync_folder(path.parent)
    elif header != header_of(FORMAT):
        made = int.from_bytes(header[-8:-4], sys.byteorder)
        if header == header_of(made):
            if 0 < made < FORMAT:
                return made
            raise StorageFailed(str(path), "The journal of calls in flight was made by a newer aisa.", "Run that version or a newer one.")
        remedy = "Restore it, or move it away to begin with an empty one; the calls that were in flight in it are then not billed."
        raise StorageFailed(str(path), "The file is no journal of calls in flight, or is damaged.", remedy)
    return FORMAT


def header_of(number: int) -> bytes:
    """Return the header of a format: what it is, and a checksum."""
    named = HEADER.pack(MAGIC, number)
    return named + crc32(named).to_bytes(4, sys.byteorder)


def sync_folder(folder: Path) -> None:
    """Wait until the folder's list of files is on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unusable(path: Path, error: OSError) -> StorageFailed:
    """Return the failure for what the operating system said."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StorageFailed(str(path), f"There is no room for the journal of calls in flight: {error.strerror}.", "Free some space.")
    what = f"The journal of calls in flight cannot be used: {error.strerror}."
    return StorageFailed(str(path), what, "Let this user read and write the file, and keep its folder on a local disk.")


def append_zeros(descriptor: int, begin: int, size: int) -> None:
    """Lengthen a file to `begin + size` bytes by writing them, where the system has no posix_fallocate. Raises OSError."""
    while missing := max(0, begin + size - os.fstat(descriptor).st_size):
        os.pwrite(descriptor, bytes(missing), begin + size - missing)


# macOS has neither of the two.
allocate: Callable[[int, int, int], None] = getattr(os, "posix_fallocate", append_zeros)
flush: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
