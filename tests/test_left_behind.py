"""What a server that died has in its journals is told before the next start, by whatever shows calls. Changes no journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aisa.cli.commands import aisa
from aisa.edge.statement import left_in_words
from aisa.ledger.journal import Journal
from aisa.ledger.left_behind import ended_behind, left_behind
from aisa.storage.lock import own_folder

CLEAN = {"AISA_CONFIG": None, "AISA_DATA_DIR": "./data", "NO_COLOR": "1", "COLUMNS": "200"}
TOLD = left_in_words(3)
SHOWING = ("calls", "usage", "ledger audit", "wallet statement default", "backup copy.db")


def run(words: str) -> Result:
    """Run a command on the folder of a server that does not run."""
    return CliRunner().invoke(aisa, words.split(), env=CLEAN, prog_name="aisa", catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a server that died: two calls in its own journal, and one in that of a worker."""
    monkeypatch.chdir(tmp_path)
    assert run("keys create mine --quiet").exit_code == 0
    data = tmp_path / "data"
    for name, count in (("board", 2), ("board-7", 1)):
        journal = Journal.open(data / name, slots_max=10)
        taken = [journal.take(b"{}") for _ in range(count + 1)]
        taken[0].free()
        journal.close()
    return data


def test_calls_of_a_server_that_died_are_told_before_the_next_start(folder: Path) -> None:
    """[fault P7] In the status as something to look at, beside what is shown, and instead of a wrong guess at where a call is."""
    before = {path.name: path.read_bytes() for path in folder.glob("board*")}
    status = run("status")
    assert (status.exit_code, TOLD in " ".join(status.stdout.split())) == (1, True), status.stdout
    for words in SHOWING:
        shown = run(words)
        assert (shown.exit_code, TOLD in shown.stderr) == (0, True), (words, shown.output)
    for name in ("latest", "req_01JABCD9F1YYEXAMPLE0000000"):
        unknown = run(f"explain {name}")
        assert (unknown.exit_code, TOLD in unknown.stderr, "401" in unknown.stderr) == (1, True, False), unknown.stderr
        assert unknown.stderr.count("its journal") == 1
    assert TOLD not in run("keys list").stderr
    assert {path.name: path.read_bytes() for path in folder.glob("board*")} == before


def test_without_such_calls_nothing_is_told(folder: Path) -> None:
    """Nor of a journal that is none, of another version, cut, or not there; a server that runs has its calls in flight in it."""
    with own_folder(str(folder)):
        assert run("backup copy.db").stderr == ""
    (folder / "board").write_bytes(b"aisabord")
    (folder / "board-7").unlink()
    (folder / "board-8").symlink_to("board")
    (folder / "board-9").mkdir()
    assert left_behind(folder) == 0
    (folder / "board").unlink()
    assert (left_behind(folder), "its journal" in run("calls").output) == (0, False)
    assert left_in_words(1).startswith("1 call of a server that ended without settling it is in its journal")


def test_calls_that_had_ended_are_none_of_those_that_were_not_settled(folder: Path) -> None:
    """[fault P7] A dozen calls were told as unsettled where one of them had ended, and only its row was to be written."""
    journal = Journal.open(folder / "board-7", slots_max=10)
    journal.take(b"{}").close(b"{}")
    journal.close()
    assert (left_behind(folder), ended_behind(folder)) == (4, 1)
    told = "4 calls of a server that died are in its journal, 1 of which had ended; the next start settles them."
    assert told in " ".join(run("status").stdout.split())
    for words in SHOWING:
        assert told in run(words).stderr, words
    assert left_in_words(1, 1) == "1 call of a server that died is in its journal, which had ended; the next start settles it."
    assert ", all of which had ended; " in left_in_words(2, 2)
