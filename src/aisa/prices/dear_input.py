"""Whether an input may cost more than its plain price, by token or by fee: then it is looked at before it is held for. Holds nothing."""

from __future__ import annotations

from aisa.prices.rules import PriceList
from aisa.pricing import UnitPrices, dearest

PLACING = "anthropic"  # the dialect in which a request may ask where it is answered, for which more is charged


FEES_HELD = ("per_search", "per_source", "per_file_search", "per_code_run")


def may_be_dear(price_list: PriceList | None, dialect: str) -> bool:
    """Say whether it may, by a price list at any time, in any tier and of any size, or by a vendor of this dialect."""
    if price_list is None:
        return False
    prices = [price.prices for term in price_list.terms for price in (term.price, *term.tiers.values())]
    return dialect == PLACING or any(
        is_dear(each) or has_fees(each) or any(has_fees(tier.prices) for tier in each.tiers) for each in prices
    )


def is_dear(prices: UnitPrices) -> bool:
    """Say whether a token of input may cost more than its plain price, at some size of the input."""
    return any(dearest(each, "input") > each.input for each in (prices, *[tier.prices for tier in prices.tiers]))


def has_fees(prices: UnitPrices) -> bool:
    """Say whether something is charged by the number that only some requests make."""
    return any(getattr(prices, kind) for kind in FEES_HELD)
