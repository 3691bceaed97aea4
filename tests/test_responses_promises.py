"""A vendor of the Responses API that leaves out events which clients need: its stream is made whole for clients of the same protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aisa.answer import Arguments, Part, Piece, ToolCall
from aisa.providers import responses
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from responses_reading import codex_turn, events_in, faults_in, streamed

Json = dict[str, Any]
CORPUS = Path(__file__).parent / "corpus" / "responses"
CASES = ("text", "thinking-and-text", "refusal", "one-tool-call", "parallel-tool-calls", "tool-call-without-arguments", "several-messages")
OWN = parse_responses(b'{"model":"m","input":"Hi.","stream":true}')
ENDS = ("response.completed", "response.incomplete")


def without(*kinds: str) -> Callable[[list[Json]], list[Json]]:
    """A vendor that never sends events of these kinds."""
    return lambda events: [event for event in events if event["type"] not in kinds]


def deltas_alone(events: list[Json]) -> list[Json]:
    """A vendor that sends what is said, and the end."""
    return [event for event in events if event["type"].endswith(".delta") or event["type"] in ENDS]


def renamed(events: list[Json]) -> list[Json]:
    """A vendor that gives the items of the last event other ids than they had."""
    last = events[-1]
    output = [{**item, "id": f"other_{place}"} for place, item in enumerate(last["response"]["output"])]
    return [*events[:-1], {**last, "response": {**last["response"], "output": output}}]


def emptied(events: list[Json]) -> list[Json]:
    """A vendor whose last event does not repeat the output."""
    last = events[-1]
    return [*events[:-1], {**last, "response": {**last["response"], "output": []}}]


ADDED, PART, DONE = "response.output_item.added", "response.content_part.added", "response.output_item.done"
LEFT_OUT: dict[str, Callable[[list[Json]], list[Json]]] = {
    "nothing": without(),
    "the opening": without("response.created", "response.in_progress"),
    "the first event": without("response.created"),
    "items that are added": without(ADDED),
    "items and parts that are added": without(ADDED, PART),
    "parts that are added": without(PART),
    "items that are done": without(DONE),
    "all but deltas and the end": deltas_alone,
    "the output of the end": emptied,
    "the ids, at the end": renamed,
    "the ids at the end, and items that are done": lambda events: renamed(without(DONE)(events)),
    "all but the end": lambda events: events[-1:],
}


def upstream(case: str) -> list[Json]:
    """The events of a case."""
    text = (CORPUS / case / "upstream.sse").read_text()
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]


def passed(events: list[Json], split: int) -> bytes:
    """What a client of the protocol gets, whose pieces say of each token once that they carry it."""
    body = b"".join(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events)
    decoder = responses.decoder(OWN, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="responses")
    encoder = RESPONSES_DOOR.encoder(OWN, call_id="req_1", created=1)
    sent, tokens = b"", 0
    for begin in range(0, len(body), split):
        parts: list[Part] = list(decoder.feed(body[begin : begin + split]))
        piece: Piece | None = encoder.write(parts) if parts else None
        sent, tokens = (sent, tokens) if piece is None else (sent + piece.data, tokens + piece.tokens)
    assert decoder.done, decoder.failure
    assert tokens == decoder.tokens
    return sent + encoder.closing(decoder.closing(None))


def said(items: list[Json]) -> list[tuple[str, str]]:
    """What items say: their texts and refusals, which may be of one message or of several, and calls with what they are given."""
    parts: list[Json] = [part for item in items for part in item.get("content") or ()]
    text = "".join([part.get("text", "") + part.get("refusal", "") for part in parts]).replace("\n", "")
    return [("text", text), *[(item["name"], item["arguments"] or "{}") for item in items if "arguments" in item]]


@pytest.mark.parametrize("left_out", LEFT_OUT)
@pytest.mark.parametrize("case", CASES)
def test_a_stream_without_what_clients_need_is_made_whole(case: str, left_out: str) -> None:
    """Codex, which reads items that are done, and OpenAI's client, which needs what is added, get all that was said, however it arrives."""
    whole = said([event["item"] for event in upstream(case) if event["type"] == DONE])
    for split in (1_000_000, 7):
        sent = passed(LEFT_OUT[left_out](upstream(case)), split)
        items, end = codex_turn(sent)
        assert [item["type"] for item in items] == [item["type"] for item in end["response"]["output"]]
        assert said(items) == whole
        assert said([item.to_dict() for item in streamed(sent).output]) == whole


@pytest.mark.parametrize(
    "left_out", ["the opening", "items that are added", "items and parts that are added", "all but deltas and the end"]
)
@pytest.mark.parametrize("case", CASES)
def test_a_stream_that_had_to_be_made_keeps_every_promise_of_the_protocol(case: str, left_out: str) -> None:
    """Numbers, ids, parts and types as OpenAI's are."""
    assert faults_in(passed(LEFT_OUT[left_out](upstream(case)), 1_000_000)) == []


def test_a_stream_that_lacks_nothing_passes_in_its_own_bytes() -> None:
    """But for its end, which carries the bill."""
    events = upstream("text")
    sent = passed(events, 1_000_000)
    assert events_in(sent)[:-1] == events[:-1]


@pytest.mark.parametrize("case", CASES)
def test_a_chat_client_gets_each_word_once_where_ids_change_at_the_end(case: str) -> None:
    """An item is known by its place where its id is another."""
    chat = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"stream":true}')
    told: list[list[Part]] = []
    for events in (upstream(case), renamed(upstream(case)), renamed(without(DONE)(upstream(case)))):
        body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
        decoder = responses.decoder(chat, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="openai")
        told.append([*decoder.feed(body)])
        assert decoder.done
    assert told[1:] == [told[0], told[0]]


def test_what_is_left_out_only_later_is_put_in_where_it_is_missed() -> None:
    """What has left cannot be made anew; a text without its item and its part gets both."""
    events = upstream("several-messages")
    second = [place for place, event in enumerate(events) if event["type"] == ADDED][1]
    del events[second : second + 2]
    sent = passed(events, 1_000_000)
    assert streamed(sent).output_text == streamed(passed(upstream("several-messages"), 1_000_000)).output_text
    assert len(events_in(sent)) == len(upstream("several-messages"))


def test_a_chat_client_gets_calls_that_nobody_announced() -> None:
    """Pieces of what they are given, of a call that has no name yet, are not taken for thinking: the whole call comes with its item."""
    for left_out in (ADDED, DONE):
        events = [event for event in upstream("parallel-tool-calls") if event["type"] not in (ADDED, left_out)]
        body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
        chat = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"stream":true}')
        decoder = responses.decoder(chat, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="openai")
        parts = [*decoder.feed(body)]
        assert [part.name for part in parts if isinstance(part, ToolCall)] == ["look", "look"]
        given = ["".join(part.text for part in parts if isinstance(part, Arguments) and part.index == index) for index in (0, 1)]
        assert [json.loads(text) for text in given] == [{"city": "Oslo"}, {"city": "Rome"}]


def test_an_item_of_the_end_without_a_type_passes() -> None:
    """[fault W10] At a place where nothing was added, it is nothing that was told before."""
    *before, last = upstream("text")
    output = [*last["response"]["output"], {"status": "completed"}]
    sent = passed([*before, {**last, "response": {**last["response"], "output": output}}], 1_000_000)
    assert codex_turn(sent)[1]["response"]["output"] == output
