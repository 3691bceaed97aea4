"""Stop sequences that a vendor leaves in its text: cut where its row says so, however the text is split, and billed as made."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer, check_stream
from aisa.wire.chat import parse_chat
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, closing_of, content_of, events_of, text, usage

LEAVES_IN = Target(vendor="acme", model="m", dialect=openai.NAME, cut_stop=True)
KEEPS_OUT = msgspec.structs.replace(LEAVES_IN, cut_stop=False)


def streamed(
    words: list[str], stop: Any, *, target: Target = LEAVES_IN, reported: bool = False, finish: str = "stop"
) -> tuple[bytes, list[int], Any]:
    """Return a client's stream of a vendor that sends these words, the tokens of its pieces, and the usage."""
    decoder = openai.decoder(parse_chat(body(stream=True, stop=stop)), target, call_id="1", created=1)
    pieces = []
    for data in [*text(*words), chunk({}, finish), *([usage(9, 7)] if reported else []), DONE]:
        pieces += decoder.feed(data)
    assert decoder.done
    assert decoder.tokens == sum(piece.tokens for piece in pieces)
    sent = b"".join(piece.data for piece in pieces) + closing_of(decoder, None)
    assert check_stream(sent, include_usage=False, choices=1) == []
    return sent, [piece.tokens for piece in pieces], decoder.usage()


def document(content: str | None, stop: Any, *, target: Target = LEAVES_IN, **members: Any) -> tuple[dict[str, Any], Any]:
    """Return a client's document of a vendor that sends this text, and the usage."""
    decoder = openai.decoder(parse_chat(body(stop=stop)), target, call_id="1", created=1)
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **members}
    decoder.feed(json.dumps(answer).encode())
    decoder.end()
    assert decoder.done
    sent = closing_of(decoder, None)
    assert check_answer(sent) == []
    return json.loads(sent), decoder.usage()


CASES: dict[str, tuple[str, Any, str]] = {
    "at the end": ("one two END", "END", "one two "),
    "one letter": ("able", ["e"], "abl"),
    "with more in the same token": ("one\n\nHuman: two", ["\n\nHuman:"], "one"),
    "a beginning that is none": ("EN and E and ENX", "END", "EN and E and ENX"),
    "a beginning at the end": ("one EN", "END", "one EN"),
    "a beginning inside a beginning": ("aaab", "aab", "a"),
    "the first of several": ("a STOP b END", ["END", "STOP"], "a "),
    "one that begins another": ("say STOPPED", ["STOPPED", "STOP"], "say "),
    "nothing before it": ("END", "END", ""),
    "beyond ASCII": ("grün\U0001f600\U0001f680!", ["\U0001f680"], "grün\U0001f600"),
    "none that can be": ("text", ["", "END"], "text"),
    "none": ("text END", None, "text END"),
}


@pytest.mark.parametrize(("said", "stop", "shown"), CASES.values(), ids=CASES)
def test_a_text_ends_before_the_stop_sequence_however_it_is_split(said: str, stop: Any, shown: str) -> None:
    """[fault F7] Letter by letter, in two parts at every place, and as a document; the finish reason is the vendor's."""
    splits = [[said[:place], said[place:]] for place in range(len(said))] + [list(said), [said]]
    for words in splits:
        sent, _, _ = streamed([word for word in words if word], stop)
        assert content_of(sent) == shown, words
        assert events_of(sent)[-2]["choices"][0]["finish_reason"] == "stop"
    assert document(said, stop)[0]["choices"][0]["message"]["content"] == shown


def test_no_more_is_held_back_than_could_be_the_beginning_of_a_stop_sequence() -> None:
    """[fault F7] Each word leaves with its own event unless its end could begin one; then only that end waits."""
    sent, _, _ = streamed(["one ", "two E", "N", " three"], "END")
    said = [event["choices"][0]["delta"].get("content") for event in events_of(sent)[:-1]]
    assert said == ["", "one ", "two ", "EN three", None]


def test_what_is_cut_out_is_billed_as_made() -> None:
    """[fault F7] A report counts as it is; without one every delta of the vendor's is a token, those that nobody sees included."""
    _, tokens, used = streamed(["one", " E", "ND", " more"], "END")
    assert (sum(tokens), used.output_tokens) == (4, 4)
    _, _, used = streamed(["one", " E", "ND", " more"], "END", reported=True)
    assert (used.output_tokens, used.source) == (7, "reported")
    _, used = document("one" * 10 + "END" + "x" * 400, "END")
    assert used.output_tokens > 100
    counts = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    assert document("one END", "END", usage=counts)[1].output_tokens == 7


def test_a_vendor_whose_row_does_not_say_so_is_left_alone() -> None:
    """Its text may quote the words of the stop sequence, and the bytes of its stream pass."""
    assert content_of(streamed(["one ", "END"], "END", target=KEEPS_OUT)[0]) == "one END"
    assert document("one END", "END", target=KEEPS_OUT)[0]["choices"][0]["message"]["content"] == "one END"


def test_calls_and_thinking_are_not_texts() -> None:
    """[fault F7] Only what the model says to the client is cut."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "now", "arguments": '{"a":"END"}'}}
    decoder = openai.decoder(parse_chat(body(stream=True, stop="END")), LEAVES_IN, call_id="1", created=1)
    events = [chunk({"reasoning": "the END"}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls"), DONE]
    sent = b"".join(piece.data for data in events for piece in decoder.feed(data))
    assert b"the END" in sent
    assert b'{\\"a\\":\\"END\\"}' in sent
    assert decoder.tokens == 3  # the thought, the opening of the call, its arguments


def test_each_choice_has_its_own_text() -> None:
    """[fault F7] What one choice holds back is not the other's."""
    decoder = openai.decoder(parse_chat(body(stream=True, stop="END", n=2)), LEAVES_IN, call_id="1", created=1)
    events = [
        chunk({"content": "aE"}),
        chunk({"content": "ND"}, index=1),
        chunk({"content": "ND"}),
        chunk({}, "stop"),
        chunk({}, "stop", index=1),
    ]
    sent = b"".join(piece.data for data in [*events, DONE] for piece in decoder.feed(data))
    parts = [item["choices"][0] for item in events_of(sent) if isinstance(item, dict)]
    assert ["".join(part["delta"].get("content") or "" for part in parts if part["index"] == index) for index in (0, 1)] == ["a", "ND"]


@pytest.mark.parametrize("assemble", [False, True], ids=["as a document", "assembled"])
def test_the_setting_reaches_the_path(assemble: bool) -> None:
    """[fault F7] `cut_stop_sequences` of a vendor, on a whole call."""
    client = MemoryClient()
    events = [*text("abl", "e"), chunk({}, "stop"), DONE]
    answer = {"choices": [{"index": 0, "message": {"content": "able"}, "finish_reason": "stop"}]}
    upstream = ScriptedUpstream(Script(events if assemble else [json.dumps(answer).encode()]))

    async def main() -> None:
        await Rig(upstream, vendor={"cut_stop_sequences": True, "assemble": assemble}).call(client, body(stop=["e"]))

    run_virtual(main())
    assert json.loads(client.body)["choices"][0]["message"]["content"] == "abl"
