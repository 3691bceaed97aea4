"""(fault M11) A call that Anthropic answered in one place costs what it charges for that place, and is held for at that price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.config.schema import Config, Model, Prices, Vendor, VendorTier
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.prices.catalogue import catalogue_price
from aisa.prices.listed_entry import NotCharged, prices_of
from aisa.prices.rules import configured
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.messages_door import MESSAGES_DOOR
from rig import MemoryClient, Rig, Script, ScriptedUpstream

ANTHROPIC = "https://api.anthropic.com/v1"
#: 1,000 in and 100 out: 3 x 1,000 + 15 x 100 micro-dollars.
PLAIN = 4_500_000
PRICES = Prices(
    input=3, output=15, service_tiers={"us": VendorTier(factor=1.1), "fast": VendorTier(factor=2), "fast+us": VendorTier(factor=2.2)}
)


def answered(*, stream: bool, **said: Any) -> list[bytes]:
    """An answer whose report says this besides its tokens."""
    used = {"input_tokens": 1_000, "output_tokens": 100, **said}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "some-model", "stop_sequence": None}
    if not stream:
        text = [{"type": "text", "text": "Hi there. " * 40}]
        return [json.dumps({**message, "content": text, "stop_reason": "end_turn", "usage": used}).encode()]
    opening = {**message, "content": [], "stop_reason": None, "usage": {**used, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi there. " * 40}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 100}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def called(
    door: Door, answer: list[bytes], *, prices: Prices = PRICES, wallet: Wallet | None = None, **asked: Any
) -> tuple[Any, list[CallRow]]:
    """Make one call of a model of Anthropic's. Returns its client and its rows."""
    rig = Rig(ScriptedUpstream(Script(answer)), each=[prices], vendor={"dialect": "anthropic"}, wallets=[wallet] if wallet else [])
    client = MemoryClient()
    body = {"model": "fast", "max_tokens": 100, "messages": [{"role": "user", "content": "text" * 1_000}], **asked}
    run_virtual(rig.call(client, json.dumps(body).encode(), door=door))
    return client, rig.rows


@pytest.mark.parametrize(
    ("said", "times", "tier"),
    [
        ({"inference_geo": "us"}, 1.1, "us"),
        ({"inference_geo": "US", "service_tier": "standard"}, 1.1, "us"),
        ({"inference_geo": "us", "speed": "fast"}, 2.2, "fast+us"),
        ({"inference_geo": "global", "speed": "fast"}, 2, "fast"),
        ({"inference_geo": "global"}, 1, ""),
        ({"inference_geo": "not_available", "service_tier": "standard"}, 1, ""),
        ({"inference_geo": None}, 1, ""),
        ({"inference_geo": 7}, 1, ""),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("door", [CHAT_DOOR, MESSAGES_DOOR], ids=["chat", "messages"])
def test_an_answer_costs_what_the_place_costs_where_it_was_made(
    door: Door, said: dict[str, Any], times: float, tier: str, *, stream: bool
) -> None:
    """[fault M11] Whoever asked for it, the request or the vendor's workspace."""
    client, [row] = called(door, answered(stream=stream, **said), stream=stream)
    assert (client.status, row.outcome, row.cost) == (200, "completed", round(PLAIN * times))
    assert row.price_source.endswith(f"service_tiers.{tier}" if tier else "some-model")


def test_the_catalogues_prices_of_anthropics_models_know_the_place() -> None:
    """[fault M11] All kinds of tokens cost 1.1 times as much, at every speed, and fees do not; other vendors have no such place."""
    listed = catalogue_price("anthropic", ANTHROPIC, "claude-opus-5-5")
    assert listed is not None
    for usual, there in (("", "us"), ("fast", "fast+us"), ("priority", "priority+us")):
        plain, dearer = (listed.at(1_790_000_000, tier).prices for tier in (usual, there))
        for kind in ("input", "output", "cached_input", "cache_write", "cache_write_1h"):
            assert getattr(dearer, kind) == round(getattr(plain, kind) * 1.1)
        assert dearer.per_search == plain.per_search
    assert "times 1.1" in listed.at(1_790_000_000, "us").source
    other = catalogue_price("openai", "https://api.openai.com/v1", "gpt-5.4")
    assert other is not None
    assert not other.has("us")


def test_a_place_without_a_price_costs_what_is_usual_and_the_row_says_so() -> None:
    """As any tier that the vendor alone chose."""
    _, [row] = called(MESSAGES_DOOR, answered(stream=False, inference_geo="us"), prices=Prices(input=3, output=15))
    assert (row.cost, row.price_source.endswith("as the tier 'us' has none")) == (PLAIN, True)


@pytest.mark.parametrize(
    ("said", "times", "source"),
    [
        ({"speed": "fast", "inference_geo": "us"}, 6, "fast, as the tier 'fast+us' has none"),
        ({"service_tier": "priority", "inference_geo": "us"}, 1.1, "us, as the tier 'priority+us' has none"),
    ],
)
def test_a_place_without_a_price_takes_no_tier_away(said: dict[str, str], times: float, source: str) -> None:
    """[fault M11] Whoever asked for the place, too, had the fast tier at the usual price. The first of both that has a price counts."""
    prices = Prices(input=3, output=15, service_tiers={"us": VendorTier(factor=1.1), "fast": VendorTier(factor=6)})
    _, [row] = called(MESSAGES_DOOR, answered(stream=False, **said), prices=prices)
    assert (row.cost, row.price_source.endswith(f".service_tiers.{source}")) == (PLAIN * times, True)


def test_a_request_for_a_place_is_held_for_at_its_price() -> None:
    """[fault M17] 1.1 times 1,000 x 3.75, as a mark lets all of it be written, and 100 x 15 micro-dollars."""
    prices = Prices(input=3, output=15, cache_write=3.75, service_tiers={"us": VendorTier(factor=1.1)})
    needed = round((1_000 * 3_750 + 100 * 15_000) * 1.1)
    for balance, status in ((needed, 200), (needed - 1, 402)):
        asked = {"inference_geo": "us", "cache_control": {"type": "ephemeral"}}
        client, _ = called(
            MESSAGES_DOOR, answered(stream=False, inference_geo="us"), prices=prices, wallet=Wallet("default", balance), **asked
        )
        assert client.status == status
    flat = Prices(input=3, output=15, service_tiers={"us": VendorTier(factor=1.1)})  # a cache costs nothing there
    for balance, status in ((round(PLAIN * 1.1), 200), (round(PLAIN * 1.1) - 1, 402)):
        wallet = Wallet("default", balance)
        client, _ = called(MESSAGES_DOOR, answered(stream=False, inference_geo="us"), prices=flat, wallet=wallet, inference_geo="us")
        assert client.status == status
    wallet = Wallet("default", 1_000 * 3_000 + 100 * 15_000)
    client, _ = called(MESSAGES_DOOR, answered(stream=False, inference_geo="global"), prices=prices, wallet=wallet, inference_geo="global")
    assert client.status == 200


def test_no_client_of_chat_completions_is_told_of_a_tier_that_is_none() -> None:
    """The place is no `service_tier` in OpenAI's words."""
    client, _ = called(CHAT_DOOR, answered(stream=False, inference_geo="us"))
    assert json.loads(client.body).get("service_tier") in (None, "default", "standard")


def test_a_list_in_litellms_format_says_what_a_place_and_speed_cost() -> None:
    """[fault M11] As factors on all prices of tokens, which stand beside each other; what is no number there says nothing of prices."""
    entry = {"mode": "chat", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07}
    more = {"us": 1.1, "fast": 2.0, "bedrock_invocation_schema": "titan_v2"}
    prices = prices_of({**entry, "provider_specific_entry": more})
    [term] = configured(prices, "list")
    costs = {tier: price.prices.input for tier, price in term.tiers.items()}
    assert costs == {"us": 3_300_000_000, "fast": 6_000_000_000, "fast+us": 6_600_000_000}
    assert term.tiers["fast+us"].prices.cached_input == 660_000_000
    for other in (None, [], {"us": "1.1x"}, {"us": 0}, {"us": -1}, {"us": True}, {"realtime_ga_only": 1}):
        assert prices_of({**entry, "provider_specific_entry": other}) == prices_of(entry)
    with pytest.raises(NotCharged, match="too high"):
        prices_of({**entry, "provider_specific_entry": {"us": 1e9}})


REGION = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/publishers/google"
ANYWHERE = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"


@pytest.mark.parametrize(
    ("model", "dearer"),
    [
        ("claude-sonnet-4-5", True),
        ("claude-opus-5-5", True),
        ("gemini-3.5-flash", True),
        ("gemini-2.5-flash", False),
        ("claude-opus-4-1", False),
    ],
)
def test_a_model_that_vertex_keeps_to_a_place_costs_what_it_costs_there(model: str, *, dearer: bool) -> None:
    """[fault M11] 1.1 times the price anywhere for the newer models, in a region and on a continent; the operator's factor replaces it."""
    usual = catalogue_price("vertex", ANYWHERE, model)
    assert usual is not None
    for address in (REGION, "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google"):
        here = catalogue_price("vertex", address, model)
        assert here is None or here.at(0).prices.input == round(usual.at(0).prices.input * (1.1 if dearer else 1))
    for factor, times in ((None, 1.1 if dearer else 1), (1.2, 1.2)):
        vendor = Vendor(base_url=REGION, dialect="gemini", api_key="k", price_factor=factor)
        [offer] = Routes(Config(vendors={"v": vendor}, models={"m": Model(to=(f"v/{model}",))}), catalogue_price).find("m").offers
        price = offer.price_at(0)
        assert price is not None
        assert price.prices.input == round(usual.at(0).prices.input * times)
