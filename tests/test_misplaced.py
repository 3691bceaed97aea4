"""What lies in a data folder under a name of the server's own and is of another kind: a problem at the start, and no traceback later."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aisa.cli.preflight import KINDS, folder_problems
from server import PROCESS_SECONDS_MAX, environment


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_of_another_kind_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    """[fault P11] A start went as far as listening, and ended with the system's words of a folder."""
    (tmp_path / name).mkdir()
    (problem,) = folder_problems(str(tmp_path), shared=False)
    assert (problem.where, problem.remedy) == (str(tmp_path / name), "Move it away, or choose another folder.")
    assert problem.what.startswith("What is there is no ")


def test_what_a_server_left_and_what_is_linked_there_is_of_its_kind(tmp_path: Path) -> None:
    """The socket of a server that died, and a key that is mounted by a link."""
    folder = tmp_path / "data"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "control.sock"))
    (tmp_path / "secret").write_bytes(b"")
    (folder / "server.id").symlink_to(tmp_path / "secret")
    assert list(folder_problems(str(folder), shared=True)) == []


def test_a_server_does_not_start_where_its_socket_cannot_be(tmp_path: Path) -> None:
    """Nothing is made, and the exit status is that of other problems."""
    (tmp_path / "data" / "control.sock").mkdir(parents=True)
    command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", "data"]
    refused = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX
    )
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    assert "What is there is no socket" in refused.stderr
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"control.sock", "lock"}
