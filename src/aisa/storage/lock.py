"""One process owns a data folder: makes the folder and holds its lock. Knows nothing of what is kept inside."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from aisa.storage.failure import FolderHeld, StorageFailed

LOCK_NAME = "lock"
CONTROL_NAME = "control.sock"
SERVER_ID_NAME = "server.id"  # of a server whose database is on the network: by it what was allotted to it is found again
SOCKET_PATH_BYTES_MAX = 103  # of a unix socket's path: macOS's limit, four less than Linux's
OWNER_BYTES_MAX = 32  # of the lock file that are shown: a process id


class FolderLock:
    """The ownership of a data folder. Ends with `release`, or with the process however that ends."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    @property
    def descriptor(self) -> int:
        """What holds the lock, to be handed to processes that work in the folder too: it is held until all of them are gone."""
        assert self._descriptor is not None, "it was not given up"
        return self._descriptor

    def release(self) -> None:
        """Give the folder up. May be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def own_folder(data_dir: str) -> FolderLock:
    """Make the folder (mode 0700) if it is not there, and own it.

    Raises StorageFailed when it cannot be made or written, when everybody may write in it, or another process owns it.
    """
    folder = Path(data_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & stat.S_IWOTH:
            what = f"Every user of this machine may write in the data folder (mode {mode:04o}), and so take the keys and the ledger over."
            raise StorageFailed(data_dir, what, f"Close it: chmod 700 {data_dir}")
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unusable(data_dir, error, os.geteuid()) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        note_owner(descriptor)
    except BlockingIOError:
        owner = os.pread(descriptor, OWNER_BYTES_MAX, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise held(data_dir, owner) from None
    except OSError as error:
        os.close(descriptor)
        raise unusable(data_dir, error, os.geteuid()) from error
    return FolderLock(folder, descriptor)


def note_owner(descriptor: int) -> None:
    """Write down who owns the folder, for whoever is refused it; on a full disk nothing. Raises OSError."""
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def exposure(data_dir: str) -> str | None:
    """Say who else than its owner may look into or change the folder, None if nobody may."""
    mode = stat.S_IMODE(Path(data_dir).stat().st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    may = "change" if mode & stat.S_IWGRP else "look into"
    return f"other users of this machine may {may} the data folder (mode {mode:04o}); close it with: chmod 700 {data_dir}"


def check_folder(data_dir: str) -> StorageFailed | None:
    """Say what would keep this process from owning the folder, without making it."""
    folder = Path(data_dir)
    try:
        if folder.exists():
            own_folder(data_dir).release()
            return None
        nearest = next(parent for parent in folder.absolute().parents if parent.exists())
    except StorageFailed as failure:
        return failure
    except OSError as error:
        return unusable(data_dir, error, os.geteuid())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return StorageFailed(data_dir, f"The data folder cannot be made: {nearest} is no folder this user may write.", CHOOSE_FOLDER)
    return None


def control_path(data_dir: str) -> str:
    """Return where the server that owns the folder listens for the command line. Raises StorageFailed if no socket can be there."""
    path = str(Path(data_dir) / CONTROL_NAME)
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        limit = f"The folder's name is too long for the socket in it ({SOCKET_PATH_BYTES_MAX} bytes in all)."
        raise StorageFailed(data_dir, limit, "Choose a shorter name, or one relative to the working directory.")
    return path


CHOOSE_FOLDER = "Choose another one with --data-dir, AISA_DATA_DIR or server.data_dir, or change who may write it."


def unusable(data_dir: str, error: OSError, user: int) -> StorageFailed:
    """Return the failure for what the operating system said to a process of this user."""
    folder = Path(data_dir)
    if error.errno in (errno.EACCES, errno.EPERM) and (found := foreign((folder, folder / LOCK_NAME), user)):
        path, owner = found
        what = f"The data folder cannot be used: {path} belongs to {owner}, and this process runs as {user_name(user)}."
        remedy = (
            f"Run this as {owner}."
            if path == folder
            else f"Give it what another user left in the folder: chown -R {user_name(user)} {data_dir}"
        )
        return StorageFailed(data_dir, what, remedy)
    if error.errno in (errno.EEXIST, errno.ENOTDIR) and not folder.is_dir():
        return StorageFailed(data_dir, "The data folder cannot be used: a file is there, or in the place of a folder above.", CHOOSE_FOLDER)
    return StorageFailed(data_dir, f"The data folder cannot be used: {error.strerror}.", CHOOSE_FOLDER)


def foreign(paths: Iterable[Path], user: int) -> tuple[Path, str] | None:
    """Return the first of some paths that belongs to another user than this one, and whose it is."""
    for path in paths:
        try:
            owner = path.lstat().st_uid
        except OSError:
            continue
        if owner != user:
            return path, user_name(owner)
    return None


def user_name(number: int) -> str:
    """Return the name of a user, or the number of one who has none, as `chown` takes both."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def held(data_dir: str, owner: str) -> FolderHeld:
    """Return the failure for a folder that another process owns. `owner` is its process id, if known."""
    process = f"process {owner}" if owner else "another process"
    return FolderHeld(data_dir, f"The data folder is in use by {process}.", "Stop that process, or choose another folder with --data-dir.")
