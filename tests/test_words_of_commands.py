"""What commands say of what somebody has mistyped, or looked for elsewhere: what it is, in his words, and what to write instead."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import Result

from aisa.cli.overview import overview
from aisa.cli.terminal import table
from aisa.cli.vendors import unused
from aisa.config.load import Loaded
from aisa.config.schema import Config
from aisa.storage.running import Running, running
from aisa.vendors.table import ROWS
from server import Server, environment, serving
from test_cli_keys import Run, run
from test_refused import ask, chat

__all__ = ["run"]


def told(result: Result) -> str:
    """Return what a command said, as one line."""
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("audit",), "No such command 'audit'. There is: aisa ledger audit"),
        (("credits",), "No such command 'credits'. There is: aisa wallet"),
        (("statement", "acme"), "There is: aisa wallet statement"),
        (("create", "laptop"), "There is: aisa keys create or aisa teams create or aisa accounts create"),
        (("logs",), "There is: aisa calls"),
        (("keys", "revoke", "-x"), "What is no option and begins as one comes behind `--`: aisa keys revoke -- -x"),
        (("explain", "-x"), "`--`: aisa explain -- -x"),
    ],
)
def test_what_is_not_there_is_told_with_what_is_meant(run: Run, words: tuple[str, ...], said: str) -> None:
    """[fault R3] A command of another group or by another name, and an argument that begins as options do."""
    result = run(*words)
    assert result.exit_code == 2
    assert said in told(result), told(result)


def test_what_is_like_nothing_is_told_as_before(run: Run) -> None:
    """Nothing is guessed, and an option that is nearly there is still named."""
    assert "There is" not in told(run("qwertyuiop"))
    assert "--spend-cap" in told(run("keys", "create", "a", "--spend-cup", "5/day"))


@pytest.mark.parametrize("cap", ["0/day", "-5/day", "0.00/month"])
def test_a_cap_of_nothing_is_told_that_it_must_be_above(run: Run, cap: str) -> None:
    """[fault R3] It has dollars and a window, and was told to write them."""
    Path("aisa-data").mkdir()
    assert "its dollars must be above 0" in told(run("keys", "create", "laptop", f"--spend-cap={cap}"))


def test_money_is_spoken_of_by_the_accounts_own_name(run: Run) -> None:
    """[fault R3] An amount below nothing is judged as an amount; the command to type next has no placeholder; a head is whole."""
    Path("aisa-data").mkdir()
    run("keys", "create", "laptop", "--account", "acme")
    below = run("wallet", "top-up", "acme", "-3")
    assert (below.exit_code, "No such option" in told(below), "above" in told(below) or "adjust" in told(below)) == (2, False, True)
    run("wallet", "top-up", "acme", "25.123456789", "--note", "n" * 200)
    assert "aisa wallet statement acme" in told(run("wallet", "show", "acme"))
    head = next(line for line in run("wallet", "statement", "acme").stdout.splitlines() if "WHEN UTC" in line)
    assert head.split()[-1] == "WHAT"


def test_a_tab_is_told_to_be_one(run: Run) -> None:
    """[fault R3] Where it indents, alone or behind blanks, and where a value begins; a tab inside a text is none of these."""
    for text in ("server:\n\tport: 1\n", "server:\n  port: 1\n \thost: x\n", "server: \t@x\n"):
        Path("aisa.yaml").write_text(text, encoding="utf-8")
        said = told(run("config", "check"))
        assert "there is a tab where" in said, (text, said)
        assert "Write spaces in place of the tab." in said
    Path("aisa.yaml").write_text('models: "a\tb\n', encoding="utf-8")
    assert "tab" not in told(run("config", "check"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("api.example.com/v1", "`api.example.com/v1`"),
        ("https:///v1?key=sesame", "`https:///v1`"),
        ("https://me:sesame@api.example.com", ""),
    ],
)
def test_an_address_that_is_none_is_quoted_without_what_is_secret(run: Run, address: str, shown: str) -> None:
    """[fault R3] Whoever has it from a variable sees what that holds; no password and no query is shown."""
    Path("aisa.yaml").write_text(f'vendors: {{x: {{dialect: openai, base_url: "{address}", api_key: k}}}}\n', encoding="utf-8")
    said = told(run("config", "check"))
    assert (shown in said, "sesame" in said) == (True, False), said
    assert ("There stands" in said) is bool(shown)


def test_what_a_running_server_is_asked_is_told_in_words_that_are_true_of_it(tmp_path: Path) -> None:
    """[fault R3] `req_` begins many ids; a reload is refused in the blocks that `config check` has; and one call is a call."""
    with serving(tmp_path, "models: {m: [embedded/tiny]}\n") as server:
        key = server.aisa("keys", "create", "once", "--rpm", "1", "--quiet").strip()
        asked = [ask(server, key, chat(model="m", max_tokens=2)) for _ in range(2)]
        assert "may begin 1 call in any minute, and has begun it." in asked[1].body["error"]["message"]
        several = failed(server, "explain", "req_")
        assert "Several calls' ids begin so" in several
        assert all(answer.id in several for answer in asked)
        server.folder.joinpath("aisa.yaml").write_text("models: {m: [nobody/x]}\nsurver: {}\n", encoding="utf-8")
        said = failed(server, "reload")
        assert said.startswith("aisa: The configuration was not taken, the old one stays.\n\n  ")
        assert (said.count("\n    → "), said.count("\n\n  ")) == (2, 2)
        found = running({**os.environ, **environment()})
        [ours] = [each for each in found if Path(each.data_dir).is_relative_to(tmp_path)]
        assert (ours.host, ours.port) == ("127.0.0.1", 0), "it was told to take any port"


def test_a_server_that_was_told_another_port_is_said_to_listen_there() -> None:
    """[fault R3] `aisa config check` and `aisa vendors` spoke of the port of the file, where `serve --port` had given another."""
    there = Running("/srv/aisa", None, "127.0.0.1", 8123)
    loaded = Loaded(Config(), {}, None)
    assert dict(overview(loaded, {}, there))["Server"][0] == ["listens on", "http://127.0.0.1:8123"]
    assert dict(overview(loaded, {}))["Server"][0] == ["listens on", "http://127.0.0.1:8000"]
    vllm = ROWS["vllm"]
    assert unused(vllm, {}, {8123}).startswith("it does not answer at port 8000")
    assert unused(vllm, {}, {8000}).startswith("we listen at port 8000")


def failed(server: Server, *words: str) -> str:
    """Return what a command that fails says."""
    with pytest.raises(subprocess.CalledProcessError) as failure:
        server.aisa(*words)
    return str(failure.value.stderr)


#: What the rules of keys, accounts and money refuse, be it unknown, taken or unfit; and what is wrong before anything is asked.
REFUSED = (
    ("keys", "create", "t"),
    ("keys", "create", "z", "--team", "nobody"),
    *(("keys", action, "nobody") for action in ("show", "rotate", "disable", "enable", "revoke")),
    ("teams", "update", "nobody", "--name", "x"),
    ("accounts", "create", "default"),
    ("accounts", "set-tier", "default", "gold"),
    ("admin-keys", "revoke", "nobody"),
    ("wallet", "show", "nobody"),
    ("wallet", "statement", "nobody"),
    ("wallet", "adjust", "default", "-5", "--note", "x"),
    ("usage", "--key", "nobody"),
    ("calls", "--account", "nobody"),
    ("explain", "latest"),
    ("explain", "req_nothing"),
    ("ledger", "export", "--key", "nobody"),
)
MISUSED = (
    ("keys", "create", "z", "--spend-cap", "many"),
    ("keys", "create", "z", "--expires", "yesterday"),
    ("keys", "create", "z", "--rpm", "0"),
    ("keys", "update", "t", "--spend-cap", "5"),
    ("keys", "rotate", "t", "--grace", "soon"),
    ("teams", "create", "team_x"),
    ("wallet", "top-up", "default", "five"),
    ("keys", "create", "key_x"),
    ("keys", "create", "z", "--models", "a,,b"),
    ("accounts", "create", "\x01"),
    ("wallet", "top-up", "default", "0"),
    ("wallet", "adjust", "default", "0", "--note", "x"),
    ("wallet", "adjust", "default", "5", "--note", " "),
    ("keys", "create", "z", "--rpm", "many"),
    ("keys", "update", "t"),
    ("teams", "update", "nobody"),
    ("admin-keys", "create", "x", "--scope", "all"),
    ("wallet", "top-up", "default"),
    ("usage", "--since", "soon"),
    ("usage", "--by", "team"),
    ("calls", "--limit", "0"),
    ("ledger", "export", "--since", "soon"),
)


def test_a_refusal_is_the_same_with_and_without_a_server(run: Run, tmp_path: Path) -> None:
    """[issue 8] In words and status, which the help names: 1 for what was asked and refused, 2 for what can be right nowhere.

    Of wrong amounts, caps and times some were 1 and some 2: it hung on whether the command or the server had looked.
    """
    given = ("--data-dir", str(tmp_path / "data"))

    def ends() -> list[tuple[tuple[str, ...], int, str]]:
        return [(words, (result := run(*words, *given)).exit_code, told(result)) for words in (*REFUSED, *MISUSED)]

    with serving(tmp_path):
        asked = ends()
    assert ends() == asked
    assert [words for words, status, _ in asked if status != (1 if words in REFUSED else 2)] == []
    assert "1 failed, or refused by the server or its data" in told(run("--help"))


@pytest.mark.parametrize("words", [("calls", "--limit"), ("serve", "--port"), ("serve", "--workers"), ("simulate", "--port")])
def test_what_is_no_number_is_told_to_be_none(run: Run, words: tuple[str, ...]) -> None:
    """It was no valid integer range."""
    result = run(*words, "abc")
    assert (result.exit_code, "'abc' is not a valid whole number." in told(result)) == (2, True)


@pytest.mark.parametrize(
    "words", [("keys", "revoke", ""), ("keys", "show", " "), ("wallet", "show", ""), ("accounts", "disable", ""), ("explain", "")]
)
def test_a_name_that_is_empty_is_told_so(run: Run, words: tuple[str, ...]) -> None:
    """[issue 8] With a variable that is not set the answer was that there is no `/keys//revoke`, of which nobody had typed anything."""
    Path("aisa-data").mkdir()
    result = run(*words)
    assert (result.exit_code, "it is empty." in told(result)) == (2, True), told(result)


def test_a_name_of_hundreds_of_letters_pads_no_other_line() -> None:
    """[fault P13] One refused call for such a model put 340 blanks into every line of `aisa calls --refused | tail`."""
    name = "m" * 300
    head, short, long = table(("MODEL", "STATE"), [["gpt-4.1", "404"], [name, "404"]]).splitlines()
    assert (click.unstyle(head), short, long) == ("MODEL    STATE", "gpt-4.1  404", f"{name}  404")
