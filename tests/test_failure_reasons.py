"""Why a call failed or was cut is in its row: for its caller what he was told, for operators what the log says, after a restart too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server import Server, serving
from test_refused import listed
from test_reload import asked
from vendor import ScriptedVendor

SETTINGS = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
  dead: {{dialect: openai, base_url: "http://127.0.0.1:9/v1", api_key: vendor-secret}}
models:
  gone: {{to: [dead/x], prices: {{input: 1.0, output: 3.0}}}}
  keyless: {{to: [local/status-401], prices: {{input: 1.0, output: 3.0}}}}
  odd: {{to: [local/garbage], prices: {{input: 1.0, output: 3.0}}}}
  half: {{to: [local/cut-mid-stream], prices: {{input: 1.0, output: 3.0}}}}
  second: {{to: [dead/x, local/hello], prices: {{input: 1.0, output: 3.0}}}}
"""
#: A model, how a call of it ends, a piece of what its caller is told, and one of what only the log says.
FAILING = (
    ("gone", "failed", "The vendor 'dead' could not be reached.", "127.0.0.1:9: Connection refused"),
    ("keyless", "failed", "The operator has been told.", "local answered 401"),
    ("odd", "failed", "The vendor 'local' sent", ""),
    ("half", "cut", "The vendor 'local' broke off", "the vendor closed the connection"),
)


def called(server: Server, model: str, *, stream: bool = False) -> tuple[dict[str, Any], str]:
    """Make a call, and return its receipt and its answer."""
    said = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi."}]}
    answer = asked(server, "/v1/chat/completions", said)
    return json.loads(asked(server, f"/v1/usage/calls/{answer.headers['x-request-id']}").body), answer.body.decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_why_a_call_failed_is_in_its_row_for_whoever_asks(tmp_path: Path, workers: int) -> None:
    """[fault P13] It was in the log alone: lists, bills and receipts had a code, and status sent people to a list that said no more.

    Addresses of vendors are for operators: no caller sees them, here or in the answer.
    """
    ids: dict[str, str] = {}
    with ScriptedVendor() as vendor:
        with serving(tmp_path, SETTINGS.format(vendor=vendor.url), workers=workers) as server:
            for model, outcome, told, detail in FAILING:
                receipt, answer = called(server, model, stream=outcome == "cut")
                ids[model] = receipt["id"]
                assert (receipt["outcome"], told in receipt["error_message"]) == (outcome, True)
                assert detail == "" or detail not in json.dumps(receipt)
                assert f'"message":"{receipt["error_message"]}"' in answer
            served, _answer = called(server, "second")
            assert (served["error_message"], served["attempts"]) == (None, 2)
        with serving(tmp_path, SETTINGS.format(vendor=vendor.url), label="again") as server:
            found = {line["id"]: line for line in listed(server)}
            table = server.aisa("calls", "--failed")
            assert (found[served["id"]]["error_message"], found[served["id"]]["error_detail"]) == (None, None)
            for model, _outcome, told, detail in FAILING:
                line, bill = found[ids[model]], " ".join(server.aisa("explain", ids[model]).split())
                assert told in line["error_message"]
                assert detail in (line["error_detail"] or "")
                assert (line["error_detail"] or line["error_message"]) in table
                assert line["error_message"] in bill
                assert detail in bill
                assert "in the server's log" not in bill
            exported = [json.loads(line) for line in server.aisa("ledger", "export").splitlines()]
            assert {row["id"]: row["error_message"] for row in exported} == {id_: line["error_message"] for id_, line in found.items()}
            assert server.aisa("ledger", "audit")
