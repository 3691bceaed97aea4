"""Answers in the dialects of Cohere and Bedrock in other shapes: nothing that was said is lost behind an end, streamed or whole."""

from __future__ import annotations

import json
import struct
import zlib
from types import ModuleType
from typing import Any

import pytest

from aisa.answer import Arguments, Finish, Report, Text, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers import bedrock, cohere
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import PROTOCOL

Json = dict[str, Any]
INPUT = '{"a":1}'
GIVEN = {"a": 1}


class Read:
    """What a client has of an answer."""

    def __init__(self, dialect: ModuleType, vendor: bytes, *, stream: bool) -> None:
        asked = {"model": "m-1", "messages": [{"role": "user", "content": "Hi."}], "stream": stream}
        target = Target(vendor="acme", model="m-1", dialect=dialect.NAME)
        decoder = dialect.decoder(parse_chat(json.dumps(asked).encode()), target, call_id="READ", created=1, protocol=PROTOCOL)
        parts = [*decoder.feed(vendor)]
        parts += [] if decoder.done or decoder.failure is not None else decoder.end()
        self.failure: UpstreamFailed | None = decoder.failure
        parts += [] if self.failure is not None else decoder.closing(None)
        self.text = "".join([part.text for part in parts if isinstance(part, Text)])
        calls = [part for part in parts if isinstance(part, ToolCall | Arguments)]
        self.calls = "".join([part.name if isinstance(part, ToolCall) else part.text for part in calls])
        self.reasons = [part.reason for part in parts if isinstance(part, Finish)]
        self.used = [(part.usage.input_tokens, part.usage.output_tokens) for part in parts if isinstance(part, Report)]

    @property
    def code(self) -> str:
        """Why there is none."""
        return "" if self.failure is None else self.failure.error.code


USED: Json = {"usage": {"tokens": {"input_tokens": 5, "output_tokens": 2}}}
END: Json = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", **USED}}
PLAIN_CALL: Json = {"id": "t", "type": "function", "function": {"name": "look", "arguments": INPUT}}


def cohere_stream(*events: Json) -> Read:
    """Have a stream of Cohere's read."""
    return Read(cohere, b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events), stream=True)


def cohere_document(message: object, **members: Any) -> Read:
    """Have a document of Cohere's read."""
    return Read(cohere, json.dumps({"id": "m", "finish_reason": "COMPLETE", "message": message, **USED, **members}).encode(), stream=False)


@pytest.mark.parametrize(
    "members",
    [
        {"delta": {"message": {"content": "Yes."}}},
        {"delta": {"message": {"content": [{"text": "Yes."}]}}},
        {"delta": {"content": {"text": "Yes."}}},
        {"delta": {"text": "Yes."}},
        {"message": {"content": {"text": "Yes."}}},
    ],
    ids=str,
)
def test_a_piece_of_coheres_in_another_shape_is_read(members: Json) -> None:
    """[fault W10] Without its wrapping it was lost behind the end, and billed."""
    assert cohere_stream({"type": "content-delta", "index": 0, **members}, END).text == "Yes."


@pytest.mark.parametrize(
    "end",
    [
        {"finish_reason": "MAX_TOKENS", **USED},
        {"delta": {"finish_reason": "MAX_TOKENS", "usage": {"input_tokens": 5, "output_tokens": 2}}},
        {"delta": {"finish_reason": "MAX_TOKENS", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}},
        {"delta": {"finish_reason": "MAX_TOKENS", "meta": USED["usage"]}},
    ],
    ids=str,
)
def test_an_end_of_coheres_is_read_wherever_it_stands(end: Json) -> None:
    """[fault W3] A cut answer ended with `stop`, and was estimated beside a report."""
    seen = cohere_stream({"type": "content-delta", "index": 0, "delta": {"message": {"content": "Yes."}}}, {"type": "message-end", **end})
    assert (seen.text, seen.reasons, seen.used) == ("Yes.", ["length"], [(5, 2)])


@pytest.mark.parametrize(
    "calls",
    [
        PLAIN_CALL,
        [PLAIN_CALL],
        {"0": PLAIN_CALL},
        json.dumps([PLAIN_CALL]),
        {"id": "t", "name": "look", "parameters": GIVEN},
        [{**PLAIN_CALL, "function": {"name": "look", "arguments": GIVEN}}],
    ],
    ids=str,
)
def test_a_call_of_coheres_in_another_shape_is_read(calls: object) -> None:
    """[fault W10] A document of it finished with `tool_calls` and none."""
    assert cohere_document({"tool_calls": calls}).calls == "look" + INPUT
    assert cohere_stream({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": calls}}}, END).calls == "look" + INPUT


@pytest.mark.parametrize(
    "message", [{"tool_calls": 5}, {"tool_calls": "look"}, {"content": 5}, {"content": [5]}, {"content": {"text": 5}}], ids=str
)
def test_what_cohere_says_and_nobody_can_read_is_a_failure(message: Json) -> None:
    """[fault W10] It was left out of a complete answer."""
    kind = "tool-call-start" if "tool_calls" in message else "content-delta"
    assert cohere_document(message).code == "gateway_error"
    assert cohere_stream({"type": kind, "index": 0, "delta": {"message": message}}, END).code == "gateway_error"


def frame(kind: str, payload: Json) -> bytes:
    """Write a frame of Amazon's event stream."""
    head = b""
    for name, value in ((":event-type", kind), (":content-type", "application/json"), (":message-type", "event")):
        head += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(body), len(head))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
    return whole + struct.pack(">I", zlib.crc32(whole))


STOPPED = ("messageStop", {"stopReason": "end_turn"})
COUNTED = ("metadata", {"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}})
USE: Json = {"toolUseId": "t", "name": "look"}


def bedrock_stream(*events: tuple[str, Json], end: tuple[tuple[str, Json], ...] = (STOPPED, COUNTED)) -> Read:
    """Have a stream of Bedrock's read."""
    return Read(bedrock, b"".join(frame(*event) for event in (*events, *end)), stream=True)


def begun(start: object) -> tuple[str, Json]:
    """The opening of the first block."""
    return "contentBlockStart", {"contentBlockIndex": 0, "start": start}


def grown(delta: object) -> tuple[str, Json]:
    """A further part of it."""
    return "contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}


def bedrock_document(content: object, **members: Any) -> Read:
    """Have a document of Bedrock's read."""
    said = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn", **COUNTED[1]}
    return Read(bedrock, json.dumps({**said, **members}).encode(), stream=False)


@pytest.mark.parametrize(
    "events",
    [
        [begun({"toolUse": USE}), grown({"toolUse": {"input": INPUT}})],
        [begun({"toolUse": USE}), grown({"toolUse": {"input": GIVEN}})],
        [begun({"toolUse": {**USE, "input": GIVEN}})],
        [begun({"toolUse": {**USE, "input": GIVEN}}), grown({"toolUse": {"input": INPUT}})],
        [grown({"toolUse": {**USE, "input": INPUT}})],
        [begun({"toolUse": USE}), grown({"toolUse": {"arguments": INPUT}})],
    ],
    ids=str,
)
def test_a_call_of_bedrocks_is_read_wherever_it_begins(events: list[tuple[str, Json]]) -> None:
    """[fault W10] It was made with `{}`, or finished with `tool_calls` and none."""
    seen = bedrock_stream(*events, ("contentBlockStop", {"contentBlockIndex": 0}))
    assert (seen.calls, seen.reasons) == ("look" + INPUT, ["tool_calls"])


@pytest.mark.parametrize(
    "block",
    [
        {"toolUse": {**USE, "input": GIVEN}},
        {"toolUse": {**USE, "input": INPUT}},
        {"toolUse": {**USE, "arguments": GIVEN}},
        {"type": "tool_use", "id": "t", "name": "look", "input": GIVEN},
    ],
    ids=str,
)
def test_a_call_of_bedrocks_in_other_words_is_read(block: Json) -> None:
    """[fault W10] It was lost behind an end, or made with `{}`; a text in the same block was lost."""
    assert bedrock_document([block]).calls == "look" + INPUT
    assert bedrock_document({"0": block}).calls == "look" + INPUT
    both = bedrock_document([{"text": "Yes.", **block}])
    assert (both.text, both.calls) == ("Yes.", "look" + INPUT)


@pytest.mark.parametrize(
    "events", [[grown("Yes.")], [begun({"text": "Yes."})], [("contentBlockDelta", {"delta": {"text": "Yes."}})]], ids=str
)
def test_a_text_of_bedrocks_in_another_shape_is_read(events: list[tuple[str, Json]]) -> None:
    """[fault W10] It was lost behind an end, and billed."""
    assert bedrock_stream(*events).text == "Yes."


@pytest.mark.parametrize("usage", [{"inputTokens": 5, "outputTokens": 2}, {"input_tokens": 5, "output_tokens": 2}], ids=str)
def test_what_bedrock_says_of_its_end_is_read_wherever_it_stands(usage: Json) -> None:
    """[fault M7] It was estimated beside a report, or a complete answer failed."""
    stop = ("messageStop", {"stop_reason": "max_tokens", "usage": usage})
    seen = bedrock_stream(grown({"text": "Yes."}), end=(stop,))
    assert (seen.reasons, seen.used) == (["length"], [(5, 2)])
    seen = bedrock_stream(grown({"text": "Yes."}), end=(STOPPED, ("metadata", {"usage": usage})))
    assert seen.used == [(5, 2)]


def test_an_exception_in_a_frame_of_another_type_and_an_error_beside_an_answer_are_failures() -> None:
    """[fault B5] They were skipped as what is not known."""
    assert bedrock_stream(grown({"text": "Yes."}), ("throttlingException", {"message": "slow down"})).code == "upstream_rate_limit"
    assert bedrock_document([{"text": "Yes."}], error={"message": "It died."}).code == "upstream_unavailable"


@pytest.mark.parametrize("content", [5, [5], [{"text": 5}], [{"toolUse": "look"}], [{"toolUse": {"input": {}}}]], ids=str)
def test_what_bedrock_says_and_nobody_can_read_is_a_failure(content: object) -> None:
    """[fault W10] It was left out of a complete answer."""
    assert bedrock_document(content).code == "gateway_error"


@pytest.mark.parametrize("event", [grown({"text": 5}), begun({"toolUse": "look"}), grown({"toolUse": {"input": INPUT}})], ids=str)
def test_an_event_of_bedrocks_that_nobody_can_read_is_a_failure(event: tuple[str, Json]) -> None:
    """[fault W10] The answer finished with calls, and there was none."""
    assert bedrock_stream(event).code == "gateway_error"
