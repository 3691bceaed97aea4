"""Mutated requests through the parser, the dialect that writes them to a vendor, and the embedded model: refused or answered, never a bug.

Where a number or a text of the caller's meets a C integer, a float, a date, a regular expression or an encoder, it may be any (fault S13).
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aisa.embedded.upstream import EmbeddedUpstream
from aisa.errors import ApiError, UpstreamFailed
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.testing.clock import run_virtual
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door, Request
from aisa.wire.gemini import parse_gemini
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses import parse_responses
from aisa.wire.responses_door import RESPONSES_DOOR
from repeats import repeats, some
from rich_requests import CHAT, GEMINI, MESSAGES, RESPONSES

MUTANTS = repeats(3_000)  # 100 times as many were tried by hand
SCHEMAS = repeats(1_500)
READS_MAX = 200  # of an answer; what comes later is as what came before

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "b": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "c": {"type": "string", "pattern": "[a-z]{2,4}", "minLength": 1, "maxLength": 9},
        "d": {"type": "array", "items": {"$ref": "#/$defs/e/enum/0"}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
        "e": {"anyOf": [{"const": 1}, {"type": "string", "format": "date"}]},
    },
    "required": ["a", "b"],
    "$defs": {"e": {"enum": [{"type": "integer"}, 2]}},
}
USER = {"role": "user", "content": "Call f for 5 in Rome, \"a\": 'b'."}
SEEDS: list[dict[str, Any]] = [
    {"messages": [USER], "stream": True, "stream_options": {"include_usage": True}, "seed": 3, "max_tokens": 5},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi."}, {"type": "image_url", "image_url": "https://a.example/"}]}
        ],
        "temperature": 0.5,
        "top_p": 0.5,
        "n": 2,
        "stop": ["a", "b"],
        "max_completion_tokens": 5,
        "presence_penalty": 0,
        "frequency_penalty": 1,
        "logit_bias": {"1": 2},
        "logprobs": True,
        "top_logprobs": 3,
        "metadata": {"a": "b"},
    },
    {
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "x"},
            USER,
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
        "tool_choice": "required",
        "parallel_tool_calls": True,
    },
    {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    {"messages": [USER], "functions": [{"name": "f", "parameters": SCHEMA}], "function_call": {"name": "f"}},
    {
        "messages": [USER],
        "tools": [
            {"type": "custom", "custom": {"name": "f", "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}}}
        ],
        "tool_choice": "required",
    },
]
NUMBERS: list[Any] = [0, -1, 1, 1.5, -0.5, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**40, 10**308, 10**309, -(10**308), 1e308, 5e-324]
TEXTS = ["", "x" * 2_000, "\u2028", "\x00", "9" * 5_000, "#/" + "9" * 5_000, "#/$defs/e/enum/" + "9" * 5_000, "#/$defs/e/enum/-1", "(" * 50]
PATTERNS = [
    "[\ud800-\udfff]",
    r"\ud800",
    r"[\ud800]",
    r"\ud7ff[\ud7f0-\ue000]{3}",
    "a{99999}",
    "a{999999999}",
    "a{5,1}",
    "a{" + "9" * 5_000 + "}",
    "[",
    "\\",
]
VALUES: list[Any] = [
    *NUMBERS,
    *TEXTS,
    *PATTERNS[:4],
    None,
    True,
    [],
    {},
    [None],
    [[]],
    {"": ""},
    [{}] * 20,
    ["a"] * 40,
    {"type": "x"},
    {"$ref": "#"},
]


async def answered(wanted: UpstreamRequest) -> int:
    """Ask the embedded model; return the status once the answer is over, or has been read for long."""
    answer = await EmbeddedUpstream(0, lambda: 1_700_000_000.0, random.Random(1)).ask(wanted)
    for _ in range(READS_MAX):
        if not await answer.read():
            break
    answer.close()
    return answer.status


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value, with each of its keys or positions."""
    inner = [*value.items()] if isinstance(value, dict) else [*enumerate(value)] if isinstance(value, list) else []
    return [(value, key) for key, _ in inner] + [place for _, each in inner for place in places(each)]


def mutated(seed: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A copy in which a few values are others."""
    made: dict[str, Any] = {"model": "m", **json.loads(json.dumps(seed))}
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(places(made))
        container[key] = copy.deepcopy(chance.choice(VALUES))
    return made


def written(request: dict[str, Any]) -> UpstreamRequest | None:
    """The request as it would reach a vendor, None if it is refused."""
    try:
        chat: ChatRequest = parse_chat(json.dumps(request).encode())
    except ApiError:
        return None
    sent = openai.to_upstream(chat, Target("v", "m", "openai"))
    json.loads(sent.body)
    return sent


@pytest.mark.parametrize("part", range(3))
def test_a_mutated_request_is_refused_or_answered(part: int) -> None:
    """[fault S13] No exception but a refusal, whatever stands where; what passes the parser can be written for a vendor."""
    chance = random.Random(part)
    passed = 0
    for _ in range(MUTANTS // 3):
        sent = written(mutated(chance.choice(SEEDS), chance))
        if sent is not None:
            passed += 1
            assert run_virtual(answered(sent)) in (200, 400)
    assert passed > MUTANTS // 30  # enough of them get that far


@pytest.mark.parametrize("part", range(3))
def test_a_mutated_schema_is_refused_or_followed(part: int) -> None:
    """[fault S13] Bounds, counts, references and patterns of a schema may be any numbers and texts."""
    chance = random.Random(100 + part)
    for _ in range(SCHEMAS // 3):
        schema = json.loads(json.dumps(SCHEMA))
        for _ in range(chance.randint(1, 3)):
            container, key = chance.choice(places(schema))
            container[key] = copy.deepcopy(chance.choice(PATTERNS if key == "pattern" else VALUES))
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
        asked: dict[str, Any] = {"response_format": form} if chance.random() < 0.5 else {"tools": tools, "tool_choice": "required"}
        sent = written({"model": "m", "messages": [USER], **asked})
        if sent is not None:
            assert run_virtual(answered(sent)) in (200, 400)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "minimum": -(10**308), "maximum": 10**308},
        {"type": "integer", "minimum": 17 * 10**307, "multipleOf": 10**308},
        {"type": "integer", "minimum": -(10**308), "maximum": 10**308, "multipleOf": 0.5},
        {"type": "number", "multipleOf": 10**308},
        {"type": "number", "minimum": 10**309},
    ],
)
def test_bounds_that_no_float_holds_together_are_refused_or_followed(schema: dict[str, Any]) -> None:
    """[fault S13] The difference of two floats, or a multiple of one, may be none."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    sent = written({"model": "m", "messages": [USER], "response_format": form})
    assert sent is not None
    assert run_virtual(answered(sent)) in (200, 400)


@pytest.mark.parametrize("definition", PATTERNS)
def test_a_grammar_of_any_pattern_is_refused_or_followed(definition: str) -> None:
    """[fault S13] A pattern may name characters that are none, and counts that no integer holds."""
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": definition}}
    tools = [{"type": "custom", "custom": {"name": "f", "format": grammar}}]
    request = {"model": "m", "messages": [USER], "tools": tools, "tool_choice": "required"}
    try:
        body = json.dumps(request, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return  # no caller can send it so
    sent = written(json.loads(body))
    assert sent is not None
    assert run_virtual(answered(sent)) in (200, 400)


# Members of any type, at every door, for every dialect

DIALECTS = (anthropic, bedrock, cohere, gemini, mistral, openai, responses)
MODELS = {"anthropic": "claude-sonnet-4-5", "bedrock": "anthropic.claude-3", "gemini": "gemini-3.5-pro", "responses": "gpt-5"}
TYPES: tuple[Any, ...] = ({"a": 1}, ["x"], 5, "x", None)
DOORS: dict[str, tuple[Door, Callable[[bytes], Request], list[dict[str, Any]]]] = {
    "chat": (CHAT_DOOR, parse_chat, CHAT),
    "messages": (MESSAGES_DOOR, MessagesRequest, MESSAGES),
    "responses": (RESPONSES_DOOR, parse_responses, RESPONSES),
    "gemini": (GeminiDoor("m", stream=True), lambda body: parse_gemini(body, "m", stream=True), GEMINI),
}


def changed(example: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield an example with each of its members in turn of each type, and what was changed."""
    whole = {"model": "m", **copy.deepcopy(example)}
    for container, key in places(whole):
        before = container[key]
        for value in TYPES:
            container[key] = value
            yield f"{key}: {value!r}", json.dumps(whole).encode()
        container[key] = before


def refused(step: Callable[..., object], *given: object) -> bool:
    """Take a step, and tell whether it was refused; anything else that is raised is a bug."""
    try:
        step(*given)
    except (ApiError, UpstreamFailed):
        return True
    return False


def judged(door: Door, request: Request) -> None:
    """Read what is asked of a request before any vendor is."""
    door.content(request)
    [*request.wishes()]
    request.tier()


def to_every_dialect(request: Request) -> list[bool]:
    """Write a request in every dialect, and tell which refuse it."""
    targets = [(dialect, Target("v", MODELS.get(dialect.NAME, "m"), dialect.NAME, unsupported="drop")) for dialect in DIALECTS]
    return [refused(dialect.to_upstream, request, target) for dialect, target in targets]


#: Addresses that `urllib` does not take apart, and a name for which `mimetypes` would do so.
NO_ADDRESSES = ("gs://[x", "gs://\u2100", "https://youtu.be]/x", "s3://[", "http://[", "https://[::1", "data:", "data:,", "//[x/y.png")


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_that_is_none_is_refused_or_written_in_every_dialect(address: str) -> None:
    """[fault S13] Of a picture, a film or a file, and as a file's name: no exception but a refusal."""
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "video_url", "video_url": {"url": address}},
        {"type": "file", "file": {"file_data": address}},
        {"type": "file", "file": {"file_id": address}},
        {"type": "file", "file": {"filename": address, "file_data": "aGk="}},
    ]
    for part in parts:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": [part]}]}).encode()
        to_every_dialect(parse_chat(body))


@pytest.mark.parametrize("name", DOORS)
def test_a_member_of_any_type_is_refused_or_written_in_every_dialect(name: str) -> None:
    """[fault S13] A list or an object where a name is looked up in a table, a number where a text is read: no exception but a refusal."""
    door, read, examples = DOORS[name]
    assert to_every_dialect(read(json.dumps({"model": "m", **examples[0]}).encode())) == [False] * len(DIALECTS)
    for example in examples:
        for what, body in some([*changed(example)]):
            try:
                request = read(body)
            except ApiError:
                continue
            try:
                refused(judged, door, request)
                to_every_dialect(request)
            except Exception as error:
                raise AssertionError(f"{what} raised {error!r}") from error
