"""(fault M15) What a request lets its vendor do by itself is in the bill, or is refused: further models, tools that no price tells of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, PriceTier, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.wallets import Wallet
from aisa.offer import Plan
from aisa.prices.catalogue import catalogue_price
from aisa.prices.rules import unlisted
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.completions_door import COMPLETIONS_DOOR
from aisa.wire.door import Door
from aisa.wire.embeddings_door import EMBEDDINGS_DOOR
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.reply import error_json
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import DONE, OPENING, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, usage

SAYS: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi."}]}
KEY = Key("key_1", "test", b"", "…", "active", 0)
CHEAP, DEAR = Prices(input=1, output=1), Prices(input=1, output=2)
#: The door and what a request has besides its model, in which `dear` is named; the member that names it.
NAMING: list[tuple[Door, dict[str, Any], str]] = [
    (CHAT_DOOR, {**SAYS, "models": ["cheap", "dear"]}, "models"),
    (CHAT_DOOR, {**SAYS, "models": ["dear"], "route": "fallback"}, "models"),
    (CHAT_DOOR, {**SAYS, "fallbacks": [{"model": "dear"}]}, "fallbacks"),
    (CHAT_DOOR, {**SAYS, "compound_custom": {"models": {"answering_model": "dear"}}}, "compound_custom"),
    (CHAT_DOOR, {**SAYS, "providerOptions": {"gateway": {"models": ["dear"]}}}, "providerOptions"),
    (RESPONSES_DOOR, {"input": "Hi.", "models": ["dear"]}, "models"),
    (COMPLETIONS_DOOR, {"prompt": "Hi.", "models": ["dear"]}, "models"),
    (EMBEDDINGS_DOOR, {"input": "Hi.", "models": ["dear"]}, "models"),
]


def planned(door: Door, fields: dict[str, Any], dear: Prices | None, **vendor: Any) -> Plan:
    """Return what becomes of a request for `cheap`, at a vendor where `dear` has this price. Raises ApiError."""
    prices = {"cheap": CHEAP} | ({} if dear is None else {"dear": dear})
    config = Config(
        vendors={"v": Vendor(base_url="https://api.example.com/v1", prices=prices, **vendor)}, models={"m": Model(to=("v/cheap",))}
    )
    return Routes(config, unlisted).plan(door.read(json.dumps({"model": "m", **fields}).encode()), KEY, lambda: 0.5)


@pytest.mark.parametrize(
    "dear",
    [
        None,
        DEAR,
        Prices(input=2, output=1),
        Prices(input=1, output=1, cache_write=2),
        Prices(input=1, output=1, per_request=0.1),
        Prices(input=1, output=1, tiers=(PriceTier(over_input_tokens=9, input=3, output=1),)),
    ],
)
@pytest.mark.parametrize(("door", "fields", "member"), NAMING)
def test_a_further_model_that_would_cost_more_than_is_billed_is_refused(
    door: Door, fields: dict[str, Any], member: str, dear: Prices | None
) -> None:
    """[fault M15] Prices that an operator has set hold whoever answers: a dear model was had at a cheap one's."""
    with pytest.raises(ApiError) as refused:
        planned(door, fields, dear)
    told = json.loads(error_json(refused.value, "req_1"))["error"]  # it could not be written: the caller heard of a fault of the server's
    assert (told["code"], told["param"]) == ("unknown_model", member)
    assert "'dear'" in told["message"]
    assert "vendors.v.allow_unpriced" in told["message"]


@pytest.mark.parametrize(("door", "fields", "member"), NAMING)
def test_one_that_costs_no_more_is_asked_and_an_operator_may_let_all(door: Door, fields: dict[str, Any], member: str) -> None:
    """By its price here, or by the vendor's setting."""
    assert member in fields
    assert planned(door, fields, Prices(input=0.5, output=1)).offers
    assert planned(door, fields, None, allow_unpriced=True).offers


def test_no_further_model_is_asked_beyond_the_configurations_fence() -> None:
    """With `models_only` no other name can be called, and so none be named either, unless a model here leads to it."""
    config = Config(
        vendors={"v": Vendor(base_url="https://api.example.com/v1", prices={"cheap": CHEAP, "other": CHEAP})},
        models={"m": Model(to=("v/cheap",))},
        models_only=True,
    )
    for name, good in (("cheap", True), ("other", False)):
        request = CHAT_DOOR.read(json.dumps({"model": "m", **SAYS, "models": [name]}).encode())
        if good:
            assert Routes(config, unlisted).plan(request, KEY, lambda: 0.5).offers
        else:
            with pytest.raises(ApiError):
                Routes(config, unlisted).plan(request, KEY, lambda: 0.5)


def test_a_vendor_of_another_protocol_is_not_told_and_its_caller_not_refused() -> None:
    """A member that Anthropic does not get lets it do nothing."""
    fields = {**SAYS, "models": ["dear"], "max_tokens": 9}
    assert planned(CHAT_DOOR, fields, None, dialect="anthropic").offers
    with pytest.raises(ApiError):
        planned(MESSAGES_DOOR, {**fields, "fallbacks": [{"model": "dear"}]}, None, dialect="anthropic")


def test_a_target_that_is_told_of_none_of_several_stands_once() -> None:
    """It stood as often as the request had such members, and was asked again where it had failed."""
    fields = {**SAYS, "models": ["dear"], "tools": [{"type": "openrouter:fusion"}], "plugins": [{"id": "fusion"}], "max_tokens": 9}
    assert [offer.name for offer in planned(CHAT_DOOR, fields, None, dialect="anthropic").offers] == ["v/cheap"]


TOOLS: list[tuple[dict[str, Any], bool]] = [
    ({"tools": [{"type": "openrouter:datetime"}]}, True),
    ({"tools": [{"type": "openrouter:web_fetch", "parameters": {"engine": "openrouter"}}]}, True),
    ({"tools": [{"type": "openrouter:web_fetch"}]}, False),
    ({"tools": [{"type": "openrouter:web_fetch", "parameters": {"engine": "exa"}}]}, False),
    ({"tools": [{"type": "openrouter:fusion"}]}, False),
    ({"tools": [{"type": "openrouter:subagent", "parameters": {"model": "dear"}}]}, False),
    ({"plugins": [{"id": "fusion"}]}, False),
    ({"plugins": [{"id": "file-parser"}]}, True),
    ({"plugins": [{"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}]}, True),
    ({"plugins": [{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]}, False),
    ({"plugins": [{"id": "response-healing"}]}, True),
    ({"plugins": [{"id": "fusion", "enabled": False}, {"id": "web", "enabled": False}]}, True),
    ({"plugins": [{"id": "fusion", "enabled": True}]}, False),
    ({"tools": [{"type": "function", "function": {"name": "openrouter:fusion", "parameters": {"type": "object"}}}]}, True),
]


@pytest.mark.parametrize(("fields", "good"), TOOLS)
@pytest.mark.parametrize("door", [CHAT_DOOR, RESPONSES_DOOR], ids=["chat", "responses"])
def test_what_a_router_charges_for_beside_tokens_is_refused(door: Door, fields: dict[str, Any], good: bool) -> None:
    """[fault M12] Pages that are read, parsed or asked of several models cost what no key of prices tells."""
    said: dict[str, Any] = {"input": "Hi."} if door is RESPONSES_DOOR else SAYS
    if door is RESPONSES_DOOR and "function" in str(fields):
        return
    if good:
        assert planned(door, {**said, **fields}, None).offers
    else:
        with pytest.raises(ApiError) as refused:
            planned(door, {**said, **fields}, None)
        told = json.loads(error_json(refused.value, "req_1"))["error"]
        assert (told["code"], told["param"]) == ("unknown_model", next(iter(fields)))
    assert planned(door, {**said, **fields}, None, allow_unpriced=True).offers


@pytest.mark.parametrize("colon", ["\\u003a", "\\u003A"])
@pytest.mark.parametrize("tool", ["fusion", "web_search"])
def test_a_tool_is_found_however_its_name_is_written(tool: str, colon: str) -> None:
    """[fault M12] JSON may write any character as its number, and to the vendor it is the same tool."""
    config = Config(
        vendors={"v": Vendor(base_url="https://api.example.com/v1", prices={"cheap": CHEAP})}, models={"m": Model(to=("v/cheap",))}
    )
    written = json.dumps({"model": "m", **SAYS, "tools": [{"type": f"openrouter:{tool}"}]}).replace("openrouter:", f"openrouter{colon}")
    with pytest.raises(ApiError) as refused:
        Routes(config, unlisted).plan(CHAT_DOOR.read(written.encode()), KEY, lambda: 0.5)
    assert (refused.value.code, refused.value.param) == ("unknown_model", "tools")


def test_the_dearest_further_model_is_held_for_and_billed_where_the_catalogue_has_both() -> None:
    """[fault M15] The bill follows who answered; what was held was for the cheap one, and a wallet went below zero by the difference."""
    answer = json.loads(document())
    answer["model"] = "gpt-4o"
    needs = 1 * 2_500 + 9 * 10_000  # a token of input and nine of output at the dear one's
    for balance, status in ((needs - 1, 402), (needs, 200)):
        wallet = Wallet("default", balance)
        rig = Rig(ScriptedUpstream(Script([json.dumps(answer).encode()])), wallets=[wallet], look_up=looked_up)
        client = MemoryClient()
        run_virtual(rig.call(client, body(model="fast", models=["gpt-4o"], max_tokens=9)))
        assert client.status == status, client.body


def test_what_a_stream_holds_for_as_it_grows_is_at_the_dearest_further_model_too() -> None:
    """[fault M15] Only its beginning was: what came later was held for at the cheap one's price, and the wallet went below zero."""
    words = [chunk({"content": f" w{number}"}) for number in range(1_000)]
    dear = b"".join([chunk(OPENING), *words, chunk({}, "stop"), usage(1, 1_000), DONE]).replace(b"some-model", b"gpt-4o")
    begins, steps = 2_500 + 256 * 10_000, 3 * 256
    for balance, outcome in ((begins + steps * 600, "refused"), (begins + steps * 10_000, "completed")):
        wallet = Wallet("default", balance)
        rig = Rig(ScriptedUpstream(Script([dear])), wallets=[wallet], look_up=looked_up)
        run_virtual(rig.call(MemoryClient(), body(model="fast", models=["gpt-4o"], stream=True)))
        assert rig.rows[0].outcome == outcome
        assert wallet.balance is not None
        assert wallet.balance >= 0


def looked_up(_vendor: str, _url: str, model: str) -> Any:
    """The catalogue, in which the rig's model is the cheap one of OpenAI's."""
    return catalogue_price("openai", "", "gpt-4o-mini" if model == "some-model" else model)
