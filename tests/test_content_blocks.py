"""What a vendor says is not lost where its content is a text, or one block alone, in place of a list: it is billed all the same."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from aisa.answer import Arguments, Text, ToolCall
from aisa.providers import anthropic, bedrock, cohere, gemini, responses
from aisa.providers.content_blocks import blocks_of
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat

Json = dict[str, Any]
BLOCK = {"type": "text", "text": "Hi."}


def anthropic_message(content: Any) -> Json:
    """A message of Anthropic's."""
    return {"id": "1", "type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn", "usage": {"output_tokens": 2}}


def cohere_message(content: Any) -> Json:
    """A message of Cohere's."""
    return {"id": "1", "message": {"role": "assistant", "content": content}, "finish_reason": "COMPLETE"}


def bedrock_message(content: Any) -> Json:
    """A message of Bedrock's."""
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}


def gemini_message(content: Any) -> Json:
    """A candidate of Gemini's."""
    return {"candidates": [{"content": {"role": "model", "parts": content}, "finishReason": "STOP"}]}


def response(content: Any) -> Json:
    """A response."""
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": content}
    return {"object": "response", "id": "resp_1", "status": "completed", "output": [item]}


MESSAGES = {anthropic: anthropic_message, cohere: cohere_message, bedrock: bedrock_message, gemini: gemini_message, responses: response}
FORMS = {"a list": [BLOCK], "a text": "Hi.", "a block": BLOCK, "a list of a text": ["Hi."]}


def told(dialect: ModuleType, body: bytes, *, stream: bool) -> list[Any]:
    """The parts of an answer to a chat client."""
    chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "stream": stream}).encode())
    decoder = dialect.decoder(chat, Target("acme", "m-1", dialect.NAME), call_id="1", created=1, protocol="openai")
    parts = [*decoder.feed(body), *decoder.end()]
    assert decoder.failure is None
    return [*parts, *decoder.closing(None)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", MESSAGES, ids=lambda dialect: dialect.NAME)
def test_a_document_says_the_same_in_every_form(dialect: ModuleType, form: str) -> None:
    """Its text is there once."""
    content = [{"text": "Hi."}] if form == "a list" and dialect is bedrock else FORMS[form]
    parts = told(dialect, json.dumps(MESSAGES[dialect](content)).encode(), stream=False)
    assert "".join(part.text for part in parts if isinstance(part, Text)) == "Hi."


@pytest.mark.parametrize("form", FORMS)
def test_pieces_of_coheres_streams_say_the_same_in_every_form(form: str) -> None:
    """Texts, and calls in a list of one."""
    call = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    given = {"function": {"arguments": "{}"}}
    listed = form.startswith("a list")
    events = [
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": FORMS[form]}}},
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": [call] if listed else call}}},
        {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": [given] if listed else given}}},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]
    parts = told(cohere, b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events), stream=True)
    assert "".join(part.text for part in parts if isinstance(part, Text)) == "Hi."
    assert [part.name for part in parts if isinstance(part, ToolCall)] == ["f"]
    assert "".join(part.text for part in parts if isinstance(part, Arguments)) == "{}"


def test_an_item_of_a_response_says_the_same_in_every_form_when_it_is_done() -> None:
    """Where no delta has said it before."""
    for content in FORMS.values():
        item = {"id": "msg_1", "type": "message", "role": "assistant", "content": content}
        events = [
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item]}},
        ]
        parts = told(responses, b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events), stream=True)
        assert "".join(part.text for part in parts if isinstance(part, Text)) == "Hi."


@pytest.mark.parametrize("nothing", [None, 7, True, [], [None, 7]])
def test_what_is_no_content_is_no_block(nothing: object) -> None:
    """Numbers and the like are nobody's words."""
    assert blocks_of(nothing) == []
