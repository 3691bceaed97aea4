"""Answers of the chat's own dialect in shapes that others read: nothing that a vendor said is lost behind a `stop`, streamed or whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.answer import Piece
from aisa.errors import UpstreamFailed
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import parse_chat
from door_readers import data_of
from rig import DONE, closing_of

Json = dict[str, Any]
TARGET = Target(vendor="acme", model="m-1", dialect=openai.NAME)
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
ASKED: Json = {"model": "m-1", "messages": [{"role": "user", "content": "Hi."}], "stream": True, "tools": TOOLS}
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])


class Read:
    """What a client has of the first choice of an answer, and how many choices there are."""

    def __init__(self, vendor: bytes, *, stream: bool) -> None:
        asked = json.dumps({**ASKED, "stream": stream}).encode()
        decoder = openai.decoder(parse_chat(asked), TARGET, call_id="READ", created=1)
        parts = [*decoder.feed(vendor)]
        parts += [] if decoder.done or decoder.failure is not None else decoder.end()
        sent = b"".join(part.data for part in parts if isinstance(part, Piece))
        self.failure: UpstreamFailed | None = decoder.failure
        self.text = self.thinking = self.reason = ""
        self.calls: list[str] = []
        self.older = 0  # calls in the words of the API of before
        self.choices: set[int] = set()
        self.tokens = decoder.usage().output_tokens
        if self.failure is not None:
            return
        whole = sent + closing_of(decoder, None)
        assert (check_stream(whole, include_usage=False, choices=1) if stream else check_answer(whole)) == []
        for choice in [choice for event in (data_of(whole) if stream else [json.loads(whole)]) for choice in event["choices"]]:
            said = choice.get("delta") or choice.get("message") or {}
            self.choices.add(choice["index"])
            self.text += said.get("content") or ""
            self.thinking += said.get("reasoning_content") or ""
            self.older += "function_call" in said
            self.reason = choice["finish_reason"] or self.reason
            self.calls += [f"{call['function'].get('name', '')}{call['function']['arguments']}" for call in said.get("tool_calls", ())]


#: What else a document has that is as it should be: such pass in their own bytes.
WHOLE: Json = {"id": "c", "object": "chat.completion", "created": 1, "model": "m-1"}
USED: Json = {"usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}


def read(*choices: Json, stream: bool, whole: bool = False) -> Read:
    """Have an answer of these choices read: each a chunk of a stream, or all of them the choices of a document.

    `whole`: nothing else is wrong with the document.
    """
    if not stream:
        fit = [{"logprobs": None, **choice, **filled(choice)} for choice in choices] if whole else choices
        return Read(json.dumps({**WHOLE, "choices": fit, **USED} if whole else {"choices": choices}).encode(), stream=False)
    return Read(b"".join(b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode() for choice in choices) + DONE, stream=True)


def filled(choice: Json) -> Json:
    """Return a message with all that it should have."""
    return {"message": {"role": "assistant", "refusal": None, **choice["message"]}} if "message" in choice else {}


def said(stream: bool, **members: Any) -> Json:
    """What holds what was said, in a stream or a document."""
    return {"delta" if stream else "message": members}


THOUGHTS: dict[str, Json] = {
    "Copilot": {"reasoning_text": "Hm."},
    "Ollama": {"thinking": "Hm."},
    "a gateway to Gemini": {"thought": "Hm."},
    "an object": {"reasoning": {"content": "Hm."}},
    "parts": {"reasoning_content": [{"type": "text", "text": "H"}, {"type": "text", "text": "m."}]},
    "LiteLLM": {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]},
    "a summary": {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}, {"type": "reasoning.encrypted", "data": "x"}]},
    "the first that holds some": {"reasoning_content": "", "reasoning": None, "thinking": "Hm."},
}


@BOTH
@pytest.mark.parametrize("name", THOUGHTS)
def test_thinking_is_read_by_every_name_that_vendors_give_it(name: str, *, stream: bool) -> None:
    """[fault W10] Under the names of others it passed untold: to clients of other protocols not at all, and uncounted."""
    for whole in (False, True):
        seen = read({"index": 0, **said(stream, content="Yes.", **THOUGHTS[name]), "finish_reason": "stop"}, stream=stream, whole=whole)
        assert (seen.text, seen.thinking, seen.reason) == ("Yes.", "Hm.", "stop")


def test_what_only_looks_like_a_name_of_thinking_is_none() -> None:
    """A mark or a setting under such a name shows nothing."""
    for odd in (True, 3, {"effort": "low"}, [None, 7, {"type": "text"}]):
        assert read({"index": 0, "message": {"content": "Yes.", "thought": odd}, "finish_reason": "stop"}, stream=False).thinking == ""


CONTENTS = {
    "a list of texts": ["Ye", "s."],
    "texts and parts": ["Ye", {"type": "text", "text": "s."}],
    "one part": {"type": "output_text", "text": "Yes."},
}


@BOTH
@pytest.mark.parametrize("name", CONTENTS)
def test_a_text_in_another_shape_is_read(name: str, *, stream: bool) -> None:
    """[fault W10] Bare texts in a list were left out, and the answer ended with `stop`, said nothing and was billed."""
    for whole in (False, True):
        seen = read({"index": 0, **said(stream, content=CONTENTS[name]), "finish_reason": "stop"}, stream=stream, whole=whole)
        assert (seen.text, seen.tokens) == ("Yes.", 1)


@BOTH
@pytest.mark.parametrize("holder", [{"text": "Yes."}, {"delta": {"content": "Yes."}}, {"message": {"content": "Yes."}}])
def test_what_was_said_is_read_in_whichever_member_it_stands(holder: Json, *, stream: bool) -> None:
    """[fault W10] As text completions have it, as a stream in a document, as a document in a stream."""
    seen = read({"index": 0, **holder, "finish_reason": "stop"}, stream=stream)
    assert (seen.text, seen.reason) == ("Yes.", "stop")


def test_a_delta_that_is_a_bare_text_is_read() -> None:
    """[fault W10] It was nothing, behind which the stream ended with `stop`."""
    assert read({"index": 0, "delta": "Ye"}, {"index": 0, "delta": "s."}, {"index": 0, "finish_reason": "stop"}, stream=True).text == "Yes."


def test_a_text_beside_a_delta_is_no_second_one() -> None:
    """Together repeats what a delta says as completions have it."""
    both = {"index": 0, "delta": {"content": "Yes."}, "text": "Yes."}
    assert read(both, {"index": 0, "finish_reason": "stop"}, stream=True).text == "Yes."


@BOTH
@pytest.mark.parametrize("places", [(0, 0), (0, 1), (1, 2), (None, None)])
def test_an_answer_that_is_parted_into_choices_is_one_where_one_was_asked(places: tuple[int | None, int | None], *, stream: bool) -> None:
    """[fault W10] GitHub Copilot parts text and calls. Clients read the first choice: unless both said 0 they lost the calls."""
    text = {**said(stream, content="Yes."), "finish_reason": "stop"}
    call = {**said(stream, content=None, tool_calls=[CALL]), "finish_reason": "tool_calls"}
    parted = [{"index": place, **part} if place is not None else part for place, part in zip(places, (text, call), strict=True)]
    for whole in (False, True):
        seen = read(*parted, stream=stream, whole=whole)
        assert (seen.text, "".join(seen.calls), seen.reason, seen.choices) == ("Yes.", 'look{"a":1}', "tool_calls", {0})


def test_several_answers_are_not_one() -> None:
    """Of two that both say something nobody is to read both as one; each has its own index."""
    both = [{"index": place, "message": {"content": text}, "finish_reason": "stop"} for place, text in enumerate(("Yes.", "No."))]
    assert read(*both, stream=False).choices == {0, 1}


@BOTH
def test_a_call_of_nothing_beside_a_text_is_none(*, stream: bool) -> None:
    """[fault W5] Neither a name nor arguments: whole it was `gateway_error`, streamed it was left out."""
    nothing = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "", "arguments": ""}}
    seen = read({"index": 0, **said(stream, content="Yes.", tool_calls=[nothing]), "finish_reason": "stop"}, stream=stream)
    assert (seen.text, seen.calls, seen.reason) == ("Yes.", [], "stop")


@BOTH
@pytest.mark.parametrize("nothing", [{"name": "", "arguments": ""}, {"name": None}, {"arguments": None}])
def test_a_function_call_of_nothing_beside_a_text_is_none(nothing: Json, *, stream: bool) -> None:
    """[fault W9] Some fill up the older member, too: whole, the text ended with `function_call` and a call that nobody can make."""
    for whole in (False, True):
        seen = read(
            {"index": 0, **said(stream, content="Yes.", function_call=nothing), "finish_reason": "stop"}, stream=stream, whole=whole
        )
        assert (seen.text, seen.older, seen.reason) == ("Yes.", 0, "stop")


@BOTH
def test_a_call_in_the_words_of_both_apis_is_one(*, stream: bool) -> None:
    """[fault W9] Whole it was told twice, and clients that know both made it twice."""
    older = {"name": "look", "arguments": '{"a":1}'}
    choice = {"index": 0, **said(stream, content=None, tool_calls=[CALL], function_call=older), "finish_reason": "tool_calls"}
    for whole in (False, True):
        seen = read(choice, stream=stream, whole=whole)
        assert ("".join(seen.calls), seen.older) == ('look{"a":1}', 0)


@BOTH
@pytest.mark.parametrize("error", [{"message": "The engine died.", "code": 500}, "The engine died."])
def test_an_error_in_what_a_choice_says_is_a_failure(error: object, *, stream: bool) -> None:
    """[fault B5] Wherever it stands: it was carried along as a member of an answer that ended with `stop`."""
    for whole in (False, True):
        seen = read({"index": 0, **said(stream, content="Ye", error=error), "finish_reason": "stop"}, stream=stream, whole=whole)
        assert seen.failure is not None
        assert seen.failure.error.code == "upstream_unavailable"


@BOTH
@pytest.mark.parametrize("nothing", [None, {}, "", False, {"code": 0, "message": "ok"}])
def test_what_says_there_is_no_error_is_none(nothing: object, *, stream: bool) -> None:
    """[fault B5] A code of 0, or nothing."""
    assert read({"index": 0, **said(stream, content="Yes.", error=nothing), "finish_reason": "stop"}, stream=stream).text == "Yes."


@pytest.mark.parametrize("end", [b"[DONE]", b'"[DONE]"', b"[done]", b"[DONE] ", b'"[DONE]" '])
def test_the_end_of_a_stream_is_read_however_it_is_written(end: bytes) -> None:
    """[fault W2] An end in quotation marks or small letters failed a complete answer, whose finish had come."""
    said_and_done = [{"delta": {"content": "Yes."}}, {"delta": {}, "finish_reason": "stop"}]
    events = b"".join(b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, **choice}]}).encode() for choice in said_and_done)
    seen = Read(events + b"data: %b\n\n" % end, stream=True)
    assert (seen.text, seen.reason) == ("Yes.", "stop")


def test_what_is_owed_before_a_finish_has_its_tokens_where_the_report_lets_it_go() -> None:
    """[fault W4] Half a character at the very end: its replacement left without a token, and who left then had one too few on the bill."""
    said_and_done = [{"delta": {"content": "", "refusal": "\ud83d"}}, {"delta": {"content": "Yes"}}, {"delta": {}, "finish_reason": "stop"}]
    events = [{"choices": [{"index": 0, **choice}]} for choice in said_and_done] + [{"choices": [], **USED}]
    decoder = openai.decoder(parse_chat(json.dumps(ASKED).encode()), TARGET, call_id="READ", created=1)
    parts = decoder.feed(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events))
    assert (sum([part.tokens for part in parts]), decoder.tokens) == (2, 2)
    assert b'"refusal":"\xef\xbf\xbd"' in b"".join([part.data for part in parts if isinstance(part, Piece)])


def called(*fragments: Json, reason: str = "tool_calls") -> Read:
    """Have a stream of these fragments of calls read."""
    given = [{"index": 0, "delta": {"tool_calls": [fragment]}} for fragment in fragments]
    return read(*given, {"index": 0, "delta": {}, "finish_reason": reason}, stream=True)


def opened(arguments: str, index: int = 0) -> Json:
    """What begins a call, with some arguments."""
    return {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "look", "arguments": arguments}}


def test_calls_that_take_nothing_are_told_in_their_order() -> None:
    """[fault W5] The first is given its object before the second begins, whole calls or opened ones, and also where a limit ends all."""
    assert called(opened("{}"), opened("{}", 1)).calls == ["look", "{}", "look", "{}"]
    assert called(opened("{}"), opened('{"a":1}', 1)).calls == ["look", "{}", "look", '{"a":1}']
    assert called(opened("{}"), reason="length").calls == ["look", "{}"]


def answered_older(*choices: Json, stream: bool) -> tuple[str, str, bool]:
    """Return the call, the reason and whether there is one in the newer words, of an answer to a request in those of the API of before."""
    rest = {name: value for name, value in ASKED.items() if name != "tools"}
    asked = json.dumps({**rest, "functions": [{"name": "look"}], "stream": stream}).encode()
    decoder = openai.decoder(parse_chat(asked), TARGET, call_id="READ", created=1)
    events = [b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode() for choice in choices]
    parts = decoder.feed(b"".join(events) + DONE if stream else json.dumps({"choices": choices}).encode())
    parts = [*parts, *([] if decoder.done else decoder.end())]
    sent = b"".join(part.data for part in parts if isinstance(part, Piece)) + closing_of(decoder, None)
    told = [choice for event in (data_of(sent) if stream else [json.loads(sent)]) for choice in event["choices"]]
    messages = [choice.get("delta") or choice.get("message") or {} for choice in told]
    calls = [message.get("function_call", {}) for message in messages]
    call = "".join(call.get("name", "") for call in calls) + "".join(call.get("arguments", "") for call in calls)
    return call, next(choice["finish_reason"] for choice in reversed(told)), any("tool_calls" in message for message in messages)


@BOTH
@pytest.mark.parametrize("reason", ["tool_calls", "function_call", "stop"])
def test_of_a_call_in_the_words_of_both_apis_those_of_the_request_are_kept(reason: str, *, stream: bool) -> None:
    """[fault W9] llama-cpp-python tells each in both. Who asks with `functions` looks for no `tool_calls`."""
    older = {"name": "look", "arguments": '{"a":1}'}
    choice = {"index": 0, **said(stream, content=None, tool_calls=[CALL], function_call=older), "finish_reason": reason}
    assert answered_older(choice, stream=stream) == ('look{"a":1}', "function_call", False)
    nothing = {"index": 0, **said(stream, content=None, tool_calls=[CALL], function_call={"name": "", "arguments": ""})}
    assert answered_older({**nothing, "finish_reason": reason}, stream=stream)[2]  # else there was no call
