"""What the advice of other models costs that went into an answer: each at its own price. Asks no catalogue that the offer has not."""

from __future__ import annotations

from msgspec.structs import replace

from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Offer
from aisa.prices.rules import Price
from aisa.pricing import NO_BREAKDOWN, UnitPrices, cost_of, dearest, unit_prices
from aisa.usage import Usage


def with_advice(usage: Usage, advice: tuple[tuple[str, Usage], ...], *, offer: Offer, prices: UnitPrices, unix_seconds: float) -> Usage:
    """Return the tokens of an answer with the advice that it was given, whose model is priced where the catalogue knows it at the vendor.

    Of any other each side costs the dearest price that the model has there that answered.
    """
    cost = tokens = unpriced = 0
    for model, its in advice:
        price = price_of(model, offer, unix_seconds)
        if price is None:
            unpriced += its.input_tokens + its.output_tokens
        rates = prices.for_input(its.input_tokens)
        stand_in = unit_prices({side: dearest(rates, side) for side in ("input", "output")}) if price is None else price.prices
        cost += cost_of(its, stand_in)
        tokens += its.input_tokens + its.output_tokens
    rarer = replace(usage.breakdown or NO_BREAKDOWN, advice_tokens=tokens, advice_cost=cost, advice_unpriced_tokens=unpriced)
    return replace(usage, breakdown=rarer)


def price_of(model: str, offer: Offer, unix_seconds: float) -> Price | None:
    """Return what the tokens of a model cost that a vendor asked by itself; None if the catalogue does not know it there."""
    if model == offer.target.model:
        return offer.price_at(unix_seconds, "")
    lists = offer.listed(model) if offer.listed is not None and 0 < len(model) <= MODEL_NAME_CHARACTERS_MAX else None
    return None if lists is None else lists[1].at(unix_seconds)
