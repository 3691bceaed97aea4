"""A vendor's usage export beside our rows: every form in which it comes, and what the comparison says."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa.ledger.port_admin import Made
from aisa.ledger.reconcile import ExportUnreadable, LineItem, compare, drift, drifts, read_export, totals

PLAIN = ["date,model,input_tokens,output_tokens", "2026-12-01,gpt-5,1000,200"]


def read(*lines: str, **named: str) -> list[tuple[str, str, int, int, int | None]]:
    """Return what an export of these lines says."""
    export = read_export([line + "\n" for line in lines], named)
    return [(line.day, line.model, line.theirs_input, line.theirs_output, line.theirs_cost) for line in export.lines]


@pytest.mark.parametrize(
    "lines",
    [
        PLAIN,
        ["Output Tokens,Model,Input tokens,DATE", "200,gpt-5,1000,2026-12-01"],
        ["timestamp,model,n_context_tokens_total,n_generated_tokens_total", "1764547200,gpt-5,1000,200"],
        [
            "start_time,end_time,start_time_iso,end_time_iso,input_tokens,output_tokens,input_cached_tokens,num_model_requests,model",
            '1764547200,1764633600,2025-12-01T00:00:00+00:00,2025-12-02T00:00:00+00:00,"1,000",200.0,17,3,gpt-5',
        ],
        ["date,model,input_tokens,output_tokens", "2025-11-30T23:30:00-01:00,gpt-5,600,100", "2025-12-01T23:59:59Z,gpt-5,400,100"],
        ["date,model,input_tokens,output_tokens", "", "2025-12-01,gpt-5,1000,200", ",,,"],
    ],
)
def test_an_export_is_read_in_every_form_that_is_documented(lines: list[str]) -> None:
    """Names in any case and order, days as dates, times with any offset or UNIX seconds, and several lines for one day and model."""
    found = read(*lines)
    assert [line[1:] for line in found] == [("gpt-5", 1000, 200, None)]
    assert found[0][0] in ("2025-12-01", "2026-12-01")


def test_columns_can_be_named() -> None:
    """What no list knows is read where the operator says, and a name that is given comes before those that are known."""
    lines = ("Tag,Modell,rein,raus,input_tokens,EUR", "2026-12-01,gpt-5,1,2,999,0.5")
    assert read(*lines, date="Tag", model="Modell", input="rein", output="raus", cost="EUR") == [("2026-12-01", "gpt-5", 1, 2, 500_000_000)]


def test_days_without_usage_belong_to_what_the_export_covers() -> None:
    """Else our calls of such a day would not be missed there."""
    lines = [line + "\n" for line in (*PLAIN, "2026-12-03,,,", "2026-11-30")]
    export = read_export(lines, {})
    assert (export.first, export.last, len(export.lines)) == (date(2026, 11, 30), date(2026, 12, 3), 1)


@pytest.mark.parametrize(
    ("text", "nanos"), [("0.000000001", 1), ("$1,234.50", 1_234_500_000_000), ("1.5e-05", 15_000), ("0.0000000005", 1), ("", 0)]
)
def test_costs_are_whole_nano_dollars(text: str, nanos: int) -> None:
    """Exports write them with all kinds of digits; the nearest whole one counts."""
    assert read("date,model,input_tokens,output_tokens,cost", f'2026-12-01,gpt-5,1,2,"{text}"')[0][4] == nanos


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "It is empty"),
        ([PLAIN[0]], "no lines but the head"),
        (["date,model,input_tokens", "2026-12-01,gpt-5,1"], "No column for output"),
        (["a,b", "1,2"], "No column for date and model and input and output"),
        ([PLAIN[0], "yesterday,gpt-5,1,2"], "Line 2: 'yesterday' is no date"),
        ([PLAIN[0], "9999999999999,gpt-5,1,2"], "is no date"),
        ([*PLAIN, "2026-12-01,gpt-5,many,2"], "Line 3: 'many' is no input"),
        ([*PLAIN, "2026-12-01,gpt-5,-1,2"], "'-1' is no input"),
        ([*PLAIN, "2026-12-01,gpt-5,1.5,2"], "'1.5' is no input"),
        ([*PLAIN, "2026-12-01,gpt-5,NaN,2"], "'NaN' is no input"),
        ([*PLAIN, "2026-12-01,gpt-5,Infinity,2"], "'Infinity' is no input"),
        ([*PLAIN, "2026-12-01,gpt-5,1e99999999,2"], "is no input"),
        (["date,model,input_tokens,output_tokens,cost", "2026-12-01,gpt-5,1,2,free"], "'free' is no cost"),
        (["date,model,input_tokens,output_tokens,cost", "2026-12-01,gpt-5,1,2,nan"], "'nan' is no cost"),
        ([*PLAIN, "2024-12-01,gpt-5,1,2"], "400 days can be compared at once"),
        ([PLAIN[0], '2026-12-01,"gpt-5'], "is not CSV"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(lines: list[str], words: str) -> None:
    """No number is guessed, and nothing else is raised."""
    with pytest.raises(ExportUnreadable, match=words.replace("'", ".")):
        read(*lines)


def test_a_named_column_that_is_not_there_is_told() -> None:
    """With those that are, instead of falling back to another one."""
    with pytest.raises(ExportUnreadable, match=r"no column 'Tokens'\. There are: date, model"):
        read(*PLAIN, input="Tokens")


def test_a_file_has_an_end() -> None:
    """A device that never ends is given up after so many lines."""
    with pytest.raises(ExportUnreadable, match="more than 1,000 lines"):
        read_export((PLAIN[bool(number)] + "\n" for number in itertools.count()), {}, 1_000)


@given(st.lists(st.text(max_size=30), max_size=6))
def test_no_text_raises_anything_else(lines: list[str]) -> None:
    """Whatever the file is, the answer is an export or a sentence."""
    for head in ([], [PLAIN[0] + "\n"]):
        with suppress(ExportUnreadable):
            assert read_export([*head, *lines], {}).first


def ours(*made: tuple[str, str, int, int]) -> list[Made]:
    """Return what our rows say was made."""
    return [Made(day, model, 1, inputs, outputs, 0) for day, model, inputs, outputs in made]


def theirs(*made: tuple[str, str, int, int]) -> list[LineItem]:
    """Return what the vendor says."""
    return [LineItem(day, model, theirs_input=inputs, theirs_output=outputs) for day, model, inputs, outputs in made]


def test_each_day_and_model_is_compared() -> None:
    """What only one side has stands beside zero."""
    lines = compare(ours(("2", "a", 10, 20), ("1", "b", 1, 1)), theirs(("2", "a", 11, 20), ("2", "c", 5, 6)))
    assert lines == [
        LineItem("1", "b", 1, 1),
        LineItem("2", "a", 10, 20, 0, 11, 20),
        LineItem("2", "c", 0, 0, 0, 5, 6),
    ]
    assert [(line.model, line.ours_input, line.theirs_input) for line in totals(lines)] == [
        ("a", 10, 11),
        ("b", 1, 0),
        ("c", 0, 5),
        ("", 11, 16),
    ]


def test_a_snapshot_is_the_model_that_was_asked_for() -> None:
    """Vendors bill the snapshot behind a name; where we asked for the snapshot by its own name, that is what is compared."""
    made = ours(("1", "gpt-5", 10, 1), ("1", "gpt-4-2026-01-01", 7, 7), ("1", "o3", 2, 0), ("1", "o3-2026-02-02", 5, 0))
    snapshots = theirs(("1", "gpt-5-2026-08-07", 4, 1), ("1", "gpt-4-2026-01-01", 7, 7), ("1", "o3-2026-02-02", 5, 0))
    others = theirs(("1", "gpt-5", 6, 0), ("1", "x-2026-01-01", 1, 1))
    assert [(line.model, line.ours_input, line.theirs_input) for line in compare(made, snapshots + others)] == [
        ("gpt-4-2026-01-01", 7, 7),
        ("gpt-5", 10, 10),
        ("o3", 2, 0),
        ("o3-2026-02-02", 5, 5),
        ("x-2026-01-01", 0, 1),
    ]


def test_an_export_that_knows_the_model_alone_has_the_calls_of_its_snapshots() -> None:
    """[fault M15] Our rows have the name that the answer gave; both names of one model are added up where the vendor has one."""
    made = ours(("1", "gpt-5-2026-08-07", 10, 1), ("1", "gpt-5", 3, 1), ("1", "o3-2026-02-02", 5, 0))
    lines = compare(made, theirs(("1", "gpt-5", 13, 2), ("1", "o3-2026-02-02", 5, 0)))
    assert [(line.model, line.ours_input, line.theirs_input) for line in lines] == [("gpt-5", 13, 13), ("o3-2026-02-02", 5, 5)]


@pytest.mark.parametrize(
    ("ours_", "theirs_", "hundredths"),
    [(100, 100, 0), (0, 0, 0), (99, 100, 100), (100, 99, -100), (0, 5, 10_000), (5, 0, -10_000), (1, 3, 6667)],
)
def test_drift_is_a_part_of_whoever_has_more(ours_: int, theirs_: int, hundredths: int) -> None:
    """So it is never above a hundred percent, and turning the sides around turns its sign."""
    assert drift(ours_, theirs_) == hundredths
    assert drift(theirs_, ours_) == -hundredths


def test_the_tolerance_is_exact() -> None:
    """One percent is within one percent, and a token more is not."""
    assert not drifts(LineItem("", "", 99_000, 0, 0, 100_000, 0), 100)
    assert drifts(LineItem("", "", 98_999, 0, 0, 100_000, 0), 100)
    assert drifts(LineItem("", "", 0, 100_000, 0, 0, 98_999), 100)
    assert drifts(LineItem("", "", 10**15, 0, 0, 10**15 + 1, 0), 0)
