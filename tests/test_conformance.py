"""The conformance checker itself: it passes what keeps the contract, and names the one rule that a bad stream breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.testing.conformance import check_answer, check_error, check_stream

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"
OPENING: Json = {"role": "assistant", "content": "", "refusal": None}
COUNTS: Json = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 5},
    "cost": 0.00012,
}
ERROR: Json = {
    "type": "upstream_error",
    "code": "upstream_unavailable",
    "message": "The vendor broke off.",
    "param": None,
    "request_id": "req_1",
}


def event(value: object) -> bytes:
    """Write one event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(*choices: Json, **members: object) -> bytes:
    """Write a chunk with these entries of `choices`, and members changed or added."""
    return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": list(choices)} | members)


def says(delta: object, finish: str | None = None, index: object = 0, **members: object) -> bytes:
    """Write a chunk with one entry of `choices`."""
    return chunk({"index": index, "delta": delta, "finish_reason": finish}, **members)


def calls(*fragments: Json) -> bytes:
    """Write a chunk with fragments of tool calls."""
    return says({"tool_calls": list(fragments)})


def opens(index: int, **members: object) -> Json:
    """Return the opening fragment of a tool call, with members changed or added."""
    return {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "f", "arguments": ""}} | members


def goes_on(index: int, arguments: object = "{}") -> Json:
    """Return a later fragment of a tool call."""
    return {"index": index, "function": {"arguments": arguments}}


START = says(OPENING)
HELLO = says({"content": "Hello"})
STOP = says({}, "stop")
CALLED = says({}, "tool_calls")
END = STOP + DONE
TEXT = START + HELLO + END
TWO = chunk({"index": 0, "delta": OPENING}, {"index": 1, "delta": OPENING})
CUSTOM: Json = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": ""}}

GOOD = {
    "text": TEXT,
    "a keep-alive before and between events": b": keep-alive\n\n" + START + b": keep-alive\n\n" + HELLO + END,
    "an opening without refusal": says({"role": "assistant", "content": ""}) + HELLO + END,
    "extra members": says(OPENING | {"annotations": []}, obfuscation="x", service_tier="default", native=[{"a": 1}]) + HELLO + END,
    "parallel tools": START
    + calls(opens(0))
    + calls(goes_on(0, "{"))
    + calls(opens(1), goes_on(0, "}"))
    + calls(goes_on(1))
    + CALLED
    + DONE,
    "a tool call with extra members in its opening": START
    + calls(opens(0, extra_content={"google": {}}))
    + calls(goes_on(0))
    + CALLED
    + DONE,
    "a custom tool without input": START + calls(CUSTOM) + calls({"index": 0, "custom": {"input": ""}}) + CALLED + DONE,
    "a call that was cut before it was given": START + calls(opens(0)) + calls(goes_on(0)) + calls(opens(1)) + says({}, "length") + DONE,
    "the legacy function": START
    + says({"function_call": {"name": "f", "arguments": ""}})
    + says({"function_call": {"arguments": "{}"}})
    + says({}, "function_call")
    + DONE,
    "a refusal": START + says({"refusal": "No."}) + END,
    "reasoning with its twin and details": START
    + says({"reasoning_content": "hm", "reasoning": "hm", "reasoning_details": [{"index": 0, "text": "hm"}]})
    + HELLO
    + END,
    "citations": START + HELLO + says({"annotations": [{"type": "url_citation", "index": 0}]}) + END,
    "audio": START + says({"audio": {"id": "a", "data": "UklG"}}) + chunk({"index": 0, "delta": {"audio": {"expires_at": 9}}}) + END,
    "a moderation chunk": START + HELLO + chunk(moderation={"input": {}}) + END,
    "a failure after text": START + HELLO + event({"error": ERROR}),
    "a failure at once": event({"error": ERROR}),
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD.keys())
def test_a_stream_that_keeps_the_contract_breaks_no_rule(body: bytes) -> None:
    """Every shape that the contract allows is graded as conformant."""
    assert check_stream(body, include_usage=False) == []


def test_a_stream_with_usage_or_two_choices_that_keeps_the_contract_breaks_no_rule() -> None:
    """The two arguments of the checker change what is expected, and the right stream then passes."""
    start, hello, stop = (says(delta, finish, usage=None) for delta, finish in ((OPENING, None), ({"content": "Hi"}, None), ({}, "stop")))
    assert check_stream(start + hello + stop + chunk(usage=COUNTS) + DONE, include_usage=True) == []
    both = TWO + says({"content": "a"}, index=1) + says({}, "length", index=1) + HELLO + END
    assert check_stream(both, include_usage=False, choices=2) == []


def usage_stream(counts: object = COUNTS, *, after_stop: bytes = b"", **opening: object) -> bytes:
    """Write a stream for a client that asked for usage."""
    first = {"usage": None} | opening
    return (
        says(OPENING, **first)
        + says({"content": "Hi"}, usage=None)
        + says({}, "stop", usage=None)
        + chunk(usage=counts)
        + after_stop
        + DONE
    )


BAD = {
    "a CRLF line end": (START + HELLO[:-2] + b"\r\n\n" + END, "one `data: ` line"),
    "an event field": (START + b"event: message\n" + HELLO + END, "one `data: ` line"),
    "an id field of its own": (b"id: 1\n\n" + TEXT, "one `data: ` line"),
    "no space after the colon": (TEXT.replace(b"data: [DONE]", b"data:[DONE]") + DONE, "one `data: ` line"),
    "another comment": (b": OPENROUTER PROCESSING\n\n" + TEXT, "one `data: ` line"),
    "a third newline": (START + b"\n" + HELLO + END, "one `data: ` line"),
    "a byte order mark": (b"\xef\xbb\xbf: keep-alive\n\n" + TEXT, "one `data: ` line"),
    "two lines of data": (START + HELLO.replace(b', "choices"', b',\ndata: "choices"') + END, "one `data: ` line"),
    "broken JSON": (START + b'data: {"id":\n\n' + HELLO + END, "one JSON object"),
    "a JSON array": (START + b"data: []\n\n" + HELLO + END, "one JSON object"),
    "half a character": (START + b'data: {"a":"\xe2\x82"}\n\n' + END, "one JSON object"),
    "an empty event": (START + b"data: \n\n" + END, "one JSON object"),
    "a second [DONE]": (TEXT + DONE, "nothing follows [DONE]"),
    "a chunk after [DONE]": (TEXT + HELLO, "nothing follows [DONE]"),
    "[DONE] after an error": (START + event({"error": ERROR}) + DONE, "nothing follows [DONE]"),
    "a finish after an error": (START + event({"error": ERROR}) + STOP, "nothing follows [DONE]"),
    "no blank line after [DONE]": (START + HELLO + END[:-1], "ends with a blank line"),
    "an end without [DONE]": (START + HELLO + STOP, "ends with [DONE] or an error event"),
    "an empty body": (b"", "ends with [DONE] or an error event"),
    "[DONE] without a finish": (START + HELLO + DONE, "every choice finishes before [DONE]"),
    "nothing but [DONE]": (DONE, "every choice finishes before [DONE]"),
    "another id": (START + says({"content": "a"}, id="c2") + END, "`id` is the same"),
    "another created": (START + says({"content": "a"}, created=2) + END, "`created` is the same"),
    "another model": (START + says({"content": "a"}, model="n") + END, "`model` is the same"),
    "an empty id": (TEXT.replace(b'"c1"', b'""'), "`id` and `model` are non-empty"),
    "a missing model": (TEXT.replace(b', "model": "m"', b""), "`id` and `model` are non-empty"),
    "created as a float": (TEXT.replace(b'"created": 1', b'"created": 1.0'), "`created` is a whole number"),
    "another object": (START + says({"content": "a"}, object="chat.completion") + END, "`object` is"),
    "choices null": (
        START + event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": None}) + END,
        "`choices` is",
    ),
    "choices absent": (START + event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}) + END, "`choices` is"),
    "error null": (START + says({"content": "a"}, error=None) + END, "no `error` member"),
    "delta null": (START + says(None) + END, "`delta` is an object"),
    "delta absent": (START + chunk({"index": 0, "finish_reason": None}) + END, "`delta` is an object"),
    "a choice beyond n": (START + says({"content": "a"}, index=1) + END, "`index` counts from 0"),
    "a choice without index": (START + says({"content": "a"}, index=None) + END, "`index` counts from 0"),
    "an opening without role": (says({"content": ""}) + HELLO + END, "role assistant"),
    "an opening without content": (says({"role": "assistant"}) + HELLO + END, "role assistant"),
    "an opening with text": (says({"role": "assistant", "content": "Hello"}) + END, "role assistant"),
    "no opening": (HELLO + END, "role assistant"),
    "an opening with reasoning": (says(OPENING | {"reasoning_content": "hm"}) + HELLO + END, "carries no output"),
    "a role repeated": (START + says({"role": "assistant", "content": "a"}) + END, "only the first chunk"),
    "a role repeated as an empty string": (START + says({"role": "", "content": "a"}) + END, "only the first chunk"),
    "content as parts": (START + says({"content": [{"index": 0, "text": "a"}]}) + END, "are strings"),
    "reasoning under its other name": (START + says({"reasoning": "hm"}) + HELLO + END, "twin"),
    "details without index": (START + says({"reasoning_details": [{"text": "hm"}]}) + HELLO + END, "integer `index`"),
    "two finishes": (START + HELLO + STOP + END, "nothing follows the finish"),
    "text after the finish": (START + STOP + HELLO + DONE, "nothing follows the finish"),
    "a finish of its own kind": (START + HELLO + says({}, "error") + DONE, "finish_reason is one of"),
    "a finish with text": (START + says({"content": "a"}, "stop") + DONE, "finish chunk is {}"),
    "tool calls null": (START + says({"tool_calls": None}) + END, "non-empty array"),
    "tool calls empty": (START + says({"tool_calls": []}) + END, "non-empty array"),
    "a cut call that is not the last": (START + calls(opens(0), opens(1)) + calls(goes_on(1)) + says({}, "length") + DONE, "argument text"),
    "tool index from 1": (START + calls(opens(1)) + CALLED + DONE, "without gaps"),
    "tool index absent": (
        START + calls(opens(0)) + calls(goes_on(0)) + calls({"function": {"arguments": ""}}) + CALLED + DONE,
        "without gaps",
    ),
    "a tool without id": (START + calls(opens(0, id=None)) + calls(goes_on(0)) + CALLED + DONE, "a tool call opens"),
    "a tool without type": (START + calls(opens(0, type=None)) + calls(goes_on(0)) + CALLED + DONE, "a tool call opens"),
    "a tool without name": (START + calls(opens(0, function={"arguments": ""})) + calls(goes_on(0)) + CALLED + DONE, "a tool call opens"),
    "a tool opened whole": (
        START + calls(opens(0, function={"name": "f", "arguments": "{}"})) + calls(goes_on(0)) + CALLED + DONE,
        "a tool call opens",
    ),
    "a tool id repeated": (START + calls(opens(0)) + calls(goes_on(0) | {"id": "call_0"}) + CALLED + DONE, "after its opening"),
    "a tool type repeated as null": (START + calls(opens(0)) + calls(goes_on(0) | {"type": None}) + CALLED + DONE, "after its opening"),
    "a tool name repeated": (
        START + calls(opens(0)) + calls({"index": 0, "function": {"name": "f", "arguments": "{}"}}) + CALLED + DONE,
        "after its opening",
    ),
    "arguments as an object": (
        START + calls(opens(0)) + calls(goes_on(0)) + calls(goes_on(0, {"a": 1})) + CALLED + DONE,
        "after its opening",
    ),
    "arguments never sent": (START + calls(opens(0)) + calls(goes_on(0, "")) + CALLED + DONE, "was sent argument text"),
    "a legacy call without name": (START + says({"function_call": {"arguments": "{}"}}) + END, "first fragment only"),
    "a legacy name twice": (START + says({"function_call": {"name": "f", "arguments": ""}}) * 2 + END, "first fragment only"),
    "legacy arguments as an object": (START + says({"function_call": {"name": "f", "arguments": {}}}) + END, "first fragment only"),
    "a tool and a legacy call": (
        START + calls(opens(0)) + calls(goes_on(0)) + says({"function_call": {"name": "f", "arguments": ""}}) + END,
        "not both",
    ),
    "a legacy call and a tool": (
        START + says({"function_call": {"name": "f", "arguments": ""}}) + calls(opens(0)) + calls(goes_on(0)) + END,
        "not both",
    ),
    "usage that nobody asked for": (START + says({"content": "a"}, usage=None) + END, "no `usage` member"),
    "a usage chunk that nobody asked for": (START + STOP + chunk(usage=COUNTS) + DONE, "no `usage` member"),
    "an error with choices": (START + event({"error": ERROR, "choices": []}), "no other member"),
    "an error that is a string": (START + event({"error": "boom"}), "an error has the fields"),
    "an error without request_id": (
        START + event({"error": {k: v for k, v in ERROR.items() if k != "request_id"}}),
        "an error has the fields",
    ),
    "an error without message": (START + event({"error": ERROR | {"message": ""}}), "message and request_id"),
    "an error with a number as code": (START + event({"error": ERROR | {"code": 502}}), "table of errors"),
    "an error with another code's type": (START + event({"error": ERROR | {"type": "api_error"}}), "table of errors"),
}


@pytest.mark.parametrize(("body", "rule"), BAD.values(), ids=BAD.keys())
def test_a_stream_that_breaks_one_rule_is_told_that_rule_alone(body: bytes, rule: str) -> None:
    """Each bad stream is charged with exactly the rule that it breaks."""
    broken = check_stream(body, include_usage=False)
    assert len(broken) == 1, broken
    assert rule in broken[0]


BAD_USAGE = {
    "a chunk without usage": (usage_stream().replace(b', "usage": null', b"", 1), "`usage` is null on every chunk"),
    "usage on every chunk": (usage_stream(usage=COUNTS), "`usage` is null on every chunk"),
    "no usage chunk": (usage_stream().replace(chunk(usage=COUNTS), b""), "sent before [DONE]"),
    "two usage chunks": (usage_stream(after_stop=chunk(usage=COUNTS)), "only [DONE] follows"),
    "a chunk after usage": (usage_stream(after_stop=chunk(usage=None, moderation={})), "only [DONE] follows"),
    "usage before the finish": (
        says(OPENING, usage=None) + chunk(usage=COUNTS) + DONE,
        "usage follows the finish",
    ),
    "usage before an error": (usage_stream(after_stop=event({"error": ERROR})).removesuffix(DONE), "sends no usage"),
    "a total that counts reasoning twice": (usage_stream(COUNTS | {"total_tokens": 19}), "total_tokens is"),
    "a count as text": (usage_stream(COUNTS | {"prompt_tokens": "9"}), "whole numbers"),
    "a negative count": (usage_stream(COUNTS | {"prompt_tokens": -1, "total_tokens": 4}), "whole numbers"),
    "cached beside the prompt": (usage_stream(COUNTS | {"prompt_tokens_details": {"cached_tokens": 10}}), "part of prompt_tokens"),
    "reasoning beside the completion": (
        usage_stream(COUNTS | {"completion_tokens_details": {"reasoning_tokens": 6}}),
        "part of completion_tokens",
    ),
    "a cost as text": (usage_stream(COUNTS | {"cost": "0.1"}), "`cost` is a number"),
}


@pytest.mark.parametrize(("body", "rule"), BAD_USAGE.values(), ids=BAD_USAGE.keys())
def test_usage_that_breaks_one_rule_is_told_that_rule_alone(body: bytes, rule: str) -> None:
    """Each stream whose usage is wrong is charged with exactly the rule that it breaks."""
    broken = [fault for fault in check_stream(body, include_usage=True) if "every choice finishes" not in fault]
    assert len(broken) == 1, broken
    assert rule in broken[0]


def test_choices_that_open_out_of_order_are_told_so() -> None:
    """With n=2 a stream whose second choice comes first is charged with that alone."""
    body = says(OPENING, index=1) + START + says({}, "stop", index=1) + END
    assert check_stream(body, include_usage=False, choices=2) == ["event 1: choices open in the order of their index"]


def test_a_rule_broken_by_every_chunk_is_told_once_with_the_first_of_them() -> None:
    """The report has one line for a rule, however often it was broken, naming the first event."""
    body = START + says({"role": "assistant", "content": "a"}) * 5 + END
    assert check_stream(body, include_usage=False) == ["event 2: only the first chunk of a choice carries a role"]


ANSWERED: Json = {"role": "assistant", "content": "Hi", "refusal": None}
CALL: Json = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def answer(message: Json = ANSWERED, choice: Json | None = None, **members: object) -> bytes:
    """Write a non-streamed answer, with members changed or added."""
    answered: Json = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [answered | (choice or {})], "usage": COUNTS}
    return json.dumps(whole | members).encode()


@pytest.mark.parametrize(
    "message", [ANSWERED, ANSWERED | {"content": None, "tool_calls": [CALL]}, ANSWERED | {"content": None, "refusal": "No."}]
)
def test_an_answer_that_keeps_the_contract_breaks_no_rule(message: Json) -> None:
    """Text, tool calls and a refusal are all conformant answers."""
    assert check_answer(answer(message)) == []


BAD_ANSWERS = {
    "an array": (b"[]", "one JSON object"),
    "a chunk": (answer(object="chat.completion.chunk"), "`object` is"),
    "no id": (answer(id=""), "`id` and `model`"),
    "no created": (answer(created=None), "`created` is"),
    "error null": (answer(error=None), "no `error` member"),
    "no choices": (answer(choices=[]), "non-empty array of objects"),
    "an index from 1": (answer(choice={"index": 1}), "order of their index"),
    "no finish": (answer(choice={"finish_reason": None}), "finish_reason is one of"),
    "logprobs as a list": (answer(choice={"logprobs": []}), "`logprobs` is there"),
    "no message": (answer(choice={"message": {"content": "a", "refusal": None}}), "role assistant"),
    "no refusal key": (answer({"role": "assistant", "content": "a"}), "are there, null or a string"),
    "content as parts": (answer(ANSWERED | {"content": [{"text": "a"}]}), "are there, null or a string"),
    "an empty list of calls": (answer(ANSWERED | {"tool_calls": []}), "non-empty array of objects, or absent"),
    "arguments as an object": (
        answer(ANSWERED | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": {}}}]}),
        "a tool call has id",
    ),
    "arguments left empty": (
        answer(ANSWERED | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": ""}}]}),
        "a tool call has id",
    ),
    "a wrong total": (answer(usage=COUNTS | {"total_tokens": 1}), "total_tokens is"),
}


@pytest.mark.parametrize(("body", "rule"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_that_breaks_one_rule_is_told_that_rule_alone(body: bytes, rule: str) -> None:
    """Each bad answer is charged with exactly the rule that it breaks."""
    broken = check_answer(body)
    assert len(broken) == 1, broken
    assert rule in broken[0]


LIMITED: Json = ERROR | {"type": "rate_limit_error", "code": "rate_limit_exceeded"}
HEADERS = {"Content-Type": "application/json", "X-Request-Id": "req_1", "Retry-After": "7"}


def refused(error: object = LIMITED, status: int = 429, without: str = "", **headers: str) -> list[str]:
    """Grade an error response, with headers changed, added or left out."""
    sent = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    sent.pop(without, None)
    return check_error(json.dumps({"error": error}).encode(), status, sent)


def test_an_error_that_keeps_the_contract_breaks_no_rule() -> None:
    """A 429 with a wait, a 429 that no retry cures and a plain 502 are conformant."""
    assert refused() == []
    assert refused(without="Retry-After", x_should_retry="false") == []
    assert refused(ERROR, 502, without="Retry-After") == []


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (check_error(b"<html>", 502, HEADERS), "one member `error`"),
        (check_error(json.dumps({"error": ERROR, "detail": 1}).encode(), 502, HEADERS), "one member `error`"),
        (refused("boom"), "an error has the fields"),
        (refused(LIMITED | {"code": "slow_down"}), "table of errors"),
        (refused(LIMITED | {"message": None}), "message and request_id"),
        (refused(status=400), "has status 429"),
        (refused(Content_Type="text/html"), "application/json"),
        (refused(X_Request_Id="req_2"), "equals"),
        (refused(without="X-Request-Id"), "equals"),
        (refused(Retry_After="0"), "from 1 to 60"),
        (refused(Retry_After="61"), "from 1 to 60"),
        (refused(Retry_After="1.5"), "from 1 to 60"),
        (refused(without="Retry-After"), "say when to retry"),
    ],
)
def test_an_error_that_breaks_one_rule_is_told_that_rule_alone(broken: list[str], rule: str) -> None:
    """Each bad error response is charged with exactly the rule that it breaks."""
    relevant = [fault for fault in broken if rule in fault]
    assert relevant, broken
    assert len(broken) == 1 or rule == "an error has the fields", broken
