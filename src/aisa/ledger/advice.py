"""What other models cost that went into an answer, by advice or before they gave up: each at its own price.

Asks no catalogue that the offer has not.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from aisa.answer import ADVISED, WITHIN
from aisa.money import Nanos
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Offer
from aisa.prices.rules import Price
from aisa.pricing import NO_BREAKDOWN, UnitPrices, cost_of, dearest, unit_prices
from aisa.usage import REPORTED, Breakdown, Usage

WRITES = ("cache_write_30m_tokens", "cache_write_1h_tokens", "cache_write_12h_tokens")


def with_advice(
    usage: Usage, advice: tuple[tuple[str, Usage, str], ...], *, offer: Offer, prices: UnitPrices, unix_seconds: float
) -> Usage:
    """Return the tokens of an answer with what other models made for it, who are priced where the catalogue knows them at the vendor.

    Of any other each side costs the dearest price that the model has there that answered. What is within the answer's own tokens is taken
    out of them; if it is input of which nothing was made, no vendor charges for it. What of this was made before a model gave up is noted.
    """
    cost = tokens = unpriced = 0
    turns: list[Turn] = []
    thought = usage.reasoning_tokens
    for model, its, kind in advice:
        if kind == WITHIN:
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
        if kind != ADVISED:
            output_price = stand_in.for_input(its.input_tokens).output
            turns.append(Turn(its, cost_of(replace(its, output_tokens=0), stand_in), output_price, known=price is not None))
    rarer = replace(usage.breakdown or NO_BREAKDOWN, advice_tokens=tokens, advice_cost=cost, advice_unpriced_tokens=unpriced)
    if turns:
        own_price = prices.for_input(usage.input_tokens).output
        rarer = with_turns(rarer, turns, own_price=own_price, thought=thought - usage.reasoning_tokens)
    return replace(usage, breakdown=rarer)


class Turn(NamedTuple):
    """What a model made that gave up, and nano-dollars for its input and a million tokens of its output, by its own price if `known`."""

    usage: Usage
    input_cost: Nanos
    output_price: Nanos
    known: bool


def with_turns(rarer: Breakdown, turns: list[Turn], *, own_price: Nanos, thought: int) -> Breakdown:
    """Return a breakdown with the turns of models that gave up, for an answer that is cut: then of several prices the lowest holds."""
    price = min([turn.output_price for turn in turns if turn.usage.output_tokens], default=0)
    return replace(
        rarer,
        given_up_input_tokens=sum([turn.usage.input_tokens for turn in turns]),
        given_up_input_cost=sum([turn.input_cost for turn in turns]),
        given_up_output_tokens=sum([turn.usage.output_tokens for turn in turns]),
        given_up_output_price=price,
        given_up_dearer=int(price > own_price),
        given_up_unpriced_tokens=sum([turn.usage.input_tokens + turn.usage.output_tokens for turn in turns if not turn.known]),
        given_up_reasoning_tokens=thought,
    )


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
