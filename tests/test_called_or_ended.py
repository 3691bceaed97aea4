"""Why a message stopped does not contradict its calls at the Messages door, and what passes in a vendor's own bytes has its types.

Agents of this protocol go by the reason: with `end_turn` they end, and with `tool_use` they answer calls, of which there must be one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.testing.clock import run_virtual
from aisa.wire.messages_door import MESSAGES_DOOR
from door_readers import data_of
from rig import DONE, OPENING, MemoryClient, Rig, Script, ScriptedUpstream, chunk, document, event, usage

CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
TEXT = {"type": "text", "text": ""}
ASKED = {
    "model": "fast",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "Hi."}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
}
USED = {"input_tokens": 9, "output_tokens": 3}
HEAD = {"id": "m", "type": "message", "role": "assistant", "model": "some-model", "stop_sequence": None}


def of_anthropic(reason: str, *, called: bool, stream: bool) -> list[bytes]:
    """A message of a vendor of this protocol."""
    if not stream:
        content = [{**TEXT, "text": "One."}, *([{**CALL, "input": {"a": 1}}] if called else [])]
        return [json.dumps({**HEAD, "content": content, "stop_reason": reason, "usage": USED}).encode()]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**HEAD, "content": [], "stop_reason": None, "usage": USED}},
        {"type": "content_block_start", "index": 0, "content_block": TEXT},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "One."}},
        {"type": "content_block_stop", "index": 0},
    ]
    if called:
        events += [
            {"type": "content_block_start", "index": 1, "content_block": CALL},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
            {"type": "content_block_stop", "index": 1},
        ]
    events += [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": USED}, {"type": "message_stop"}]
    return [event(each) for each in events]


def of_openai(reason: str, *, called: bool, stream: bool) -> list[bytes]:
    """The same of a vendor of chat completions."""
    finish = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}[reason]
    calls = [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}] if called else []
    if stream:
        made = [chunk({"tool_calls": calls})] if called else []
        return [chunk(OPENING), chunk({"content": "One."}), *made, chunk({}, finish), usage(9, 3), DONE]
    whole = json.loads(document("One."))
    whole["choices"][0]["finish_reason"] = finish
    whole["choices"][0]["message"] |= {"tool_calls": calls} if called else {}
    return [json.dumps(whole).encode()]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
@pytest.mark.parametrize(("dialect", "said"), [("anthropic", of_anthropic), ("openai", of_openai)], ids=["passed", "translated"])
@pytest.mark.parametrize(
    ("reason", "called", "told"),
    [
        ("end_turn", True, "tool_use"),
        ("tool_use", False, "end_turn"),
        ("tool_use", True, "tool_use"),
        ("end_turn", False, "end_turn"),
        ("max_tokens", True, "max_tokens"),
    ],
)
def test_a_message_that_calls_says_so_and_no_other_does(
    dialect: str, said: Any, reason: str, told: str, *, called: bool, stream: bool
) -> None:
    """[fault W9] Its kin at this door; a limit stays a limit."""
    rig = Rig(ScriptedUpstream(Script(said(reason, called=called, stream=stream))), vendor={"dialect": dialect})
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps({**ASKED, "stream": stream}).encode(), door=MESSAGES_DOOR))
    seen = data_of(client.body) if stream else [json.loads(client.body)]
    [stopped] = [each["delta"]["stop_reason"] for each in seen if each["type"] == "message_delta"] if stream else [seen[0]["stop_reason"]]
    assert stopped == told


def test_an_event_whose_kind_only_its_name_tells_gets_a_type_whatever_it_is() -> None:
    """[fault W10] Clients look at the type. A piece of text passed in the vendor's bytes without it, between others that had got theirs."""
    named = [json.loads(each[6:]) for each in of_anthropic("end_turn", called=True, stream=True)]
    kinds = [each.pop("type") for each in named]
    steps = [b"event: %b\n%b" % (kind.encode(), event(each)) for kind, each in zip(kinds, named, strict=True)]
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script(steps)), vendor={"dialect": "anthropic"})
    run_virtual(rig.call(client, json.dumps({**ASKED, "stream": True}).encode(), door=MESSAGES_DOOR))
    assert [each.get("type") for each in data_of(client.body)] == kinds
