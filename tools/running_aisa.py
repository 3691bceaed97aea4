"""Runs the server for the rigs beside it, and asks it for receipts. Knows what it prints, and nothing of its insides."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen


@contextmanager
def aisa(configuration: str) -> Generator[tuple[int, str]]:
    """Run the server with a configuration and data of its own; yields its port and a key."""
    with tempfile.TemporaryDirectory(prefix="aisa-rig-") as folder:
        (Path(folder) / "aisa.yaml").write_text(configuration, encoding="utf-8")
        program = [sys.executable, "-m", "aisa"]
        command = [*program, "serve", "--port", "0", "--data-dir", "data", "--config", "aisa.yaml"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
            try:
                assert process.stdout is not None, "it was asked for"
                said = ""
                while "Stop with" not in said and (line := process.stdout.readline()):
                    said += line
                port = re.search(r"http://127\.0\.0\.1:(\d+)", said)
                assert port, said
                made = [*program, "keys", "create", "rig", "--quiet", "--data-dir", "data"]
                key = subprocess.run(made, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603 - as above
                yield int(port[1]), key
            finally:
                process.terminate()


def receipt_of(port: int, key: str, call: str) -> Any:
    """Return a call's receipt."""
    wanted = Request(f"http://127.0.0.1:{port}/v1/usage/calls/{call}", headers={"authorization": f"Bearer {key}"})
    with urlopen(wanted) as answer:  # noqa: S310 - as above
        return json.load(answer)
