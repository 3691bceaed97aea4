"""What commands print on terminals of every width: no line is wider, nothing is lost unsaid, and a pipe gets all of it."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from console_rig import CONFIGURATION, Consoled, consoled
from server import PROCESS_SECONDS_MAX, environment
from vendor import ScriptedVendor

#: Commands with tables or facts.
COMMANDS = (
    ("keys", "list"),
    ("keys", "show", "support bot"),
    ("teams", "list"),
    ("accounts", "list"),
    ("admin-keys", "list"),
    ("wallet", "show"),
    ("wallet", "show", "acme"),
    ("wallet", "statement", "acme"),
    ("usage",),
    ("usage", "--by", "model"),
    ("calls",),
    ("calls", "--refused"),
    ("models",),
    ("prices",),
    ("vendors",),
    ("route", "explain", "gpt-4.1"),
    ("status",),
    ("board", "--once"),
    ("simulate", "--list"),
    ("config", "check"),
    ("check", "--list"),
)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoled]:
    """A server with keys, a team, wallets and calls."""
    with (
        ScriptedVendor() as vendor,
        consoled(tmp_path_factory.mktemp("narrow"), CONFIGURATION.format(vendor=vendor.url), calls=60) as running,
    ):
        server = running.server
        server.aisa(
            "keys", "create", "a key with a long label, for the nightly evaluation of models", "--models", "gpt-4.1,endless", "--rpm", "7"
        )
        server.aisa("keys", "rotate", "mobile", "--quiet")
        yield running


def shown(at: Consoled, words: tuple[str, ...], columns: int | None, **variables: str) -> str:
    """Run a command at a terminal with so many columns, None for a pipe, and return what it writes to standard output."""
    place = () if words[0] in ("simulate", "route", "check", "config") else ("--data-dir", str(at.server.folder / "data"))
    command = [sys.executable, "-m", "aisa", *words, *place]
    around = {**environment(), "TERM": "xterm", **variables}
    around.pop("COLUMNS", None)
    if columns is None:
        piped = subprocess.run(
            command, cwd=at.server.folder, env=around, capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS_MAX
        )
        return piped.stdout
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(command, cwd=at.server.folder, env=around, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # its end
            pass
        process.wait(PROCESS_SECONDS_MAX)
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


GAP = re.compile(r"(?<=\S)  +(?=\S)")  # between cells
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def heads_in(text: str) -> set[str]:
    """Return the heads of columns."""
    return {word for word in text.split() if word.isupper() and word.isalpha()}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_tables_fit_the_terminal_and_say_what_they_leave_out(at: Consoled, words: tuple[str, ...]) -> None:
    """[issue 8] Lines of 150 columns became a mess on terminals of 80; a pipe has every character, whatever COLUMNS says."""
    whole = shown(at, words, None, COLUMNS="60")
    assert "Narrow terminal" not in whole
    for columns in (80, 60):
        text = ESCAPES.sub("", shown(at, words, columns))
        assert [line for line in text.splitlines() if len(line) > columns and GAP.search(line)] == [], columns
        less = not heads_in(whole) <= heads_in(text) or text.count("…") > whole.count("…")
        assert not less or "Narrow terminal: " in text, (columns, text)


def test_a_terminal_without_our_characters_has_texts_cut_with_others(at: Consoled) -> None:
    """In ASCII a label that is cut ends with a tilde."""
    text = ESCAPES.sub("", shown(at, ("usage",), 80, PYTHONIOENCODING="ascii"))
    assert text.isascii()
    assert re.search(r"^a key with a long[\w ,]*~ ", text, re.MULTILINE)


@pytest.mark.parametrize("words", [("explain", "latest"), ("calls", "--refused")], ids=" ".join)
@pytest.mark.parametrize("columns", [80, 50])
def test_prose_wraps_to_the_terminal(at: Consoled, words: tuple[str, ...], columns: int) -> None:
    """[issue 8] Sentences of `explain` ran over the edge, and what a refused caller was told was cut in its middle."""
    text = ESCAPES.sub("", shown(at, words, columns))
    prose = [line for line in text.splitlines() if not GAP.search(line.lstrip("└ "))]
    assert [line for line in prose if len(line) > columns and sys.executable not in line] == []
    if words[0] == "calls":
        assert "Wait 12 seconds." in " ".join(text.split())
        ids = re.findall(r"\w{13}…\w{4}$", text, re.MULTILINE)
        assert len({*ids}) == len(ids) == 3, "and ids are shortened so that they differ"


@pytest.mark.parametrize("columns", [1, 4, 6])
def test_facts_are_told_on_the_narrowest_terminal(at: Consoled, columns: int) -> None:
    """One of six columns, as a window that is being made smaller has for a moment, ended `aisa status` in an exception."""
    assert "Nothing needs attention." in ESCAPES.sub("", shown(at, ("status",), columns))


def test_no_escape_code_is_written_where_none_is_wanted(at: Consoled) -> None:
    """NO_COLOR takes the colours; a terminal that is dumb gets nothing but text, from the board too."""
    assert ESCAPES.search(shown(at, ("keys", "list"), 80))
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        for words in (("keys", "list"), ("status",), ("usage",), ("--help",), ("vendors",)):
            assert not ESCAPES.search(shown(at, words, 80, **variables)), (variables, words)
    assert "aisa board" in (board := shown(at, ("board",), 80, TERM="dumb"))
    assert not ESCAPES.search(board)
