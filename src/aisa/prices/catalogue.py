"""Vendors' public prices, from the data that the genai-prices package carries. Asks nobody over the network; importing it takes 0.3 s.

Its data is searched directly: the package's own look-up keeps every name it was ever asked for, and callers can make names up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import urlsplit

import msgspec
from genai_prices import __version__
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from aisa.money import NANOS_PER_DOLLAR, Nanos
from aisa.prices.corrections import alias_of, corrected
from aisa.prices.geographies import uplifted, with_places
from aisa.prices.matching import find
from aisa.prices.rules import BEGINNING, BUILT_IN_SOURCE, Price, PriceList, Term, is_private, seconds_of
from aisa.pricing import FEES, RARER, RARER_PRICES_MAX, TIERS_MAX, Tier, UnitPrices, unit_prices
from aisa.wire.vendor_tier import IN_USAGE, tier_named

MODEL_CHARACTERS_MAX = 200  # of a name that is searched for; the longest in the catalogue has some 80

#: The catalogue's name of a price -> the kind of token that we charge at it.
CHARGED: Mapping[str, str] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cached_input_audio",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "requests_kcount": "per_request",
    "web_searches_kcount": "per_search",
    "storage_searches_kcount": "per_file_search",
}
PLACES_OF_A_THOUSAND = 3  # what is charged by number, the catalogue prices by the thousand
#: A price that is another under a second name -> that one: what is read for an answer is input. It is read over where both are the same.
TWICE: Mapping[str, str] = {"output_citation_mtok": "input_mtok"}
#: Prices of what only some calls use and what no usage report of a chat tells apart. Not charged.
NOT_CHARGED = frozenset({"cache_write_5m_mtok"})


def catalogue_price(vendor: str, base_url: str, model: str) -> PriceList | None:
    """Return what the catalogue lists for a model, None where it does not know the vendor or the model, or no price that we can charge.

    A model is known by its name there, as such or but for a date: what else the catalogue takes for one of its models has no price.
    The vendor is known by its address or else, at a private one, as of a proxy, by its name. Takes up to two milliseconds: keep the answer.
    """
    provider = provider_of(vendor, base_url)
    if provider is None or len(model) > MODEL_CHARACTERS_MAX:
        return None
    found = find(provider, model)
    if found is None or not found.rule.sure:
        return None
    alias = alias_of(provider.id, model, found.model.id)
    if alias is not None and (found := find(provider, alias.model)) is None:
        return None
    listed = price_list(found.model, f"{BUILT_IN_SOURCE}{__version__}: {provider.id}/{found.model.id}")
    if listed is None:
        return None
    listed = msgspec.structs.replace(listed, found=found.rule.words if alias is None else alias.words)
    listed = uplifted(base_url, found.model.id, corrected(provider.id, found.model.id, listed))
    return with_places(provider.id, listed)


def catalogue_names(vendor: str, base_url: str) -> tuple[str, ...]:
    """Return the names of the models that the catalogue lists for a vendor, which is known as above; none if it is not.

    Ids that end in a dash are parts of names, which no model is called by (findings/genai-prices-names-no-model.sh).
    """
    provider = provider_of(vendor, base_url)
    return () if provider is None else tuple([model.id for model in provider.models if not model.id.endswith("-")])


def price_list(model: ModelInfo, source: str) -> PriceList | None:
    """Turn everything that the catalogue says of a model's price into ours; None if there is a part that we cannot charge."""
    listed = [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else model.prices
    terms: list[Term] = []
    for entry in reversed(listed):  # of those that hold, the last one in the catalogue counts
        prices = charged(entry.prices)
        if prices is None:
            return None
        for start, tiers in service_tiers(model, entry.prices, source):
            usual = term(Price(prices, source), entry.constraint)
            terms.append(msgspec.structs.replace(usual, start=max(start, usual.start), tiers=tiers))
    return PriceList(tuple(terms), model.context_window) if terms else None


def service_tiers(model: ModelInfo, usual: ModelPrice, source: str) -> list[tuple[int, dict[str, Price]]]:
    """Return the prices of a model's service tiers by their names, with the UNIX second from which they hold, the latest first.

    What holds earliest is taken to have held before: the catalogue does not know the history of tiers. It resolves what they cost itself.
    """
    variants = [(name, word, each.constraint) for each in model.price_variants or () for name, word in each.when.items()]
    named = {word: {name: word} for name, word, _ in variants if name in IN_USAGE and tier_named(word)}
    days = [limit.start_date for _, word, limit in variants if word in named and isinstance(limit, StartDateConstraint)]
    alone = ModelInfo(id=model.id, match=model.match, prices=usual, price_variants=model.price_variants)
    found: list[tuple[int, dict[str, Price]]] = []
    for day in sorted(set(days), reverse=True) or [date.max]:
        begins = BEGINNING if day == min(days, default=day) else seconds_of(day)
        moment = datetime.combine(day, time(), UTC)
        tiers = {word: charged(alone.get_prices(moment, context)) for word, context in named.items()}
        found.append((begins, {word: Price(prices, f"{source} ({word})") for word, prices in tiers.items() if prices is not None}))
    return found


def provider_of(vendor: str, base_url: str) -> Provider | None:
    """Return the catalogue's provider for a vendor.

    A public address that the catalogue does not know may be a region or a reseller that charges otherwise, whatever its name here is.
    """
    url = urlsplit(base_url)
    host = url.hostname or ""
    if host and not is_private(host):  # a private address may have a public one in its path, as proxies do
        address = f"{url.scheme}://{host}{url.path}"
        return next((provider for provider in providers if re.match(provider.api_pattern, address)), None)
    return next((provider for provider in providers if provider.id == vendor.lower()), None)


def charged(prices: ModelPrice) -> UnitPrices | None:
    """Turn a model's prices into ours; None if it has none, or some that we cannot charge and that would make our bill too small.

    The catalogue writes both what is free and what is not known as no price at all, so that is taken for not known.
    """
    given: dict[str, Decimal | TieredPrices] = {name: price for name, price in vars(prices).items() if price is not None}
    given = {name: price for name, price in given.items() if name not in TWICE or given.get(TWICE[name]) != price}
    if "input_mtok" not in given or not given.keys() <= CHARGED.keys() | NOT_CHARGED:
        return None
    starts = sorted({tier.start for price in given.values() if isinstance(price, TieredPrices) for tier in price.tiers})
    rarer = [name for name in given if CHARGED.get(name) in (*RARER, *FEES)]
    if len(starts) > TIERS_MAX or len(rarer) * (1 + len(starts)) > RARER_PRICES_MAX:
        return None
    tiers = tuple([Tier(start, unit_prices(rates(given, start + 1))) for start in starts])
    return unit_prices(rates(given, 0), tiers)


def rates(given: Mapping[str, Decimal | TieredPrices], input_tokens: int) -> dict[str, Nanos]:
    """Return the prices of a call with so many input tokens, by kind. A price with tiers is that of the highest one the call is above."""
    found: dict[str, Nanos] = {}
    for name, kind in CHARGED.items():
        price = given.get(name)
        if isinstance(price, TieredPrices):
            reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
            price = reached[-1] if reached else price.base
        if price is not None:
            found[kind] = nearest_nanos(price.scaleb(-PLACES_OF_A_THOUSAND) if kind in FEES else price)
    return found


def nearest_nanos(dollars: Decimal) -> Nanos:
    """Return a price in nano-dollars, halves up. The few in the catalogue with more than nine decimals were floats: 0.18000000000000002."""
    return int((dollars * NANOS_PER_DOLLAR).to_integral_value(ROUND_HALF_UP))


def term(price: Price, constraint: StartDateConstraint | TimeOfDateConstraint | None) -> Term:
    """Say when a price holds."""
    if isinstance(constraint, StartDateConstraint):
        return Term(price, seconds_of(constraint.start_date))
    if constraint is None:
        return Term(price)
    return Term(price, BEGINNING, (second_of_day(constraint.start_time), second_of_day(constraint.end_time)))


def second_of_day(moment: time) -> int:
    """Return a time as seconds after midnight in UTC; one without a zone is in UTC already."""
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 1), moment).astimezone(UTC).time()
    return moment.hour * 3600 + moment.minute * 60 + moment.second
