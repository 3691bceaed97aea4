"""A call of a tool that a limit cut before it was given anything is not told as one that takes nothing, at any door.

Agents carry calls out whatever the finish reason (findings/agents-carry-out-cut-calls.sh): `{}` would be the tool's defaults.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.responses_door import RESPONSES_DOOR
from aisa.wire.whole_calls import WholeCallsDoor
from rig import DONE, OPENING, MemoryClient, Rig, Script, ScriptedUpstream, chunk, document, event, usage

FUNCTION = {"name": "pay", "parameters": {"type": "object", "properties": {}}}
SAYS = [{"role": "user", "content": "Hi."}]
CHAT = {"model": "fast", "messages": SAYS, "tools": [{"type": "function", "function": FUNCTION}]}
ASKED: dict[str, dict[str, Any]] = {
    "chat": CHAT,
    "whole": CHAT,
    "responses": {"model": "fast", "input": "Hi.", "tools": [{"type": "function", **FUNCTION}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], "tools": [{"functionDeclarations": [FUNCTION]}]},
}


def of_openai(calls: int, finish: str, *, stream: bool) -> list[bytes]:
    """So many calls without arguments, from a vendor of chat completions."""
    made = [{"index": at, "id": f"c{at}", "type": "function", "function": {"name": "pay", "arguments": ""}} for at in range(calls)]
    if stream:
        return [chunk(OPENING), *[chunk({"tool_calls": [call]}) for call in made], chunk({}, finish), usage(9, 3), DONE]
    whole = json.loads(document())
    whole["choices"][0] |= {"message": {"role": "assistant", "content": None, "tool_calls": made}, "finish_reason": finish}
    return [json.dumps(whole).encode()]


def of_anthropic(calls: int, finish: str, *, stream: bool) -> list[bytes]:
    """The same from Anthropic, which streams each value when it is whole, and no value at all of the call that was cut."""
    reason = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}[finish]
    blocks = [{"type": "tool_use", "id": f"t{at}", "name": "pay", "input": {}} for at in range(calls)]
    used = {"input_tokens": 9, "output_tokens": 3}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "some-model", "stop_sequence": None}
    if not stream:
        return [json.dumps({**head, "content": blocks, "stop_reason": reason, "usage": used}).encode()]
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": used}}]
    for at, block in enumerate(blocks):
        events += [{"type": "content_block_start", "index": at, "content_block": block}, {"type": "content_block_stop", "index": at}]
    events += [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}}, {"type": "message_stop"}]
    return [event(each) for each in events]


def given(door: str, steps: list[bytes], dialect: str, *, stream: bool) -> list[str | None]:
    """What each call was given, as the client of a door reads it; None of one whose arguments it is not told as whole."""
    rig = Rig(ScriptedUpstream(Script(steps)), vendor={"dialect": dialect})
    doors: dict[str, Door] = {"chat": CHAT_DOOR, "whole": WholeCallsDoor(), "responses": RESPONSES_DOOR}
    doors["gemini"] = GeminiDoor("fast", stream=stream)
    asked = ASKED[door] if door == "gemini" else {**ASKED[door], "stream": stream}
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=doors[door]))
    assert client.status == 200
    lines = [line[6:] for line in client.body.splitlines() if line.startswith(b"data: {")]
    seen = [json.loads(line) for line in lines] if stream else [json.loads(client.body)]
    return READ[door](seen, stream=stream)


def of_chat(seen: list[Any], *, stream: bool) -> list[str | None]:
    """Of chat completions: fragments joined."""
    if not stream:
        return [call["function"]["arguments"] for call in seen[0]["choices"][0]["message"]["tool_calls"]]
    joined: dict[int, str] = {}
    for each in seen:
        for call in (each["choices"][0]["delta"].get("tool_calls") or []) if each["choices"] else []:
            joined[call["index"]] = joined.get(call["index"], "") + call["function"].get("arguments", "")
    return [joined[at] for at in sorted(joined)]


def of_responses(seen: list[Any], *, stream: bool) -> list[str | None]:
    """Of the Responses API: the whole at the end."""
    response = seen[-1]["response"] if stream else seen[0]
    return [item["arguments"] for item in response["output"] if item["type"] == "function_call"]


def of_gemini(seen: list[Any], *, stream: bool) -> list[str | None]:
    """Of Gemini, whose calls are whole or not there."""
    parts = [part for each in seen for candidate in each.get("candidates", []) for part in candidate["content"].get("parts", [])]
    return [json.dumps(part["functionCall"].get("args", {})) for part in parts if "functionCall" in part]


READ: dict[str, Any] = {"chat": of_chat, "whole": of_chat, "responses": of_responses, "gemini": of_gemini}
VENDORS: dict[str, Any] = {"openai": of_openai, "anthropic": of_anthropic}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", VENDORS)
@pytest.mark.parametrize("door", READ)
@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_call_that_was_cut_before_its_arguments_has_none(door: str, dialect: str, finish: str, *, stream: bool) -> None:
    """[fault W9] The one before it was whole, and takes nothing."""
    told = given(door, VENDORS[dialect](2, finish, stream=stream), dialect, stream=stream)
    assert told == (["{}"] if door == "gemini" else ["{}", ""])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", VENDORS)
@pytest.mark.parametrize("door", READ)
def test_a_call_that_takes_nothing_is_given_an_empty_object(door: str, dialect: str, *, stream: bool) -> None:
    """Where the vendor says that it is done."""
    assert given(door, VENDORS[dialect](2, "tool_calls", stream=stream), dialect, stream=stream) == ["{}", "{}"]
