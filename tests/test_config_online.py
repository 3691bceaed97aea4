"""`aisa config check --online`: what is found out about each vendor, from vendors on real sockets that answer by script."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from aisa.cli.commands import aisa
from aisa.cli.online import ANSWER_SECONDS_MAX, VENDORS_AT_ONCE_MAX, Finding, ask_vendors
from aisa.config.schema import Config, Model, Vendor
from aisa.testing.clock import run_virtual
from http_client_rig import Connection, FakeVendor

LIST = {"data": [{"id": "gpt-4.1"}, {"id": "models/gemini-2.5-pro"}]}
NO_KEY = (401, {"error": {"message": "Incorrect API key provided"}})
BAD_CALL = (400, {"error": {"message": "you must provide messages"}})
NO_MODEL = (400, {"error": {"message": "The model `x` does not exist"}})
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


@pytest.mark.parametrize("refusal", [(404, {}), NO_MODEL, (422, {"detail": "unknown model"})])
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
        ({}, "k", "base_url", "Neither the list of models nor chat completions", "/v1"),
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
    finding, asked = found_at({"list": listed, "call": BAD_CALL, "a": BAD_CALL, "b": NO_MODEL}, "a", "b", api_key=None)
    assert finding.good == ("reachable", "needs no key", "no list of models", "1 of the 2 configured there")
    assert [problem.what for problem in finding.problems] == ["v has no model `b`."]
    assert asked == ["list", "call", "a", "b"]


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
    assert "asking the vendors found 1 problem" in ended.stderr
    assert "vendors.gone.base_url" in ended.stderr
    assert "127.0.0.1:1" in ended.stderr
