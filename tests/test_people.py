"""Small things that a newcomer and an operator meet: versions, help, statements that add up, units, a full disk. Faults P6, P12, P16."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.exc import OperationalError

from aisa import __version__
from aisa.cli.commands import aisa
from aisa.cli.json_units import with_units
from aisa.cli.moments import beginning
from aisa.cli.treasury import statement
from aisa.config.schema import Config, Model, Vendor
from aisa.ledger.port_admin import AccountStanding, Entry
from aisa.money import NANOS_PER_DOLLAR, parse_dollars
from aisa.observe.welcome import NAMES_MAX, Opening, welcome
from aisa.prices.rules import unlisted
from aisa.routing import Routes
from aisa.storage.engine import INDEX_BYTES, failure_of
from server import PROCESS_SECONDS_MAX, environment

NOW = 1_795_878_000.0  # Saturday, 2026-11-28 15:00 UTC
DAY = 86_400
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    clean = {"AISA_DATA_DIR": "./data", "AISA_CONFIG": None, "NO_COLOR": None, "COLUMNS": "100"}
    return lambda *words, typed=None: CliRunner().invoke(aisa, words, input=typed, env=clean, prog_name="aisa")


@pytest.mark.parametrize("words", [("-V",), ("--version",), ("version",)])
def test_the_version_is_said_however_it_is_asked_for(run: Run, words: tuple[str, ...]) -> None:
    """[fault P16] `-V` and `version` are what other programs take."""
    assert (run(*words).exit_code, run(*words).stdout) == (0, f"aisa {__version__}\n")


def test_help_is_a_command_too(run: Run) -> None:
    """[fault P16] Of all, of a group, of a command in it; an unknown one is refused."""
    assert "Start here" in run("help").stdout
    assert run("help", "keys", "create").stdout.replace("aisa help", "aisa") == run("keys", "create", "--help").stdout
    assert run("help", "keys", "nothing").exit_code == 2
    assert "Did you mean 'keys'?" in run("help", "kyes").stderr
    assert "There is: aisa wallet" in run("help", "credits").stderr


@pytest.mark.parametrize(("secret", "status"), [("sk-1234567890", 1), ("a" * 15, 1), ("a" * 16, 0)])
def test_a_key_that_somebody_made_up_is_not_imported(run: Run, secret: str, status: int) -> None:
    """[fault P16] Thirteen characters are guessed; LiteLLM's keys have 25, and every vendor's more."""
    assert run("keys", "create", "old", "--import", typed=f"{secret}\n").exit_code == status


def entry(dollars: str) -> Entry:
    """An entry of a wallet."""
    return Entry(1, "acme", "top_up", parse_dollars(dollars), "", None, int(NOW))


@pytest.mark.parametrize(("entries", "older"), [(["10", "-1.5"], False), (["10"], True)])
def test_a_wallets_statement_adds_up(entries: list[str], older: bool) -> None:
    """[fault P12] What was put in, less what calls took, is what is in it, also if older entries are not shown."""
    account = AccountStanding("acme", parse_dollars("6"), parse_dollars("2.5"), parse_dollars("4"), 3, int(NOW))
    text = statement(account, [entry(dollars) for dollars in entries])
    lines = text.split("\n\n")[0].splitlines()[1:]
    amounts = [next(word for word in line.split() if "$" in word) for line in lines]
    *parts, left = [parse_dollars(amount.replace("$", "").replace(",", "")) for amount in amounts]
    assert sum(parts) == left == account.balance
    assert ("older entries" in text) == older
    assert "$4.00 in all; $1.50 of it while the account was unlimited" in text


@pytest.mark.parametrize(("since", "days"), [("today", 0), ("week", 5), ("WEEK", 5), ("month", 27)])
def test_usage_begins_where_caps_do(since: str, days: int) -> None:
    """[fault P12] Calendar days, weeks and months of UTC, so that sums and caps can be compared."""
    assert beginning(since, NOW) == (int(NOW) // DAY - days) * DAY * 1000


def test_amounts_in_json_say_their_unit() -> None:
    """[fault P16] Exact both ways, wherever they stand; what is no amount keeps its name."""
    shown = with_units([{"spent": 1, "label": "x", "in": {"balance": None, "cost": 1_500_000_000}}])
    assert shown == [
        {
            "spent_nanos_usd": 1,
            "spent_usd": shown[0]["spent_usd"],  # type: ignore[index]  # a list of objects
            "label": "x",
            "in": {"balance_nanos_usd": None, "balance_usd": None, "cost_nanos_usd": 1_500_000_000, "cost_usd": shown[0]["in"]["cost_usd"]},  # type: ignore[index]  # as above
        }
    ]


@pytest.mark.parametrize(("name", "seconds"), [("local/cold", 300.0), ("other/x", 60.0), ("named", 60.0)])
def test_a_vendors_models_may_be_silent_as_long_as_it_says(name: str, seconds: float) -> None:
    """[fault P16] A model that is loaded first needs more than a minute, though no entry of `models` names it; those have their own."""
    vendors = {
        "local": Vendor(base_url="http://127.0.0.1:9/v1", idle_timeout_seconds=300.0),
        "other": Vendor(base_url="http://127.0.0.1:8/v1"),
    }
    routes = Routes(Config(vendors=vendors, models={"named": Model(to=("local/cold",))}), unlisted)
    assert routes.find(name).settings.idle_timeout_seconds == seconds


def test_the_start_names_some_models_and_counts_the_rest() -> None:
    """[fault P13] A hundred names are no wall before the example; all of few are there."""
    vendors = {"local": Vendor(base_url="http://127.0.0.1:9/v1")}
    opening = Opening("http://127.0.0.1:8000", "/data", 1, "m0")
    for count, said in ((2, "Models: m0, m1 and any"), (100, f"m{NAMES_MAX - 1}, {100 - NAMES_MAX} more and any of theirs")):
        config = Config(vendors=vendors, models={f"m{number}": Model(to=("local/x",)) for number in range(count)})
        assert said in welcome(config, opening)


class Failure(sqlite3.OperationalError):
    """What SQLite says where it cannot make the index of its log."""

    sqlite_errorname = "SQLITE_IOERR_SHMSIZE"


@pytest.mark.parametrize(("left", "said"), [(0, "The disk is full."), (INDEX_BYTES - 1, "The disk is full."), (1 << 30, "The disk fails")])
def test_a_full_disk_at_the_start_is_called_one(left: int, said: str, tmp_path: Path) -> None:
    """[fault P6] SQLite calls it an input or output error, for which a backup would be the remedy; with room left it is one."""
    error = OperationalError("PRAGMA", {}, Failure())
    failure = failure_of(str(tmp_path / "aisa.db"), error, lambda _folder: left)
    assert said in failure.what
    assert ("backup" in failure.remedy) == (said == "The disk fails")


def test_keys_are_listed_with_what_is_spent_of_their_caps(run: Run) -> None:
    """[fault P12] Spent, cap and last use in one table, and in JSON."""
    run("keys", "create", "capped", "--spend-cap", "5/week")
    listed = run("keys", "list").stdout
    assert "$0.00 of 5/week" in listed
    assert listed.splitlines()[1].endswith("never")
    [key] = json.loads(run("keys", "list", "--json").stdout)
    assert (key["spent_usd"], key["left_nanos_usd"], key["last_used_ms"]) == (0, 5 * NANOS_PER_DOLLAR, None)


@pytest.mark.parametrize(
    ("words", "status"),
    [("calls", 0), ("calls --follow", 0), ("usage", 0), ("keys list", 0), ("wallet statement default", 0), ("models", 0), ("status", 1)],
)
def test_whoever_reads_no_further_has_seen_enough(run: Run, tmp_path: Path, words: str, status: int) -> None:
    """[fault P16] `| head -1` changes no exit status and says nothing, whatever the command, and what goes on for ever ends."""
    assert run("keys", "create", "mine").exit_code == 0
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "aisa", *words.split(), *([] if words == "models" else ["--data-dir", "data"])]
    alone = environment() | {"XDG_RUNTIME_DIR": str(tmp_path)}  # no server of other tests is near
    with os.fdopen(writer, "wb") as nobody:
        ended = subprocess.run(
            command, check=False, cwd=tmp_path, env=alone, stdout=nobody, stderr=subprocess.PIPE, timeout=PROCESS_SECONDS_MAX
        )
    assert (ended.returncode, ended.stderr) == (status, b"")


@pytest.mark.parametrize(
    "words", ["keys create other", "keys create other --quiet", "keys rotate mine", "admin-keys create ops --scope read"]
)
def test_a_secret_that_nobody_has_read_is_no_success(run: Run, tmp_path: Path, words: str) -> None:
    """It is shown this once, and whoever was to read it has gone: said, with what to do."""
    assert run("keys", "create", "mine").exit_code == 0
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "aisa", *words.split(), "--data-dir", "data"]
    alone = environment() | {"XDG_RUNTIME_DIR": str(tmp_path)}  # no server of other tests is near
    with os.fdopen(writer, "wb") as nobody:
        ended = subprocess.run(
            command, check=False, cwd=tmp_path, env=alone, stdout=nobody, stderr=subprocess.PIPE, timeout=PROCESS_SECONDS_MAX
        )
    assert ended.returncode == 1
    assert b"nobody has read the secret" in ended.stderr
    assert (b"aisa keys rotate key_" if words.startswith("keys") else b"aisa admin-keys revoke adm") in ended.stderr
