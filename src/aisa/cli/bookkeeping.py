"""What the commands on the ledger do: ask, compare, and show. Computes no amount and opens no database itself."""

from __future__ import annotations

import re
from datetime import date, timedelta

import click
import msgspec

from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.fitting import fitted
from aisa.cli.problems import Misuse
from aisa.cli.terminal import paint, say
from aisa.cli.treasury import dollars, json_text
from aisa.edge.admin_wallets import MadeList
from aisa.ledger.pieces import moment_of
from aisa.ledger.port_admin import AuditReport
from aisa.ledger.reconcile import COLUMNS, Export, ExportUnreadable, LineItem, compare, drift, drifts, read_export, totals

AUDIT_SECONDS_MAX = 3_600.0  # enough for fifty million calls
MADE_SECONDS_MAX = 600.0  # enough for some ten million calls
PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")
HEADS = ("DAY", "MODEL", "OUR INPUT", "THEIRS", "DRIFT", "OUR OUTPUT", "THEIRS", "DRIFT")


def audit(config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Audit the ledger and print what was found. Exits with 1 if there is a difference. Raises Stop."""
    folder = settings(config, data_dir).server.data_dir
    report = ask(folder, "POST", "/ledger/audit", expect=AuditReport, seconds=AUDIT_SECONDS_MAX)
    if as_json:
        say(json_text(report), literal=True)
    else:
        say(f"Looked at: calls {report.calls:,}, wallet entries {report.entries:,}, accounts {report.accounts:,}.")
        if report.removed and report.proven_since_ms is not None:
            since = moment_of(report.proven_since_ms)
            say(f"{report.removed:,} calls that ended before {since} are removed: taken as they were summed up then, proven since.")
        if report.on_board:
            say(f"{report.on_board:,} calls are in the journal: in flight, or about to be written.")
        if report.keyless:
            say(keyless(report))
        sound = "What is there adds up." if report.keyless else "Everything adds up."
        say("\n" + findings(report) if report.counts else paint(sound, "green", bold=True))
    if report.counts:
        raise SystemExit(1)


def keyless(report: AuditReport) -> str:
    """Say which calls are of keys that the database does not have, and how that comes."""
    more = report.keyless - len(report.keyless_calls)
    named = ", ".join(report.keyless_calls) + (f" and {more:,} more" if more else "")
    why = "The database was restored from a copy that is older than their keys, or was lost and begun anew."
    number = "1 call is of a key that is" if report.keyless == 1 else f"{report.keyless:,} calls are of keys that are"
    return paint(f"{number} not in the database: {named}. {why}", "yellow")


def findings(report: AuditReport) -> str:
    """Return what an audit found, as text."""
    number = sum(report.counts.values())
    rows = [[paint(found.kind, "red"), found.where, found.what] for found in report.differences]
    rest = number - len(rows)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.counts.items()))
    more = f"\nand {rest:,} more." if rest else ""
    found = fitted(("WHAT", "WHERE", "DIFFERENCE"), rows, prose=True)
    return f"{found}{more}\n\n" + paint(f"{number:,} differences: {kinds}.", "red", bold=True)


def reconcile(file: str, vendor: str, columns: str | None, *, tolerance: str, config: str | None, data_dir: str | None) -> None:
    """Compare our rows with a vendor's export and print the drift. Exits with 1 if it is too large. Raises Stop, Misuse."""
    limit = hundredths(tolerance)
    export = read_file(file, columns_named(columns))
    span = {"start_ms": unix_ms(export.first), "end_ms": unix_ms(export.last + timedelta(days=1))}
    folder = settings(config, data_dir).server.data_dir
    asked = {"vendor": vendor, **span}
    ours = ask(folder, "POST", "/ledger/made", expect=MadeList, asked=asked, seconds=MADE_SECONDS_MAX).data
    lines = compare(ours, export.lines)
    sums = totals(lines)
    every = sums[-1]
    rows = [*lines, *(msgspec.structs.replace(line, day="all days", model=line.model or "all models") for line in sums)]
    marked = [[paint(cell, "red") for cell in row(line)] if drifts(line, limit) else row(line) for line in rows]
    say(fitted(HEADS, marked, right=range(2, len(HEADS))))
    if every.theirs_cost is not None:
        say(f"\nThey charge {dollars(every.theirs_cost)}; by the price catalogue, our calls come to {dollars(every.ours_cost)}.")
    if reported := sum(made.reported for made in ours):
        said, all_calls = sum(made.reported_cost for made in ours), sum(made.requests for made in ours)
        say(f"By its own answers it charges {dollars(said)}, for the {reported:,} of {all_calls:,} calls whose answer says so.")
    within = f"{limit // 100}.{limit % 100:02}".rstrip("0").rstrip(".")
    apart = [line.model or "all models" for line in sums if drifts(line, limit)]
    if apart:
        say("\n" + paint(f"More than {within} % apart: {', '.join(apart)}.", "red", bold=True))
        raise SystemExit(1)
    say("\n" + paint(f"Every model is within {within} %.", "green", bold=True))


def row(line: LineItem) -> list[str]:
    """Return a line's cells, in the order of HEADS."""
    pairs = ((line.ours_input, line.theirs_input), (line.ours_output, line.theirs_output))
    return [line.day, line.model, *(cell for ours, theirs in pairs for cell in (f"{ours:,}", f"{theirs:,}", percent(ours, theirs)))]


def percent(ours: int, theirs: int) -> str:
    """Say how much more they have than we: `+1.25 %`."""
    size = drift(ours, theirs)
    return f"{'-' if size < 0 else '+' if size else ''}{abs(size) // 100}.{abs(size) % 100:02} %"


def hundredths(tolerance: str) -> int:
    """Return a percentage in hundredths. Raises Misuse."""
    found = PERCENT.fullmatch(tolerance.strip().removesuffix("%").strip())
    if found is None:
        raise Misuse(
            "the tolerance is no percentage", [("--tolerance", f"{tolerance!r} cannot be read.", "Write a number such as 1 or 0.5.")]
        )
    whole, decimals = found.groups("")
    return 100 * int(whole) + int(f"{decimals:0<2}")


def columns_named(text: str | None) -> dict[str, str]:
    """Return the columns that are named on the command line. Raises Misuse."""
    named: dict[str, str] = {}
    for part in text.split(",") if text else []:
        column, equals, name = part.partition("=")
        if not equals or not name.strip() or column.strip() not in COLUMNS:
            remedy = f"Write COLUMN=NAME, with one of {', '.join(COLUMNS)} for the column, and commas in between."
            raise Misuse("the columns cannot be understood", [("--columns", f"{part!r} names no column.", remedy)])
        named[column.strip()] = name.strip()
    return named


def read_file(file: str, named: dict[str, str]) -> Export:
    """Read an export, `-` meaning standard input. Raises Misuse."""
    try:
        with click.open_file(file, encoding="utf-8-sig") as lines:
            return read_export(lines, named)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misuse("the file cannot be read", [(file, f"Reading it failed: {why}.", "Name a CSV file.")]) from None
    except ExportUnreadable as error:
        remedy = "Export usage by day and model as CSV. `aisa ledger reconcile --help` shows how columns are named."
        raise Misuse("the file cannot be understood", [(file, str(error), remedy)]) from None


def unix_ms(day: date) -> int:
    """Return the moment at which a day begins in UTC."""
    return (day - date(1970, 1, 1)).days * 86_400_000
