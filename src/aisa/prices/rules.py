"""Which price holds when: what the operator has set, effective-dated, before what a catalogue lists. Looks nothing up, charges nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from aisa.config.schema import Prices, PriceTier
from aisa.money import Nanos, nanos_per_million
from aisa.pricing import KINDS, Tier, UnitPrices, unit_prices

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

    A window whose end is before its start goes over midnight.
    """

    price: Price
    start: int = BEGINNING
    window: tuple[int, int] | None = None

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

    def at(self, unix_seconds: float) -> Price:
        """Return the price at a moment: of the first term that holds, or of the last if none does."""
        for term in self.terms[:-1]:
            if term.holds(unix_seconds):
                return term.price
        return self.terms[-1].price


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


def _term(setting: Prices, source: str) -> Term:
    rising = sorted(setting.tiers, key=lambda tier: tier.over_input_tokens)
    tiers = tuple([Tier(tier.over_input_tokens, unit_prices(_nanos(tier))) for tier in rising])
    return Term(Price(unit_prices(_nanos(setting), tiers), source), BEGINNING if setting.from_ is None else seconds_of(setting.from_))


def _nanos(setting: Prices | PriceTier) -> dict[str, Nanos | None]:
    given: dict[str, float | None] = {kind: getattr(setting, kind) for kind in KINDS}
    return {kind: None if price is None else nanos_per_million(price) for kind, price in given.items()}
