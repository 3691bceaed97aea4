"""Vendors that charge more for an answer that is made in one place, which no catalogue has. Knows no model's price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from aisa.config.schema import Vendor
from aisa.prices.rules import PriceList, times

#: The catalogue's vendor -> place -> what all prices of tokens are multiplied by, those of its tiers too. Anthropic's page, read
#: 2026-11-30: https://platform.claude.com/docs/en/manage-claude/data-residency
FACTORS: Mapping[str, Mapping[str, Decimal]] = {"anthropic": {"us": Decimal("1.1")}}
#: Hosts of Vertex AI that answer in one region, or in several of one continent; `aiplatform.googleapis.com` answers anywhere.
REGIONAL = re.compile(r"https://(?:[a-z][a-z0-9-]*-aiplatform|aiplatform\.[a-z]+\.rep)\.googleapis\.com(?:[:/]|$)")
#: The models that cost more there, and how many times as much. Of Claude by Anthropic's page ("Claude Sonnet 4.5 and all future models"),
#: of Gemini by LiteLLM's list (`regional_endpoint_uplift_multiplier`), both read 2026-11-30; Google's own page was not.
#: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
UPLIFTED = re.compile(
    r"claude-[a-z]+-(?:4-[5-9]|[5-9])(?:-\d{1,2})?|gemini-(?:3\.1-flash-(?:lite|image)|3\.[5-9]-flash(?:-lite|-cyber)?|4-[a-z]+(?:-cyber-permissive)?)"
)
UPLIFT = Decimal("1.1")
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


def listed_address(vendor: Vendor) -> str:
    """Return where a vendor's prices are looked up by: where the operator says how much dearer a region is, that of any place."""
    return vendor.base_url if vendor.price_factor is None else REGIONAL.sub("https://aiplatform.googleapis.com/", vendor.base_url)


def uplifted(base_url: str, model: str, listed: PriceList) -> PriceList:
    """Return the catalogue's prices of a model, by its own id there, at an address: at one that keeps to a place, of some models more."""
    return times(listed, UPLIFT) if REGIONAL.match(base_url) and UPLIFTED.fullmatch(model) else listed
