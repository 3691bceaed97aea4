"""What other models cost that went into an answer, by advice or before they gave up: each at its own price.

Asks no catalogue that the offer has not.
"""

from __future__ import annotations

from msgspec.structs import replace

from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Offer
from aisa.prices.rules import Price
from aisa.pricing import NO_BREAKDOWN, UnitPrices, cost_of, dearest, unit_prices
from aisa.usage import REPORTED, Usage

WRITES = ("cache_write_30m_tokens", "cache_write_1h_tokens", "cache_write_12h_tokens")


def with_advice(
    usage: Usage, advice: tuple[tuple[str, Usage, bool], ...], *, offer: Offer, prices: UnitPrices, unix_seconds: float
) -> Usage:
    """Return the tokens of an answer with what other models made for it, who are priced where the catalogue knows them at the vendor.

    Of any other each side costs the dearest price that the model has there that answered. What is within the answer's own tokens is taken
    out of them; if it is input of which nothing was made, no vendor charges for it.
    """
    cost = tokens = unpriced = 0
    for model, its, within in advice:
        if within:
            usage = without(usage, its)
            if not its.output_tokens or not usage.source == usage.input_source == REPORTED:
                continue
        price = price_of(model, offer, unix_seconds)
        if price is None:
            unpriced += its.input_tokens + its.output_tokens
        rates = prices.for_input(its.input_tokens)
        stand_in = unit_prices({side: dearest(rates, side) for side in ("input", "output")}) if price is None else price.prices
        cost += cost_of(its, stand_in)
        tokens += its.input_tokens + its.output_tokens
    rarer = replace(usage.breakdown or NO_BREAKDOWN, advice_tokens=tokens, advice_cost=cost, advice_unpriced_tokens=unpriced)
    return replace(usage, breakdown=rarer)


def without(usage: Usage, part: Usage) -> Usage:
    """Return tokens without a part of them, where they were reported. The part's thinking nobody tells: no more of it than is left."""
    if not usage.source == usage.input_source == REPORTED:
        return usage
    rarer, its = usage.breakdown, part.breakdown or NO_BREAKDOWN
    made = max(0, usage.output_tokens - part.output_tokens)
    if rarer is not None:
        left = {name: max(0, getattr(rarer, name) - getattr(its, name)) for name in WRITES}
        rarer = replace(rarer, **left)
    return replace(
        usage,
        input_tokens=max(0, usage.input_tokens - part.input_tokens),
        output_tokens=made,
        cached_tokens=max(0, usage.cached_tokens - part.cached_tokens),
        cache_write_tokens=max(0, usage.cache_write_tokens - part.cache_write_tokens),
        reasoning_tokens=min(usage.reasoning_tokens, made),
        breakdown=rarer,
    )


def price_of(model: str, offer: Offer, unix_seconds: float) -> Price | None:
    """Return what the tokens of a model cost that a vendor asked by itself; None if the catalogue does not know it there."""
    if model == offer.target.model:
        return offer.price_at(unix_seconds, "")
    lists = offer.listed(model) if offer.listed is not None and 0 < len(model) <= MODEL_NAME_CHARACTERS_MAX else None
    return None if lists is None else lists[1].at(unix_seconds)
