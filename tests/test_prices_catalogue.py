"""The catalogue's prices: ours are its own to the nano-dollar, vendors are found by address or name, and no network is used."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices, TimeOfDateConstraint
from genai_prices.types import Usage as TheirUsage

from aisa.prices.catalogue import (
    CHARGED,
    MODEL_CHARACTERS_MAX,
    NOT_CHARGED,
    TWICE,
    catalogue_price,
    charged,
    nearest_nanos,
    price_list,
    provider_of,
    second_of_day,
)
from aisa.prices.rules import CATALOGUE
from aisa.pricing import cost_of, unit_prices
from aisa.usage import Breakdown, Usage
from aisa.vendors.table import IN_CATALOGUE

SOURCE = Path(__file__).parent.parent / "src"
OPENAI = "https://api.openai.com/v1"


def conditional(model: ModelInfo) -> list[ConditionalPrice]:
    """The catalogue's prices of a model, as a list."""
    return [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else model.prices


def edges(model: ModelInfo) -> list[datetime]:
    """Moments on both sides of everything that changes a model's price, and two others."""
    moments = [datetime(2020, 2, 29, 13, tzinfo=UTC), datetime(2031, 7, 1, 2, 30, tzinfo=UTC)]
    for entry in conditional(model):
        if isinstance(entry.constraint, StartDateConstraint):
            moments.append(datetime.combine(entry.constraint.start_date, time(), UTC))
        if isinstance(entry.constraint, TimeOfDateConstraint):
            moments += [datetime.combine(date(2026, 11, 22), end) for end in (entry.constraint.start_time, entry.constraint.end_time)]
    return [moment + timedelta(seconds=offset) for moment in moments for offset in (-1, 0)]


def sizes(model: ModelInfo) -> list[int]:
    """Input tokens on both sides of every tier's threshold, and a few."""
    tiered = [price for entry in conditional(model) for price in vars(entry.prices).values() if isinstance(price, TieredPrices)]
    starts = {tier.start for price in tiered for tier in price.tiers}
    return sorted({1_000, *starts, *(start + 1 for start in starts)})


def their_cost(prices: ModelPrice, usage: Usage) -> Decimal:
    """What the catalogue's own calculation makes of a usage, in nano-dollars."""
    priced = {name for name, price in vars(prices).items() if price is not None}
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    counts |= {"cache_read_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    counts |= {"output_reasoning_tokens": usage.reasoning_tokens} if "output_reasoning_mtok" in priced else {}
    counts |= {"input_audio_tokens": usage.input_audio_tokens} if "input_audio_mtok" in priced else {}
    counts |= {"output_audio_tokens": usage.output_audio_tokens} if "output_audio_mtok" in priced else {}
    # Ours are disjoint parts; theirs may overlap and must be told that they do not.
    rarer = usage.breakdown or Breakdown()
    counts |= {"cache_audio_read_tokens": rarer.cached_audio_tokens, "cache_audio_write_tokens": 0}
    counts |= {"cache_write_1h_tokens": rarer.cache_write_1h_tokens}
    counts |= {"web_searches": rarer.searches} if "web_searches_kcount" in priced else {}
    return prices.calc_price(TheirUsage(**counts))["total_price"] * 10**9  # the fee of one request included


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_every_price_is_the_catalogues_own_at_every_date_hour_and_size(provider: Provider) -> None:
    """For every model that we can price, on both sides of every date, window and tier: the bill differs by less than the roundings."""
    wrong = []
    for model in provider.models:
        listed = price_list(model, "catalogue")
        for moment in edges(model) if listed else []:
            for size in sizes(model):
                prices = model.get_prices(moment)
                heard = size // 9 if prices.input_audio_mtok is not None else 0  # without a price of its own it is refused here
                spoken = 100 if prices.output_audio_mtok is not None else 0
                usage = Usage(size, 700, size // 3, size // 7, 200, input_audio_tokens=heard, output_audio_tokens=spoken)
                ours, theirs = cost_of(usage, listed.at(moment.timestamp()).prices), their_cost(prices, usage)
                if abs(ours - theirs) > 1:
                    wrong.append((model.id, moment, size, ours, theirs))
    assert wrong == []


def test_nearly_every_model_of_the_catalogue_has_a_price_here() -> None:
    """All that cost money by the token and by nothing else: the rest has empty prices, or prices of things that we cannot count."""
    chargeable = CHARGED.keys() | NOT_CHARGED
    for provider in providers:
        for model in provider.models:
            each = [{name: price for name, price in vars(entry.prices).items() if price is not None} for entry in conditional(model)]
            given = [{name for name, price in prices.items() if prices.get(TWICE.get(name, "")) != price} for prices in each]
            plain = all("input_mtok" in names and names <= chargeable for names in given)
            assert (price_list(model, "") is not None) is plain, model.id
    assert sum(price_list(model, "") is not None for provider in providers for model in provider.models) > 1_500


@pytest.mark.parametrize(
    ("vendor", "base_url", "provider"),
    [
        ("mine", OPENAI, "openai"),
        ("mine", "https://API.openai.com:443/v1", "openai"),
        ("anthropic", OPENAI, "openai"),
        ("mine", "https://my-name.openai.azure.com/openai/v1", "azure"),
        ("mine", "https://generativelanguage.googleapis.com/v1beta/openai", "google"),
        ("mine", "https://router.huggingface.co/groq/openai/v1", "huggingface_groq"),
        ("openai", "https://llm.corp.example/v1", None),
        ("openai", "https://eu.api.openai.com/v1", None),
        ("openai", "https://10.0.0.7/v1", "openai"),
        ("OpenAI", "http://127.0.0.1:9/v1", "openai"),
        ("mine", "https://llm.corp.example/v1", None),
        ("openai-eu", "https://llm.corp.example/v1", None),
        ("open", "https://llm.corp.example/v1", None),
        ("mine", "http://127.0.0.1:9/v1", None),
        ("mine", "https://10.0.0.7/x.googleapis.com/v1", None),
        ("mine", "https://proxy.internal/x.googleapis.com/v1", None),
    ],
)
def test_a_vendor_is_known_by_its_address_or_else_by_its_name(vendor: str, base_url: str, provider: str | None) -> None:
    """A private address only by its name, a public one never (fault M12), and no vendor by its dialect, which all sorts speak."""
    found = provider_of(vendor, base_url)
    assert (found.id if found else None) == provider


def test_a_price_says_which_catalogue_and_which_model_of_it() -> None:
    """The name there may be another than the one that was asked for."""
    listed = catalogue_price("mine", OPENAI, "gpt-4o-2024-08-06")
    assert listed is not None
    assert listed.at(1.8e9).source == f"{CATALOGUE} genai-prices {version('genai-prices')}: openai/gpt-4o"
    assert listed.at(1.8e9).prices == unit_prices(
        {"input": 2_500_000_000, "output": 10**10, "cached_input": 1_250_000_000}
        | {"per_search": 10_000_000, "per_file_search": 2_500_000, "per_code_run": 30_000_000}
    )


def test_citations_that_cost_what_the_input_does_are_no_hindrance() -> None:
    """They are billed as input. At another price the model has none."""
    priced, other = [ModelPrice(input_mtok=Decimal(2), output_mtok=Decimal(8), output_citation_mtok=Decimal(each)) for each in (2, 3)]
    assert charged(priced) == unit_prices({"input": 2_000_000_000, "output": 8_000_000_000})
    assert charged(other) is None
    assert catalogue_price("perplexity", "https://api.perplexity.ai", "sonar-deep-research") is not None


def test_the_catalogue_says_how_much_fits_a_model() -> None:
    """Beside its price; where it does not know, nothing is said."""
    big = catalogue_price("openai", "https://api.openai.com/v1", "gpt-4.1")
    assert big is not None
    assert (big.context_window or 0) >= 1_000_000


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OPENAI, "no-such-model"),
        (OPENAI, "gpt-image-1"),  # made of images, which no report counts
        (OPENAI, "whisper-1"),  # by the hour
        ("https://api.anthropic.com/v1", "claude-3-haiku" + "-" * MODEL_CHARACTERS_MAX),
        ("https://openrouter.ai/api/v1", "stealth/crouton-alpha"),  # prices that are empty
    ],
)
def test_what_the_catalogue_cannot_tell_in_full_has_no_price(base_url: str, model: str) -> None:
    """A bill that would be too small is worse than none."""
    assert catalogue_price("mine", base_url, model) is None


def test_reasoning_and_audio_that_are_priced_apart_keep_their_prices() -> None:
    """Here reasoning costs less than other output, and audio more than text."""
    thinking = catalogue_price("mine", "https://openrouter.ai/api/v1", "perplexity/sonar-deep-research")
    speaking = catalogue_price("mine", OPENAI, "gpt-audio")
    assert thinking is not None
    assert speaking is not None
    assert thinking.at(1.8e9).prices.reasoning < thinking.at(1.8e9).prices.output
    assert speaking.at(1.8e9).prices.input_audio > speaking.at(1.8e9).prices.input
    assert speaking.at(1.8e9).prices.output_audio > speaking.at(1.8e9).prices.output


def test_a_price_with_too_many_decimals_is_rounded_to_nine_halves_up() -> None:
    """Some of the catalogue's were floats once, and show it."""
    texts = {"0.18000000000000002": 180_000_000, "0.0000000005": 1, "0.00000000049": 0, "0.0833333333333333": 83_333_333, "2": 2 * 10**9}
    assert {text: nearest_nanos(Decimal(text)) for text in texts} == texts


def test_a_time_of_day_is_taken_in_utc() -> None:
    """A zone is converted, also over midnight; a time without one is in UTC."""
    east = timezone(timedelta(hours=8))
    assert [second_of_day(moment) for moment in (time(0, 30), time(8, 30, tzinfo=east), time(1, 0, 5, tzinfo=east))] == [
        1_800,
        1_800,
        61_205,
    ]


def test_the_names_that_are_worth_loading_the_catalogue_for_are_in_it() -> None:
    """Or else a vendor on this machine would cost memory for nothing."""
    assert {provider.id for provider in providers} >= IN_CATALOGUE


CHILD = """
import sys
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event) if event.startswith(("socket.", "urllib.")) or event == "open" and
                 isinstance(arguments[1], str) and arguments[1].strip("rbt") else None)
from aisa.prices.catalogue import catalogue_price
assert catalogue_price("openai", "https://api.openai.com/v1", "gpt-4.1")
assert catalogue_price("openai", "https://api.openai.com/v1", "unknown") is None
import threading
print(sorted(set(seen)), threading.active_count())
"""


def child(code: str) -> str:
    """What a fresh interpreter prints."""
    environment = {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True, timeout=60
    ).stdout.strip()


def test_the_catalogue_neither_asks_the_network_nor_starts_a_thread_nor_writes() -> None:
    """Its package can update itself; nothing of ours makes it."""
    assert child(CHILD) == "[] 1"


def test_whoever_has_no_vendor_in_the_catalogue_does_not_load_it() -> None:
    """It takes 0.3 s and 31 MiB, which the routes, the edge and `aisa prices` of a fresh install do not spend."""
    code = "import sys, aisa.edge.models\nfrom aisa.cli.price_tables import show_all\nshow_all('/dev/null', None, 0.0, as_json=True)\n"
    assert child(code + "print('genai_prices' in sys.modules, 'pydantic' in sys.modules)").splitlines()[-1] == "False False"
