"""Finish reasons in the words of all vendors: every row of the table, in a stream and in a document, and what the operator is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.answer import Finish
from aisa.facts import FinishUnknown
from aisa.providers import anthropic, openai
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.finish import EXACT, FAILURE, UNKNOWN, later_of, spoken, verdict_on
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, closing_of, content_of, document, events_of, text, usage

TARGET = Target(vendor="acme", model="m", dialect=openai.NAME)
ROWS = [(word, row.verdict or word) for row in EXACT for word in row.words]
CONTAINED = [
    ("server_error_in_the_middle", FAILURE),
    ("Request-Aborted", FAILURE),
    ("user cancelled", FAILURE),
    ("time_out", FAILURE),
    ("generation:failed", FAILURE),
    ("invalid_output", FAILURE),
    ("safety_error", FAILURE),
    ("image_safety", "content_filter"),
    ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
    ("output filter", "content_filter"),
    ("safety_max_tokens", "content_filter"),
    ("policy_violation", "content_filter"),
    ("max_new_tokens", "length"),
    ("Maximum-Length", "length"),
    ("context_window_full", "length"),
    ("stop_length", "length"),
]
NOBODYS = ["other", "weary_turn", "unfiltered", "climax", "load", "7"]


def streamed(word: str) -> Any:
    """Return the finish reason that a client gets for a vendor's in a stream, FAILURE where it is told of a failure."""
    decoder = openai.decoder(parse_chat(body(stream=True)), TARGET, call_id="1", created=1)
    pieces = decoder.feed(b"".join([*text("Half an ans"), chunk({}, finish=word), DONE]))
    assert content_of(b"".join(piece.data for piece in pieces)) == "Half an ans"
    if decoder.failure is not None:
        return FAILURE
    [reason] = [
        item["choices"][0]["finish_reason"] for piece in pieces for item in events_of(piece.data) if item["choices"][0]["finish_reason"]
    ]
    return reason


def whole(word: str) -> Any:
    """Return the finish reason that a client gets for a vendor's in a document."""
    decoder = openai.decoder(parse_chat(body()), TARGET, call_id="1", created=1)
    tree = json.loads(document("Half an ans"))
    tree["choices"][0]["finish_reason"] = word
    decoder.feed(json.dumps(tree).encode())
    decoder.end()
    return FAILURE if decoder.failure is not None else json.loads(closing_of(decoder, None))["choices"][0]["finish_reason"]


@pytest.mark.parametrize(("word", "verdict"), [*ROWS, *CONTAINED], ids=[word for word, _ in [*ROWS, *CONTAINED]])
def test_every_row_counts_in_a_stream_and_in_a_document_whatever_its_letters(word: str, verdict: str) -> None:
    """[fault W3] A row's words mean the same in capitals, and with any separator or none between their parts."""
    spellings = {word, word.upper(), word.replace("_", "-"), word.replace("_", " ").title(), word.replace("_", ":")}
    told = "tool_calls" if verdict == "function_call" else verdict  # the request did not use `functions`
    for spelling in spellings:
        assert verdict_on(spelling) == verdict, spelling
        assert streamed(spelling) == whole(spelling) == told, spelling


def made_of(reason: str, *content: str) -> bytes:
    """A message of Anthropic's that says these texts and stops for a reason."""
    blocks = [{"type": "text", "text": said} for said in content]
    usage_told = {"input_tokens": 9, "output_tokens": len(content)}
    told = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": reason, "usage": usage_told}
    return json.dumps(told | {"content": blocks}).encode()


def of_anthropic(reason: str, *content: str, stream: bool) -> Any:
    """Return the finish reason that a client gets for Anthropic's word, or another's who speaks so; FAILURE where it is told of one."""
    chat, target = parse_chat(body(stream=stream)), Target(vendor="acme", model="m", dialect=anthropic.NAME)
    decoder = anthropic.decoder(chat, target, call_id="1", created=1, protocol=CHAT_DOOR.protocol)
    parts = list(decoder.feed(made_of(reason, *content)))
    parts += [*decoder.end(), *decoder.closing(None)]
    return FAILURE if decoder.failure else next(part.reason for part in parts if isinstance(part, Finish))


@pytest.mark.parametrize("stream", [True, False])
def test_the_words_mean_the_same_where_a_message_is_translated(*, stream: bool) -> None:
    """[fault W3] Nothing but a word that nobody knows was a `stop` there, and billed; the older API's word for calls was left as it is."""
    assert of_anthropic("weary_turn", stream=stream) == of_anthropic("weary_turn", "", stream=stream) == FAILURE
    assert of_anthropic("weary_turn", "Half an ans", stream=stream) == "stop"
    assert of_anthropic("end_turn", stream=stream) == "stop"
    assert of_anthropic("function_call", "Half an ans", stream=stream) == "tool_calls"


@pytest.mark.parametrize("word", NOBODYS)
def test_a_word_in_no_row_is_a_stop_where_text_came_and_the_stream_ended_in_order(word: str) -> None:
    """[fault W3] Nobody can know what it means; what is complete is not thrown away."""
    assert verdict_on(word) == UNKNOWN
    assert streamed(word) == whole(word) == "stop"


def test_every_row_says_where_it_comes_from_and_no_word_stands_twice() -> None:
    """The table is data that somebody can check."""
    assert all(row.source for row in EXACT)
    words = [word for row in EXACT for word in row.words]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("given", "word"), [({"type": "length"}, "length"), (7, "7"), (None, ""), (False, ""), ({}, ""), ("x" * 99, "x" * 60)]
)
def test_a_reason_is_read_whatever_its_type_and_never_longer_than_a_word(given: object, word: str) -> None:
    """Some servers wrap it in an object; rubbish must not fill the log."""
    assert spoken(given) == word


@pytest.mark.parametrize(
    ("earlier", "later", "counts"),
    [
        ("", "stop", "stop"),
        ("length", "stop", "stop"),
        ("stop", "length", "length"),
        ("tool_calls", "stop", "tool_calls"),
        ("stop", "tool_calls", "tool_calls"),
        ("length", UNKNOWN, "length"),
        ("", UNKNOWN, UNKNOWN),
        (UNKNOWN, "stop", "stop"),
    ],
)
def test_of_two_reasons_the_last_counts(earlier: str, later: str, counts: str) -> None:
    """[fault W1] But `tool_calls` over `stop`, and what is known over what is not."""
    assert later_of(earlier, later) == counts


def warnings_of(*words: str) -> list[FinishUnknown]:
    """Return what the operator is told after a call for each word, all through one server."""
    scripts = [Script([*text("a"), chunk({}, word), usage(9, 1), DONE]) for word in words]

    async def main() -> Rig:
        rig = Rig(ScriptedUpstream(*scripts))
        for _ in words:
            await rig.call(MemoryClient(), body(stream=True))
        return rig

    return [fact for fact in run_virtual(main()).facts if isinstance(fact, FinishUnknown)]


def test_the_operator_is_told_of_an_unknown_word_once() -> None:
    """[fault W3] One warning per vendor and word, however many calls end with it; none for words that are known."""
    assert [fact.word for fact in warnings_of("odd", "stop", "odd", "queer", "odd")] == ["odd", "queer"]


def test_an_unknown_word_that_ends_a_broken_stream_is_no_stop() -> None:
    """[fault W3] `stop` needs a stream that ended in order."""
    decoder = openai.decoder(parse_chat(body(stream=True)), TARGET, call_id="1", created=1)
    decoder.feed(b"".join([*text("a"), chunk({}, "odd"), b'data: {"error":{"message":"broken"}}\n\n']))
    assert decoder.failure is not None
    assert decoder.unknown == []
