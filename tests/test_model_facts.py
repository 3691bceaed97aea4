"""What is known of models: the catalogue's rows, and what becomes of a request that asks of a model what it does not take."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from aisa.answer import Finish, FunctionCall, ToolCall
from aisa.config.load import load
from aisa.config.schema import Config, Model, Vendor
from aisa.edge.models import document
from aisa.errors import ApiError, UpstreamFailed
from aisa.facts import Fact, ServerWarning
from aisa.keys.rules import Key
from aisa.model_catalogue.classes import CLASSES, OPENAI, class_of
from aisa.model_catalogue.lookup import model_row
from aisa.model_catalogue.models import MODELS
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions
from aisa.providers.facts_of import UNSPOKEN
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.shutdowns import AHEAD_DAYS, DAY_SECONDS, shutdown_notices, tell_until
from aisa.testing.clock import run_virtual
from aisa.vendors.table import ROWS
from aisa.wire import messages_errors
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.efforts import BUDGETS, EFFORTS, effort_of, nearest
from aisa.wire.gemini_chat import chat_tree as chat_of_gemini
from aisa.wire.losses import Losses
from aisa.wire.messages_chat import effort_in
from rig import MemoryClient, Rig, Script, ScriptedUpstream, whole_stream

ANYONE = Key("key_1", "test", b"", "sk-…", "active", 0)
DIALECTS: dict[str, Any] = {
    "anthropic": anthropic,
    "bedrock": bedrock,
    "cohere": cohere,
    "gemini": gemini,
    "mistral": mistral,
    "openai": openai,
    "responses": responses,
}
CLAUDE = ("anthropic", "bedrock")
OPENAI_URL = "https://api.openai.com/v1"


def request(**members: object) -> ChatRequest:
    """Parse a chat request."""
    return parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], **members}).encode())


def target_of(model: str, base_url: str = OPENAI_URL, settings: Model | None = None, **vendor: Any) -> Target:
    """Return a target as routes make it."""
    settings = msgspec.structs.replace(settings or Model(to=()), to=(f"v/{model}",))
    routes = Routes(Config(vendors={"v": Vendor(base_url=base_url, **vendor)}, models={"m": settings}))
    return routes.find("m").offers[0].target


def written(
    model: str, base_url: str = OPENAI_URL, settings: Model | None = None, **members: object
) -> tuple[dict[str, Any], UpstreamRequest]:
    """Write a request for a model of the OpenAI dialect; return its body and all of it."""
    asked = openai.to_upstream(request(**members), target_of(model, base_url, settings))
    return json.loads(asked.body), asked


# The catalogue


@pytest.mark.parametrize("vendor", MODELS)
def test_the_catalogue_s_rows_keep_their_rules(vendor: str) -> None:
    """Of a vendor that has a row; each name once; sizes that fit together; a page as source."""
    assert vendor in ROWS
    rows = MODELS[vendor]
    names = [name for row in rows for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert [name for name in names if name != name.lower()] == []
    for row in rows:
        assert row.context_window is not None
        assert row.output_tokens_max is not None
        assert 0 < row.output_tokens_max <= row.context_window <= 10_000_000, row.name
        assert row.takes[0] == row.gives[0] == "text"
        assert row.source.startswith("https://")
        assert row.shutdown is None or row.shutdown > date(2026, 11, 1)


def test_every_model_of_openai_that_chat_completions_serve_is_in_one_class() -> None:
    """By its name and by each of its aliases, and in no class that another of them fits before."""
    for row in MODELS["openai"]:
        for name in (row.name, *row.aliases):
            classes = [each.title for each in OPENAI if re.fullmatch(each.pattern, name)]
            asked_elsewhere = "-pro" in name or "codex" in name
            assert len(classes) == 1 or (asked_elsewhere and len(classes) <= 1), (name, classes)
    for vendor in CLASSES:
        assert vendor in ROWS


@pytest.mark.parametrize(
    ("vendor", "model", "name"),
    [
        ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
        ("azure", "gpt-4o", "gpt-4o"),
        ("vertex", "gemini-3.8-flash", "gemini-3.8-flash"),
        ("google", "models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("openrouter", "anthropic/claude-opus-5-5", "claude-opus-5-5"),
        ("openrouter", "mistralai/mistral-large-2512", "mistral-large-2512"),
        ("anthropic", "Claude-Sonnet-4-5", "claude-sonnet-4-5"),
        ("openai", "gpt-4.1-acme", None),
        ("groq", "gpt-4o", None),
        ("openrouter", "acme/gpt-4o", None),
    ],
)
def test_a_model_is_found_by_a_name_of_its_vendor_s(vendor: str, model: str, name: str | None) -> None:
    """Its own, an alias, or with its maker's in front where many makers' are served; never by a part of it."""
    row = model_row(vendor, model)
    assert (row.name if row else None) == name


@pytest.mark.parametrize("model", ["gpt-5.10", "gpt-50", "o30", "my-gpt-4o", "gpt-7-sol", "o3-large", "gpt-5.6-solar"])
def test_a_name_that_is_not_known_is_in_no_class(model: str) -> None:
    """What a model of tomorrow takes, its vendor says."""
    assert class_of("openai", model) is None


# What becomes of a request


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("unsupported", ["refuse", "refuse_values"])
def test_a_plain_request_is_asked_of_every_vendor_as_it_is(dialect: str, unsupported: str) -> None:
    """Text, a bound, a temperature and tools are what all of them take: nothing is refused, nothing told as dropped or changed."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    for members in ({}, {"max_tokens": 100, "temperature": 0.5}, {"tools": tools}, {"tools": tools, "tool_choice": "auto", "stream": True}):
        asked = DIALECTS[dialect].to_upstream(request(**members), Target("acme", "m-1", dialect, unsupported=unsupported))
        assert (asked.dropped, asked.changed) == ((), ())


@pytest.mark.parametrize(("effort", "sent"), [("none", "low"), ("minimal", "low"), ("medium", "medium"), ("xhigh", "high")])
def test_effort_of_a_model_that_always_reasons_is_one_of_its_words(effort: str, sent: str) -> None:
    """Grok 4.5 has three; Grok 4.3 can do without, and of others only xAI knows."""
    body, asked = written("grok-4.5", "https://api.x.ai/v1", reasoning_effort=effort)
    assert (body["reasoning_effort"], asked.changed) == (sent, () if sent == effort else (f"reasoning_effort={sent}",))
    assert written("grok-4.3", "https://api.x.ai/v1", reasoning_effort="none")[0]["reasoning_effort"] == "none"
    assert written("grok-9", "https://api.x.ai/v1", reasoning_effort="xhigh")[0]["reasoning_effort"] == "xhigh"


SAMPLING = {"temperature": 0.2, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -0.5}


@pytest.mark.parametrize("model", ["o3", "gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.6-sol", "gpt-6-sol", "gpt-6-astra"])
def test_a_value_that_the_model_cannot_take_is_moved_to_the_nearest_and_told(model: str) -> None:
    """Sampling of models that reason: whatever was asked is what they do anyway."""
    body, asked = written(model, **SAMPLING)
    assert {name: body[name] for name in SAMPLING} == {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
    assert asked.changed == ("temperature=1", "top_p=1", "presence_penalty=0", "frequency_penalty=0")
    assert written(model, temperature=1, top_p=1.0, presence_penalty=0)[1].changed == ()


def test_or_refused_where_the_operator_says_so() -> None:
    """422, with the parameter, the class and the value that is taken."""
    with pytest.raises(UpstreamFailed) as failed:
        written("gpt-5", settings=Model(to=(), unsupported="refuse_values"), temperature=0.2)
    error = failed.value.error
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", "temperature")
    assert error.message == "'temperature' cannot be given to OpenAI's GPT-5 models: they take 1 only."


@pytest.mark.parametrize(
    ("model", "members", "param"),
    [
        ("gpt-5", {"logprobs": True}, "logprobs"),
        ("gpt-5", {"logit_bias": {"1": 2}}, "logit_bias"),
        ("o3", {"stop": ["x"]}, "stop"),
        ("gpt-6-astra", {"stop": "x"}, "stop"),
        ("gpt-4.1", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("gpt-5.1", {"reasoning_effort": "low", "logprobs": True}, "logprobs"),
        ("gpt-5.5", {"logprobs": True}, "logprobs"),
    ],
)
def test_a_parameter_that_the_model_has_not_is_refused_with_its_class_or_left_out(model: str, members: dict[str, Any], param: str) -> None:
    """As `unsupported` says; what is left out is told."""
    with pytest.raises(UpstreamFailed) as failed:
        written(model, **members)
    error = failed.value.error
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", param)
    assert "OpenAI's" in error.message
    body, asked = written(model, settings=Model(to=(), unsupported="drop"), **members)
    assert (param in body, asked.dropped) == (False, (param,))


@pytest.mark.parametrize(
    ("model", "members"),
    [
        ("gpt-5.1", {"reasoning_effort": "none", "temperature": 0.3, "logprobs": True, "top_logprobs": 2}),
        ("gpt-5.4", {"temperature": 0.3, "logprobs": True}),
        ("gpt-5.6-luna", {"reasoning_effort": "none", "temperature": 0.3}),
        ("gpt-4o", {"temperature": 0.3, "logprobs": True, "max_tokens": 5, "presence_penalty": 1}),
        ("gpt-4o", {"logit_bias": {"1": 2}, "stop": ["a"]}),
        ("gpt-7-sol", {"temperature": 0.3, "logprobs": True, "reasoning_effort": "huge"}),
        ("gpt-5", {"logprobs": False, "logit_bias": None, "x_unknown": [1]}),
    ],
)
def test_what_the_model_takes_is_left_as_it_is(model: str, members: dict[str, Any]) -> None:
    """A model that does not reason at the moment takes what others take; of one that nobody knows its vendor judges."""
    body, asked = written(model, **members)
    assert {name: body.get(name) for name in members if members[name]} == {name: value for name, value in members.items() if value}
    assert (asked.changed, asked.dropped) == ((), ())


@pytest.mark.parametrize(
    ("model", "asked", "got"),
    [
        ("o3", "none", "low"),
        ("o3", "xhigh", "high"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.1", "max", "high"),
        ("gpt-5.2", "max", "xhigh"),
        ("gpt-6-astra", "none", "low"),
        ("gpt-6.1-terra", "minimal", "low"),
    ],
)
def test_an_effort_is_moved_to_the_nearest_word_of_the_model(model: str, asked: str, got: str) -> None:
    """The least that is not below it, else the most; told like every value that was moved."""
    body, sent = written(model, reasoning_effort=asked)
    assert (body["reasoning_effort"], sent.changed) == (got, (f"reasoning_effort={got}",))


def test_a_bound_goes_by_the_name_that_the_model_knows() -> None:
    """The newer one to models that reason, the older one to Ollama, each as the only one; others get what was sent."""
    assert {**written("gpt-5", max_tokens=7)[0], "messages": 0, "model": 0} == {"model": 0, "messages": 0, "max_completion_tokens": 7}
    ollama = "http://ollama.internal:11434/v1"
    body, asked = written("llama3", ollama, max_completion_tokens=7)
    assert (body.get("max_tokens"), "max_completion_tokens" in body, asked.changed) == (7, False, ())
    assert written("gpt-4.1", max_tokens=7)[0]["max_tokens"] == 7
    assert "max_completion_tokens" not in written("gpt-5", max_tokens=None)[0]


def test_instructions_come_in_the_role_that_the_vendor_knows() -> None:
    """`developer` is `system` where nothing says that it is known; at OpenAI, and at an address that nobody knows, it stays."""
    instructed = [{"role": "developer", "content": 'Be "developer" brief.'}, {"role": "user", "content": "Hi."}]
    vllm, unknown = "http://vllm.internal:8000/v1", "http://10.0.0.1/v1"
    roles = {url: written("m", url, messages=instructed)[0]["messages"][0] for url in (vllm, OPENAI_URL, unknown)}
    assert roles[vllm] == {"role": "system", "content": 'Be "developer" brief.'}
    assert roles[OPENAI_URL]["role"] == roles[unknown]["role"] == "developer"


def test_a_vendor_that_wants_thinking_back_gets_it_with_every_call_if_only_nothing() -> None:
    """DeepSeek and Moonshot refuse a call in the history without; what the client sends back stays, under the name that both know."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn, result = {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "1"}
    past = [{"role": "user", "content": "Hi."}, turn, result, {**turn, "reasoning": "Why?"}, result, {**turn, "reasoning_content": "So."}]
    sent = written("deepseek-reasoner", "https://api.deepseek.com/v1", messages=past)[0]["messages"]
    assert [message.get("reasoning_content") for message in sent] == [None, "", None, "Why?", None, "So."]
    assert written("kimi-k2.6", "https://api.moonshot.ai/v1", messages=past)[0]["messages"] == sent
    assert written("m", "https://api.x.ai/v1", messages=past)[0]["messages"] == past
    plain = request(messages=[{"role": "user", "content": "Hi."}])
    target = target_of("deepseek-chat", "https://api.deepseek.com/v1")
    assert conceded(plain, target.facts, Concessions(target)) is plain


def test_a_vendor_that_shows_its_searches_only_if_asked_is_asked() -> None:
    """(fault M12) Zhipu's answer tells of no search otherwise, and it would be free. Nothing else of the tools is changed."""
    search, look = {"type": "web_search", "web_search": {"enable": True, "count": 3}}, {"type": "function", "function": {"name": "f"}}
    asked = {**search, "web_search": {"enable": True, "count": 3, "search_result": True}}
    zhipu = "https://api.z.ai/api/paas/v4"
    assert written("glm-5", zhipu, tools=[look, search])[0]["tools"] == [look, asked]
    assert written("glm-5", "https://open.bigmodel.cn/api/paas/v4", tools=[search])[0]["tools"] == [asked]
    assert written("glm-5", zhipu, tools=[{"type": "web_search"}, look])[0]["tools"] == [{"type": "web_search"}, look]
    assert written("m", "https://api.x.ai/v1", tools=[search])[0]["tools"] == [search]


@pytest.mark.parametrize("base_url", ["https://api.deepseek.com/v1", "http://ollama.internal:11434/v1", "https://api.cerebras.ai/v1"])
def test_functions_are_tools_where_a_vendor_knows_nothing_else(base_url: str) -> None:
    """With the choice among them and the calls of the history, whose ids are the same in every turn; elsewhere they are as they were."""
    function, call = {"name": "f", "parameters": {"type": "object", "properties": {}}}, {"name": "f", "arguments": "{}"}
    user, turn = {"role": "user", "content": "Hi."}, {"role": "assistant", "content": None, "function_call": call}
    past = [user, turn, {"role": "function", "name": "f", "content": "1"}, turn, {"role": "function", "name": "f", "content": "2"}]
    asked = {"functions": [function], "function_call": {"name": "f"}, "messages": past}
    body = written("m", base_url, **asked)[0]
    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], "functions" in body, "function_call" in body) == (
        {"type": "function", "function": {"name": "f"}},
        False,
        False,
    )
    called = [message for message in body["messages"] if message["role"] == "assistant"]
    assert [message["tool_calls"][0]["function"] for message in called] == [call, call]
    ids = [message["tool_calls"][0]["id"] for message in called]
    answers = [message for message in body["messages"] if message["role"] == "tool"]
    assert [(message["tool_call_id"], message["content"]) for message in answers] == list(zip(ids, "12", strict=True))
    assert ids[0] != ids[1]
    assert written("m", base_url, **{**asked, "messages": past[:3]})[0]["messages"] == body["messages"][:3]
    assert {name: written("gpt-4.1", **asked)[0][name] for name in asked} == asked


def test_functions_beside_tools_are_the_vendors_to_judge() -> None:
    """Nothing of either is lost or mixed; a choice without functions is left as it is too."""
    tools = [{"type": "function", "function": {"name": "g"}}]
    for asked in ({"functions": [{"name": "f"}], "function_call": "auto", "tools": tools}, {"function_call": "auto"}):
        body = written("deepseek-chat", "https://api.deepseek.com/v1", **asked)[0]
        assert {name: body[name] for name in asked} == asked
        assert "tool_choice" not in body


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_of_a_function_comes_back_as_one_from_a_vendor_that_knows_tools_alone(stream: bool) -> None:
    """With its own finish reason, and no calls of tools beside it."""
    target = target_of("deepseek-chat", "https://api.deepseek.com/v1")
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    head = {"id": "1", "created": 1, "model": "deepseek-chat"}
    choice = {"index": 0, "delta" if stream else "message": said, "finish_reason": "tool_calls"}
    answered = json.dumps({**head, "object": "chat.completion" + ".chunk" * stream, "choices": [choice]}).encode()
    decoder = openai.decoder(request(stream=stream, functions=[{"name": "f"}]), target, call_id="1", created=1, protocol=CHAT_DOOR.protocol)
    parts = [*decoder.feed(b"data: " + answered + b"\n\ndata: [DONE]\n\n" if stream else answered), *decoder.end(), *decoder.closing(None)]
    assert [part.name for part in parts if isinstance(part, FunctionCall)][:1] == ["f"]
    assert "".join(part.arguments for part in parts if isinstance(part, FunctionCall)) == '{"a":1}'
    assert [part.reason for part in parts if isinstance(part, Finish)] == ["function_call"]
    assert not any(isinstance(part, ToolCall) for part in parts)


def test_what_a_vendor_refuses_of_every_model_is_refused_with_its_name() -> None:
    """As its row says."""
    with pytest.raises(UpstreamFailed, match=r"logit_bias.*the models of Groq"):
        written("any", "https://api.groq.com/openai/v1", logit_bias={"1": 1})


def test_a_request_without_anything_of_it_passes_untouched() -> None:
    """The very request, so that nothing is decoded or written anew on the way of most calls."""
    chat = request(temperature=None, max_completion_tokens=3)
    target = target_of("gpt-7-sol")
    assert conceded(chat, target.facts, Concessions(target)) is chat
    plain = request(tools=[{"type": "function", "function": {"name": "f"}}], user="u")
    assert conceded(plain, target_of("gpt-5").facts, Concessions(target)) is plain


WISHES: Mapping[str, object] = {
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 1},
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "seed": 0,
    "modalities": ["audio"],
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "verbosity": "low",
    "parallel_tool_calls": False,
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "stop": ["x"],
    "audio": {"voice": "a", "format": "wav"},
}


@pytest.mark.parametrize(("dialect", "name"), [(dialect, name) for dialect, names in UNSPOKEN.items() for name in names])
def test_what_a_dialect_is_said_not_to_have_it_refuses(dialect: str, name: str) -> None:
    """So the list of a model's parameters says what a call would meet."""
    target = Target("v", "some-model", dialect)
    members = {name: WISHES[name]} | ({"logprobs": True} if name == "top_logprobs" and dialect not in CLAUDE else {})
    members |= {"tools": [{"type": "function", "function": {"name": "f"}}]} if name == "parallel_tool_calls" else {}  # else it asks nothing
    chat = request(**members) if name != "top_logprobs" or dialect not in CLAUDE else request(logprobs=True, top_logprobs=2)
    with pytest.raises(UpstreamFailed) as failed:
        DIALECTS[dialect].to_upstream(chat, target)
    assert failed.value.error.code == "unsupported_parameter"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_the_operator_says_that_a_model_has_not_is_refused_in_every_dialect(dialect: str) -> None:
    """Or left out, by the same setting."""
    settings = Model(to=(), unsupported_parameters=("temperature",))
    target = target_of("some-model", "http://10.0.0.1/v1", settings, dialect=dialect)
    with pytest.raises(UpstreamFailed) as failed:
        DIALECTS[dialect].to_upstream(request(temperature=0.5), target)
    assert (failed.value.error.status, failed.value.error.param) == (422, "temperature")
    asked = DIALECTS[dialect].to_upstream(request(temperature=0.5), msgspec.structs.replace(target, unsupported="drop"))
    assert asked.dropped == ("temperature",)
    assert b"temperature" not in asked.body


def test_a_client_of_another_protocol_is_not_refused_for_an_effort_that_it_always_sends() -> None:
    """It is left out and told, as such clients cannot do without."""
    chat = request(reasoning_effort="high")
    target = target_of("gpt-4.1")
    concessions = Concessions(target, translated=True)
    assert "reasoning_effort" not in conceded(chat, target.facts, concessions).fields
    assert concessions.dropped == ("reasoning_effort",)


@pytest.mark.parametrize(
    ("budget", "word"), [(0, "none"), (1, "low"), (1_024, "low"), (1_025, "medium"), (8_192, "medium"), (60_000, "high")]
)
def test_a_budget_of_thinking_is_an_effort_at_every_door(budget: int, word: str) -> None:
    """The least word whose budget holds it."""
    assert effort_of(budget) == word
    assert effort_in({"type": "enabled", "budget_tokens": budget}) == word
    body = {"contents": [{"parts": [{"text": "Hi."}]}], "generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}}
    assert chat_of_gemini(body, "m", Losses(), stream=False)["reasoning_effort"] == word


def test_words_for_effort_have_one_order() -> None:
    """Each is its own nearest; budgets grow with them."""
    assert [nearest(word, EFFORTS) for word in EFFORTS] == list(EFFORTS)
    assert list(BUDGETS.values()) == sorted(BUDGETS.values())
    assert effort_in({"type": "disabled"}) == "none"
    assert effort_in({"type": "adaptive"}) is None


def test_the_caller_reads_in_the_answer_s_head_what_was_changed() -> None:
    """Through the whole path, as the contract has it."""
    rig = Rig(ScriptedUpstream(Script(whole_stream("Hi"))))
    vendors = {"a": Vendor(base_url=OPENAI_URL)}
    rig.dependencies.routes = Routes(Config(vendors=vendors, models={"fast": Model(to=("a/gpt-5",))}))
    client = MemoryClient()
    asked = {"model": "fast", "stream": True, "temperature": 0.1, "messages": [{"role": "user", "content": "Hi."}]}
    run_virtual(rig.call(client, json.dumps(asked).encode()))
    assert (client.status, client.headers["x-aisa-changed-params"]) == (200, "temperature=1")


# Limits, the list, the end


def test_the_catalogue_s_limit_of_output_is_the_model_s() -> None:
    """422 as for a limit of the configuration, which wins; the vendor's report is believed by the configuration's limit alone."""
    config = Config(
        vendors={"openai": Vendor(base_url=OPENAI_URL)},
        models={
            "a": Model(to=("openai/gpt-4o",)),
            "b": Model(to=("openai/gpt-4o",), max_output_tokens=99_999),
            "c": Model(to=("openai/x",)),
        },
    )
    routes = Routes(config)
    plan = {name: lambda n, name=name: routes.plan(request(model=name, max_tokens=n), ANYONE, Random(7)) for name in "abc"}
    with pytest.raises(ApiError) as refused:
        plan["a"](16_385)
    assert refused.value.code == "max_tokens_exceeded"
    assert plan["a"](16_384).offers[0].target.output_tokens_max is None
    assert plan["b"](99_999)
    assert plan["c"](9_999_999)


def test_a_bound_that_is_too_high_is_told_to_claude_code_as_it_understands_it() -> None:
    """With 400 and Anthropic's own sentence it lowers its bound and goes on; any other refusal it repeats, five times."""
    routes = Routes(Config(vendors={"openai": Vendor(base_url=OPENAI_URL)}, models={"m": Model(to=("openai/gpt-4o",))}))
    with pytest.raises(ApiError) as refused:
        routes.plan(request(model="m", max_tokens=32_000), ANYONE, Random(7))
    answer = messages_errors.refusal(refused.value, "req_1")
    said = json.loads(answer.body)["error"]
    assert (answer.status, said["type"]) == (400, "invalid_request_error")
    assert re.search(r"max_tokens: 32000 > 16384, which is the maximum allowed number of output tokens for m", said["message"])


def test_of_several_targets_those_are_asked_that_take_what_a_request_shows() -> None:
    """By the catalogue where the configuration is silent; a target of which nobody knows it is asked, and so is one that stands alone."""
    vendors = {
        "openai": Vendor(base_url=OPENAI_URL),
        "deepseek": Vendor(base_url="https://api.deepseek.com/v1"),
        "x": Vendor(base_url="http://h/v1"),
    }
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]

    def asked(*to: str) -> list[str]:
        routes = Routes(Config(vendors=vendors, models={"m": Model(to=to)}))
        return [offer.name for offer in routes.plan(request(messages=picture), ANYONE, Random(7)).offers]

    assert asked("deepseek/deepseek-v4-pro", "openai/gpt-4o", "x/any") == ["openai/gpt-4o", "x/any"]
    assert asked("deepseek/deepseek-v4-pro") == ["deepseek/deepseek-v4-pro"]


def shown(model: str, base_url: str = OPENAI_URL, settings: Model | None = None, **vendor: Any) -> dict[str, Any]:
    """Return a model as the list shows it."""
    settings = msgspec.structs.replace(settings or Model(to=()), to=(f"v/{model}",))
    routes = Routes(Config(vendors={"v": Vendor(base_url=base_url, **vendor)}, models={"m": settings}))
    return json.loads(msgspec.json.encode(document(routes.find("m"), 1, 1.0)))


def test_the_list_shows_what_is_known_of_a_model() -> None:
    """Sizes, kinds of content, parameters that a call may have, words for effort, and until when it is there."""
    gpt5 = shown("gpt-5")
    assert (gpt5["context_window"], gpt5["max_output_tokens"], gpt5["shutdown_date"]) == (400_000, 128_000, "2026-12-11")
    assert gpt5["reasoning_efforts"] == ["minimal", "low", "medium", "high"]
    assert {"logprobs", "logit_bias", "top_logprobs"} == set(gpt5["unsupported_parameters"])
    assert "logprobs" not in gpt5["supported_parameters"]
    assert {"reasoning_effort", "temperature", "tools"} <= set(gpt5["supported_parameters"])
    assert (gpt5["input_modalities"], gpt5["output_modalities"]) == (["text", "image", "file"], ["text"])
    claude = shown("claude-opus-5-5", "https://api.anthropic.com/v1", dialect="anthropic")
    assert claude["reasoning_efforts"] == ["low", "medium", "high", "xhigh", "max"]
    assert {"seed", "n", "logit_bias"} <= set(claude["unsupported_parameters"])
    plain = shown("m", "http://10.0.0.1/v1", Model(to=(), context_window=5, modalities=("text", "smell"), shutdown_date=date(2027, 1, 2)))
    assert (plain["context_window"], plain["modalities"], plain["shutdown_date"]) == (5, ["text", "smell"], "2027-01-02")
    assert plain["unsupported_parameters"] == []


def test_a_model_has_further_names(tmp_path: Path) -> None:
    """Callers may use them; the list shows the first."""
    (tmp_path / "aisa.yaml").write_text(
        "{vendors: {v: {base_url: 'http://h/v1'}}, models: {fast: {to: [v/m], aliases: [Quick, gpt-4o]}, gpt-4o: [v/other]}}",
        encoding="utf-8",
    )
    routes = Routes(load(str(tmp_path / "aisa.yaml"), {}, {}).config)
    assert [routes.find(name).name for name in ("fast", "quick", "QUICK", "aisa/Quick", "gpt-4o")] == [
        "fast",
        "fast",
        "fast",
        "fast",
        "gpt-4o",
    ]
    assert routes.names()[:2] == ["fast", "gpt-4o"]


def ending(end: date | None, model: str = "m") -> Routes:
    """Return routes with one model that ends on a day."""
    vendors = {"openai": Vendor(base_url=OPENAI_URL)}
    return Routes(Config(vendors=vendors, models={"fast": Model(to=(f"openai/{model}",), shutdown_date=end)}))


@pytest.mark.parametrize(
    ("days", "said"),
    [(AHEAD_DAYS + 1, None), (AHEAD_DAYS, "in 90 days, on"), (1, "in 1 day, on"), (0, "since 2027-03-01"), (-30, "since 2027-03-01")],
)
def test_a_model_near_its_end_is_told(days: int, said: str | None) -> None:
    """From three months before it, and as long as it stays configured; with the model that its vendor recommends, where that is known."""
    end = date(2027, 3, 1)
    today = date.fromordinal(end.toordinal() - days)
    notices = list(shutdown_notices(ending(end), today))
    assert len(notices) == (said is not None)
    assert all(said in notice and "'fast'" in notice for notice in notices if said)
    (known,) = shutdown_notices(ending(None, "gpt-5"), date(2026, 12, 1))
    assert (
        known == "the model openai/gpt-5, which serves 'fast', will not be served any more in 10 days, on 2026-12-11; "
        "its vendor recommends gpt-6.1-sol"
    )


def test_it_is_told_once_a_day_while_the_server_runs_and_of_the_models_that_it_has_then() -> None:
    """At the start, then every day, by the configuration that holds at that time; the end of the server ends it."""
    facts: list[Fact] = []
    config = {"routes": ending(date(2027, 1, 1))}

    async def scenario() -> None:
        began = asyncio.get_running_loop().time()
        stopped = asyncio.get_running_loop().create_future()

        async def stopping() -> None:
            await stopped

        telling = asyncio.create_task(
            tell_until(
                stopping(),
                lambda: config["routes"],
                wall_clock=lambda: 1_798_000_000.0 + asyncio.get_running_loop().time() - began,
                report=facts.append,
            )
        )
        await asyncio.sleep(DAY_SECONDS * 2.5)
        assert len(facts) == 3
        assert all(isinstance(fact, ServerWarning) for fact in facts)
        config["routes"] = ending(None)
        await asyncio.sleep(DAY_SECONDS * 2)
        assert len(facts) == 3
        stopped.set_result(None)
        await telling

    run_virtual(scenario())
