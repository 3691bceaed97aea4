"""Which models cost their callers nothing, so that no spend cap and no wallet counts them. Decides no price and no route."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.offer import Entry, Offer
from aisa.routing import Routes

ANY = "*"  # in place of a model's name: whatever is asked of a vendor by its own name
OF = " of "  # between a target that is free and a name that is not where another target answers


def free_models(routes: Routes, allowed: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the names that may be answered free of charge: of an allow-list those, else of all that are listed to callers.

    `vendor/*` stands first where no price is needed of a vendor and callers may ask it for any model so. A name of which some
    targets have a price is told by those that have none, as `vendor/model of name`. Takes up to two milliseconds a name, the first time.
    """
    if allowed is None:
        entries = [*(routes.find(name) for name in routes.names()), *routes.offered]
    else:
        entries = [entry for name in allowed if (entry := leads_to(routes, name)) is not None]
    any_of = [f"{vendor}/{ANY}" for vendor in (routes.free_vendors if allowed is None else ())]
    return (*any_of, *[told for entry in entries for told in free_of(entry)])


def free_of(entry: Entry) -> list[str]:
    """Return the name of a model that is free whoever answers; else each target that is free, as `vendor/model of name`."""
    free = [offer.name for offer in entry.offers if is_free(offer)]
    if free and len(free) + len(entry.unpriced) == len(entry.offers):
        return [entry.name]
    return [f"{target}{OF}{entry.name}" for target in dict.fromkeys(free)]


def is_free_by_own_name(routes: Routes, offer: Offer) -> bool:
    """Say whether callers may ask a target free of charge as `vendor/model`, whatever it costs by another name."""
    own = leads_to(routes, offer.name) if offer.target.vendor in routes.free_vendors else None
    return own is not None and any(is_free(each) for each in own.offers)


def is_free(offer: Offer) -> bool:
    """Say whether calls to a target cost nothing, as it has no price and needs none."""
    return offer.price_list is None and not offer.needs_price


def leads_to(routes: Routes, name: str) -> Entry | None:
    """Return what a name leads to, None for nothing."""
    try:
        return routes.find(name)
    except ApiError:
        return None
