"""The command `aisa`: starts the one that was asked for. What a command needs is imported when it runs, so that help is quick."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed or refused, 2 called or configured wrongly."""
    from aisa.cli.commands import aisa

    open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our characters shows `?`, rather than the command failing
    try:
        aisa(prog_name="aisa")
    except OSError as error:
        from aisa.cli.unwritten import end_unwritten

        end_unwritten(error)


def open_closed() -> None:
    """Have the standard streams that whoever called has closed lead nowhere; else the first files to be opened would take their places."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
