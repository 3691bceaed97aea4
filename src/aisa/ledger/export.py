"""The ledger's rows as others read them: a JSON object or a line of CSV each, from one state of the database. Changes nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from aisa.errors import ApiError
from aisa.ledger.damaged import whole_row
from aisa.ledger.record import NAMES
from aisa.ledger.row import CallRow
from aisa.money import Nanos, dollars_text
from aisa.storage.tables import accounts, calls
from aisa.usage import Usage

ROWS_AT_ONCE = 1_000  # that are held, some 2 MB
JSON_LINES, CSV = "jsonl", "csv"
BY_ID = calls.c.id  # ids go on with the time at which calls began, and have an index
#: Fields of a row that are amounts.
AMOUNTS = ("cost", "vendor_cost", "reported_cost", "operator_cost")


class Asked(NamedTuple):
    """Which rows: those that ended from a UNIX millisecond on and before another, of one account and one key if they are named."""

    start_ms: int
    end_ms: int
    account: str | None = None
    key_id: str | None = None


def lines(connection: Connection, asked: Asked, form: str, *, damaged: Callable[[str], None]) -> Iterator[str]:
    """Yield each row as a line of one of the two forms, in the order of ids; of CSV the head first. `damaged` as for `rows`."""
    if form == CSV:
        yield csv_line(HEADS)
    for row in rows(connection, asked, damaged=damaged):
        document = shown(row)
        if form == CSV:
            yield csv_line([cell(document[name]) for name in HEADS])
        else:
            yield msgspec.json.encode(document).decode() + "\n"


def has_account(connection: Connection, name: str) -> bool:
    """Say whether there is an account of a name."""
    return connection.execute(select(accounts.c.name).where(accounts.c.name == name)).first() is not None


def rows(connection: Connection, asked: Asked, *, damaged: Callable[[str], None]) -> Iterator[CallRow]:
    """Yield the rows, of which at most ROWS_AT_ONCE are held. `damaged` is told the ids of those that somebody changed."""
    wanted = select(*(calls.c[name] for name in NAMES)).where(calls.c.ended_ms >= asked.start_ms, calls.c.ended_ms < asked.end_ms)
    if asked.account is not None:
        wanted = wanted.where(calls.c.account == asked.account)
    if asked.key_id is not None:
        wanted = wanted.where(calls.c.key_id == asked.key_id)
    last = ""
    while True:
        batch = connection.execute(wanted.where(last < BY_ID).order_by(BY_ID).limit(ROWS_AT_ONCE)).all()
        for record in batch:
            try:
                row = whole_row(record)
            except ApiError:
                damaged(str(record[0]))
                continue
            yield row
        if len(batch) < ROWS_AT_ONCE:
            return
        last = batch[-1][0]


def shown(row: CallRow) -> dict[str, object]:
    """Return a row with units in the names of amounts, which are exact, and the times of its beginning and end in ISO 8601."""
    fields: dict[str, object] = msgspec.to_builtins(row)  # without those that are as they are in most rows
    document: dict[str, object] = {}
    for name in row.__struct_fields__:
        value = fields[name] if name in fields else getattr(row, name)
        if name in AMOUNTS:
            amount: Nanos | None = getattr(row, name)
            document[f"{name}_nanos_usd"] = amount
            document[f"{name}_usd"] = None if amount is None else msgspec.Raw(dollars_text(amount).encode())
        elif name in ("generated", "billed"):
            usage: dict[str, object] = msgspec.to_builtins(getattr(row, name))
            document |= {f"{name}_{part}": each for part, each in usage.items()}
        else:
            document[name] = value
    document["began"], document["ended"] = moment(row.began_ms), moment(row.ended_ms)
    return document


def moment(milliseconds: int) -> str:
    """Return a UNIX millisecond in ISO 8601, UTC."""
    second, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def cell(value: object) -> str:
    """Return a value for CSV: nothing for null, numbers and texts as they are, everything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def csv_line(cells: Sequence[str]) -> str:
    """Return a line of CSV. A text that a spreadsheet would take for a formula is quoted by an apostrophe, as spreadsheets do."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        [f"'{each}" if FORMULA.match(each) and not NUMBER.fullmatch(each) else each for each in cells]
    )
    return text.getvalue()


FORMULA = re.compile(r"[=+\-@\t\r\n]")
NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?")  # all of it: `-1+2` is a formula


def heads() -> tuple[str, ...]:
    """Return the names of the columns, in the order of `shown`."""
    nothing = Usage()
    return tuple(
        shown(
            CallRow(
                "", "", "", "", stream=False, outcome="", began_ms=0, ended_ms=0, generated=nothing, delivered=0, billed=nothing, cost=0
            )
        )
    )


HEADS = heads()
