"""A key that a server makes for itself once and keeps in its data folder, readable by its owner alone. Knows not what it is for."""

from __future__ import annotations

import os
from pathlib import Path

from aisa.clock import Chance
from aisa.storage.failure import StorageFailed


def own_secret(path: Path, length: int, chance: Chance) -> bytes:
    """Return the key in a file, which is made if it is not there. `chance` is fit for keys. Raises StorageFailed.

    The file appears whole or not at all, whenever the process dies.
    """
    try:
        if not path.exists():
            fresh = path.with_name(f"{path.name}.new")
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, chance.randbytes(length))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            fresh.rename(path)
        secret = path.read_bytes()
    except OSError as error:
        remedy = "Make the data folder writable, or restore the file from a backup."
        raise StorageFailed(str(path), f"The key of this server cannot be kept there: {error.strerror}.", remedy) from error
    if len(secret) != length:
        what = f"It has {len(secret)} bytes, not {length}: it is no key of this server."
        raise StorageFailed(str(path), what, "Restore it from a backup, or remove it: what was sealed with it is then lost.")
    return secret


def keep_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, instead of one that may be there. Raises OSError."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
