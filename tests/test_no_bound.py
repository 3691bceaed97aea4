"""Bounds on the output that are below 1: what chat servers take for none, and other APIs for nothing that could be asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.errors import CALLER, UpstreamFailed
from aisa.providers.shape import Target
from aisa.providers.tasks import DIALECTS
from aisa.providers.through_chat import ThroughChat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR

HELLO = [{"role": "user", "content": "Hi."}]
SAID = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}
MODELS = {"bedrock": "anthropic.claude-opus-4-5-v1:0", "anthropic": "claude-opus-4-5"}
BELOW = [-7, -1, 0]


def read(door: Any, asked: dict[str, Any]) -> Any:
    """A request as its door reads it."""
    return door.read(json.dumps(asked if "contents" in asked else {"model": "fast", **asked}).encode())


def written(dialect: str, request: Any, unsupported: Any = "refuse") -> Any:
    """A request in a dialect."""
    target = Target("v", MODELS.get(dialect, "x"), dialect, unsupported=unsupported)
    return DIALECTS[dialect].to_upstream(request, target)


@pytest.mark.parametrize("bound", BELOW)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_no_bound_of_a_chat_is_passed_to_those_who_know_it_and_told_elsewhere(name: str, bound: int) -> None:
    """[fault W8] llama.cpp and others read -1 as no bound. Anthropic had 32000 in its place, others nothing, and nobody was told."""
    chat = read(CHAT_DOOR, {"messages": HELLO, name: bound})
    asked = written("openai", chat)
    assert (json.loads(asked.body)[name], asked.dropped, asked.changed) == (bound, (), ())
    for dialect in ("responses", "gemini", "mistral", "cohere"):
        asked = written(dialect, chat)
        assert (asked.dropped, asked.changed) == ((name,), ()), dialect
        assert str(bound) not in bytes(asked.body).decode(), dialect
    for dialect in ("anthropic", "bedrock"):
        asked = written(dialect, chat)
        assert (asked.dropped, asked.changed) == ((), (f"{name}=64000",)), dialect
        with pytest.raises(UpstreamFailed, match="one token at least"):
            written(dialect, chat, "refuse_values")


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "responses", "gemini", "mistral", "cohere", "bedrock"])
def test_a_bound_beside_one_that_is_none_is_the_bound(dialect: str) -> None:
    """Nothing is left out or moved then."""
    asked = written(dialect, read(CHAT_DOOR, {"messages": HELLO, "max_tokens": -1, "max_completion_tokens": 50}))
    assert (asked.dropped, asked.changed) == ((), ())


@pytest.mark.parametrize("bound", BELOW)
@pytest.mark.parametrize(
    ("door", "asked", "home", "param"),
    [
        (MESSAGES_DOOR, {"messages": HELLO, "max_tokens": None}, "anthropic", "max_tokens"),
        (RESPONSES_DOOR, {"input": "Hi.", "max_output_tokens": None}, "responses", "max_output_tokens"),
        (GeminiDoor("fast"), {**SAID, "generationConfig": {"maxOutputTokens": None}}, "gemini", "generationConfig.maxOutputTokens"),
    ],
)
def test_other_apis_have_no_such_bound(door: Any, asked: dict[str, Any], home: str, param: str, *, bound: int) -> None:
    """[fault W8] Messages sent `max_completion_tokens: -7`, Responses left it out. Who speaks the API judges it; others are not asked."""
    with_bound = json.loads(json.dumps(asked).replace("null", str(bound)))
    request = read(door, with_bound)
    assert str(bound) in bytes(written(home, request).body).decode()
    others = {name for name in DIALECTS if "/" not in name} - {home}
    if door is RESPONSES_DOOR and bound == 0:  # of clients that leave it unset
        assert (written("openai", request).dropped, b"max" in bytes(written("openai", request).body)) == ((), False)
        return
    for dialect in others:
        with pytest.raises(UpstreamFailed) as failed:
            written(dialect, request)
        error = failed.value.error
        assert (error.status, error.code, error.param) == (422, "unsupported_parameter", param), dialect
        assert (failed.value.blame, f"is {bound}" in error.message) == (CALLER, True)


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "cohere"])
def test_no_bound_of_a_completion_is_told_where_it_becomes_a_conversation(dialect: str) -> None:
    """As that of a chat is."""
    asked = ThroughChat(DIALECTS[dialect]).to_upstream(
        read(COMPLETIONS_DOOR, {"prompt": "Hi.", "max_tokens": -1}), Target("v", MODELS.get(dialect, "x"), dialect)
    )
    assert (asked.dropped, asked.changed) == (("max_tokens",), ())
