"""`aisa calls end`: which call is ended, and what is said where none is. Beside a real gateway, over its real control socket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from aisa.ids import short_id
from bank import Bank
from faults_rig import body, hang, post, until
from test_cli_board import TWO_WORDS, beside, command

STREAM = post(body(stream=True), key="mine")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in a working directory with an empty data folder, whose socket's name is short."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()


@pytest.mark.parametrize("form", ["whole", "beginning", "as the console shows it"])
def test_a_call_that_runs_is_ended_by_its_id_or_what_people_have_of_it(form: str) -> None:
    """Its client is told, its vendor is left, and a second time the command says that it has ended already, and how."""

    async def scenario(made: Bank) -> None:
        caller = await made.home.client(STREAM)
        await caller.until(b"two")
        [id_] = made.ledger.calls
        forms: Mapping[str, str] = {"whole": id_, "beginning": id_[4:24].lower(), "as the console shows it": short_id(id_)}
        ended = await command("calls", "end", forms[form])
        assert (ended.exit_code, ended.output) == (0, f"{id_} was ended. What had arrived of it is billed: aisa explain {id_}\n")
        await caller.until(b"Whoever runs this server has ended this call.")
        await until(lambda: len(made.posted) == 1)
        again = await command("calls", "end", forms[form])
        assert again.exit_code == 1
        assert again.stderr == f"aisa: The call {id_} runs no more: it has ended already (cut). How: aisa explain {id_}\n"

    beside(scenario, TWO_WORDS)


def test_a_beginning_that_several_calls_have_ends_none() -> None:
    """Both are named, and both go on. `latest` ends none either, as it may be another call by then."""

    async def scenario(made: Bank) -> None:
        for _ in range(2):
            await made.home.client(STREAM)
        await until(lambda: len(made.home.vendor.asked) == 2)
        refused = await command("calls", "end", "req_")
        assert refused.exit_code == 1
        assert refused.stderr == f"aisa: Several calls' ids begin so: {', '.join(sorted(made.ledger.calls))}. Write more of it.\n"
        latest = await command("calls", "end", "latest")
        assert (latest.exit_code, "name the one that is meant by its id" in latest.stderr) == (1, True)
        assert len(made.home.dependencies.live) == 2

    beside(scenario, hang, hang)


def test_an_id_that_nobody_has_is_said_to_be_unknown() -> None:
    """It is no id, or none of ours: nothing is ended."""

    async def scenario(made: Bank) -> None:
        await made.home.client(STREAM)
        await until(lambda: bool(made.home.vendor.asked))
        for unknown in ("req_01JABCD9F1YYEXAMPLE0000000", "two words/and a slash"):
            refused = await command("calls", "end", unknown)
            assert refused.exit_code == 1
            assert refused.stderr.startswith(f"aisa: There is no call '{unknown}' in the ledger.")
        assert len(made.home.dependencies.live) == 1

    beside(scenario, hang)


def test_an_option_of_the_list_before_end_is_refused() -> None:
    """It would be heeded by nothing."""

    async def scenario(_made: Bank) -> None:
        refused = await command("calls", "--key", "mine", "end", "req_0")
        assert refused.exit_code == 2
        assert "--key before `end` is of the list of calls. Options of `end` stand behind it." in refused.stderr

    beside(scenario)
