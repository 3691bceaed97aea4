"""Calls of tools that a vendor makes side by side, for clients that take each in one piece: each has its own arguments, and all of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from aisa.config.schema import Prices
from aisa.testing.aws_frames import frames_of
from aisa.testing.clock import run_virtual
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.whole_calls import HELD_CHARACTERS_MAX, WholeCallsDoor
from door_readers import SPEAKERS, data_of
from rig import DONE, HEAD, OPENING, Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, chunk, event, usage
from sdk_readers import READERS as CLIENTS
from sequences import SPOKEN, sent

Json = dict[str, Any]
Calls = dict[int, list[tuple[str, str]]]


def begins(choice: int, index: int, name: str, arguments: str = "") -> bytes:
    """A vendor's chunk that begins a call."""
    call = {"index": index, "id": f"c{choice}{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [call]}, index=choice)


def given(choice: int, index: int, arguments: str) -> bytes:
    """A further part of its arguments."""
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}, index=choice)


def ends(choice: int) -> bytes:
    """A choice that ends with its calls."""
    return chunk({}, "tool_calls", index=choice)


def in_candidates(stream: bytes) -> Calls:
    """What Gemini's client has: the calls of each candidate."""
    calls: Calls = {}
    for told in data_of(stream):
        for candidate in told.get("candidates", ()):
            for part in candidate["content"]["parts"]:
                if call := part.get("functionCall"):
                    calls.setdefault(candidate["index"], []).append((call["name"], json.dumps(call["args"])))
    return calls


def in_choices(stream: bytes) -> Calls:
    """What a client of chat completions has, which takes a call for whole as it comes."""
    calls: Calls = {}
    for told in data_of(stream):
        for choice in told.get("choices", ()):
            for call in choice["delta"].get("tool_calls", ()):
                known = calls.setdefault(choice["index"], [])
                assert call["index"] == len(known)
                known.append((call["function"]["name"], json.dumps(json.loads(call["function"]["arguments"]))))
    return calls


def asked(door: str, n: int) -> Json:
    """A request for so many answers, with tools."""
    whole = SPEAKERS["gemini" if door == "gemini" else "chat"].ask("tools")
    return {**whole, "generationConfig": {"candidateCount": n}} if door == "gemini" else {**whole, "n": n}


DOORS: dict[str, Door] = {"gemini": GeminiDoor("fast", stream=True), "whole": WholeCallsDoor()}
READ = {"gemini": in_candidates, "whole": in_choices}


def called(door: str, n: int, *steps: Any) -> tuple[MemoryClient, Rig]:
    """Make one call to a vendor that says this."""
    rig, client = Rig(ScriptedUpstream(Script(steps)), prices=Prices(input=1, output=2)), MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked(door, n)).encode(), door=DOORS[door]))
    return client, rig


OSLO, BERGEN = '{"city": "Oslo"}', '{"city": "Bergen"}'


@pytest.mark.parametrize("door", DOORS)
def test_calls_of_several_choices_that_come_in_turns_have_each_its_own_arguments(door: str) -> None:
    """A call of one choice is none of another's, and is not whole because another begins."""
    steps = [
        *[chunk(OPENING, index=choice) for choice in (0, 1)],
        begins(0, 0, "weather"), begins(1, 0, "f"),
        given(0, 0, OSLO[:7]), given(1, 0, BERGEN[:9]), given(0, 0, OSLO[7:]), given(1, 0, BERGEN[9:]),
        begins(0, 1, "now", "{}"), ends(0), begins(1, 1, "g"), given(1, 1, OSLO), ends(1), usage(9, 40), DONE,
    ]  # fmt: skip
    client, rig = called(door, 2, *steps)
    assert READ[door](client.body) == {0: [("weather", OSLO), ("now", "{}")], 1: [("f", BERGEN), ("g", OSLO)]}
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("completed", 40)


@pytest.mark.parametrize("door", DOORS)
def test_calls_of_one_choice_whose_arguments_come_in_turns_have_each_its_own(door: str) -> None:
    """In the order in which they began; one that takes nothing has an empty object."""
    steps = [
        chunk(OPENING), begins(0, 0, "weather"), begins(0, 1, "now"), begins(0, 2, "f"),
        given(0, 2, BERGEN), given(0, 0, OSLO[:5]), given(0, 0, OSLO[5:]), ends(0), DONE,
    ]  # fmt: skip
    client, _ = called(door, 1, *steps)
    assert READ[door](client.body) == {0: [("weather", OSLO), ("now", "{}"), ("f", BERGEN)]}


@pytest.mark.parametrize("door", DOORS)
def test_a_call_that_was_not_whole_when_its_vendor_broke_off_is_not_paid_for_by_what_another_choice_says(door: str) -> None:
    """Its tokens ride on nothing else: a client has the text of the other, and pays for that."""
    words = [chunk({"content": word}, index=0) for word in ("One ", "two ")]
    client, rig = called(door, 2, chunk(OPENING), words[0], begins(1, 0, "weather"), given(1, 0, OSLO[:9]), words[1], Break())
    assert READ[door](client.body) == {}
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("cut", 2)


@pytest.mark.parametrize("spoken", [True, False], ids=["behind a text", "as all there is"])
@pytest.mark.parametrize("door", DOORS)
def test_arguments_that_are_written_for_minutes_keep_the_stream_alive(door: str, spoken: bool) -> None:
    """[fault W2] A fragment every ten seconds is a model at work, though nothing of it can be told yet; nobody else is asked."""
    slow = [step for place in range(14) for step in (given(0, 0, f'{"," if place else ""}"{place}"'), Stall(10))]
    words = [chunk({"content": "So. "})] if spoken else []
    steps = [chunk(OPENING), *words, begins(0, 0, "f", '{"a": ['), *slow, given(0, 0, "]}"), ends(0), usage(9, 40), DONE]
    rig = Rig(ScriptedUpstream(Script(steps)), ScriptedUpstream(Script([])), prices=Prices(input=1, output=2))
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked(door, 1)).encode(), door=DOORS[door]))
    assert READ[door](client.body) == {0: [("f", json.dumps({"a": [str(place) for place in range(14)]}))]}
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens, rig.rows[-1].attempts) == ("completed", 40, 1)


@pytest.mark.parametrize("reported", [True, False], ids=["whole", "cut"])
def test_a_call_with_what_is_no_object_is_paid_for_in_a_whole_answer_alone(reported: bool) -> None:
    """[fault M7] Gemini's client is never told of it, and a cut stream costs what arrived; its tokens ride on no word behind it."""
    steps = [chunk(OPENING), begins(0, 0, "weather", '["Oslo", "Bergen", "Tromso"]'), chunk({"content": "word"})]
    client, rig = called("gemini", 1, *steps, *([ends(0), usage(9, 40), DONE] if reported else [Break()]))
    assert in_candidates(client.body) == {}
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == (("completed", 40) if reported else ("cut", 1))


def test_a_call_in_the_older_form_is_not_paid_for_by_what_another_choice_says() -> None:
    """[fault M7] Nor what a call is given that was told before."""
    call = {"function_call": {"name": "weather", "arguments": '{"city": "Oslo and Bergen'}}
    words = [chunk({"content": word}) for word in ("One ", "two ")]
    client, rig = called("gemini", 2, chunk(OPENING), words[0], chunk(call, index=1), words[1], Break())
    assert in_candidates(client.body) == {}
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("cut", 2)


@pytest.mark.parametrize("door", DOORS)
def test_a_call_that_was_told_is_paid_for_in_a_stream_that_was_cut(door: str) -> None:
    """[fault M7] With its name and its arguments, once; what was told before a call that is still held is paid for too."""
    steps = [chunk(OPENING), begins(0, 0, "weather"), given(0, 0, OSLO)]
    _, rig = called(door, 1, *steps, begins(0, 1, "weather"), given(0, 1, OSLO[:9]), Break())
    paid = rig.rows[-1].billed.output_tokens
    _, rig = called(door, 1, *steps, chunk({"content": "So "}), begins(0, 1, "weather"), given(0, 1, OSLO[:9]), Break())
    assert (rig.rows[-1].outcome, rig.rows[-1].billed.output_tokens) == ("cut", paid + 1)
    assert paid > 2


@pytest.mark.parametrize("door", DOORS)
def test_a_call_that_is_whole_waits_for_one_before_it_that_is_not(door: str) -> None:
    """[fault W4] Also where something is said between them: their order is the order in which they began."""
    steps = [begins(0, 0, "weather", OSLO[:5]), begins(0, 1, "now", "{}"), chunk({"content": "So "}), given(0, 0, OSLO[5:])]
    client, _ = called(door, 1, chunk(OPENING), *steps, ends(0), DONE)
    assert READ[door](client.body) == {0: [("weather", OSLO), ("now", "{}")]}


def test_only_what_is_held_counts_for_the_bound() -> None:
    """[fault W4] Calls that were told take no place: one behind them is whole as ever."""
    long = json.dumps({"a": "x" * (HELD_CHARACTERS_MAX - 20)})
    steps = [begins(0, 0, "f", long), begins(0, 1, "weather"), given(0, 1, OSLO), begins(0, 2, "g"), given(0, 2, BERGEN[:9])]
    client, _ = called("whole", 1, chunk(OPENING), *steps, given(0, 2, BERGEN[9:]), ends(0), DONE)
    assert in_choices(client.body) == {0: [("f", long), ("weather", OSLO), ("g", BERGEN)]}


def test_a_text_in_any_form_is_whole_at_its_end_alone() -> None:
    """[fault W4] What looks like a whole object may be the beginning of a patch, or of a program."""

    def custom(**members: Any) -> bytes:
        return chunk({"tool_calls": [{"index": 0, **members}]})

    steps = [
        custom(id="c0", type="custom", custom={"name": "run", "input": "{}"}), chunk({"content": "So "}),
        custom(custom={"input": " or []"}), ends(0), DONE,
    ]  # fmt: skip
    client, _ = called("whole", 1, chunk(OPENING), *steps)
    deltas = [choice["delta"] for told in data_of(client.body) for choice in told.get("choices", ())]
    assert [call["custom"] for delta in deltas for call in delta.get("tool_calls", ())] == [{"name": "run", "input": "{} or []"}]


def test_calls_beyond_what_may_be_held_go_on_in_fragments_each_by_its_place() -> None:
    """Of two that come in turns, at a client that wants them whole: nothing is made up where one had nothing yet."""
    long = json.dumps({"a": "x" * HELD_CHARACTERS_MAX})
    steps = [chunk(OPENING), begins(0, 0, "f"), begins(0, 1, "g"), given(0, 0, long[:-2]), given(0, 1, OSLO), given(0, 0, long[-2:])]
    client, _ = called("whole", 1, *steps, ends(0), DONE)
    told = {0: "", 1: ""}
    for item in data_of(client.body):
        for choice in item["choices"]:
            for call in choice["delta"].get("tool_calls", ()):
                told[call["index"]] += call["function"]["arguments"]
    assert told == {0: long, 1: OSLO}


@pytest.mark.parametrize("as_written", [str, float], ids=["text", "1.0"])
def test_choices_and_calls_whose_places_are_no_plain_numbers_are_told_apart(as_written: type) -> None:
    """In a stream and in a document: what comes in turns is not put together."""
    parts: list[tuple[int, int, str]] = [
        (0, 0, OSLO[:4]),
        (1, 0, BERGEN[:4]),
        (0, 1, "{"),
        (0, 0, OSLO[4:]),
        (1, 0, BERGEN[4:]),
        (0, 1, "}"),
    ]
    begun: set[tuple[int, int]] = set()
    steps = []
    for choice, index, arguments in parts:
        call: Json = {"index": as_written(index), "function": {"arguments": arguments}}
        if (choice, index) not in begun:
            begun.add((choice, index))
            call = {
                "index": as_written(index),
                "id": f"c{choice}{index}",
                "function": {"name": f"f{choice}{index}", "arguments": arguments},
            }
        steps.append(event({**HEAD, "choices": [{"index": as_written(choice), "delta": {"tool_calls": [call]}, "finish_reason": None}]}))
    last = [event({**HEAD, "choices": [{"index": as_written(choice), "delta": {}, "finish_reason": "tool_calls"}]}) for choice in (1, 0)]
    client, _ = called("whole", 2, *steps, *last, DONE)
    assert in_choices(client.body) == {0: [("f00", OSLO), ("f01", "{}")], 1: [("f10", BERGEN)]}
    messages = [{"index": as_written(place), "message": {"content": word}, "finish_reason": "stop"} for place, word in ((1, "b"), (0, "a"))]
    rig, client = Rig(ScriptedUpstream(Script([json.dumps({"choices": messages}).encode()], headers={}))), MemoryClient()
    run_virtual(rig.call(client, json.dumps({**asked("chat", 2), "stream": False}).encode()))
    assert [choice["message"]["content"] for choice in json.loads(client.body)["choices"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("door", "dialect"),
    [
        (door, dialect)
        for door in ("chat", "messages", "responses")
        for dialect in ("gemini", "bedrock", "anthropic")
        if door != "messages" or dialect != "anthropic"
    ],
)
def test_calls_that_a_vendor_gives_one_id_have_each_its_own(door: str, dialect: str) -> None:
    """Their clients tell calls, and what answers them, apart by ids alone."""
    if dialect == "bedrock":
        use = {"toolUse": {"toolUseId": "same", "name": "now"}}
        begun = [["contentBlockStart", {"contentBlockIndex": place, "start": use}] for place in (0, 1)]
        used = ["metadata", {"usage": {"inputTokens": 1, "outputTokens": 9}}]
        steps = [frames_of([*begun, ["messageStop", {"stopReason": "tool_use"}], used])]
    elif dialect == "anthropic":
        told: list[Json] = [{"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1}}}]
        for place in (0, 1):
            block: Json = {"type": "tool_use", "id": "same", "name": "now", "input": {}}
            told += [
                {"type": "content_block_start", "index": place, "content_block": block},
                {"type": "content_block_stop", "index": place},
            ]
        told += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]
        steps = [event(each) for each in told]
    else:
        parts = [{"functionCall": {"id": "same", "name": "now", "args": {}}}] * 2
        steps = [
            event(
                {
                    "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
                    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 6},
                }
            )
        ]
    speaker = SPEAKERS[door]
    client = sent(speaker.door, speaker.ask("tools"), dialect, steps)
    assert CLIENTS[SPOKEN[door]](client.body).calls == (("now", "{}"), ("now", "{}"))
    next_turn = json.dumps(speaker.turn(speaker.ask("tools"), speaker.read(client.body)))
    ids = re.findall(r'"(?:tool_call_id|tool_use_id|function_call_output", "call_id)": "([^"]+)"', next_turn)
    assert (len(ids), len(set(ids))) == (2, 2)
