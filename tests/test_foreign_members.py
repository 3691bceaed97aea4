"""What only OpenAI's own API for chats can do is said by every other dialect: nothing of it is lost in silence."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from aisa.errors import UpstreamFailed
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat

OTHERS = (anthropic, bedrock, cohere, gemini, mistral)
BLOCKING = {"model": "omni-moderation-latest", "policy": {"input": {"mode": "block"}}}
SPOKEN = {"role": "assistant", "audio": {"id": "audio_1"}}


def written(dialect: ModuleType, *, unsupported: str = "refuse", **members: Any) -> UpstreamRequest:
    """Write a request in a dialect."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], **members}
    target = Target("acme", "m-1", dialect.NAME, unsupported=unsupported)
    request: UpstreamRequest = dialect.to_upstream(parse_chat(json.dumps(asked).encode()), target)
    return request


@pytest.mark.parametrize("dialect", OTHERS)
def test_a_judgement_on_what_is_said_is_refused_where_nobody_judges(dialect: ModuleType) -> None:
    """A prompt that was to be blocked went through, and nobody was told."""
    with pytest.raises(UpstreamFailed) as raised:
        written(dialect, moderation=BLOCKING)
    assert (raised.value.error.code, raised.value.error.param) == ("unsupported_parameter", "moderation")
    assert written(dialect, moderation=BLOCKING, unsupported="drop").dropped == ("moderation",)
    assert written(dialect, moderation=None).dropped == ()


@pytest.mark.parametrize("dialect", [openai, responses])
def test_who_can_judge_is_asked_to(dialect: ModuleType) -> None:
    """As it came."""
    assert json.loads(written(dialect, moderation=BLOCKING).body)["moderation"] == BLOCKING


def conversation(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    """A user's words around what was said."""
    return [{"role": "user", "content": "Say hi."}, *turns, {"role": "user", "content": "Again."}]


@pytest.mark.parametrize("empty", [{}, {"content": None}, {"content": ""}, {"content": []}])
@pytest.mark.parametrize("dialect", [*OTHERS, responses])
def test_a_turn_that_is_sound_alone_is_refused_with_its_place(dialect: ModuleType, empty: dict[str, Any]) -> None:
    """The model's turn vanished, and the user's two became one. No setting leaves content out."""
    for unsupported in ("refuse", "drop"):
        with pytest.raises(UpstreamFailed) as raised:
            written(dialect, messages=conversation({**SPOKEN, **empty}), unsupported=unsupported)
        assert (raised.value.error.code, raised.value.error.param) == ("unsupported_parameter", "messages[1].audio")


@pytest.mark.parametrize("dialect", [*OTHERS, responses])
def test_a_turn_that_says_it_in_words_too_is_told_by_them(dialect: ModuleType) -> None:
    """What clients send that put the transcript into the content; and `audio` elsewhere is no turn's."""
    body = written(dialect, messages=conversation({**SPOKEN, "content": "Hello there."}, {"role": "assistant", "audio": None})).body
    assert (b"Hello there." in body, b"audio_1" in body) == (True, False)
    assert b'\\"audio\\"' in written(dialect, messages=[{"role": "user", "content": 'What is "audio"?'}]).body


def test_the_vendor_that_keeps_the_sound_is_told_its_id() -> None:
    """As it came."""
    assert b"audio_1" in written(openai, messages=conversation(SPOKEN)).body
