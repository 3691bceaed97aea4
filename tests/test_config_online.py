"""`aisa config check --online`: what is found out about each vendor, from vendors on real sockets that answer by script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from aisa.cli.commands import aisa
from aisa.cli.online import ANSWER_SECONDS_MAX, VENDORS_AT_ONCE_MAX, Finding, ask_vendors, variables_of
from aisa.cli.unreached import unreached
from aisa.config.schema import Config, Model, Vendor
from aisa.http.failures import in_words
from aisa.testing.clock import run_virtual
from http_client_rig import Connection, FakeVendor

LIST = {"data": [{"id": "gpt-4.1"}, {"id": "models/gemini-2.5-pro"}]}
NO_KEY = (401, {"error": {"message": "Incorrect API key provided"}})
BAD_CALL = (400, {"error": {"message": "you must provide messages"}})
NO_MODEL = (400, {"error": {"message": "The model `gone` does not exist"}})
Answers = dict[str, tuple[int, Any]]


def answering_by(answers: Answers, asked: list[str]) -> Any:
    """Answer `GET /models`, `POST {}` and `POST <model>` each as told; 404 to anything else."""

    async def script(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            name = "list" if head.startswith(b"GET /v1/models ") else json.loads(body).get("model", "call")
            asked.append(name)
            status, document = answers.get(name, (404, {}))
            text = json.dumps(document).encode()
            connection.send(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))

    return script


def found_at(answers: Answers, *models: str, api_key: str | None = "k") -> tuple[Finding, list[str]]:
    """Return what is found at one vendor that some models are served by, and what it was asked."""
    asked: list[str] = []

    async def scenario() -> Finding:
        async with FakeVendor(answering_by(answers, asked)).serving() as fake:
            vendor = Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1", api_key=api_key)
            config = Config(vendors={"v": vendor}, models={f"m{n}": Model(to=(f"v/{model}",)) for n, model in enumerate(models)})
            (finding,) = [finding async for finding in ask_vendors(config, {})]
            return finding

    return run_virtual(scenario()), asked


def test_a_vendor_that_works_is_told_with_what_it_has() -> None:
    """[fault P11] Reachable, key good, models there; a name that the list leaves out is asked for, and no answer is ever ordered."""
    answers: Answers = {"list": (200, LIST), "call": BAD_CALL, "deployment": BAD_CALL}
    finding, asked = found_at(answers, "gpt-4.1", "gemini-2.5-pro", "deployment")
    assert finding == Finding("v", ("reachable", "key accepted", "2 models", "3 of the 3 configured there"), ())
    assert asked == ["list", "call", "deployment"]


@pytest.mark.parametrize(
    "refusal", [(404, {}), (400, {"error": {"message": "The model `gpt-4.2` does not exist"}}), (422, {"detail": "unknown model"})]
)
def test_a_model_that_a_vendor_has_not_is_told_with_the_nearest(refusal: tuple[int, Any]) -> None:
    """Whatever status the vendor chose to say it with."""
    finding, _ = found_at({"list": (200, LIST), "call": BAD_CALL, "gpt-4.2": refusal}, "gpt-4.2", "gpt-4.1")
    assert finding.good[-1] == "1 of the 2 configured there"
    assert finding.problems == (("models", "v has no model `gpt-4.2`.", "Did you mean v/gpt-4.1?"),)


@pytest.mark.parametrize(
    ("answers", "api_key", "setting", "what", "remedy"),
    [
        ({"list": NO_KEY, "call": NO_KEY}, "k", "api_key", "refuses the key (status 401)", "Copy the key"),
        ({"list": (200, LIST), "call": (403, {})}, "k", "api_key", "refuses the key (status 403)", "Copy the key"),  # its list is public
        ({"list": NO_KEY, "call": NO_KEY}, None, "api_key", "wants a key", "Set api_key"),
        ({}, "k", "base_url", "Neither a list of models nor /chat/completions is there", "/v1"),
        ({"list": (200, LIST), "call": (402, {})}, "k", "api_key", "no calls now (status 402)", "credit"),
        ({"list": (200, LIST), "call": (500, {})}, "k", "base_url", "fails (status 500)", "later"),
    ],
)
def test_what_would_keep_calls_from_working_is_told(answers: Answers, api_key: str | None, setting: str, what: str, remedy: str) -> None:
    """[fault P11] Each with its setting and what to do, once, and its models are not asked for then."""
    finding, asked = found_at(answers, "gpt-4.1", api_key=api_key)
    ((where, said, told),) = finding.problems
    assert (where, asked) == (f"vendors.v.{setting}", ["list", "call"])
    assert what in said
    assert remedy in told


@pytest.mark.parametrize("listed", [(404, {}), (200, {"models": []}), (200, "x")])
def test_a_vendor_without_a_list_is_asked_by_its_models_names(listed: tuple[int, Any]) -> None:
    """A key that is accepted and a model that is known are enough."""
    finding, asked = found_at({"list": listed, "call": BAD_CALL, "a": BAD_CALL, "gone": NO_MODEL}, "a", "gone", api_key=None)
    assert finding.good == ("reachable", "needs no key", "no list of models", "1 of the 2 configured there")
    assert [problem.what for problem in finding.problems] == ["v has no model `gone`."]
    assert asked == ["list", "call", "a", "gone"]


PATHS = {
    "anthropic": "/messages",
    "bedrock": "/model/M/converse",
    "cohere": "/chat",
    "gemini": "/models/M:generateContent",
    "mistral": "/chat/completions",
    "openai": "/chat/completions",
    "responses": "/responses",
}
#: How each says that it lacks the conversation, refuses the key, and does not know the model `M-1`, in its own words.
LACKING = (400, {"error": {"message": "messages: at least one message is required", "type": "invalid_request_error"}})
BAD_KEYS = {
    "anthropic": (401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}),
    "bedrock": (403, {"message": "The security token included in the request is invalid."}),
    "cohere": (401, {"message": "invalid api token"}),
    "gemini": (400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}),
    "mistral": (401, {"detail": "Unauthorized"}),
    "openai": (401, {"error": {"message": "Incorrect API key provided: k.", "code": "invalid_api_key"}}),
    "responses": (401, {"error": {"message": "Incorrect API key provided: k.", "code": "invalid_api_key"}}),
}
UNKNOWN = {
    "anthropic": (404, {"type": "error", "error": {"type": "not_found_error", "message": "model: M-1"}}),
    "bedrock": (400, {"message": "The provided model identifier is invalid."}),
    "cohere": (404, {"message": "model 'M-1' not found, make sure the correct model ID was used"}),
    "gemini": (404, {"error": {"code": 404, "message": "models/M-1 is not found for API version v1beta", "status": "NOT_FOUND"}}),
    "mistral": (400, {"object": "error", "message": "Invalid model: M-1", "type": "invalid_model", "code": "1500"}),
    "openai": (404, {"error": {"message": "The model `M-1` does not exist", "code": "model_not_found"}}),
    "responses": (400, {"error": {"message": "The requested model 'M-1' does not exist.", "code": "model_not_found"}}),
}
Asked = list[tuple[str, dict[str, Any]]]  # the path below the address, and the body, of each call


def asked_in(
    dialect: str, answer: Callable[[str, dict[str, Any]], tuple[int, Any]], *models: str, **settings: Any
) -> tuple[Finding, Asked]:
    """Return what is found at a vendor of a dialect that has no list, and which calls it was asked."""
    asked: Asked = []

    async def script(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            method, path, _ = head.decode().split(" ", 2)
            status, document = 404, {}
            if method == "POST":
                asked.append((path.removeprefix("/v1"), json.loads(body)))
                status, document = answer(*asked[-1])
            text = json.dumps(document).encode()
            connection.send(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))

    async def scenario() -> Finding:
        async with FakeVendor(script).serving() as fake:
            vendor = msgspec.convert(
                {"base_url": f"http://127.0.0.1:{fake.port}/v1", "api_key": "k", "dialect": dialect, **settings}, Vendor
            )
            config = Config(vendors={"v": vendor}, models={f"m{n}": Model(to=(f"v/{model}",)) for n, model in enumerate(models)})
            (finding,) = [finding async for finding in ask_vendors(config, {})]
            return finding

    return run_virtual(scenario()), asked


@pytest.mark.parametrize("dialect", PATHS)
def test_each_dialect_is_asked_in_its_own_words(dialect: str) -> None:
    """[fault P11] At the address of its own calls, with its own body, and never with anything to answer."""
    finding, asked = asked_in(dialect, lambda _path, _body: LACKING, "M-1", "M-2")
    assert finding == Finding("v", ("reachable", "key accepted", "no list of models", "2 of the 2 configured there"), ())
    assert {path for path, _ in asked} <= {PATHS[dialect].replace("M", f"M-{n}") for n in (1, 2)}
    for path, body in asked:
        assert not any(body.get(name) for name in ("messages", "input", "contents"))
        assert body == {} or "M" in PATHS[dialect] or body["model"] in ("M-1", "M-2"), path


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("models", [(), ("M-1",)], ids=["no model", "a model"])
def test_a_key_that_is_refused_is_told_in_every_dialect(dialect: str, models: tuple[str, ...]) -> None:
    """[fault P11] Whatever status stands for it: Gemini says 400."""
    finding, asked = asked_in(dialect, lambda _path, _body: BAD_KEYS[dialect], *models)
    assert [(problem.where, "refuses the key" in problem.what) for problem in finding.problems] == [("vendors.v.api_key", True)]
    assert len(asked) == 1


@pytest.mark.parametrize("dialect", PATHS)
def test_a_model_that_is_not_there_is_told_in_every_dialect(dialect: str) -> None:
    """[fault P11] Also if it is the only one, and its name is in the path."""
    for models in (("M-1",), ("M-1", "M-2"), ("M-2", "M-1")):
        finding, _ = asked_in(
            dialect, lambda path, body: UNKNOWN[dialect] if "M-1" in path or body.get("model") == "M-1" else LACKING, *models
        )
        assert [problem.what for problem in finding.problems] == ["v has no model `M-1`."], models


def test_deployments_of_azure_are_asked_for_one_by_one() -> None:
    """Its list has what could be deployed, so it is not asked."""
    gone = (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}})
    at = {"base_url": "http://127.0.0.1:9/openai", "query": {"api-version": "2024-10-21"}, "preset": "azure"}
    asked: list[str] = []

    async def script(connection: Connection) -> None:
        while True:
            head, _ = await connection.request()
            asked.append(head.decode().split(" ", 2)[1].partition("?")[0])
            status, document = gone if "/other/" in asked[-1] else LACKING
            text = json.dumps(document).encode()
            connection.send(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))

    async def scenario() -> Finding:
        async with FakeVendor(script).serving() as fake:
            vendor = msgspec.convert({**at, "base_url": f"http://127.0.0.1:{fake.port}/openai", "api_key": "k"}, Vendor)
            config = Config(vendors={"v": vendor}, models={"a": Model(to=("v/mine",)), "b": Model(to=("v/other",))})
            (finding,) = [finding async for finding in ask_vendors(config, {})]
            return finding

    finding = run_virtual(scenario())
    assert [problem.what for problem in finding.problems] == ["v has no model `other`."]
    assert set(asked) == {f"/openai/deployments/{name}/chat/completions" for name in ("mine", "other")}


def test_a_key_of_another_region_is_told_its_address() -> None:
    """[fault P11] The vendor's other addresses stand in the remedy; a key that is lacking has the vendor's own variable there."""
    finding, _ = asked_in("openai", lambda _path, _body: NO_KEY, preset="dashscope")
    assert "https://dashscope-intl.aliyuncs.com/compatible-mode/v1" in finding.problems[0].remedy
    finding, _ = asked_in("openai", lambda _path, _body: NO_KEY, preset="dashscope", api_key=None)
    assert finding.problems[0].remedy == "Set api_key: ${DASHSCOPE_API_KEY}."


def test_vendors_that_say_nothing_are_asked_together_and_given_up() -> None:
    """Twice as many as are asked at once take two waits, and each is told in the configuration's order."""

    async def scenario() -> None:
        async with FakeVendor(Connection.gone).serving() as fake:
            vendors = {f"v{n}": Vendor(base_url=f"http://127.0.0.1:{fake.port}") for n in range(2 * VENDORS_AT_ONCE_MAX)}
            findings = [finding async for finding in ask_vendors(Config(vendors=vendors), {})]
            assert [finding.vendor for finding in findings] == list(vendors)
            assert {problem.what for finding in findings for problem in finding.problems} == {"It gave no answer within 15 s."}
            assert asyncio.get_running_loop().time() == pytest.approx(2 * ANSWER_SECONDS_MAX, abs=0.5)

    run_virtual(scenario())


def test_the_command_tells_what_it_found_and_fails_if_a_vendor_would(tmp_path: Any) -> None:
    """A vendor that is not there: status 1, its name, why, and what to do. Without --online nobody is asked."""
    path = tmp_path / "c.yaml"
    path.write_text("vendors: {gone: {base_url: 'http://127.0.0.1:1/v1'}}")
    clean = {"HOST": None, "PORT": None, "OPENAI_API_KEY": None}
    arguments = ["config", "check", "--config", str(path)]
    assert CliRunner().invoke(aisa, arguments, env=clean).exit_code == 0
    ended = CliRunner().invoke(aisa, [*arguments, "--online"], env=clean)
    assert ended.exit_code == 1
    assert "gone  fails" in ended.stdout
    assert "No problems" not in ended.stdout
    assert "127.0.0.1:1: Connection refused" in " ".join(ended.stderr.split())
    assert "asking the vendors found 1 problem" in ended.stderr
    assert "vendors.gone.base_url" in ended.stderr
    assert "127.0.0.1:1" in ended.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError("Multiple exceptions: a, b"), "Multiple exceptions: a, b"),
        (ConnectionResetError(), "ConnectionResetError"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS failed: "),
    ],
    ids=["refused", "name", "several", "nothing", "tls"],
)
def test_a_failed_connection_is_told_in_the_system_s_words(error: OSError, said: str) -> None:
    """Not as Python writes an exception, which nobody looks up."""
    assert in_words(error).startswith(said)
    assert "Error(" not in in_words(error)


def test_a_key_that_is_refused_is_named_by_the_variable_that_it_came_from() -> None:
    """Whoever has several knows which one to change; one that stands in the file is in no variable."""
    vendor = Vendor(base_url="http://h", api_key="sk-1", api_keys=("sk-2",))
    environment = {"MINE": "sk-1", "OTHER": "sk-9", "NEXT": " sk-2 "}
    assert variables_of(vendor, environment) == ["MINE", "NEXT"]
    assert variables_of(Vendor(base_url="http://h"), {"EMPTY": ""}) == []

    async def scenario() -> Finding:
        async with FakeVendor(answering_by({"call": NO_KEY}, [])).serving() as fake:
            config = Config(vendors={"v": Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1", api_key="sk-1")})
            (finding,) = [finding async for finding in ask_vendors(config, {"MINE": "sk-1"})]
            return finding

    [problem] = run_virtual(scenario()).problems
    assert "(it is what MINE in the environment says)" in problem.remedy
    assert "sk-1" not in problem.remedy


def hang_up(taken: socket.socket) -> None:
    """Close without an answer."""
    taken.recv(65_536)


def reset(taken: socket.socket) -> None:
    """Cut off."""
    taken.recv(1)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def speak_otherwise(taken: socket.socket) -> None:
    """Answer as no HTTP server does."""
    taken.recv(65_536)
    taken.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.mark.parametrize(
    ("script", "scheme", "said", "remedy"),
    [
        (hang_up, "http", "the vendor closed the connection. It hung up in place of an answer.", "https:// is for TLS, http:// without"),
        (reset, "http", "Connection reset by peer. It hung up in place of an answer.", "https:// is for TLS"),
        (speak_otherwise, "http", "what it sends is no HTTP. What listens there is no HTTP server.", "Check the port in base_url."),
        (speak_otherwise, "https", "What listens there speaks no TLS.", "Write http:// in base_url"),
    ],
)
def test_a_vendor_that_cannot_be_asked_is_told_in_peoples_words(
    tmp_path: Any, script: Callable[[socket.socket], None], scheme: str, said: str, remedy: str
) -> None:
    """[issue 8] Not as Python writes an exception, and with what to do about this very one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listener.accept()
                    with taken:
                        script(taken)

        threading.Thread(target=serve, daemon=True).start()
        path = tmp_path / "c.yaml"
        path.write_text(
            f"vendors: {{v: {{base_url: '{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1'}}}}\ndiscovery: {{environment: false}}"
        )
        ended = CliRunner().invoke(aisa, ["vendors", "--check", "--config", str(path)], env={"AISA_DISCOVERY_LOOPBACK": "never"})
        listener.shutdown(socket.SHUT_RDWR)
    told = " ".join(ended.stderr.split())
    assert (ended.exit_code, said in told, remedy in told) == (1, True, True), told
    assert not re.search(r"Error\b|Errno|b'", told), told


@pytest.mark.parametrize(
    ("detail", "said", "remedy"),
    [
        ("h:443: certificate verification failed: self-signed certificate", "No authority that this machine trusts", "`ca_file`"),
        ("h:443: certificate verification failed: certificate has expired", "certificate has expired.", "clock"),
        (
            "h:443: certificate verification failed: Hostname mismatch, certificate is not valid for 'h'.",
            "It is another's.",
            "into base_url",
        ),
        ("h:443: [Errno -2] Name or service not known", "h:443: Name or service not known. Nobody knows it.", "spelt"),
        ("h:443: [Errno -3] Temporary failure in name resolution", "No name server answers.", "name servers"),
        ("h:443: no connection within 5.0 seconds", "a firewall drops", "HTTPS_PROXY"),
        ("h:443: No route to host", "no way there", "VPN"),
        ("h:443 by proxy p:1: the proxy refused: b'HTTP/1.1 407 Who?'", "refused: HTTP/1.1 407 Who?. The proxy asks", "NAME:PASSWORD"),
        ("h:443 by proxy p:1: the proxy closed the connection", "lets nothing through", "NO_PROXY"),
        ("h:443 by proxy p:1: Connection refused", "The proxy itself cannot be reached.", "HTTPS_PROXY"),
        ("h:443 by proxy p:1: [Errno -2] Name or service not known", "The proxy itself cannot be reached.", "HTTPS_PROXY"),
        ("h:443 by proxy p:1: [Errno -3] Temporary failure in name resolution", "The proxy itself cannot be reached.", "HTTPS_PROXY"),
        ("h:443 by proxy p:1: no connection within 5.0 seconds", "The proxy itself cannot be reached.", "HTTPS_PROXY"),
        ("h:443 by proxy p:1: certificate verification failed: self-signed certificate", "No authority", "`ca_file`"),
        ("something else", "It cannot be asked: something else.", "Check address, network and proxy."),
    ],
)
def test_every_kind_of_failure_has_its_remedy(detail: str, said: str, remedy: str) -> None:
    """[issue 8] Certificates, names, time and proxies; what nobody knows is told as it is."""
    what, how = unreached(detail)
    assert (said in what, remedy in how) == (True, True), (what, how)
