"""What is done once for many chunks of typed answers says the same as if it were done for each: frames of texts, named events, reports."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Identity, Part, Reasoning, Text
from aisa.providers import anthropic, gemini
from aisa.providers.anthropic_plain import plain_text
from aisa.providers.gemini_plain import plain_events
from aisa.providers.gemini_usage import report_of
from aisa.providers.shape import Target, told
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.sse import Event, SseDecoder, parse_block
from aisa.wire.usage_report import UsageReport
from repeats import repeats

WHO = Identity('odd "id"\u2028\0', 7, "a\\model\0")
ASKED = b'{"model":"m","stream":true,"n":2,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}'


def chunks_of(parts: list[Part]) -> list[Any]:
    """The chunks of a stream whose parts came in one read."""
    encoder = CHAT_DOOR.encoder(CHAT_DOOR.read(ASKED), call_id="c", created=1)
    piece = encoder.write(parts)
    assert piece is not None
    return [json.loads(event.removeprefix("data: ")) for event in piece.data.decode().split("\n\n") if event]


@settings(max_examples=repeats(100), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.text(min_size=1, max_size=9)), min_size=1, max_size=9))
def test_every_text_of_a_choice_is_a_whole_chunk_of_its_own(said: list[tuple[int, str]]) -> None:
    """Whatever is in text, id and model: the second text of a choice is written like the first, with its index."""
    told = [
        chunk
        for chunk in chunks_of([WHO, *[Text(choice, text, 1) for choice, text in said]])
        if chunk["choices"][0]["delta"].get("content")
    ]
    assert [(chunk["choices"][0]["index"], chunk["choices"][0]["delta"]) for chunk in told] == [
        (choice, {"content": text}) for choice, text in said
    ]
    assert {(chunk["id"], chunk["model"], chunk["created"], chunk["usage"], chunk["object"]) for chunk in told} == {
        (WHO.id, WHO.model, 7, None, "chat.completion.chunk")
    }
    assert all(chunk["choices"][0].keys() == {"index", "delta", "logprobs", "finish_reason"} for chunk in told)


def test_halves_of_characters_are_made_whole_in_the_second_text_too() -> None:
    """What leaves is strict JSON."""
    said = [chunk["choices"][0]["delta"].get("content") for chunk in chunks_of([WHO, Text(0, "a"), Text(0, "\ud83d"), Reasoning(0, "r")])]
    assert said[1:3] == ["a", "\ufffd"]


def test_where_tokens_end_is_told_of_each_event() -> None:
    """The ends are those of the events that carry tokens, however they were written."""
    encoder = CHAT_DOOR.encoder(CHAT_DOOR.read(ASKED), call_id="c", created=1)
    piece = encoder.write([WHO, *[Text(0, "one ", 1) for _ in range(3)]])
    assert piece is not None
    assert (list(piece.counts), piece.tokens) == ([1, 2, 3], 3)
    assert all(piece.data[:end].endswith(b"\n\n") for end in piece.ends)
    assert piece.ends[-1] == len(piece.data)


def line_by_line(block: bytes) -> list[Event]:
    """The event of a block, each line looked at."""
    lines = [line.partition(b":") for line in block.split(b"\n")]
    fields = [(field, value.removeprefix(b" ")) for field, _, value in lines]
    data = [value for field, value in fields if field == b"data"]
    name = next((value for field, value in reversed(fields) if field == b"event"), b"")
    return [(name, b"\n".join(data))] if any(data) else []


pieces = st.sampled_from(
    [b"event: a", b"event:b", b"event: ", b"event", b"data: {}", b"data:{}", b"data: ", b"data", b": c", b"id: 1", b"", b"data: event: x"]
)


@settings(max_examples=repeats(300), deadline=None)
@given(st.lists(pieces, min_size=1, max_size=4))
def test_a_named_event_is_read_as_by_its_lines(lines: list[bytes]) -> None:
    """In whatever order, however often, and with whatever else."""
    block = b"\n".join(lines)
    assert parse_block(block) == line_by_line(block)


def test_named_events_of_one_read_are_told_apart() -> None:
    """As vendors send them."""
    assert SseDecoder(1_000).feed(b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n") == [(b"a", b"1"), (b"b", b"2")]


counts = st.one_of(st.integers(0, 9), st.sampled_from([None, "5", 2.0, -1]))
reports = st.lists(
    st.dictionaries(st.sampled_from(["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "trafficType"]), counts), max_size=6
)


@settings(max_examples=repeats(300), deadline=None)
@given(reports, st.sets(st.integers(0, 5)))
def test_running_reports_come_to_the_same_as_reports_that_are_each_read_at_once(told: list[dict[str, Any]], looked: set[int]) -> None:
    """Whoever looks in between, and whatever shrinks, is missing or is no count."""
    running, each = UsageReport(), UsageReport()
    for number, report in enumerate(told):
        running.take_running(report, report_of)
        each.take(report_of(report))
        if number in looked:
            assert running.fields == each.fields
    assert running.fields == each.fields


def test_reports_that_only_grow_are_read_once() -> None:
    """A thousand events of a stream cost a thousand comparisons."""
    seen: list[Any] = []

    def read(told: dict[str, Any]) -> dict[str, Any]:
        seen.append(told)
        return report_of(told)

    report = UsageReport()
    for number in range(1_000):
        report.take_running({"promptTokenCount": 3, "candidatesTokenCount": number}, read)
    assert report.fields == {"prompt_tokens": 3, "completion_tokens": 999}
    assert len(seen) == 1


TEXT_EVENT: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "one two"}]}, "index": 0}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5, "trafficType": "ON_DEMAND_FLEX"},
    "modelVersion": "m-2",
    "responseId": "r1",
}
ENDING = {"candidates": [{"content": {"parts": [{"text": "!"}]}, "finishReason": "STOP"}], "usageMetadata": TEXT_EVENT["usageMetadata"]}


def parts_of(*events: dict[str, Any], around: str) -> tuple[list[Part], Any, Any]:
    """What a stream of Gemini's comes to; `around` stands behind each event's opening brace."""
    chat = CHAT_DOOR.read(ASKED)
    decoder = gemini.decoder(chat, Target("google", "gemini-3.5-flash", "gemini"), call_id="c", created=1, protocol="openai")
    body = "".join(f"data: {{{around}{json.dumps(event)[1:]}\n\n" for event in events)
    parts = [*decoder.feed(body.encode()), *decoder.end()]
    assert decoder.failure is None
    return parts, decoder.usage(), told(decoder)


def test_an_event_of_geminis_plain_shape_is_read_as_any_other() -> None:
    """With a member more, which nobody knows, it goes the long way and comes to the same."""
    longer = {**TEXT_EVENT, "usageMetadata": {**TEXT_EVENT["usageMetadata"], "candidatesTokenCount": 4, "totalTokenCount": 7}}
    events = (TEXT_EVENT, longer, ENDING)
    assert len(plain_events([(b"", json.dumps(TEXT_EVENT).encode())], 0)) == 1
    assert plain_events([(b"", json.dumps({"brandNew": 1, **TEXT_EVENT}).encode())], 0) == []
    assert parts_of(*events, around="") == parts_of(*events, around='"brandNew": 1, ')


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": []},
        {"candidates": [*TEXT_EVENT["candidates"], *TEXT_EVENT["candidates"]]},
        {"candidates": [{**TEXT_EVENT["candidates"][0], "index": 1}]},
        {"candidates": [{**TEXT_EVENT["candidates"][0], "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": [{"text": "x", "thought": True}]}}]},
        {"candidates": [{"content": {"parts": [{"text": None}]}}]},
        {"usageMetadata": None},
        {"error": {"code": 500}},
    ],
)
def test_whatever_says_more_than_a_text_is_not_of_that_shape(change: dict[str, Any]) -> None:
    """Thoughts, finishes, other candidates, failures."""
    assert plain_events([(b"", json.dumps({**TEXT_EVENT, **change}).encode())], 0) == []


def message_of(*deltas: dict[str, Any]) -> tuple[list[Part], Any]:
    """What a stream of Anthropic's comes to whose one block grows by these."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m-2", "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, **delta} for delta in deltas],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    decoder = anthropic.decoder(CHAT_DOOR.read(ASKED), Target("a", "m", "anthropic"), call_id="c", created=1, protocol="openai")
    parts = [*decoder.feed("".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()), *decoder.end()]
    assert decoder.failure is None
    return parts, decoder.usage()


def test_an_event_of_anthropics_plain_shape_is_read_as_any_other() -> None:
    """With a member more, which nobody knows, it goes the long way and comes to the same."""
    deltas = [{"delta": {"type": "text_delta", "text": text}} for text in ("one two", "", " three \u00e6")]
    longer = [{**delta, "brandNew": 1} for delta in deltas]
    plain = [plain_text(json.dumps({"type": "content_block_delta", "index": 0, **delta}).encode()) for delta in (deltas[0], longer[0])]
    assert [each is None for each in plain] == [False, True]
    assert message_of(*deltas) == message_of(*longer)
    assert message_of(deltas[0], longer[2]) == message_of(longer[0], deltas[2])
