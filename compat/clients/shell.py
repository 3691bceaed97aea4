"""Runs the functions of a shell script of this folder as `python/told.py` runs those of a Python client: what it prints is what was seen.

Each runs in a shell of its own behind the script's first lines, which set the client up, in an empty home and an empty folder.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "python"))

from told import BAD_KEY, CITY, HELLO, WEATHER, run

#: A client starts in ten seconds on a busy machine, and one that repeats a refused request takes a minute; longer is a hang.
SECONDS_MAX = 180.0
SAID = {"HELLO": HELLO, "WEATHER": WEATHER, "CITY": CITY, "BAD_KEY": BAD_KEY}
TRIED = ("plain", "stream", "responses", "messages", "tools", "schema", "api_key", "bad_key", "models")
REFUSED = re.compile("API key is not|HTTP 401")  # of this server's answer, or of one who shows its status alone


def trial(script: Path, name: str) -> Callable[[], str]:
    """Return the function that runs one of the script."""

    def tried() -> str:
        said = "".join(f"{word}={text!r}\n" for word, text in SAID.items())
        command = ["timeout", str(SECONDS_MAX), "bash", "-c", f"{said}. {script} > setup.log 2>&1; set -o pipefail; {name}"]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        shown = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", ended.stdout).strip()
        if name == "bad_key":
            found = " ".join(shown.split())
            told = REFUSED.search(found)
            if told is None:
                return shown[-1500:]
            raise PermissionError(found[max(0, told.start() - 40) : told.start() + 80])
        if ended.returncode or not shown:
            raise RuntimeError(f"it left with {ended.returncode}: {shown[-1500:]}")
        return shown[-200:]

    tried.__name__ = name
    return tried


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    defined = set(re.findall(r"^(\w+)\(\)", path.read_text(encoding="utf-8"), re.MULTILINE))
    run(*[trial(path, name) for name in TRIED if name in defined])
