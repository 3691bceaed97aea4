"""`aisa check` and `aisa simulate` as commands: what they print, write and return. The checks themselves have tests of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aisa.checks.check import FAILED, SKIPPED
from aisa.checks.client import Address, connect
from aisa.checks.members import at
from aisa.checks.registry import CHECKS
from aisa.cli.commands import aisa
from aisa.testing.scenario import BUILT_IN, CASE_BODIES, Answer, Scenario, ScenarioUnfit, Step, built_in, corpus_case, load_scenario
from aisa.testing.scripted_server import ScriptedServer
from ports import free_port
from server import Server, environment, serving

SECONDS_MAX = 30  # for an answer that comes at once

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(
    folder for dialect in CORPUS.iterdir() for folder in dialect.iterdir() if any((folder / name).exists() for name in CASE_BODIES)
)
PLAYED = """\
vendors:
  played: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: k, allow_unpriced: true}}
models:
  check: {{to: [played/check], prices: {{input: 1.0, output: 2.0}}}}
"""


class Played:
    """A server whose model `check` leads to a port where the check plays the vendor."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self.port = server, port

    def check(self, *words: str, typed: str | None = None, key: str | None = None) -> Result:
        """Run the command with the server's key in the environment."""
        whole = ("check", self.server.url, "--model", "check", *words)
        return CliRunner().invoke(aisa, whole, input=typed, env={"AISA_API_KEY": self.server.key if key is None else key, "COLUMNS": "120"})


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """One for all tests here."""
    port = free_port()
    with serving(tmp_path_factory.mktemp("checked"), PLAYED.format(port=port)) as running:
        yield Played(running, port)


def test_what_passes_is_a_table_and_status_0(played: Played) -> None:
    """Checks that were asked for, and no others, with what was seen and the sum."""
    result = played.check("--vendor-port", str(played.port), "--only", "role-once", "--only", "retry-after")
    assert result.exit_code == 0, result.output
    assert "role-once" in result.output
    assert "2 passed, 0 failed, 0 skipped." in result.output
    assert "done-last" not in result.output


def test_all_quick_checks_pass_at_a_server_of_ours(played: Played) -> None:
    """Directly, over a socket of its own process, in real time: nothing fails, and nothing is skipped."""
    result = played.check("--vendor-port", str(played.port), "--quick", "--json", "-")
    told = json.loads(result.stdout)
    assert [(check["name"], check["seen"]) for check in told["checks"] if check["state"] != "passed"] == []
    assert len(told["checks"]) >= 50
    assert result.exit_code == 0


def test_without_a_vendor_the_model_is_asked_and_the_rest_is_skipped(server: Server) -> None:
    """The embedded model passes what can be checked of it; what needs a vendor says so."""
    whole = ("check", server.url, "--model", "gpt-4.1", "--quick", "--json", "-")
    result = CliRunner().invoke(aisa, whole, env={"AISA_API_KEY": server.key})
    checks = json.loads(result.stdout)["checks"]
    assert [check["name"] for check in checks if check["state"] == FAILED] == []
    assert result.exit_code == 0  # a newcomer's first check is green, though a server with nothing configured answers under every name
    assert {check["name"] for check in checks if check["state"] == SKIPPED} >= {
        check.name for check in CHECKS if check.needs_vendor and check.quick
    }


def test_a_failure_tells_what_it_breaks_and_what_to_change_and_exits_with_1(tmp_path: Path) -> None:
    """In front of something that is no such server at all; in the table, in JSON and in JUnit."""
    json_file, junit_file = tmp_path / "c.json", tmp_path / "c.xml"

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nserver: nginx/1.22.1\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"
        )
        writer.close()

    async def main() -> tuple[int, str]:
        listening = await asyncio.start_server(nothing, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        command = [
            sys.executable,
            "-m",
            "aisa",
            "check",
            url,
            "--model",
            "m",
            "--only",
            "no-key",
            "--only",
            "models-head",
            "--only",
            "health",
        ]
        command += ["--json", str(json_file), "--junit", str(junit_file)]
        variables = environment() | {"AISA_API_KEY": "sk-x"}
        process = await asyncio.create_subprocess_exec(*command, env=variables, stdout=subprocess.PIPE)
        said, _ = await process.communicate()
        listening.close()
        return process.returncode or 0, said.decode()

    status, said = asyncio.run(main())
    assert status == 1
    assert "behind nginx/1.22.1" in said
    assert "proxy_intercept_errors" in said  # of the product that stands there
    assert "ProxyErrorOverride" not in said  # and of no other
    told: Any = json.loads(json_file.read_bytes())
    assert (told["failed"], told["passed"]) == (1, 2)
    suite = ET.fromstring(junit_file.read_bytes())
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["no-key"]


def test_the_key_comes_from_a_variable_or_from_standard_input_and_never_from_the_command_line(played: Played) -> None:
    """Whoever lists the machine's processes sees no key; without one the command says what to set."""
    one = ("--vendor-port", str(played.port), "--only", "key-arrives")
    assert played.check(*one, "--key-env", "-", typed=f"{played.server.key}\n", key="").exit_code == 0
    missing = played.check(*one, "--key-env", "NO_SUCH_VARIABLE_HERE")
    assert missing.exit_code == 2
    assert "export NO_SUCH_VARIABLE_HERE" in missing.output
    assert "--key " not in CliRunner().invoke(aisa, ("check", "--help")).output


def test_a_model_that_does_not_lead_to_the_played_vendor_is_told_before_anything_else(played: Played) -> None:
    """Else all checks of a vendor's faults would be of something else."""
    whole = ("check", played.server.url, "--model", "gpt-4.1", "--vendor-port", "0")
    result = CliRunner().invoke(aisa, whole, env={"AISA_API_KEY": played.server.key})
    assert result.exit_code == 2
    assert "nobody came to http://127.0.0.1:" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "http://127.0.0.1:1"), "does not answer"),
        (("check", "http://127.0.0.1:1"), "no connection: Connection refused.\n    → Does it run, and at this port?"),
        (("check", "ftp://x"), "cannot be used"),
        (("check", "http://127.0.0.1:1", "--only", "nothing"), "no such check"),
        (("check", "http://127.0.0.1:1", "--header", "nothing"), "header cannot be read"),
        (("check",), "Say what is to be checked"),
        (("simulate", "--scenario", "no-such-file.yaml"), "cannot be played"),
    ],
)
def test_what_cannot_be_done_is_status_2_with_a_remedy(words: tuple[str, ...], said: str) -> None:
    """Nothing is guessed."""
    result = CliRunner().invoke(aisa, words)
    assert (result.exit_code, said in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://x", "ftp://x"),
        ("FTP://x:21/y", "FTP://x:21/y"),
        ("ftp:x", "ftp:x"),
        ("ftp://u:pa/s?s@x/y", "ftp://x/y"),
        ("http://u:pass@x?q=1#f", "http://x"),
        ("u:pass@x", "x"),
    ],
)
def test_an_address_that_is_none_is_told_as_it_was_written_but_for_its_password(url: str, told: str) -> None:
    """[a newcomer's] `ftp://x` was `ftp://ftp:`."""
    assert CliRunner().invoke(aisa, ("check", url)).output.splitlines()[2].strip() == told


def test_lists_name_every_check_and_every_scenario() -> None:
    """Both are there without a server."""
    checks, scenarios = (CliRunner().invoke(aisa, (name, "--list")).output for name in ("check", "simulate"))
    assert all(check.name in checks for check in CHECKS)
    assert all(path.stem in scenarios for path in BUILT_IN.glob("*.yaml"))


async def asked_of(server: ScriptedServer, model: str, *, stream: bool = True) -> tuple[int, str, bytes]:
    """What the scripted vendor answers for one model: status, type and body."""
    return await sent_to(server, "/v1/chat/completions", json.dumps({"model": model, "stream": stream, "messages": []}).encode())


async def sent_to(server: ScriptedServer, path: str, body: bytes) -> tuple[int, str, bytes]:
    """What it answers to a body: status, type and body."""
    line = await connect(Address("127.0.0.1", server.port))
    await line.send(b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
    response = await line.rest(await line.head())
    line.close()
    return response.status, response.headers.get("content-type", ""), response.body


def test_every_case_of_the_corpus_can_be_served_byte_for_byte() -> None:
    """Whatever the vendor of a case sent, with its status, for a request that names the case as its model."""
    assert len(CASES) > 600
    scenarios = {f"{number}": corpus_case(folder) for number, folder in enumerate(CASES)}

    async def main() -> None:
        server = ScriptedServer(scenarios, "0")
        await server.listen("127.0.0.1", 0)
        for name, scenario in scenarios.items():
            [answer] = scenario.answers
            status, kind, body = await asked_of(server, name)
            assert (status, kind, body) == (answer.status, answer.headers["content-type"], answer.raw), CASES[int(name)].name
        await server.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "text",
    [
        "answers: []",
        "answers: [{steps: [{say: a, end: stop}]}]",
        "answers: [{steps: [{say: a, times: 0}]}]",
        "answers: [{steps: [{wait_seconds: -1}]}]",
        "answers: [{status: 99, body: a}]",
        "answers: [{body: a, json: {}}]",
        "answers: [{file: nowhere.bin}]",
        "answers: [{stepps: []}]",
        "[1, 2",
        "answers: [{steps: [{}]}]",
        "answers: [{steps: [{say: []}]}]",
        "answers: [{steps: [{call: {name: f, fragments: 0}}]}]",
        "answers: [{headers: {a b: c}, body: x}]",
        'answers: [{headers: {a: "b\\nc: d"}, body: x}]',
    ],
)
def test_a_scenario_that_cannot_be_played_says_what_is_wrong(tmp_path: Path, text: str) -> None:
    """It is refused before anything listens."""
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioUnfit) as unfit:
        load_scenario(path)
    assert unfit.value.what
    assert unfit.value.remedy


def test_an_answer_of_nothing_has_a_head(tmp_path: Path) -> None:
    """A status alone is the shortest scenario of a failure; asked for a stream, it was an end without a beginning."""
    (tmp_path / "down.yaml").write_text("answers: [{status: 503}]", encoding="utf-8")

    async def main() -> list[tuple[int, str]]:
        server = ScriptedServer({"down": load_scenario(tmp_path / "down.yaml")}, "down")
        await server.listen("127.0.0.1", 0)
        found = [(await asked_of(server, "down", stream=stream))[:2] for stream in (True, False)]
        await server.close()
        return found

    assert asyncio.run(main()) == [(503, "text/event-stream"), (503, "application/json")]


def test_several_texts_are_said_in_turn() -> None:
    """As a stream, and as a document; a gateway that ends a stream of equal tokens is no reason to invent longer ones."""

    async def main() -> tuple[bytes, bytes]:
        scenario = Scenario((Answer(steps=(Step(say=("a{n}", "b"), times=3), Step(end="stop"))),), name="turns")
        server = ScriptedServer({"turns": scenario}, "turns")
        await server.listen("127.0.0.1", 0)
        streamed, whole = (await asked_of(server, "turns"))[2], (await asked_of(server, "turns", stream=False))[2]
        await server.close()
        return streamed, whole

    streamed, whole = asyncio.run(main())
    assert [at(json.loads(line[6:]), "choices", 0, "delta", "content") for line in streamed.split(b"\n\n")[1:4]] == ["a1", "b", "a3"]
    assert json.loads(whole)["choices"][0]["message"]["content"] == "a1ba3"


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/responses", b'{"input": "x"}', 404, "Invalid URL"),
        ("/v1/chat/completions", b'{"model": ', 400, "JSON"),
        ("/v1/chat/completions", b"[]", 400, "JSON"),
        ("/v1/chat/completions", b'{"model": "hello"}', 400, "messages"),
        ("/v1/chat/completions", b'{"messages": [], "n": 100000000000}', 400, "'n'"),
        ("/v1/chat/completions", b'{"messages": [], "n": "many"}', 400, "'n'"),
        ("/v1/completions", b'{"prompt": "x", "n": 0}', 400, "'n'"),
        ("/v1/chat/completions", b"[" * 100_000, 400, "JSON"),
    ],
)
def test_what_no_vendor_would_answer_the_played_one_refuses(path: str, body: bytes, status: int, said: str) -> None:
    """A gateway that leaves such refusals to its vendor is judged by what it makes of them."""

    async def main() -> tuple[int, bytes]:
        server = ScriptedServer(built_in(), "hello")
        await server.listen("127.0.0.1", 0)
        given = await sent_to(server, path, body)
        await server.close()
        return given[0], given[2]

    given, told = asyncio.run(main())
    assert given == status
    assert said in json.loads(told)["error"]["message"]


@pytest.mark.parametrize(
    ("head", "bare"),
    [
        (b"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\n", False),
        (b"POST /v1/embeddings HTTP/1.0\r\n", False),
        (b"HEAD /v1/models HTTP/1.1\r\nConnection: Close\r\n", True),
    ],
)
def test_a_played_vendor_closes_for_who_asks_it_to(head: bytes, bare: bool) -> None:
    """Such a client reads until the end, and would wait for ever."""

    async def main() -> bytes:
        server = ScriptedServer(built_in(), "hello")
        reader, writer = await asyncio.open_connection("127.0.0.1", await server.listen("127.0.0.1", 0))
        writer.write(head + b'content-length: 16\r\n\r\n{"messages": []}')
        async with asyncio.timeout(SECONDS_MAX):
            answer = await reader.read()
        writer.close()
        await server.close()
        return answer

    begin, _, body = asyncio.run(main()).partition(b"\r\n\r\n")
    assert (begin.startswith(b"HTTP/1.1 200"), body == b"") == (True, bare)


def test_answers_come_in_turn_and_a_text_may_name_its_scenario() -> None:
    """The first request gets the first answer, the last answer stays; `scenario:NAME` in the text wins over the model's name."""

    async def main() -> list[tuple[int, bool]]:
        server = ScriptedServer(built_in(), "hello")
        await server.listen("127.0.0.1", 0)
        seen = [await asked_of(server, model) for model in ("overloaded-once", "overloaded-once", "x/scenario:web-page", "any")]
        await server.close()
        return [(status, b"[DONE]" in body) for status, _, body in seen]

    assert asyncio.run(main()) == [(503, False), (200, True), (502, False), (200, True)]


def test_simulate_serves_a_file_until_it_is_stopped(tmp_path: Path) -> None:
    """It says where it listens and what came of each request."""
    (tmp_path / "mine.yaml").write_text("answers: [{steps: [{say: Mine}, {end: stop}]}]", encoding="utf-8")
    command = [sys.executable, "-m", "aisa", "simulate", "--port", "0", "--scenario", str(tmp_path / "mine.yaml")]
    process = subprocess.Popen(command, env=os.environ | environment() | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        port = int(first.split("127.0.0.1:")[1].split("/")[0])

        async def main() -> bytes:
            server = ScriptedServer(built_in(), "hello")
            server.port = port
            return (await asked_of(server, "anything"))[2]

        assert b"Mine" in asyncio.run(main())
        process.stdout.readline()
        assert "mine" in process.stdout.readline()
    finally:
        process.kill()
        process.communicate()
