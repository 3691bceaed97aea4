"""Entries of the price catalogue that are known to be wrong, each with the vendor's page that says so and the day it was read.

A test tells when the catalogue has caught up, so that a row can go.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import msgspec

from aisa.money import Nanos
from aisa.prices.rules import Price, PriceList
from aisa.pricing import Tier, UnitPrices

WORKING_DAYS = (0, 1, 2, 3, 4)  # Monday to Friday


class Correction(NamedTuple):
    """What is wrong with one entry: its hours hold only on these `days` of the week, 0 for Monday, in UTC."""

    vendor: str
    model: str
    days: tuple[int, ...]
    page: str
    read: date


class Alias(NamedTuple):
    """A name, or an entry with all of its names, for what it is not any more: by the vendor's page it is `model`, which is listed too."""

    vendor: str
    name: str
    model: str
    page: str
    read: date

    @property
    def words(self) -> str:
        """Say it to a reader, after `found`."""
        return f"as `{self.model}`, which {self.page} says that `{self.name}` is (read {self.read})"


#: xAI serves requests for models that it has retired with this one, and charges for it.
XAI_PAGE = "https://docs.x.ai/developers/migration/may-15-retirement"
XAI_REDIRECTS = "grok-4.3"
XAI_RETIRED = (
    *("grok-4-1-fast-reasoning", "grok-4-1-fast-non-reasoning", "grok-4-fast-reasoning", "grok-4-fast-non-reasoning"),
    *("grok-4-0709", "grok-code-fast-1", "grok-3"),
)
ALIASES = (
    Alias(
        *("mistral", "mistral-large-latest", "mistral-large-2512"),
        page="https://docs.mistral.ai/models/mistral-large-3-25-12",
        read=date(2026, 11, 29),
    ),
    *[Alias("x-ai", name, XAI_REDIRECTS, XAI_PAGE, date(2026, 11, 29)) for name in XAI_RETIRED],
)


def alias_of(vendor: str, *names: str) -> Alias | None:
    """Return what the first of these names that the catalogue is wrong about is by its vendor's page."""
    return next((alias for name in names for alias in ALIASES if (alias.vendor, alias.name) == (vendor, name.lower())), None)


#: DeepSeek's peak hours are those of working days; the catalogue's notes say that it cannot tell days of the week apart. Holidays in China,
#: which are off-peak too, are charged as any other day.
DEEPSEEK_PAGE = "https://api-docs.deepseek.com/quick_start/pricing"
CORRECTIONS = tuple(
    [
        Correction("deepseek", model, WORKING_DAYS, DEEPSEEK_PAGE, date(2026, 11, 28))
        for model in ("deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro")
    ]
)


class Fee(NamedTuple):
    """What entries lack: prices of what is charged by number, in nano-dollars, which their vendor has for every model of its own.

    `models` are the catalogue's ids, None for all that have the price `beside` it, or for all if that is empty.
    """

    vendor: str
    models: frozenset[str] | None
    prices: Mapping[str, Nanos]
    page: str
    read: date
    beside: str = ""


#: OpenAI's tools cost the same for all models, and Codex offers `web_search` with every request. Models that cannot search are not named.
#: A container is one of 1 GB, by LiteLLM's list (`openai/container`); xAI's tools cost the same for all of its models, too.
FEES = (
    Fee(
        "openai",
        frozenset({"codex-mini", "gpt-5.1-codex-mini", "gpt-5.3", "gpt-5.3-codex", "o3-pro"}),
        {"per_search": 10_000_000, "per_file_search": 2_500_000},  # 10 and 2.5 dollars a thousand
        page="https://developers.openai.com/api/docs/pricing",
        read=date(2026, 11, 30),
    ),
    Fee(
        "openai",
        None,
        {"per_code_run": 30_000_000},
        page="https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
        read=date(2026, 11, 30),
        beside="per_file_search",
    ),
    Fee(
        "x-ai",
        None,
        {"per_search": 5_000_000, "per_file_search": 2_500_000, "per_code_run": 5_000_000},
        page="https://docs.x.ai/developers/pricing.md",
        read=date(2026, 11, 30),
    ),
)


#: What a fee is of, in words.
FEES_SAID = {"per_search": "a search", "per_file_search": "one in files", "per_code_run": "code that it runs"}


def corrected(vendor: str, model: str, listed: PriceList) -> PriceList:
    """Return what the catalogue lists for a model of its own, by its own id there, without what is known to be wrong with it."""
    for fee in FEES:
        if vendor == fee.vendor and (model in fee.models if fee.models is not None else has_price(listed, fee.beside)):
            listed = with_fee(listed, fee)
    for correction in CORRECTIONS:
        if (correction.vendor, correction.model) == (vendor, model):
            terms = [term if term.window is None else msgspec.structs.replace(term, days=correction.days) for term in listed.terms]
            page = f"{listed.found}, without its peak hours at weekends, as {correction.page} has it (read {correction.read})"
            return msgspec.structs.replace(listed, terms=tuple(terms), found=page)
    return listed


def has_price(listed: PriceList, kind: str) -> bool:
    """Say whether a price list has a price of its own for a kind; of none it has."""
    return not kind or all(getattr(term.price.prices, kind) is not None for term in listed.terms)


def with_fee(listed: PriceList, fee: Fee) -> PriceList:
    """Return a price list with these prices where it has none."""

    def charged(prices: UnitPrices) -> UnitPrices:
        tiers = tuple([Tier(tier.over_input_tokens, charged(tier.prices)) for tier in prices.tiers])
        lacking = {kind: price for kind, price in fee.prices.items() if getattr(prices, kind) is None}
        return msgspec.structs.replace(prices, **lacking, tiers=tiers)

    def priced(price: Price) -> Price:
        return msgspec.structs.replace(price, prices=charged(price.prices))

    terms = [
        msgspec.structs.replace(term, price=priced(term.price), tiers={tier: priced(price) for tier, price in term.tiers.items()})
        for term in listed.terms
    ]
    what = " and ".join([FEES_SAID[kind] for kind in fee.prices])
    page = f"{listed.found}, with the price of {what} that {fee.page} has (read {fee.read})"
    return msgspec.structs.replace(listed, terms=tuple(terms), found=page)
