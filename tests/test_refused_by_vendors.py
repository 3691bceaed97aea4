"""What a vendor or its dialect refuses for its caller's own fault is a refused call to whoever counts or lists calls, and no failed one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from aisa.errors import ApiError, words_kept
from server import Server, serving
from test_admin_api import asked_at
from test_metrics import own_address, read
from test_refused import Answer, ask, chat, listed, made
from test_reload import until
from vendor import ScriptedVendor

SETTINGS = """\
metrics: {{listen: '127.0.0.1:0'}}
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
  claude: {{dialect: anthropic, base_url: "{vendor}", api_key: vendor-secret}}
  dead: {{dialect: openai, base_url: "http://127.0.0.1:9/v1", api_key: vendor-secret}}
models:
  small: {{to: [embedded/tiny], prices: {{input: 1.0, output: 3.0}}}}
  strict: {{to: [local/status-400], prices: {{input: 1.0, output: 3.0}}}}
  stricter: {{to: [dead/x, local/status-422], prices: {{input: 1.0, output: 3.0}}}}
  claude: {{to: [claude/claude-3-haiku-20240307], prices: {{input: 1.0, output: 3.0}}}}
  gone: {{to: [dead/x], prices: {{input: 1.0, output: 3.0}}}}
"""
#: What the callers do wrong: what a dialect cannot write, and what a vendor does not take, at whichever door and as a stream, too.
MISTAKES: tuple[dict[str, Any], ...] = (
    {"model": "small", "temperature": -1},
    {"model": "small", "temperature": -1, "stream": True},
    {"model": "claude", "n": 3},
    {"model": "strict"},
    {"model": "stricter", "stream": True},
)
#: What is kept in place of what a vendor says, or the embedded model.
OURS = ("The vendor refused the request as invalid.", "The model does not support a parameter of the request.")

#: Models whose vendor quotes the prompt elsewhere than in the words of a request's refusal -> how that is answered.
QUOTING = {"quoting-as-key": 502, "quoting-as-param": 400}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_reader_has_what_a_vendor_refuses_for_its_callers_fault_as_a_refusal(tmp_path: Path, workers: int) -> None:
    """[fault R1] Lists, sums, metrics, bill and receipt agree; it is kept where it was asked, and what fails is a failure as before."""
    with ScriptedVendor() as vendor, serving(tmp_path, SETTINGS.format(vendor=vendor.url), workers=workers) as server:
        key = made(server, "careless")
        answers = [ask(server, key, chat(**mistake)) for mistake in MISTAKES]
        assert [answer.status for answer in answers] == [422, 422, 422, 400, 400]
        failed = ask(server, key, chat(model="gone"))
        assert failed.status == 502
        refused, others = listed(server, "--refused"), listed(server, "--failed")
        assert [line["id"] for line in others] == [failed.id]
        assert sorted(line["id"] for line in refused) == sorted(answer.id for answer in answers)
        assert sorted(line["id"] for line in listed(server)) == sorted([*(answer.id for answer in answers), failed.id])
        for answer in answers:
            [line] = [line for line in refused if line["id"] == answer.id]
            check_told(server, key, answer, line)

        def counted(family: str) -> float:
            metrics = read(asked_at(own_address(server), "/metrics").body)
            return sum(value for name, value in metrics.items() if name.startswith(family))

        until(lambda: (counted("aisa_refused_total"), counted("aisa_calls_total")) == (len(answers), 1))
        assert server.aisa("ledger", "audit")


@pytest.mark.parametrize("workers", [1, 2])
def test_no_prompt_is_kept_that_a_vendor_quotes_in_its_refusal(tmp_path: Path, workers: int) -> None:
    """[fault R1] Its caller reads it, who wrote it; it is in no file of the server, and in no line of its log."""
    prompt = "Nobody but the vendor is to read this."
    with ScriptedVendor() as vendor:
        settings = SETTINGS.format(vendor=vendor.url) + "  quoting: {to: [local/quoting], prices: {input: 1.0, output: 3.0}}\n"
        with serving(tmp_path, settings, workers=workers) as server:
            key = made(server, "careless")
            for stream in (False, True):
                asked = chat(model="quoting", stream=stream, messages=[{"role": "user", "content": prompt}])
                answer = ask(server, key, asked)
                assert (answer.status, prompt in answer.body["error"]["message"]) == (400, True)
            lines = listed(server, "--refused")
            assert [line["error_message"] for line in lines] == ["The vendor refused the request as invalid."] * 2
            log = server.told("quoting")
    for text in [log.encode(), *[path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]]:
        assert prompt.encode() not in text


def test_no_prompt_is_kept_that_a_vendor_quotes_as_it_refuses_our_key_or_names_a_member(tmp_path: Path) -> None:
    """[fault R1] Rows have what was decided: the log alone has a vendor's words about our key, and a member's name looks like one."""
    prompt = "Nobody but the vendor is to read this."
    with ScriptedVendor() as vendor:
        settings = SETTINGS.format(vendor=vendor.url)
        settings += "".join(f"  {name}: {{to: [local/{name}], prices: {{input: 1, output: 3}}}}\n" for name in QUOTING)
        with serving(tmp_path, settings) as server:
            key = made(server, "careless")
            for model, status in QUOTING.items():
                asked = chat(model=model, messages=[{"role": "user", "content": prompt}])
                assert ask(server, key, asked).status == status
            [failed] = [line for line in listed(server) if line["outcome"] == "failed"]
            assert (failed["error_code"], failed["error_detail"]) == ("upstream_unavailable", "local answered 401, taken as: our key")
            [refused] = listed(server, "--refused")
            assert refused["error_message"] == "The vendor refused the request as invalid."
            server.told(f"taken as: our key: Incorrect API key provided, asked was: {prompt}")
            shown = [server.aisa("calls", "--failed"), server.aisa("ledger", "export"), server.aisa("explain", failed["id"])]
    for text in [*shown, *[path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*.db*")]]:
        assert prompt not in text


@pytest.mark.parametrize(
    ("param", "kept"),
    [
        ("messages[0].content", True),
        ("tools.0.custom.input-schema", True),
        ("top_p", True),
        ("fix this, please", False),
        ("größe", False),
        ("a" * 201, False),
        (".".join("a" * 40), False),
    ],
)
def test_a_member_is_kept_that_looks_like_one(param: str, *, kept: bool) -> None:
    """[fault R1] Letters, digits and what joins them, and few members in one another: vendors write what they like there."""
    words = words_kept(ApiError("invalid_request", "No.", param=param))
    assert words == (f"No. (param: {param})" if kept else "No.")


def check_told(server: Server, key: str, answer: Answer, line: dict[str, Any]) -> None:
    """Check that a refused call has its reason, where it was asked and its bill of nothing, for operator and caller."""
    told = answer.body["error"]
    assert (line["outcome"], line["error_status"], line["error_code"]) == ("refused", answer.status, told["code"])
    assert line["error_message"] == told["message"] or line["error_message"].startswith(OURS), "a vendor's own words are not kept"
    assert told["param"] is None or told["param"] in line["error_message"]
    shown = server.aisa("explain", answer.id.lower())
    said = " ".join(shown.split())
    assert f"It was refused with {answer.status} {told['code']}, before anything of an answer had come, and costs nothing." in said
    assert " ".join(line["error_message"].split()) in said
    assert "served by" in shown
    document = json.loads(server.aisa("explain", answer.id, "--json"))
    assert (document["call"]["outcome"], document["cost_nanos"], document["refused"]) == ("refused", 0, True)
    receipt = ask(server, key, path=f"/v1/usage/calls/{answer.id}").body
    assert (receipt["outcome"], receipt["error_code"], receipt["error_status"]) == ("refused", told["code"], answer.status)
    assert receipt["billed"]["cost_nanos"] == 0


def test_a_refused_call_is_no_error_in_sums_and_its_idempotency_key_may_be_used_again(tmp_path: Path) -> None:
    """[fault R1] `aisa usage` had FAILED requests, and the console errors, that were all their callers'; a request may be mended."""
    with ScriptedVendor() as vendor, serving(tmp_path, SETTINGS.format(vendor=vendor.url)) as server:
        key = made(server, "careless")
        for mistake in MISTAKES:
            ask(server, key, chat(**mistake))
        assert ask(server, key, chat(**MISTAKES[0]), idempotency_key="again").status == 422
        assert ask(server, key, chat(model="small", max_tokens=4), idempotency_key="again").status == 200
        [used] = [used for used in json.loads(server.aisa("usage", "--by", "model", "--json"))["data"] if used["model"] == "small"]
        assert (used["failed"], used["requests"]) == (0, 4)


def test_beyond_what_is_kept_one_by_one_a_refused_call_is_explained_by_its_row(tmp_path: Path) -> None:
    """[fault R1] The first sixty of a minute have their words; every call has its row, and the list their number."""
    with ScriptedVendor() as vendor, serving(tmp_path, SETTINGS.format(vendor=vendor.url)) as server:
        key = made(server, "careless")
        began = time.monotonic()
        answers = [ask(server, key, chat(model="strict")) for _ in range(62)]
        assert time.monotonic() - began < 50, "else a minute has ended in between, and this shows nothing"
        assert len(listed(server, "--refused")) == 60
        said = " ".join(server.aisa("explain", answers[-1].id).split())
        assert "It was refused by its caller's own fault before anything of an answer had come" in said
        assert "The error was invalid_request." in said
