"""Where a model's name leads, at what price and why, for who runs the server. Chooses nothing: `routing.py` does."""

from __future__ import annotations

import msgspec

from aisa.edge.free_models import is_free, is_free_by_own_name
from aisa.offer import Entry, Offer
from aisa.routing import EMBEDDED, TINY, Routes


class TargetShown(msgspec.Struct, frozen=True):
    """One target. Prices are nano-dollars per million tokens at the moment asked about, None without one; the window is in tokens.

    Without a price its calls are `free` of charge, and no cap or wallet counts them; else it is never asked. `free_by_own_name`: it has a
    price here, and callers may ask it as `vendor/model`, where it has none.
    """

    target: str
    input: int | None
    output: int | None
    price_source: str | None
    context_window: int | None
    free: bool = False
    free_by_own_name: bool = False


class ModelShown(msgspec.Struct, frozen=True):
    """A name and what becomes of a call to it. `others` have the name too and were not chosen."""

    name: str
    why: str
    targets: tuple[TargetShown, ...]
    others: tuple[str, ...] = ()


def model_shown(routes: Routes, name: str, now: float) -> ModelShown:
    """Return where a name leads at a UNIX time. Raises ApiError unknown_model, overloaded."""
    return shown(routes, routes.find(name), now)


def models_shown(routes: Routes, now: float) -> list[ModelShown]:
    """Return every name that `GET /v1/models` lists to a key without an allow-list. Takes up to two milliseconds each, the first time."""
    return [shown(routes, entry, now) for entry in (*(routes.find(name) for name in routes.names()), *routes.offered)]


def shown(routes: Routes, entry: Entry, now: float) -> ModelShown:
    """Show one entry."""
    why, others = reason(routes, entry)
    return ModelShown(entry.name, why, tuple([target_shown(routes, offer, now) for offer in entry.offers]), others)


def target_shown(routes: Routes, offer: Offer, now: float) -> TargetShown:
    """Show one target."""
    price = offer.price_at(now)
    if price is None:
        return TargetShown(offer.name, None, None, None, offer.target.context_window, is_free(offer))
    free = is_free_by_own_name(routes, offer)
    prices = price.prices
    return TargetShown(offer.name, prices.input, prices.output, price.source, offer.target.context_window, free_by_own_name=free)


def reason(routes: Routes, entry: Entry) -> tuple[str, tuple[str, ...]]:
    """Say why an entry leads where it does, and which other targets have the name and were not chosen."""
    offer = entry.offers[0]
    if entry.name in routes.names():
        return ("the built-in model has this name" if entry.name == TINY else "it is a model of the configuration"), ()
    if offer.target.vendor == EMBEDDED:
        return "nothing else serves it, so the built-in model answers", ()
    if entry.name == offer.name:
        return f"the name says the vendor, {offer.target.vendor}", ()
    holders = routes.models.holders(entry.name)
    if not holders:
        return f"{offer.target.vendor} is the only vendor, and gets every name", ()
    others = tuple([holder.target for holder in holders if holder.vendor != offer.target.vendor])
    chosen = next(holder for holder in holders if holder.vendor == offer.target.vendor)
    return (f"{chosen.why}, and `models_prefer` puts {chosen.vendor} first" if others else f"{chosen.why}, and at no other vendor"), others
