"""Answers that no vendor sends, in every dialect at every door: none raises, each ends once, and the row says what was told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from aisa.config.schema import Prices
from aisa.facts import BugFound, UsageMisreported, VendorFailed
from aisa.testing.aws_frames import frames_of
from aisa.testing.clock import run_virtual
from aisa.wire.messages_door import MESSAGES_DOOR, event_of
from door_mutations import CASES, CORPUS, FRAMES, SSE, called, of_messages, wrong_with
from door_readers import SPEAKERS, Json, chunks_of, data_of
from mutations import VALUE
from repeats import repeats, some
from rig import DONE, MemoryClient, Rig, Script, ScriptedUpstream, chunk, text
from test_anthropic_calls import Claude
from test_anthropic_scripts import message_in
from test_messages_door import asked as message_asked

MUTANTS = 800
FOUND = (921, 940, 1061, 1337, 1417, 12741, 14137)  # these have been wrong before
PLACE = re.compile(rb'"(index|contentBlockIndex|output_index)": ?\d+')
NAME = re.compile(rb'"name": ?"(weather|look|f)"')
CALLING = ("anthropic", "bedrock", "cohere", "responses", "gemini", "mistral", "openai")


def test_mutated_answers_end_once_at_every_door_and_the_ledger_agrees() -> None:
    """[fault W1 to W10, B5] Whatever was done to the vendor's bytes: no bug of ours, one end, no row that says otherwise."""
    wrong = {number: found for number in [*range(repeats(MUTANTS)), *FOUND] if (found := wrong_with(number))}
    assert wrong == {}


def one_call(dialect: str, changed: Callable[[bytes], bytes], door: str = "chat") -> tuple[MemoryClient, Rig]:
    """Play the corpus' case of a call with its bytes changed."""
    if dialect in ("openai", "mistral"):
        body, kind = b"".join(chunks_of(dialect)["one-tool-call"]), SSE
    else:
        body, kind = body_of(CORPUS / dialect / "one-tool-call")
    asked = SPEAKERS[door].ask("tools")
    body = frames_of(json.loads(changed(body))) if kind == FRAMES else changed(body)
    return called(ScriptedUpstream(*[Script([body], headers={"content-type": kind})] * 2), dialect, asked, door=SPEAKERS[door].door)


def body_of(case: Path) -> tuple[bytes, str]:
    """What a vendor sends in a case; of frames their table."""
    table = case / "upstream.frames.json"
    return (table.read_bytes(), FRAMES) if table.exists() else ((case / "upstream.sse").read_bytes(), SSE)


@pytest.mark.parametrize("door", ["chat", "messages", "responses"])
@pytest.mark.parametrize("value", [b"[]", b"{}", b"[0]", b"null", b"true", b'"0"'])
@pytest.mark.parametrize("dialect", CALLING)
def test_a_place_that_is_no_number_is_the_vendors_fault_and_no_bug(dialect: str, value: bytes, door: str) -> None:
    """[fault W10] The call is read all the same where there is no doubt which it is; else the vendor's answer could not be understood."""
    client, rig = one_call(dialect, lambda body: PLACE.sub(rb'"\1":' + value, body), door)
    assert not [fact for fact in rig.facts if isinstance(fact, BugFound)]
    code = getattr(rig.facts[-1], "code", "")
    assert (rig.rows[-1].outcome, code) in (("completed", ""), ("failed", "gateway_error"), ("cut", "gateway_error")), client.body


MEMBER = re.compile(rb'"\w+":')
OWN_DOORS = {"responses": "responses", "gemini": "gemini", "anthropic": "messages"}
RICH = ("one-tool-call", "thinking-and-text", "citations", "refusal", "cached-input")


@pytest.mark.parametrize("value", [b'{"a":1}', b'["x"]', None])
@pytest.mark.parametrize("dialect", [dialect for dialect in CALLING if dialect != "openai"])
def test_a_member_of_any_type_is_the_vendors_fault_and_no_bug(dialect: str, value: bytes | None) -> None:
    """[fault W10] Each member in turn has no key in any table, or is not there, for clients of chat and of the vendor's own protocol."""
    for case in [path for path in CASES[dialect] if path.name in RICH]:
        body, kind = body_of(case)
        for door in dict.fromkeys(("chat", OWN_DOORS.get(dialect, "chat"))):
            for place in some([*(VALUE if value is not None else MEMBER).finditer(body)]):
                changed = body[: place.start()] + (value or b'"gone":') + body[place.end() :]
                sent = framed(changed) if kind == FRAMES else changed
                script = Script([sent], headers={"content-type": kind})
                _, rig = called(ScriptedUpstream(script, script), dialect, SPEAKERS[door].ask("tools"), door=SPEAKERS[door].door)
                assert not [fact for fact in rig.facts if isinstance(fact, BugFound)], changed


def framed(table: bytes) -> bytes:
    """Frames of a table; none where what was changed is a frame itself."""
    try:
        return frames_of(json.loads(table))
    except (KeyError, TypeError, AttributeError):
        return b""


@pytest.mark.parametrize("name", [b'"name":""', b'"name":null', b'"nome":"weather"', b'"name":[]'])
@pytest.mark.parametrize("dialect", CALLING)
def test_a_call_of_nothing_is_a_failure_in_every_dialect(dialect: str, name: bytes) -> None:
    """[fault W5] No client can make it, and its finish would say that there is one to be made."""
    client, rig = one_call(dialect, lambda body: NAME.sub(name, body))
    assert rig.rows[-1].outcome in ("failed", "cut")
    assert b"gateway_error" in client.body
    assert b'tool_calls"' not in client.body.split(b"finish_reason")[-1]


# Clients of Anthropic's protocol, in front of vendors that imitate it


def passed(*events: Json, reason: object = "end_turn") -> MemoryClient:
    """What such a client gets of these events and an end."""
    stop: Json = {"type": "message_stop"}
    script = [event_of(each) for each in (*events, delta_of(reason), stop)]
    rig, client = Claude(Script(script)), MemoryClient()
    run_virtual(rig.call(client, message_asked(stream=True), door=MESSAGES_DOOR))
    assert of_messages(client.body) == []
    return client


def delta_of(reason: object) -> Json:
    """The event that says why."""
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}


def begun(index: object, **block: object) -> Json:
    """A block begins."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""} | block}


def said(index: object, text: object) -> Json:
    """It says more."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


STOPPED: Json = {"type": "content_block_stop", "index": 0}
START: Json = {"type": "message_start", "message": {"id": "msg_1", "model": "some-model", "usage": {"input_tokens": 9}}}


@pytest.mark.parametrize(
    "events",
    [
        [begun(0), said(0, "One "), said(0, "two"), STOPPED],
        [START, begun(0), said(0, "One "), begun(0), said(0, "two"), STOPPED],
        [START, begun(0), said(0, "One "), STOPPED, begun(0), said(0, "two"), STOPPED],
        [START, begun(0), said(0, "One "), said(0, "two"), STOPPED, STOPPED][:-1],
        [START, begun(0, text=None), said(0, "One "), {"type": "content_block_delta", "index": 0, "delta": None}, said(0, "two")],
        [START, begun(0, text=3), said(0, "One "), said(0, 3), said(0, "two"), STOPPED],
        [START, begun("a"), said("a", "One "), delta_of("end_turn"), said("a", "two")],
    ],
    ids=["no opening", "begun twice", "one number for two", "plain", "a part of nothing", "numbers as text", "said behind its reason"],
)
def test_what_imitates_anthropics_stream_is_made_whole(events: list[Json]) -> None:
    """[fault W10] Its own client reads what was said, in blocks that are numbered without gaps and each stopped once."""
    message = message_in(passed(*events).body)
    assert "".join([block.text for block in message.content if block.type == "text"]) == "One two"
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 5)


OWN = ("end_turn", "max_tokens", "stop_sequence", "pause_turn", "model_context_window_exceeded")
OTHERS = {"weary": "end_turn", "stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "STOP": "end_turn"}
REASONS_SHOWN = {**OTHERS, **dict.fromkeys(OWN)}


@pytest.mark.parametrize("reason", REASONS_SHOWN)
def test_a_reason_that_clients_of_messages_do_not_know_is_told_in_one_that_they_do(reason: str) -> None:
    """[fault W3] Stream and document alike; Anthropic's own words are kept."""
    shown = REASONS_SHOWN[reason] or reason
    client = passed(START, begun(0), said(0, "Hi"), STOPPED, reason=reason)
    assert message_in(client.body).stop_reason == shown
    content = [{"type": "text", "text": "Hi"}]
    message = {**START["message"], "type": "message", "role": "assistant", "content": content, "stop_reason": reason}
    rig, client = Claude(Script([json.dumps(message | {"usage": {"input_tokens": 9, "output_tokens": 5}}).encode()])), MemoryClient()
    run_virtual(rig.call(client, message_asked(), door=MESSAGES_DOOR))
    assert (json.loads(client.body)["stop_reason"], rig.rows[-1].outcome) == (shown, "completed")


# Calls that were cut, for clients that would make them without arguments


def cut_call(reason: str, *, before: str = "") -> list[bytes]:
    """A stream that ends inside a call."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Os'}}
    return [*text(*filter(None, [before])), chunk({"tool_calls": [call]}), chunk({}, reason), DONE]


@pytest.mark.parametrize(("reason", "fault"), [("length", "caller"), ("tool_calls", "vendor"), ("stop", "vendor")])
def test_who_is_told_that_a_call_was_cut_pays_for_what_came_and_no_more(reason: str, fault: str) -> None:
    """[fault B1, P3] The row says cut, as the client was told; before, it said completed, and the whole was billed."""
    first, *rest = cut_call(reason, before="Hi")
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script([first, *rest])), prices=Prices(input=1, output=2))
    run_virtual(rig.call(client, message_asked(stream=True), door=MESSAGES_DOOR))
    assert data_of(client.body)[-1]["error"]["message"] == "The answer ended inside a call of the tool 'f'."
    assert b"message_stop" not in client.body
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("cut", rig.rows[-1].delivered)
    assert [fact.blame for fact in rig.facts if isinstance(fact, VendorFailed)] == [fault]


@pytest.mark.parametrize("reason", ["length", "tool_calls"])
@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_what_came_in_the_same_read_as_the_end_inside_a_call_is_told_and_paid_for(reason: str, at_once: int) -> None:
    """[fault B1] As it is in a read of its own: it was lost to the client, and free."""
    steps = cut_call(reason, before="Hi")
    steps.insert(2, chunk({"content": " there, and more."}))
    told: list[tuple[bytes, int, int]] = []
    for reads in ([*steps], [*steps[:2], b"".join(steps[2 : 2 + at_once]), *steps[2 + at_once :]]):
        client = MemoryClient()
        rig = Rig(ScriptedUpstream(Script(reads)), prices=Prices(input=1, output=2))
        run_virtual(rig.call(client, message_asked(stream=True), door=MESSAGES_DOOR))
        [row] = rig.rows
        assert (row.outcome, row.delivered) == ("cut", row.billed.output_tokens)
        told.append((client.body, row.cost, row.delivered))
        assert [event["type"] for event in data_of(client.body)].count("error") == 1
    assert b" there, and more." in told[1][0]
    assert told[0] == told[1]


def test_a_call_that_the_model_made_badly_is_asked_of_the_next_target() -> None:
    """[fault B6] As long as the client has nothing of it."""
    client = MemoryClient()
    rig = Rig(
        ScriptedUpstream(Script([b"".join(cut_call("tool_calls"))])), ScriptedUpstream(Script([*text("Hi"), chunk({}, "stop"), DONE]))
    )
    run_virtual(rig.call(client, message_asked(stream=True), door=MESSAGES_DOOR))
    assert (client.status, rig.rows[-1].outcome, rig.rows[-1].attempts) == (200, "completed", 2)
    assert message_in(client.body).stop_reason == "end_turn"


def test_a_document_keeps_what_is_whole_of_what_a_call_was_given() -> None:
    """[fault W5] As Anthropic has it: its client runs no tool of a turn that `max_tokens` has ended."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"day": 1, "city": "Os'}}
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "length"}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    client = MemoryClient()
    run_virtual(Rig(ScriptedUpstream(Script([json.dumps(answer).encode()]))).call(client, message_asked(), door=MESSAGES_DOOR))
    told = json.loads(client.body)
    assert (told["content"][0]["input"], told["stop_reason"]) == ({"day": 1}, "max_tokens")


def test_half_a_character_in_a_report_that_cannot_be_read_is_told_and_no_bug() -> None:
    """[fault M4, W4] The operator sees the report with U+FFFD in it."""
    client = MemoryClient()
    report = b'data: {"choices":[],"usage":{"prompt_tokens":"\\ud83d","completion_tokens":null}}\n\n'
    rig = Rig(ScriptedUpstream(Script([*text("Hi"), chunk({}, "stop"), report, DONE])))
    run_virtual(rig.call(client, json.dumps(SPEAKERS["chat"].ask("text")).encode()))
    [fault] = [fact.detail for fact in rig.facts if isinstance(fact, UsageMisreported)]
    assert "\ufffd" in fault
