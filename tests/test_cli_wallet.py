"""The commands on wallets and the ledger, in a folder that nobody serves and on a running server."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aisa.cli.commands import aisa
from aisa.cli.treasury import dollars
from aisa.ledger.row import CallRow
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import open_database
from aisa.storage.lock import own_folder
from aisa.storage.migrate import migrate
from aisa.usage import REPORTED, Usage
from repository.source import ROOT
from rows import priced
from server import Server

CLEAN = {
    "HOST": None,
    "PORT": None,
    "AISA_DATA_DIR": "./aisa-data",
    "AISA_CONFIG": None,
    "OPENAI_API_KEY": None,
    "NO_COLOR": None,
    "COLUMNS": "100",
}
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder that has a key of the account `acme`, in an environment without our variables."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(aisa, arguments, input=typed, env=CLEAN, prog_name="aisa", catch_exceptions=False)

    assert invoke("keys", "create", "a", "--account", "acme").exit_code == 0
    return invoke


def test_the_commands_of_the_readme_on_caps_and_wallets_work_as_they_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, in a folder that has no account yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AISA_DATA_DIR", str(tmp_path / "data"))
    commands = re.findall(r"`aisa ((?:keys create ci|wallet top-up) [^`]*)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 2
    for command in commands:
        made = CliRunner().invoke(aisa, shlex.split(command), env=CLEAN, prog_name="aisa", catch_exceptions=False)
        assert (made.exit_code, made.stderr) == (0, ""), command


def said(result: Result) -> str:
    """Return the output of a command that went well."""
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(result: Result, status: int = 1) -> str:
    """Return what a command that failed says, in one line."""
    assert (result.exit_code, result.stdout) == (status, "")
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


@contextmanager
def ledger() -> Iterator[sqlite3.Connection]:
    """Change the database behind the ledger's back."""
    connection = sqlite3.connect("aisa-data/aisa.db")
    yield connection
    connection.commit()
    connection.close()


def write(*rows: CallRow) -> None:
    """Write calls into the folder's database."""
    with own_folder("aisa-data"):
        database = open_database("aisa-data", migrate)
        insert_rows(database, rows)
        database.close()


def test_a_wallet_is_filled_corrected_and_emptied(run: Run) -> None:
    """Each command says what the wallet holds then, and the entries can be read, the newest first."""
    lines = said(run("wallet", "show")).splitlines()
    assert [line.split() for line in lines] == [
        ["ACCOUNT", "BALANCE", "SPENT", "CALLS"],
        ["acme", "unlimited", "$0.00", "0"],
        ["default", "unlimited", "$0.00", "0"],
    ]
    assert said(run("wallet", "top-up", "acme", "1250", "--reference", "invoice-17")) == (
        "$1,250.00 put into the wallet of acme. It holds $1,250.00.\n"
    )
    assert "booked before, so nothing was changed. It holds $1,250.00." in said(
        run("wallet", "top-up", "acme", "1250", "--reference", "invoice-17")
    )
    corrected = said(run("wallet", "adjust", "acme", "-1.000000001", "--note", "refund"))
    assert corrected == "The wallet of acme is adjusted by -$1.000000001. It holds $1,248.999999999.\n"
    shown = said(run("wallet", "show", "acme"))
    assert "$1,248.999999999" in shown
    entries = [line for line in shown.splitlines() if "adjustment" in line or "top-up" in line]
    assert [line.split()[2:] for line in entries] == [["adjustment", "-$1.000000001", "refund"], ["top-up", "$1,250.00", "invoice-17"]]
    assert "default" not in shown
    assert "is unlimited" in said(run("wallet", "unlimit", "acme"))
    assert "written off" in said(run("wallet", "show", "acme"))
    assert "Nothing was ever put" in said(run("wallet", "show", "default"))


def test_wallets_are_shown_as_json(run: Run) -> None:
    """Amounts are whole nano-dollars, so that programs need not round."""
    said(run("wallet", "top-up", "acme", "0.000000001", "--note", "card"))
    (acme, default) = json.loads(said(run("wallet", "show", "--json")))
    assert (acme["name"], acme["balance_nanos_usd"], default["balance_usd"]) == ("acme", 1, None)
    document = json.loads(said(run("wallet", "show", "acme", "--json")))
    assert document["account"] == acme
    assert [(entry["kind"], entry["amount_nanos_usd"], entry["note"]) for entry in document["entries"]] == [("top_up", 1, "card")]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("wallet", "show", "nobody"), 1, "aisa keys create LABEL --account NAME"),
        (("wallet", "top-up", "nobody", "5"), 1, "no account 'nobody'"),
        (("wallet", "unlimit", "nobody"), 1, "no account 'nobody'"),
        (("wallet", "top-up", "acme", "five"), 2, "'five' is no amount"),
        (("wallet", "top-up", "acme", "0.0000000001"), 2, "nine decimals at most"),
        (("wallet", "top-up", "acme", "0"), 2, "above zero"),
        (("wallet", "adjust", "acme", "-5", "--note", "x"), 1, "is unlimited and has no balance"),
        (("wallet", "adjust", "acme", "-5"), 2, "--note"),
        (("wallet", "top-up", "acme"), 2, "AMOUNT"),
        (("wallet", "top-up", "acme", "-5"), 2, "-5"),
        (("wallet", "show", "\udcff"), 2, "not UTF-8"),
        (("wallet", "show", "--data-dir", "elsewhere"), 1, "no aisa data"),
        (("ledger", "audit", "--data-dir", "elsewhere"), 1, "no aisa data"),
        (("ledger", "reconcile", "nope.csv", "--vendor", "openai"), 2, "cannot be read"),
        (("ledger", "reconcile", ".", "--vendor", "openai"), 2, "cannot be read"),
        (("ledger", "reconcile", "empty.csv", "--vendor", "openai"), 2, "It is empty"),
        (("ledger", "reconcile", "other.csv", "--vendor", "openai"), 2, "No column for date"),
        (("ledger", "reconcile", "latin.csv", "--vendor", "openai"), 2, "not UTF-8"),
        (("ledger", "reconcile", "empty.csv", "--vendor", "openai", "--tolerance", "lots"), 2, "no percentage"),
        (("ledger", "reconcile", "empty.csv", "--vendor", "openai", "--columns", "day=Tag"), 2, "names no column"),
        (("ledger", "reconcile", "empty.csv"), 2, "--vendor"),
    ],
)
def test_what_fails_is_told_with_its_remedy(run: Run, arguments: tuple[str, ...], status: int, words: str) -> None:
    """1 for a failure, 2 for a misuse; nothing is printed as a result, and no wallet changes."""
    Path("empty.csv").touch()
    Path("other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    Path("latin.csv").write_bytes(b"date,model,input_tokens,output_tokens\n2026-12-01,caf\xe9,1,2\n")
    before = said(run("wallet", "show", "--json"))
    assert words in refused(run(*arguments), status)
    assert said(run("wallet", "show", "--json")) == before


def test_an_audit_says_that_everything_adds_up(run: Run) -> None:
    """And how much it looked at; the exit status is 0."""
    said(run("wallet", "top-up", "acme", "5"))
    (key,) = json.loads(said(run("keys", "list", "--json")))
    write(*[priced(number, account="acme", key_id=key["id"], prepaid=True) for number in range(3)])
    assert said(run("ledger", "audit")) == "Looked at: calls 3, wallet entries 1, accounts 2.\nEverything adds up.\n"
    assert json.loads(said(run("ledger", "audit", "--json")))["counts"] == {}


def test_an_audit_lists_the_differences(run: Run) -> None:
    """The first twenty in words, all of them by kind, and the exit status is 1."""
    write(*[priced(number, account="acme") for number in range(30)])
    with ledger() as connection:
        connection.execute("UPDATE calls SET ended_ms = 0")
    result = run("ledger", "audit")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.count("before it began") == 20
    assert "and 10 more." in result.stdout
    assert result.stdout.endswith("30 differences: 30 time.\n")
    document = run("ledger", "audit", "--json")
    assert (document.exit_code, json.loads(document.stdout)["counts"]) == (1, {"time": 30})


EXPORT = "start_time_iso,model,input_tokens,output_tokens,num_model_requests,amount\n"


def test_an_export_that_fits_is_told(run: Run) -> None:
    """By day and model with sums, and the exit status is 0; what the catalogue's prices come to stands beside the vendor's charge."""
    made = Usage(10_000, 2_000, source=REPORTED, input_source=REPORTED)
    both = {"vendor_cost": 12_345, "reported_cost": 10_050}
    write(priced(1, usage=made, **both), priced(2, target="other/gpt-5", usage=made, reported_cost=9), priced(3, usage=Usage()))
    Path("e.csv").write_text(EXPORT + "2025-12-31T00:00:00+00:00,gpt-5-2025-08-07,10050,2000,1,0.00001\n", encoding="utf-8-sig")
    lines = said(run("ledger", "reconcile", "e.csv", "--vendor", "openai")).splitlines()
    assert lines[1].split() == ["2025-12-31", "gpt-5", "10,000", "10,050", "+0.50", "%", "2,000", "2,000", "0.00", "%"]
    assert lines[2].split()[:5] == ["all", "days", "gpt-5", "10,000", "10,050"]
    assert lines[3].split()[:6] == ["all", "days", "all", "models", "10,000", "10,050"]
    assert "They charge $0.00001; by the price catalogue, our calls come to $0.000012345." in lines
    assert "By its own answers it charges $0.00001005, for the 1 of 2 calls whose answer says so." in lines
    assert lines[-1] == "Every model is within 1 %."


def test_an_export_that_drifts_is_told_with_the_models(run: Run) -> None:
    """The exit status is 1 when one model is further apart than the tolerance over all days, and the file may come from a pipe."""
    write(priced(1, usage=Usage(10_000, 2_000)), priced(2, target="openai/gpt-5-mini", usage=Usage(10, 10)))
    text = "Tag,model,input_tokens,output_tokens\n2025-12-31,gpt-5,10000,2000\n2025-12-31,gpt-5-mini,10,11\n"
    command = ("ledger", "reconcile", "-", "--vendor", "openai", "--columns", "date=Tag")
    result = run(*command, typed=text)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "More than 1 % apart: gpt-5-mini.")
    assert said(run(*command, "--tolerance", "9.1 %", typed=text)).splitlines()[-1] == "Every model is within 9.1 %."


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "$0.00"), (1, "$0.000000001"), (-5 * 10**8, "-$0.50"), (1_234_567 * 10**9, "$1,234,567.00"), (10**9 + 125 * 10**6, "$1.125")],
)
def test_amounts_have_cents_and_no_needless_digit(nanos: int, text: str) -> None:
    """Nothing is rounded for display."""
    assert dollars(nanos) == text


def test_a_running_server_books_payments_itself(server: Server) -> None:
    """Its memory and its database agree with what the commands print, and the log has every change."""
    server.aisa("keys", "create", "payer", "--account", "umbrella", "--spend-cap", "5/day", "--quiet")
    assert "It holds $20.00." in server.aisa("wallet", "top-up", "umbrella", "20", "--reference", "r-1")
    assert "booked before" in server.aisa("wallet", "top-up", "umbrella", "20", "--reference", "r-1")
    assert "It holds $19.50." in server.aisa("wallet", "adjust", "umbrella", "-0.5", "--note", "fee")
    assert "$19.50" in server.aisa("wallet", "show", "umbrella")
    assert "is unlimited" in server.aisa("wallet", "unlimit", "umbrella")
    assert "Everything adds up." in server.aisa("ledger", "audit")
