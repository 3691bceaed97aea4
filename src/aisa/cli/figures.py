"""Numbers on a terminal: tables with columns to the right, small bars, money and counts in few characters. Knows no command."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import click

from aisa.cli.terminal import table
from aisa.money import Nanos, rounded_dollars

EIGHTHS = " ▏▎▍▌▋▊▉█"
NAMED_MAX = 4  # names in a sentence
DECIMALS = 6  # of dollars in tables: a call may cost a thousandth of a cent


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int]) -> str:
    """Return a table whose columns with these numbers, from 0, are aligned to the right. Cells may be painted."""
    lines = [list(heads), *(list(row) for row in rows)]
    for column in right:
        width = max(len(click.unstyle(line[column])) for line in lines)
        for line in lines:
            line[column] = " " * (width - len(click.unstyle(line[column]))) + line[column]
    return table(lines[0], lines[1:])


def bar(value: int, largest: int, cells: int) -> str:
    """Return a bar as long as its share of the largest value, at most so many characters; what is more than nothing can be seen."""
    if value <= 0 or largest <= 0:
        return ""
    if not shows(EIGHTHS):
        return "#" * max(1, (value * cells + largest // 2) // largest)
    whole, rest = divmod(max(1, (value * cells * 8 + largest // 2) // largest), 8)
    return EIGHTHS[8] * whole + (EIGHTHS[rest] if rest else "")


def shows(text: str) -> bool:
    """Say whether standard output can show these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def dollars(amount: Nanos) -> str:
    """Write an amount in US dollars with DECIMALS places, as `money.rounded_dollars`: for tables. `money.dollars_text` is exact."""
    return f"{'-' if amount < 0 else ''}{rounded_dollars(amount, DECIMALS, mark='')}"


def count(number: int) -> str:
    """Write a count in at most 6 characters: exactly below 100,000, else with three digits, such as `123k` or `1.23M`."""
    if number < 100_000:
        return f"{number:,}"
    for unit, name in ((10**3, "k"), (10**6, "M"), (10**9, "G")):
        for places in (2, 1, 0):
            rounded = (2 * number * 10**places + unit) // (2 * unit)
            if rounded < 1_000:
                return f"{rounded // 10**places}{f'.{rounded % 10**places:0{places}d}' if places else ''}{name}"
    return f"{number // 10**9:,}G"


def short(text: str, characters: int) -> str:
    """Return a text that is cut to so many characters."""
    return text if len(text) <= characters else text[: characters - 1] + ("…" if shows("…") else "~")


def listed(names: Sequence[str]) -> str:
    """Name the first of some names, and say how many more there are."""
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")


def several(count: int, noun: str) -> str:
    """Return `1 model` or `3 models`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(bytes_count: int) -> str:
    """Write a number of bytes in a few characters: `812 B`, `64 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes_count < 10_000:
            return f"{bytes_count:,} {unit}"
        bytes_count = (bytes_count + 512) // 1024
    return f"{bytes_count:,} TiB"
