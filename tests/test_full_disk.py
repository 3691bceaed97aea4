"""What commands do on the data folder of a server that does not run when its disk is full: they look, and change nothing. A real disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from aisa.storage.engine import DATABASE_NAME
from test_cli_keys import Run, run

__all__ = ["run"]
DISK_BYTES = 2 << 20
QUESTIONS = ("ledger audit", "keys list", "usage --by key", "calls", "wallet show", "wallet statement default")


@pytest.fixture
def disk(run: Run, tmp_path: Path) -> Iterator[Path]:
    """A data folder with a key on a small disk of its own."""
    folder = tmp_path / "aisa-data"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        assert run("keys", "create", "mine").exit_code == 0
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no room."""
    with suppress(OSError), (folder / "filled").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))


def held_in(folder: Path) -> dict[str, bytes]:
    """All files but the lock, and what SQLite has begun beside its file."""
    left_out = ("lock", f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in left_out}


def test_a_folder_on_a_full_disk_can_be_looked_at(run: Run, disk: Path) -> None:
    """[fault S18] SQLite wants room for files beside the database to open it, and all that was told is that the disk is full."""
    fill(disk)
    before = held_in(disk)
    status = run("status")
    assert (status.exit_code, "schema 00" in status.stdout, "does not run" in status.stdout) == (1, True, True), status.output
    assert "0 MiB left" in " ".join(status.stdout.split())
    for words in QUESTIONS:
        asked = run(*words.split())
        assert (asked.exit_code, asked.stderr) == (0, ""), (words, asked.stderr)
    assert [key["label"] for key in json.loads(run("keys", "list", "--json").stdout)] == ["mine"]
    for words in ("keys create more", "keys revoke mine --yes", "wallet top-up default 5"):
        refused = run(*words.split())
        assert (refused.exit_code != 0, "mine" in run("keys", "list").stdout) == (True, True), words
    assert "The disk is full" in run("keys", "create", "more").stderr
    assert held_in(disk) == before


def test_a_log_that_cannot_be_read_is_not_left_out(run: Run, disk: Path) -> None:
    """What it has would be missing in all that is shown."""
    (disk / f"{DATABASE_NAME}-wal").write_bytes(b"\xff" * 8_192)
    fill(disk)
    for words in ("status", "keys list"):
        told = run(*words.split())
        assert (told.exit_code, "The disk is full" in told.stderr) == (1, True), words
