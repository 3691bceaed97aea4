"""Vendors that charge more for an answer that is made in one place, which no catalogue has. Knows no model's price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from aisa.prices.rules import PriceList, times

#: The catalogue's vendor -> place -> what all prices of tokens are multiplied by, those of its tiers too. Anthropic's page, read
#: 2026-11-30: https://platform.claude.com/docs/en/manage-claude/data-residency
FACTORS: Mapping[str, Mapping[str, Decimal]] = {"anthropic": {"us": Decimal("1.1")}}
UNPRICED = ("priority",)  # tiers that an answer may name and that no catalogue prices: what the place costs counts for them, too


def with_places(vendor: str, listed: PriceList) -> PriceList:
    """Return a price list with what answers from such places cost, as service tiers of these names: `us`, and `fast+us` beside `fast`."""
    terms = listed.terms
    for place, factor in FACTORS.get(vendor, {}).items():
        dearer = times(listed, factor).terms
        terms = tuple(
            [
                msgspec.structs.replace(
                    term,
                    tiers={
                        **term.tiers,
                        **dict.fromkeys((place, *[f"{tier}+{place}" for tier in UNPRICED]), more.price),
                        **{f"{tier}+{place}": price for tier, price in more.tiers.items()},
                    },
                )
                for term, more in zip(terms, dearer, strict=True)
            ]
        )
    return listed if terms is listed.terms else msgspec.structs.replace(listed, terms=terms)
