"""(fault M12) Every kind of token that a report tells apart, and every fee, is charged at its own price, in whole nano-dollars."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from aisa.config.checks import check
from aisa.config.schema import Prices, PriceTier, VendorTier
from aisa.edge.bill_view import ADVICE
from aisa.ledger.audit import exact_cost
from aisa.ledger.journal import OPENING_BYTES_MAX
from aisa.ledger.row import CallRow
from aisa.prices.catalogue import catalogue_price
from aisa.prices.rules import configured
from aisa.pricing import FEES, PRICED, RARER, UNCHARGED, UnitPrices, cost_of, parts_of, unit_prices
from aisa.testing.clock import run_virtual
from aisa.usage import Breakdown, Usage
from repeats import repeats
from rig import MemoryClient, Rig, Script, ScriptedUpstream, body, document
from rows import prices as any_prices
from rows import usages

GEMINI_AUDIO = Prices(input=0.3, output=2.5, cached_input=0.03, input_audio=1, cached_input_audio=0.1)
CLAUDE = Prices(input=3, output=15, cached_input=0.3, cache_write=3.75, cache_write_1h=6)
GROK = Prices(input=0.3, output=0.5, per_source=0.025)
SEARCHING = Prices(input=2.5, output=10, per_search=0.025)
VOXTRAL = Prices(input=0.1, output=0.3, cached_input=0.01, input_audio=5, cached_input_audio=0.5)
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def report(taken: int, made: int, **more: Any) -> dict[str, Any]:
    """A vendor's report of usage."""
    return {"prompt_tokens": taken, "completion_tokens": made, "total_tokens": taken + made, **more}


def billed(prices: Prices, usage: dict[str, Any], **request: Any) -> CallRow:
    """Make one call whose document reports this usage, and return its row."""
    answer = {**json.loads(document()), "usage": usage}
    rig = Rig(ScriptedUpstream(Script([json.dumps(answer).encode()])), each=[prices])
    run_virtual(rig.call(MemoryClient(), body(**request)))
    return rig.rows[0]


CASES: dict[str, tuple[Prices, dict[str, Any], dict[str, Any], int]] = {
    # 200 x 2.5 + 800 x 40 + 100 x 10 + 400 x 80 = 65,500 micro-dollars
    "audio in and out": (
        Prices(input=2.5, output=10, input_audio=40, output_audio=80),
        report(1_000, 500, prompt_tokens_details={"audio_tokens": 800}, completion_tokens_details={"audio_tokens": 400}),
        {},
        65_500_000,
    ),
    # 2,000 x 1 + 8,000 x 0.1 + 100 x 2.5 = 3,050
    "audio alone, most of it cached": (
        GEMINI_AUDIO,
        report(10_000, 100, prompt_tokens_details={"audio_tokens": 10_000, "cached_tokens": 8_000}),
        {},
        3_050_000,
    ),
    # of 5,000 of audio 3,000 were cached, and 1,000 of the text: 2,000 x 1 + 3,000 x 0.1 + 1,000 x 0.03 + 4,000 x 0.3 + 100 x 2.5 = 3,780
    "audio and text, some of either cached": (
        GEMINI_AUDIO,
        report(
            10_000,
            100,
            prompt_tokens_details={"audio_tokens": 5_000, "cached_tokens": 4_000, "cached_tokens_details": {"audio_tokens": 3_000}},
        ),
        {},
        3_780_000,
    ),
    # 1,000 x 3 + 9,000 x 6 + 500 x 15 = 64,500
    "written for an hour, as the request asks": (
        CLAUDE,
        report(10_000, 500, prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 9_000}),
        HOUR,
        64_500_000,
    ),
    # 1,000 x 3 + 5,000 x 3.75 + 4,000 x 6 + 500 x 15 = 53,250
    "written for five minutes and an hour, as the report tells": (
        CLAUDE,
        report(
            10_000,
            500,
            cache_creation_input_tokens=9_000,
            cache_creation={"ephemeral_5m_input_tokens": 5_000, "ephemeral_1h_input_tokens": 4_000},
        ),
        {},
        53_250_000,
    ),
    # as GPT-5.6 and later report every write, whose usual lifetime this is: 1,000 x 5 + 9,000 x 6.25 + 500 x 30, whatever sound costs
    "written for half an hour, which is what a write costs at OpenAI": (
        Prices(input=5, output=30, cached_input=0.5, cache_write=6.25, input_audio=40),
        report(10_000, 500, prompt_tokens_details={"cache_write_tokens": 9_000, "cache_write_tokens_details": {"ttl_30m_tokens": 9_000}}),
        {},
        76_250_000,
    ),
    # 12 hours have no price: the dearest of the input is 6 for the hour; 1,000 x 3 + 9,000 x 6 + 500 x 15 = 64,500
    "written for longer than there is a price for": (
        CLAUDE,
        report(10_000, 500, cache_creation={"ephemeral_12h_input_tokens": 9_000}),
        {},
        64_500_000,
    ),
    # Mistral's: 12 seconds are 375 tokens beside the prompt, in the total alone: 3 x 0.1 + 375 x 5 + 41 x 0.3
    "sound in the total alone": (
        VOXTRAL,
        {
            **report(3, 41, total_tokens=419, prompt_audio_seconds=12),
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375},
        },
        {},
        1_887_600,
    ),
    # the same of which nobody says how much it is: 5 x 0.1 + 375 x 5 + 24 x 0.3
    "sound of so many seconds": (VOXTRAL, report(5, 24, total_tokens=404, prompt_audio_seconds=5), {}, 1_882_700),
    # of 380 tokens 368 are cached: 5 of them can be text, so 363 are not: 5 x 0.01 + 363 x 0.5 + 12 x 5 + 24 x 0.3
    "sound of which most is cached": (
        VOXTRAL,
        report(5, 24, total_tokens=404, prompt_audio_seconds=5, prompt_tokens_details={"cached_tokens": 368}),
        {},
        248_750,
    ),
    # no sound: what is in the total alone is thinking: 5 x 0.1 + 399 x 0.3
    "no seconds of sound": (VOXTRAL, report(5, 24, total_tokens=404, prompt_audio_seconds=0), {}, 120_200),
    # as much sound as thinking, and no seconds: what is in the total alone is thinking: 2 x 0.1 + 1 x 5 + 42 x 0.3
    "sound and thinking of one size": (
        VOXTRAL,
        report(3, 41, total_tokens=45, reasoning_tokens=1, prompt_tokens_details={"audio_tokens": 1}),
        {},
        17_800,
    ),
    # 1,000 x 0.3 + 100 x 0.5 micro-dollars, and 10 sources at 25,000
    "sources": (GROK, report(1_000, 100, num_sources_used=10), {}, 250_350_000),
    # 1,000 x 2.5 + 500 x 10 micro-dollars, and 2 searches at 25,000
    "searches": (SEARCHING, report(1_000, 500, server_tool_use={"web_search_requests": 2}), {}, 57_500_000),
    "searches of the web and of posts": (
        SEARCHING,
        report(1_000, 500, server_side_tool_usage_details={"web_search_calls": 2, "x_search_calls": "1", "mcp_calls": 7}),
        {},
        82_500_000,
    ),
    # Perplexity's example with a shorter answer: (33 + 20,016) x 2 + 3,000 x 8 + 73,997 x 3 micro-dollars, and 18 searches at 5,000
    "research": (
        Prices(input=2, output=8, reasoning=3, per_search=0.005),
        report(
            33,
            3_000,
            citation_tokens=20_016,
            reasoning_tokens=73_997,
            num_search_queries=18,
            cost={"citation_tokens_cost": 0.040032, "reasoning_tokens_cost": 0.221991, "total_cost": 0.41},
        ),
        {},
        376_089_000,
    ),
    # the same without a search, and 5,000 for the request
    "a fee for each request": (
        Prices(input=2.5, output=10, per_request=0.005),
        report(1_000, 500),
        {},
        12_500_000,
    ),
    # 900 x 2.5 + 100 x 5 + 200 x 10 + 300 x 40 = 16,750
    "images in and out": (
        Prices(input=2.5, output=10, input_image=5, output_image=40),
        report(1_000, 500, prompt_tokens_details={"image_tokens": 100}, completion_tokens_details={"image_tokens": 300}),
        {},
        16_750_000,
    ),
    # the same with films: (1,000 - 100 - 300) x 2.5 + 400 x 5 + (500 - 300) x 10 + 300 x 40
    "films and images in, films out": (
        Prices(input=2.5, output=10, input_image=5, output_image=40),
        report(
            1_000, 500, prompt_tokens_details={"image_tokens": 100, "video_tokens": 300}, completion_tokens_details={"video_tokens": 300}
        ),
        {},
        17_500_000,
    ),
    # a region at 1.1 times the list price: (1,000 x 2.5 + 500 x 10) x 1.1 = 8,250, and a search at 25,000 as listed
    "a factor on tokens": (
        Prices(input=2.5, output=10, per_search=0.025, factor=1.1),
        report(1_000, 500, server_tool_use={"web_search_requests": 1}),
        {},
        33_250_000,
    ),
}


@pytest.mark.parametrize(("prices", "usage", "request_fields", "nanos"), CASES.values(), ids=list(CASES))
def test_each_kind_is_charged_at_its_own_price(prices: Prices, usage: dict[str, Any], request_fields: dict[str, Any], nanos: int) -> None:
    """From the vendor's report to the row; the arithmetic stands beside each case."""
    row = billed(prices, usage, **request_fields)
    assert row.prices is not None
    assert (row.outcome, row.cost) == ("completed", nanos)
    assert row.marks is None or "cache_write_30m" not in row.marks
    assert exact_cost(row.billed, row.prices) == nanos


def test_the_catalogue_has_the_rarer_prices_too() -> None:
    """Cached audio of Gemini, the hour of Anthropic, searches by the piece and not by the thousand."""
    gemini = catalogue_price("google", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash")
    claude = catalogue_price("anthropic", "https://api.anthropic.com/v1", "claude-sonnet-4-5")
    assert gemini is not None
    assert claude is not None
    prices = gemini.at(1.8e9).prices
    assert (prices.cached_input_audio, prices.per_search) == (100_000_000, 35_000_000)
    usage = Usage(10_000, 100, 8_000, input_audio_tokens=10_000, breakdown=Breakdown(cached_audio_tokens=8_000))
    assert cost_of(usage, prices) == 3_050_000
    assert claude.at(1.8e9).prices.cache_write_1h == 6_000_000_000


@settings(max_examples=repeats(300), derandomize=True, deadline=None)
@given(usages, any_prices)
def test_an_auditor_who_knows_the_documentation_alone_comes_to_the_same_cost(usage: Usage, prices: UnitPrices) -> None:
    """Any counts, also such as contradict each other, at any prices; and every token is in exactly one part."""
    assert cost_of(usage, prices) == exact_cost(usage, prices)
    parts = parts_of(usage, prices.for_input(usage.input_tokens))
    assert sum(part.quantity for part in parts if part.kind not in (*FEES, ADVICE)) == usage.input_tokens + usage.output_tokens
    assert all(part.quantity > 0 and part.kind in (*PRICED, *UNCHARGED, ADVICE) for part in parts)


def test_nothing_is_charged_for_a_call_of_which_nothing_is_billed() -> None:
    """Not even the fee for a request."""
    assert cost_of(Usage(), unit_prices({"input": 1, "output": 1, "per_request": 10**9})) == 0


def test_a_service_tier_has_rarer_kinds_of_its_own_and_the_fees_from_outside() -> None:
    """A factor is on tokens alone."""
    setting = Prices(input=1, output=2, cache_write_1h=4, per_search=0.01, service_tiers={"flex": VendorTier(factor=0.5)})
    (term,) = configured(setting, "m")
    flex = term.tiers["flex"].prices
    assert (flex.input, flex.cache_write_1h, flex.per_search) == (500_000_000, 2_000_000_000, 10_000_000)


def test_prices_without_rarer_kinds_take_no_more_room_in_a_row() -> None:
    """They are not written where there are none, and all of them leave room for the rest of an opening."""
    plain = msgspec.json.encode(unit_prices({"input": 1, "output": 1}))
    assert b"null" not in plain
    assert b"per_" not in plain
    full = UnitPrices(**dict.fromkeys(PRICED, 10**10))
    assert len(msgspec.json.encode(full)) < OPENING_BYTES_MAX - 1_000


@pytest.mark.parametrize(("tiers", "kinds", "fits"), [(0, 9, True), (1, 5, True), (1, 6, False), (4, 2, True), (4, 3, False)])
def test_as_many_rarer_prices_may_be_stated_as_a_row_can_keep(tiers: int, kinds: int, *, fits: bool) -> None:
    """All of them without thresholds of input; the refusal names them."""
    steps = tuple(PriceTier(over_input_tokens=at + 1, input=1, output=1) for at in range(tiers))
    setting = Prices(input=1, output=1, tiers=steps, **dict.fromkeys((*RARER, *FEES)[:kinds], 1))
    flaw = check("models.<name>.prices", "prices", setting)
    assert (flaw is None) is fits
    assert flaw is None or "cached_input_audio" in flaw.what
