"""`POST /v1/completions` at vendors that have it and are sloppy: what they say arrives whole, as at the chat door, and is billed so."""

from __future__ import annotations

import json
from typing import Any

import openai as sdk
import pytest

from rig import Break, Script, events_of
from test_completions import DONE, HEAD, USED, asked, called, said, script, streamed, used, whole

Json = dict[str, Any]


def choice(finish: str | None = None, **members: Any) -> bytes:
    """A chunk whose one choice has these members."""
    return b"data: " + json.dumps({**HEAD, "choices": [{"finish_reason": finish, **members}]}).encode() + b"\n\n"


ODD: dict[str, list[bytes]] = {
    "a blank behind [DONE]": [said("one "), said("two", "stop"), used(), b"data: [DONE] \n\n"],
    "single newlines": [b"".join([said("one "), said("two", "stop"), used(), DONE]).replace(b"\n\n", b"\n")],
    "null before and between": [b"data: null\n\n", said("one "), b"data: null\n\n", said("two", "stop"), used(), DONE],
    "numbered from one": [said("one ", index=1), said("two", "stop", 1), used(), DONE],
    "numbered below nothing": [said("one ", index=-1), said("two", "stop", -1), used(), DONE],
    "numbered in text": [choice(index="0", text="one "), choice("stop", index="0", text="two"), used(), DONE],
    "a second choice that nobody asked for": [said("one "), said("no", "length", 1), said("two", "stop"), used(), DONE],
    "the words of conversations": [choice(index=0, delta={"content": "one "}), choice("stop", delta={"content": "two"}), used(), DONE],
    "a message": [choice("stop", message={"role": "assistant", "content": "one two"}), used(), DONE],
    "messages one behind the other": [
        choice(index=0, message={"content": "one "}),
        choice("stop", message={"content": "two"}),
        used(),
        DONE,
    ],
    "all of it once more as a message": [
        *[choice(index=0, delta={"content": word}) for word in ("one ", "two")],
        choice("stop", index=0, delta={}, message={"role": "assistant", "content": "one two"}),
        used(),
        DONE,
    ],
    "texts, and all of it once more as a message": [
        said("one "),
        said("two"),
        said("", "stop", message={"content": "one two"}),
        used(),
        DONE,
    ],
    "all of it so far in each as a message": [
        choice(index=0, delta={"content": "one "}, message={"content": "one "}),
        choice("stop", index=0, delta={"content": "two"}, message={"content": "one two"}),
        used(),
        DONE,
    ],
    "an empty text beside a delta": [said("", delta={"content": "one "}), said("", "stop", delta={"content": "two"}), used(), DONE],
    "an empty delta beside a message": [
        choice("stop", index=0, text="", delta={"content": ""}, message={"content": "one two"}),
        used(),
        DONE,
    ],
    "an error behind the report": [said("one "), said("two", "stop"), used(), b'data: {"error": {"message": "CUDA", "code": 500}}\n\n'],
    "rubbish behind the report": [said("one "), said("two", "stop"), used(), b"data: oops\n\n"],
    "an empty reason": [said("one ", ""), said("two", ""), said("", "stop"), used(), DONE],
}


@pytest.mark.parametrize("steps", ODD.values(), ids=ODD)
def test_what_a_vendor_says_arrives_however_it_writes_it(steps: list[bytes]) -> None:
    """Its text, one finish, and its report."""
    _, client, row = called(asked(stream=True), Script(steps))
    assert streamed(client) == ("one two", ["stop"])
    assert (row.outcome, row.billed.output_tokens, row.billed.source) == ("completed", 2, "reported")


def test_choices_that_are_numbered_in_text_are_told_apart() -> None:
    """As those that are numbered by numbers."""
    steps = [choice(index=index, text=word) for index, word in (("1", "b"), ("0", "a"), ("1", "B"), ("0", "A"))]
    _, client, _ = called(asked(stream=True, n=2), Script([*steps, choice("stop", index="0"), choice("stop", index="1"), DONE]))
    texts = {0: "", 1: ""}
    for item in events_of(client.body)[:-1]:
        for each in item["choices"]:
            texts[each["index"]] += each["text"]
    assert texts == {0: "aA", 1: "bB"}


def test_a_stream_that_breaks_off_behind_an_empty_reason_is_no_stop() -> None:
    """An empty text is no reason to end."""
    _, client, row = called(asked(stream=True), Script([said("one ", "")]))
    assert ("error" in events_of(client.body)[-1], row.outcome) == (True, "cut")


IN_CONVERSATIONS = {"content": [{"token": "one", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "x", "logprob": -2.0}]}]}


@pytest.mark.parametrize(
    "members",
    [
        {"id": None},
        {"id": ""},
        {"id": 7},
        {"object": "chat.completion"},
        {"object": None},
        {"created": "1"},
        {"created": 1.5},
        {"index": 1},
    ],
    ids=str,
)
def test_a_document_whose_members_are_of_other_types_is_mended(members: Json) -> None:
    """The official client's types are kept."""
    answer = whole("one")
    answer["choices"][0] |= {name: value for name, value in members.items() if name == "index"}
    _, client, row = called(asked(), script(answer | {name: value for name, value in members.items() if name != "index"}))
    told = sdk.types.Completion.model_validate(json.loads(client.body), strict=True)
    assert [(each.index, each.text, each.finish_reason) for each in told.choices] == [(0, "one", "stop")]
    assert (told.id != "", row.billed.output_tokens) == (True, USED["completion_tokens"])


def test_log_probabilities_in_the_form_of_conversations_are_those_of_completions_in_a_document_too() -> None:
    """llama.cpp writes them so here; a stream has them in this protocol's form already."""
    answer = whole("one")
    answer["choices"][0]["logprobs"] = IN_CONVERSATIONS
    _, client, _ = called(asked(logprobs=1), script(answer))
    wanted = {"tokens": ["one"], "token_logprobs": [-0.5], "top_logprobs": [{"x": -2.0}], "text_offset": [0]}
    assert json.loads(client.body)["choices"][0]["logprobs"] == wanted


@pytest.mark.parametrize("number", ["-Infinity", "NaN", "-1e400"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_a_log_probability_that_is_no_number_is_the_smallest_there_is(number: str, stream: bool) -> None:
    """[fault W4] As on chat; null is what the first token of a repeated prompt has, and clients add the others up."""
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [None, 9], "top_logprobs": [None, {"b": 9, "c": -1.5}], "text_offset": [0, 1]}
    answer = whole("ab")
    answer["choices"][0]["logprobs"] = logprobs
    written = said("ab", logprobs=logprobs) if stream else json.dumps(answer).encode()
    wrong = written.replace(b"9,", number.encode() + b",").replace(b"9]", number.encode() + b"]")
    vendor = Script([wrong, said("", "stop"), DONE]) if stream else Script([wrong], headers={})
    _, client, _ = called(asked(logprobs=2, stream=stream), vendor)
    told = (events_of(client.body)[0] if stream else json.loads(client.body))["choices"][0]["logprobs"]
    assert (told["token_logprobs"], told["top_logprobs"]) == ([None, -9999.0], [None, {"b": -9999.0, "c": -1.5}])


def test_a_document_with_bytes_that_are_no_text_is_mended() -> None:
    """Where nobody looks at them too: what leaves is strict JSON."""
    body = json.dumps(whole("one", fingerprint="??")).encode().replace(b"??", b"\xed\xa0\xbd")
    _, client, row = called(asked(), Script([body], headers={}))
    assert (json.loads(client.body.decode())["choices"][0]["text"], row.outcome) == ("one", "completed")


@pytest.mark.parametrize(
    "named",
    [
        {"logprobs": {"tokens": ["w"] * 25, "token_logprobs": [-0.1] * 25}},
        {"logprobs": {"content": [{"token": "w", "logprob": -0.1}] * 25}},
        {"token_ids": list(range(25))},
    ],
    ids=["logprobs", "logprobs of conversations", "token ids"],
)
def test_a_cut_stream_whose_vendor_names_each_token_costs_as_many_as_arrived(named: Json) -> None:
    """[fault M7] Twenty-five in a delta, which the size of the text only guesses at."""
    _, _, row = called(asked(stream=True, logprobs=1), Script([said("word " * 25, **named), said("word " * 25, **named), Break()]))
    assert (row.outcome, row.billed.output_tokens, row.billed.source) == ("cut", 50, "counted")
    _, _, row = called(asked(stream=True, logprobs=1), Script([said("word " * 25, **named), said("word " * 25), Break()]))
    assert 50 < row.billed.output_tokens < 80  # what it does not name is counted
    unnamed, again = said("word " * 25), said("word " * 25, **named)
    _, _, row = called(asked(stream=True, logprobs=1), Script([again, unnamed, again, again, Break()]))
    _, _, plain = called(asked(stream=True, logprobs=1), Script([again, unnamed, unnamed, unnamed, Break()]))
    assert row.billed.output_tokens == plain.billed.output_tokens  # and so is all behind it: what it names then is not of all


NAMELESS = [{"index": 0, "id": "call_1", "type": "function", "function": {"arguments": "{}"}}]
#: Ends of an answer whose call has no name, as a stream and as a document.
CALLS: dict[str, list[bytes]] = {
    "a finish": [choice(index=0, delta={"tool_calls": NAMELESS}), choice("tool_calls", index=0, delta={}), DONE],
    "stop": [choice("stop", index=0, delta={"tool_calls": NAMELESS}), DONE],
    "no finish": [choice(index=0, delta={"tool_calls": NAMELESS}), DONE],
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_without_a_name_is_no_answer_here_either(case: str) -> None:
    """[fault S3] It ended with `stop` and [DONE], where the chat door tells that the answer could not be understood."""
    _, client, row = called(asked(stream=True), Script([said("one "), *CALLS[case]], headers={}))
    last = events_of(client.body)[-1]
    assert (last["error"]["code"], b"[DONE]" in client.body, b'"stop"' in client.body) == ("gateway_error", False, False)
    assert row.outcome != "completed"
    message = json.loads(choice("stop", index=0, message={"tool_calls": NAMELESS})[6:])
    _, client, _ = called(asked(), Script([json.dumps(message).encode()], headers={}))
    assert (client.status, json.loads(client.body)["error"]["code"]) == (502, "gateway_error")


@pytest.mark.parametrize("rubbish", [5, "look", [5], {"look": {"arguments": "{}"}}], ids=str)
@pytest.mark.parametrize("name", ["tool_calls", "function_call"])
def test_calls_that_cannot_be_read_are_no_answer_here_either(name: str, rubbish: object) -> None:
    """[fault W10] A number, a text: it ended with `stop`, and was billed. Whatever a call may be, the model has not finished a text."""
    if name == "function_call" and isinstance(rubbish, dict):
        return
    steps = [said("one "), choice("stop", index=0, delta={name: rubbish}), DONE]
    _, client, row = called(asked(stream=True), Script(steps, headers={}))
    assert (events_of(client.body)[-1]["error"]["code"], b'"stop"' in client.body) == ("gateway_error", False)
    assert row.outcome != "completed"
    message = json.loads(choice("stop", index=0, message={"content": "one", name: rubbish})[6:])
    _, client, _ = called(asked(), Script([json.dumps(message).encode()], headers={}))
    assert (client.status, json.loads(client.body)["error"]["code"]) == (502, "gateway_error")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_choices_that_are_keyed_by_place_are_read(stream: bool) -> None:
    """[fault W10] They were none, and the answer none."""
    answer = whole("one two")
    keyed = {**answer, "choices": {"0": answer["choices"][0]}}
    steps = [b"data: %b\n\n" % json.dumps(keyed).encode(), DONE]
    _, client, row = called(asked(stream=stream), Script(steps) if stream else Script([json.dumps(keyed).encode()], headers={}))
    text = streamed(client)[0] if stream else json.loads(client.body)["choices"][0]["text"]
    assert (text, row.outcome) == ("one two", "completed")
