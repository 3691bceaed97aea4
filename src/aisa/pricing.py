"""From tokens to money: what a call costs at given unit prices. The only rounding of a bill happens here; knows no catalogue."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aisa.money import TOKENS_PER_PRICE, Nanos, divide_half_up
from aisa.usage import Usage

TIERS_MAX = 4  # the catalogue's richest model has two; each is kept with every call's row


class UnitPrices(msgspec.Struct, frozen=True):
    """Nano-dollars per million tokens, by kind of token. `tiers` stand by rising threshold and have no tiers of their own."""

    input: Nanos
    output: Nanos
    cached_input: Nanos
    cache_write: Nanos
    reasoning: Nanos
    input_audio: Nanos
    output_audio: Nanos
    tiers: tuple[Tier, ...] = ()

    def for_input(self, input_tokens: int) -> UnitPrices:
        """Return the prices of a call with so many input tokens, cached ones included: the highest tier's that it is above.

        They hold for all tokens of the call, not only for those above the threshold.
        """
        prices = self
        for tier in self.tiers:
            if input_tokens > tier.over_input_tokens:
                prices = tier.prices
        return prices


class Tier(msgspec.Struct, frozen=True):
    """The prices of calls with more than so many input tokens."""

    over_input_tokens: int
    prices: UnitPrices


#: Every kind of token, as UnitPrices names it, and the kind whose price it has where it has none of its own.
KINDS: Mapping[str, str] = {
    "input": "input",
    "output": "output",
    "cached_input": "input",
    "cache_write": "input",
    "reasoning": "output",
    "input_audio": "input",
    "output_audio": "output",
}


def unit_prices(given: Mapping[str, Nanos | None], tiers: tuple[Tier, ...] = ()) -> UnitPrices:
    """Make prices of those that are given by kind; a kind left out costs what its parent does, or nothing if that is left out too."""
    prices: dict[str, Nanos] = {}
    for kind, parent in KINDS.items():
        price = given.get(kind)
        prices[kind] = prices.get(parent, 0) if price is None else price
    return UnitPrices(**prices, tiers=tiers)


def tokens_by_kind(usage: Usage) -> tuple[int, ...]:
    """Return how many tokens of a call are charged as which kind, in the order of KINDS. They add up to its input and its output.

    A token that is of several kinds is charged as the first of: cached, cache write, audio, plain; or reasoning, audio, plain. Vendors do
    not say how much of the audio was cached, so it is taken for cached as far as it goes. No part is larger than what is left for it.
    """
    plain_input, plain_output = usage.input_tokens, usage.output_tokens
    cached = written = heard = thought = spoken = 0  # as in most calls, which is why each is looked at first: min() is slow
    if usage.cached_tokens:
        cached = min(usage.cached_tokens, plain_input)
        plain_input -= cached
    if usage.cache_write_tokens:
        written = min(usage.cache_write_tokens, plain_input)
        plain_input -= written
    if usage.input_audio_tokens:
        heard = min(usage.input_audio_tokens, plain_input)
        plain_input -= heard
    if usage.reasoning_tokens:
        thought = min(usage.reasoning_tokens, plain_output)
        plain_output -= thought
    if usage.output_audio_tokens:
        spoken = min(usage.output_audio_tokens, plain_output)
        plain_output -= spoken
    return plain_input, plain_output, cached, written, thought, heard, spoken


def cost_of(usage: Usage, prices: UnitPrices) -> Nanos:
    """Return what these tokens cost, rounded once, half up, to a whole nano-dollar. Every token is charged at exactly one price."""
    rates = prices.for_input(usage.input_tokens) if prices.tiers else prices
    plain_input, plain_output, cached, written, thought, heard, spoken = tokens_by_kind(usage)
    total = (
        plain_input * rates.input
        + plain_output * rates.output
        + cached * rates.cached_input
        + written * rates.cache_write
        + thought * rates.reasoning
        + heard * rates.input_audio
        + spoken * rates.output_audio
    )
    return divide_half_up(total, TOKENS_PER_PRICE)
