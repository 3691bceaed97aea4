"""The same refusal means the same in every dialect and wherever it stands: under a status, in a document, first or later in a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aisa.errors import UpstreamFailed
from aisa.providers.shape import Asked, Target
from aisa.providers.tasks import DIALECTS
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from rig import body, event
from test_reports_alike import SUMS, report, stream

NOW = Asked(now=1.0)
#: What vendors of several dialects say, each under the status that it has alone; what is told is a code of ours, whose fault, who is asked.
SAID: dict[str, tuple[int, Any, tuple[str, str, bool]]] = {
    "our key, in an array": (
        400,
        [{"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}],
        ("upstream_unavailable", "operator", True),
    ),
    "our key, as a detail": (401, {"detail": "invalid api key"}, ("upstream_unavailable", "operator", True)),
    "our credit": (
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low."}},
        ("upstream_unavailable", "operator", True),
    ),
    "our credit, by a number": (
        200,
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        ("upstream_unavailable", "operator", True),
    ),
    "our model": (400, {"error": {"message": "Model Not Exist"}}, ("upstream_unavailable", "operator", True)),
    "content": (403, {"error": "Content violates usage guidelines.", "code": "denied"}, ("content_policy_violation", "caller", False)),
    "context": (
        400,
        {"error": {"message": "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."}},
        ("context_length_exceeded", "caller", True),
    ),
    "a feature": (404, {"error": {"message": "No endpoints found that support tool use."}}, ("unsupported_parameter", "caller", True)),
    "a rate": (429, {"error": {"message": "Rate limit reached"}}, ("upstream_rate_limit", "vendor", True)),
    "capacity": (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, ("overloaded", "vendor", True)),
    "the model's own": (400, {"error": {"code": "tool_use_failed", "message": "m"}}, ("upstream_unavailable", "vendor", True)),
}


def begun(dialect: str) -> bytes:
    """A stream that has said something, and has not ended."""
    whole = stream(dialect, report(dialect))
    if dialect == "gemini":
        return whole.replace(b', "finishReason": "STOP"', b"").replace(b',"finishReason":"STOP"', b"")
    events = [each + b"\n\n" for each in whole.split(b"\n\n") if each]
    last = max(place for place, each in enumerate(events) if b"some words" in each and b"completed" not in each)
    return b"".join(events[: last + 1])


def arrivals(dialect: str, refusal: bytes) -> Iterator[tuple[str, bool, bytes]]:
    """Where a refusal may stand under 200, and the bytes."""
    yield "a document", False, refusal
    yield "in place of a stream", True, refusal
    if dialect == "bedrock":  # whose streams are no events of text
        return
    for where, before in (("first", b""), ("later", begun(dialect))):
        yield f"{where}, as an event", True, before + event(json.loads(refusal))
        yield f"{where}, as an event of that name", True, before + b"event: error\n" + event(json.loads(refusal)) + b"data: [DONE]\n\n"
        if b'{"error"' in refusal:
            yield f"{where}, as the body that it would have been", True, before + refusal


def verdict(failure: UpstreamFailed | None) -> tuple[str, str, bool] | None:
    """What a failure means."""
    return None if failure is None else (failure.error.code, failure.blame, failure.may_fall_back)


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("dialect", SUMS)
def test_a_refusal_is_judged_alike_wherever_it_stands(dialect: str, said: str) -> None:
    """[fault B1, B2, B5] Behind the first words of a stream as Google breaks it off, with a body and no event, it was not read."""
    status, tree, told = SAID[said]
    refusal, target = json.dumps(tree).encode(), Target("acme", "m-1", dialect)
    if status != 200:
        headers = {"content-type": "application/json"}
        assert verdict(DIALECTS[dialect].read_failure(status, headers, refusal, target=target, asked=NOW)) == told
    for where, streamed, answer in arrivals(dialect, refusal):
        for size in (len(answer), 7):
            chat = parse_chat(body(stream=streamed))
            decoder = DIALECTS[dialect].decoder(chat, target, call_id="c", created=1, protocol=CHAT_DOOR.protocol)
            for begin in range(0, len(answer), size):
                if decoder.failure is None:
                    decoder.feed(answer[begin : begin + size])
            if decoder.failure is None:
                decoder.end()
            assert verdict(decoder.failure) == told, where
