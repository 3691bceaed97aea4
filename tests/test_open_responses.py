"""What the Responses door writes, judged by the published types of Open Responses (mozilla.ai's package): each event and each response."""

from __future__ import annotations

import enum
import json
import typing
from typing import Any

import openresponses_types as published
import pytest
from pydantic import BaseModel, ValidationError

from door_readers import SPEAKERS, data_of
from rig import MemoryClient
from test_door_matrix import CORPUS, Cell, steps_of

Json = dict[str, Any]
#: Events of OpenAI's own that its clients read, and Open Responses has by another name or not at all.
NOT_PUBLISHED = ("response.reasoning_text.", "response.custom_tool_call_input.", "response.image_generation_call.")
#: Kinds of items and of annotations that only OpenAI has.
NOT_ITEMS = ("custom_tool_call", "tool_search_call", "image_generation_call")
MODEL = SPEAKERS["responses"].ask("text")["model"]
TOOL = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": True}
FORM = {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
DOCUMENT: Json = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
ASKED: dict[str, Json] = {
    "a text": {"input": "Hi."},
    "items": {
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}],
        "instructions": "Be short.",
    },
    "tools": {"input": "Hi.", "tools": [TOOL], "tool_choice": {"type": "function", "name": "weather"}, "parallel_tool_calls": False},
    "a form": {"input": "Hi.", "text": {"format": FORM}},
    "a bound": {"input": "Hi.", "max_output_tokens": 16},
    "thinking": {"input": "Hi.", "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    "settings": {
        "input": "Hi.",
        "temperature": 0.5,
        "top_p": 0.25,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "top_logprobs": 2,
        "max_tool_calls": 3,
        "service_tier": "auto",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "truncation": "disabled",
        "metadata": {"a": "b"},
        "store": False,
        "background": False,
    },
}


def types_named(event: type[BaseModel]) -> tuple[str, ...]:
    """The types that an event may say that it has."""
    named = event.model_fields["type"].annotation
    if isinstance(named, type) and issubclass(named, enum.Enum):
        return tuple(str(each.value) for each in named)
    return typing.get_args(named)


EVENTS: dict[str, type[BaseModel]] = {
    name: event
    for event in vars(published).values()
    if isinstance(event, type) and issubclass(event, BaseModel) and event.__name__.endswith("StreamingEvent")
    for name in types_named(event)
}


def faults(judge: type[BaseModel], told: Json) -> list[str]:
    """What the types have against something that was told."""
    try:
        judge.model_validate(told)
    except ValidationError as found:
        return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found.errors()]
    return []


def judged(events: list[Json]) -> list[str]:
    """What the types have against the events of a stream."""
    found: list[str] = []
    for event in events:
        kind = event["type"]
        if kind.startswith(NOT_PUBLISHED) or any(f'"type":"{item}"' in json.dumps(event, separators=(",", ":")) for item in NOT_ITEMS):
            continue
        found += [f"{kind} {fault}" for fault in faults(EVENTS[kind], event)]
    return found


def cases() -> list[Any]:
    """Every case of the corpus whose vendor streams, of the dialects whose corpus has streams whole."""
    return [
        pytest.param(dialect, path.parent.name, id=f"{dialect}-{path.parent.name}")
        for dialect in ("anthropic", "gemini", "bedrock", "cohere")
        for path in sorted((CORPUS / dialect).glob("*/upstream.*"))
        if path.name in {"upstream.sse", "upstream.frames.json"}
    ]


def asked(cell: Cell, body: Json, *, stream: bool) -> MemoryClient:
    """Ask the door."""
    return cell.ask({"model": MODEL, "stream": stream, **body})


@pytest.mark.parametrize(("dialect", "case"), cases())
def test_events_are_what_the_published_types_say(dialect: str, case: str) -> None:
    """Whatever the vendor's stream is made of; a stream that fails, too."""
    cell = Cell("responses", dialect, steps_of(dialect, case))
    client = asked(cell, {"input": "Hi.", "tools": [TOOL]}, stream=True)
    events = data_of(client.body) if client.status == 200 else []
    assert judged(events) == []
    assert client.status != 200 or events


@pytest.mark.parametrize("wanted", ASKED)
@pytest.mark.parametrize("stream", [False, True], ids=["document", "stream"])
def test_a_response_has_every_member_whatever_was_asked(wanted: str, stream: bool) -> None:
    """Clients that are made of the types refuse a response that lacks one of them, or has null where there is a number."""
    cell = Cell("responses", "openai", steps_of("openai", "text") if stream else [json.dumps(DOCUMENT).encode()])
    client = asked(cell, ASKED[wanted], stream=stream)
    assert client.status == 200
    responses = [event["response"] for event in data_of(client.body) if "response" in event] if stream else [json.loads(client.body)]
    assert responses[-1]["status"] == "completed"
    for response in responses:
        if "schema" in response["text"]["format"]:
            response["text"]["format"]["schema"] = None  # the package takes nothing else; the specification, and OpenAI's client, an object
        assert faults(published.ResponseResource, response) == []


def test_what_was_asked_is_repeated_and_what_was_not_has_the_default() -> None:
    """As OpenAI's own API has it."""
    [told] = [json.loads(asked(Cell("responses", "openai", [json.dumps(DOCUMENT).encode()]), ASKED["settings"], stream=False).body)]
    named = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "max_tool_calls", "prompt_cache_key")
    assert [told[name] for name in named] == [0.5, 0.25, 0.5, -0.5, 2, 3, "k"]
    [told] = [json.loads(asked(Cell("responses", "openai", [json.dumps(DOCUMENT).encode()]), {"input": "Hi."}, stream=False).body)]
    assert [told[name] for name in named] == [1, 1, 0, 0, 0, None, None]


def test_penalties_reach_a_vendor_of_another_protocol() -> None:
    """Open Responses has them, OpenAI's API has not: they were left out without a word."""
    cell = Cell("responses", "openai", [json.dumps(DOCUMENT).encode()])
    asked(cell, {"input": "Hi.", "presence_penalty": 0.5, "frequency_penalty": -0.5}, stream=False)
    sent = json.loads(cell.sent())
    assert (sent["presence_penalty"], sent["frequency_penalty"]) == (0.5, -0.5)
