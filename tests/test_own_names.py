"""A refusal names the member that a client has written, whatever its protocol calls it. Whole calls, with vendors in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.errors import ApiError, UpstreamFailed
from aisa.prices.lacking import unpriced_kind
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, responses
from aisa.providers.shape import Target
from aisa.providers.tasks import DIALECTS
from aisa.providers.through_chat import ThroughChat
from aisa.testing.clock import run_virtual
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.origins import at_home, named
from aisa.wire.own_names import GEMINI, MESSAGES, RESPONSES, in_own_names
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream

SPOKEN = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}
WRITTEN = {"model": "fast", "input": "Hi."}
TOLD = {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}
TOOLS = [{"name": "look", "input_schema": {"type": "object"}}]
ONE_AT_A_TIME = "tool_choice.disable_parallel_tool_use"
FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object"}}
GEMINI_DOOR = GeminiDoor("fast")


@pytest.mark.parametrize(
    ("door", "dialect", "asked", "name"),
    [
        (GEMINI_DOOR, anthropic, {**SPOKEN, "generationConfig": {"candidateCount": 3}}, "generationConfig.candidateCount"),
        (GEMINI_DOOR, anthropic, {**SPOKEN, "generationConfig": {"seed": 3}}, "generationConfig.seed"),
        (GEMINI_DOOR, cohere, {**SPOKEN, "generationConfig": {"responseLogprobs": True, "logprobs": 2}}, "generationConfig.logprobs"),
        (GEMINI_DOOR, anthropic, {**SPOKEN, "generationConfig": {"stopSequences": [" "]}}, "generationConfig.stopSequences"),
        (RESPONSES_DOOR, cohere, {**WRITTEN, "text": {"verbosity": "low"}}, "text.verbosity"),
        (RESPONSES_DOOR, mistral, {**WRITTEN, "text": {"verbosity": "low"}}, "text.verbosity"),
        (RESPONSES_DOOR, anthropic, {**WRITTEN, "top_logprobs": 2}, "top_logprobs"),
    ],
)
def test_a_refusal_names_what_the_client_wrote(door: Any, dialect: Any, asked: dict[str, Any], name: str) -> None:
    """In its words and, where the protocol has one, in the member that says where."""
    rig = Rig(ScriptedUpstream(Script([])))
    rig.dependencies.dialects = {"openai": dialect}
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door))
    error = json.loads(client.body)["error"]
    assert (client.status, error["message"].startswith(f"'{name}' cannot be given to ")) == (422, True)
    if door is RESPONSES_DOOR:
        assert error["param"] == name


@pytest.mark.parametrize("dialect", [bedrock, cohere, gemini])
@pytest.mark.parametrize(
    ("door", "asked", "name"),
    [
        (MESSAGES_DOOR, {**TOLD, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}, "tools": TOOLS}, ONE_AT_A_TIME),
        (RESPONSES_DOOR, {**WRITTEN, "tools": [FUNCTION], "parallel_tool_calls": False}, "parallel_tool_calls"),
    ],
)
def test_a_client_that_cannot_help_asking_for_one_call_at_a_time_is_served(
    door: Any, asked: dict[str, Any], name: str, dialect: Any
) -> None:
    """Codex and Claude Code do so; where nobody can be asked for that it is left out, and the answer says so. A chat is refused."""
    request = door.read(json.dumps(asked).encode())
    written = dialect.to_upstream(request, Target("v", "some-model", dialect.NAME))
    own = RESPONSES if door is RESPONSES_DOOR else MESSAGES
    assert [own.get(each, each) for each in written.dropped] == [name]
    assert b"parallel" not in written.body
    with pytest.raises(UpstreamFailed, match="'parallel_tool_calls' cannot be given"):
        dialect.to_upstream(request.as_chat(), Target("v", "some-model", dialect.NAME))


@pytest.mark.parametrize("names", [GEMINI, MESSAGES, RESPONSES])
def test_what_else_is_told_stays_as_it_is(names: dict[str, str]) -> None:
    """Vendors' words, by which some clients repair themselves, and members that have one name everywhere."""
    for told in (
        ApiError("invalid_request", "Unsupported value: 'stop' is none for this model.", param="stop"),
        ApiError("unsupported_parameter", "'tools' cannot be given to Acme's models.", param="tools"),
        ApiError("rate_limit_exceeded", "Too many calls.", retry_after=2.5),
    ):
        assert in_own_names(told, names) is told


def test_a_named_refusal_keeps_the_rest() -> None:
    """What says when and whether to try again, and the code."""
    told = in_own_names(ApiError("overloaded", "'stop' is too much.", param="stop", retry_after=2.5, should_retry=False), MESSAGES)
    assert (told.code, told.message, told.param) == ("overloaded", "'stop_sequences' is too much.", "stop_sequences")
    assert (told.wait, told.retry_after, told.should_retry) == (2.5, 3, False)


@pytest.mark.parametrize(("names", "own"), [(RESPONSES, "input"), (GEMINI, "contents"), (MESSAGES, "messages")])
def test_what_is_refused_before_anybody_is_asked_is_told_so_too(names: dict[str, str], own: str) -> None:
    """[fault P1] What nobody knows the price of, in which member; and what no target takes, which no sentence names."""
    told = in_own_names(unpriced_kind("fast", "a", kind="input_audio", member="messages"), names)
    assert (told.param, f"`{own}` asks for" in told.message) == (own, True)
    told = in_own_names(ApiError("unsupported_parameter", "No target of the model 'fast' takes sound.", param="messages"), names)
    assert (told.param, told.message) == (own, "No target of the model 'fast' takes sound.")


MUCH = 99_999_999


@pytest.mark.parametrize(
    ("door", "dialect", "asked", "name"),
    [
        (MESSAGES_DOOR, "bedrock", {**TOLD, "max_tokens": MUCH}, "max_tokens"),
        (RESPONSES_DOOR, "anthropic", {**WRITTEN, "max_output_tokens": MUCH}, "max_output_tokens"),
        (GEMINI_DOOR, "anthropic", {**SPOKEN, "generationConfig": {"maxOutputTokens": MUCH}}, "generationConfig.maxOutputTokens"),
    ],
)
def test_a_bound_that_is_too_high_begins_with_the_clients_own_name(door: Any, dialect: str, asked: dict[str, Any], name: str) -> None:
    """[fault P1] Claude Code reads `max_tokens: 9 > 8` and lowers its bound: at Bedrock it was told `max_completion_tokens`."""
    request = door.read(json.dumps(asked).encode())
    model = "anthropic.claude-opus-4-5-v1:0" if dialect == "bedrock" else "claude-opus-4-5"
    with pytest.raises(UpstreamFailed) as refused:
        DIALECTS[dialect].to_upstream(request, Target("v", model, dialect))
    told = at_home(refused.value, request, dialect, ours=True).error
    assert (told.message.startswith(f"{name}: {MUCH} > 64000, "), told.param) == (True, name)


@pytest.mark.parametrize(
    ("door", "asked", "dropped", "changed"),
    [
        (GEMINI_DOOR, {**SPOKEN, "generationConfig": {"seed": 3, "temperature": 1.5}}, ["seed"], ["temperature=1"]),
        (RESPONSES_DOOR, {**WRITTEN, "text": {"verbosity": "low"}, "temperature": 1.5}, ["text.verbosity"], ["temperature=1"]),
        (
            COMPLETIONS_DOOR,
            {"model": "fast", "prompt": "Hi.", "seed": 3, "logprobs": 2, "max_tokens": 0},
            ["logprobs", "seed"],
            ["max_tokens=1"],
        ),
    ],
)
def test_what_was_left_out_or_moved_is_named_so_too(door: Any, asked: dict[str, Any], dropped: list[str], changed: list[str]) -> None:
    """[fault P1] In the answer's headers."""
    content = [{"type": "text", "text": "Hello."}]
    answer = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": content, "stop_reason": "end_turn"}
    script = Script([json.dumps({**answer, "usage": {"input_tokens": 1, "output_tokens": 1}}).encode()], headers={})
    rig = Rig(ScriptedUpstream(script), vendor={"dialect": "anthropic"}, unsupported="drop")
    client = MemoryClient()
    run_virtual(rig.call(client, json.dumps(asked).encode(), door=door))
    own = "generationConfig." if door is GEMINI_DOOR else ""
    assert client.status == 200
    assert sorted(client.headers["x-aisa-dropped-params"].split(", ")) == [own + name for name in dropped]
    assert client.headers["x-aisa-changed-params"].split(", ") == [own + name for name in changed]


def test_a_bound_that_is_moved_twice_is_told_once() -> None:
    """[fault P1] The header had `max_tokens=1, max_tokens=16`: no conversation has no token, and the Responses API none of less than 16."""
    request = COMPLETIONS_DOOR.read(b'{"model": "fast", "prompt": "Hi.", "max_tokens": 0}')
    sent = ThroughChat(responses).to_upstream(request, Target("v", "m", "responses"))
    assert (json.loads(sent.body)["max_output_tokens"], named(sent.changed, request)) == (16, "max_tokens=16")
