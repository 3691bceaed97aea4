"""Writes to the terminal: colours only where they show, tables, times as people say them. Knows no command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from aisa.cli.invocation import as_typed

WIDTH_MAX = 100  # longer lines of prose are hard to read
TIMES = ((86_400 * 365, "year"), (86_400 * 30, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def say(text: str = "", *, err: bool = False, literal: bool = False) -> None:
    """Write a line to standard output or error; colours are dropped where it is no terminal, or one that is to have none.

    Our commands in it are written as they have to be typed, unless it is `literal`, for machines. Who reads no further has seen enough:
    the command does what it has to do, and ends, as if he were there.
    """
    heard(text, err=err, literal=literal)


def heard(text: str, *, err: bool = False, literal: bool = False) -> bool:
    """Write a line as `say` does, and return whether anybody still reads."""
    text = text if literal else as_typed(text)
    try:
        click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") or is_dumb() else None)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        return False
    return True


def is_dumb() -> bool:
    """Say whether the terminal knows no escape codes at all, be it for colours or for where to write."""
    return os.environ.get("TERM") == "dumb"


def paint(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """Return a text in a colour."""
    return click.style(text, fg=colour, bold=bold or None, dim=dim or None)


def ago(seconds: float) -> str:
    """Say how long ago something was, or, for negative seconds, how soon it will be: `3 days ago`, `in 2 hours`, `just now`."""
    size = abs(int(seconds))
    for length, name in TIMES:
        if size >= length:
            count = (2 * size + length) // (2 * length)  # to the nearest: a key made for 30 days has 30 days left a second later
            words = f"{count} {name}{'' if count == 1 else 's'}"
            return f"in {words}" if seconds < 0 else f"{words} ago"
    return "just now"


PADDED_CHARACTERS_MAX = 64  # of a column in a pipe: callers may ask for models by names of hundreds of letters


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Return an aligned table. Cells may be painted: colours take no room.

    Off a terminal, where nothing is cut, a text that is longer than PADDED_CHARACTERS_MAX has no others padded to its length.
    """
    most = None if sys.stdout.isatty() else PADDED_CHARACTERS_MAX
    lines = [[paint(head, dim=True) for head in heads]] if heads else []
    lines += [list(row) for row in rows]
    lengths = [[len(click.unstyle(line[column])) for line in lines] for column in range(len(lines[0]))] if lines else []
    widths = [max((length for length in column if most is None or length <= most), default=0) for column in lengths]
    padded = [[cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join((indent + "  ".join(line)).rstrip() for line in padded)
