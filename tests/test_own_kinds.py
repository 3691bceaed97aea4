"""(fault M12) What a request of another protocol than chat completions shows that it will cost, in tools that only its own vendors run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.row import CallRow
from aisa.prices.rules import unlisted
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream, body, event

GEMINI = GeminiDoor("m", stream=False)
EVERY = {"per_search": 0.01, "output_image": 40, "output_audio": 80}
KEY = Key("key_1", "test", b"", "…", "active", 0)


def message(**more: object) -> bytes:
    """A request of the Messages API."""
    return json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}], **more}).encode()


def contents(**more: object) -> bytes:
    """A request of Gemini's."""
    return json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi."}]}], **more}).encode()


MODALITIES = "generationConfig.responseModalities"
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
#: The door, what is sent, the dialect of the vendor that runs it, the kind that it costs, the member that asks.
ASKED: list[tuple[Door, bytes, str, str, str]] = [
    (MESSAGES_DOOR, message(tools=[SEARCH]), "anthropic", "per_search", "tools"),
    (GEMINI, contents(tools=[{"googleSearch": {}}]), "gemini", "per_search", "tools"),
    (GEMINI, contents(tools=[{"functionDeclarations": []}, {"google_search": {}}]), "gemini", "per_search", "tools"),
    (GEMINI, contents(tools=[{"googleSearchRetrieval": {}}]), "gemini", "per_search", "tools"),
    (GEMINI, contents(tools=[{"enterpriseWebSearch": {}}]), "gemini", "per_search", "tools"),
    (GEMINI, contents(tools={"googleSearch": {}}), "gemini", "per_search", "tools"),  # as Google takes it
    (GEMINI, contents(tools=[{"googleMaps": {"enableWidget": False}}]), "gemini", "per_search", "tools"),
    (
        GEMINI,
        contents(generationConfig={"responseModalities": ["TEXT", "IMAGE"]}),
        "gemini",
        "output_image",
        "generationConfig.responseModalities",
    ),
    (
        GEMINI,
        contents(generation_config={"response_modalities": ["audio"]}),
        "gemini",
        "output_audio",
        "generationConfig.responseModalities",
    ),
]
HARMLESS: list[tuple[Door, bytes, str]] = [
    (MESSAGES_DOOR, message(tools=[{"name": "web_search", "input_schema": {"type": "object"}}]), "anthropic"),
    (MESSAGES_DOOR, message(tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}]), "anthropic"),
    (MESSAGES_DOOR, message(tools=[SEARCH]), "openai"),  # which is not sent it
    (MESSAGES_DOOR, message(tools=[SEARCH]), "bedrock"),
    (GEMINI, contents(tools=[{"urlContext": {}}, {"codeExecution": {}}]), "gemini"),
    (GEMINI, contents(tools=[{"googleSearch": None}]), "gemini"),
    (GEMINI, contents(tools=[{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"googleSearch": {}}}}]}]), "gemini"),
    (GEMINI, contents(tools=[{"googleSearch": {}}]), "openai"),
    (GEMINI, contents(generationConfig={"responseModalities": ["TEXT"]}), "gemini"),
    (GEMINI, contents(generationConfig={"responseModalities": None}), "gemini"),
    # Agents offer it with every request, used or not.
    (RESPONSES_DOOR, b'{"model": "m", "input": "Hi.", "tools": [{"type": "web_search", "external_web_access": false}]}', "responses"),
]


def planned(door: Door, data: bytes, dialect: Any, prices: Prices) -> list[str]:
    """Return the targets that a request may be sent to. Raises ApiError."""
    vendor = Vendor(base_url="https://api.example.com/v1", dialect=dialect, prices={"m": prices})
    routes = Routes(Config(vendors={"v": vendor}, models={"m": Model(to=("v/m",))}), unlisted)
    return [offer.name for offer in routes.plan(door.read(data), KEY, lambda: 0.5).offers]


@pytest.mark.parametrize(("door", "data", "dialect", "kind", "asks"), ASKED)
def test_a_vendors_own_tool_without_a_price_is_refused_at_its_own_door(door: Door, data: bytes, dialect: str, kind: str, asks: str) -> None:
    """[fault M12] Before the vendor is asked, with the key to write, as in chat completions. With that key alone it goes ahead."""
    others = {name: price for name, price in EVERY.items() if name != kind}
    with pytest.raises(ApiError) as refused:
        planned(door, data, dialect, Prices(input=3, output=15, **others))
    assert (refused.value.code, refused.value.param, type(refused.value.param)) == ("unknown_model", asks, str)
    assert f"`{kind}`" in refused.value.message
    assert planned(door, data, dialect, Prices(input=3, output=15, **{kind: EVERY[kind]})) == ["v/m"]


@pytest.mark.parametrize(("door", "data", "dialect"), HARMLESS)
def test_what_costs_nothing_or_goes_to_a_vendor_of_another_protocol_is_not_refused(door: Door, data: bytes, dialect: str) -> None:
    """Those are not sent it, or it is no search."""
    assert planned(door, data, dialect, Prices(input=3, output=15)) == ["v/m"]


def grounded(grounding: dict[str, Any], *, stream: bool, model: str) -> CallRow:
    """Make a call whose answer rests on this, and return its row."""
    candidate = {
        "content": {"parts": [{"text": "a b c"}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
        "groundingMetadata": grounding,
    }
    used = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
    answer = {"candidates": [candidate], "usageMetadata": used, "modelVersion": model, "responseId": "r"}
    prices = Prices(input=1, output=1, per_search=0.01)
    vendor = Vendor(base_url="http://a.example:9/v1", dialect="gemini", prices={model: prices})
    rig = Rig(ScriptedUpstream(Script([event(answer) if stream else json.dumps(answer).encode()])))
    rig.dependencies.routes = Routes(Config(vendors={"a": vendor}, models={"fast": Model(to=(f"a/{model}",))}), unlisted)
    run_virtual(rig.call(MemoryClient(), body(stream=stream), door=CHAT_DOOR))
    [row] = rig.rows
    return row


@pytest.mark.parametrize(
    ("grounding", "searches"),
    [
        ({"webSearchQueries": ["a", "b"]}, 2),
        ({"webSearchQueries": ["a"], "imageSearchQueries": ["b", "c"]}, 3),
        ({"imageSearchQueries": ["b"]}, 1),
        ({"groundingChunks": [{"maps": {"uri": "http://a", "title": "t"}}, {"maps": {"uri": "http://b", "title": "u"}}]}, 1),
        ({"webSearchQueries": ["a"], "groundingChunks": [{"maps": {"uri": "http://a", "title": "t"}}]}, 1),
        ({"groundingChunks": [{"retrievedContext": {"uri": "gs://a", "title": "t"}}]}, 0),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_gemini_looked_up_is_charged_by_the_query(grounding: dict[str, Any], searches: int, *, stream: bool) -> None:
    """[fault M12] Pictures and maps too, not pages alone; older models by the prompt, however many queries it took."""
    tokens = 12_000
    assert grounded(grounding, stream=stream, model="gemini-3.5-flash").cost == tokens + searches * 10_000_000
    assert grounded(grounding, stream=stream, model="gemini-2.5-flash").cost == tokens + min(searches, 1) * 10_000_000
