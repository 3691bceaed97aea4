"""Values that only a vendor can judge reach it as they came, and limits of a model are its entry's (fault W8)."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.wallets import Wallet
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.routing import Routes
from aisa.testing.client import MemoryClient
from aisa.testing.clock import run_virtual
from aisa.testing.upstream import Script, ScriptedUpstream
from aisa.wire.chat import parse_chat
from rig import Rig, body, document, events_of, whole_stream

USER = {"role": "user", "content": "Hi."}
CALL = {"id": "c1", "type": "custom", "function": None, "custom": {"name": "g", "input": "x"}}

#: Members of a request that some vendor takes, or says itself that it does not.
CARRIED: list[dict[str, Any]] = [
    *[{"stop": ["s"] * count} for count in (0, 5, 16, 17, 64, 10_000)],
    {"stop": ""},
    *[{"max_tokens": count} for count in (-1, 0, -2, 1, 10**9, 10**30)],
    *[{"max_completion_tokens": count} for count in (-1, 0, 10**9)],
    {"max_tokens": -1, "max_completion_tokens": 5},
    {"max_tokens": None, "max_completion_tokens": 5},
    {"top_logprobs": 0},
    {"top_logprobs": -1},
    {"logprobs": False, "top_logprobs": 0},
    {"logprobs": 1},
    {"logprobs": 5, "top_logprobs": 5},
    {"logprobs": True, "top_logprobs": 10**6},
    *[{"reasoning_effort": value} for value in (1024, 0.5, True, False, "xhigh", "", None, {"level": 1})],
    *[{"verbosity": value} for value in ("terse", 3)],
    *[{"logit_bias": value} for value in ([], [[5, 1.5]], [{"token": 5, "bias": -1}], {"hello": 2}, {"5": 1000}, {"5": False})],
    *[{"metadata": value} for value in ({"tags": ["a"]}, {"a": 1}, {"a": None}, {}, {str(at): "x" for at in range(40)}, "a", ["a"])],
    *[{"temperature": value} for value in (-1, 0, 2.1, 5, 100, 1e300)],
    *[{"top_p": value} for value in (-0.5, 0, 1.5)],
    *[{"frequency_penalty": value} for value in (-3, 2.5, 100)],
    *[{"presence_penalty": value} for value in (-3, 2.5)],
    *[{"seed": value} for value in (-1, 2**63, 10**30, 1.5)],
    {"user": 5},
    {"tools": []},
    {"functions": []},
    {"tools": [{"type": "function", "function": {"name": f"f{at}"}} for at in range(200)]},
    {"functions": [{"name": f"f{at}"} for at in range(200)]},
    {"tools": [{"type": "custom", "custom": {"name": "g"}, "function": None}]},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": True, "strict": "yes"}}]},
    {"tools": [{"type": "web_search_20260101", "max_uses": 3}]},
    {"top_k": -1, "min_p": 0.1, "repetition_penalty": 1.2},
    {"messages": [USER, {"role": "latest_reminder", "content": "x"}]},
    {"messages": [USER, {"role": "latest_reminder"}]},
    {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
        ]
    },
    {
        "messages": [
            USER,
            {"role": "assistant", "content": [], "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
        ]
    },
    {"messages": [USER, {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi.", "image_url": None}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": None, "image_url": None}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"file_id": "f"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": None, "detail": 5}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a.example/b.png"}]}]},
    {"messages": [{"role": "user", "name": None, "content": "Hi.", "tool_calls": None, "function_call": None}]},
]


@pytest.mark.parametrize("fields", CARRIED, ids=lambda fields: json.dumps(fields)[:60])
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_vendor_can_judge_reaches_it_as_it_came(fields: dict[str, Any], stream: bool) -> None:
    """[fault W8, fault W10] The call succeeds and is booked; every member the client sent is in the vendor's request, byte for byte."""
    data = body(model="fast", stream=stream, **fields)
    script = Script(whole_stream("Hello")) if stream else Script([document()], headers={"content-type": "application/json"})
    upstream = ScriptedUpstream(script)
    client = MemoryClient()
    wallet = Wallet("default", 10**40)

    async def main() -> Rig:
        rig = Rig(upstream, wallets=[wallet], prices=Prices(input=1, output=1))
        await rig.call(client, data)
        return rig

    rig = run_virtual(main())
    sent = json.loads(upstream.requests[0].body) if upstream.requests else None
    assert client.status == 200
    assert sent is not None
    asked = {name: value for name, value in json.loads(data).items() if name != "model"}
    assert {name: value for name, value in sent.items() if name in asked} == asked
    assert [row.outcome for row in rig.rows] == ["completed"]
    assert wallet.held == 0
    if stream:
        assert events_of(client.body)[-1] == "[DONE]"


def test_a_part_with_a_bare_address_is_given_the_object_that_vendors_read() -> None:
    """[fault W10] The string is AIsa's way to write an image's address; beside it, another kind of part keeps its string."""
    parts = [{"type": kind, "image_url": "https://a.example/"} for kind in ("image_url", "input_image")]
    chat = parse_chat(body(messages=[{"role": "user", "content": parts}]))
    sent = json.loads(openai.to_upstream(chat, Target("v", "m", "openai")).body)
    assert [part["image_url"] for part in sent["messages"][0]["content"]] == [{"url": "https://a.example/"}, "https://a.example/"]


@pytest.mark.parametrize(("fields", "status"), [({}, 402), ({"max_tokens": -1}, 402), ({"max_tokens": 0}, 402), ({"max_tokens": 10}, 200)])
def test_no_bound_is_held_for_as_if_none_was_given(fields: dict[str, Any], status: int) -> None:
    """[fault W8] A document without a bound is held at what the model writes at most, $0.10 here; -1 is none."""
    client = MemoryClient()

    async def main() -> None:
        vendor = ScriptedUpstream(Script([document()], headers={"content-type": "application/json"}))
        prices = Prices(input=1, output=100)
        await Rig(vendor, wallets=[Wallet("default", 10**7)], prices=prices, max_output_tokens=1_000).call(client, body(**fields))

    run_virtual(main())
    assert client.status == status


LIMITS = Model(
    to=("a/x",),
    max_output_tokens=100,
    max_top_logprobs=20,
    max_n=8,
    max_stop_sequences=4,
    max_tools=2,
    max_temperature=1,
    max_penalty=2,
    reasoning_efforts=("low", "high"),
)
TOOL = {"type": "function", "function": {"name": "f"}}

#: What is within the limits of the model, and what is just beyond.
EDGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"max_tokens": 100}, {"max_tokens": 101}, "max_tokens"),
    ({"max_completion_tokens": 100}, {"max_completion_tokens": 101}, "max_completion_tokens"),
    ({"max_tokens": -1}, {"max_tokens": 101, "max_completion_tokens": -1}, "max_tokens"),
    ({"logprobs": True, "top_logprobs": 20}, {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ({"n": 8}, {"n": 9}, "n"),
    ({"stop": ["a"] * 4}, {"stop": ["a"] * 5}, "stop"),
    ({"tools": [TOOL] * 2}, {"tools": [TOOL] * 3}, "tools"),
    ({"functions": [{"name": "f"}] * 2}, {"functions": [{"name": "f"}] * 3}, "functions"),
    ({"temperature": 1}, {"temperature": 1.01}, "temperature"),
    ({"temperature": 0}, {"temperature": -0.01}, "temperature"),
    ({"frequency_penalty": -2}, {"frequency_penalty": -2.01}, "frequency_penalty"),
    ({"presence_penalty": 2}, {"presence_penalty": 2.01}, "presence_penalty"),
    ({"reasoning_effort": "low"}, {"reasoning_effort": "max"}, "reasoning_effort"),
    ({"reasoning_effort": None}, {"reasoning_effort": 5}, "reasoning_effort"),
]


@pytest.mark.parametrize(("within", "beyond", "param"), EDGES, ids=[str(edge[1])[:40] for edge in EDGES])
def test_a_models_limits_are_its_entrys(within: dict[str, Any], beyond: dict[str, Any], param: str) -> None:
    """[fault W8] What the entry limits is 422 beyond the limit, by name; a model without limits takes all of it."""
    config = Config(vendors={"a": Vendor(base_url="http://a.example/v1")}, models={"small": LIMITS, "any": Model(to=("a/x",))})
    routes, key = Routes(config), Key("key_1", "test", b"", "…", "active", 0)
    for model, fields in (("small", within), ("any", within), ("any", beyond)):
        assert routes.plan(parse_chat(body(model=model, **fields)), key, random.Random(1)).entry.name == model
    with pytest.raises(ApiError) as refused:
        routes.plan(parse_chat(body(model="small", **beyond)), key, random.Random(1))
    assert (refused.value.status, refused.value.param) == (422, param)
    assert refused.value.code == ("max_tokens_exceeded" if "tokens" in param else "unsupported_parameter")


@pytest.mark.parametrize(
    "fields",
    [
        {"content": ["c4nary"]},
        {"content": [{"type": 5, "text": "c4nary"}]},
        {"c4nary": 1, "role": 5},
        {"tool_calls": "c4nary"},
    ],
)
def test_an_error_quotes_nothing_of_the_messages(fields: dict[str, Any]) -> None:
    """[fault S18] What is wrong below `messages` is told by its place and its type, never by its value."""
    with pytest.raises(ApiError) as refused:
        parse_chat(body(messages=[{"role": "user", "content": "c4nary", **fields}]))
    assert "c4nary" not in f"{refused.value.message} {refused.value.param}"
