"""Members that differ from known ones in case alone: parsers that ignore case act on them, so they are refused (fault S3)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisa import beside, other_models
from aisa.edge.gemini import asked_at, door_of
from aisa.errors import ApiError
from aisa.wire import chat, completions, kinds_asked, responses_members
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.chat_members import MESSAGE, PART, REQUEST, TOOL, TOOL_CALL
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.members import Shape
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from aisa.wire.trees import Tree

GEMINI_CALL = door_of(asked_at("cheap:generateContent", ""))
SCHEMA = json.loads((Path(__file__).parent / "schema" / "chat-completions.schema.json").read_text())["$defs"]

#: A request with every kind of object whose names mean something, and every kind whose names are the caller's.
FULL: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief.", "name": "op"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi."},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"filename": "f", "file_data": "AAAA"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"Model": 1, "model": 2}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "strict": None, "parameters": {"Type": "x", "Model": 1}}},
        {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a"}}}},
    ],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
    "functions": [{"name": "f", "parameters": {"Name": 1}}],
    "function_call": {"name": "f"},
    "stream": True,
    "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"Properties": {}, "Type": "object"}}},
    "metadata": {"Model": "x", "STREAM": "y"},
    "logit_bias": {"5": 1},
    "max_tokens": 5,
    "models": [{"model": "b"}],
    "fallbacks": [{"model": "b"}],
    "plugins": [{"id": "file-parser", "pdf": {"engine": "native"}}],
    "providerOptions": {"gateway": {"models": ["a"]}},
    "search_parameters": {"mode": "auto"},
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
    "x_new": {"Model": 1, "Messages": []},
}


def variants(name: str) -> Iterator[str]:
    """The name in other cases, of ASCII and beyond."""
    yield name.upper()
    yield name.title()
    yield name[:-1] + name[-1].upper()
    yield from (name.replace(plain, odd, 1) for plain, odd in (("k", "\u212a"), ("s", "\u017f"), ("st", "\ufb06")) if plain in name)


def objects(shape: Shape, tree: Tree, path: str = "") -> Iterator[tuple[Shape, Tree, str]]:
    """Yield every object of the request that has a shape, with the path to it."""
    yield shape, tree, path
    for name, inner in shape.shapes.items():
        value: Any = tree.get(name)
        if inner is not None:
            yield from objects(inner, value, f"{path}{name}.") if isinstance(value, dict) else ()
            for position, item in enumerate(value if isinstance(value, list) else ()):
                yield from objects(inner, item, f"{path}{name}[{position}].")


def refusal(request: Tree, *, escaped: bool = True) -> ApiError:
    """The error for a request that must be refused."""
    with pytest.raises(ApiError) as caught:
        parse_chat(json.dumps(request, ensure_ascii=escaped).encode())
    return caught.value


def test_names_of_the_callers_own_pass_in_any_case() -> None:
    """[fault S3] Parameters, schemas, metadata, arguments and what we do not know have names of their own; its bytes are kept."""
    request = parse_chat(json.dumps(FULL).encode())
    assert json.loads(bytes(request.fields["x_new"])) == FULL["x_new"]


@pytest.mark.parametrize("alone", [True, False])
def test_every_known_name_in_another_case_is_refused(alone: bool) -> None:
    """[fault S3] On every level, in place of the known member or beside it; the error says which and where."""
    count = len(list(objects(REQUEST, FULL)))
    tried = 0
    for number in range(count):
        names = sorted(list(objects(REQUEST, FULL))[number][0].shapes)
        for name in names:
            for variant in variants(name):
                if variant == name:
                    continue
                request = json.loads(json.dumps(FULL))
                _, tree, path = list(objects(REQUEST, request))[number]
                value = tree.pop(name, "x") if alone else tree.get(name, "x")
                tree[variant] = value
                error = refusal(request, escaped=tried % 2 == 0)
                tried += 1
                assert (error.status, error.code, error.param) == (400, "json_parse_error", path + name), (path, variant)
    assert tried > 500


@pytest.mark.parametrize("extra", ["x", "modeL2", "mode", "modelz", "İd", "ﬀ", "", "Model ", "\u0000model"])
def test_names_that_are_no_variant_pass(extra: str) -> None:
    """[fault S3] What is new is a vendor's extension, and reaches it."""
    request = json.loads(json.dumps(FULL))
    for _, tree, _ in objects(REQUEST, request):
        tree[extra] = {"Model": 1}
    assert parse_chat(json.dumps(request).encode()).model == "m"


@given(st.text(max_size=12))
def test_a_name_is_refused_exactly_if_it_folds_to_a_known_one(name: str) -> None:
    """[fault S3] Whatever characters the name has."""
    found = REQUEST.find({name: 1})
    assert (found is not None) == (name not in REQUEST.shapes and name.casefold() in REQUEST.shapes)


@pytest.mark.heavy
def test_the_quick_look_and_the_close_one_agree() -> None:
    """What the type takes has no variant, whatever is mixed into a request; 2,000 requests with a seed."""
    chance = random.Random(4)
    names = ["x", "Model", "content", "Content", "role", "Name", "function", "FUNCTION", "tool_calls", "url", "URL"]
    values: list[Any] = ["a", 5, 1.5, None, True, [], [5, {"Role": 1}], {"Name": 1}, {}, [[{"Role": 1}]], 10**30]
    for _ in range(2_000):
        request = json.loads(json.dumps(FULL))
        for _, tree, _ in list(objects(REQUEST, request)):
            if chance.random() < 0.1:
                tree[chance.choice(names)] = chance.choice(values)
        found = REQUEST.find(request)
        if found is None:
            REQUEST.check(request)
        else:
            with pytest.raises(ApiError):
                REQUEST.check(request)


#: Requests by the doors that carry to a vendor what an allow-list or a price goes by, and a member of each in another case.
CARRIED: list[tuple[Door, dict[str, Any], str]] = [
    (CHAT_DOOR, {"messages": [{"role": "user", "content": "x"}], "Models": ["dear"]}, "models"),
    (CHAT_DOOR, {"messages": [{"role": "user", "content": "x"}], "fallbacks": [{"MODEL": "dear"}]}, "fallbacks[0].model"),
    (CHAT_DOOR, {"messages": [{"role": "user", "content": "x"}], "Enable_Search": True}, "enable_search"),
    (
        CHAT_DOOR,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "TTL": "1h"}}]}]},
        "messages[0].content[0].cache_control.ttl",
    ),
    (CHAT_DOOR, {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "advisor_1", "Model": "dear"}]}, "tools[0].model"),
    (COMPLETIONS_DOOR, {"prompt": "x", "MODELS": ["dear"]}, "models"),
    (EMBEDDINGS_DOOR, {"input": "x", "Fallbacks": ["dear"]}, "fallbacks"),
    (RESPONSES_DOOR, {"input": "x", "\u017fearch_parameters": {"mode": "on"}}, "search_parameters"),
    (
        RESPONSES_DOOR,
        {"input": "x", "tools": [{"type": "code_interpreter", "container": {"Memory_Limit": "64g"}}]},
        "tools[0].container.memory_limit",
    ),
    (MESSAGES_DOOR, {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "Fallbacks": [{"model": "dear"}]}, "fallbacks"),
    (
        MESSAGES_DOOR,
        {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "advisor_1", "Model": "d"}]},
        "tools[0].model",
    ),
    (
        GEMINI_CALL,
        {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"ResponseModalities": ["AUDIO"]}},
        "generationConfig.responseModalities",
    ),
    (GEMINI_CALL, {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"GoogleMaps": {}}]}, "tools[0].googleMaps"),
]


@pytest.mark.parametrize(("door", "request_", "param"), CARRIED)
def test_what_an_allow_list_or_a_price_goes_by_is_known_at_every_door(door: Door, request_: dict[str, Any], param: str) -> None:
    """[fault S3] `Models` asked a dear model of a vendor whose parser ignores case, past the key's list and the price."""
    with pytest.raises(ApiError) as caught:
        door.read(json.dumps({"model": "cheap", **request_}).encode())
    assert (caught.value.code, caught.value.param) == ("json_parse_error", param)


def test_every_member_that_names_further_models_is_known_in_chats_completions_and_responses() -> None:
    """[fault S3] A list that is looked at tomorrow is to stand in the tables too."""
    wanted = {*other_models.MEMBERS, beside.PLUGINS, *kinds_asked.SEARCHING, *kinds_asked.CACHEABLE}
    for shape in (REQUEST, responses_members.REQUEST, completions.SHAPE):
        assert wanted - {"messages", "tools", "prompt_cache_options"} <= set(shape.shapes)


def documented(definition: str) -> set[str]:
    """The members that the schema knows of a kind of object, in any of its forms."""
    found: set[str] = set()
    todo: list[Any] = [SCHEMA[definition]]
    while todo:
        part = todo.pop()
        found.update(part.get("properties", {}))
        todo += [SCHEMA[part["$ref"].rpartition("/")[2]]] if "$ref" in part else []
        todo += [form for key in ("allOf", "anyOf", "oneOf") for form in part.get(key, [])]
    return found


@pytest.mark.parametrize(
    ("shape", "definition"),
    [
        (REQUEST, "CreateChatCompletionRequest"),
        (MESSAGE, "ChatCompletionRequestMessage"),
        (PART, "ChatCompletionRequestUserMessageContentPart"),
        (TOOL_CALL, "ChatCompletionMessageToolCall"),
        (TOOL, "ChatCompletionTool"),
    ],
)
def test_every_documented_name_is_known(shape: Shape, definition: str) -> None:
    """[fault S3] A name that OpenAI documents, and that the table has forgotten, would pass in another case."""
    assert documented(definition) <= set(shape.shapes)


def test_every_name_that_we_act_on_is_known() -> None:
    """[fault S3] What the parser types is in the table, with all that it types below."""
    for kind, shape in ((chat.Known, REQUEST), (chat.Message, MESSAGE), (chat.Part, PART), (chat.Tool, TOOL)):
        assert {field.encode_name for field in msgspec.structs.fields(kind)} <= set(shape.shapes)
