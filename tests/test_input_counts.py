"""What clients are told who ask how many tokens an input has: the count of their bill, at every door that counts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from aisa.config.route import Route
from aisa.config.schema import Config, Model, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.edge.input_counts import InputCounts
from aisa.keys.rules import Key
from aisa.long_counts import LongCounts
from aisa.providers.counting import Counting
from aisa.providers.own_input import TRIED_CHARACTERS_MAX
from aisa.providers.tasks import DIALECTS
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.content import Content
from aisa.wire.request_content import content_of
from aisa.wire.tokenized_text import Tokenizer
from faults_rig import gateway, hang, on_uvloop, post
from rig import body
from server import Server
from test_long_counts import BEGINNING, LONG, WORDS, Words

MESSAGES = [{"role": "user", "content": LONG}]
#: Where a client asks -> what it sends, and the member that has the answer.
DOORS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/messages/count_tokens": ({"model": "fast", "messages": MESSAGES}, "input_tokens"),
    "/v1/responses/input_tokens": ({"model": "fast", "input": LONG}, "input_tokens"),
    "/v1beta/models/fast:countTokens": ({"contents": [{"role": "user", "parts": [{"text": LONG}]}]}, "totalTokens"),
}


def routes(words: Words, **model: Any) -> Routes:
    """One model, whose tokenizer counts words."""
    vendors = {"a": Vendor(base_url="http://127.0.0.1:9/v1", tokenizer="t")}
    config = Config(vendors=vendors, models={"fast": Model(to=("a/m",), **model)})
    return Routes(config, counting=Counting({"t": Tokenizer("t", words.count)}))


@pytest.mark.parametrize("path", DOORS)
def test_a_long_input_is_counted_whole_and_beside_the_loop(path: str) -> None:
    """By its beginning it would have four times as many tokens as its bill; no vendor is asked, and a model that is not there is told."""
    fields, member = DOORS[path]
    words = Words()

    async def main() -> None:
        async with gateway(hang) as home:
            home.dependencies.routes = routes(words)
            reply = await home.ask(post(json.dumps(fields).encode(), path=path))
            assert (reply.status, reply.json[member]) == (200, WORDS)
            other = json.dumps(fields | ({"model": "none"} if "model" in fields else {})).encode()
            refused = await home.ask(post(other, path=path.replace("/fast:", "/none:")))
            assert refused.status == 404
            assert not home.vendor.lines

    on_uvloop(main())
    assert words.in_thread == len(LONG)
    assert max(size for _, size in words.asked) <= TRIED_CHARACTERS_MAX


def test_more_than_there_is_room_for_are_counted_by_their_beginning() -> None:
    """[a named limit] Who only asks never waits longer for that, and its room is not that of bills."""
    words = Words()
    counts = InputCounts(random.Random(1), LongCounts(waiting_max=0))
    key = Key("key_1", "test", b"", "sk-…", "active", 0)
    found = run_virtual(counts.tokens(CHAT_DOOR.read(body(messages=MESSAGES)), routes(words), key))
    assert (found, words.in_thread) == (-(-BEGINNING * len(LONG) // TRIED_CHARACTERS_MAX), 0)


def test_the_name_of_a_message_is_part_of_its_text() -> None:
    """Nothing that a caller sends to the model is free for where it stands; by bytes and by a tokenizer."""
    words = Words()
    messages = [{"role": "user", "name": "Ada of London", "content": "Hi there."}, {"role": "function", "name": "look_up", "content": "1"}]
    request = CHAT_DOOR.read(body(messages=messages))
    assert request.chat is not None
    assert content_of(request.chat) == Content(len("Ada of LondonHi there.look_up1"))
    key = Key("key_1", "test", b"", "sk-…", "active", 0)
    assert run_virtual(InputCounts(random.Random(1)).tokens(request, routes(words), key)) == len("Ada of LondonHi there.look_up1".split())


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
#: Where a client asks ahead -> where it asks then, what it sends, and where the answer says what was read.
AHEAD: dict[str, tuple[str, dict[str, Any], Callable[[Any], int]]] = {
    "/v1/messages/count_tokens": (
        "/v1/messages",
        {
            "model": "fast",
            "max_tokens": 5,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "Hello there!"}],
            "tools": [{"name": "f", "input_schema": SCHEMA}],
        },
        lambda answer: int(answer["usage"]["input_tokens"]),
    ),
    "/v1/responses/input_tokens": (
        "/v1/responses",
        {"model": "fast", "instructions": "Be brief.", "input": "Hello there!", "max_output_tokens": 16},
        lambda answer: int(answer["usage"]["input_tokens"]),
    ),
    "/v1beta/models/fast:countTokens": (
        "/v1beta/models/fast:generateContent",
        {"contents": [{"parts": [{"text": "Hello there!"}]}], "tools": [{"functionDeclarations": [{"name": "f", "parameters": SCHEMA}]}]},
        lambda answer: int(answer["usageMetadata"]["promptTokenCount"]),
    ),
}


@pytest.mark.parametrize("path", AHEAD)
def test_the_built_in_model_counts_ahead_what_it_reports_then(server: Server, path: str) -> None:
    """[fault S23] It was estimated by its size: 8 for 14."""
    asked_then, fields, reported = AHEAD[path]
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}) as client:
        ahead = client.post(path, json=fields).raise_for_status().json()
        answer = client.post(asked_then, json=fields).raise_for_status().json()
    assert ahead[DOORS[path][1]] == reported(answer) > 0


def test_what_the_built_in_model_refuses_is_counted_as_by_others(server: Server) -> None:
    """It is a vendor like others, whose refusals are its own: who only counts asks none."""
    fields = {"model": "fast", "max_tokens": 5, "top_k": 1, "temperature": 7, "messages": [{"role": "user", "content": "Hello there!"}]}
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}) as client:
        assert client.post("/v1/messages/count_tokens", json=fields).raise_for_status().json()["input_tokens"] > 0


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}}
#: Where a client asks ahead -> what a call is refused before anybody is asked, and what the refusal names.
REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "/v1/messages/count_tokens": [
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "content": [PICTURE]}]}, "messages[0].content[0]"),
        ({"tools": [{"name": "f", "parameters": {}}]}, "tools[0]"),
        ({"max_tokens": 99_999}, "max_tokens"),
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, "pictures"),
    ],
    "/v1/responses/input_tokens": [
        ({"input": [{"type": "hologram"}]}, "input[0]"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,eA=="}]}]}, "pictures"),
    ],
    "/v1beta/models/fast:countTokens": [
        ({"contents": [{"parts": [{"hologram": 1}]}]}, "contents[0].parts[0]"),
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
    ],
}


def without_id(told: Any) -> Any:
    """What is told of a refusal, but of which request."""
    error = {name: value for name, value in told["error"].items() if name not in ("request_id", "details")}
    return {name: value for name, value in told.items() if name != "request_id"} | {"error": error}


@pytest.mark.parametrize(("path", "members", "named"), [(path, *case) for path, cases in REFUSED.items() for case in cases], ids=str)
def test_what_a_call_would_be_refused_a_count_is_refused_too(path: str, members: dict[str, Any], named: str) -> None:
    """In the same words, by the same place. It was counted without what nobody could have been shown, and the call was refused then."""
    asked_then, fields, _ = AHEAD[path]
    body = json.dumps(fields | members).encode()

    async def main() -> None:
        async with gateway(hang) as home:
            vendors = {"a": Vendor(base_url="http://127.0.0.1:9", dialect="cohere")}
            model = Model(to=(TargetSetting(target="a/command-a-plus-05-2026", takes=("tools",)),), max_output_tokens=9_000)
            home.dependencies.routes = Routes(Config(vendors=vendors, models={"fast": model}))
            home.dependencies.dialects = DIALECTS
            count, call = [await home.ask(post(body, path=where)) for where in (path, asked_then)]
            assert (count.status, without_id(count.json)) == (call.status, without_id(call.json))
            assert count.status in (400, 422)
            assert named in count.json["error"]["message"]
            assert (await home.ask(post(json.dumps(fields).encode(), path=path))).status == 200

    on_uvloop(main())


def test_a_count_is_of_the_first_target_that_can_be_asked() -> None:
    """Always the same one, whichever is drawn for calls."""
    words = Words()
    vendors = {"a": Vendor(base_url="http://127.0.0.1:9", dialect="cohere"), "b": Vendor(base_url="http://127.0.0.1:9/v1", tokenizer="t")}
    models = {"fast": Model(to=("a/m", "b/m"), route=Route(by="weights"))}
    both = Routes(Config(vendors=vendors, models=models), counting=Counting({"t": Tokenizer("t", words.count)}))
    key = Key("key_1", "test", b"", "sk-…", "active", 0)
    counts = InputCounts(random.Random(1))
    plain, only_b = CHAT_DOOR.read(body(messages=MESSAGES)), CHAT_DOOR.read(body(messages=MESSAGES, logit_bias={"1": 1}))
    assert {run_virtual(counts.tokens(plain, both, key)) for _ in range(9)} == {-(-len(LONG) // 4)}
    assert {run_virtual(counts.tokens(only_b, both, key)) for _ in range(9)} == {WORDS}
