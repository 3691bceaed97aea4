"""Answers in Anthropic's dialect as gateways send them: each is read, or is a failure, and never good and empty; streamed or whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.answer import Arguments, Finish, Part, Piece, Report, Text, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers import anthropic
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import PROTOCOL
from aisa.wire.messages import MessagesRequest

Json = dict[str, Any]
TARGET = Target(vendor="acme", model="m-1", dialect=anthropic.NAME)
START: Json = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "m-1", "content": [], "usage": {"input_tokens": 5}},
}
STOP: Json = {"type": "message_stop"}
INPUT = '{"a":1}'
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])


def begun(block: Json) -> Json:
    """The opening of the only block."""
    return {"type": "content_block_start", "index": 0, "content_block": block}


def grown(delta: object) -> Json:
    """A further part of it."""
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def ended(reason: object = "end_turn", **members: Any) -> Json:
    """Why the message ends."""
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 2}, **members}


DONE: Json = {"type": "content_block_stop", "index": 0}
SAID = [begun({"type": "text", "text": ""}), grown({"type": "text_delta", "text": "Yes."}), DONE]
CALL: Json = {"type": "tool_use", "id": "t", "name": "look", "input": {}}


class Read:
    """What a client has of an answer: of another protocol, or of Anthropic's own."""

    def __init__(self, vendor: bytes, *, stream: bool) -> None:
        asked = {"model": "m-1", "messages": [{"role": "user", "content": "Hi."}], "stream": stream}
        parts, self.failure = read_by(vendor, parse_chat(json.dumps(asked).encode()), PROTOCOL)
        self.text = "".join([part.text for part in parts if isinstance(part, Text)])
        self.calls = "".join(
            [part.name if isinstance(part, ToolCall) else part.text for part in parts if isinstance(part, ToolCall | Arguments)]
        )
        self.reasons = [part.reason for part in parts if isinstance(part, Finish)]
        self.used = [(part.usage.input_tokens, part.usage.output_tokens) for part in parts if isinstance(part, Report)]
        request = MessagesRequest(json.dumps({**asked, "max_tokens": 9}).encode())
        passed, self.own_failure = read_by(vendor, request, anthropic.NAME)
        self.passed = b"".join([part.data for part in passed if isinstance(part, Piece)])


def read_by(vendor: bytes, request: Any, protocol: str) -> tuple[list[Part], UpstreamFailed | None]:
    """Return what comes of an answer at a door."""
    decoder = anthropic.decoder(request, TARGET, call_id="READ", created=1, protocol=protocol)
    parts = [*decoder.feed(vendor)]
    parts += [] if decoder.done or decoder.failure is not None else decoder.end()
    return parts + ([] if decoder.failure is not None else [*decoder.closing(None)]), decoder.failure


def streamed(*events: Json | bytes, named: bool = True) -> Read:
    """Have a stream read."""
    written = [b"" if isinstance(each, bytes) or not named else b"event: %b\n" % each["type"].encode() for each in events]
    bodies = [each if isinstance(each, bytes) else b"data: %b\n\n" % json.dumps(each).encode() for each in events]
    return Read(b"".join(name + body for name, body in zip(written, bodies, strict=True)), stream=True)


def whole(*content: Json, **members: Any) -> Read:
    """Have a document read."""
    message: Json = {"id": "m", "type": "message", "role": "assistant", "model": "m-1", "content": [*content], "stop_reason": "end_turn"}
    return Read(json.dumps({**message, "usage": {"input_tokens": 5, "output_tokens": 2}, **members}).encode(), stream=False)


@pytest.mark.parametrize("delta", [{"text": "Yes."}, {"type": "text", "text": "Yes."}, {"type": None, "text": "Yes."}, "Yes."], ids=str)
def test_a_text_whose_kind_is_not_said_is_read(delta: object) -> None:
    """[fault W10] It was lost behind a reason to stop, and billed. Anthropic's own clients get it with its type."""
    seen = streamed(START, begun({"type": "text", "text": ""}), grown(delta), DONE, ended(), STOP)
    assert (seen.failure, seen.text, seen.reasons, seen.used) == (None, "Yes.", ["stop"], [(5, 2)])
    assert b'"type":"text_delta"' in seen.passed


CALLS: dict[str, list[Json]] = {
    "in the opening": [begun({**CALL, "input": {"a": 1}})],
    "in the opening, as a text": [begun({**CALL, "input": INPUT})],
    "in the opening, as arguments": [begun({"type": "tool_use", "id": "t", "name": "look", "arguments": INPUT})],
    "in the opening, beside an empty input": [begun({**CALL, "arguments": {"a": 1}})],
    "as an object": [begun(CALL), grown({"type": "input_json_delta", "partial_json": {"a": 1}})],
    "in a member of another name": [begun(CALL), grown({"type": "input_json_delta", "input": {"a": 1}})],
    "without its kind": [begun(CALL), grown({"partial_json": INPUT})],
    "in the words of OpenAI": [begun({"type": "function", "id": "t", "function": {"name": "look", "arguments": INPUT}})],
    "in the words of the Responses API": [begun({"type": "function_call", "call_id": "t", "name": "look", "arguments": INPUT})],
    "twice": [begun({**CALL, "input": {"a": 1}}), grown({"type": "input_json_delta", "partial_json": INPUT})],
}


@pytest.mark.parametrize("reason", ["tool_use", "end_turn"])
@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_is_given_is_read_wherever_it_stands(name: str, reason: str) -> None:
    """[fault W10] It was called with `{}`, or not at all, behind a reason to stop."""
    seen = streamed(START, *CALLS[name], DONE, ended(reason), STOP)
    assert (seen.failure, seen.calls, seen.reasons) == (None, "look" + INPUT, ["tool_calls"])
    assert (b'"tool_use"' in seen.passed, seen.own_failure) == (True, None)
    if len(CALLS[name]) == 1:
        assert whole(CALLS[name][0]["content_block"], stop_reason=reason).calls == "look" + INPUT


ENDS: dict[str, list[Json]] = {
    "beside the delta": [{"type": "message_delta", "stop_reason": "max_tokens", "usage": {"output_tokens": 2}}, STOP],
    "in the stop": [{"type": "message_stop", "stop_reason": "max_tokens", "usage": {"output_tokens": 2}}],
    "in the message of the stop": [{"type": "message_stop", "message": {"stop_reason": "max_tokens", "usage": {"output_tokens": 2}}}],
    "usage in the delta": [{"type": "message_delta", "delta": {"stop_reason": "max_tokens", "usage": {"output_tokens": 2}}}, STOP],
    "usage in the stop": [{"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, {**STOP, "usage": {"output_tokens": 2}}],
    "usage in other words": [ended("max_tokens", usage={"prompt_tokens": 5, "completion_tokens": 2}), STOP],
}


@pytest.mark.parametrize("name", ENDS)
def test_why_a_message_ends_and_what_it_used_are_read_wherever_they_stand(name: str) -> None:
    """[fault W3] A complete answer failed, or its tokens were those of its opening."""
    seen = streamed(START, *SAID, *ENDS[name])
    assert (seen.failure, seen.text, seen.reasons, seen.used) == (None, "Yes.", ["length"], [(5, 2)])
    assert (seen.passed.count(b"event: message_delta"), b'"stop_reason":"max_tokens"' in seen.passed) == (1, True)


def test_usage_beside_the_opening_message_is_read() -> None:
    """[fault M7] It was estimated beside a report."""
    assert streamed({**START, "message": {"id": "m"}, "usage": {"input_tokens": 5}}, *SAID, ended(), STOP).used == [(5, 2)]


@pytest.mark.parametrize(
    "between", [b"event: ping\ndata: ping\n\n", b"event: ping\ndata:\n\n", b'event: news\ndata: {"type":"news"}\n\n', b": x\n\n"]
)
def test_a_sign_of_life_is_nothing_wherever_it_stands(between: bytes) -> None:
    """[fault W10] A ping that is no JSON failed a good answer."""
    events = [START, *SAID, ended(), STOP]
    assert streamed(*[each for event in events for each in (between, event)]).text == "Yes."


ERRORS = {
    b'"Overloaded"': "overloaded",
    b"Overloaded": "overloaded",
    b'{"type":"overloaded_error","message":"Overloaded"}': "overloaded",
    b'{"type":"message_delta","message":"It died."}': "upstream_unavailable",
    b'[{"error":{"type":"overloaded_error","message":"Overloaded"}}]': "overloaded",
    b'{"error":"Overloaded"}': "overloaded",
    b'{"code":429,"msg":"slow down"}': "upstream_rate_limit",
    b"{}": "upstream_unavailable",
    b"null": "upstream_unavailable",
}


@pytest.mark.parametrize("data", ERRORS)
def test_an_event_that_is_called_an_error_is_one_whatever_is_in_it(data: bytes) -> None:
    """[fault B5] One whose type was the error's own was skipped, and what had come of the answer was whole."""
    seen = streamed(START, *SAID, b"event: error\ndata: " + data + b"\n\n", ended(), STOP)
    assert seen.failure is not None
    assert (seen.failure.error.code, seen.own_failure is not None) == (ERRORS[data], True)


@pytest.mark.parametrize(
    "events",
    [
        [{**START, "message": {**START["message"], "error": {"message": "It died."}}}, *SAID, ended(), STOP],
        [START, *SAID, ended(error={"message": "It died."}), STOP],
        [START, *SAID, ended(), {**STOP, "error": {"message": "It died."}}],
    ],
    ids=["start", "delta", "stop"],
)
def test_an_error_in_any_event_is_a_failure(events: list[Json]) -> None:
    """[fault B5] It went by, and the message stopped in order."""
    assert streamed(*events).failure is not None


@pytest.mark.parametrize(
    "delta", [{"type": "text_delta", "text": {"x": 5}}, {"text": ["x"]}, {"type": "thinking_delta", "thinking": {}}], ids=str
)
def test_a_part_of_a_text_that_is_none_is_a_failure(delta: object) -> None:
    """[fault W10] It was left out behind a reason to stop."""
    seen = streamed(START, begun({"type": "text", "text": ""}), grown(delta), DONE, ended(), STOP)
    assert seen.failure is not None


@pytest.mark.parametrize("content", [5, True, [5], [["x"]], [{"type": "text", "text": [5]}], {"0": {"type": "text", "text": []}}], ids=str)
def test_a_content_that_cannot_be_read_is_a_failure(content: object) -> None:
    """[fault W10] A document of it was good and empty."""
    seen = whole(content=content)
    assert seen.failure is not None
    assert seen.own_failure is not None


@pytest.mark.parametrize(
    "content", ["Yes.", ["Ye", "s."], {"type": "text", "text": "Yes."}, {"0": {"type": "text", "text": "Yes."}}], ids=str
)
def test_a_content_in_another_shape_is_read(content: object) -> None:
    """[fault W10] Keyed by place it was no block."""
    assert whole(content=content).text == "Yes."


@pytest.mark.parametrize(("members", "reason"), [({"stop_reason": None, "finish_reason": "length"}, "length"), ({"error": None}, "stop")])
def test_a_document_with_members_of_others_is_read(members: Json, reason: str) -> None:
    """[fault W10] An `error` of null was a failure, and a reason under OpenAI's name none."""
    seen = whole({"type": "text", "text": "Yes."}, **members)
    assert (seen.failure, seen.text, seen.reasons) == (None, "Yes.", [reason])


@pytest.mark.parametrize("reason", [None, ""])
def test_a_message_without_a_reason_to_stop_is_a_failure(reason: object) -> None:
    """Nobody knows whether it was cut."""
    assert whole({"type": "text", "text": "Yes."}, stop_reason=reason).failure is not None
    assert streamed(START, *SAID, ended(reason), STOP).failure is not None


@pytest.mark.parametrize("odd", [{}, [], 5, None], ids=str)
def test_a_type_that_is_no_text_is_its_vendors_failure(odd: object) -> None:
    """Whatever stands there, it is looked up nowhere."""
    assert whole({"type": odd, "text": "Yes."}).failure is not None
    assert streamed(START, begun({"type": odd}), DONE, ended(), STOP).failure is not None
