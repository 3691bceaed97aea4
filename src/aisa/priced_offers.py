"""Which offers of a model have the prices that a request needs: of kinds of cost that it shows, and of its service tier. Orders none."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from aisa.beside import Beside
from aisa.errors import ApiError
from aisa.known_models import KnownModels
from aisa.offer import Entry, Offer
from aisa.prices.lacking import unpriced, unpriced_beside, unpriced_kind, unpriced_tier
from aisa.providers.bedrock_marks import keeps_an_hour
from aisa.providers.responses_models import HOST as OPENAI
from aisa.wire.kinds_asked import Native
from aisa.wire.own_kinds import MARKED, RESPONSES


def priced(entry: Entry, kinds: Sequence[tuple[str, str]], tier: tuple[str, str]) -> list[Offer]:
    """Return the offers of an entry that have the prices which a request needs, as what it asks for costs there.

    `kinds` of cost and the service `tier` are given with the member of the request that asks for them. Raises ApiError if there is none.
    """
    offers = [offer for offer in entry.offers if offer not in entry.unpriced]
    if kinds:
        good = [offer for offer in offers if not any(lacks(offer, *each) for each in kinds)]
        if not good:
            kind, member = next((each for each in kinds if all(lacks(offer, *each) for offer in offers)), kinds[0])
            if isinstance(member, Beside):
                raise unpriced_beside(entry.name, offers[0].target.vendor, what=member.unpriced_at(offers[0]), member=member)
            raise unpriced_kind(entry.name, entry.offers[0].target.vendor, kind=kind, member=member)
        offers = good
        for further in besides(kinds):
            offers = [further.held_for(offer) for offer in offers]
    if tier[0]:
        offers = [msgspec.structs.replace(offer, tier=tier[0]) for offer in offers if not offer.lacks(tier[0])]
        if not offers:
            raise unpriced_tier(entry.name, [offer.price_list for offer in entry.offers], tier=tier[0], member=tier[1])
    return offers


def unusable(entry: Entry, models: KnownModels, configured: Collection[str]) -> ApiError:
    """Return the error for a model without a price, with the nearest if a caller wrote its name and its vendor is not known to have it."""
    target, flaw = entry.unpriced[0].target, entry.unpriced[0].flaw
    is_known = entry.name in configured or any(holder.vendor == target.vendor for holder in models.holders(target.model))
    return unpriced(entry.name, target.vendor, flaw, near=() if is_known else models.near(entry.name, configured))


def lacks(offer: Offer, kind: str, member: str) -> bool:
    """Say whether a target has no price for a kind that a member asks for."""
    return kind in offer.target.lacking and asks(offer, member)


def besides(kinds: Sequence[tuple[str, str]]) -> list[Beside]:
    """Return what lets vendors do things by themselves."""
    return [member for _, member in kinds if isinstance(member, Beside)]


def asks(offer: Offer, member: str) -> bool:
    """Say whether what a member asks for reaches a target: marks of the Messages API where a cache lasts an hour, others in their own."""
    target = offer.target
    if isinstance(member, Beside):
        return bool(member.unpriced_at(offer))
    if not isinstance(member, Native):
        return member != MARKED or keeps_an_hour(target)
    return target.dialect in member.dialects or (target.host == OPENAI and RESPONSES in member.dialects)  # which speaks both
