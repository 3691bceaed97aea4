"""The table of vendors: every row keeps its rules, and what a row says is what a server does that has nothing but an environment."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from aisa.cli.commands import aisa
from aisa.config.detect import SPOKEN, detect
from aisa.config.load import ConfigErrors, Loaded, load
from aisa.credentials.rules import proof_of
from aisa.http.address import read_origin
from aisa.http.nearby import ANSWER_SECONDS_MAX, look_around
from aisa.routing import vendor_target
from aisa.vendors.row import VARIABLE, Row
from aisa.vendors.table import ROWS, row_of
from aisa.wire.chat import Known
from server import Server
from test_reload import until
from vendor import ScriptedVendor

WANTED = (
    "openai azure anthropic google vertex bedrock mistral cohere groq deepseek xai together fireworks openrouter cerebras sambanova "
    "perplexity moonshot dashscope zhipu minimax nvidia huggingface github nebius novita ollama vllm sglang llamacpp lmstudio litellm aisa"
).split()
COMING = {"bedrock", "cohere"}  # dialects that are being built; their rows wait for them
FOUND = [row for row in ROWS.values() if row.dialect in SPOKEN and not row.named_only and not row.retired]
SERVERS = [row for row in ROWS.values() if row.sign is not None]


def everything(row: Row) -> dict[str, str]:
    """Return an environment with all that a vendor's address needs."""
    return {
        name: "https://mine.example" if name.endswith(("ENDPOINT", "URL")) else "x-1"
        for place in VARIABLE.findall(row.base_url)
        for name in place.split("|")
    }


def loaded(folder: Path, text: str, environment: dict[str, str] | None = None, **options: Any) -> Loaded:
    """Load a configuration."""
    (folder / "aisa.yaml").write_text(text, encoding="utf-8")
    return load(str(folder / "aisa.yaml"), environment or {}, {}, **options)


def test_the_table_has_every_vendor_that_was_promised() -> None:
    """In no other spelling, and each once."""
    assert sorted(ROWS) == sorted(WANTED)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_keeps_the_rules(row: Row) -> None:
    """An address that can be asked, a dialect, well-formed variables and hosts, parameters that exist, and sources with their day."""
    assert row.dialect in SPOKEN | COMING
    read_origin(row.address(everything(row)).base_url)
    variables = [*row.key_variables, *filter(None, [row.base_url_variable])]
    assert [name for name in variables if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)] == []
    assert row.key_variables or row.proved_by != "key" or row.sign is not None
    fields = {field.encode_name for field in msgspec.structs.fields(Known)} | {"logit_bias"}
    assert set(row.refuses) | set(row.ignores) <= fields
    assert row.sources
    assert all(source.startswith("https://") or not source.startswith("http") for source in row.sources)
    assert date.fromisoformat(row.seen)
    assert not row.retired or date.fromisoformat(row.retired)
    if row.sign is not None:
        assert f":{row.sign.port}/" in row.base_url
        re.compile(row.sign.answer)
    else:
        assert row_of("any", row.address(everything(row)).base_url) in (row, None)


def test_no_two_rows_are_found_by_the_same_variable() -> None:
    """One key never makes two vendors."""
    variables = [name for row in ROWS.values() for name in {*row.key_variables, row.base_url_variable} if name]
    assert len(variables) == len(set(variables))


@pytest.mark.parametrize("row", [row for row in FOUND if row.sign is None], ids=lambda row: row.name)
def test_a_key_in_the_environment_is_enough(row: Row, tmp_path: Path) -> None:
    """Each of its variables makes this vendor alone, at its address, with the key where it looks for it; an empty one makes nothing."""
    for variable in row.key_variables:
        environment = {**everything(row), variable: " k\n"}
        config = loaded(tmp_path, "", environment).config
        assert list(config.vendors) == [row.name]
        vendor = config.vendors[row.name]
        assert (vendor.dialect, vendor.base_url) == (row.dialect, row.address(environment).base_url)
        proof = proof_of(vendor)
        assert [value for _, value in proof.headers] in (["k"], ["Bearer k"])
        assert not row.key_as or proof.headers[0][0] == row.key_as.removeprefix("header:")
        assert loaded(tmp_path, "", {**everything(row), variable: " "}).config.vendors == {}
        assert loaded(tmp_path, "discovery: {environment: false}", environment).config.vendors == {}


def test_an_address_that_lacks_a_part_makes_no_vendor(tmp_path: Path) -> None:
    """A key for Azure says nothing of where; and the entry that asks for it is told what to set."""
    assert detect({"AZURE_OPENAI_API_KEY": "k"}) == {}
    with pytest.raises(ConfigErrors) as errors:
        loaded(tmp_path, "vendors: {azure: {}}", {"AZURE_OPENAI_API_KEY": "k"})
    assert "AZURE_OPENAI_ENDPOINT" in errors.value.problems[0].what


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.named_only], ids=lambda row: row.name)
def test_a_variable_that_serves_other_things_is_no_wish_to_send_prompts(row: Row, tmp_path: Path) -> None:
    """It makes no vendor; named in the file, without more, the vendor takes the key from there."""
    environment = {**everything(row), **dict.fromkeys(row.key_variables, "t"), row.base_url_variable or "X": "http://127.0.0.1:9/v1"}
    assert detect(environment) == {}
    vendor = loaded(tmp_path, f"vendors: {{{row.name}: {{}}}}", environment).config.vendors[row.name]
    assert (vendor.dialect, vendor.api_key) == (row.dialect, "t" if row.key_variables else None)


def test_a_server_of_ones_own_is_found_by_its_address_alone(tmp_path: Path) -> None:
    """A key for one does not say that it is there."""
    assert detect({"VLLM_API_KEY": "k"}) == {}
    vendor = loaded(tmp_path, "", {"VLLM_API_BASE": "http://10.0.0.7:8000/v1"}).config.vendors["vllm"]
    assert (vendor.base_url, vendor.api_key) == ("http://10.0.0.7:8000/v1", None)


def test_an_entry_has_from_its_row_what_it_does_not_say(tmp_path: Path) -> None:
    """By its own name or by `preset`; what it says itself counts, and a second account needs only its key."""
    keys = {"GROQ_API_KEY": "k", "MISTRAL_API_KEY": "m", "ANTHROPIC_API_KEY": "a", "SPARE": "s"}
    environment = {**keys, "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/"}
    text = """
vendors:
  groq: {connections_max: 3}
  mistral:
  spare: {preset: groq, api_key: "${SPARE}"}
  plain: {preset: anthropic, dialect: openai}
  azure: {api_key: a}
"""
    vendors = loaded(tmp_path, text, environment).config.vendors
    assert (vendors["mistral"].dialect, vendors["mistral"].api_key) == ("mistral", "m")
    groq = vendors["groq"]
    assert (groq.base_url, groq.api_key, groq.connections_max) == ("https://api.groq.com/openai/v1", "k", 3)
    assert (vendors["spare"].base_url, vendors["spare"].api_key) == ("https://api.groq.com/openai/v1", "s")
    assert (vendors["plain"].dialect, vendors["plain"].base_url) == ("openai", "https://api.anthropic.com/v1")
    assert (vendors["azure"].base_url, vendors["azure"].api_key_as) == ("https://r.openai.azure.com/openai/v1", "header:api-key")


def test_a_key_from_the_environment_never_goes_to_another_address(tmp_path: Path) -> None:
    """An entry with an address of its own has no key but what it says, whatever its name and preset."""
    text = "vendors: {groq: {base_url: 'https://elsewhere.example/v1'}, g: {preset: groq, base_url: 'https://elsewhere.example/v1'}}"
    vendors = loaded(tmp_path, text, {"GROQ_API_KEY": "k"}).config.vendors
    assert [vendor.api_key for vendor in vendors.values()] == [None, None]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("mine: {}", "This setting is required."),
        ("mine: {preset: grok}", "There is no vendor `grok` in the table."),
        ("mine: {preset: 7}", "Expected text, but found 7."),
        ("vertex: {}", "GOOGLE_CLOUD_PROJECT"),
    ],
)
def test_an_entry_that_says_too_little_is_told_what_it_lacks(entry: str, said: str, tmp_path: Path) -> None:
    """With the place of the entry."""
    with pytest.raises(ConfigErrors) as errors:
        loaded(tmp_path, f"vendors: {{{entry}}}")
    problem = errors.value.problems[0]
    assert said in problem.what
    assert entry.partition(":")[0] in problem.where


def test_a_row_waits_for_its_dialect(tmp_path: Path) -> None:
    """Of a dialect that is not built in nothing is found, and an entry that asks for it says why; in a dialect that is, the row counts."""
    waiting = msgspec.structs.replace(ROWS["groq"], dialect="not-built")
    assert detect({"GROQ_API_KEY": "k"}, [waiting]) == {}
    assert list(detect({"GROQ_API_KEY": "k"}, [ROWS["groq"]])) == ["groq"]
    for row in [row for row in ROWS.values() if row.dialect not in SPOKEN]:
        with pytest.raises(ConfigErrors, match="is not built in yet"):
            loaded(tmp_path, f"vendors: {{{row.name}: {{}}}}", {**everything(row), row.key_variables[0]: "k"})


@pytest.mark.parametrize(
    ("name", "base_url", "preset", "row"),
    [
        ("a", "https://eu.api.openai.com/v1", None, "openai"),
        ("a", "https://r-1.openai.azure.com/openai/v1", None, "azure"),
        ("a", "https://us-east5-aiplatform.googleapis.com/v1/projects/p", None, "vertex"),
        ("a", "https://bedrock-runtime.eu-west-1.amazonaws.com", None, "bedrock"),
        ("a", "https://API.GROQ.com./openai/v1", None, "groq"),
        ("a", "https://ec2-1.compute.amazonaws.com/v1", None, None),
        ("openai", "http://10.0.0.1/v1", None, None),
        ("a", "https://api.openai.com.example/v1", None, None),
        ("gpu-vllm-2", "http://10.0.0.1:8000/v1", None, "vllm"),
        ("a", "http://vllm.internal:8000/v1", None, "vllm"),
        ("a", "http://10.0.0.1:8000/v1", "vllm", "vllm"),
        ("vllm", "https://api.groq.com/openai/v1", None, "groq"),
    ],
)
def test_a_vendor_is_known_by_its_host_or_by_what_its_entry_says(name: str, base_url: str, preset: str | None, row: str | None) -> None:
    """Not by its name, but for servers that run anywhere."""
    found = row_of(name, base_url, preset)
    assert (found.name if found else None) == row


def test_what_a_vendor_is_like_reaches_its_targets(tmp_path: Path) -> None:
    """A preset is enough for a server that says with each chunk how many tokens it has made; the setting wins."""
    text = """
vendors:
  gpu: {preset: vllm, base_url: "http://10.0.0.1:8000/v1"}
  off: {preset: vllm, base_url: "http://10.0.0.1:8000/v1", running_usage: false}
  other: {base_url: "http://10.0.0.1:8000/v1"}
"""
    config = loaded(tmp_path, text).config
    assert [vendor_target(name, config).running_usage for name in ("gpu", "off", "other")] == [True, False, False]


# On this machine

REAL = {
    "ollama": '{"version":"0.40.12"}',
    "vllm": '{"object":"list","data":[{"id":"tiny","object":"model","created":1,"owned_by":"vllm","root":"/m","max_model_len":2048}]}',
    "sglang": '{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"sglang","root":"m","max_model_len":4096}]}',
    "llamacpp": '{"models":[],"object":"list","data":[{"id":"q","object":"model","owned_by":"llamacpp","meta":{"n_ctx":8192}}]}',
    "lmstudio": '{"data": [{"id": "q", "object": "model", "owned_by": "organization_owner"}], "object": "list"}',
    "litellm": '"I\'m alive!"',
}


@contextmanager
def answering(path: str, body: str) -> Iterator[int]:
    """Answer one path on a free port of this machine, and 404 elsewhere; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = body.encode()
            self.send_response(200 if self.path == path else 404)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def moved(row: Row, port: int) -> Row:
    """Return a row whose server is looked for at another port."""
    assert row.sign is not None
    return msgspec.structs.replace(row, sign=row.sign._replace(port=port))


@pytest.mark.parametrize("row", SERVERS, ids=lambda row: row.name)
def test_a_server_on_this_machine_is_told_from_the_others(row: Row) -> None:
    """Each knows its own answer, as the real one gives it, and none of the others'; at a port of ours nobody is asked."""
    assert row.sign is not None
    for name, body in REAL.items():
        with answering(row.sign.path, body) as port:
            assert [found.name for found in look_around(rows=[moved(row, port)])] == ([name] if name == row.name else [])
            assert look_around((port,), [moved(row, port)]) == []


def test_another_server_of_ours_is_no_vendor_and_is_not_bothered(server: Server) -> None:
    """It listens where vLLM does, and would log the question for its models as one without a key."""
    port, before = read_origin(server.url).port, server.log.count('"/v1/models"')
    assert look_around(rows=[moved(ROWS["vllm"], port)]) == []
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/asked-afterwards")
        connection.getresponse().read()
    until(lambda: "/asked-afterwards" in server.log)  # and so it has what came before
    assert server.log.count('"/v1/models"') == before


def test_a_port_that_never_ends_its_answer_is_hung_up_on() -> None:
    """As a server of something else may, which answers any path with a stream of events: each byte began the time-out anew."""
    with socket.create_server(("127.0.0.1", 0)) as events:
        hung_up = threading.Event()

        def babble() -> None:
            line, _ = events.accept()
            with line, suppress(OSError):
                line.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                while not hung_up.wait(ANSWER_SECONDS_MAX / 5):
                    line.sendall(b": still here\n\n")

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        began = time.monotonic()
        assert look_around(rows=[moved(ROWS["sglang"], events.getsockname()[1])]) == []
        assert time.monotonic() - began < 6 * ANSWER_SECONDS_MAX
        hung_up.set()
        thread.join(10)


def test_a_port_that_is_closed_or_silent_or_babbles_is_no_server() -> None:
    """And a silent one delays the start by the time that is allowed, all ports together."""
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as closed:
        port, gone = silent.getsockname()[1], closed.getsockname()[1]
        closed.close()
        began = time.monotonic()
        assert look_around(rows=[moved(row, port) for row in SERVERS]) == []
        assert time.monotonic() - began < (len(SERVERS) - 1) * ANSWER_SECONDS_MAX
        assert look_around(rows=[moved(SERVERS[0], gone)]) == []
    with answering("/api/version", '<html>"version"</html>') as port:
        assert look_around(rows=[moved(ROWS["ollama"], port)]) == []


@pytest.mark.parametrize(
    ("text", "environment", "asked"),
    [
        ("", {}, True),
        ("models: {m: [ollama/llama3]}", {}, True),
        ("vendors: {v: {base_url: 'http://h/v1'}}", {}, False),
        ("{discovery: {loopback: always}, vendors: {v: {base_url: 'http://h/v1'}}}", {}, True),
        ("discovery: {loopback: never}", {}, False),
        ("", {"AISA_DISCOVERY_LOOPBACK": "never"}, False),
        ("", {"OPENAI_API_KEY": "k"}, True),
    ],
)
def test_this_machine_is_looked_at_unless_the_file_names_its_vendors(
    text: str, environment: dict[str, str], asked: bool, tmp_path: Path
) -> None:
    """What answers is a vendor as if it had an entry, and our own port is not asked."""
    looks: list[tuple[int, ...]] = []

    def nearby(ports: Any) -> list[Row]:
        looks.append(tuple(ports))
        return [ROWS["ollama"]]

    result = loaded(tmp_path, text, environment, nearby=nearby)
    assert looks == ([(8000,)] if asked else [])
    assert ("ollama" in result.config.vendors) is asked
    if asked:
        assert result.config.vendors["ollama"].base_url == "http://127.0.0.1:11434/v1"
        assert result.origins["vendors.ollama"] == "answers at 127.0.0.1:11434"


def test_an_entry_of_the_file_wins_over_what_answers_here(tmp_path: Path) -> None:
    """A vendor is never there twice."""
    text = "{discovery: {loopback: always}, vendors: {ollama: {base_url: 'http://10.0.0.9:11434/v1'}}}"
    result = loaded(tmp_path, text, nearby=lambda _ports: [ROWS["ollama"]])
    assert result.config.vendors["ollama"].base_url == "http://10.0.0.9:11434/v1"


# The command


def run(*arguments: str, **environment: str) -> Any:
    """Run a command without looking at this machine, in an environment with no vendor's key but these."""
    clean = dict.fromkeys([name for row in ROWS.values() for name in (*row.key_variables, row.base_url_variable) if name])
    base: dict[str, Any] = {**clean, "AISA_CONFIG": None, "NO_COLOR": "1", "AISA_DISCOVERY_LOOPBACK": "never"}
    return CliRunner().invoke(aisa, arguments, env={**base, **environment}, prog_name="aisa", catch_exceptions=False)


def test_the_command_lists_every_vendor_and_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Used ones with where they come from; no key is ever shown."""
    monkeypatch.chdir(tmp_path)
    result = run("vendors", GROQ_API_KEY="gsk-secret")
    lines = {line.split()[0]: line for line in result.output.splitlines()[1:]}
    assert (result.exit_code, list(lines)) == (0, list(ROWS))
    assert "used: GROQ_API_KEY in the environment" in lines["groq"]
    assert "set AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT" in lines["azure"]
    assert "write `huggingface: {}`" in lines["huggingface"]
    assert "shut down on 2026-07-30" in lines["github"]
    assert "does not answer at port 11434" in lines["ollama"]
    assert "we listen at port 8000" in lines["vllm"]
    assert "gsk-secret" not in result.output


def test_the_command_asks_the_vendors_that_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --check, and leaves with 1 if one would fail; the vendors of the file are listed, too."""
    monkeypatch.chdir(tmp_path)
    with ScriptedVendor() as vendor:
        (tmp_path / "aisa.yaml").write_text(json.dumps({"vendors": {"mine": {"base_url": vendor.url}}}), encoding="utf-8")
        result = run("vendors", "--check")
    assert re.search(r"^mine .*used: aisa.yaml, line 1", result.output, re.MULTILINE)
    assert "Vendors asked" in result.output
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = server.getsockname()[1]
    (tmp_path / "aisa.yaml").write_text(f"vendors: {{mine: {{base_url: 'http://127.0.0.1:{gone}/v1'}}}}", encoding="utf-8")
    assert run("vendors", "--check").exit_code == 1
