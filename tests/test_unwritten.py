"""Commands whose words cannot be written: a full disk, which is `/dev/full` or a bound on files, and a pipe that nobody reads."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aisa.cli.init import init
from server import PROCESS_SECONDS_MAX, environment

COMMANDS = (
    ("keys", "list"),
    ("keys", "create", "b", "--quiet"),
    ("usage",),
    ("usage", "--csv"),
    ("calls", "--json"),
    ("wallet", "statement", "default", "--csv"),
    ("ledger", "audit"),
    ("config", "schema"),
    ("prices",),
    ("vendors",),
    ("version",),
    ("--help",),
    ("keys", "create", "--help"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a key."""
    folder = tmp_path_factory.mktemp("full")
    assert run(folder, ("keys", "create", "a"), subprocess.PIPE).returncode == 0
    return folder


def run(
    folder: Path, words: tuple[str, ...], output: Any, errors: Any = subprocess.PIPE, first: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with its words going there; `first` is done in its process before."""
    return subprocess.run(
        [sys.executable, "-m", "aisa", *words],
        cwd=folder,
        env={**environment(), "AISA_DATA_DIR": str(folder / "data")},
        stdout=output,
        stderr=errors,
        text=True,
        check=False,
        timeout=PROCESS_SECONDS_MAX,
        preexec_fn=first,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_is_told_in_a_line(folder: Path, words: tuple[str, ...]) -> None:
    """[issue 8] It was a traceback; where nothing can be said either, nothing is, and the status is the same."""
    with Path("/dev/full").open("wb") as full:
        told = run(folder, words, full)
        assert (told.returncode, told.stderr.splitlines()[:1]) == (1, ["aisa: not all was written"]), told.stderr
        assert "It cannot be written: No space left on device." in told.stderr
        assert run(folder, words, full, full).returncode == 1


@pytest.mark.parametrize("words", [("keys", "list"), ("usage", "--csv"), ("config", "schema"), ("--help",)], ids=" ".join)
def test_a_closed_pipe_is_left_in_silence(folder: Path, words: tuple[str, ...]) -> None:
    """Whoever read it has seen enough."""
    ours, theirs = os.pipe()
    os.close(ours)
    assert run(folder, words, theirs).stderr == ""
    os.close(theirs)


def test_half_a_configuration_is_taken_away(tmp_path: Path) -> None:
    """[issue 8] What a full disk left of it was no YAML, and stood in the way of the next try."""
    told = run(tmp_path, ("init",), subprocess.PIPE, first=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    assert (told.returncode, "nothing was written" in told.stderr) == (1, True), told.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_cannot_be_looked_at_is_not_taken_away(tmp_path: Path) -> None:
    """With no descriptor free for it, a file that had been there for long was removed as if it were the half of a new one."""
    path = tmp_path / "aisa.yaml"
    path.write_text("server: {}\n")
    assert CliRunner().invoke(init, ["--config", str(path)]).exit_code == 2, "and all that it needs is imported now"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        told = CliRunner().invoke(init, ["--config", str(path)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (told.exit_code, "Too many open files" in told.stderr) == (1, True), told.stderr
    assert path.read_text() == "server: {}\n"
