"""Runs a command against a server of its own, whose address and key it finds in AISA_BASE_URL and AISA_API_KEY. Judges nothing.

AISA_PYTHON is the Python that runs this.

`python compat/run.py` installs the JavaScript clients beside it and runs their tests, then those of the Python clients in the place apart
that `make compat` has made; it needs node 20 and npm. Another command may be given: `python compat/run.py node --test openai.test.mjs`.
The server has a scripted vendor behind it, as in tests/server.py: the model `local/SCRIPT` asks for a script of tests/vendor.py. A
second speaks every dialect: `DIALECT/SCRIPT` asks for one of tests/polyglot.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = ["sh", "-c", "npm ci && node --test && ../build/compat-python/bin/python conversations.py"]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the rig is that of the Python tests

from polyglot import Polyglot, configuration  # noqa: E402 - the line above says where it is
from server import FRONT, serving  # noqa: E402 - as above
from vendor import ScriptedVendor  # noqa: E402 - as above


def main(command: list[str]) -> int:
    """Run the command in this folder and return its exit status."""
    with TemporaryDirectory() as folder, ScriptedVendor() as vendor, Polyglot() as polyglot:
        both = FRONT.format(vendor=vendor.url).replace("vendors:\n", configuration(polyglot.url), 1)
        return run(command, Path(folder), both)


def run(command: list[str], folder: Path, settings: str) -> int:
    """Run the command beside a server with these settings."""
    with serving(folder, settings) as server:
        variables = os.environ | {"AISA_BASE_URL": server.api, "AISA_API_KEY": server.key, "AISA_PYTHON": sys.executable}
        return subprocess.run(command, cwd=HERE, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or TESTS))
