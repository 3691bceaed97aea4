"""How this program was called, so that the commands that it prints work in another terminal and another folder."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

NAMES = (
    "accounts admin-keys backup board calls check config explain help init keys ledger models prices reload restore route serve simulate "
    "status teams usage vendors version wallet"
).split()
PRINTED = re.compile(rf"(?<![\w./-])aisa (?=(?:{'|'.join(NAMES)})\b)")


def command(argv: Sequence[str], executable: str, which: Callable[[str], str | None] = shutil.which) -> str:
    """Return what to type for `aisa`: that alone where the shell finds this very program by it, else its whole path."""
    called = Path(argv[0] if argv else "")
    if called.name == "__main__.py" and called.parent.name == "aisa":
        return f"{shlex.quote(executable)} -m aisa"
    if called.name != "aisa" or not called.exists():
        return "aisa"
    found = which("aisa")
    return "aisa" if found is not None and Path(found).resolve() == called.resolve() else shlex.quote(str(called.absolute()))


@cache
def own_command() -> str:
    """Return what to type for this program."""
    return command(sys.argv, sys.executable)


def as_typed(text: str) -> str:
    """Write the commands in a text as they have to be typed."""
    return PRINTED.sub(lambda _found: f"{own_command()} ", text)
