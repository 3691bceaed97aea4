"""Tables that fit the terminal: what is needed least is left out, texts are cut, and the last line says so. Knows no command.

What goes to a pipe or a file is whole, however narrow the terminal is.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence

import click

from aisa.cli.figures import aligned, short
from aisa.cli.terminal import paint

GAP = 2  # between columns
TEXT_CHARACTERS_MIN, TEXT_CHARACTERS_USUAL = 8, 24  # of a column of text that is cut; its head stays whole
VALUE_CHARACTERS_MIN = 24  # behind names; where less room is, they are broken into lines together

Cells = Sequence[Sequence[str]]


def room() -> int | None:
    """Return how many characters a line of standard output has, None where it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fitted(heads: Sequence[str], rows: Cells, *, right: Collection[int] = (), least: Sequence[str] = (), prose: bool = False) -> str:
    """Return a table, and below it what was left out or cut so that it fits; see `fitted_lines`."""
    lines, note = fitted_lines(heads, rows, right=right, least=least, prose=prose)
    return "\n".join([*lines, note] if note else lines)


def fitted_lines(
    heads: Sequence[str],
    rows: Cells,
    *,
    right: Collection[int] = (),
    least: Sequence[str] = (),
    cut_last: Sequence[str] = (),
    prose: bool = False,
) -> tuple[list[str], str]:
    """Return the lines of a table that fits the terminal, heads first, and what was left out or cut for that, nothing if all is there.

    Columns with the numbers `right` are aligned to the right and never cut; those that `least` names may be left out, the first first, and
    those of `cut_last` are cut only where to cut the others does not do. With `prose` in the last column this goes on in lines of its own,
    and is not cut.
    """
    columns = room()
    kept = kept_columns(heads, rows, least=least, columns=columns, right=right)
    names, lines = [heads[at] for at in kept], [[row[at] for at in kept] for row in rows]
    to_right = [place for place, at in enumerate(kept) if at in right]
    cut: list[str] = []
    if columns is not None:
        last = [place for place, name in enumerate(names) if name in cut_last]
        widths, natural = cut_widths(names, lines, whole=to_right, last=last, columns=columns), widths_of(names, lines)
        cut = [name for name, width, all_of_it in zip(names, widths, natural, strict=True) if width < all_of_it][: -1 if prose else None]
        lines = [line for each in lines for line in lines_of(each, widths, prose=prose)]
    return aligned(names, lines, to_right).splitlines(), note([name for name in least if name in heads and name not in names], cut)


def kept_columns(
    heads: Sequence[str], rows: Cells, *, least: Sequence[str], columns: int | None, right: Collection[int] = (), beside: int = 0
) -> list[int]:
    """Return the numbers of the columns that are kept: of `least` the last, as many as fit beside the others and so much else.

    Long texts, which can be cut, count for TEXT_CHARACTERS_USUAL.
    """
    widths = [width if at in right else min(width, TEXT_CHARACTERS_USUAL) for at, width in enumerate(widths_of(heads, rows))]
    kept = {at for at, head in enumerate(heads) if columns is None or head not in least}
    for name in reversed(least):
        more = kept | {at for at, head in enumerate(heads) if head == name}
        if columns is not None and beside + sum(widths[at] + GAP for at in more) - GAP <= columns:
            kept = more
    return sorted(kept)


def widths_of(heads: Sequence[str], rows: Cells) -> list[int]:
    """Return how wide each column is. Colours take no room."""
    return [max(len(click.unstyle(row[at])) for row in (heads, *rows)) for at in range(len(heads))]


def cut_widths(heads: Sequence[str], rows: Cells, *, whole: Collection[int], last: Collection[int] = (), columns: int) -> list[int]:
    """Return how wide each column may be: the widest texts give way first, as far as they can, those that are `last` behind all others."""
    widths = widths_of(heads, rows)
    for held in ({*whole, *last}, {*whole}):
        least = [width if at in held else min(width, max(TEXT_CHARACTERS_MIN, len(heads[at]))) for at, width in enumerate(widths)]
        while sum(widths) + GAP * (len(widths) - 1) > columns:
            spare = [(width, at) for at, width in enumerate(widths) if width > least[at]]
            if not spare:
                break
            widths[max(spare)[1]] -= 1
    return widths


def lines_of(row: Sequence[str], widths: Sequence[int], *, prose: bool) -> list[list[str]]:
    """Return a row as lines of cells that are no wider: the first, and what `prose` goes on with. What is cut has no colour."""
    bare = [click.unstyle(cell) for cell in row]
    cells = [cell if len(text) <= width else short(text, width) for cell, text, width in zip(row, bare, widths, strict=True)]
    if not prose or len(bare[-1]) <= widths[-1]:
        return [cells]
    first, *more = textwrap.wrap(bare[-1], widths[-1], break_on_hyphens=False)
    return [[*cells[:-1], first], *([""] * (len(row) - 1) + [text] for text in more)]


def note(hidden: Sequence[str], cut: Sequence[str]) -> str:
    """Say what is not there, nothing if all is."""
    named = ((", ".join(filter(None, hidden)), "left out"), (", ".join(filter(None, cut)), "cut"))
    told = "; ".join(f"{names} {done}" for names, done in named if names)
    said = f"Narrow terminal: {told}. All of it: the same behind `|\u00a0less\u00a0-S`."
    return paint(textwrap.fill(said, room() or len(said)).replace("\u00a0", " "), dim=True) if told else ""


def facts(rows: Cells, indent: str = "") -> str:
    """Return lines without heads, whose last cells say something of the others: on a terminal longer ones go on below themselves."""
    columns = room()
    widest = [max(len(click.unstyle(row[at])) for row in rows) for at in range(len(rows[0]) - 1)] if rows else []
    start = len(indent) + sum(widest) + GAP * len(widest)
    lines: list[str] = []
    for *names, value in rows:
        before = indent + "".join(name + " " * (width - len(click.unstyle(name)) + GAP) for name, width in zip(names, widest, strict=True))
        whole = (before + value).rstrip()
        if columns is None or len(click.unstyle(whole)) <= columns:
            lines.append(whole)
            continue
        text, at = (value, start) if columns - start >= VALUE_CHARACTERS_MIN else ("  ".join((*names, value)), len(indent) + 2 * GAP)
        first, *more = textwrap.wrap(click.unstyle(text), max(columns - at, TEXT_CHARACTERS_MIN), break_on_hyphens=False)
        lines += [(before if text is value else indent) + first, *(" " * at + line for line in more)]
    return "\n".join(lines)
