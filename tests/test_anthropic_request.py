"""Chat requests in Anthropic's words: what is asked of each generation of its models, and what gives way."""

from __future__ import annotations

import json
import re
from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from aisa.errors import CALLER, UpstreamFailed
from aisa.providers import anthropic
from aisa.providers.anthropic_layout import Layout
from aisa.providers.anthropic_models import traits_of
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.providers.vendor_state import SEAL_KEY_BYTES, Memory, Seals, VendorState, VendorStates
from aisa.wire.chat import parse_chat
from aisa.wire.reasoning_details import detail
from repeats import repeats

Json = dict[str, Any]
NEWEST, FORCED, BUDGET, FABLE = "claude-opus-5-5", "claude-opus-4-8", "claude-sonnet-4-5-20250929", "claude-fable-5-2"
HI: Json = {"messages": [{"role": "user", "content": "Hi."}]}
WEATHER: Json = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
TYPES = {True: TypeAdapter(MessageCreateParamsStreaming), False: TypeAdapter(MessageCreateParamsNonStreaming)}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def state() -> VendorState:
    """What the vendor wants back of one account."""
    return VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("acme", "anthropic")


def target(model: str, unsupported: str = "refuse", **more: Any) -> Target:
    """A model of Anthropic's."""
    return Target("anthropic", model, "anthropic", unsupported=unsupported, **more)


def ask(asked: Json, model: str = NEWEST, unsupported: str = "refuse", **more: Any) -> UpstreamRequest:
    """Write a request."""
    return anthropic.to_upstream(parse_chat(json.dumps({"model": "m", **HI, **asked}).encode()), target(model, unsupported, **more))


def sent(asked: Json, model: str = NEWEST, unsupported: str = "refuse", **more: Any) -> Json:
    """The body that is sent, which the types of Anthropic's own client accept."""
    body: Json = json.loads(ask(asked, model, unsupported, **more).body)
    check_types(body)
    return body


def check_types(body: Json) -> None:
    """Hold a body against the client's types. Blocks of `thinking` with a way out are newer than they are."""
    known = {**body, "thinking": {name: value for name, value in body.get("thinking", {}).items() if name != "block_binding"}}
    if "thinking" not in body:
        del known["thinking"]
    TYPES[body.get("stream", False)].validate_python(known)


@pytest.mark.parametrize(
    ("name", "family", "version", "most"),
    [
        ("claude-opus-5-5", "opus", (5, 5), 128_000),
        ("claude-sonnet-5", "sonnet", (5, 0), 128_000),
        ("claude-haiku-4-5-20251001", "haiku", (4, 5), 64_000),
        ("claude-sonnet-4-20250514", "sonnet", (4, 0), 64_000),
        ("claude-opus-4-5-20251101", "opus", (4, 5), 64_000),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "opus", (4, 1), 32_000),
        ("us.anthropic.claude-opus-4-6-v1:0", "opus", (4, 6), 128_000),
        ("anthropic/claude-fable-5-2", "fable", (5, 2), 128_000),
        ("claude-mythos-preview", "mythos", (4, 8), 128_000),
        ("glm-5", "", (0, 0), 32_000),
    ],
)
def test_a_generation_is_known_by_its_name(name: str, family: str, version: tuple[int, int], most: int) -> None:
    """Whatever stands around it, and with it what it writes at most; what is none of Anthropic's is none."""
    traits = traits_of(name)
    assert (traits.family, traits.version, traits.output_tokens_max) == (family, version, most)


def test_a_plain_request_has_its_model_its_bound_and_its_headers() -> None:
    """The bound is the most that the model writes; the version is the one that takes sampling."""
    request = ask({"stream": True, "stream_options": {"include_usage": True}})
    body = json.loads(request.body)
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi."}]}]
    assert (body["model"], body["max_tokens"], body["stream"]) == (NEWEST, 128_000, True)
    assert request.path == "/messages"
    assert dict(request.headers)["anthropic-version"] == "2023-06-01"
    assert "system" not in body


@pytest.mark.parametrize(
    ("asked", "model", "most"),
    [({}, BUDGET, 64_000), ({}, "claude-sonnet-4-6", 128_000), ({"max_tokens": 7}, NEWEST, 7), ({"max_completion_tokens": 9}, NEWEST, 9)],
)
def test_the_bound_is_the_clients_or_the_models(asked: Json, model: str, most: int) -> None:
    """It is never left out, which this vendor refuses."""
    assert sent(asked, model)["max_tokens"] == most


def test_more_than_the_model_writes_is_refused_before_it_is_asked() -> None:
    """With its bound, as the contract says."""
    with pytest.raises(UpstreamFailed) as failed:
        ask({"max_tokens": 64_001}, BUDGET)
    assert (failed.value.error.code, failed.value.blame) == ("max_tokens_exceeded", CALLER)
    assert "64000" in failed.value.error.message


def conversation(*messages: Json) -> Json:
    """A request with these messages."""
    return {"messages": list(messages)}


def test_leading_instructions_are_the_system_and_later_ones_stay_in_place() -> None:
    """Hoisting a later one would change what thinking is bound to; models that take none in place read it as the user's."""
    asked = conversation(
        {"role": "system", "content": "Be short."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Hi."},
        {"role": "system", "content": "Now be long."},
        {"role": "user", "content": "Go."},
    )
    body = sent(asked, FORCED)
    assert [block["text"] for block in body["system"]] == ["Be short.", "Be kind."]
    assert [(turn["role"], [block["text"] for block in turn["content"]]) for turn in body["messages"]] == [
        ("user", ["Hi."]),
        ("system", ["Now be long."]),
        ("user", ["Go."]),
    ]
    inline = sent(asked, BUDGET)["messages"]
    assert [(turn["role"], [block["text"] for block in turn["content"]]) for turn in inline] == [("user", ["Hi.", "Now be long.", "Go."])]


def test_turns_of_one_role_are_one_and_blank_texts_are_none() -> None:
    """The vendor refuses a text of blanks; a message of nothing else is left out."""
    body = sent(conversation({"role": "user", "content": "a"}, {"role": "user", "content": " \n"}, {"role": "user", "content": "b"}))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    refused = {"role": "assistant", "content": None, "refusal": "No."}
    said = sent(conversation({"role": "user", "content": "a"}, refused, {"role": "user", "content": "b"}))["messages"][1]
    assert said == {"role": "assistant", "content": [{"type": "text", "text": "No."}]}
    with pytest.raises(UpstreamFailed, match="no message with text"):
        ask(conversation({"role": "user", "content": "  "}))


CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo", "n": 1.0}'}},
    {"id": "call:2", "type": "function", "function": {"name": "now", "arguments": ""}},
]


def test_parallel_calls_are_answered_in_one_turn_before_what_is_said_there() -> None:
    """Arguments go as the model wrote them; an id that this vendor does not take is always the same other one."""
    body = ask(
        conversation(
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "A moment.", "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            {"role": "user", "content": "And?"},
            {"role": "tool", "tool_call_id": "call:2", "content": [{"type": "text", "text": "noon"}]},
        )
        | {"tools": [WEATHER]}
    ).body
    assert b'"input":{"city": "Oslo", "n": 1.0}' in body
    said, answered = json.loads(body)["messages"][1:]
    assert [block.get("name") for block in said["content"]] == [None, "weather", "now"]
    odd = said["content"][2]["id"]
    assert re.fullmatch(r"toolu_[0-9a-f]{24}", odd)
    assert said["content"][2]["input"] == {}
    assert [(block["type"], block.get("tool_use_id"), block.get("content")) for block in answered["content"]] == [
        ("tool_result", "call_1", [{"type": "text", "text": "rain"}]),
        ("tool_result", odd, [{"type": "text", "text": "noon"}]),
        ("text", None, None),
    ]
    check_types(json.loads(body))


def test_a_result_says_that_the_tool_failed_has_its_mark_for_the_cache_and_stands_right_behind_the_call() -> None:
    """An empty one has no content; instructions that came in between stay behind it."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = sent(
        conversation(
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": CALLS},
            {"role": "system", "content": "Hurry."},
            {"role": "tool", "tool_call_id": "call_1", "content": "no such city", "is_error": True, "cache_control": mark},
            {"role": "tool", "tool_call_id": "call:2", "content": ""},
        ),
        FORCED,
    )
    [turn, later] = body["messages"][2:]
    failed, empty = turn["content"]
    shown = [{"type": "text", "text": "no such city"}]
    assert failed == {"type": "tool_result", "tool_use_id": "call_1", "content": shown, "is_error": True, "cache_control": mark}
    assert empty.keys() == {"type", "tool_use_id"}
    assert (turn["role"], later) == ("user", {"role": "system", "content": [{"type": "text", "text": "Hurry."}]})


@pytest.mark.parametrize("arguments", ["[1]", '{"a":', "nonsense", "7"])
def test_arguments_that_are_no_object_are_told_as_they_were(arguments: str) -> None:
    """A model once wrote them, and a conversation must not end for it."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = sent(
        conversation(
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "bad"},
        )
    )
    assert body["messages"][1]["content"][0]["input"] == {"raw": arguments}


def test_the_older_form_of_calls_is_answered_by_ids_that_are_made_up_alike() -> None:
    """A call has none there; one call at a time is asked for."""
    asked = conversation(
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
        {"role": "function", "name": "weather", "content": "rain"},
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": ""}},
        {"role": "function", "name": "now", "content": "noon"},
    ) | {"functions": [WEATHER["function"]], "function_call": {"name": "weather"}}
    body = sent(asked, FORCED)
    ids = [body["messages"][place]["content"][0]["id"] for place in (1, 3)]
    assert len(set(ids)) == 2
    assert [turn["content"] for turn in body["messages"][1:]] == [
        [{"type": "tool_use", "id": ids[0], "name": "weather", "input": {"city": "Oslo"}}],
        [{"type": "tool_result", "tool_use_id": ids[0], "content": [{"type": "text", "text": "rain"}]}],
        [{"type": "tool_use", "id": ids[1], "name": "now", "input": {}}],
        [{"type": "tool_result", "tool_use_id": ids[1], "content": [{"type": "text", "text": "noon"}]}],
    ]
    assert body["tool_choice"] == {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}
    assert body["tools"][0]["name"] == "weather"


def test_pictures_and_files_are_shown() -> None:
    """Data as data, addresses as addresses, PDF and text as documents."""
    data = PIXEL.partition(",")[2]
    pdf: Json = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf"}
    shown: list[tuple[Json, Json]] = [
        ({"type": "text", "text": "Look."}, {"type": "text", "text": "Look."}),
        (
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        ),
        *[
            (
                {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}},
                {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}},
            )
            for kind in ("image/jpeg", "image/gif", "image/webp")
        ],
        (
            {"type": "image_url", "image_url": "https://h.example/a.png"},
            {"type": "image", "source": {"type": "url", "url": "https://h.example/a.png"}},
        ),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}, pdf),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERi0="}}, pdf),
        (
            {"type": "file", "file": {"file_data": "https://h.example/a.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://h.example/a.pdf"}},
        ),
        *[
            (
                {"type": "file", "file": {"filename": "a.txt", "file_data": given}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi."}, "title": "a.txt"},
            )
            for given in ("data:text/plain;base64,SGku", "data:application/json;base64,SGku", "SGku")
        ],
        ({"type": "file", "file": {"file_id": "file_1"}}, {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        (
            {"type": "file", "file": {"file_data": PIXEL}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        ),
    ]
    blocks = sent(conversation({"role": "user", "content": [part for part, _ in shown]}))["messages"][0]["content"]
    assert blocks == [block for _, block in shown]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}},
        {"type": "image_url", "image_url": {"detail": "low"}},
        {"type": "file", "file": {"filename": "a.docx", "file_data": "AA=="}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,!"}},
        {"type": "file", "file": {"filename": "a.pdf"}},
        {"type": "video", "video": {}},
    ],
    ids=["sound", "bitmap", "nowhere", "docx", "no text", "no data", "video"],
)
@pytest.mark.parametrize("unsupported", ["refuse", "drop"])
def test_what_these_models_cannot_be_shown_is_never_left_out_in_silence(part: Json, unsupported: str) -> None:
    """The caller hears of it, with its place, whatever the operator says of parameters."""
    with pytest.raises(UpstreamFailed) as failed:
        ask(conversation({"role": "user", "content": [{"type": "text", "text": "x"}, part]}), NEWEST, unsupported)
    assert (failed.value.error.status, str(failed.value.error.param)[:22]) == (422, "messages[0].content[1]")


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}}, {"type": "any"}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER]}}, {"type": "auto"}),
        ({"type": "allowed_tools", "allowed_tools": {"tools": [WEATHER]}}, {"type": "auto"}),
    ],
)
def test_every_form_of_tool_choice_has_its_words(choice: Any, wanted: Json) -> None:
    """And on models that cannot be made to call, a forced call is theirs to decide, which the answer says."""
    other = {"type": "function", "function": {"name": "other"}}
    asked: Json = {"tools": [WEATHER, other], "tool_choice": choice}
    body = sent(asked, FORCED)
    assert body["tool_choice"] == wanted
    assert [tool["name"] for tool in body["tools"]] == (
        ["weather"] if isinstance(choice, dict) and "allowed_tools" in choice else ["weather", "other"]
    )
    for model in ("claude-fable-5", "claude-sonnet-5", BUDGET):
        assert sent(asked, model)["tool_choice"] == wanted
    thinks = {"reasoning_effort": "low", "max_tokens": 10_000}  # with a budget, which allows no forced call either
    for model, more in (
        (NEWEST, {}),
        (FABLE, {}),
        ("claude-fable-5-1", {}),
        ("claude-mythos-5-2", {}),
        ("claude-haiku-5-5", {}),
        (BUDGET, thinks),
    ):
        request = ask({**asked, **more}, model)
        forced = wanted["type"] in ("any", "tool")
        assert json.loads(request.body)["tool_choice"] == ({"type": "auto"} if forced else wanted)
        assert request.changed == (("tool_choice=auto",) if forced else ())
    if wanted["type"] in ("any", "tool"):
        with pytest.raises(UpstreamFailed, match="choose themselves"):
            ask(asked, NEWEST, "refuse_values")
    with pytest.raises(UpstreamFailed, match="it is none, auto, required"):
        ask({**asked, "tool_choice": "weather"}, FORCED)


def test_one_call_at_a_time_is_asked_for_in_the_choice() -> None:
    """Which is made for it if there is none, and not with `none`."""
    assert sent({"tools": [WEATHER], "parallel_tool_calls": False})["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert sent({"tools": [WEATHER], "parallel_tool_calls": False, "tool_choice": "none"})["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in sent({"tools": [WEATHER], "parallel_tool_calls": True})
    assert "tool_choice" not in sent({"tool_choice": "auto"})


def test_tools_keep_their_order_and_a_tool_without_parameters_has_an_empty_schema() -> None:
    """A tool of the vendor's own passes; one that takes any text is refused."""
    own = {"type": "web_search_20250305", "name": "web_search"}
    told = {"name": "t", "description": "Tells.", "strict": True, "parameters": {"properties": {"a": {"type": "string"}}}}
    body = sent({"tools": [{"type": "function", "function": {"name": "z"}}, own, WEATHER, {"type": "function", "function": told}]})
    assert body["tools"] == [
        {"name": "z", "input_schema": {"type": "object", "properties": {}}},
        own,
        {"name": "weather", "input_schema": WEATHER["function"]["parameters"]},
        {
            "name": "t",
            "description": "Tells.",
            "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            "strict": True,
        },
    ]
    with pytest.raises(UpstreamFailed, match="custom"):
        ask({"tools": [{"type": "custom", "custom": {"name": "c"}}]})


def test_a_strict_tool_has_a_schema_that_the_vendor_can_be_strict_about() -> None:
    """It answers 400 to an object that is open and to bounds, inside too; of a tool that is not strict the schema is the client's."""
    inner = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    schema = {"type": "object", "properties": {"at": {"oneOf": [inner, {"$ref": "#/$defs/p"}]}}, "$defs": {"p": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": name, "parameters": schema, "strict": name == "s"}} for name in "st"]
    strict, other = sent({"tools": tools})["tools"]
    told = {"type": "object", "properties": {"n": {"type": "integer", "description": "minimum: 1"}}, "additionalProperties": False}
    assert strict["input_schema"] == {
        "type": "object",
        "properties": {"at": {"anyOf": [told, {"$ref": "#/$defs/p"}]}},
        "$defs": {"p": {"type": "string"}},
        "additionalProperties": False,
    }
    assert other["input_schema"] == schema


def test_a_schema_is_enforced_as_far_as_the_vendor_can_and_the_rest_is_said() -> None:
    """Bounds go into the description, where the model reads them; other properties are not allowed."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "description": "How many."}, "s": {"type": "string", "pattern": "^a"}},
        "required": ["n"],
        "additionalProperties": True,
    }
    body = sent({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}})
    assert body["output_config"]["format"]["type"] == "json_schema"
    written = body["output_config"]["format"]["schema"]
    assert written["additionalProperties"] is False
    assert (written["type"], written["required"]) == ("object", ["n"])
    assert written["properties"]["n"] == {"type": "integer", "description": "How many. (minimum: 1)"}
    assert written["properties"]["s"] == {"type": "string", "description": 'pattern: "^a"'}
    assert "output_config" not in sent({"response_format": {"type": "text"}})
    assert sent({"response_format": {"type": "json_object"}})["system"][-1]["text"].startswith("Answer with one JSON object")
    with pytest.raises(UpstreamFailed, match="json_schema with a schema"):
        ask({"response_format": {"type": "grammar"}})


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: {"type": "array", "items": inner},
        lambda inner: {"properties": {"a": inner}, "additionalProperties": False},
        lambda inner: {"$ref": "#/$defs/A", "$defs": {"A": inner}},
        lambda inner: {"$ref": "#/definitions/A", "definitions": {"A": inner}},
        lambda inner: {"anyOf": [inner, {"type": "null"}]},
        lambda inner: {"allOf": [inner]},
        lambda inner: {"oneOf": [inner]},
    ],
    ids=["items", "properties", "$defs", "definitions", "anyOf", "allOf", "oneOf"],
)
def test_what_cannot_be_enforced_is_said_wherever_in_a_schema_it_stands(around: Any) -> None:
    """One of several is any of them; formats that the vendor knows stay, and data that looks like a bound is none."""
    loose = {"type": "string", "format": "date", "maxLength": 9, "enum": ["minimum"]}
    strict = {"type": "string", "format": "date", "enum": ["minimum"], "description": "maxLength: 9"}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": around(loose)}}
    wanted = around(strict)
    if "oneOf" in wanted:
        wanted = {"anyOf": wanted["oneOf"]}
    assert sent({"response_format": asked})["output_config"]["format"]["schema"] == wanted


def thinking_asked(asked: Json, model: str) -> tuple[Json | None, str | None, tuple[str, ...]]:
    """What is asked of the model's thinking, its effort, and what the caller is told of it."""
    request = ask(asked, model)
    body = json.loads(request.body)
    check_types(body)
    return body.get("thinking"), body.get("output_config", {}).get("effort"), tuple(request.changed)


@pytest.mark.parametrize(
    ("effort", "model", "thinking", "config", "changed"),
    [
        (None, NEWEST, {"type": "adaptive", "display": "summarized"}, None, ()),
        (None, FORCED, None, None, ()),
        (None, BUDGET, None, None, ()),
        *[(word, NEWEST, {"type": "adaptive", "display": "summarized"}, word, ()) for word in ("low", "medium", "high", "xhigh", "max")],
        ("minimal", NEWEST, {"type": "adaptive", "display": "summarized"}, "low", ("reasoning_effort=low",)),
        ("none", NEWEST, {"type": "adaptive", "display": "summarized"}, "low", ("reasoning_effort=low",)),
        ("none", FABLE, {"type": "adaptive", "display": "summarized"}, "low", ("reasoning_effort=low",)),
        ("none", "claude-sonnet-5-5", {"type": "between_tools"}, None, ()),
        ("none", "claude-haiku-5-5", {"type": "disabled"}, None, ()),
        ("none", "claude-sonnet-5", {"type": "disabled"}, None, ()),
        ("none", "claude-mythos-5", {"type": "adaptive", "display": "summarized"}, "low", ("reasoning_effort=low",)),
        (None, "claude-sonnet-5", {"type": "adaptive", "display": "summarized"}, None, ()),
        (None, "claude-opus-4-6", None, None, ()),
        ("xhigh", "claude-opus-4-7", {"type": "adaptive", "display": "summarized"}, "xhigh", ()),
        ("none", "claude-opus-5", {"type": "disabled"}, None, ()),
        ("xhigh", "claude-opus-4-6", {"type": "adaptive", "display": "summarized"}, "high", ("reasoning_effort=high",)),
        ("max", "claude-opus-4-6", {"type": "adaptive", "display": "summarized"}, "max", ()),
        ("minimal", BUDGET, {"type": "enabled", "budget_tokens": 1_024}, None, ()),
        ("low", BUDGET, {"type": "enabled", "budget_tokens": 2_000}, None, ()),
        ("medium", BUDGET, {"type": "enabled", "budget_tokens": 5_000}, None, ()),
        ("high", BUDGET, {"type": "enabled", "budget_tokens": 8_000}, None, ()),
        ("xhigh", BUDGET, {"type": "enabled", "budget_tokens": 9_000}, None, ()),
        ("max", BUDGET, {"type": "enabled", "budget_tokens": 9_500}, None, ()),
        ("none", BUDGET, None, None, ()),
    ],
)
def test_effort_is_asked_in_the_words_of_the_generation(
    effort: str | None, model: str, thinking: Json | None, config: str | None, changed: tuple[str, ...]
) -> None:
    """With a budget, adaptively, or off; what cannot be off thinks as little as it can; nothing is asked for that nobody asked for."""
    asked: Json = {"max_tokens": 10_000} | ({"reasoning_effort": effort} if effort else {})
    assert thinking_asked(asked, model) == (thinking, config, changed)


ADAPTIVE: Json = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("own", "effort", "model", "thinking", "config", "changed"),
    [
        ({"type": "enabled", "budget_tokens": 2_000}, None, BUDGET, {"type": "enabled", "budget_tokens": 2_000}, None, ()),
        ({"type": "enabled", "budget_tokens": 40_000}, None, BUDGET, {"type": "enabled", "budget_tokens": 40_000}, None, ()),
        (
            {"type": "enabled", "budget_tokens": 90_000},
            None,
            BUDGET,
            {"type": "enabled", "budget_tokens": 59_999},
            None,
            ("thinking.budget_tokens=59999",),
        ),
        ({"type": "enabled", "budget_tokens": 2_000}, None, "claude-opus-4-6", {"type": "enabled", "budget_tokens": 2_000}, None, ()),
        ({"type": "enabled", "budget_tokens": 2_000}, "high", "claude-opus-4-6", ADAPTIVE, "high", ()),
        ({"type": "enabled", "budget_tokens": 2_000}, None, NEWEST, ADAPTIVE, "medium", ("thinking=adaptive",)),
        ({"type": "enabled", "budget_tokens": 1_024}, None, "claude-opus-4-7", ADAPTIVE, "low", ("thinking=adaptive",)),
        ({"type": "enabled", "budget_tokens": 30_000}, None, FABLE, ADAPTIVE, "high", ("thinking=adaptive",)),
        ({"type": "adaptive", "display": "omitted"}, None, NEWEST, {"type": "adaptive", "display": "omitted"}, None, ()),
        ({"type": "adaptive"}, "low", NEWEST, ADAPTIVE, "low", ()),
        ({"type": "disabled"}, None, "claude-opus-5", {"type": "disabled"}, None, ()),
        ({"type": "disabled"}, None, NEWEST, ADAPTIVE, "low", ("reasoning_effort=low",)),
        ({"type": "disabled"}, None, BUDGET, None, None, ()),
        ({"type": "enabled", "budget_tokens": 2_000}, None, "glm-5", {"type": "enabled", "budget_tokens": 2_000}, None, ()),
        ({"budget_tokens": 2_000}, None, NEWEST, ADAPTIVE, None, ()),
    ],
)
def test_thinking_in_anthropics_own_words_is_as_the_generation_takes_it(
    own: Json, effort: str | None, model: str, thinking: Json | None, config: str | None, changed: tuple[str, ...]
) -> None:
    """A budget is one where there are budgets, else the effort that it comes to, which is told; an effort that is said counts before it."""
    asked: Json = {"max_tokens": 30_000 if model == "glm-5" else 60_000, "thinking": own} | ({"reasoning_effort": effort} if effort else {})
    assert thinking_asked(asked, model) == (thinking, config, changed)


def test_a_budget_needs_room_and_the_thinking_before_it() -> None:
    """Else the model is asked without thinking, and the answer says so. What was said without a call needs none before it."""
    assert ask({"max_tokens": 1_024, "reasoning_effort": "high"}, BUDGET).changed == ("reasoning_effort=none",)
    assert sent({"max_tokens": 1_025, "reasoning_effort": "high"}, BUDGET)["thinking"]["budget_tokens"] == 1_024
    assert sent({"max_tokens": 64_000, "reasoning_effort": "max"}, BUDGET)["thinking"]["budget_tokens"] == 32_000
    spoke = conversation({"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"})
    assert ask({**spoke, "reasoning_effort": "high"}, BUDGET).changed == ()
    for block in ({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "eA=="}):
        mine = state()
        layout = Layout()
        layout.other(block)
        layout.call("call_1")
        thought = conversation(
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": CALLS[:1], "reasoning_details": [detail(mine.seal(layout.encoded()), 0)]},
            {"role": "tool", "tool_call_id": "call_1", "content": "y"},
        )
        request = ask({**thought, "reasoning_effort": "high"}, BUDGET, state=mine)
        assert (request.changed, json.loads(request.body)["messages"][1]["content"][0]) == ((), block)
    answered = conversation(
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": CALLS[:1]},
        {"role": "tool", "tool_call_id": "call_1", "content": "y"},
    )
    assert ask({**answered, "reasoning_effort": "high"}, BUDGET).changed == ("reasoning_effort=none",)
    assert ask({**answered, "reasoning_effort": "high"}, FORCED).changed == ()


@pytest.mark.parametrize(
    ("asked", "model", "wanted", "changed"),
    [
        ({"temperature": 0.5}, BUDGET, {"temperature": 0.5}, ()),
        ({"temperature": 1.5}, BUDGET, {"temperature": 1}, ("temperature=1",)),
        ({"temperature": 1}, BUDGET, {"temperature": 1}, ()),
        ({"temperature": 0}, BUDGET, {"temperature": 0}, ()),
        ({"temperature": 0.5, "reasoning_effort": "low", "max_tokens": 9_000}, BUDGET, {}, ("temperature=1",)),
        ({"temperature": 0.5, "reasoning_effort": "low"}, "glm-5", {"temperature": 0.5}, ()),
        ({"temperature": 0.5}, NEWEST, {}, ("temperature=1",)),
        ({"temperature": 1, "top_p": 1}, NEWEST, {}, ()),
        ({"top_p": 0.5}, "claude-opus-4-7", {}, ("top_p=1",)),
        ({"temperature": 0.5, "top_p": 0.5}, BUDGET, {"temperature": 0.5}, ("top_p=1",)),
        ({"top_p": 0.5, "top_k": 5}, BUDGET, {"top_p": 0.5, "top_k": 5}, ()),
        ({"top_k": 5}, NEWEST, {}, ()),
        ({"top_k": 5, "reasoning_effort": "low"}, "claude-opus-4-6", {}, ()),
        ({"temperature": 0.5, "reasoning_effort": "low"}, "claude-opus-4-6", {}, ("temperature=1",)),
        ({"temperature": 0.5, "top_p": 0.9}, "glm-5", {"temperature": 0.5, "top_p": 0.9}, ()),
    ],
)
def test_sampling_is_what_the_generation_takes(asked: Json, model: str, wanted: Json, changed: tuple[str, ...]) -> None:
    """Moved to the nearest value where it is beyond, and told; of `top_k` there is none, so that it is left out, and told."""
    request = ask(asked, model)
    body = json.loads(request.body)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == wanted
    assert request.changed == changed
    assert request.dropped == (("top_k",) if "top_k" in asked and "top_k" not in wanted else ())


UNKNOWN = {
    "n": 2,
    "logprobs": True,
    "logit_bias": {"5": 1},
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "seed": 7,
    "modalities": ["text", "audio"],
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "verbosity": "low",
    "stop": "\n",
    "reasoning_effort": 5,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_parameter_without_a_form_there_is_the_callers_or_left_out(name: str) -> None:
    """By its name, as the contract says."""
    with pytest.raises(UpstreamFailed) as failed:
        ask({name: UNKNOWN[name]})
    assert (failed.value.error.code, failed.value.error.param) == ("unsupported_parameter", name)
    assert "Claude Opus 5.5" in failed.value.error.message
    request = ask({name: UNKNOWN[name]}, NEWEST, "drop")
    assert request.dropped == (name,)
    assert name not in json.loads(request.body)


def test_what_only_says_how_it_is_anyway_is_no_wish() -> None:
    """Clients send these with every request."""
    usual: Json = {
        "n": 1,
        "logprobs": False,
        "logit_bias": {},
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "seed": None,
        "modalities": ["text"],
    }
    usual |= {
        "verbosity": "medium",
        "stop": None,
        "service_tier": "auto",
        "store": True,
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "response_format": None,
    }
    request = ask(usual)
    assert (request.dropped, request.changed) == ((), ())


def test_the_user_the_tier_and_the_marks_for_the_cache_arrive() -> None:
    """A breakpoint of OpenAI's is a mark of an hour at most; marks stand on tools, system and messages."""
    part = {"type": "text", "text": "Long.", "prompt_cache_breakpoint": {"ttl": "12h"}}
    marked = {**WEATHER, "cache_control": {"type": "ephemeral"}}
    asked = conversation(
        {"role": "system", "content": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"role": "user", "content": [part]}
    )
    body = sent({**asked, "tools": [marked], "user": "u1", "service_tier": "default", "stop": ["END", "\n\n"][:1]})
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert (body["metadata"], body["service_tier"], body["stop_sequences"]) == ({"user_id": "u1"}, "standard_only", ["END"])
    assert body["tools"][0]["name"] == "weather"
    body = sent({"user": "u1", "safety_identifier": "s1", "stop": "END", "cache_control": {"type": "ephemeral"}, "service_tier": "auto"})
    assert (body["metadata"], body["stop_sequences"], body["cache_control"]) == ({"user_id": "s1"}, ["END"], {"type": "ephemeral"})
    assert "service_tier" not in body
    assert "metadata" not in sent({"user": ""})


def test_a_breakpoint_that_does_not_say_how_long_lasts_as_long_as_the_request_says() -> None:
    """Half an hour and more are an hour there; of its own marks nothing is changed."""
    parts = [
        {"type": "text", "text": "A", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "text", "text": "B", "cache_control": {"type": "ephemeral"}},
    ]
    asked = conversation({"role": "user", "content": parts})
    for options, ttl in (
        ({"ttl": "30m"}, "1h"),
        ({"ttl": "1h"}, "1h"),
        ({"ttl": "12h"}, "1h"),
        ({"ttl": "5m"}, None),
        ({}, None),
        (None, None),
    ):
        first, second = sent({**asked, "prompt_cache_options": options})["messages"][0]["content"]
        assert (first["cache_control"].get("ttl"), second["cache_control"]) == (ttl, {"type": "ephemeral"})
        assert first["cache_control"]["type"] == "ephemeral"
    own = {"type": "text", "text": "A", "prompt_cache_breakpoint": {"ttl": "5m"}}
    mark = sent({**conversation({"role": "user", "content": [own]}), "prompt_cache_options": {"ttl": "12h"}})["messages"][0]["content"][0]
    assert mark["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("model", "beta", "changed"),
    [
        (NEWEST, None, ()),
        ("claude-opus-5", "fast-mode-2026-02-01", ()),
        ("claude-opus-4-8", "fast-mode-2026-02-01", ()),
        ("claude-opus-4-7", None, ("service_tier=auto",)),
        ("claude-haiku-5-5", None, ("service_tier=auto",)),
    ],
)
def test_a_faster_tier_is_a_speed_where_there_is_one(model: str, beta: str | None, changed: tuple[str, ...]) -> None:
    """Under its beta where that is needed; elsewhere the usual tier, and told."""
    for tier in ("priority", "fast"):
        request = ask({"service_tier": tier}, model)
        assert json.loads(request.body).get("speed") == (None if changed else "fast")
        assert dict(request.headers).get("anthropic-beta") == beta
        assert request.changed == changed
    own = ask({"speed": "fast"}, model)
    assert json.loads(own.body).get("speed") == (None if changed else "fast")
    assert own.changed == (("speed=standard",) if changed else ())


@pytest.mark.parametrize("tier", ["flex", "scale", "Turbo"])
def test_a_tier_that_is_another_vendors_is_moved_to_the_usual_one_and_told(tier: str) -> None:
    """As every other dialect does it (contract 1), and refused where the model's entry wants values refused."""
    request = ask({"service_tier": tier})
    assert "service_tier" not in json.loads(request.body)
    assert (request.changed, request.dropped) == (("service_tier=auto",), ())
    with pytest.raises(UpstreamFailed) as failed:
        ask({"service_tier": tier}, NEWEST, "refuse_values")
    assert (failed.value.error.code, failed.value.error.param) == ("unsupported_parameter", "service_tier")


def test_the_end_of_what_the_model_is_to_go_on_from_has_no_blanks() -> None:
    """The vendor refuses them there."""
    body = sent(conversation({"role": "user", "content": "Go on:"}, {"role": "assistant", "content": "Once \n"}), BUDGET)
    assert body["messages"][-1]["content"][-1]["text"] == "Once"


# Thinking, and what it is bound to


def thought(text: str, signature: str = "c2ln") -> Json:
    """A block of thinking."""
    return {"type": "thinking", "thinking": text, "signature": signature}


def laid(*blocks: Json | int | str) -> bytes:
    """A layout: a block kept whole, the length of a text, or the id of a call."""
    layout = Layout()
    for block in blocks:
        if isinstance(block, dict):
            layout.other(block)
        elif isinstance(block, int):
            layout.text("x" * block)
        else:
            layout.call(block)
    return layout.encoded()


def kinds(body: Json, turn: int) -> list[Any]:
    """The blocks of a turn, shortened."""
    return [block.get("thinking") or block.get("text") or block.get("id") for block in body["messages"][turn]["content"]]


def test_thinking_comes_back_where_it_was_by_the_clients_hand_or_out_of_memory() -> None:
    """Block for block, signature and all; of two accounts only the one that got it."""
    layout = laid(thought("T1"), 3, thought("T2"), "call_1", thought("T3"), "toolu_b")
    mine = state()
    message: Json = {"role": "assistant", "content": "abc", "tool_calls": CALLS}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in CALLS]
    user = {"role": "user", "content": "x"}
    wanted = ["T1", "abc", "T2", "call_1", "T3", "toolu_b"]
    carried = conversation(user, {**message, "reasoning_details": [detail(mine.seal(layout), 0)]}, *results)
    assert kinds(sent(carried, state=mine), 1) == wanted
    assert [block for block in sent(carried, state=mine)["messages"][1]["content"] if block["type"] == "thinking"] == [
        thought(name) for name in ("T1", "T2", "T3")
    ]
    plain = conversation(user, message, *results)
    assert kinds(sent(plain, state=mine), 1)[:2] == ["abc", "call_1"]
    mine.keep("call_1", layout)
    assert kinds(sent(plain, state=mine), 1) == wanted
    other = VendorStates(Seals(bytes(SEAL_KEY_BYTES)), Memory(lambda: 0.0)).of("somebody else", "anthropic")
    assert kinds(sent(carried, state=other), 1)[:2] == ["abc", "call_1"]
    changed = conversation(user, {**message, "content": "abcd", "reasoning_details": [detail(mine.seal(layout), 0)]}, *results)
    assert kinds(sent(changed, state=mine), 1)[:5] == ["T1", "T2", "T3", "abcd", "call_1"]


def test_a_target_that_refused_a_changed_prefix_is_asked_to_drop_what_no_longer_fits() -> None:
    """Under the beta, and once: the second refusal is the caller's."""
    request = ask({}, FABLE, omit=("strict_prefix",))
    relaxed = {"prefix_mismatch_behavior": "drop_block"}
    assert json.loads(request.body)["thinking"] == {"type": "adaptive", "display": "summarized", "block_binding": relaxed}
    assert dict(request.headers)["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert request.added == ()
    assert ask({}, FABLE).added == ("strict_prefix",)


WORDS = st.text('ab \n"\\é😀', min_size=1, max_size=12)
ROUNDS = st.lists(
    st.tuples(WORDS, st.lists(WORDS, max_size=3), st.booleans(), st.sampled_from(["", "system", "parts"])), min_size=10, max_size=10
)


def rounds(drawn: list[Any], mine: VendorState) -> list[list[Json]]:
    """Conversations that go on: each the messages up to a further turn of the client's."""
    messages: list[Json] = [{"role": "system", "content": "Be good."}]
    turns: list[list[Json]] = []
    for number, (words, calls, seen, kind) in enumerate(drawn):
        if kind == "system" and number:
            messages = [*messages, {"role": "system", "content": f"Note {number}."}]
        content: Any = (
            [{"type": "text", "text": f"{number}{words}"}, {"type": "text", "text": words}] if kind == "parts" else f"{number}{words}"
        )
        messages = [*messages, {"role": "user", "content": content}]
        turns.append(messages)
        made = [
            {"id": f"c{number}:{at}", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": text})}}
            for at, text in enumerate(calls)
        ]
        said: Json = {"role": "assistant", "content": words} | ({"tool_calls": made} if made else {})
        layout = laid(thought(words), len(words), *[f"c{number}_{at}" for at in range(len(made))])
        if seen:
            said["reasoning_details"] = [detail(mine.seal(layout), 0)]
        elif made:
            mine.keep(made[0]["id"], layout)
        messages = [*messages, said, *[{"role": "tool", "tool_call_id": call["id"], "content": f"r{words}"} for call in made]]
        if made:
            turns.append(messages)
            messages = [*messages, {"role": "assistant", "content": f"So {words}"}]
    return turns


@settings(max_examples=repeats(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROUNDS, st.sampled_from([NEWEST, FABLE, FORCED, BUDGET]))
def test_a_longer_conversation_goes_on_from_the_bytes_of_the_shorter(drawn: list[Any], model: str) -> None:
    """System, tools and messages of each turn, without the closing brackets, begin those of the next: what is signed stays so."""
    mine = state()
    before = b""
    for messages in rounds(drawn, mine):
        body = msgspec.json.decode(ask({"messages": messages, "tools": [WEATHER]}, model, state=mine).body, type=dict[str, msgspec.Raw])
        written = b"".join(bytes(body[name]) for name in ("system", "tools", "messages"))
        assert written.startswith(before), "what was sent before has changed"
        before = written.rstrip(b"]}")
    assert len(get_type_hints(MessageCreateParamsStreaming)) > 5


def test_types_that_take_anything_would_prove_nothing() -> None:
    """The client's types refuse what the vendor would."""
    with pytest.raises(ValidationError):
        check_types({"model": "m", "max_tokens": "many", "messages": []})
