"""Prints how long the ledger takes for many calls: start, usage, one call, audit, back-up, by the number of rows; for operators to size by.

With DATABASE_URL the rows are in that PostgreSQL database, which must be empty, else in SQLite in a folder of ours. The calls are of thirty
days, of one account, 200 keys (one makes half of them) and five models. A million rows take some 0.6 GB, and the copy as much again.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from sqlalchemy import Connection, func, select, text, update

from aisa.cli.control import ask
from aisa.edge.admin_usage import UsageShown
from aisa.edge.statement import CallFound
from aisa.ids import PAIRS, first_id
from aisa.ledger.port_admin import AuditReport
from aisa.ledger.record import NAMES, record_of
from aisa.ledger.row import CallRow
from aisa.ledger.sums import roll_up
from aisa.pricing import cost_of, unit_prices
from aisa.storage.backup import back_up
from aisa.storage.engine import Database, open_database
from aisa.storage.migrate import migrate
from aisa.storage.months import make_ahead
from aisa.storage.postgres import open_postgres
from aisa.storage.tables import accounts, calls, keys, rolled_up
from aisa.usage import REPORTED, Usage

ROWS = "1000000,3000000,10000000"
DAYS, DAY_MS = 30, 86_400_000
KEYS = 200
TEMPLATES = 997  # different calls, over and over
MODELS = ("gpt-5", "gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat")
PRICES = unit_prices({"input": 1_250_000_000, "output": 10_000_000_000, "cached_input": 125_000_000})
BATCH = 50_000
ASKED = 7  # times, of which the median is told
START_SECONDS_MAX = 300.0
ANSWER_SECONDS_MAX = 3_600.0
ALIKE = NAMES.index("ended_ms") + 1  # from here on the calls of a template are alike
LINEAR = 1.25  # times as long as so many times the rows: above it a row is marked; a noisy machine is off by less
Figures = dict[str, float]

UNITS = {
    "size": "database, GB",
    "rolled": "summing up, s",
    "start": "start, s",
    "account": "`GET /v1/usage`, a month, account, ms",
    "key": "the same, the busiest key, ms",
    "usage": "`aisa usage --since 30d`, ms",
    "explain": "`aisa explain ID`, ms",
    "audit": "`aisa ledger audit`, s",
    "audit_core": "the same and a start, of a core, s",
    "backup": "`aisa backup`, s",
}


def template(number: int) -> CallRow:
    """Return a call that others are like."""
    usage = Usage(400 + number * 7 % 5_000, 20 + number * 13 % 900, cached_tokens=number % 300, source=REPORTED, input_source=REPORTED)
    model = MODELS[number % len(MODELS)]
    return CallRow(
        id="",
        account="default",
        key_id="",
        model=model,
        stream=number % 3 > 0,
        outcome="completed",
        began_ms=0,
        ended_ms=0,
        generated=usage,
        delivered=usage.output_tokens,
        billed=usage,
        cost=cost_of(usage, PRICES),
        prices=PRICES,
        price_source=f"models.{model}.prices",
        target=f"vendor/{model}",
        attempts=1,
        queue_ms=0,
        first_token_ms=300 + number,
        total_ms=900 + number * 11,
        bytes_sent=4_000 + number,
        address="203.0.113.0/24",
        answered_model=f"{model}-2026-01-01",
    )


def records(start: int, end: int, *, total: int, now_ms: int, busy: str) -> Iterator[tuple[object, ...]]:
    """Yield the calls of the numbers in [start, end) of `total`, the oldest first."""
    made = [template(number) for number in range(TEMPLATES)]
    parts = [(record_of(each), each.total_ms) for each in made]
    places = [NAMES.index(name) for name in ("id", "key_id", "began_ms", "ended_ms")]
    assert places[0] == 0, "the others stand behind it"
    step = DAYS * DAY_MS / total
    for number in range(start, end):
        record, lasted = parts[number % TEMPLATES]
        began = now_ms - DAYS * DAY_MS + int(number * step)
        values = [*record]
        values[0] = (
            first_id(began)
            + f"00000000{PAIRS[number >> 30 & 1023]}{PAIRS[number >> 20 & 1023]}{PAIRS[number >> 10 & 1023]}{PAIRS[number & 1023]}"
        )
        values[places[1]] = busy if number & 1 else f"key_{number % KEYS:04}"
        values[places[2]], values[places[3]] = began, began + lasted
        yield tuple(values)


def fill(database: Database, before: int, total: int, *, now_ms: int, busy: str) -> None:
    """Write the calls from a number on, and what they say of their account."""
    made = records(before, total, total=total, now_ms=now_ms, busy=busy)
    while batch := list(islice(made, BATCH)):
        with database.transaction() as connection:
            insert_fast(connection, batch)
    with database.transaction() as connection:
        number, spent = connection.execute(select(func.count(), func.sum(calls.c.cost)).select_from(calls)).one()
        connection.execute(update(accounts).where(accounts.c.name == "default").values(calls=number, spent=int(spent)))


def insert_fast(connection: Connection, batch: list[tuple[object, ...]]) -> None:
    """Insert records by the database's quickest way."""
    driver = connection.connection.driver_connection
    assert driver is not None
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(NAMES))
        driver.executemany(f"INSERT INTO calls ({', '.join(NAMES)}) VALUES ({places})", batch)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY calls ({', '.join(NAMES)}) FROM STDIN") as copy:
        copy.write("".join(map(copied_line, batch)))


def copied_line(record: tuple[object, ...]) -> str:
    """Return a record as COPY reads it. The driver's own way takes many times as long, as it looks at the type of each value."""
    return f"{copied(record[:ALIKE])}\t{copied_alike(record[ALIKE:])}\n"


def copied(values: tuple[object, ...]) -> str:
    """Return values as COPY reads them; our texts have nothing that it would want escaped."""
    return "\t".join(["\\N" if value is None else "t" if value is True else "f" if value is False else str(value) for value in values])


copied_alike = lru_cache(TEMPLATES)(copied)


@contextmanager
def serving(folder: Path) -> Generator[tuple[int, float]]:
    """Run a server on a folder; yield its port and how many seconds it took until it was ready."""
    log = folder / "log"
    command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(folder), "--log-format", "json"]
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
    try:
        while (found := re.search(rb"http://127\.0\.0\.1:([0-9]+)", log.read_bytes())) is None:
            if process.poll() is not None or time.monotonic() - began > START_SECONDS_MAX:
                raise SystemExit(f"the server did not start: {log.read_text()[-2_000:]}")
            time.sleep(0.005)
        while not is_ready(int(found[1])):
            time.sleep(0.005)
        yield int(found[1]), time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


def is_ready(port: int) -> bool:
    """Say whether a server takes calls."""
    with contextlib.suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def timed(question: Callable[[], Any]) -> float:
    """Return the milliseconds that a question takes, the median of some."""
    taken: list[float] = []
    for _ in range(ASKED):
        began = time.monotonic()
        question()
        taken.append(1_000 * (time.monotonic() - began))
    return statistics.median(taken)


class Told(dict[str, float]):
    """Figures, each of which is printed as it comes: a run that is cut short has told what it has."""

    def __setitem__(self, name: str, value: float) -> None:
        """Keep a figure, and print it."""
        super().__setitem__(name, value)
        print(f"{UNITS[name]}: {written(value, marked=False)}", flush=True)


def measured(folder: Path, database: Database, secret: str, *, url: str | None, now_ms: int, audited: bool) -> Figures:
    """Return the figures of what is there now."""
    found = Told()
    found["size"] = size_of(database, folder) / 1e9
    began = time.monotonic()
    more = True
    while more:
        with database.transaction() as connection:
            connection.execute(text("SELECT 1"))
            more = roll_up(connection, now_ms)
    found["rolled"] = time.monotonic() - began
    if url is not None:
        with database.transaction() as connection:
            connection.execute(text("ANALYZE"))
    middle = now_ms - DAYS * DAY_MS // 2
    with database.reading() as connection:
        one = connection.execute(select(calls.c.id).where(calls.c.id >= first_id(middle)).limit(1)).scalar_one()
    starts: list[float] = []
    for _ in range(2):
        with serving(folder) as (_, seconds):
            starts.append(seconds)
    found["start"] = min(starts)
    with serving(folder) as (port, _):

        def usage(scope: str) -> None:
            query = urlencode({"scope": scope, "start_time": now_ms // 1_000 - DAYS * 86_400 - 77, "end_time": now_ms // 1_000})
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", f"/v1/usage?{query}", headers={"authorization": f"Bearer {secret}"})
                answer = connection.getresponse()
                body = msgspec.json.decode(answer.read())
                assert answer.status == http.HTTPStatus.OK, body
                assert body["totals"]["requests"] > 0

        found["account"], found["key"] = timed(lambda: usage("account")), timed(lambda: usage("key"))
        month = urlencode({"by": "key", "start_ms": now_ms - DAYS * DAY_MS, "end_ms": now_ms})
        found["usage"] = timed(lambda: ask(str(folder), "GET", f"/usage?{month}", expect=UsageShown, seconds=600))
        found["explain"] = timed(lambda: ask(str(folder), "GET", f"/calls/{one}", expect=CallFound))
    if audited:
        used = core_seconds()
        with serving(folder):
            began = time.monotonic()
            report = ask(str(folder), "POST", "/ledger/audit", expect=AuditReport, seconds=ANSWER_SECONDS_MAX)
            found["audit"] = time.monotonic() - began
            assert not report.counts, report
        found["audit_core"] = core_seconds() - used
    began = time.monotonic()
    if url is None:
        copy = folder / "copy"
        back_up(str(folder), str(copy), now=now_ms / 1_000, version="bench")
        copy.unlink()
        found["backup"] = time.monotonic() - began
    return found


def core_seconds() -> float:
    """Return the seconds of a core that the servers took which have ended: unlike a clock they do not tell of who else was busy."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def size_of(database: Database, folder: Path) -> int:
    """Return how many bytes a database takes."""
    with database.reading() as connection:
        if connection.dialect.name != "sqlite":
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    return sum(path.stat().st_size for path in folder.glob("aisa.db*"))


def table(found: dict[int, Figures]) -> str:
    """Return the figures, one column for each number of rows; a figure that grew more than the rows did has a `!`."""
    counts = sorted(found)
    lines = ["| rows | " + " | ".join(f"{count:,}" for count in counts) + " |", "|---" * (len(counts) + 1) + "|"]
    for name, unit in UNITS.items():
        if name in found[counts[0]]:
            cells = [written(found[count].get(name), marked=above(found, counts[0], count, name=name)) for count in counts]
            lines.append(f"| {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def above(found: dict[int, Figures], first: int, count: int, *, name: str) -> bool:
    """Say whether a figure grew more than the rows did."""
    return name in found[count] and found[count][name] > LINEAR * found[first][name] * count / first


def written(value: float | None, *, marked: bool) -> str:
    """Write a figure with the digits that mean something."""
    if value is None:
        return ""
    return (f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}") + (" !" if marked else "")


def into_page(page: Path, kind: str, figures: str) -> None:
    """Put a table between the marks of its kind."""
    before, mark, rest = page.read_text().partition(f"<!-- rows: {kind} -->\n")
    assert mark, f"{page} has no mark for {kind}"
    page.write_text(f"{before}{mark}{figures}\n{rest[rest.index('<!-- end -->') :]}")


def before(figures: Path | None) -> dict[int, Figures]:
    """Return the figures of a run before this one."""
    if figures is None or not figures.exists():
        return {}
    return msgspec.json.decode(figures.read_bytes(), type=dict[int, Figures])


def main() -> None:
    """Measure, and print after each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=ROWS, help="how many, with commas between")
    parser.add_argument("--folder", type=Path, help="where there is room; the system's for temporary files if absent")
    parser.add_argument("--page", type=Path, help="a page that gets the table, between the marks of its kind of database")
    parser.add_argument("--no-audit", action="store_true", help="leave out what takes longest")
    parser.add_argument("--figures", type=Path, help="JSON of the sizes that were measured before, which this run adds to")
    options = parser.parse_args()
    url = os.environ.get("DATABASE_URL")
    kind = "SQLite" if url is None else "PostgreSQL"
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="aisa-rows-") as name:
        folder = Path(name)
        found: dict[int, Figures] = before(options.figures)
        with serving(folder):
            pass
        secret = (folder / "first-key").read_text().strip()
        for total in map(int, options.rows.split(",")):
            database = open_database(name, migrate) if url is None else open_postgres(url, migrate)
            now_ms = int(time.time() * 1_000) - 900_000
            with database.transaction() as connection:
                make_ahead(connection, now_ms - DAYS * DAY_MS)
                busy = connection.execute(select(keys.c.id)).scalar_one()
                for emptied in ("calls", "usage_sums", "made_sums"):
                    connection.execute(text(f"DELETE FROM {emptied}" if url is None else f"TRUNCATE {emptied}"))
                connection.execute(update(rolled_up).values(rolled_ms=0))
            began = time.monotonic()
            fill(database, 0, total, now_ms=now_ms, busy=busy)
            print(f"{kind}: {total:,} rows are there after {time.monotonic() - began:.0f} s", flush=True)
            found[total] = measured(folder, database, secret, url=url, now_ms=now_ms, audited=not options.no_audit)
            database.close()
            print(table(found), flush=True)
            if options.figures is not None:
                options.figures.write_bytes(msgspec.json.encode(found))
    if options.page is not None:
        into_page(options.page, kind, table(found))


if __name__ == "__main__":
    main()
