"""What prices must be beyond their types. Takes values whose types are already right; changes none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

from aisa.config.patterns import pattern_in
from aisa.config.problem import SHOWN_CHARACTERS_MAX, Flaw
from aisa.config.schema import PriceHours, Prices, PriceTier, VendorTier
from aisa.config.section import Section
from aisa.money import NANOS_PER_DOLLAR, nanos_per_million
from aisa.pricing import FEES, KINDS, PRICE_MAX, PRICED, RARER, RARER_PRICES_MAX, TIERS_MAX
from aisa.time_zones import remedy_for, time_zone
from aisa.wire.vendor_tier import OPEN, USUAL

PRICED_BY_NAME = "Write each of the vendor's models by its name there. Prices of all targets of a model stand under `models`."


def _price(_name: str, value: object) -> Flaw | None:
    try:
        nanos_per_million(str(0 if value is None else value))
    except ValueError as error:
        return Flaw(f"{error}, so it could not be billed exactly.", "Round it to nine decimals.")
    return None


def _price_as(name: str, value: object) -> Flaw | None:
    listed = "Write one that the catalogue lists, such as openai/gpt-4o."
    if (names_none := pattern_in(name, PRICED_BY_NAME) or pattern_in(str(value), listed)) is not None:
        return names_none
    vendor, _, model = ("v/m" if value is None else str(value)).partition("/")
    if vendor.strip() and model.strip():
        return None
    return Flaw(f"`{str(value)[:SHOWN_CHARACTERS_MAX]}` is not of the form vendor/model.", "Write for example openai/gpt-4o.")


def _too_many(prices: Prices) -> Flaw | None:
    tiers = [prices.tiers, *[each.tiers for each in prices.service_tiers.values()]]
    sets: list[Section] = [prices, *prices.hours, *prices.service_tiers.values(), *[tier for each in tiers for tier in each]]
    stated = {kind for each in sets for kind in (*RARER, *FEES) if getattr(each, kind, None) is not None}
    steps = 1 + max(map(len, tiers))
    if len(stated) * steps <= RARER_PRICES_MAX:
        return None
    what = f"{', '.join(sorted(stated))} at {steps} sizes of input are {len(stated) * steps} prices."
    return Flaw(what, f"Write {RARER_PRICES_MAX} at most: fewer `tiers`, or fewer of these kinds. Every call's row keeps them.")


def _too_dear(prices: Prices) -> Flaw | None:
    """Factors multiply each other: what they make of a price has the bound of a price, so that every bill can be stored."""
    apart: tuple[PriceHours | VendorTier, ...] = (*prices.hours, *prices.service_tiers.values())
    tiers = [*prices.tiers, *[tier for each in prices.service_tiers.values() for tier in each.tiers]]
    most = max([1.0, *[each.factor for each in apart]])
    usual = max(map(_dearest, [prices, *prices.tiers])) * prices.factor * most
    found = max([usual, *[_dearest(each) * prices.factor for each in (*apart, *tiers)]])
    if found * NANOS_PER_DOLLAR <= PRICE_MAX:
        return None
    return Flaw(
        f"With its factors a price is {found:,.0f} dollars.", f"A million tokens may cost {PRICE_MAX // NANOS_PER_DOLLAR:,} dollars."
    )


def _dearest(prices: Section) -> float:
    return max([getattr(prices, kind, None) or 0.0 for kind in PRICED if kind not in FEES])


def _flaw_of(prices: Prices) -> Flaw | None:
    return _too_many(prices) or _too_dear(prices)


def _prices(name: str, value: object) -> Flaw | None:
    if (names_none := pattern_in(name, PRICED_BY_NAME)) is not None:
        return names_none
    if isinstance(value, Prices):
        return _flaw_of(value)
    if not isinstance(value, tuple):
        return None
    days = [str(prices.from_ or "") for prices in cast("tuple[Prices, ...]", value)]
    if not days:
        return Flaw("The list is empty.", "Write prices, or remove the line.")
    twice = next((day for day in days if days.count(day) > 1), None)
    if twice is None:
        return next((flaw for prices in cast("tuple[Prices, ...]", value) if (flaw := _flaw_of(prices))), None)
    what = f"Two of the entries begin on {twice}." if twice else "More than one of the entries has no `from`."
    return Flaw(what, "Give each the day on which it begins to count; one may be without, which counts before the others.")


def _tiers(_name: str, value: object) -> Flaw | None:
    thresholds = [tier.over_input_tokens for tier in cast("tuple[PriceTier, ...]", value)]
    if len(thresholds) > TIERS_MAX:
        return Flaw(f"There are {len(thresholds)} tiers.", f"Write {TIERS_MAX} at most: every call's row keeps them.")
    if len(set(thresholds)) == len(thresholds):
        return None
    return Flaw("Two tiers have the same `over_input_tokens`.", "Give each tier a threshold of its own.")


def _hours(_name: str, value: object) -> Flaw | None:
    for hours in cast("tuple[PriceHours, ...]", value):
        if hours.from_ == hours.to:
            return Flaw(f"`from` and `to` are both {hours.to}: no time at all.", "Leave both out for the whole day.")
        if hours == PriceHours(days=hours.days, from_=hours.from_, to=hours.to):
            return Flaw("An entry says nothing that differs.", "Write a `factor`, or prices.")
    return None


def _time_zone(_name: str, value: object) -> Flaw | None:
    name = str(value)
    try:
        time_zone(name)
    except ValueError:
        return Flaw(f"There is no time zone `{name[:SHOWN_CHARACTERS_MAX]}` here.", remedy_for(name))
    return None


def _service_tier(name: str, value: object) -> Flaw | None:
    if (names_none := pattern_in(name, "Write each tier by its name, or a `factor` beside `service_tiers`.")) is not None:
        return names_none
    if name != name.lower().strip() or name in USUAL | OPEN:
        return Flaw(f"`{name}` is no name of another service tier.", "Write it as answers do, such as flex or priority, in small letters.")
    if value == VendorTier():
        return Flaw("It says nothing that differs.", "Write a `factor`, or prices.")
    return None


#: The rules of settings about prices: a part of `checks.RULES`.
PRICE_RULES: Mapping[str, Callable[[str, object], Flaw | None]] = MappingProxyType(
    {
        "vendors.<name>.price_as.<name>": _price_as,
        "models.<name>.to[].price_as": _price_as,
        "models.<name>.prices": _prices,
        "models.<name>.prices.tiers": _tiers,
        "models.<name>.prices.service_tiers.<name>": _service_tier,
        "models.<name>.prices.time_zone": _time_zone,
        "models.<name>.prices.hours": _hours,
        "models.<name>.prices.service_tiers.<name>.tiers": _tiers,
        **{f"models.<name>.prices.{kind}": _price for kind in PRICED},
        **{f"models.<name>.prices.tiers[].{kind}": _price for kind in (*KINDS, *RARER)},
        **{f"models.<name>.prices.service_tiers.<name>.{kind}": _price for kind in PRICED},
        **{f"models.<name>.prices.hours[].{kind}": _price for kind in PRICED},
    }
)
