"""Looks for targets that must have a price and have none, before the first call finds them. Shows nothing and asks no vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from aisa.config.checks import BUILT_IN
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config
from aisa.offer import Offer
from aisa.prices.lacking import IN_WORDS
from aisa.prices.rules import LookUp, may_be_listed
from aisa.pricing import FEES
from aisa.routing import Routes


def look_up_for(config: Config) -> LookUp:
    """Return the price lists, as the server asks them; loading them takes 0.3 s. Raises ConfigErrors."""
    from aisa.composition import price_look_up

    return price_look_up(config)


def names_look_up_for(config: Config) -> Callable[[str, str], tuple[str, ...]]:
    """Return what lists the catalogue's names of a vendor, if a vendor may be in it."""
    from aisa.composition import names_look_up

    return names_look_up(config)


def price_problems(config: Config, origins: Mapping[str, str]) -> Iterator[Problem]:
    """Yield price lists that cannot be read, else each target of a listed model that could serve calls which nobody could bill.

    Then each `price_as` of a vendor that names nothing with a price: what is asked for under that name would be refused, or free.
    `origins` are the settings' files and lines.
    """
    try:
        look_up = look_up_for(config)
        routes = Routes(config, look_up)
    except ConfigErrors as errors:
        yield from errors.problems
        return
    named: set[str] = set()
    for name in routes.names():
        entry = routes.find(name)
        named |= {offer.name for offer in entry.offers}
        for position, offer in enumerate(entry.offers):
            if offer in entry.unpriced:
                places = (f"models.{name}.to.{position}", f"models.{name}.{position}", f"models.{name}")
                yield Problem(f"models.{name}.to.{position}{origin_of(places, origins)}", said(offer, config)[0], remedy(offer, name))
    for vendor, setting in config.vendors.items():
        for model, alias in setting.price_as.items():
            listed_vendor, _, listed_model = alias.partition("/")
            if model in setting.prices or f"{vendor}/{model}" in named or look_up(listed_vendor, "", listed_model) is not None:
                continue
            place = f"vendors.{vendor}.price_as.{model}"
            what = f"`{alias}` is no name that the price catalogue has a price for."
            fix = f"Write one that it lists, such as openai/gpt-4o, or set `vendors.{vendor}.prices.{model}`."
            yield Problem(f"{place}{origin_of((place,), origins)}", what, fix)


def origin_of(places: Iterable[str], origins: Mapping[str, str]) -> str:
    """Return where the first of these settings stands that stands anywhere, in parentheses."""
    return next((f" ({origins[place]})" for place in places if place in origins), "")


def said(offer: Offer, config: Config) -> tuple[str, str]:
    """Return what is known of a target without a price, and the lines that would give it one."""
    what = f"The target `{offer.name}` has no price."
    setting = config.vendors[offer.target.vendor]
    if offer.flaw:
        what = f"Any call to `{offer.name}` may make {IN_WORDS[offer.flaw]}, and `{offer.flaw}` has no price."
        return what, lines_with(offer.target.vendor, offer.target.model, offer.flaw)
    if offer.alias:
        return f"{what} Its `price_as: {offer.alias}` is no name that the price catalogue has a price for.", ""
    what = " ".join([what, *in_lists(offer, config)])
    if not may_be_listed(offer.target.vendor, setting.base_url):
        return what, ""
    from aisa.prices.spelling import clue, lines_to_write

    found = clue(offer.target.vendor, setting.base_url, offer.target.model)
    return f"{what} {found.said}", lines_to_write(offer.target.vendor, offer.target.model, found.price_as)


def in_lists(offer: Offer, config: Config) -> Iterator[str]:
    """Yield what the configured price lists have of a target that has no price."""
    from aisa.prices.listed_entry import NotCharged
    from aisa.prices.price_file import open_price_file

    vendor = config.vendors[offer.target.vendor]
    for path in config.price_catalogues:
        if path != BUILT_IN:
            listed = open_price_file(path)
            found = listed.find(offer.target.vendor, vendor.base_url, offer.target.model)
            if found is None:
                yield f"{listed.name} does not list it for this vendor."
                continue
            try:
                listed.price_list(found)
            except NotCharged as flaw:
                yield f"{listed.name} lists it as `{found.name}`, but {flaw}."


def lines_with(vendor: str, model: str, kind: str) -> str:
    """Return the configuration that gives a model of a vendor its prices, with one for a rarer kind, as YAML to paste."""
    quoted = msgspec.json.encode(model).decode()
    unit = "US dollars each" if kind in FEES else "US dollars per million"
    return f"vendors:\n  {vendor}:\n    prices:\n      {quoted}: {{input: 0.0, output: 0.0, {kind}: 0.0}} # {kind} in {unit}: write yours\n"


def remedy(offer: Offer, name: str) -> str:
    """Say how a target can get a price, or do without."""
    vendor, model = offer.target.vendor, offer.target.model
    given = f"Set `vendors.{vendor}.prices.{model}` or `vendors.{vendor}.price_as.{model}`, or `models.{name}.prices` for every target."
    return f"{given} Or set `vendors.{vendor}.allow_unpriced: true`, to let it be used free of charge." if offer.needs_price else given
