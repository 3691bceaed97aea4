"""Calls and choices of the chat's own dialect in other shapes: keyed by place, as text, as parts. What is no call is a failure."""

from __future__ import annotations

import json

import pytest

from rig import DONE
from test_shapes_read import BOTH, CALL, Json, Read, read, said

OTHER = {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": '{"b":2}'}}
BARE = {name: value for name, value in CALL.items() if name != "index"}
FUNCTION: Json = {"id": "call_1", "type": "function"}
ENDS = pytest.mark.parametrize("reason", ["stop", "tool_calls"])

ONE: dict[str, Json] = {
    "keyed by place": {"tool_calls": {"0": BARE}},
    "keyed by place, with its index": {"tool_calls": {"0": CALL}},
    "keyed by its id": {"tool_calls": {"call_1": {"function": CALL["function"]}}},
    "a list as text": {"tool_calls": json.dumps([CALL])},
    "a call as text": {"tool_calls": [json.dumps(CALL)]},
    "a list in a list": {"tool_calls": [[CALL]]},
    "beside nothing": {"tool_calls": [None, CALL]},
    "arguments as an object": {"tool_calls": [{**FUNCTION, "function": {"name": "look", "arguments": {"a": 1}}}]},
    "arguments in a member of Anthropic's": {"tool_calls": [{"id": "call_1", "name": "look", "input": {"a": 1}}]},
    "arguments in a member of Gemini's": {"tool_calls": [{**FUNCTION, "function": {"name": "look", "args": {"a": 1}}}]},
    "arguments as models write them": {"tool_calls": [{**FUNCTION, "function": {"name": "look", "parameters": {"a": 1}}}]},
    "a name in place of the function": {"tool_calls": [{**FUNCTION, "function": "look", "arguments": '{"a":1}'}]},
    "the function in a list": {"tool_calls": [{**FUNCTION, "function": [CALL["function"]]}]},
    "in a member of Java's": {"toolCalls": [CALL]},
    "in a member of one": {"tool_call": CALL},
    "a part of Anthropic's": {"content": [{"type": "tool_use", "id": "call_1", "name": "look", "input": {"a": 1}}]},
    "a part alone": {"content": {"type": "tool_use", "id": "call_1", "name": "look", "input": {"a": 1}}},
    "a part of the Responses API's": {"content": [{"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"a":1}'}]},
}


@BOTH
@ENDS
@pytest.mark.parametrize("name", ONE)
def test_a_call_in_another_shape_is_read(name: str, reason: str, *, stream: bool) -> None:
    """[fault W10] It was lost, and the answer ended with `stop`, said nothing and was billed; or it was called with `{}`."""
    for whole in (False, True):
        seen = read({"index": 0, **said(stream, **ONE[name]), "finish_reason": reason}, stream=stream, whole=whole)
        assert ("".join(seen.calls), seen.reason) == ('look{"a":1}', "tool_calls")


@BOTH
@pytest.mark.parametrize("calls", [{"0": BARE, "1": OTHER}, {"1": OTHER, "0": BARE}, {"10": OTHER, "9": BARE}])
def test_calls_that_are_keyed_by_place_come_in_its_order(calls: Json, *, stream: bool) -> None:
    """[fault W10] As numbers, and not as words, whichever way round they stand."""
    seen = read({"index": 0, **said(stream, tool_calls=calls), "finish_reason": "stop"}, stream=stream)
    assert "".join(seen.calls) == 'look{"a":1}look{"b":2}'


def test_fragments_that_are_keyed_by_place_are_put_together() -> None:
    """[fault W10] A stream that keys its fragments: by place they belong together."""
    opened = {"0": {**FUNCTION, "function": {"name": "look", "arguments": '{"a"'}}}
    rest = {"0": {"function": {"arguments": ":1}"}}, "1": OTHER}
    seen = read(*[{"index": 0, "delta": {"tool_calls": each}} for each in (opened, rest)], {"finish_reason": "stop"}, stream=True)
    assert ("".join(seen.calls), seen.reason) == ('look{"a":1}look{"b":2}', "tool_calls")


@BOTH
def test_a_part_that_is_a_call_leaves_the_text_beside_it(*, stream: bool) -> None:
    """[fault W10] Both are told, and a call that stands in both places once."""
    part = {"type": "tool_use", "id": "call_1", "name": "look", "input": {"a": 1}}
    content = [{"type": "text", "text": "Yes."}, part]
    for also in ({}, {"tool_calls": [CALL]}):
        seen = read({"index": 0, **said(stream, content=content, **also), "finish_reason": "stop"}, stream=stream)
        assert (seen.text, "".join(seen.calls), seen.reason) == ("Yes.", 'look{"a":1}', "tool_calls")


@BOTH
@ENDS
@pytest.mark.parametrize("older", [{"name": "look", "arguments": {"a": 1}}, [{"name": "look", "arguments": '{"a":1}'}], '{"name":"look"}'])
def test_a_call_of_the_older_api_in_another_shape_is_read(older: object, reason: str, *, stream: bool) -> None:
    """[fault W9] In a list, or as text, it was lost behind a `stop`."""
    seen = read({"index": 0, **said(stream, function_call=older), "finish_reason": reason}, stream=stream)
    assert (seen.older > 0, seen.reason) == (True, "function_call")


@BOTH
@ENDS
@pytest.mark.parametrize("name", ["tool_calls", "function_call"])
@pytest.mark.parametrize("rubbish", [5, True, "look", [5], ["look"], [[5]], {"look": {"arguments": "{}"}}])
def test_calls_that_cannot_be_read_are_a_failure(rubbish: object, name: str, reason: str, *, stream: bool) -> None:
    """[fault W10] Behind a `stop` nobody learns that the model has called: the answer was nothing, and complete."""
    if name == "function_call" and isinstance(rubbish, dict):
        return
    seen = read({"index": 0, **said(stream, **{name: rubbish}), "finish_reason": reason}, stream=stream)
    assert seen.failure is not None
    assert seen.failure.error.code == "gateway_error"


@BOTH
@pytest.mark.parametrize("nothing", [None, [], {}, "", False, "none", "null", "auto", "[]", [None], [{}], [""]])
def test_what_says_that_there_is_no_call_is_none(nothing: object, *, stream: bool) -> None:
    """Some fill up the members of a message, or repeat what was asked for."""
    seen = read(
        {"index": 0, **said(stream, content="Yes.", tool_calls=nothing, function_call=nothing), "finish_reason": "stop"}, stream=stream
    )
    assert (seen.text, seen.calls, seen.older, seen.reason) == ("Yes.", [], 0, "stop")


def answer(choices: object, *, stream: bool) -> Read:
    """Have an answer read whose choices are in another shape; a stream has one such chunk."""
    body = json.dumps({"choices": choices}).encode()
    return Read(b"data: %b\n\n" % body + DONE if stream else body, stream=stream)


@BOTH
@pytest.mark.parametrize("key", ["0", "1", "first", None])
@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_choices_that_are_no_list_are_read(index: Json, key: str | None, *, stream: bool) -> None:
    """[fault W10] An object in place of the list: keyed, or the only choice itself. It was no answer at all."""
    choice = {**index, **said(stream, content="Yes."), "finish_reason": "stop"}
    seen = answer(choice if key is None else {key: choice}, stream=stream)
    assert (seen.failure, seen.text, seen.reason) == (None, "Yes.", "stop")


def test_an_error_in_a_choice_that_is_keyed_is_a_failure() -> None:
    """[fault B5] As in a list of them."""
    assert answer({"0": {"message": {"content": "Ye"}, "error": {"message": "It died."}}}, stream=False).failure is not None


PLACES: dict[str, Json] = {
    "a message of null beside a delta": {"message": None, "delta": {"content": "Yes."}},
    "a delta of null beside a message": {"delta": None, "message": {"content": "Yes."}},
    "an empty delta beside a message": {"delta": {}, "message": {"content": "Yes."}},
    "an empty message beside a delta": {"message": {}, "delta": {"content": "Yes."}},
    "a role beside a message": {"delta": {"role": "assistant"}, "message": {"content": "Yes."}},
    "a role beside a delta": {"message": {"role": "assistant", "content": None}, "delta": {"content": "Yes."}},
    "an empty delta beside a text": {"delta": {}, "text": "Yes."},
    "an empty message beside a text": {"message": {"role": "assistant"}, "text": "Yes."},
    "a message that is a text": {"message": "Yes."},
    "a delta that is a text": {"delta": "Yes."},
    "a message in a list": {"message": [{"content": "Yes."}]},
    "a delta in a list": {"delta": [{"content": "Yes."}]},
    "in the choice itself": {"content": "Yes."},
}


@BOTH
@pytest.mark.parametrize("name", PLACES)
def test_what_was_said_is_read_wherever_it_stands(name: str, *, stream: bool) -> None:
    """[fault W10] Behind an empty member, or in none, it was lost, and the answer ended with `stop`."""
    seen = read({"index": 0, **PLACES[name], "finish_reason": "stop"}, stream=stream)
    assert (seen.text, seen.reason) == ("Yes.", "stop")
    call = {"index": 0, "delta": {}, "tool_calls": [CALL], "finish_reason": "stop"}
    assert read(call, stream=stream).reason == "tool_calls"


def test_a_message_of_all_behind_its_deltas_is_no_second_answer() -> None:
    """Perplexity repeats all of it beside each delta, and behind the last."""
    whole = {"content": "Yes."}
    events = [{"index": 0, "delta": {"content": text}, "message": whole} for text in ("Ye", "s.")]
    assert (
        read(*events, {"index": 0, "delta": {"role": "assistant"}, "message": whole, "finish_reason": "stop"}, stream=True).text == "Yes."
    )


@BOTH
@pytest.mark.parametrize("odd", [{}, [], 5, None], ids=str)
def test_a_part_whose_type_is_no_text_is_no_call(odd: object, *, stream: bool) -> None:
    """Whatever stands there, it is looked up nowhere."""
    seen = read({"index": 0, **said(stream, content=[{"type": odd, "text": "Yes."}]), "finish_reason": "stop"}, stream=stream)
    assert (seen.text, seen.reason) == ("Yes.", "stop")
