"""Which servers of this user run on this machine, so that a command in another folder finds them. Talks to none of them.

Each leaves a file while it runs, in a folder that only its user can read. A file whose data folder nobody holds is a dead server's.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from aisa.storage.lock import LOCK_NAME

RUNTIME_VARIABLE = "XDG_RUNTIME_DIR"
SERVERS_MAX = 100  # files that are looked at; a user runs a handful


class Running(msgspec.Struct, frozen=True):
    """A server: where its data and its configuration are, as whole paths. The second is None if it has no file.

    `host` and `port` are where it was told to listen, whatever its file says by now; a port of 0 is one that the system chooses.
    """

    data_dir: str
    config: str | None = None
    host: str | None = None
    port: int | None = None


def runtime_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the files: the system's for running programs, else one of the user's own beside other temporary files."""
    given = environment.get(RUNTIME_VARIABLE, "")
    return Path(given) / "aisa" if given else Path(tempfile.gettempdir()) / f"aisa-{os.getuid()}"


@contextmanager
def announced(server: Running, environment: Mapping[str, str]) -> Generator[None]:
    """Let commands find a server while it runs. Where no file can be left, they have to be told the data folder."""
    folder = runtime_folder(environment)
    path = folder / f"{sha256(os.fsencode(server.data_dir)).hexdigest()[:16]}.json"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours(folder):
            path.write_bytes(msgspec.json.encode(server))
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def running(environment: Mapping[str, str]) -> list[Running]:
    """Return the servers that run, in the order of their data folders."""
    folder = runtime_folder(environment)
    found: list[Running] = []
    try:
        paths = sorted(folder.glob("*.json"))[:SERVERS_MAX] if is_ours(folder) else []
    except OSError:
        return []
    for path in paths:
        try:
            server = msgspec.json.decode(path.read_bytes(), type=Running)
        except (OSError, msgspec.MsgspecError):
            continue
        if is_held(Path(server.data_dir)):
            found.append(server)
    return sorted(found, key=lambda server: server.data_dir)


def is_ours(folder: Path) -> bool:
    """Say whether a folder is this user's and nobody else can write in it: another could send our commands to a server of his."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def is_held(data_dir: Path) -> bool:
    """Say whether a process owns a data folder."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
