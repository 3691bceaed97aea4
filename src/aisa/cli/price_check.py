"""Looks for targets that must have a price and have none, before the first call finds them. Shows nothing and asks no vendor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aisa.config.problem import Problem
from aisa.config.schema import Config
from aisa.prices.rules import LookUp, may_be_listed, unlisted
from aisa.routing import Offer, Routes


def look_up_for(config: Config) -> LookUp:
    """Return the catalogue if a vendor may be in it; loading it takes 0.3 s."""
    if not any(may_be_listed(name, vendor.base_url) for name, vendor in config.vendors.items()):
        return unlisted
    from aisa.prices.catalogue import catalogue_price

    return catalogue_price


def price_problems(config: Config, origins: Mapping[str, str]) -> Iterator[Problem]:
    """Yield each target of a listed model that could serve calls which nobody could bill. `origins` are the settings' files and lines."""
    routes = Routes(config, look_up_for(config))
    for name in routes.names():
        entry = routes.find(name)
        for position, offer in enumerate(entry.offers):
            if offer in entry.unpriced:
                places = (f"models.{name}.to.{position}", f"models.{name}.{position}", f"models.{name}")
                origin = next((f" ({origins[place]})" for place in places if place in origins), "")
                yield Problem(f"models.{name}.to.{position}{origin}", f"The target `{offer.name}` has no price.", remedy(offer, name))


def remedy(offer: Offer, name: str) -> str:
    """Say how a target can get a price, or do without."""
    vendor, model = offer.target.vendor, offer.target.model
    given = f"Set `vendors.{vendor}.prices.{model}`, or `models.{name}.prices` for the model wherever it is served."
    return f"{given} Or set `vendors.{vendor}.allow_unpriced: true`, to let it be used free of charge."
