"""Which models cost their callers nothing, so that no spend cap and no wallet counts them. Decides no price and no route."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.offer import Entry, Offer
from aisa.routing import Routes


def free_models(routes: Routes, allowed: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the names that may be answered free of charge: of an allow-list those, else of all that are listed to callers.

    A name is among them as soon as one of its targets is free. Takes up to two milliseconds a name, the first time.
    """
    if allowed is None:
        entries = [*(routes.find(name) for name in routes.names()), *routes.offered]
    else:
        entries = [entry for name in allowed if (entry := found(routes, name)) is not None]
    return tuple([entry.name for entry in entries if any(is_free(offer) for offer in entry.offers)])


def is_free(offer: Offer) -> bool:
    """Say whether calls to a target cost nothing, as it has no price and needs none."""
    return offer.price_list is None and not offer.needs_price


def found(routes: Routes, name: str) -> Entry | None:
    """Return what a name leads to, None for nothing."""
    try:
        return routes.find(name)
    except ApiError:
        return None
