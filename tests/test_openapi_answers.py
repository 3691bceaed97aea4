"""What the doors write, held to what `openapi.json` says of it: answers of every kind, in memory. Asks no server."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from test_mixed_parts import ANSWERS, mixed, whole

Json = dict[str, Any]

DOCUMENT: Json = json.loads((Path(__file__).resolve().parents[1] / "src/aisa/edge/openapi.json").read_bytes())
CORPUS = Path(__file__).parent / "corpus"
#: Door -> what its document is.
ANSWERED = {"chat": "ChatCompletion", "responses": "Response", "messages": "Message"}
WRITTEN = sorted(CORPUS.glob("*/*/client.json"))


@cache
def validator(component: str) -> Draft202012Validator:
    """What holds a document to a component."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{component}", "components": DOCUMENT["components"]})


def faults(component: str, document: object) -> list[str]:
    """What is wrong with it, by place."""
    return [f"{error.json_path}: {error.message}" for error in validator(component).iter_errors(document)]


@pytest.mark.parametrize("number", range(ANSWERS))
@pytest.mark.parametrize("door", ANSWERED)
def test_an_answer_is_as_its_schema_says(door: str, number: int) -> None:
    """Text, thinking, seals and calls in any order."""
    assert faults(ANSWERED[door], json.loads(whole(door, mixed(number).parts))) == []


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: f"{path.parts[-3]}-{path.parts[-2]}")
def test_what_comes_of_a_vendors_document_is_as_its_schema_says(path: Path) -> None:
    """Log-probabilities, citations, sound and all else that vendors' documents have."""
    document = json.loads(path.read_bytes())
    if "error" not in document:
        assert faults("ChatCompletion", document) == []


CHAT = {
    "id": "c",
    "created": 1,
    "model": "m",
    "object": "chat.completion",
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
SAID = {"role": "assistant", "content": None, "refusal": None}
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
COUNTS = {"input_tokens": 1, "output_tokens": 1}


def chat(**message: Any) -> Json:
    """A chat completion with such members in its message."""
    return CHAT | {"choices": [{"index": 0, "message": SAID | message, "logprobs": None, "finish_reason": "tool_calls"}]}


def message(*content: Json) -> Json:
    """A message of the Messages API."""
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": None}
    return head | {"content": list(content), "usage": COUNTS}


def response(*output: Json) -> Json:
    """A response."""
    head = {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m"}
    return head | {"output": list(output), "usage": COUNTS | {"total_tokens": 2}}


def without(tree: Json, *path: str) -> Json:
    """A tree without a member of it."""
    lesser = copy.deepcopy(tree)
    inner = lesser
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return lesser


USED = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
CALL = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
PART = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
ITEM = {"type": "message", "id": "m1", "status": "completed", "role": "assistant", "content": [PART]}


@pytest.mark.parametrize(
    ("component", "good", "bad"),
    [
        ("ChatCompletion", chat(tool_calls=[CALLED]), chat(tool_calls=[without(CALLED, "id")])),
        ("ChatCompletion", chat(tool_calls=[CALLED]), chat(tool_calls=[without(CALLED, "function", "arguments")])),
        ("ChatCompletion", chat(reasoning_content="a"), chat(reasoning_content=["a"])),
        ("Message", message(USED, {"type": "server_tool_use"}), message(without(USED, "input"))),
        ("Message", message({"type": "text", "text": ""}), message({"type": "text"})),
        ("Message", message({"type": "thinking", "thinking": "", "signature": ""}), message({"type": "thinking", "thinking": ""})),
        ("Response", response(CALL, {"type": "web_search_call"}), response(without(CALL, "call_id"))),
        ("Response", response(ITEM), response(ITEM | {"content": [without(PART, "text")]})),
    ],
)
def test_the_schemas_tell_what_clients_cannot_do_without(component: str, good: Json, bad: Json) -> None:
    """An item or a block of a type that is described has its members; any other type passes."""
    assert faults(component, good) == []
    assert faults(component, bad) != []
