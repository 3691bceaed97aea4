"""The tutorials and the pages for operators, done: their commands run in a shell, in their order, as printed, on a running server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import PROCESS_SECONDS_MAX, Server, environment, serving
from test_examples import README_HOST, assert_answered, curl_commands, shell
from test_reload import asked

DOCS = Path(__file__).resolve().parents[1] / "docs"
CONFIGURATION = """\
models:
  gpt-4.1: {to: [embedded/tiny], prices: {input: 2.0, output: 8.0}}
limits: {tiers: {starter: {rpm: 60}, growth: {rpm: 600}}}
"""
#: What cannot be run here, because it asks somebody else, never ends, or wants what an operator has beside it.
ELSEWHERE = re.compile(r"llm\.example\.com|--follow|/backups/|reconcile|req_01\.\.\.|revoke -|board +the calls|^kill")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is found from its folder, in which `.venv/bin/aisa` is; one call was made."""
    folder = tmp_path_factory.mktemp("tutorials")
    runtime = folder / "run"
    runtime.mkdir()
    (folder / ".venv" / "bin").mkdir(parents=True)
    script = folder / ".venv" / "bin" / "aisa"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m aisa "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    with serving(folder, CONFIGURATION, variables={"XDG_RUNTIME_DIR": str(runtime)}) as running:
        running.aisa("keys", "create", "laptop")
        asked(running, "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi."}]})
        yield running


def run(server: Server, commands: str) -> str:
    """Run commands as somebody would in the server's folder, and return what they print. Fails at the first that fails."""
    path = f"{server.folder}/.venv/bin:{environment()['PATH']}"
    variables = environment() | {"XDG_RUNTIME_DIR": str(server.folder / "run"), "PATH": path, "AISA_DATA_DIR": ""}
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=server.folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, (commands, done.stdout, done.stderr)
    return done.stdout


def fenced(page: str) -> list[str]:
    """Return a page's blocks of shell commands."""
    return re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def listed(page: str) -> list[str]:
    """Return the commands of a page that stand indented, without what is said beside them."""
    lines = re.findall(r"^    (aisa .*)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return [re.split(r" {3,}", line)[0] for line in lines if not ELSEWHERE.search(line)]


def test_the_tutorial_for_teams_can_be_followed(server: Server) -> None:
    """[fault P8] Every block, from the first key to the one that is revoked; what was put in is in the statement."""
    blocks = fenced("tutorials/team.md")
    assert len(blocks) >= 6
    said = "".join(run(server, block) for block in blocks)
    assert "$120.00" in said
    assert "invoice-114" in said
    assert "sk-aisa-admin-" in said


def test_the_tutorial_for_platforms_can_be_followed(server: Server) -> None:
    """[fault P8] Every block but those that ask a server in the internet."""
    blocks = [block for block in fenced("tutorials/platform.md") if not ELSEWHERE.search(block)]
    assert len(blocks) >= 4
    said = "".join(run(server, block) for block in blocks)
    assert "Everything adds up." in said
    assert (server.folder / "aisa-backup.db").stat().st_size > 0


def test_the_commands_of_the_pages_for_operators_can_be_typed(server: Server) -> None:
    """[fault P8] In the order in which they stand there; the first page makes the account that the others look at."""
    for page in ("limits.md", "operating.md", "billing.md", "admin.md"):
        commands = listed(page)
        assert len(commands) >= 2
        for command in commands:
            run(server, command)


PAGES = [path for path in sorted(DOCS.rglob("*.md")) if "curl" in path.read_text(encoding="utf-8")]
CURLS = [(path.name, command) for path in PAGES for command in curl_commands(path.read_text(encoding="utf-8")) if README_HOST in command]


@pytest.mark.parametrize(("page", "command"), CURLS, ids=[f"{page}-{number}" for number, (page, _) in enumerate(CURLS)])
def test_every_curl_command_of_the_pages_is_answered(server: Server, tmp_path: Path, page: str, command: str) -> None:
    """[fault P8] What stands in a block and calls the API at the address of the start."""
    came = shell(command.replace(README_HOST, server.url).replace("$TOKEN", server.key), server, tmp_path)
    assert came.status == 200, page
    assert_answered(came)
