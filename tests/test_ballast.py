"""The room that a server keeps on its disk, so that it starts again when the disk is full. Fault S18."""

from __future__ import annotations

from pathlib import Path

from aisa.storage.ballast import BALLAST_BYTES, BALLAST_NAME, ROOM_BYTES_MIN, free_bytes, take_on, throw_off


def test_ballast_is_taken_on_once_and_thrown_off_only_when_there_is_no_room(tmp_path: Path) -> None:
    """It takes real blocks; a start with room leaves it, one without gives them back, and says so until there is room again."""
    ballast = tmp_path / BALLAST_NAME
    assert take_on(tmp_path) is None
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES
    assert ballast.stat().st_mode & 0o077 == 0
    for room in (BALLAST_BYTES, 1 << 40):
        throw_off(tmp_path, lambda _folder, room=room: room)
        assert take_on(tmp_path, lambda _folder: 0) is None
    before = free_bytes(tmp_path)
    throw_off(tmp_path, lambda _folder: BALLAST_BYTES - 1)
    assert not ballast.exists()
    assert free_bytes(tmp_path) > before - BALLAST_BYTES
    for _ in range(2):
        assert "nearly full, with 79 MiB left" in str(take_on(tmp_path, lambda _folder: BALLAST_BYTES + ROOM_BYTES_MIN - 1))
        assert not ballast.exists()
    assert take_on(tmp_path, lambda _folder: BALLAST_BYTES + ROOM_BYTES_MIN) is None
    assert ballast.exists()


def test_a_folder_that_cannot_be_looked_at_is_not_this_files_matter(tmp_path: Path) -> None:
    """What is opened next says it in better words."""
    throw_off(tmp_path / "missing")
    assert take_on(tmp_path / "missing") is None
