"""Compares what a vendor says that it made, in the file that it exports, with what our rows say. Reads text, not files, and asks nobody.

Columns are known by the names in COLUMNS, whatever their case and order; all others are ignored. A line without a model only says that the
file covers its day. Where one side names a snapshot (`gpt-5-2026-08-07`) and the other the model (`gpt-5`), they are taken for one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, DecimalException

import msgspec

from aisa.ledger.port_admin import Made
from aisa.money import NANOS_PER_DOLLAR, Nanos, divide_half_up

TOKENS_MAX = 10**15  # in one cell; a number with more digits is no count
LINES_MAX = 1_000_000  # of an export; a line an hour, model, key and project for years
DAYS_MAX = 400  # as the server adds up at once
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
UNIX_SECONDS = re.compile(r"[0-9]{9,10}(\.0+)?")

#: What is read -> how exports name it. The first name that is there counts.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "day", "usage_date", "start_time_iso", "start_time", "bucket_start", "timestamp"),
    "model": ("model", "model_name", "snapshot_id"),
    "input": ("input_tokens", "n_context_tokens_total", "prompt_tokens", "context_tokens"),
    "output": ("output_tokens", "n_generated_tokens_total", "completion_tokens", "generated_tokens"),
    "cost": ("cost", "cost_usd", "amount", "amount_usd", "amount_value", "cost_in_usd"),
}
NO_HEAD: list[str] = []
NEEDED = ("date", "model", "input", "output")


class ExportUnreadable(Exception):
    """The export cannot be understood; the message says where and what would be right."""


class LineItem(msgspec.Struct, frozen=True):
    """What we and the vendor have for one model in one day, or in all days (`day` is empty). `theirs_cost` is None if nobody tells it."""

    day: str
    model: str
    ours_input: int = 0
    ours_output: int = 0
    ours_cost: Nanos = 0
    theirs_input: int = 0
    theirs_output: int = 0
    theirs_cost: Nanos | None = None

    def plus(self, other: LineItem) -> LineItem:
        """Return the sums of both, named as this one."""
        cost = None if self.theirs_cost is None and other.theirs_cost is None else (self.theirs_cost or 0) + (other.theirs_cost or 0)
        return LineItem(
            self.day,
            self.model,
            self.ours_input + other.ours_input,
            self.ours_output + other.ours_output,
            self.ours_cost + other.ours_cost,
            self.theirs_input + other.theirs_input,
            self.theirs_output + other.theirs_output,
            cost,
        )


class Export(msgspec.Struct, frozen=True):
    """A vendor's export: the first and the last day that it covers, and its lines, one for each day and model."""

    first: date
    last: date
    lines: list[LineItem]


def read_export(text: Iterable[str], named: Mapping[str, str], lines_max: int = LINES_MAX) -> Export:
    """Read a CSV file's lines. `named` gives the names of columns that COLUMNS does not know. Raises ExportUnreadable."""
    reader = csv.reader(text, strict=True)
    days: set[date] = set()
    sums: dict[tuple[date, str], LineItem] = {}
    try:
        places = find_columns(next(reader, NO_HEAD), named)
        for number, cells in enumerate(reader, 2):
            if number > lines_max:
                raise ExportUnreadable(f"It has more than {lines_max:,} lines. Export a shorter time.")
            if any(cells):
                line = read_line(cells, places, number)
                days.add(date.fromisoformat(line.day))
                if line.model:
                    key = (date.fromisoformat(line.day), line.model)
                    sums[key] = line.plus(sums[key]) if key in sums else line
    except csv.Error as error:
        raise ExportUnreadable(f"Line {reader.line_num} is not CSV: {error}.") from None
    if not days:
        raise ExportUnreadable("It has no lines but the head.")
    if (max(days) - min(days)).days >= DAYS_MAX:
        raise ExportUnreadable(f"It covers {min(days)} to {max(days)}, and {DAYS_MAX} days can be compared at once. Export a shorter time.")
    return Export(min(days), max(days), list(sums.values()))


def find_columns(head: list[str], named: Mapping[str, str]) -> dict[str, int]:
    """Return where each column stands. Raises ExportUnreadable."""
    names = [re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_") for name in head]
    places: dict[str, int] = {}
    for column, known in COLUMNS.items():
        wanted = [named[column]] if column in named else known
        found = [names.index(name) for name in wanted if name in names] + [head.index(name) for name in wanted if name in head]
        if found:
            places[column] = found[0]
        elif column in named:
            raise ExportUnreadable(f"There is no column {named[column]!r}. There are: {', '.join(head)}.")
    missing = [column for column in NEEDED if column not in places]
    if missing:
        usual = "; ".join(f"{column} is one of {', '.join(COLUMNS[column])}" for column in missing)
        there = f"There are: {', '.join(head)}." if head else "It is empty."
        raise ExportUnreadable(f"No column for {' and '.join(missing)} ({usual}). {there} Name them with --columns {missing[0]}=NAME.")
    return places


def read_line(cells: list[str], places: Mapping[str, int], number: int) -> LineItem:
    """Return one line of the export. Raises ExportUnreadable."""

    def cell(column: str) -> str:
        place = places.get(column, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    def parsed(column: str, parse: Callable[[str], int]) -> int:
        try:
            return parse(cell(column) or "0")
        except (ValueError, DecimalException):
            raise ExportUnreadable(f"Line {number}: {cell(column)[:40]!r} is no {column}.") from None

    try:
        day = day_of(cell("date"))
    except (ValueError, OverflowError, OSError):
        what = "2026-12-31, 2026-12-31T00:00:00Z or UNIX seconds"
        raise ExportUnreadable(f"Line {number}: {cell('date')[:40]!r} is no date; write {what}.") from None
    return LineItem(
        day.isoformat(),
        cell("model"),
        theirs_input=parsed("input", count_of),
        theirs_output=parsed("output", count_of),
        theirs_cost=parsed("cost", nanos_of) if "cost" in places else None,
    )


def day_of(text: str) -> date:
    """Return the day in UTC that a cell names. Raises ValueError, OverflowError, OSError."""
    if UNIX_SECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text.partition(".")[0]), UTC).date()
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date()


def count_of(text: str) -> int:
    """Return a whole number of tokens, which some exports write with thousands' commas or as 12.0. Raises ValueError, DecimalException."""
    number = Decimal(text.replace(",", ""))
    if not 0 <= number <= TOKENS_MAX or number != number.to_integral_value():
        raise ValueError(text)
    return int(number)


def nanos_of(text: str) -> Nanos:
    """Return an amount in US dollars as nano-dollars, the nearest. Raises DecimalException, ValueError."""
    amount = Decimal(text.replace(",", "").lstrip("$"))
    if not abs(amount) <= TOKENS_MAX:
        raise ValueError(text)
    return int((amount * NANOS_PER_DOLLAR).to_integral_value(ROUND_HALF_UP))


def compare(ours: Iterable[Made], theirs: Iterable[LineItem]) -> list[LineItem]:
    """Return a line for each day and model that either side has, in order."""
    lines: dict[tuple[str, str], LineItem] = {}
    models: set[str] = set()
    theirs = list(theirs)
    listed = {line.model for line in theirs}
    for made in ours:
        undated = SNAPSHOT.sub("", made.model)
        model = undated if made.model not in listed and undated in listed else made.model
        models.add(model)
        key = (made.day, model)
        lines[key] = lines.get(key, LineItem(*key)).plus(LineItem(made.day, model, made.input_tokens, made.output_tokens, made.vendor_cost))
    for line in theirs:
        model = line.model if line.model in models else SNAPSHOT.sub("", line.model)
        key = (line.day, model if model in models else line.model)
        lines[key] = lines.get(key, LineItem(*key)).plus(line)
    return [line for _, line in sorted(lines.items())]


def totals(lines: Iterable[LineItem]) -> list[LineItem]:
    """Return the sum over all days for each model, and over all models (with an empty name) at the end."""
    sums: dict[str, LineItem] = {}
    every = LineItem("", "")
    for line in lines:
        sums[line.model] = sums.get(line.model, LineItem("", line.model)).plus(line)
        every = every.plus(line)
    return [*(sums[model] for model in sorted(sums)), every]


def drift(ours: int, theirs: int) -> int:
    """Return how much more the vendor has than we, in hundredths of a percent of whoever has more; negative for less."""
    most = max(ours, theirs)
    size = divide_half_up(abs(theirs - ours) * 10_000, most) if most else 0
    return size if theirs >= ours else -size


def drifts(line: LineItem, tolerance: int) -> bool:
    """Say whether input or output drift by more than a tolerance in hundredths of a percent."""
    pairs = ((line.ours_input, line.theirs_input), (line.ours_output, line.theirs_output))
    return any(abs(theirs - ours) * 10_000 > tolerance * max(ours, theirs) for ours, theirs in pairs)
