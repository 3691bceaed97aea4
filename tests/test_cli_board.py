"""`aisa board`, and the other commands on calls that the database does not have yet: beside a real gateway, and on a real terminal."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aisa.cli.board_screen import ENTER, HOME, LEAVE, lines_of
from aisa.cli.commands import aisa
from aisa.clock import wall_clock
from aisa.edge.admin import Admin
from aisa.edge.admin_calls import CallRoutes
from aisa.edge.admin_usage import usage_routes
from aisa.edge.board_view import LIVE_ROWS_MAX, BoardShown, BoardView, LiveCall, in_loop
from aisa.edge.control import Control
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.http.server import HttpServer
from aisa.keys.store import KeyStore
from aisa.ledger.find import CallFinder
from aisa.ledger.usage import UsageStore
from aisa.storage.lock import control_path
from bank import Bank, bank
from faults_rig import SSE, Script, VendorConnection, body, framed, hang, on_uvloop, post, says, until
from ledger_rig import shared_journal
from rig import chunk, text

CLEAN = {
    "HOST": None,
    "PORT": None,
    "AISA_DATA_DIR": None,
    "AISA_CONFIG": None,
    "OPENAI_API_KEY": None,
    "NO_COLOR": None,
    "AISA_DISCOVERY_LOOPBACK": "never",
    "COLUMNS": "80",
}
SOURCE = str(Path(__file__).parent.parent / "src")
#: The command, also where the tests themselves were started in the background, with the signal ignored.
HEEDING_CTRL_C = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from aisa.cli import main
main()
"""
TWO_WORDS = says(SSE + framed(*text("one", "two")), hang)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in a working directory with an empty data folder, whose socket's name is short."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()


@asynccontextmanager
async def watched(*scripts: Script) -> AsyncGenerator[Bank]:
    """A gateway that answers commands on the socket in its data folder."""
    async with bank(Path("data"), *scripts) as made:
        assert made.database is not None
        store = KeyStore(made.database, wall_clock, random.Random(1))
        view = BoardView(made.home.dependencies.live, made.ledger, shared_journal())
        statement = Statement(made.ledger, UsageStore(made.database))
        calls = CallRoutes(statement, store, CallFinder(made.database), board=view)
        more = (*usage_routes(statement, store, wall_clock, board=view), *calls.routes())
        control = HttpServer(Control(Admin(store, wall_clock, more=more)), made.home.config.server)
        await control.listen_unix(control_path("data"))
        try:
            yield made
        finally:
            await control.drain(0)


def beside(scenario: Callable[[Bank], Coroutine[Any, Any, None]], *scripts: Script) -> None:
    """Run a scenario beside a gateway."""

    async def main() -> None:
        async with watched(*scripts) as made:
            await scenario(made)

    on_uvloop(main())


async def command(*words: str, **environment: str) -> Result:
    """Run a command in a thread, as the gateway is in this one."""
    arguments = [*words, "--data-dir", "data"]
    options: dict[str, Any] = {"env": {**CLEAN, **environment}, "prog_name": "aisa", "catch_exceptions": False}
    return await asyncio.to_thread(lambda: CliRunner().invoke(aisa, arguments, **options))


def live(number: int, **fields: Any) -> LiveCall:
    """A call that runs."""
    made: dict[str, Any] = {
        "id": f"req_{number:026d}",
        "key": "laptop",
        "model": "gpt-5",
        "target": "openai/gpt-5",
        "state": "answering",
        "stream": True,
        "age_seconds": 1.25,
        "input_tokens": 1_203,
        "output_tokens": 64_000,
        "backlog_bytes": 65_536,
        "congested": True,
        "cost": 5_996_400,
    }
    return LiveCall(**{**made, **fields})


def test_the_board_shows_what_a_call_is_doing() -> None:
    """Who calls what, how far it is, how long it has taken, and what it would cost if it ended now; then that nothing runs."""

    async def scenario(made: Bank) -> None:
        caller = await made.home.client(post(body(stream=True), key="mine"))
        await caller.until(b"two")
        result = await command("board")
        assert result.exit_code == 0
        title, _, heads, row = result.stdout.splitlines()
        assert title.startswith("aisa board  1 running, ")
        assert heads.split() == ["KEY", "MODEL", "STATE", "AGE", "IN", "OUT", "BACKLOG", "US", "DOLLARS", "ID"]
        assert re.fullmatch(r"mine  fast   answering +\d\.\d s +\d+    2 +[\d,]+ (B|KiB)    0\.0000\d\d  req_\w{26}", row)
        caller.reset()
        await until(lambda: len(made.posted) == 1)
        result = await command("board")
        assert "0 running" in result.stdout
        assert "1 rows to be written\n\nNo call is running.\n" in result.stdout

    beside(scenario, TWO_WORDS)


def test_the_board_as_json_has_everything_that_the_table_cuts() -> None:
    """States before the first token, ids, targets, and nothing charged yet."""

    async def scenario(made: Bank) -> None:
        await made.home.client(post(body(stream=True), key="mine"))
        await until(lambda: bool(made.home.vendor.asked))
        shown = json.loads((await command("board", "--json")).stdout)
        [call] = shown["calls"]
        assert (call["state"], call["target"], call["output_tokens"], call["cost"]) == ("asked", "a/real-model", 0, 0)
        assert ([call["id"]], shown["calls_count"], shown["slots_taken"]) == ([*made.ledger.calls], 1, shared_journal().taken)

    beside(scenario, hang)


def test_a_call_that_ends_while_the_board_is_looked_at_is_left_out() -> None:
    """Between the list of the calls and the look at each of them, some end; they are not shown as running."""

    async def scenario(made: Bank) -> None:
        caller = await made.home.client(post(body(stream=True), key="mine"))
        await caller.until(b"two")
        view = BoardView(set(made.home.dependencies.live), made.ledger, shared_journal())
        assert len((await asyncio.to_thread(view)).calls) == 1
        caller.reset()
        await until(lambda: len(made.posted) == 1)
        assert (await asyncio.to_thread(view)).calls == []

    beside(scenario, TWO_WORDS)


def test_the_backlog_of_a_client_that_does_not_read_is_seen() -> None:
    """What was written for it and has not arrived grows to many kilobytes, and is shown as congested."""

    async def flood(line: VendorConnection) -> None:
        await line.send(SSE + framed(*text("one")))
        while True:
            await line.send(framed(chunk({"content": "x" * 1_000})))

    async def scenario(made: Bank) -> None:
        await made.home.client(post(body(stream=True), key="mine"), receive_bytes=4_096)
        [context] = await first(lambda: [context for context in made.home.dependencies.live if context.client.congested])
        [call] = json.loads((await command("board", "--json")).stdout)["calls"]
        assert (call["id"], call["congested"]) == (context.call.id, True)
        assert 10_000 < call["backlog_bytes"] < 1_000_000

    beside(scenario, flood)


async def first(found: Callable[[], list[Any]]) -> list[Any]:
    """Wait until there is something, and return it."""
    await until(lambda: bool(found()))
    return found()


def test_usage_and_explain_know_a_call_before_the_database_does() -> None:
    """While it runs it is explained as running, once it has ended it is billed and not final, and then it is."""

    async def scenario(made: Bank) -> None:
        caller = await made.home.client(post(body(stream=True), key="mine"))
        await caller.until(b"two")
        [id_] = made.ledger.calls
        running = await command("explain", id_)
        assert (running.exit_code, "is still running" in running.stdout, "2 output tokens" in running.stdout) == (0, True, True)
        assert json.loads((await command("explain", id_, "--json")).stdout)["running"] is True
        assert "No call has ended" in (await command("usage")).stdout
        caller.reset()
        await until(lambda: len(made.posted) == 1)
        for final in (False, True):
            explained = (await command("explain", id_)).stdout
            assert ("Not final" in explained, "The client left" in explained) == (not final, True)
            [line] = json.loads((await command("usage", "--json")).stdout)["data"]
            assert (line["requests"], line["output_tokens"]) == (1, 2)
            made.commit()

    beside(scenario, TWO_WORDS)


def test_without_a_server_there_is_no_board() -> None:
    """Status 1 and what to do, whether the folder has data or not; and nothing is made."""
    for made in (False, True):
        if made:
            CliRunner().invoke(aisa, ["keys", "create", "x", "--data-dir", "data"], env=CLEAN)
        result = CliRunner().invoke(aisa, ["board", "--data-dir", "data"], env=CLEAN)
        assert (result.exit_code, result.stdout) == (1, "")
        assert ("No server runs" if made else "There is no aisa data") in result.stderr
        assert Path("data/aisa.db").exists() == made


def test_whoever_looks_into_the_loop_from_a_thread_gets_its_answer_or_its_error() -> None:
    """What is looked at is looked at in the loop's thread, and a refusal there is a refusal here."""

    def refuse() -> None:
        raise ApiError("resource_not_found", "There is nothing to see.")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(in_loop, loop, threading.get_ident) == threading.get_ident()
        with pytest.raises(ApiError, match="nothing to see"):
            await asyncio.to_thread(in_loop, loop, refuse)

    on_uvloop(main())


@pytest.mark.parametrize("interval", ["", "1", "99ms", "61s", "-1s", "2m", "999999s"])
def test_an_interval_that_cannot_be_is_refused(interval: str) -> None:
    """Status 2, with what would be right."""
    result = CliRunner().invoke(aisa, ["board", "--interval", interval], env=CLEAN)
    assert result.exit_code == 2
    assert "such as 500ms or 2s" in result.stderr


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(columns: int) -> None:
    """With the longest of everything no line is wider, and a wide terminal has the calls' ids."""
    widest = live(1, key="k" * 100, model="m" * 256, age_seconds=999_999.9, input_tokens=999_999, cost=12_345_678_901)
    board = BoardShown([live(0), widest], 12_345, 12_345, 12_345)
    lines = lines_of(board, columns)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= columns
    assert any(widest.id in line for line in lines) == (columns == 120)
    assert "and 12,343 more" in lines[-1]


def test_the_board_in_a_pipe_is_whole() -> None:
    """[issue 8] Names were cut, and ids left out, as if somebody read them on a narrow terminal."""
    widest = live(1, key="k" * 100, model="m" * 256)
    lines = lines_of(BoardShown([live(0), widest], 2, 2, 0), None)
    assert all(each in lines[-1] for each in (widest.key, widest.model, widest.id))


def test_no_more_calls_are_listed_than_there_are_lines() -> None:
    """The oldest stay, and the rest is counted."""
    board = BoardShown([live(number) for number in range(LIVE_ROWS_MAX)], 5_000, 5_000, 0)
    lines = lines_of(board, 120, rows_max=10)
    assert [number for number in range(LIVE_ROWS_MAX) if any(live(number).id in line for line in lines)] == list(range(10))
    assert "and 4,990 more" in lines[-1]


class Terminal:
    """A terminal of 24 lines and 100 columns, on which the command runs."""

    def __init__(self, *words: str) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        arguments = [sys.executable, "-c", HEEDING_CTRL_C, "board", "--data-dir", "data", "--interval", "100ms", *words]
        self.process = subprocess.Popen(
            arguments, env={"PYTHONPATH": SOURCE, "TERM": "xterm"}, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs
        )
        self.shown = ""
        asyncio.get_running_loop().add_reader(self.ours, self._read)

    def _read(self) -> None:
        self.shown += os.read(self.ours, 65_536).decode()

    @property
    def frame(self) -> str:
        """What is on the screen."""
        return self.shown.rpartition(HOME)[2]

    async def end(self) -> int:
        """Wait for the command's end and return its status; the terminal must be as it was."""
        status: int = await asyncio.to_thread(self.process.wait, 60)
        await until(lambda: LEAVE in self.shown)
        asyncio.get_running_loop().remove_reader(self.ours)
        assert termios.tcgetattr(self.theirs) == self.before
        assert self.shown.startswith(ENTER)
        os.close(self.ours)
        os.close(self.theirs)
        return status


@pytest.mark.parametrize("by", ["q", "Q", "signal"])
def test_on_a_terminal_the_board_follows_the_calls_until_q_or_ctrl_c(by: str) -> None:
    """A call appears in the place of the line that said that there is none, and the terminal is left as it was."""

    async def scenario(made: Bank) -> None:
        terminal = Terminal()
        await until(lambda: "No call is running." in terminal.frame)
        caller = await made.home.client(post(body(stream=True), key="mine"))
        await caller.until(b"two")
        await until(lambda: "answering" in terminal.frame)
        assert "No call is running." not in terminal.frame
        if by == "signal":
            terminal.process.send_signal(signal.SIGINT)
        else:
            os.write(terminal.ours, by.encode())
        assert await terminal.end() == 0

    beside(scenario, TWO_WORDS)


def test_a_server_that_goes_away_ends_the_watch_with_a_word() -> None:
    """The terminal is put back first, then the reason is there to read, with status 1."""

    async def scenario() -> None:
        async with watched(TWO_WORDS):
            terminal = Terminal()
            await until(lambda: "No call is running." in terminal.frame)
        assert await terminal.end() == 1
        assert "No server runs" in terminal.shown.partition(LEAVE)[2]

    on_uvloop(scenario())
