"""Which price holds when: what the operator has set, effective-dated, before what a catalogue lists. Looks nothing up, charges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from aisa.config.schema import Prices, PriceTier, VendorTier
from aisa.money import Nanos, nanos_per_million, scaled
from aisa.pricing import FEES, PRICED, Tier, UnitPrices, unit_prices

#: How the source of a price begins that a vendor's own price list says, as the catalogue has it.
CATALOGUE = "catalogue"
SECONDS_PER_DAY = 86_400


def seconds_of(day: date) -> int:
    """Return the UNIX second at which a day begins in UTC."""
    return (day - date(1970, 1, 1)).days * SECONDS_PER_DAY


BEGINNING = seconds_of(date.min)  # before every call


class Price(msgspec.Struct, frozen=True):
    """What a model's tokens cost, and who says so: the path of a setting, or the catalogue with the model's name there."""

    prices: UnitPrices
    source: str


class Term(msgspec.Struct, frozen=True):
    """A price and when it holds: from `start` on, in UNIX seconds; if `window` is given, only between these seconds of each day in UTC.

    A window whose end is before its start goes over midnight. `tiers` are the prices of other service tiers at that time, by their names.
    """

    price: Price
    start: int = BEGINNING
    window: tuple[int, int] | None = None
    tiers: Mapping[str, Price] = {}

    def holds(self, unix_seconds: float) -> bool:
        """Say whether it holds at a moment."""
        if unix_seconds < self.start:
            return False
        if self.window is None:
            return True
        (opens, closes), second = self.window, unix_seconds % SECONDS_PER_DAY
        return opens <= second < closes if opens <= closes else second >= opens or second < closes


class PriceList(msgspec.Struct, frozen=True):
    """All prices that a model has, ever: one term at least, in the order in which they are tried.

    `context_window` is how many tokens fit the model, where the catalogue that has its price says it; `found` by which rule the model was
    found there, in words, empty for prices that are all the operator's.
    """

    terms: tuple[Term, ...]
    context_window: int | None = None
    found: str = ""

    def at(self, unix_seconds: float, tier: str = "") -> Price:
        """Return the price at a moment: of the first term that holds, or of the last if none does.

        A service tier that has no price there costs what the usual one does.
        """
        found = self.terms[-1]
        for term in self.terms[:-1]:
            if term.holds(unix_seconds):
                found = term
                break
        return found.tiers.get(tier, found.price) if tier else found.price

    def has(self, tier: str) -> bool:
        """Say whether a service tier has a price at any time; the usual one, whose name is empty, always has."""
        return not tier or all(tier in term.tiers for term in self.terms)


#: Takes a vendor's name and base_url and the model's name there; returns what the catalogue lists, None for what it does not know.
LookUp = Callable[[str, str, str], PriceList | None]


def unlisted(_vendor: str, _base_url: str, _model: str) -> PriceList | None:
    """Stand in for the catalogue where no vendor can be in it."""
    return None


#: Vendors that the catalogue lists under these very names, so that one on this machine may be a proxy to them.
LISTED = frozenset("anthropic azure cerebras cohere deepseek google groq mistral openai openrouter perplexity together x-ai".split())


def may_be_listed(vendor: str, base_url: str) -> bool:
    """Say whether the catalogue, which is large, is worth loading for a vendor."""
    return vendor in LISTED or not is_local(base_url)


def is_local(base_url: str) -> bool:
    """Say whether an address is on this machine."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def configured(setting: Prices | tuple[Prices, ...] | None, source: str) -> tuple[Term, ...]:
    """Return the terms of a setting, the latest first. `source` is the setting's path; an entry of a list adds its position."""
    if setting is None:
        return ()
    if isinstance(setting, Prices):
        return (_term(setting, source),)
    terms = [_term(prices, f"{source}.{position}") for position, prices in enumerate(setting)]
    return tuple(sorted(terms, key=lambda term: term.start, reverse=True))


#: Prices as given, by kind, for a call with more input tokens than the first number; those without a tier stand under 0.
Given = dict[int, dict[str, Nanos]]


def _term(setting: Prices, source: str) -> Term:
    given: Given = {0: _nanos(setting, setting.factor), **_by_input(setting.tiers, setting.factor)}
    tiers: dict[str, Price] = {}
    for name, tier in setting.service_tiers.items():
        own = _nanos(tier, setting.factor)
        usual = {
            over: {kind: price if kind in FEES else scaled(price, tier.factor) for kind, price in prices.items()}
            for over, prices in given.items()
        }
        if tier.tiers:
            usual = {0: usual[0], **_by_input(tier.tiers, setting.factor)}
        differing = {over: prices if over and tier.tiers else {**prices, **own} for over, prices in usual.items()}
        tiers[name] = Price(_unit_prices(differing), f"{source}.service_tiers.{name}")
    start = BEGINNING if setting.from_ is None else seconds_of(setting.from_)
    return Term(Price(_unit_prices(given), source), start, tiers=tiers)


def _unit_prices(given: Given) -> UnitPrices:
    fees = {kind: price for kind, price in given[0].items() if kind in FEES}
    tiers = tuple([Tier(over, unit_prices({**fees, **given[over]})) for over in sorted(given) if over])
    return unit_prices(given[0], tiers)


def _by_input(tiers: tuple[PriceTier, ...], factor: float) -> Given:
    return {tier.over_input_tokens: _nanos(tier, factor) for tier in tiers}


def _nanos(setting: Prices | PriceTier | VendorTier, factor: float) -> dict[str, Nanos]:
    given: dict[str, float | None] = {kind: getattr(setting, kind, None) for kind in PRICED}
    exact = {kind: nanos_per_million(price) for kind, price in given.items() if price is not None}
    return {kind: price if kind in FEES else scaled(price, factor) for kind, price in exact.items()}
