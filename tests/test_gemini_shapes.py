"""Answers in Gemini's dialect as proxies of Gemini send them: nothing that a vendor said is lost behind a `stop`, streamed or whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from aisa.answer import Arguments, Extra, Finish, Piece, Reasoning, Report, Text, ToolCall
from aisa.errors import UpstreamFailed
from aisa.providers import gemini
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import PROTOCOL
from aisa.wire.gemini import parse_gemini
from aisa.wire.trees import Tree

Json = dict[str, Any]
TARGET = Target(vendor="acme", model="m-1", dialect=gemini.NAME)
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
TEXT: Json = {"text": "Yes."}
CALL: Json = {"functionCall": {"name": "look", "args": {"a_b": 1}}}
USED: Json = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
SNAKE: Json = {"prompt_token_count": 5, "candidates_token_count": 2, "total_token_count": 7}


class Read:
    """What a client of another protocol has of an answer."""

    def __init__(self, *events: Json, stream: bool) -> None:
        tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
        asked = {"model": "m-1", "messages": [{"role": "user", "content": "Hi."}], "stream": stream, "tools": tools}
        decoder = gemini.decoder(parse_chat(json.dumps(asked).encode()), TARGET, call_id="READ", created=1, protocol=PROTOCOL)
        parts = [*decoder.feed(written(*events, stream=stream))]
        parts += [] if decoder.done or decoder.failure is not None else decoder.end()
        self.failure: UpstreamFailed | None = decoder.failure
        parts += [] if self.failure is not None else decoder.closing(None)
        self.text = "".join([part.text for part in parts if isinstance(part, Text)])
        self.thinking = "".join([part.text for part in parts if isinstance(part, Reasoning)])
        self.calls = [part.name if isinstance(part, ToolCall) else part.text for part in parts if isinstance(part, ToolCall | Arguments)]
        self.pictures = [part.value for part in parts if isinstance(part, Extra) and part.name == "images"]
        self.reasons = [part.reason for part in parts if isinstance(part, Finish)]
        self.used = [(part.usage.input_tokens, part.usage.output_tokens) for part in parts if isinstance(part, Report)]


def written(*events: Json, stream: bool) -> bytes:
    """Write events as a stream, or the only one as a document."""
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(event).encode() for event in events) if stream else json.dumps(events[0]).encode()


def answer(candidate: object, **members: Any) -> Json:
    """An answer with one candidate, and its usage."""
    return {"candidates": [candidate], "usageMetadata": USED, **members}


def ended(content: object, reason: object = "STOP") -> Json:
    """A candidate that has ended."""
    return {"content": content, "finishReason": reason, "index": 0}


CONTENTS: dict[str, object] = {
    "a list of one": [{"role": "model", "parts": [TEXT]}],
    "a list of several": [{"role": "model", "parts": [{"text": "Ye"}]}, {"parts": [{"text": "s."}]}],
    "a list of parts": [TEXT],
    "a text": "Yes.",
    "a part": TEXT,
    "one part in place of the list": {"parts": TEXT},
    "a text in place of the list": {"parts": "Yes."},
    "a list of texts": {"parts": ["Ye", "s."]},
    "a list with nothing in it beside": {"parts": [None, TEXT]},
}


@BOTH
@pytest.mark.parametrize("name", CONTENTS)
def test_a_content_in_another_shape_is_read(name: str, *, stream: bool) -> None:
    """[fault W10] It was nothing: the answer ended with `stop`, and was billed."""
    seen = Read(answer(ended(CONTENTS[name])), stream=stream)
    assert (seen.failure, seen.text, seen.reasons, seen.used) == (None, "Yes.", ["stop"], [(5, 2)])


@BOTH
@pytest.mark.parametrize("held", [{"parts": [TEXT]}, {"text": "Yes."}])
def test_what_stands_in_the_candidate_itself_is_read(held: Json, *, stream: bool) -> None:
    """[fault W10] As some hand on a text without its content."""
    assert Read(answer({**held, "finishReason": "STOP"}), stream=stream).text == "Yes."


@BOTH
@pytest.mark.parametrize("candidates", [ended({"parts": [TEXT]}), {"0": ended({"parts": [TEXT]})}])
def test_candidates_that_are_no_list_are_read(candidates: Json, *, stream: bool) -> None:
    """[fault W10] The only one, or keyed by its place: a complete answer was told as broken off."""
    assert Read({"candidates": candidates, "usageMetadata": USED}, stream=stream).text == "Yes."


CALLS: dict[str, Json] = {
    "as it should be": CALL,
    "in snake case": {"function_call": CALL["functionCall"], "thought_signature": "c2ln"},
    "in a list": {"functionCall": [CALL["functionCall"]]},
    "in a list under its own name": {"functionCalls": [CALL["functionCall"]]},
    "with arguments": {"functionCall": {"name": "look", "arguments": {"a_b": 1}}},
    "with input": {"functionCall": {"name": "look", "input": {"a_b": 1}}},
    "with arguments as a text": {"functionCall": {"name": "look", "args": '{"a_b":1}'}},
}


@BOTH
@pytest.mark.parametrize("name", CALLS)
def test_a_call_in_another_shape_is_read(name: str, *, stream: bool) -> None:
    """[fault W10] It was lost behind a `stop`, or called with `{}`. What it is given keeps its names."""
    seen = Read(answer(ended({"parts": [CALLS[name]]})), stream=stream)
    assert (seen.calls, seen.reasons) == (["look", '{"a_b":1}'], ["tool_calls"])


@BOTH
def test_a_text_and_a_call_in_one_part_are_both_read(*, stream: bool) -> None:
    """[fault W10] The text was lost."""
    seen = Read(answer(ended({"parts": [{**TEXT, **CALL}]})), stream=stream)
    assert (seen.text, seen.calls, seen.reasons) == ("Yes.", ["look", '{"a_b":1}'], ["tool_calls"])


@BOTH
def test_an_answer_in_snake_case_is_read(*, stream: bool) -> None:
    """[fault W10] Proxies that use Google's client for Python write it so: a complete answer was told as broken off, without its usage."""
    parts = [{"text": "Hm.", "thought": True}, TEXT, {"inline_data": {"mime_type": "image/png", "data": "aGk="}}]
    used = {**SNAKE, "thoughts_token_count": 3, "total_token_count": 10}
    candidate = {"content": {"role": "model", "parts": parts}, "finish_reason": "STOP", "index": 0}
    seen = Read({"candidates": [candidate], "usage_metadata": used, "model_version": "m-1", "response_id": "r"}, stream=stream)
    assert (seen.failure, seen.text, seen.thinking, seen.reasons, seen.used) == (None, "Yes.", "Hm.", ["stop"], [(5, 5)])
    assert seen.pictures[0][0]["image_url"]["url"] == "data:image/png;base64,aGk="


@BOTH
@pytest.mark.parametrize(
    "usage", [SNAKE, {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, {"input_tokens": 5, "output_tokens": 2}]
)
@pytest.mark.parametrize("name", ["usageMetadata", "usage_metadata", "usage"])
def test_usage_is_read_in_other_words(name: str, usage: Json, *, stream: bool) -> None:
    """[fault M7] It was estimated beside a report."""
    assert Read({"candidates": [ended({"parts": [TEXT]})], name: usage}, stream=stream).used == [(5, 2)]


@BOTH
@pytest.mark.parametrize(
    ("number", "reason"), [(1, "stop"), (2, "length"), (3, "content_filter"), (8, "content_filter"), (9, None), (10, None)]
)
def test_a_reason_that_is_a_number_is_one(number: int, reason: str | None, *, stream: bool) -> None:
    """[fault W3] What was cut or blocked ended with `stop`; a call that was malformed, too."""
    seen = Read(answer(ended({"parts": [TEXT]}, number)), stream=stream)
    assert seen.reasons == ([reason] if reason else [])
    assert (seen.failure is None) == (reason is not None)


@BOTH
@pytest.mark.parametrize("feedback", ["promptFeedback", "prompt_feedback"])
def test_a_blocked_prompt_in_snake_case_is_one(feedback: str, *, stream: bool) -> None:
    """[fault B2] It was told as broken off, and asked of another vendor."""
    seen = Read({feedback: {"block_reason": "SAFETY"}, "usage_metadata": SNAKE}, stream=stream)
    assert seen.failure is not None
    assert seen.failure.error.code == "content_policy_violation"


@BOTH
def test_an_answer_in_a_wrapping_is_read(*, stream: bool) -> None:
    """[fault W10] Code Assist puts what it hands on into `response`."""
    assert Read({"response": answer(ended({"parts": [TEXT]}))}, stream=stream).text == "Yes."


RUBBISH: dict[str, object] = {
    "a content": 5,
    "parts": {"parts": 5},
    "a part": {"parts": [5]},
    "a text": {"parts": [{"text": 5}]},
    "a call": {"parts": [{"functionCall": "look"}]},
    "a call in a list": {"parts": [{"functionCall": ["look"]}]},
    "a call without a name": {"parts": [{"functionCall": {"args": {}, "id": "c"}}]},
}


@BOTH
@pytest.mark.parametrize("name", RUBBISH)
def test_what_cannot_be_read_is_a_failure(name: str, *, stream: bool) -> None:
    """[fault W10] It was left out, and the answer ended with `stop`."""
    seen = Read(answer(ended(RUBBISH[name])), stream=stream)
    assert seen.failure is not None
    assert seen.failure.error.code == "gateway_error"


@BOTH
def test_an_error_in_a_candidate_is_a_failure(*, stream: bool) -> None:
    """[fault B5] It was an answer that says nothing."""
    seen = Read(answer({"error": {"code": 500, "message": "It died."}, "finishReason": "STOP"}), stream=stream)
    assert seen.failure is not None
    assert seen.failure.error.code == "upstream_unavailable"


@BOTH
@pytest.mark.parametrize("nothing", [None, [], {}, {"parts": []}, {"parts": None}, {"role": "model"}, {"parts": [{"text": ""}]}])
def test_a_content_of_nothing_is_no_failure(nothing: object, *, stream: bool) -> None:
    """As Gemini sends it with a finish, or where the model has nothing to say."""
    seen = Read(answer(ended(nothing)), stream=stream)
    assert (seen.failure, seen.text, seen.reasons) == (None, "", ["stop"])


def passed(*events: Json, stream: bool) -> tuple[list[Tree], UpstreamFailed | None]:
    """Return what a client of Gemini's own protocol gets."""
    request = parse_gemini(b'{"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}', "m-1", stream=stream)
    decoder = gemini.decoder(request, TARGET, call_id="READ", created=1, protocol=gemini.NAME)
    parts = [*decoder.feed(written(*events, stream=stream))]
    parts += [] if decoder.done or decoder.failure is not None else decoder.end()
    parts += [] if decoder.failure is not None else decoder.closing(None)
    data = b"".join([part.data for part in parts if isinstance(part, Piece)])
    lines = [line.removeprefix(b"data: ") for line in data.split(b"\n\n") if line] if stream else [data] if data else []
    return [json.loads(line) for line in lines], decoder.failure


@BOTH
def test_a_client_of_geminis_own_gets_what_it_can_read(*, stream: bool) -> None:
    """[fault W10] Google's clients look for camelCase, lists and words; what was passed as it came was nothing to them."""
    parts = [TEXT, {"function_call": {"name": "look", "args": {"a_b": 1}}}]
    candidate = {"content": [{"role": "model", "parts": parts}], "finish_reason": 1, "index": 0}
    events, failure = passed({"candidates": [candidate], "usage_metadata": SNAKE, "model_version": "m-1"}, stream=stream)
    read = [types.GenerateContentResponse.model_validate(event) for event in events]
    assert (failure, "".join([part.text or "" for part in parts_of(read)])) == (None, "Yes.")
    assert [part.function_call.args for part in parts_of(read) if part.function_call] == [{"a_b": 1}]
    ends = [candidate.finish_reason for each in read for candidate in each.candidates or () if candidate.finish_reason]
    last = read[-1].usage_metadata
    assert (ends, last.total_token_count if last else 0) == ([types.FinishReason.STOP], 7)


def parts_of(read: list[types.GenerateContentResponse]) -> list[types.Part]:
    """Return all parts that Google's client has read."""
    return [part for each in read for one in each.candidates or () if one.content for part in one.content.parts or ()]


@BOTH
def test_a_client_of_geminis_own_is_told_what_cannot_be_read(*, stream: bool) -> None:
    """[fault W10] Its own client breaks on it, or reads nothing."""
    assert passed(answer(ended(RUBBISH["a call"])), stream=stream)[1] is not None


def test_a_document_that_is_as_it_should_be_passes_in_its_own_bytes() -> None:
    """Names with underscores in what a model gives a call are its own."""
    whole = answer(ended({"role": "model", "parts": [CALL]}), modelVersion="m-1")
    assert passed(whole, stream=False)[0] == [whole]
