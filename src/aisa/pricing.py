"""From tokens to money: what a call costs at given unit prices. The only rounding of the product happens here; knows no catalogue."""

from __future__ import annotations

import msgspec

from aisa.money import TOKENS_PER_PRICE, Nanos, divide_half_up
from aisa.usage import Usage


class UnitPrices(msgspec.Struct, frozen=True):
    """Nano-dollars per million tokens, by kind of token."""

    input: Nanos
    output: Nanos
    cached_input: Nanos
    cache_write: Nanos
    reasoning: Nanos


def cost_of(usage: Usage, prices: UnitPrices) -> Nanos:
    """Return what these tokens cost, rounded once, half up, to a whole nano-dollar.

    Cached and cache-write tokens are part of the input, reasoning tokens part of the output; each is charged at its own price only.
    """
    plain_input = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
    plain_output = max(0, usage.output_tokens - usage.reasoning_tokens)
    total = (
        plain_input * prices.input
        + usage.cached_tokens * prices.cached_input
        + usage.cache_write_tokens * prices.cache_write
        + plain_output * prices.output
        + usage.reasoning_tokens * prices.reasoning
    )
    return divide_half_up(total, TOKENS_PER_PRICE)
