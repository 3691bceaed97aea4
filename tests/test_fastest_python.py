"""How `make` chooses a Python: by what each takes for the same work, among those that it supports and that can make environments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))  # the tools are beside the package, not in it

import fastest_python


def program(folder: Path, name: str, says: str, status: int = 0) -> Path:
    """A program that answers the probe."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nprintf '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_fastest_supported_python_comes_first_whatever_its_version(tmp_path: Path) -> None:
    """Not one that is too old or too new, not one that fails, and several names of one program are one."""
    program(tmp_path, "python3.11", "3.11.2\\t90\\t/somewhere/python3.11")
    program(tmp_path, "python3", "3.11.2\\t95\\t/somewhere/python3.11")
    program(tmp_path, "python3.12", "3.12.9\\t80\\t/somewhere/python3.12", status=1)
    program(tmp_path, "python3.13", "3.13.1\\t100\\t/somewhere/python3.13")
    assert fastest_python.asked(str(program(tmp_path, "python3.10", "3.10.4\\t10\\t/p"))) is None
    assert fastest_python.asked(str(program(tmp_path, "python3.15", "3.15.0\\t10\\t/p"))) is None
    assert fastest_python.asked(str(program(tmp_path, "mute", ""))) is None
    chosen = fastest_python.found(f"{tmp_path}{os.pathsep}{tmp_path / 'nowhere'}", ())
    assert [(version, path) for _, version, path in chosen] == [("3.11.2", "/somewhere/python3.11"), ("3.13.1", "/somewhere/python3.13")]


def test_this_python_answers_the_probe() -> None:
    """The work runs on every supported version; its figure is microseconds of CPU of some milliseconds."""
    told = fastest_python.asked(sys.executable)
    assert told is not None
    assert told[0] > 100
    assert told[1] == "{}.{}.{}".format(*sys.version_info[:3])


def test_make_says_what_to_do_where_no_package_could_be_had(tmp_path: Path) -> None:
    """The last words were pip's: that a version does not exist, which it does; no package index had been reached."""
    pip = "printf 'ERROR: No matching distribution found for a==1\\n' >&2; exit 1"
    made = f"mkdir -p $3/bin; printf '#!/bin/sh\\n%s\\n' \"{pip}\" > $3/bin/python; chmod 755 $3/bin/python"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{made}\n")
    python.chmod(0o755)
    root = Path(__file__).resolve().parents[1]
    command = ["make", "-C", str(root), "serve", f"VENV={tmp_path / '.venv'}", f"PYTHON={python}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "No matching distribution" in ended.stderr
    assert "no package index was reached" in ended.stdout
    assert "HTTPS_PROXY" in ended.stdout
