"""`aisa usage` and `aisa explain` on a data folder that nobody serves: tables, exact JSON and CSV, and bills that can be recomputed."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given
from hypothesis import strategies as st

from aisa.cli.bill_lines import bill
from aisa.cli.commands import aisa
from aisa.cli.figures import bar, count, dollars, short, size
from aisa.cli.usage_table import ROWS_MAX, UsageLine, usage_table
from aisa.clock import wall_clock
from aisa.edge.bill_view import ENDINGS, cost_of_lines, document, lines_of
from aisa.edge.statement import CallFound
from aisa.ids import first_id
from aisa.keys.store import KeyStore
from aisa.ledger import rules
from aisa.ledger.port_usage import Used
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, FAILED
from aisa.ledger.writer import insert_rows
from aisa.money import NANOS_PER_DOLLAR, TOKENS_PER_PRICE
from aisa.pricing import Tier, cost_of, unit_prices
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.usage import BY_SHARE, COUNTED, REPORTED, Usage
from rows import priced, rows

CLEAN = {
    "HOST": None,
    "PORT": None,
    "AISA_DATA_DIR": "./aisa-data",
    "AISA_CONFIG": None,
    "OPENAI_API_KEY": None,
    "NO_COLOR": None,
    "AISA_DISCOVERY_LOOPBACK": "never",
    "COLUMNS": "80",
}
Run = Callable[..., Result]
HOUR_MS = 3_600_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder and an environment without our variables."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, charset: str = "utf-8", **environment: str) -> Result:
        return CliRunner(charset=charset).invoke(aisa, arguments, env={**CLEAN, **environment}, prog_name="aisa", catch_exceptions=False)

    return invoke


def keep(*rows_of: tuple[str, list[CallRow]]) -> int:
    """Make keys with these labels in the data folder, with these calls of theirs. Returns the UNIX millisecond of now."""
    Path("aisa-data").mkdir(exist_ok=True)
    database = open_database("aisa-data", migrate)
    store = KeyStore(database, wall_clock, random.Random(1))
    for label, calls in rows_of:
        key, _ = store.create(label)
        insert_rows(database, [msgspec.structs.replace(row, key_id=key.id) for row in calls])
    database.close()
    return int(wall_clock() * 1000)


def recent(number: int, *, hours: int = 1, **fields: Any) -> CallRow:
    """A call that ended so many hours ago."""
    return priced(number, ended_ms=int(wall_clock() * 1000) - hours * HOUR_MS, **fields)


def spent(number: int, cost: int, **fields: Any) -> CallRow:
    """A call that cost so many nano-dollars, with 1,000 tokens in and 50 out."""
    return recent(number, cost=cost, usage=Usage(1_000, 50, cached_tokens=200), **fields)


BILLS = (
    ("laptop", [spent(1, 400_000_000), spent(2, 600_000_499, hours=30), spent(3, 0, outcome=FAILED)]),
    ("a-label-that-is-longer-than-its-column-has-room-for", [spent(4, 500_000_000)]),
    ("ci", [spent(5, 1_500)]),
)
FITTED = """\
KEY                   CALLS  FAILED  INPUT  CACHED  OUTPUT  US DOLLARS
laptop                    3       1  3,000     600     150    1.000000  ████████
a-label-that-is-lon…      1       0  1,000     200      50    0.500000  ████
ci                        1       0  1,000     200      50    0.000002  ▏
total                     5       1  5,000   1,000     250    1.500002
"""


PIPED = """\
KEY                                                  CALLS  FAILED  INPUT  CACHED  OUTPUT  US DOLLARS
laptop                                                   3       1  3,000     600     150    1.000000  ████████
a-label-that-is-longer-than-its-column-has-room-for      1       0  1,000     200      50    0.500000  ████
ci                                                       1       0  1,000     200      50    0.000002  ▏
total                                                    5       1  5,000   1,000     250    1.500002
"""


def test_usage_is_a_table_with_bars_that_fits_the_terminal() -> None:
    """The dearest key comes first, long labels are cut, and no line is longer than 80 characters."""
    lines = [UsageLine(label, label, used_by(rows)) for label, rows in BILLS]
    shown = click.unstyle(usage_table(lines, "key", columns=80))
    assert shown == f"{FITTED}Narrow terminal: KEY cut. All of it: the same behind `| less -S`."
    assert max(map(len, shown.splitlines())) == 80


@pytest.mark.parametrize("by", ["key", "account", "vendor", "model", "day"])
def test_no_head_of_the_table_touches_the_next(by: str) -> None:
    """Where the names are shorter than the column's own: `ACCOUNTCALLS  FAILED`."""
    head = click.unstyle(usage_table([UsageLine("a", "a", Used(requests=3))], by, columns=None)).splitlines()[0]
    assert head.split()[:3] == [by.upper(), "CALLS", "FAILED"]


def used_by(rows: list[CallRow]) -> Used:
    """Sum rows up."""
    total = Used()
    for row in rows:
        total.add(row)
    return total


def test_usage_in_a_pipe_has_whole_names(run: Run) -> None:
    """[issue 8] They were cut as if somebody read them on a narrow terminal: no program could tell two long labels apart."""
    keep(*BILLS)
    result = run("usage")
    title, _, *lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert re.fullmatch(r"Calls that ended since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, by key:", title)
    assert "\n".join(lines) + "\n" == PIPED


def test_a_terminal_without_our_characters_gets_others(run: Run) -> None:
    """In ASCII the bars are of number signs."""
    keep(*BILLS)
    shown = run("usage", charset="ascii").stdout
    assert shown.isascii()
    assert "1.000000  ########\n" in shown


def test_usage_by_day_leaves_no_day_out_and_by_model_names_models(run: Run) -> None:
    """A day without calls is a line of zeros; without any cost the bars are of tokens."""
    keep(("laptop", [spent(1, 0), recent(2, hours=72, cost=0, model="gpt-4.1")]))
    days = run("usage", "--by", "day", "--since", "4d").stdout.splitlines()[3:-1]
    assert len(days) == 5
    assert [line.split()[1] for line in days].count("1") == 2
    assert sorted(line.count("█") for line in days)[-2:] == [2, 18]
    models = run("usage", "--by", "model").stdout
    assert "\ngpt-5 " in models
    assert "\ngpt-4.1 " in models


def test_json_and_csv_are_exact(run: Run) -> None:
    """They have every nano-dollar, where the table rounds, and the ids of the keys beside their labels."""
    keep(*BILLS)
    lines = list(csv.DictReader(io.StringIO(run("usage", "--csv").stdout)))
    assert [(line["label"][:6], line["cost_usd"], line["requests"]) for line in lines] == [
        ("laptop", "1.000000499", "3"),
        ("a-labe", "0.5", "1"),
        ("ci", "0.0000015", "1"),
    ]
    answer = json.loads(run("usage", "--json").stdout, parse_float=Decimal)
    assert [(line["key"], line["cost_usd"]) for line in answer["data"]] == [(line["key"], Decimal(line["cost_usd"])) for line in lines]
    assert (answer["by"], answer["data"][0]["cost_nanos"], answer["data"][0]["charged_nanos"]) == ("key", 1_000_000_499, 0)


def test_a_label_in_csv_is_no_formula(run: Run) -> None:
    """[fault M6] A spreadsheet would run what begins with an equals sign, here as in the other commands that write CSV."""
    keep(("=1+cmd|' /C calc'!A0", [recent(1)]))
    [line] = csv.DictReader(io.StringIO(run("usage", "--csv").stdout))
    assert (line["label"], line["requests"]) == ("'=1+cmd|' /C calc'!A0", "1")


def test_no_usage_is_said_in_a_sentence(run: Run) -> None:
    """An empty ledger is no table of nothing."""
    keep(("laptop", []))
    result = run("usage")
    assert (result.exit_code, result.stdout[:25]) == (0, "No call has ended since 2")


def test_a_long_list_is_cut_but_its_total_is_not(run: Run) -> None:
    """The table has the dearest; who wants all of them is told how."""
    keep(("laptop", [spent(number, number, model=f"model-{number}") for number in range(1, ROWS_MAX + 8)]))
    shown = run("usage", "--by", "model").stdout
    assert f"\nmodel-{ROWS_MAX + 7} " in shown
    assert "\nmodel-7 " not in shown
    assert f"\ntotal        {ROWS_MAX + 7} " in shown
    assert "\n7 more models are in the total; `--json` and `--csv` list them.\n" in shown


@pytest.mark.parametrize("since", ["", "x", "0d", "7y", "2026-13-01", "2999-01-01", "401d", "1960-01-01", "9999999999w"])
def test_a_beginning_that_cannot_be_is_explained(run: Run, since: str) -> None:
    """Neither the future nor the far past nor nonsense is guessed at: status 2, with what would be right."""
    keep(("laptop", []))
    result = run("usage", "--since", since)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "→" in result.stderr


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (count(99_999), "99,999"),
        (count(100_000), "100k"),
        (count(999_499), "999k"),
        (count(999_500), "1.00M"),
        (count(12_345_678), "12.3M"),
        (count(999_500_000), "1.00G"),
        (count(5 * 10**13), "50,000G"),
        (dollars(500), "0.000001"),
        (dollars(499), "<0.000001"),
        (dollars(-1), "-<0.000001"),
        (dollars(0), "0.000000"),
        (dollars(-1_234_567_890_123_456), "-1,234,567.890123"),
        (size(9_999), "9,999 B"),
        (size(65_536), "64 KiB"),
        (size(2**60), "1,048,576 TiB"),
        (short("abcdef", 6), "abcdef"),
        (bar(0, 10, 8), ""),
        (bar(10, 10, 2), "██"),
        (bar(1, 10_000, 8), "▏"),
        (bar(5, 0, 8), ""),
    ],
)
def test_figures_take_little_room_and_lose_nothing_that_matters(shown: str, expected: str) -> None:
    """Large counts have three digits, the smallest share can be seen, and halves are rounded up."""
    assert shown == expected


# One bill

CUT = Usage(250_003, 317, cached_tokens=1_024, source=COUNTED, input_source=REPORTED, counted_by="learned pieces", counted_answers=64)
MADE = Usage(250_003, 640, cached_tokens=1_024, reasoning_tokens=64, source=REPORTED, input_source=REPORTED)
TIERED = unit_prices(
    {"input": 2 * 10**9, "output": 8 * 10**9},
    (Tier(200_000, unit_prices({"input": 4 * 10**9, "output": 16_250_000_001, "cached_input": 10**9})),),
)
GONE = {
    "outcome": CLIENT_GONE,
    "prices": TIERED,
    "price_source": "catalogue 1.0: openai/gpt-5",
    "generated": MADE,
    "delivered": 317,
    "prepaid": True,
    "vendor_cost": 1_007_340_000,
    "queue_ms": 3,
    "first_token_ms": 412,
    "client_request_id": "order-7",
    "error_code": None,
}
BILL = """\
made with the key laptop (KEY) of the account default

The client left before it had the whole answer. What had arrived of it is
charged, and the input if anything had.

TOKENS       GENERATED  DELIVERED   BILLED  SOURCE
input          250,003             250,003  vendor's report
  cached         1,024               1,024
output             640        317      317  vendor's report; billed: our count
  reasoning         64                   0
The output was counted by: learned pieces, of 64 complete answers

BILL           TOKENS     USD PER MILLION                   USD
input         248,979  ×                4  =  0.995916
cached input    1,024  ×                1  =  0.001024
output            317  ×     16.250000001  =  0.005151250000317
sum                                        =  1.002091250000317
cost                                       =  1.00209125

The cost is the sum, rounded once, half up, to a billionth of a dollar.
The ledger has the same. It was taken from the wallet.
Prices: catalogue 1.0: openai/gpt-5, those for more than 200,000 input tokens.

model              gpt-5, streamed
served by          openai/gpt-5, 1 attempt
vendor may charge  1.00734 US dollars, for what it generated
began              2025-12-31T12:00:00Z
timings            vendor asked at 3 ms, first token at 412 ms, end at 900 ms
the client's id    order-7
"""


def test_a_bill_is_explained_line_by_line(run: Run) -> None:
    """Every count with its origin, every kind times its price of the right tier, the exact sum, the one rounding, and who paid."""
    keep(("laptop", [priced(0, usage=CUT, **GONE)]))
    result = run("explain", f"req_{0:026d}")
    first, *lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert (result.exit_code, first) == (0, f"Call req_{0:026d}")
    key = lines[0].partition("(")[2].partition(")")[0]
    assert "\n".join(lines).replace(key, "KEY") + "\n" == BILL
    assert max(map(len, lines)) <= 80


@given(rows)
def test_the_lines_of_any_bill_add_up_to_its_cost(row: CallRow) -> None:
    """Recomputed with fractions from what is printed, the sum is that of the tokens and rounds to the cost; other costs are noticed."""
    assume(row.prices is not None or row.billed.breakdown is None or not row.billed.breakdown.advice_cost)  # else unpriced
    shown = json.loads(msgspec.json.encode(document(CallFound(row, final=True))), parse_float=Fraction, parse_int=Fraction)
    price = row.prices or unit_prices({})
    nanos = [
        line["tokens"] * line["nanos_per_million"] / Fraction(TOKENS_PER_PRICE)
        if "nanos_per_million" in line
        else Fraction(line[next(name for name in ("tokens", "times") if name in line)] * line["nanos_each"])
        for line in shown["lines"]
    ]
    total = sum(nanos) / Fraction(NANOS_PER_DOLLAR)
    assert shown["sum_usd"] == sum(line["usd"] for line in shown["lines"]) == total
    assert shown["cost_nanos"] == cost_of(row.billed, price) == (total * NANOS_PER_DOLLAR + Fraction(1, 2)) // 1
    assert shown["cost_usd"] * NANOS_PER_DOLLAR == shown["cost_nanos"] == cost_of_lines(lines_of(row))
    assert shown["agrees"] == (row.cost == shown["cost_nanos"])


@given(rows, st.sampled_from([0, 1, 999]))
def test_every_amount_of_a_bill_has_its_point_below_the_others(row: CallRow, cost: int) -> None:
    """The column of amounts can be added up by eye, however many places they have."""
    lines = click.unstyle(bill(msgspec.structs.replace(row, cost=cost))).partition("\n\n")[0].splitlines()[1:]
    amounts = [line.partition("= ")[2] for line in lines]
    widths = {len(amount.rstrip().partition(".")[0]) for amount in amounts}
    assert len(widths) <= 1


def test_a_cost_that_its_row_does_not_give_is_shouted_about(run: Run) -> None:
    """The command prints both amounts and fails, so that a script notices."""
    keep(("laptop", [recent(0, cost=7, prices=TIERED, usage=CUT)]))
    result = run("explain", f"req_{0:026d}")
    assert result.exit_code == 1
    assert "THE LEDGER HAS ANOTHER COST: 0.000000007 US dollars." in result.stdout
    assert "=  1.00209125" in result.stdout
    as_json = run("explain", f"req_{0:026d}", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["agrees"]) == (1, False)


def test_a_model_without_a_price_is_explained_as_free(run: Run) -> None:
    """There is no table of zeros, and what the vendor charges is unknown."""
    keep(("laptop", [recent(0, prices=None, price_source="", cost=0)]))
    shown = run("explain", f"req_{0:026d}").stdout
    assert "The model has no price, so the call is free of charge." in shown
    assert "vendor may charge  unknown: the model has no price here" in shown


def test_an_answer_of_the_built_in_model_names_no_vendor_s_price(run: Run) -> None:
    """There is no vendor who could charge for it."""
    keep(("laptop", [recent(0, prices=None, price_source="", cost=0, target="embedded/tiny", vendor_cost=None)]))
    assert "vendor may charge  nothing: the built-in model answered" in run("explain", f"req_{0:026d}").stdout


@pytest.mark.parametrize(
    ("fields", "served", "charge"),
    [
        ({}, "nobody, openai/gpt-5 was asked last, 2 attempts", "nothing: no vendor had taken the request"),
        ({"operator_cost": 7}, "nobody, openai/gpt-5 was asked last, 2 attempts", "what its failed tries may cost, and nothing else"),
        (
            {"prices": None, "price_source": ""},
            "nobody, openai/gpt-5 was asked last, 2 attempts",
            "nothing, unless a vendor had taken the request",
        ),
        ({"target": "", "attempts": 0}, "nobody, 0 attempts", "nothing: none was asked"),
        ({"error_code": "insufficient_permissions"}, "nobody, openai/gpt-5 was asked last, 2 attempts", "0 US dollars"),
    ],
)
def test_a_call_that_got_no_answer_was_served_by_nobody(run: Run, fields: dict[str, Any], served: str, charge: str) -> None:
    """[fault P13] Its last target is named as asked; a vendor that cannot be reached charges nothing, and why it failed is in the log."""
    nothing = Usage(0, 0, source=COUNTED, input_source=COUNTED)
    known = {"outcome": FAILED, "error_code": "upstream_unavailable", "usage": nothing, "attempts": 2, "vendor_cost": 0}
    keep(("laptop", [recent(0, **(known | fields))]))
    shown = " ".join(run("explain", f"req_{0:026d}").stdout.split())
    assert f"served by {served} vendor may charge {charge}" in shown
    assert ("is in the server's log beside this id" in shown) == (fields.get("attempts") != 0 and "error_code" not in fields)


def test_an_unknown_call_is_said_to_be_unknown(run: Run) -> None:
    """Status 1 and a sentence, also for an id that could be a path."""
    keep(("laptop", []))
    for name in ("req_1", "../keys", "a/b?c=d"):
        result = run("explain", name)
        assert (result.exit_code, result.stderr.partition(". ")[0]) == (1, f"aisa: There is no call {name!r} in the ledger")
        assert result.stderr.endswith("List them: aisa calls --refused\n")


def test_every_ending_of_a_call_has_its_sentence() -> None:
    """An outcome that the rules know is not shown as a bare word."""
    outcomes = {value for name, value in vars(rules).items() if name.isupper() and isinstance(value, str)} - {BY_SHARE, COUNTED, REPORTED}
    assert outcomes == ENDINGS.keys()


def test_usage_by_account_and_vendor_and_of_one_key_alone(run: Run) -> None:
    """[fault P12] A vendor's targets are one; of one key or account nobody else's calls are counted."""
    assert run("accounts", "create", "acme").exit_code == 0
    keep(
        ("laptop", [spent(1, 400_000_000, target="openai/a", account="acme"), spent(2, 100_000_000, target="openai/b")]),
        ("ci", [spent(3, 7_000_000, target="local/c")]),
    )

    def sums(*words: str) -> dict[str, int]:
        data = json.loads(run("usage", "--json", *words).stdout)["data"]
        return {line.get("label", line[words[1]]): line["requests"] for line in data}

    assert sums("--by", "vendor") == {"openai": 2, "local": 1}
    assert sums("--by", "account") == {"acme": 1, "default": 2}
    assert sums("--by", "model", "--key", "laptop") == {"gpt-5": 2}
    assert sums("--by", "vendor", "--account", "acme") == {"openai": 1}
    assert sums("--by", "key", "--key", "ci") == {"ci": 1}
    assert run("usage", "--key", "nobody").exit_code == 1


def test_keys_of_one_label_are_told_apart(run: Run) -> None:
    """[fault P12] A revoked key with calls and the one that has its label now: each with its id, in the sums and among the caps."""
    keep(("ci", [spent(1, 400_000_000)]), ("other", [spent(2, 1)]))
    assert run("keys", "revoke", "ci").exit_code == 0
    assert run("keys", "create", "ci", "--spend-cap", "5/month").exit_code == 0
    ids = {line["label"]: line["key"] for line in json.loads(run("usage", "--json").stdout)["data"] if line["requests"] == 0}
    text = run("usage").stdout
    assert re.search(rf"^{ids['ci']} ci +0 .*\n", text, re.MULTILINE)
    assert re.search(rf"^{ids['ci']} ci +5\.000000", text, re.MULTILINE)
    assert re.search(r"^key_\w+ ci +1 ", text, re.MULTILINE)
    assert re.search(r"^other +1 ", text, re.MULTILINE)


def test_teams_caps_are_beside_those_of_keys(run: Run) -> None:
    """[issue 13] With what all keys of a team have spent, by a name that no key's can be taken for; in JSON by themselves."""
    keep(("laptop", []))
    assert run("teams", "create", "ci", "--spend-cap", "2/month").exit_code == 0
    assert run("teams", "create", "idle", "--account", "acme").exit_code == 0
    for label, words in (("ci", ("--team", "ci", "--spend-cap", "5/month")), ("b", ("--team", "ci")), ("c", ("--team", "idle"))):
        assert run("keys", "create", label, *words).exit_code == 0
    database = open_database("aisa-data", migrate)
    for number, label in enumerate(("ci", "b", "laptop")):
        key = KeyStore(database, wall_clock, random.Random(1)).find(label)
        insert_rows(database, [msgspec.structs.replace(spent(number, 500_000_000), key_id=key.id, ended_ms=int(wall_clock() * 1000))])
    database.close()
    shown = json.loads(run("usage", "--json").stdout)
    [team] = shown["teams"]
    assert {**team, "team": None} == {
        "team": None,
        "name": "ci",
        "cap_nanos": 2_000_000_000,
        "cap_window": "month",
        "cap_spent_nanos": 1_000_000_000,
        "cap_left_nanos": 1_000_000_000,
    }
    assert [line["cap_left_nanos"] for line in shown["data"] if "cap_nanos" in line] == [4_500_000_000]
    table = run("usage").stdout.splitlines()
    at = next(number for number, line in enumerate(table) if line.startswith("KEY OR TEAM"))
    assert table[at + 1].split() == ["team", "ci", "2.000000", "a", "month", "1.000000", "1.000000"]
    assert table[at + 2].split() == ["ci", "5.000000", "a", "month", "0.500000", "4.500000"]
    for words in (("--key", "laptop"), ("--account", "acme"), ("--by", "model")):
        assert "teams" not in json.loads(run("usage", *words, "--json").stdout)


def test_keys_without_calls_and_caps_are_shown(run: Run) -> None:
    """[fault P12] With what is spent and left of each cap in its window; a revoked key that made no call is not there."""
    keep(("laptop", [spent(1, 400_000_000)]))
    for label, words in (("idle", ()), ("capped", ("--spend-cap", "5/month")), ("gone", ())):
        assert run("keys", "create", label, *words).exit_code == 0
    assert run("keys", "update", "laptop", "--spend-cap", "1/month").exit_code == 0
    assert run("keys", "revoke", "gone").exit_code == 0
    lines = {line["label"]: line for line in json.loads(run("usage", "--json").stdout)["data"]}
    assert lines.keys() == {"laptop", "idle", "capped"}
    assert (lines["idle"]["requests"], "cap_nanos" in lines["idle"]) == (0, False)
    assert [lines["capped"][f"cap_{name}"] for name in ("nanos", "window", "spent_nanos", "left_nanos")] == [
        5 * 10**9,
        "month",
        0,
        5 * 10**9,
    ]
    assert lines["laptop"]["cap_left_nanos"] in (600_000_000, 1_000_000_000), "the call was an hour ago, which may be last month"
    table = run("usage").stdout.splitlines()
    at = next(number for number, line in enumerate(table) if line.startswith("KEY     "[:4]) and "LEFT" in line)
    assert table[at + 1].split()[0] == "laptop"
    assert table[at + 2].split() == ["capped", "5.000000", "a", "month", "0.000000", "5.000000"]


def test_failed_is_what_calls_lists_as_failed(run: Run) -> None:
    """[issue 8] Also answers that broke off, which the table passed over; not those that were refused or whose client left."""
    outcomes = (COMPLETED, FAILED, rules.CUT, rules.SHUT_DOWN, rules.CRASHED, CLIENT_GONE, rules.CLIENT_STALLED, rules.REFUSED)
    began = int(wall_clock() * 1000) - HOUR_MS - 900
    calls = [spent(number, 0, outcome=each, id=f"{first_id(began)}{number:016d}", began_ms=began) for number, each in enumerate(outcomes)]
    keep(("laptop", calls))
    listed = json.loads(run("calls", "--failed", "--json").stdout)
    assert sorted(call["outcome"] for call in listed) == sorted((FAILED, rules.CUT, rules.SHUT_DOWN, rules.CRASHED))
    assert run("usage").stdout.splitlines()[-1].split()[:3] == ["total", "8", "4"]
    [sums] = json.loads(run("usage", "--json").stdout)["data"]
    assert (sums["failed"], sums["broken"]) == (1, 3)
