"""The commands on teams, in a folder that nobody serves and against a server that does."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from server import serving as served
from test_cli_keys import Run, made, opened, run, serving
from test_reload import asked, until
from vendor import ScriptedVendor

__all__ = ["run"]

PRICED = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
models:
  priced: {{to: [local/hello], prices: {{input: 100.0, output: 100.0}}, hold_output_tokens: 20}}
"""


@pytest.mark.parametrize("runs", [False, True], ids=["no server", "a server"])
def test_teams_from_the_command_line(run: Run, runs: bool) -> None:
    """Made with their account, listed, changed; a key is made or imported in one, and shows it."""
    Path("aisa-data").mkdir()
    with serving("aisa-data") if runs else nullcontext():
        first = run("teams", "create", "bots", "--account", "a/b c", "--spend-cap", "50/month")
        assert (first.exit_code, first.stderr) == (0, "")
        assert "of the account a/b c: at most 50 US dollars a month." in first.stdout
        assert "The account a/b c is new" in first.stdout
        assert "of the account default: no cap." in run("teams", "create", "bots").stdout
        assert made(run("keys", "create", "crawler", "--team", "bots", "--account", "a/b c", "--quiet")).startswith("sk-aisa-")
        imported = run("keys", "create", "old", "--team", "bots", "--account", "a/b c", "--import", typed="My very old API Key\n")
        assert imported.exit_code == 0
        changed = run("teams", "update", "bots", "--account", "a/b c", "--spend-cap", "2.50/day", "--name", "crew").stdout
        assert "Team crew (team_" in changed
        assert "at most 2.5 US dollars a day" in changed
        assert run("keys", "create", "third", "--team", "crew", "--quiet").exit_code == 0  # there is one of this name
        assert [key["team"]["name"] for key in json.loads(run("keys", "list", "--json").stdout)] == ["crew"] * 3
        assert {key["account"] for key in json.loads(run("keys", "list", "--json").stdout)} == {"a/b c"}
        assert "TEAM" in run("keys", "list").stdout
        assert json.loads(run("keys", "show", "crawler", "--json").stdout)["team"]["name"] == "crew"
        assert "crew: at most 2.5 US dollars a day for all of its keys" in run("keys", "show", "crawler").stdout
        whole, one = (json.loads(run("teams", "list", *more, "--json").stdout) for more in ((), ("--account", "default")))
        assert [(team["account"], team["name"], team["spend_cap_nanos_usd"], team["keys"]) for team in whole] == [
            ("a/b c", "crew", 2_500_000_000, 3),
            ("default", "bots", None, 0),
        ]
        assert one == whole[1:]
        assert "crew" in (shown := run("teams", "list").stdout)
        assert "2.5/day" in shown
        assert "no cap" in run("teams", "update", whole[0]["id"], "--spend-cap", " None").stdout
    with opened("aisa-data") as store:
        assert [team.spend_cap for team in store.teams.list()] == [None, None]
        assert [key.team.name for key in store.list() if key.team] == ["crew"] * 3


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("create", "bots", "--spend-cap", "5"), 2, "no spend cap"),
        (("create", "bots"), 1, "has a team 'bots' already"),
        (("update", "bots"), 2, "Name one or both: --name, --spend-cap."),
        (("update", "bots", "--name", "x"), 1, "Several accounts have a team 'bots': 'acme', 'default'"),
        (("update", "nobody", "--name", "x"), 1, "`aisa teams list` shows them"),
        (("update", "bots", "--account", "nobody", "--name", "x"), 1, "in the account 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(run: Run, arguments: tuple[str, ...], status: int, said: str) -> None:
    """With what to do about it; nothing is changed."""
    Path("aisa-data").mkdir()
    for account in ("acme", "default"):
        run("teams", "create", "bots", "--account", account)
    before = run("teams", "list", "--json").stdout
    refused = run("teams", *arguments)
    assert (refused.exit_code, said in " ".join(refused.stderr.split())) == (status, True), refused.stderr
    assert run("teams", "list", "--json").stdout == before


def test_a_folder_without_data_is_left_as_it_is(run: Run) -> None:
    """Who lists or changes in the wrong place is told; the place is not filled. Without teams it is said how to make one."""
    Path("aisa-data").mkdir()
    for arguments in (("teams", "list"), ("teams", "update", "x", "--name", "y")):
        assert run(*arguments).exit_code != 0
    assert list(Path("aisa-data").iterdir()) == []
    assert run("keys", "create", "a", "--quiet").exit_code == 0
    assert "aisa teams create NAME" in run("teams", "list").stdout


def test_what_a_team_has_spent_is_seen_while_the_server_runs(tmp_path: Path) -> None:
    """By two keys together, until what is left is too little for a call: `left` of the list is the cap less both bills."""
    with ScriptedVendor() as vendor, served(tmp_path, PRICED.format(vendor=vendor.url)) as server:
        server.aisa("teams", "create", "bots", "--spend-cap", "0.007/day")
        keys = [server.aisa("keys", "create", label, "--team", "bots", "--quiet").strip() for label in ("a", "b")]
        statuses: list[int] = []
        for number in range(20):
            server.key = keys[number % 2]
            body = {"model": "priced", "messages": [{"role": "user", "content": "Hi."}], "max_tokens": 20}
            answer = asked(server, "/v1/chat/completions", body)
            statuses.append(answer.status)
            if answer.status != 200:
                break
        assert statuses[-1] == 429
        assert len(statuses) > 2, "both had their turn"
        assert b"The team 'bots' may spend" in answer.body

        def team() -> dict[str, int]:
            told = json.loads(server.aisa("teams", "list", "--json"))[0]
            return {name: told[f"{name}_nanos_usd"] for name in ("spent", "left")}

        def spent() -> list[int]:
            return [json.loads(server.aisa("keys", "show", label, "--json"))["spent_nanos_usd"] for label in ("a", "b")]

        until(lambda: all(spent()))
        assert team() == {"spent": sum(spent()), "left": 7_000_000 - sum(spent())}
