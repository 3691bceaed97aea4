"""Answers in the dialect of the Responses API in other shapes: nothing said is lost behind a `completed`, streamed or whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.answer import Arguments, Finish, Part, Piece, Report, Text, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers import responses
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import PROTOCOL
from aisa.wire.responses import parse_responses

Json = dict[str, Any]
TARGET = Target(vendor="acme", model="m-1", dialect=responses.NAME)
TEXT: Json = {"type": "output_text", "text": "Yes.", "annotations": []}
MESSAGE: Json = {"type": "message", "id": "msg", "role": "assistant", "content": [TEXT]}
CALL: Json = {"type": "function_call", "id": "fc", "call_id": "c"}
INPUT = '{"a":1}'
WAYS = pytest.mark.parametrize("way", ["stream", "document", "document for a stream"])


class Read:
    """What a client of another protocol has of an answer, and what one of the same is sent."""

    def __init__(self, vendor: bytes, *, stream: bool) -> None:
        asked = {"model": "m-1", "stream": stream}
        chat = parse_chat(json.dumps({**asked, "messages": [{"role": "user", "content": "Hi."}]}).encode())
        parts, self.failure = read_by(vendor, chat, PROTOCOL)
        self.text = "".join([part.text for part in parts if isinstance(part, Text)])
        self.calls = "".join(
            [part.name if isinstance(part, ToolCall) else part.text for part in parts if isinstance(part, ToolCall | Arguments)]
        )
        self.reasons = [part.reason for part in parts if isinstance(part, Finish)]
        self.used = [(part.usage.input_tokens, part.usage.output_tokens) for part in parts if isinstance(part, Report)]
        passed, self.own_failure = read_by(vendor, parse_responses(json.dumps({**asked, "input": "Hi."}).encode()), responses.NAME)
        self.passed = b"".join([part.data for part in passed if isinstance(part, Piece)])


def read_by(vendor: bytes, request: Any, protocol: str) -> tuple[list[Part], UpstreamFailed | None]:
    """Return what comes of an answer at a door."""
    decoder = responses.decoder(request, TARGET, call_id="READ", created=1, protocol=protocol)
    parts = [*decoder.feed(vendor)]
    parts += [] if decoder.done or decoder.failure is not None else decoder.end()
    return parts + ([] if decoder.failure is not None else [*decoder.closing(None)]), decoder.failure


def whole(way: str, **members: Any) -> Read:
    """Have a response read: at the end of a stream, or alone."""
    used = {"input_tokens": 5, "output_tokens": 2}
    response = {"id": "resp", "object": "response", "status": "completed", "model": "m-1", "usage": used, **members}
    if way == "stream":
        return streamed({"type": "response.completed", "response": response})
    return Read(json.dumps(response).encode(), stream=way != "document")


def streamed(*events: Json) -> Read:
    """Have a stream read, behind its opening."""
    opening: Json = {"type": "response.created", "response": {"id": "resp", "object": "response", "model": "m-1", "output": []}}
    return Read(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in (opening, *events)), stream=True)


OUTPUTS: dict[str, Json] = {
    "only its text": {"output_text": "Yes."},
    "its text beside an empty list": {"output": [], "output_text": "Yes."},
    "its text beside null": {"output": None, "output_text": "Yes."},
    "its text beside thinking": {"output": [{"type": "reasoning", "id": "r", "summary": []}], "output_text": "Yes."},
    "its text in a list": {"output_text": ["Ye", "s."]},
    "its text once more": {"output": [MESSAGE], "output_text": "Yes."},
    "a text": {"output": "Yes."},
    "a list of texts": {"output": ["Yes."]},
    "one item": {"output": MESSAGE},
    "keyed by place": {"output": {"0": MESSAGE}},
    "a message without its type": {"output": [{"role": "assistant", "content": [TEXT]}]},
    "a message with its text": {"output": [{"type": "message", "text": "Yes."}]},
    "a content that is a text": {"output": [{**MESSAGE, "content": "Yes."}]},
    "a content that is one part": {"output": [{**MESSAGE, "content": TEXT}]},
    "a part without its message": {"output": [TEXT]},
}


@WAYS
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_text_is_read_wherever_it_stands(name: str, way: str) -> None:
    """[fault W10] It was lost behind a `completed`, and billed. Clients of the same protocol get it, too."""
    seen = whole(way, **OUTPUTS[name])
    assert (seen.failure, seen.text, seen.reasons, seen.used) == (None, "Yes.", ["stop"], [(5, 2)])
    assert (seen.own_failure, b'"output":[]' in seen.passed.rpartition(b"completed")[2]) == (None, False)
    assert b"s." in seen.passed


CALLS: dict[str, Json] = {
    "an object": {**CALL, "name": "look", "arguments": {"a": 1}},
    "input": {**CALL, "name": "look", "input": {"a": 1}},
    "the words of chat completions": {**CALL, "function": {"name": "look", "arguments": INPUT}},
    "a type of others": {**CALL, "type": "tool_call", "name": "look", "arguments": INPUT},
    "the words of Anthropic": {"type": "tool_use", "id": "c", "name": "look", "input": {"a": 1}},
}


@WAYS
@pytest.mark.parametrize("name", CALLS)
def test_a_call_in_the_words_of_others_is_read(name: str, way: str) -> None:
    """[fault W10] It was lost behind a `completed`, or called with `{}`."""
    seen = whole(way, output=[CALLS[name]])
    assert (seen.failure, seen.calls, seen.reasons) == (None, "look" + INPUT, ["tool_calls"])


@WAYS
@pytest.mark.parametrize(
    "output",
    [5, True, [5], [["x"]], [{**MESSAGE, "content": 5}], [{**MESSAGE, "content": [5]}], [{**MESSAGE, "content": [{"text": 5}]}]],
    ids=str,
)
def test_an_output_that_cannot_be_read_is_a_failure(output: object, way: str) -> None:
    """[fault W10] It was left out of a complete answer."""
    seen = whole(way, output=output)
    assert seen.failure is not None
    assert (seen.failure.error.code, seen.own_failure is not None) == ("gateway_error", True)


@WAYS
def test_an_error_beside_an_answer_is_a_failure(way: str) -> None:
    """[fault B5] It went by with the status `completed`; one of null says that there is none."""
    assert whole(way, output=[MESSAGE], error={"message": "It died."}).failure is not None
    assert whole(way, output=[MESSAGE], error=None).text == "Yes."


def test_a_document_without_its_type_is_read() -> None:
    """[fault W10] Nobody needs `object` to know an output, or a wrapping."""
    bare = {"id": "resp", "status": "completed", "model": "m-1", "output": [MESSAGE]}
    for document in (bare, {"response": {**bare, "object": "response"}}):
        assert Read(json.dumps(document).encode(), stream=False).text == "Yes."


ADDED: Json = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg", "content": []}}
DELTA: Json = {"type": "response.output_text.delta", "item_id": "msg", "output_index": 0, "content_index": 0}
END: Json = {"type": "response.completed", "response": {"id": "resp", "status": "completed", "output": []}}


@pytest.mark.parametrize("delta", [{"delta": {"text": "Yes."}}, {"delta": {"value": "Yes."}}, {"text": "Yes."}], ids=str)
def test_a_piece_of_text_in_another_shape_is_read(delta: Json) -> None:
    """[fault W10] It was lost behind a `completed` that repeats nothing; and it is told once where that does."""
    for output in ([], [MESSAGE]):
        end = {**END, "response": {**END["response"], "output": output, "output_text": "Yes."}}
        assert streamed(ADDED, {**DELTA, **delta}, end).text == "Yes."


def test_a_piece_of_arguments_that_is_an_object_is_read() -> None:
    """[fault W10] The call was made with `{}`."""
    added = {**ADDED, "item": {**CALL, "name": "look", "arguments": ""}}
    piece = {"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 0, "delta": {"a": 1}}
    assert streamed(added, piece, END).calls == "look" + INPUT


@pytest.mark.parametrize(
    "event", [{**DELTA, "delta": 5}, {**DELTA, "delta": {}}, {**DELTA, "delta": "x", "error": {"message": "It died."}}], ids=str
)
def test_a_piece_that_cannot_be_read_or_has_an_error_is_a_failure(event: Json) -> None:
    """[fault B5] It was left out, or its error was."""
    seen = streamed(ADDED, event, END)
    assert (seen.failure is not None, seen.own_failure is not None) == (True, True)
