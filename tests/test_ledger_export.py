"""`aisa ledger export`: every row, whole and exact, in both forms, beside a server and without one."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from aisa.cli.commands import aisa
from aisa.ledger import export
from aisa.ledger.row import CallRow
from aisa.ledger.writer import BATCH_ROWS_MAX, insert_rows
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.storage.tables import calls, rolled_up
from rows import priced

HOUR_MS = 3_600_000
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    clean = {"AISA_DATA_DIR": "./data", "AISA_CONFIG": None, "NO_COLOR": None, "COLUMNS": "100"}
    return lambda *words: CliRunner().invoke(aisa, words, env=clean, prog_name="aisa", catch_exceptions=False)


def kept(count: int) -> list[CallRow]:
    """Keep so many calls in the data folder, and return them."""
    Path("data").mkdir(exist_ok=True)
    made = [priced(number) for number in range(count)]
    database = open_database("data", migrate)
    for start in range(0, count, BATCH_ROWS_MAX):
        insert_rows(database, made[start : start + BATCH_ROWS_MAX])
    database.close()
    return made


def test_every_row_is_there_once_in_both_forms_and_exact(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """[issue 13] Also where there are more than are held at once: amounts to the nano-dollar, JSON and CSV say the same."""
    made = kept(2 * export.ROWS_AT_ONCE + 7)
    documents = [json.loads(line) for line in run("ledger", "export").stdout.splitlines()]
    assert [document["id"] for document in documents] == [row.id for row in made]
    assert [document["cost_nanos_usd"] for document in documents] == [row.cost for row in made]
    assert list(documents[0]) == list(export.HEADS)
    lines = list(csv.DictReader(io.StringIO(run("ledger", "export", "--csv").stdout)))
    assert [(line["id"], line["cost_nanos_usd"], line["billed_output_tokens"]) for line in lines] == [
        (document["id"], str(document["cost_nanos_usd"]), str(document["billed_output_tokens"])) for document in documents
    ]


def test_only_what_was_asked_for_is_written(run: Run) -> None:
    """By time and account; a beginning behind the end is refused."""
    kept(3)
    nobody = run("ledger", "export", "--account", "nobody")
    assert (nobody.exit_code, nobody.stdout, "There is no account 'nobody'" in nobody.stderr) == (1, "", True)
    assert run("ledger", "export", "--until", "today", "--since", "today").exit_code == 2
    assert len(run("ledger", "export", "--account", "default").stdout.splitlines()) == 3
    for label in ("a", "a?b", "a/b"):
        assert run("keys", "create", label).exit_code == 0
        assert run("ledger", "export", "--key", label).exit_code == 0
    assert run("ledger", "export", "--key", "a?c").exit_code == 1  # not the calls of `a`


def test_a_span_of_any_year_can_be_had_and_all_means_all(run: Run) -> None:
    """[issue 13] A year that was over for long was refused, and what a clock that was years ahead had written was in no export."""
    Path("data").mkdir()
    rows = [priced(number, ended_ms=moment) for number, moment in enumerate((1_551_312_000_000, 1_551_398_400_000, 4_102_444_800_000))]
    database = open_database("data", migrate)
    insert_rows(database, rows)
    database.close()

    def ids(*words: str) -> list[str]:
        return [json.loads(line)["id"] for line in run("ledger", "export", *words).stdout.splitlines()]

    assert ids() == [row.id for row in rows]
    assert ids("--since", "2019-02-28", "--until", "2019-03-01") == [rows[0].id]
    assert ids("--since", "2019-03-01", "--until", "2099-12-31") == [rows[1].id]


def test_what_was_removed_is_said_to_be_missing(run: Run) -> None:
    """Only where the time that was asked for has any; the lines themselves stay lines."""
    kept(2)
    assert "removed" not in run("ledger", "export").stderr
    database = open_database("data", migrate)
    with database.transaction() as connection:
        connection.execute(update(rolled_up).values(removed_ms=86_400_000))
    database.close()
    said = run("ledger", "export")
    assert "Calls that ended before 1970-01-02T00:00:00Z have been removed" in said.stderr
    assert len(said.stdout.splitlines()) == 2
    assert "removed" not in run("ledger", "export", "--since", "7d").stderr


def test_a_file_is_its_owners_and_none_is_overwritten(run: Run) -> None:
    """What callers do is nobody else's; a name that is taken is refused and left."""
    kept(2)
    assert "2 calls are in out.csv" in run("ledger", "export", "--csv", "--output", "out.csv").stdout
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600
    before = Path("out.csv").read_bytes()
    assert run("ledger", "export", "--output", "out.csv").exit_code == 1
    assert Path("out.csv").read_bytes() == before
    lost = run("ledger", "export", "--output", "nowhere/out.csv")
    assert (lost.exit_code, "nothing was exported" in lost.stderr, "Remove it" in lost.stderr) == (1, True, False)


def test_a_text_of_a_caller_is_no_formula() -> None:
    """A spreadsheet would run what begins with an equals sign; a negative number stays one."""
    line = export.csv_line(["=HYPERLINK(1)", "-5", "+SUM(A1)", "@x", "plain"])
    assert line == "'=HYPERLINK(1),-5,'+SUM(A1),'@x,plain\n"


@pytest.mark.parametrize("formula", ["=1+cmd|' /C calc'!A0", "-1+2", "+1+2", "@1", "=2", "+5", "-5-", "-٥", "\n=1"])
def test_a_formula_that_begins_with_a_digit_is_none_either(formula: str) -> None:
    """[fault M6] A digit behind the sign makes no number: only what is one from end to end is left as it is."""
    assert next(csv.reader(io.StringIO(export.csv_line([formula, "-0.000000001"])))) == [f"'{formula}", "-0.000000001"]


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_rows_that_somebody_changed_are_named_and_all_others_exported(run: Run, form: str) -> None:
    """[fault M6] It ended at the first, so that one changed row hid every later call from whoever checks the books."""
    made = kept(5)
    database = open_database("data", migrate)
    with database.transaction() as connection:
        connection.execute(update(calls).where(calls.c.id == made[1].id).values(generated="{"))
        connection.execute(update(calls).where(calls.c.id == made[3].id).values(began_ms=10**17))
    database.close()
    result = run("ledger", "export", form)
    assert result.exit_code == 1
    assert [each.id in result.stdout for each in made] == [True, False, True, False, True]
    told = " ".join(result.stderr.split())
    assert "aisa: the export is not whole calls 2 calls are not in it" in told
    assert "Find out with `aisa ledger audit` what was changed." in told
    assert result.stderr.endswith(f"\n\n{made[1].id}\n{made[3].id}\n")
    run("ledger", "export", form, "--output", "calls")
    assert Path("calls").read_bytes() == result.stdout_bytes, "a file is the same"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_standard_output_without_room_is_said_to_be_that() -> None:
    """[fault M6] As for a file: a disk that is full behind `>` is no fault of the program, and the status says that lines are missing."""
    code = "from aisa.cli.exporting import write_out; write_out(['x' * 9_000] * 9, '-')"
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, "Stop: the export is not whole" in ended.stderr) == (1, True)


def test_without_data_it_says_so_and_makes_none(run: Run) -> None:
    """No folder is made by a question."""
    assert run("ledger", "export").exit_code == 1
    assert not Path("data").exists()
