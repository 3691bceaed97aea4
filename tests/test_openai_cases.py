"""OpenAI's Python client reads what was repaired as it reads OpenAI's own: cases of the corpus over a real server, and padded documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import LengthFinishReasonError, OpenAI

from server import Front
from vendor import CORPUS

NAMES = [
    "text-after-a-finish-comes-before-it-and-the-last-reason-counts",
    "a-tool-call-after-a-first-finish",
    "stop-first-and-length-after",
    "a-tool-name-in-three-fragments-without-arguments",
    "two-whole-calls-with-index-zero-and-no-ids",
    "tool-arguments-as-an-object",
    "tool-calls-that-finish-with-stop-are-tool-calls",
    "halves-of-an-emoji-as-utf-8-are-joined",
    "message-where-a-delta-belongs",
    "usage-on-a-chunk-with-one-empty-choice-after-the-finish",
]
MESSAGES: list[Any] = [{"role": "user", "content": "Hi."}]


def expected(case: Path) -> tuple[str, list[tuple[str, str]], str | None]:
    """Return what the plainest reader makes of a case: text, calls as name and arguments, the finish reason."""
    text, reason = "", None
    calls: list[tuple[str, str]] = []
    for block in (case / "client.sse").read_text(encoding="utf-8").split("\n\n"):
        for choice in json.loads(block[6:])["choices"][:1] if block.startswith("data: {") else []:
            text += choice["delta"].get("content") or ""
            reason = choice.get("finish_reason") or reason
            for part in choice["delta"].get("tool_calls", []):
                if "id" in part:
                    calls.append((part["function"]["name"], ""))
                name, argued = calls[part["index"]]
                calls[part["index"]] = (name, argued + part["function"]["arguments"])
    return text, calls, reason


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_helper_reads_a_repaired_answer_as_any_other(front: Front, name: str) -> None:
    """Text, calls and reason of `.stream()` are those of the case: nothing is lost, merged or refused by the client's own state."""
    request: dict[str, Any] = json.loads((CORPUS / name / "request.json").read_bytes())
    del request["stream"]
    with (
        OpenAI(base_url=front.server.api, api_key=front.server.key, max_retries=0) as client,
        client.chat.completions.stream(**request | {"model": f"local/case-{name}"}) as stream,
    ):
        try:
            choice: Any = stream.get_final_completion().choices[0]
        except LengthFinishReasonError as cut_short:  # this helper's way to say `length`, of OpenAI's own answers too
            choice = cut_short.completion.choices[0]
    calls: list[Any] = list(choice.message.tool_calls or [])
    read = (choice.message.content or "", [(call.function.name, call.function.arguments) for call in calls], choice.finish_reason)
    assert read == expected(CORPUS / name)


def padded(body: bytes) -> Any:
    """Return what the client makes of a padded document."""
    answer = httpx2.Response(200, headers={"content-type": "application/json"}, content=b"\n\n" + body)
    transport = httpx2.MockTransport(lambda _request: answer)
    with OpenAI(base_url="http://nowhere.test/v1", api_key="none", http_client=httpx2.Client(transport=transport)) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES)


def test_a_padded_document_is_read_behind_its_newlines() -> None:
    """Blank space before JSON is nothing to this client."""
    answer = padded(b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}')
    assert answer.choices[0].message.content == "Hi"


def test_a_late_failure_of_a_padded_document_is_an_object_with_an_error() -> None:
    """What docs/padded-documents.md says of this client: no exception; `choices` is None, `error` is there."""
    answer = padded(b'{"error": {"code": "upstream_timeout", "message": "late"}}')
    assert answer.choices is None
    assert answer.error["code"] == "upstream_timeout"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tool-calls-that-finish-with-stop-are-tool-calls", "tool_calls"),
        ("a-forced-call-by-name-that-finishes-with-stop-passes", "stop"),
        ("a-legacy-call-that-finishes-with-stop-is-function-call", "function_call"),
        ("a-legacy-call-forced-by-name-keeps-stop", "stop"),
    ],
)
def test_a_call_that_its_vendor_ends_with_stop_goes_on_for_an_agent(front: Front, name: str, reason: str) -> None:
    """[fault W9] An agent's loop ends at `stop`: the reason says that there is a call, unless the request forced that very one by name."""
    request: dict[str, Any] = json.loads((CORPUS / name / "request.json").read_bytes())
    with OpenAI(base_url=front.server.api, api_key=front.server.key, max_retries=0) as client:
        chunks = list(client.chat.completions.create(**request | {"model": f"local/case-{name}", "stream": True}))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == [reason]
