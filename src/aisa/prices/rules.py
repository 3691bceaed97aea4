"""Which price holds when: what the operator has set, effective-dated, before what a catalogue lists. Looks nothing up, charges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from aisa.config.schema import PriceHours, Prices, PriceTier, VendorTier
from aisa.money import Nanos, nanos_per_million, scaled
from aisa.pricing import FEES, PRICED, Tier, UnitPrices, unit_prices
from aisa.time_zones import time_zone
from aisa.vendors.table import IN_CATALOGUE
from aisa.wire.vendor_tier import TIER_CHARACTERS_MAX

#: How the source of a price begins that a vendor's own price list says, as the catalogue has it.
CATALOGUE = "catalogue"
BUILT_IN_SOURCE = f"{CATALOGUE} genai-prices "  # and of those of the list that comes with the server
SECONDS_PER_DAY = 86_400
DAYS_A_WEEK = 7
FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday


def seconds_of(day: date, zone: tzinfo = UTC) -> int:
    """Return the UNIX second at which a day begins in a time zone."""
    return (day - date(1970, 1, 1)).days * SECONDS_PER_DAY - offset_of(datetime.combine(day, time(), zone))


def offset_of(moment: datetime) -> int:
    """Return by how many seconds the clock of a moment's time zone is ahead of UTC then."""
    offset = moment.utcoffset()
    assert offset is not None, "it has a zone"
    return offset // timedelta(seconds=1)


BEGINNING = seconds_of(date.min)  # before every call


class Price(msgspec.Struct, frozen=True):
    """What a model's tokens cost, and who says so: the path of a setting, or the catalogue with the model's name there."""

    prices: UnitPrices
    source: str


class Term(msgspec.Struct, frozen=True):
    """A price and when it holds: from `start` on, in UNIX seconds; if `window` is given, only between these seconds of each day.

    A window whose end is before its start goes over midnight. With `days` it holds only on these days of the week, 0 for Monday; a
    window over midnight counts to the day on which it begins. Days and their seconds are what a clock on a wall of `zone` shows.
    `tiers` are the prices of other service tiers at that time, by their names.
    """

    price: Price
    start: int = BEGINNING
    window: tuple[int, int] | None = None
    tiers: Mapping[str, Price] = {}
    days: tuple[int, ...] | None = None
    zone: tzinfo = UTC

    def holds(self, unix_seconds: float) -> bool:
        """Say whether it holds at a moment."""
        if unix_seconds < self.start:
            return False
        ahead = offset_of(datetime.fromtimestamp(unix_seconds, self.zone)) if self.zone is not UTC else 0
        day, second = divmod(unix_seconds + ahead, SECONDS_PER_DAY)
        if self.window is not None:
            opens, closes = self.window
            if not (opens <= second < closes if opens <= closes else second >= opens or second < closes):
                return False
            day -= opens > closes and second < closes
        return self.days is None or (day + FIRST_WEEKDAY) % DAYS_A_WEEK in self.days


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

        A service tier without a price there costs what the first of its parts with one does (`fast+us`), else the usual; it says so.
        """
        terms = self.terms
        found = terms[0] if len(terms) == 1 else next((term for term in terms[:-1] if term.holds(unix_seconds)), terms[-1])
        if not tier or tier in found.tiers:
            return found.tiers[tier] if tier else found.price
        near = next((found.tiers[part] for part in tier.split("+") if part in found.tiers), found.price)
        return msgspec.structs.replace(near, source=f"{near.source}, as the tier {tier[:TIER_CHARACTERS_MAX]!r} has none")

    def has(self, tier: str) -> bool:
        """Say whether a service tier has a price at any time; the usual one, whose name is empty, always has."""
        return not tier or all(tier in term.tiers for term in self.terms)


#: Takes a vendor's name and base_url and the model's name there; returns what the catalogue lists, None for what it does not know.
LookUp = Callable[[str, str, str], PriceList | None]


def unlisted(_vendor: str, _base_url: str, _model: str) -> PriceList | None:
    """Stand in for the catalogue where no vendor can be in it."""
    return None


def may_be_listed(vendor: str, base_url: str) -> bool:
    """Say whether the catalogue, which is large, is worth loading for a vendor: one of its names on this machine may be a proxy."""
    return vendor in IN_CATALOGUE or not is_local(base_url)


def is_local(base_url: str) -> bool:
    """Say whether an address is on this machine."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Say whether a host is an address that the public network does not route, or this machine by name."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def configured(setting: Prices | tuple[Prices, ...] | None, source: str) -> tuple[Term, ...]:
    """Return the terms of a setting, the latest first. `source` is the setting's path; an entry of a list adds its position."""
    if setting is None:
        return ()
    if isinstance(setting, Prices):
        return tuple(_terms(setting, source))
    terms = [term for position, prices in enumerate(setting) for term in _terms(prices, f"{source}.{position}")]
    return tuple(sorted(terms, key=lambda term: term.start, reverse=True))


def times(price_list: PriceList, factor: float | Decimal) -> PriceList:
    """Return a price list whose tokens cost so many times as much; fees stay. Its sources say so."""
    if factor == 1:
        return price_list

    def scaled_price(price: Price) -> Price:
        tiers = tuple([Tier(tier.over_input_tokens, scaled_prices(tier.prices, factor)) for tier in price.prices.tiers])
        return Price(msgspec.structs.replace(scaled_prices(price.prices, factor), tiers=tiers), f"{price.source}, times {factor:g}")

    terms = [
        msgspec.structs.replace(
            term, price=scaled_price(term.price), tiers={name: scaled_price(price) for name, price in term.tiers.items()}
        )
        for term in price_list.terms
    ]
    return msgspec.structs.replace(price_list, terms=tuple(terms))


def scaled_prices(prices: UnitPrices, factor: float | Decimal) -> UnitPrices:
    """Return prices with a factor on each kind of token."""
    own = {kind: price for kind in PRICED if kind not in FEES and (price := getattr(prices, kind)) is not None}
    return msgspec.structs.replace(prices, **{kind: scaled(price, factor) for kind, price in own.items()})


#: Prices as given, by kind, for a call with more input tokens than the first number; those without a tier stand under 0.
Given = dict[int, dict[str, Nanos]]


def _terms(setting: Prices, source: str) -> Iterator[Term]:
    """Yield the prices of certain hours, in their order, and then those of all others."""
    given: Given = {0: _nanos(setting, setting.factor), **_by_input(setting.tiers, setting.factor)}
    usual = _term(setting, given, source)
    for position, hours in enumerate(setting.hours):
        then = {over: _scaled(prices, hours.factor) for over, prices in given.items()}
        then[0] |= _nanos(hours, setting.factor)
        term = _term(setting, then, f"{source}.hours.{position}")
        window = (_second_of_day(hours.from_), _second_of_day(hours.to))
        days = tuple([WEEKDAYS.index(day) for day in hours.days]) or None
        yield msgspec.structs.replace(term, window=None if window == (0, SECONDS_PER_DAY) else window, days=days)
    yield usual


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _second_of_day(text: str) -> int:
    return int(text[:2]) * 3_600 + int(text[3:]) * 60


def _scaled(prices: Mapping[str, Nanos], factor: float) -> dict[str, Nanos]:
    return {kind: price if kind in FEES else scaled(price, factor) for kind, price in prices.items()}


def _term(setting: Prices, given: Given, source: str) -> Term:
    tiers: dict[str, Price] = {}
    for name, tier in setting.service_tiers.items():
        own = _nanos(tier, setting.factor)
        usual = {over: _scaled(prices, tier.factor) for over, prices in given.items()}
        if tier.tiers:
            usual = {0: usual[0], **_by_input(tier.tiers, setting.factor)}
        differing = {over: prices if over and tier.tiers else {**prices, **own} for over, prices in usual.items()}
        tiers[name] = Price(_unit_prices(differing), f"{source}.service_tiers.{name}")
    zone = time_zone(setting.time_zone)
    start = BEGINNING if setting.from_ is None else max(BEGINNING, seconds_of(setting.from_, zone))
    return Term(Price(_unit_prices(given), source), start, tiers=tiers, zone=zone)


def _unit_prices(given: Given) -> UnitPrices:
    fees = {kind: price for kind, price in given[0].items() if kind in FEES}
    tiers = tuple([Tier(over, unit_prices({**fees, **given[over]})) for over in sorted(given) if over])
    return unit_prices(given[0], tiers)


def _by_input(tiers: tuple[PriceTier, ...], factor: float) -> Given:
    return {tier.over_input_tokens: _nanos(tier, factor) for tier in tiers}


def _nanos(setting: Prices | PriceTier | VendorTier | PriceHours, factor: float) -> dict[str, Nanos]:
    given: dict[str, float | None] = {kind: getattr(setting, kind, None) for kind in PRICED}
    exact = {kind: nanos_per_million(price) for kind, price in given.items() if price is not None}
    return {kind: price if kind in FEES else scaled(price, factor) for kind, price in exact.items()}
