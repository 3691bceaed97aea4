"""Ends a command with what went wrong, readable and with its remedy. Finds no problem itself."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import IO, Any

import click

from aisa.cli.terminal import WIDTH_MAX, paint, say

#: where, what, remedy: the shape of config.problem.Problem, which is not imported here because the help needs no configuration
Problem = tuple[str, str, str]


class Stop(click.ClickException):
    """Ends the command with status 1: it failed, or what it asked was refused, be it by a server or, without one, by its data.

    The title and every problem go to standard error, then `lines` as they are, to paste.
    """

    def __init__(self, title: str, problems: Sequence[Problem], lines: str = "") -> None:
        super().__init__(title)
        self.problems = problems
        self._lines = lines

    def show(self, file: IO[Any] | None = None) -> None:
        """Write everything to standard error."""
        say(paint("aisa: ", "red", bold=True) + paint(self.message, bold=True), err=True)
        for problem in self.problems:
            say("\n" + block(problem), err=True)
        if self._lines:
            say("\n" + self._lines.rstrip(), err=True)


class Misuse(Stop):
    """Ends the command with status 2: something must be configured or called differently, and nothing was asked."""

    exit_code = 2


def block(problem: Problem) -> str:
    """Return a problem as indented lines that fit the terminal: where, what, and the remedy after an arrow."""
    where, what, remedy = problem
    width = min(shutil.get_terminal_size().columns, WIDTH_MAX)
    lines = [paint(f"  {where}", "yellow"), *textwrap.wrap(what, width, initial_indent="    ", subsequent_indent="    ")]
    lines += textwrap.wrap(
        remedy, width, initial_indent="    → ", subsequent_indent="      ", break_on_hyphens=False, break_long_words=False
    )
    return "\n".join(lines)


def counted(count: int) -> str:
    """Return `1 problem` or `3 problems`."""
    return f"{count} problem{'' if count == 1 else 's'}"
