"""A vendor of the Responses API that leaves out events which clients need: its stream is made whole for clients of the same protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aisa.answer import Arguments, Part, Piece, Reasoning, Refusal, Text, ToolCall
from aisa.errors import VENDOR
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


def nameless(events: list[Json]) -> list[Json]:
    """A vendor that gives the items of the last event no ids."""
    last = events[-1]
    output = [{name: value for name, value in item.items() if name != "id"} for item in last["response"]["output"]]
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
    "the ids at the end": nameless,
    "ids at the end, and items that are done": lambda events: nameless(without(DONE)(events)),
    "all but the end": lambda events: events[-1:],
}


def upstream(case: str) -> list[Json]:
    """The events of a case."""
    text = (CORPUS / case / "upstream.sse").read_text()
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]


def written(events: list[Json], *, blanks: bool = False) -> bytes:
    """A stream of these events."""
    between = (", ", ": ") if blanks else (",", ":")
    told = [(event["type"].encode(), json.dumps(event, separators=between).encode()) for event in events]
    return b"".join(b"event: %b\ndata: %b\n\n" % each for each in told)


def passed(events: list[Json], split: int, *, blanks: bool = False) -> bytes:
    """What a client of the protocol gets, whose pieces say of each token once that they carry it."""
    body = written(events, blanks=blanks)
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
    for split, blanks in ((1_000_000, False), (1_000_000, True), (7, False)):
        sent = passed(LEFT_OUT[left_out](upstream(case)), split, blanks=blanks)
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
    parts: list[list[Part]] = []
    ends = (renamed, nameless)
    for events in (upstream(case), *[end(told(upstream(case))) for end in ends for told in (without(), without(DONE))]):
        body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
        decoder = responses.decoder(chat, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="openai")
        parts.append([*decoder.feed(body)])
        assert decoder.done
    assert parts[1:] == [parts[0]] * 4


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


def ended(events: list[Json], output: list[Json]) -> list[Json]:
    """A stream whose last event has this output."""
    return [*events[:-1], {**events[-1], "response": {**events[-1]["response"], "output": output}}]


def test_an_item_that_is_done_and_not_there_is_none_of_the_output() -> None:
    """[fault W10] Where the end does not repeat the output, what was done is put in, and of one of these nothing is known."""
    events = ended(upstream("text"), [])
    nothing = {"type": DONE, "output_index": 1, "item": None}
    sent = passed([*events[:-1], nothing, {**nothing, "output_index": 2, "item": ["x"]}, events[-1]], 1_000_000)
    assert [item["type"] for item in events_in(sent)[-1]["response"]["output"]] == ["message"]


def test_an_end_that_leaves_an_item_out_and_has_other_ids_tells_nothing_twice() -> None:
    """An item without a known id is the next of its type, though it stands elsewhere there than it was told."""
    events = upstream("thinking-and-text")
    message = events[-1]["response"]["output"][-1]
    assert (message["type"], len(events[-1]["response"]["output"])) == ("message", 2)
    short = ended(events, [{**message, "id": "other"}])
    items, end = codex_turn(passed(short, 1_000_000))
    assert [item["type"] for item in items] == ["reasoning", "message"]
    assert end["response"]["output"] == [message]
    chat = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"stream":true}')
    told = []
    for each in (events, short):
        decoder = responses.decoder(chat, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="openai")
        told.append(([*decoder.feed(written(each))], decoder.tokens))
    assert told[0] == told[1]


def test_an_item_that_no_event_told_is_told_at_the_end_beside_others_of_its_type() -> None:
    """It is none of those that were told: all of them are known by their ids."""
    events = upstream("text")
    [message] = events[-1]["response"]["output"]
    items, _ = codex_turn(passed(ended(events, [message, {**message, "id": "msg_new"}]), 1_000_000))
    assert [item["id"] for item in items] == [message["id"], "msg_new"]


@pytest.mark.parametrize("left_out", [(ADDED,), (ADDED, DONE)])
@pytest.mark.parametrize("case", ["parallel-tool-calls", "several-messages"])
def test_an_item_that_nobody_announced_is_told_whole_once_events_have_passed(case: str, left_out: tuple[str, ...]) -> None:
    """Pieces of it would break OpenAI's client; they are left out, and their tokens come with the item."""
    events = upstream(case)
    second = [event for event in events if event.get("output_index") == 1]
    events = [event for event in events if event not in second or event["type"] not in left_out]
    sent = passed(events, 1_000_000)
    whole = said(upstream(case)[-1]["response"]["output"])
    assert said([item.to_dict() for item in streamed(sent).output]) == whole
    assert said(codex_turn(sent)[0]) == whole


def announced(events: list[Json], *, content: bool) -> list[Json]:
    """A vendor that says of an item only that it was added, whole or with nothing in it."""
    items = [event for event in events if event["type"] == (DONE if content else ADDED)]
    opening = [event for event in events if event["type"] == "response.created"]
    return [*opening, *[{**event, "type": ADDED} for event in items], emptied(events)[-1]]


@pytest.mark.parametrize("output", [[], None, "none"])
@pytest.mark.parametrize("case", CASES)
def test_an_item_of_which_nothing_is_said_but_that_it_was_added_is_there_as_it_was_added(case: str, output: object) -> None:
    """Words and calls that came whole were lost, and a call with arguments was told without them. Every client has them now."""
    events = announced(upstream(case), content=True)
    if output is None:
        del events[-1]["response"]["output"]
    whole = said([event["item"] for event in upstream(case) if event["type"] == DONE])
    for split in (1_000_000, 7):
        sent = passed(events, split)
        assert said(codex_turn(sent)[0]) == whole
        assert said([item.to_dict() for item in streamed(sent).output]) == whole
    parts = [chat_parts(told) for told in (events, upstream(case))]
    assert parts[0] == parts[1]


@pytest.mark.parametrize("case", CASES)
def test_an_item_that_begins_and_of_which_nothing_comes_ends_all_the_same(case: str) -> None:
    """It has nothing in it, and a call is given nothing, as a chat client's is; no promise of the protocol is broken."""
    events = announced(upstream(case), content=False)
    for place, event in enumerate(events):
        event["sequence_number"] = place
    sent = passed(events, 1_000_000)
    assert faults_in(sent) == []
    items, end = codex_turn(sent)
    assert said(items) == [("text", ""), *[(name, "{}") for name, _ in said(upstream(case)[-1]["response"]["output"])[1:]]]
    assert {item.get("status", "completed") for item in items} == {"completed"}
    assert end["response"]["output"] == items
    cut = [*events[:-1], {**events[-1], "type": "response.incomplete", "response": {**events[-1]["response"], "status": "incomplete"}}]
    assert {item.get("status", "incomplete") for item in codex_turn(passed(cut, 1_000_000))[0]} == {"incomplete"}


def chat_parts(events: list[Json]) -> list[tuple[str, str]]:
    """What a chat client is told: texts put together, and calls."""
    chat = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"stream":true}')
    decoder = responses.decoder(chat, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="openai")
    told: dict[str, str] = {}
    for part in decoder.feed(written(events)):
        name = type(part).__name__
        if isinstance(part, Text | Reasoning | Refusal | Arguments):
            key = f"{name} {getattr(part, 'index', '')}"
            told[key] = told.get(key, "") + part.text
        elif name in ("ToolCall", "Finish"):
            told[f"{name} {getattr(part, 'index', '')}"] = getattr(part, "name", "") or getattr(part, "reason", "")
    assert decoder.done, decoder.failure
    return sorted(told.items())


def test_arguments_that_stand_in_their_last_event_alone_are_given() -> None:
    """No delta has them, and no item that is done or at the end."""
    for case in ("one-tool-call", "parallel-tool-calls"):
        events = [event for event in emptied(upstream(case)) if event["type"] not in ("response.function_call_arguments.delta", DONE)]
        assert chat_parts(events) == chat_parts(upstream(case))


WHOLES = (
    "response.function_call_arguments.done", "response.custom_tool_call_input.done",
    "response.output_text.done", "response.refusal.done", "response.content_part.done",
)  # fmt: skip


@pytest.mark.parametrize("deltas", [True, False], ids=["deltas", "no deltas"])
@pytest.mark.parametrize("parts", [True, False], ids=["parts", "no parts"])
@pytest.mark.parametrize("wholes", [WHOLES, WHOLES[:4], WHOLES[:2] + WHOLES[4:]], ids=["all", "texts", "whole parts"])
@pytest.mark.parametrize("case", [case for case in CASES if "thinking" not in case])
def test_what_is_said_whole_of_an_item_that_is_never_done_is_there(case: str, wholes: tuple[str, ...], parts: bool, deltas: bool) -> None:
    """[fault S12] The call's last event had its arguments; the item and the output that we wrote at the end said that it is given none."""
    kinds = {"response.created", ADDED, *wholes, *ENDS, *([PART] if parts else [])}
    events = [event for event in emptied(upstream(case)) if event["type"] in kinds or (deltas and event["type"].endswith(".delta"))]
    whole = said([event["item"] for event in upstream(case) if event["type"] == DONE])
    for split in (1_000_000, 7):
        items, end = codex_turn(passed(events, split))
        assert said(items) == whole
        assert end["response"]["output"] == items
    assert dict(chat_parts(events)) == dict(chat_parts(upstream(case)))


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("mcp_call", {"type": "response.mcp_call_arguments.done", "arguments": '{"city":"Rome"}'}),
        ("code_interpreter_call", {"type": "response.code_interpreter_call_code.done", "code": "1 + 1"}),
        ("reasoning", {"type": "response.reasoning_summary_text.done", "summary_index": 0, "text": "Hm."}),
        ("reasoning", {"type": "response.reasoning_text.delta", "content_index": 0, "delta": "Hm."}),
        ("message", {"type": "response.output_text.done", "content_index": 1, "text": "Hello"}),
    ],
)
def test_an_item_of_which_more_was_said_than_is_known_is_not_told_without_it(kind: str, given: Json) -> None:
    """[fault S12] What its client was told of it was denied by an item that is done and has nothing."""
    created, *_, end = emptied(upstream("text"))
    added = item_of(0, type=kind, id="i_0", status="in_progress", arguments="")
    said_of = {"output_index": 0, "item_id": "i_0", **given}
    assert [item["id"] for item in codex_turn(passed([created, added, end], 1_000_000))[0]] == ["i_0"]
    items, last = codex_turn(passed([created, added, said_of, end], 1_000_000))
    assert (items, last["response"]["output"]) == ([], [])


@pytest.mark.parametrize(
    ("places", "whole"),
    [((0,), None), ((0, 0), None), ((0, 1), None), ((0, 1, 0), 0), ((0, 1), 1)],
    ids=["one piece", "two", "of two parts", "of two parts, one of them whole", "of two parts, the last whole"],
)
def test_an_item_whose_text_came_in_pieces_is_not_told_without_it(places: tuple[int, ...], whole: int | None) -> None:
    """Pieces are read by what they have in common, from the first on: that they came is known all the same where the end denies them."""
    created, *_, end = emptied(upstream("text"))
    of: Json = {"output_index": 0, "item_id": "i_0"}
    added = [item_of(0, type="message", id="i_0", status="in_progress", content=[])]
    added += [{"type": PART, **of, "content_index": place, "part": {"type": "output_text", "text": ""}} for place in sorted({*places})]
    pieces = [{"type": "response.output_text.delta", **of, "content_index": place, "delta": "Hello"} for place in places]
    wholes = [] if whole is None else [{"type": "response.output_text.done", **of, "content_index": whole, "text": "Hello"}]
    for split, blanks in ((1_000_000, True), (1_000_000, False), (7, False)):  # without blanks, as OpenAI writes, all are read so
        items, last = codex_turn(passed([created, *added, *pieces, *wholes, end], split, blanks=blanks))
        assert (items, last["response"]["output"]) == ([], [])


BEGUN: dict[str, tuple[Json, str, list[str], Json, tuple[str, str]]] = {
    "a text that goes on": (
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}, "output_text", [" yo", "!"],
        {"content": [{"type": "output_text", "text": "Hello yo!"}]}, ("Text ", "Hello yo!"),
    ),
    "a text that comes again": (
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}, "output_text", ["Hel", "lo", " yo!"],
        {"content": [{"type": "output_text", "text": "Hello yo!"}]}, ("Text ", "Hello yo!"),
    ),
    "a refusal that goes on": (
        {"type": "message", "content": [{"type": "refusal", "refusal": "I"}]}, "refusal", [" can", "not."],
        {"content": [{"type": "refusal", "refusal": "I cannot."}]}, ("Refusal ", "I cannot."),
    ),
    "thinking that goes on": (
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, "reasoning_summary_text", [", so", "."],
        {"summary": [{"type": "summary_text", "text": "Hm, so."}]}, ("Reasoning ", "Hm, so."),
    ),
    "arguments that go on": (
        {"type": "function_call", "name": "look", "call_id": "c", "arguments": '{"city":'}, "function_call_arguments", ['"Ro', 'me"}'],
        {"arguments": '{"city":"Rome"}'}, ("Arguments 0", '{"city":"Rome"}'),
    ),
    "arguments that come again": (
        {"type": "function_call", "name": "look", "call_id": "c", "arguments": '{"city":"Rome"}'}, "function_call_arguments",
        ['{"city":"Rome"}'], {"arguments": '{"city":"Rome"}'}, ("Arguments 0", '{"city":"Rome"}'),
    ),
}  # fmt: skip


@pytest.mark.parametrize("done", [True, False], ids=["done", "never done"])
@pytest.mark.parametrize("begun", BEGUN)
def test_an_item_that_begins_with_something_goes_on_from_there(begun: str, done: bool) -> None:
    """[fault S13] The rest was told first, and then what was left of the beginning behind so many characters: ` yolo` of `Hello yo`."""
    item, kind, deltas, whole, told = BEGUN[begun]
    added = item_of(0, **item)
    place = {"output_index": 0, "item_id": "m0", "content_index": 0}
    events = [upstream("text")[0], added]
    events += [{"type": f"response.{kind}.delta", **place, "delta": delta} for delta in deltas]
    events += [{**added, "type": DONE, "item": {**added["item"], **whole}}] if done else []
    assert told in chat_parts([*events, emptied(upstream("text"))[-1]])


@pytest.mark.parametrize("protocol", ["openai", "responses"])
def test_pictures_and_long_beginnings_are_no_failure_and_what_is_kept_of_them_is_told(protocol: str) -> None:
    """[fault S15] Two pictures that their first events had were more than items may take; and nothing told what was kept of a beginning."""
    chat = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"stream":true}')
    request = OWN if protocol == "responses" else chat
    decoder = responses.decoder(request, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol=protocol)
    pictures = [item_of(place, type="image_generation_call", result="x" * 3_000_000, content=None) for place in (0, 1)]
    long = [item_of(place, content=[{"type": "output_text", "text": "x" * 1_000}]) for place in range(2, 40)]
    held = []
    for event in [upstream("text")[0], *[one for picture in pictures for one in (picture, {**picture, "type": DONE})], *long]:
        decoder.feed(written([event]))
        held.append(decoder.held_bytes)
    assert decoder.failure is None
    assert 1_000 < held[-1] <= 65_536


def fed(events: list[Json]) -> bytes:
    """What a client of the protocol has of a stream that has not ended."""
    decoder = responses.decoder(OWN, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="responses")
    encoder = RESPONSES_DOOR.encoder(OWN, call_id="req_1", created=1)
    pieces = [encoder.write(parts) for event in events if (parts := [*decoder.feed(written([event]))])]
    assert decoder.failure is None
    return b"".join([piece.data for piece in pieces if piece is not None])


@pytest.mark.parametrize("created", [True, False], ids=["created", "never created"])
@pytest.mark.parametrize("kept", [(ADDED, PART), (ADDED,), ()], ids=["items and parts", "items", "deltas"])
@pytest.mark.parametrize("case", ["text", "refusal", "thinking-and-text"])
def test_what_has_no_place_is_told_when_it_comes(case: str, kept: tuple[str, ...], created: bool) -> None:
    """[fault S14] Where nothing was created either it waited for the end: long answers failed for silence, and nothing bounded them."""
    kinds = (*kept, *(["response.created"] if created else []))
    events = [event for event in upstream(case) if event["type"] in kinds or event["type"].endswith(".delta")]
    events = [{name: value for name, value in event.items() if name not in PLACES} for event in events]
    words = [event["delta"] for event in events if event["type"].endswith(("output_text.delta", "refusal.delta"))]
    for word in words:
        assert json.dumps(word).encode() in fed(events)


@pytest.mark.parametrize(
    "event",
    [
        {"type": ADDED, "item": {"type": "function_call", "name": "look", "call_id": "c", "arguments": ""}},
        {"type": DONE, "item": {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}},
        {"type": "response.output_text.annotation.added", "item_id": "m0", "annotation": {"type": "url_citation", "url": "u"}},
        {"type": "response.reasoning_text.delta", "item_id": "r0", "delta": "Hm."},
    ],
    ids=lambda event: event["type"],
)
def test_what_is_said_before_anything_is_created_is_kept_for_no_end(event: Json) -> None:
    """[fault S14] Whatever tells a part of an answer tells it at once, so that none of them are held."""
    assert fed([event])


def item_of(place: int, **more: object) -> Json:
    """An event that adds an item of its own."""
    return {"type": ADDED, "output_index": place, "item": {"id": f"m{place}", "type": "message", "content": [], **more}}


ENDLESS: dict[str, Callable[[int], Json]] = {
    "items": item_of,
    "items without a place": lambda place: {**item_of(place), "output_index": None},
    "long ids": lambda place: item_of(place, id=f"{place}" * 1_000),
    "calls": lambda place: item_of(place, type="function_call", name="f", call_id=f"{place}" * 1_000),
    "items that are whole": lambda place: item_of(place, content=[{"type": "output_text", "text": "x" * 4_000}]),
    "parts": lambda place: {"type": "response.output_text.delta", "output_index": 0, "item_id": "m0", "content_index": place, "delta": "x"},
    "deltas of no item": lambda place: {"type": "response.reasoning_text.delta", "item_id": f"m{place}", "content_index": 0, "delta": "x"},
}


@pytest.mark.parametrize("blanks", [False, True], ids=["as OpenAI writes", "with blanks"])
@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("protocol", ["openai", "responses"])
def test_items_and_parts_without_end_are_no_answer(kind: str, protocol: str, blanks: bool) -> None:
    """What no model can have made ends the call as its vendor's failure, long before it fills memory; a thousand items are an answer."""
    chat = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi."}],"stream":true}')
    request = OWN if protocol == "responses" else chat
    decoder = responses.decoder(request, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol=protocol)
    for event in upstream("text")[:2]:
        decoder.feed(written([event]))
    place, events = 0, ENDLESS[kind]
    while decoder.failure is None and place < 60_000:
        decoder.feed(written([events(number) for number in range(place, place + 500)], blanks=blanks))
        place += 500
    assert decoder.failure is not None
    assert decoder.failure.blame == VENDOR
    assert place > 1_000 or kind in ("items that are whole", "long ids", "calls")


def reading(events: list[Json], tail: bytes = b"") -> tuple[int, int]:
    """How much a decoder holds at most, and at the end, of a stream that is read event by event."""
    decoder = responses.decoder(OWN, Target("acme", "m-1", "responses"), call_id="req_1", created=1, protocol="responses")
    held = 0
    for event in events:
        decoder.feed(written([event])[:-3] + tail + b"}\n\n")
        held = max(held, decoder.held_bytes)
    return held, decoder.held_bytes


@pytest.mark.parametrize("tail", [b"", b', "odd": NaN'], ids=["strict", "lenient"])
@pytest.mark.parametrize("size", [10, 1_000, 40_000])
def test_what_is_held_of_a_stream_for_its_end_is_told_and_bounded(size: int, tail: bytes) -> None:
    """Contract 2.8: 64 KiB a stream, whether items are many or large, and whether they are strict JSON."""
    events = upstream("text")[:-1]
    message = next(event["item"] for event in events if event["type"] == DONE)
    for place in range(1, 2_000_000 // (size * 20)):
        item = {**message, "id": f"msg_{place}", "content": [{**message["content"][0], "text": "x" * size}]}
        part = {"item_id": item["id"], "output_index": place, "content_index": 0}
        events += [{"type": ADDED, "output_index": place, "item": {**item, "content": []}}]
        events += [{"type": PART, **part, "part": {"type": "output_text", "text": ""}}, {"type": DONE, "output_index": place, "item": item}]
    most, _ = reading(events, tail)
    assert 0 < most <= 65_536
    assert reading(upstream("text")[:-1], tail)[1] > len(json.dumps(message))


@pytest.mark.parametrize(("count", "kept"), [(20, True), (200, False)])
def test_an_output_that_the_end_does_not_repeat_is_put_in_whole_or_not_at_all(count: int, kept: bool) -> None:
    """A part of it would be taken for all."""
    events = upstream("text")
    message = next(event["item"] for event in events if event["type"] == DONE)
    more = [{"type": DONE, "output_index": place, "item": {**message, "id": f"msg_{place}"}} for place in range(1, count)]
    sent = passed(ended([*events[:-1], *more, events[-1]], []), 1_000_000)
    assert len(codex_turn(sent)[0]) == count
    assert len(codex_turn(sent)[1]["response"]["output"]) == (count if kept else 0)


def test_a_vendor_of_more_items_than_are_known_is_passed_as_it_is() -> None:
    """What is not known to have been left out is not put in."""
    events = upstream("text")
    message = next(event["item"] for event in events if event["type"] == DONE)
    items = [{**message, "id": f"msg_{place}"} for place in range(1, 2_000)]
    more: list[Json] = []
    for place, item in enumerate(items, 1):
        delta = {"type": "response.output_text.delta", "output_index": place, "item_id": item["id"], "content_index": 0, "delta": "x"}
        more += [{"type": ADDED, "output_index": place, "item": item}, delta, {"type": DONE, "output_index": place, "item": item}]
    output = events[-1]["response"]["output"] + items
    told = events_in(passed(ended([*events[:-1], *more, events[-1]], output), 1_000_000))
    assert [event["output_index"] for event in told if event["type"] == DONE] == [*range(2_000)]


def beside_all(event: Json) -> Callable[[list[Json]], list[Json]]:
    """A vendor that sends an event of its own before each of the others."""
    return lambda events: [each for one in events for each in ({**event}, one)]


def with_members(change: Callable[[Json], Json]) -> Callable[[list[Json]], list[Json]]:
    """A vendor whose objects differ in their members, those inside others too."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        return change({name: changed(inner) for name, inner in value.items()}) if isinstance(value, dict) else value

    return lambda events: [changed(event) for event in events]


PLACES = ("output_index", "content_index", "summary_index")
ODD: dict[str, Callable[[list[Json]], list[Json]]] = {
    "a ping with a type": beside_all({"type": "ping"}),
    "an event that nobody knows": beside_all({"type": "response.vendor_event", "response_id": "resp_v"}),
    "an event that nobody knows, numbered": beside_all({"type": "response.vendor_event", "sequence_number": 0}),
    "null in place of lists": with_members(lambda tree: {name: None if value == [] else value for name, value in tree.items()}),
    "no empty lists": with_members(lambda tree: {name: value for name, value in tree.items() if value != []}),
    "null in place of texts": with_members(lambda tree: {name: None if value == "" else value for name, value in tree.items()}),
    "no empty texts": with_members(lambda tree: {name: value for name, value in tree.items() if value != "" or name == "delta"}),
    "places as fractions": with_members(lambda tree: {name: float(value) if name in PLACES else value for name, value in tree.items()}),
    "places as text": with_members(lambda tree: {name: str(value) if name in PLACES else value for name, value in tree.items()}),
    "lists in place of texts": with_members(lambda tree: {name: [] if value == "" else value for name, value in tree.items()}),
    "objects in place of texts": with_members(lambda tree: {name: {} if value == "" else value for name, value in tree.items()}),
    "no places of parts": with_members(lambda tree: {name: value for name, value in tree.items() if name not in PLACES[1:]}),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("case", CASES)
def test_a_stream_that_is_odd_says_the_same_to_every_client(case: str, odd: str) -> None:
    """A text whose part was numbered otherwise than in the whole item was told twice to clients of other protocols.

    And OpenAI's own broke at events before the response is created, and at null where it adds to a list or a text.
    """
    events = ODD[odd](upstream(case))
    if case != "several-messages" or odd != "no places of parts":  # of which the two parts of a summary are one then
        assert dict(chat_parts(events)) == dict(chat_parts(upstream(case)))
    whole = said([event["item"] for event in upstream(case) if event["type"] == DONE])
    if odd not in ("places as fractions", "places as text", "no places of parts"):  # which no client of the protocol knows
        sent = passed(events, 1_000_000)
        assert said(codex_turn(sent)[0]) == whole
        assert said([item.to_dict() for item in streamed(sent).output]) == whole


@pytest.mark.parametrize("odd", [[], {}, 1, 0.5, True])
def test_types_that_are_no_texts_are_nobodys_failure_but_their_vendors(odd: object) -> None:
    """[fault S11] A list can be looked up in no table: what it was looked up in raised, and the call was our failure."""
    events = upstream("text")
    for event in events:
        for name in ("item", "part"):
            if isinstance(event.get(name), dict):
                event[name]["type"] = odd
    assert b"response.completed" in passed(events, 1_000_000)
