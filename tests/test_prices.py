"""From tokens to money: which price holds when, what each token costs, and that no nano-dollar is lost on a million calls."""

from __future__ import annotations

import json
import random
import struct
import time
import timeit
from datetime import UTC, date, datetime
from fractions import Fraction

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aisa.config.schema import Prices, PriceTier
from aisa.edge.models import price_document
from aisa.prices.rules import BEGINNING, Price, PriceList, Term, configured, is_local, may_be_listed, seconds_of
from aisa.pricing import FEES, KINDS, RARER, Tier, UnitPrices, cost_of, tokens_by_kind, unit_prices
from aisa.providers.counting import AskedOf
from aisa.providers.openai_answer import as_usage, plain_answer
from aisa.providers.shape import Target
from aisa.usage import REPORTED, Usage, Way
from aisa.wire.chat import parse_chat
from aisa.wire.shown import Shown
from aisa.wire.usage_report import UsageReport
from rig import body

CHAT = parse_chat(body())
ASKED = AskedOf(CHAT, Target("a", "m", "openai"))


def plain(answer: object) -> Usage:
    """Return the usage of an answer that passes untouched."""
    conformant = plain_answer(json.dumps(answer).encode(), CHAT, ASKED)
    assert conformant is not None
    return as_usage(conformant.usage)


COUNTS = st.integers(0, 60)
RATES = st.integers(0, 10**15)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cached_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    input_audio_tokens=COUNTS,
    output_audio_tokens=COUNTS,
)
FLAT = st.builds(UnitPrices, **dict.fromkeys(KINDS, RATES))
TIERS = st.dictionaries(st.integers(1, 60), FLAT, max_size=3).map(
    lambda tiers: tuple(Tier(over, prices) for over, prices in sorted(tiers.items()))
)
PRICES = st.builds(lambda prices, tiers: msgspec.structs.replace(prices, tiers=tiers), FLAT, TIERS)


def slow_cost(usage: Usage, prices: UnitPrices) -> int:
    """What a call costs, token by token, in fractions: written from the documentation, not from the code."""
    reached = [tier for tier in prices.tiers if tier.over_input_tokens < usage.input_tokens]
    rates = max(reached, key=lambda tier: tier.over_input_tokens).prices if reached else prices
    given_kinds = ["cached_input"] * usage.cached_tokens + ["cache_write"] * usage.cache_write_tokens
    given_kinds += ["input_audio"] * usage.input_audio_tokens + ["input"] * usage.input_tokens
    made_kinds = ["reasoning"] * usage.reasoning_tokens + ["output_audio"] * usage.output_audio_tokens + ["output"] * usage.output_tokens
    charged = given_kinds[: usage.input_tokens] + made_kinds[: usage.output_tokens]
    exact = sum((Fraction(getattr(rates, kind), 10**6) for kind in charged), Fraction(0))
    whole, rest = divmod(exact, 1)
    return int(whole) + (rest >= Fraction(1, 2))


@given(USAGES, PRICES)
@example(Usage(1, 0), unit_prices({"input": 500_000}))
@example(Usage(1, 0), unit_prices({"input": 499_999}))
@example(Usage(10, 10, 8, 8, 8, input_audio_tokens=8, output_audio_tokens=8), UnitPrices(*range(1_000_000, 8_000_000, 1_000_000)))
def test_a_call_costs_what_its_tokens_cost_one_by_one(usage: Usage, prices: UnitPrices) -> None:
    """The formula agrees with a slow one in fractions, also where a report's parts are larger than its whole."""
    assert cost_of(usage, prices) == slow_cost(usage, prices)


@given(USAGES)
def test_every_token_is_charged_as_exactly_one_kind(usage: Usage) -> None:
    """The kinds add up to the input and to the output, and none is negative."""
    charged = dict(zip(KINDS, tokens_by_kind(usage), strict=True))
    assert min(charged.values()) >= 0
    for whole, kind in ((usage.input_tokens, "input"), (usage.output_tokens, "output")):
        assert sum(count for name, count in charged.items() if KINDS[name] == kind) == whole


@given(USAGES, PRICES, st.sampled_from(sorted(KINDS)), st.integers(1, 10**9))
def test_a_higher_price_never_makes_a_call_cheaper(usage: Usage, prices: UnitPrices, kind: str, more: int) -> None:
    """Whichever kind becomes dearer, in the prices and in all their tiers."""
    raised = raise_price(prices, kind, more)
    dearer = msgspec.structs.replace(
        raised, tiers=tuple(Tier(t.over_input_tokens, raise_price(t.prices, kind, more)) for t in prices.tiers)
    )
    assert cost_of(usage, dearer) >= cost_of(usage, prices)


def raise_price(prices: UnitPrices, kind: str, more: int) -> UnitPrices:
    """Prices of which one is higher."""
    return msgspec.structs.replace(prices, **{kind: getattr(prices, kind) + more})


@given(USAGES, FLAT, st.sampled_from(["input_tokens", "output_tokens"]), COUNTS)
def test_more_tokens_never_make_a_call_cheaper(usage: Usage, prices: UnitPrices, count: str, more: int) -> None:
    """At prices without tiers; a tier may well be cheaper than what is below it."""
    longer = msgspec.structs.replace(usage, **{count: getattr(usage, count) + more})
    assert cost_of(longer, prices) >= cost_of(usage, prices)


def test_a_tier_holds_for_all_tokens_of_a_call_above_it() -> None:
    """At the threshold the base counts, one token above it the tier does, for the first token too."""
    prices = unit_prices({"input": 1_000_000, "output": 1_000_000}, (tier(100, 2), tier(200, 3)))
    costs = [cost_of(Usage(input_tokens, 10), prices) for input_tokens in (0, 100, 101, 200, 201)]
    assert costs == [10, 110, 2 * 111, 2 * 210, 3 * 211]
    assert prices.for_input(101) is prices.tiers[0].prices
    assert prices.for_input(100) is prices


def tier(over: int, nanos: int) -> Tier:
    """A tier at so many nano-dollars a token."""
    return Tier(over, unit_prices({"input": nanos * 1_000_000, "output": nanos * 1_000_000}))


def test_a_kind_without_a_price_costs_what_its_parent_does() -> None:
    """Cached and cache-write input as input, reasoning as output, and nothing if that is not given either; sound has none (fault M12)."""
    assert unit_prices({"input": 3, "output": 7}) == UnitPrices(3, 7, 3, 3, 7)
    assert unit_prices({"input": 3, "output": 7, "cached_input": 0, "reasoning": None}) == UnitPrices(3, 7, 0, 3, 7)
    assert unit_prices({"input": 3}) == UnitPrices(3, 0, 3, 3, 0)


def test_the_kinds_are_the_fields_of_unit_prices_in_their_order() -> None:
    """A kind that is in one and not in the other would be charged nothing."""
    assert (*KINDS, "tiers", *RARER, *FEES) == UnitPrices.__struct_fields__


def test_a_million_bills_add_up_to_the_nano_dollar() -> None:
    """The sum of what calls cost is the sum that whole numbers give, each rounded for itself, half up."""
    chance = random.Random(20261122)
    rates = [chance.randrange(10**7) for _ in KINDS]
    prices = UnitPrices(*rates)
    plain_in, plain_out, cached_rate, written_rate, thought_rate, heard_rate, spoken_rate = rates
    billed = independent = 0
    for a, b, c, d, e, f, g in struct.iter_unpack("<7H", chance.randbytes(14_000_000)):
        billed += cost_of(Usage(a + c + d + f, b + e + g, c, d, e, input_audio_tokens=f, output_audio_tokens=g), prices)
        exact = a * plain_in + b * plain_out + c * cached_rate + d * written_rate + e * thought_rate + f * heard_rate + g * spoken_rate
        independent += (exact + 500_000) // 1_000_000
    assert billed == independent


def instant(text: str) -> float:
    """UNIX seconds of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def price(nanos: int) -> Price:
    """A price that can be told from others."""
    return Price(unit_prices({"input": nanos, "output": nanos}), f"price {nanos}")


DATED = (
    Prices(input=1, output=1),
    Prices(input=3, output=3, from_=date(2027, 3, 1)),
    Prices(input=2, output=2, from_=date(2026, 12, 1)),
)


@pytest.mark.parametrize(
    ("moment", "source"),
    [
        ("1969-07-20T00:00:00", "m.0"),
        ("2026-11-30T23:59:59.999", "m.0"),
        ("2026-12-01T00:00:00", "m.2"),
        ("2027-02-28T23:59:59.999", "m.2"),
        ("2027-03-01T00:00:00", "m.1"),
        ("2099-01-01T00:00:00", "m.1"),
    ],
)
def test_a_price_begins_at_midnight_utc_of_its_day_whatever_the_order_in_the_file(moment: str, source: str) -> None:
    """And each is told by its place in the list."""
    assert PriceList(configured(DATED, "m")).at(instant(moment)).source == source


def test_before_the_earliest_day_the_earliest_price_counts() -> None:
    """There is always a price where there is a list."""
    assert PriceList(configured(DATED[1:], "m")).at(0).source == "m.1"


def test_a_window_counts_each_day_between_its_ends_also_over_midnight() -> None:
    """The start belongs to it, the end does not."""
    night, day = Term(price(1), window=(82_800, 3_600)), Term(price(2), window=(36_000, 39_600))
    prices = PriceList((night, day, Term(price(3))))
    expected = {"00:59:59.9": 1, "01:00": 3, "09:59:59": 3, "10:00": 2, "10:59:59.9": 2, "11:00": 3, "22:59:59.9": 3, "23:00": 1}
    for clock, nanos in expected.items():
        for day_of_year in ("1970-01-02", "2026-11-22", "2028-02-29"):
            assert prices.at(instant(f"{day_of_year}T{clock}")).source == f"price {nanos}", clock


def test_a_window_counts_only_from_its_day() -> None:
    """A term may have both a first day and hours."""
    prices = PriceList((Term(price(1), seconds_of(date(2026, 12, 1)), (0, 3_600)), Term(price(2))))
    assert [prices.at(instant(f"2026-{day}T00:30")).source for day in ("11-30", "12-01")] == ["price 2", "price 1"]


def test_the_beginning_is_before_every_day() -> None:
    """A price without a date holds before all that have one."""
    assert seconds_of(date.min) == BEGINNING
    assert seconds_of(date(1970, 1, 2)) == 86_400


def test_finding_the_price_of_a_call_takes_no_time_to_speak_of() -> None:
    """It is on the path of every call: well under a microsecond of the processor for a model with one price."""
    prices = PriceList((Term(price(1)),))
    seconds = min(timeit.repeat(lambda: prices.at(1.7e9), timer=time.thread_time, number=20_000, repeat=5)) / 20_000
    assert seconds < 2e-6


def test_configured_prices_become_whole_nano_dollars_with_rising_tiers() -> None:
    """In the tier as outside, a kind that is left out costs what its parent does there."""
    tiers = (PriceTier(over_input_tokens=200, input=3, output=5), PriceTier(over_input_tokens=100, input=2, output=4, cached_input=0.1))
    (term,) = configured(Prices(input=1.25, output=10, reasoning=0.000000001, input_audio=40, tiers=tiers), "m")
    base = UnitPrices(1_250_000_000, 10_000_000_000, 1_250_000_000, 1_250_000_000, 1, 40_000_000_000)
    first = UnitPrices(*(nanos * 10**8 for nanos in (20, 40, 1, 20, 40)))
    second = UnitPrices(*(nanos * 10**9 for nanos in (3, 5, 3, 3, 5)))
    assert term.price.prices == msgspec.structs.replace(base, tiers=(Tier(100, first), Tier(200, second)))
    assert (term.start, term.window, term.price.source) == (BEGINNING, None, "m")


@pytest.mark.parametrize(
    ("base_url", "local"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://LOCALHOST.:1", True),
        ("http://ollama.localhost:1", True),
        ("http://10.0.0.1/v1", False),
        ("http://0.0.0.0.example/v1", False),
        ("https://localhost.example/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_only_this_machine_is_local(base_url: str, *, local: bool) -> None:
    """What is local may be without a price; a private network may still cost money."""
    assert is_local(base_url) is local
    assert may_be_listed("mine", base_url) is not local
    assert may_be_listed("openai", base_url)


def test_prices_are_shown_with_audio_and_tiers_where_there_are_any() -> None:
    """As exact numbers, and without audio where it costs what text does."""
    plain = unit_prices({"input": 1_250_000_000, "output": 1})
    shown = json.loads(msgspec.json.encode(price_document(plain)), parse_float=str)
    assert shown == {"input": "1.25", "output": "0.000000001", "cached_input": "1.25", "cache_write": "1.25", "reasoning": "0.000000001"}
    rich = unit_prices({"input": 10**9, "output": 10**9, "input_audio": 4 * 10**9}, (tier(200_000, 1),))
    document = msgspec.json.decode(msgspec.json.encode(price_document(rich)))
    assert document["input_audio"] == 4
    assert "output_audio" not in document
    assert document["tiers"] == [
        {"over_input_tokens": 200_000, "input": 0.001, "output": 0.001, "cached_input": 0.001, "cache_write": 0.001, "reasoning": 0.001}
    ]


def test_audio_is_read_from_a_report_whether_or_not_the_answer_passes_untouched() -> None:
    """Both ways in which an answer is read give the same counts, and say that the vendor reported them."""
    report = {
        "prompt_tokens": 30,
        "completion_tokens": 20,
        "total_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 7, "accepted_prediction_tokens": 0},
    }
    message = {"role": "assistant", "content": "Hi.", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": report}
    expected = Usage(30, 20, 4, 0, 6, REPORTED, REPORTED, 5, 7)
    assert plain(answer) == expected
    told = UsageReport()
    told.take(report)
    assert told.usage(Shown(1, 0, Way(source=REPORTED)), ASKED) == expected
    del report["prompt_tokens_details"], report["completion_tokens_details"]
    assert plain(answer) == Usage(30, 20, source=REPORTED, input_source=REPORTED)
