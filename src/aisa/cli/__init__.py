"""The command `aisa`: starts the one that was asked for. What a command needs is imported when it runs, so that help is quick."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed or refused, 2 called or configured wrongly."""
    from aisa.cli.commands import aisa

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our characters shows `?`, rather than the command failing
    try:
        aisa(prog_name="aisa")
    except OSError as error:
        from aisa.cli.unwritten import end_unwritten

        end_unwritten(error)
