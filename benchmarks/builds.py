"""An older commit as a program to measure: its files in a temporary folder, run in an environment of its own where its lock differs."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

from benchmarks.load import BenchFailed
from benchmarks.subjects import Build

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK = "requirements/base.txt"
OLDER = "before"
BUILD_SECONDS_MAX = 600.0  # an environment is made from wheels; the longest is the download
BYTES_SHOWN = 2_000


def older(revision: str, folder: Path) -> tuple[Build, str]:
    """Put a commit's files into an empty folder and return how to run them, and the commit's short name. Raises BenchFailed."""
    name = ran(("git", "-C", str(REPOSITORY), "rev-parse", "--verify", "--short", f"{revision}^{{commit}}")).decode().strip()
    packed = ran(("git", "-C", str(REPOSITORY), "archive", "--format=tar", name, "src", "benchmarks", "tests", LOCK))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on; what is unpacked is our own in any case
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    build = Build(OLDER, tree=folder, environment={"PYTHONPATH": str(folder / "src")})
    if (folder / LOCK).read_bytes() == (REPOSITORY / LOCK).read_bytes():
        return build, name
    return replace(build, python=environment(folder)), name


def environment(folder: Path) -> str:
    """Install what an older commit's lock names into an environment beside its files; returns its interpreter. Raises BenchFailed."""
    place = folder / "environment"
    ran((sys.executable, "-m", "venv", str(place)))
    python = str(place / "bin" / "python")
    ran((python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(folder / LOCK)))
    return python


def ran(command: tuple[str, ...]) -> bytes:
    """Return what a command writes. Raises BenchFailed with what it complained of."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=BUILD_SECONDS_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchFailed(f"`{command[0]}` could not be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-BYTES_SHOWN:]
        raise BenchFailed(f"`{' '.join(command)}` failed: {said}")
    return done.stdout
