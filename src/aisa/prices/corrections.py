"""Entries of the price catalogue that are known to be wrong, each with the vendor's page that says so and the day it was read.

A test tells when the catalogue has caught up, so that a row can go.
"""

from __future__ import annotations

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
    """What some entries lack: the price of a search, in nano-dollars, which their vendor has for every model of its own."""

    vendor: str
    models: frozenset[str]
    per_search: Nanos
    page: str
    read: date


#: OpenAI's `web_search` costs the same for all models, and Codex offers it with every request. Models that cannot search are not named.
FEES = (
    Fee(
        "openai",
        frozenset({"codex-mini", "gpt-5.1-codex-mini", "gpt-5.3", "gpt-5.3-codex", "o3-pro"}),
        per_search=10_000_000,  # 10 dollars a thousand
        page="https://developers.openai.com/api/docs/pricing",
        read=date(2026, 11, 30),
    ),
)


def corrected(vendor: str, model: str, listed: PriceList) -> PriceList:
    """Return what the catalogue lists for a model of its own, by its own id there, without what is known to be wrong with it."""
    for fee in FEES:
        if vendor == fee.vendor and model in fee.models:
            listed = with_fee(listed, fee)
    for correction in CORRECTIONS:
        if (correction.vendor, correction.model) == (vendor, model):
            terms = [term if term.window is None else msgspec.structs.replace(term, days=correction.days) for term in listed.terms]
            page = f"{listed.found}, without its peak hours at weekends, as {correction.page} has it (read {correction.read})"
            return msgspec.structs.replace(listed, terms=tuple(terms), found=page)
    return listed


def with_fee(listed: PriceList, fee: Fee) -> PriceList:
    """Return a price list in which a search has this price where it has none."""

    def charged(prices: UnitPrices) -> UnitPrices:
        tiers = tuple([Tier(tier.over_input_tokens, charged(tier.prices)) for tier in prices.tiers])
        per_search = fee.per_search if prices.per_search is None else prices.per_search
        return msgspec.structs.replace(prices, per_search=per_search, tiers=tiers)

    def priced(price: Price) -> Price:
        return msgspec.structs.replace(price, prices=charged(price.prices))

    terms = [
        msgspec.structs.replace(term, price=priced(term.price), tiers={tier: priced(price) for tier, price in term.tiers.items()})
        for term in listed.terms
    ]
    page = f"{listed.found}, with the price of a search that {fee.page} has (read {fee.read})"
    return msgspec.structs.replace(listed, terms=tuple(terms), found=page)
