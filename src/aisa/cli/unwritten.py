"""Ends a command whose words could not be written: the disk is full, or whoever read them has gone. Of a new file it leaves no half."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from aisa.cli.problems import Stop

REMEDY = "Make room, and try again. What the command was to change is changed: look before you repeat it."
WRITERS = ("click.utils", "aisa.cli.board_screen")  # what writes to standard output and error


def end_unwritten(error: OSError) -> NoReturn:
    """Exit with 1, and say why in a line if anybody can still read it. Raises the error if it came of something else."""
    if raised_in(error) not in WRITERS:
        raise error
    quiet = isinstance(error, BrokenPipeError)  # whoever read it has seen enough
    with suppress(OSError):
        if not quiet:
            Stop("not all was written", [("standard output", f"It cannot be written: {error.strerror}.", REMEDY)]).show()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or it is tried once more at the exit
    sys.exit(1)


def raised_in(error: OSError) -> str:
    """Return the name of the module that has raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def write_new(path: Path, text: str, mode: int = 0o666) -> None:
    """Make a file that is not there, whole or not at all. Raises FileExistsError, OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:  # of what was begun here: what cannot be opened may be somebody's
        with suppress(OSError):
            path.unlink()
        raise
