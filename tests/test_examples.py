"""The commands that our pages and the API's reference page show, run as they stand through a shell. Only host and key are put in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonschema import validate

from aisa.testing.conformance import check_answer, check_stream
from recorder import SCHEMA
from server import PROCESS_SECONDS_MAX, Server, environment

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text(encoding="utf-8")
README_HOST = "http://127.0.0.1:8000"
#: What curl is told beside the command: to be quiet about progress, and to say on standard error what came.
CURLRC = 'silent\nnoproxy = "*"\nwrite-out = "%{stderr}%{http_code} %{content_type}"\n'


class Came(NamedTuple):
    """What a command got."""

    status: int
    kind: str
    body: bytes


def shell(command: str, server: Server, folder: Path) -> Came:
    """Run a command with bash, the server's key in the variable that our pages use."""
    (folder / ".curlrc").write_text(CURLRC, encoding="utf-8")
    variables = environment() | {"CURL_HOME": str(folder), "AISA_API_KEY": server.key}
    ran = subprocess.run(["bash", "-euc", command], env=variables, capture_output=True, check=True, timeout=PROCESS_SECONDS_MAX)
    status, _, kind = ran.stderr.decode().partition(" ")
    return Came(int(status), kind, ran.stdout)


def example(name: str, server: Server) -> str:
    """Return an example of the API's reference page, sent to our server with our key."""
    command = (HERE / "examples" / name).read_text(encoding="utf-8")
    return command.replace("https://api.aisa.one/v1", server.api).replace("<token>", server.key)


def curl_commands(text: str) -> list[str]:
    """Return the curl commands in a text, each to the end of its last line."""
    return re.findall(r"^curl .*(?:\n(?!\n|```).*)*", text, re.MULTILINE)


def test_the_plain_example_of_the_reference_page_is_answered(server: Server, tmp_path: Path) -> None:
    """The page's first command gets a completion, with the 123 alternatives a token that its placeholder asks for."""
    came = shell(example("create.sh", server), server, tmp_path)
    assert (came.status, came.kind) == (200, "application/json")
    assert check_answer(came.body) == []
    answer = json.loads(came.body)
    validate(answer, {"$ref": "#/$defs/CreateChatCompletionResponse", "$defs": SCHEMA["$defs"]})
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"] != ""
    assert {len(token["top_logprobs"]) for token in tokens} == {123}


def test_the_streamed_example_of_the_reference_page_is_answered(server: Server, tmp_path: Path) -> None:
    """The page's second command gets a stream that keeps every rule."""
    came = shell(example("stream.sh", server), server, tmp_path)
    assert (came.status, came.kind) == (200, "text/event-stream; charset=utf-8")
    assert check_stream(came.body, include_usage=False) == []
    assert len(text_of(came.body).split()) > 5


#: What is captured in a ```text block was printed by a server; its command is tested from the banner of a running one.
TO_RUN = re.sub(r"^```text\n.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", curl_commands(TO_RUN), ids=lambda command: f"{'stream' if 'stream' in command else 'plain'}")
def test_every_curl_command_of_the_readme_is_answered(server: Server, tmp_path: Path, command: str) -> None:
    """What a reader copies from the page works, once the server runs where the page says."""
    assert README_HOST in command
    assert_answered(shell(command.replace(README_HOST, server.url), server, tmp_path))


def test_the_command_that_the_first_start_prints_is_answered(server: Server, tmp_path: Path) -> None:
    """The line under the first key, pasted as it stands, streams text: the key in it works, and the address is the server's."""
    (command,) = curl_commands(server.banner)
    came = shell(command, server, tmp_path)
    assert came.kind.startswith("text/event-stream")
    assert_answered(came)


def test_the_python_program_of_the_readme_prints_an_answer(server: Server) -> None:
    """What a reader copies into a file runs and prints text."""
    (program,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert README_HOST in program
    variables = environment() | {"AISA_API_KEY": server.key}
    command = [sys.executable, "-c", program.replace(README_HOST, server.url)]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=PROCESS_SECONDS_MAX)
    assert len(ran.stdout.split()) > 5


def assert_answered(came: Came) -> None:
    """Fail unless this is a good answer of either kind."""
    streamed = came.kind.startswith("text/event-stream")
    assert came.status == 200
    assert (check_stream(came.body, include_usage=False) if streamed else check_answer(came.body)) == []


def text_of(stream: bytes) -> str:
    """Return the text in a stream of one choice."""
    events: list[Any] = [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)
