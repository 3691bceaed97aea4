"""Figures as tables: for a terminal, for Markdown and as JSON values, and their verdict against a budget. Measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds with the lowest and the highest."""

    median: float
    low: float
    high: float


Cell = str | float | Spread | None
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One measurement. `columns` are titles with the number of decimals shown (text columns: 0); `how` says what was done."""

    name: str
    title: str
    how: str
    columns: tuple[tuple[str, int], ...]
    rows: tuple[Row, ...]


def spread(values: Sequence[float]) -> Spread:
    """Return median, lowest and highest. Raises StatisticsError if there are no values."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(values: Sequence[float], yardstick: Sequence[float] | None) -> Spread | None:
    """Return how many times the yardstick each round took, rounds paired because they were neighbours in time; None without yardstick."""
    if not yardstick:
        return None
    return spread([value / other for value, other in zip(values, yardstick, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of all values do not exceed (nearest rank). Raises IndexError if there are none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def verdict(value: float | Spread | None, budget: float, unit: str) -> str:
    """Return "within" or "over" with the budget, for the median if there is a spread."""
    if value is None:
        return ""
    number = value.median if isinstance(value, Spread) else value
    return f"{'within' if number <= budget else 'over'} (<= {budget:g} {unit})"


def shown(cell: Cell, digits: int) -> str:
    """Return a cell as text."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Spread):
        return f"{cell.median:,.{digits}f} ({cell.low:,.{digits}f}-{cell.high:,.{digits}f})"
    return f"{cell:,.{digits}f}"


def cells(table: Table) -> list[list[str]]:
    """Return titles and rows as text."""
    titles = [title for title, _ in table.columns]
    return [titles, *([shown(cell, digits) for cell, (_, digits) in zip(row, table.columns, strict=True)] for row in table.rows)]


def as_text(table: Table) -> str:
    """Return the table for a terminal."""
    lines = cells(table)
    widths = [max(len(line[at]) for line in lines) for at in range(len(table.columns))]
    rule = ["-" * width for width in widths]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in (lines[0], rule, *lines[1:])]
    body = ["  ".join(line).rstrip() for line in padded]
    return "\n".join([table.title, table.how, "", *body, ""])


def as_markdown(table: Table) -> str:
    """Return the table as Markdown."""
    titles, *rows = cells(table)
    rule = ["---"] + ["---:"] * (len(titles) - 1)
    body = ["| " + " | ".join(line) + " |" for line in (titles, rule, *rows)]
    return "\n".join([f"### {table.title}", "", table.how, "", *body, ""])


def as_values(table: Table) -> dict[str, object]:
    """Return the table for JSON: a spread becomes an object of three numbers."""
    rows = [
        {title: asdict(cell) if isinstance(cell, Spread) else cell for cell, (title, _) in zip(row, table.columns, strict=True)}
        for row in table.rows
    ]
    return {"name": table.name, "title": table.title, "how": table.how, "rows": rows}


def put_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the bench's markers in a page; the rest stays. Raises ValueError if a marker is missing."""
    old = page.read_text()
    head, begin, rest = old.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} ... {END}")
    page.write_text(f"{head}{BEGIN}\n{text.strip()}\n{END}{tail}")
