"""From tokens to money: what a call costs at given unit prices. The only rounding of a bill happens here; knows no catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

import msgspec

from aisa.money import TOKENS_PER_PRICE, Nanos, divide_half_up
from aisa.usage import Breakdown, Usage

TIERS_MAX = 4  # the catalogue's richest model has two; each is kept with every call's row

# What a call costs fits a signed 64-bit integer, as the database's are: a billion tokens on each side at PRICE_MAX are 2 * 10**18, a
# thousand each of what is charged by number at FEE_MAX 4 * 10**15, in nano-dollars.
PRICE_MAX: Nanos = 10**15  # for a million tokens: a million dollars
FEE_MAX: Nanos = 10**12  # for each request, search or source: a thousand dollars


class UnitPrices(msgspec.Struct, frozen=True, omit_defaults=True, cache_hash=True):
    """Nano-dollars per million tokens, by kind of token. `tiers` stand by rising threshold and have no tiers of their own.

    Audio and the rarer kinds are None without a price of their own; the last five are nano-dollars each.
    """

    input: Nanos
    output: Nanos
    cached_input: Nanos
    cache_write: Nanos
    reasoning: Nanos
    input_audio: Nanos | None = None
    output_audio: Nanos | None = None
    tiers: tuple[Tier, ...] = ()
    cached_input_audio: Nanos | None = None
    cache_write_30m: Nanos | None = None
    cache_write_1h: Nanos | None = None
    cache_write_12h: Nanos | None = None
    input_image: Nanos | None = None
    output_image: Nanos | None = None
    per_request: Nanos | None = None
    per_search: Nanos | None = None
    per_source: Nanos | None = None
    per_file_search: Nanos | None = None
    per_code_run: Nanos | None = None

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


#: Every usual kind of token, as UnitPrices names it, and the kind whose price it has where it has none of its own. Audio has none then.
KINDS: Mapping[str, str] = {
    "input": "input",
    "output": "output",
    "cached_input": "input",
    "cache_write": "input",
    "reasoning": "output",
    "input_audio": "input",
    "output_audio": "output",
}


AUDIO = ("input_audio", "output_audio")
#: The rarer kinds, and the side that they are on. One without a price of its own costs the dearest that the model has there, as audio does.
#: For images in the input that is the plain price, as catalogues mean it, and for half an hour in a cache, OpenAI's usual, that of a write.
RARER: Mapping[str, str] = {
    "cached_input_audio": "input",
    "cache_write_30m": "input",
    "cache_write_1h": "input",
    "cache_write_12h": "input",
    "input_image": "input",
    "output_image": "output",
}
#: What is charged by number; free without a price.
FEES = ("per_request", "per_search", "per_source", "per_file_search", "per_code_run")
PRICED = (*KINDS, *RARER, *FEES)
#: What a vendor processed and does not charge for, and the kinds that it is of: the first as far as it goes, then the next.
UNCHARGED: Mapping[str, tuple[str, str]] = {"uncharged_input": ("input", "cached_input"), "uncharged_output": ("output", "reasoning")}
PRICES_KEPT_MAX = 1_000  # of which something is remembered that follows from them; there are as many as models
RARER_PRICES_MAX = 10  # of one set, tiers by input included: five with one tier; each is kept with every call's row


def unit_prices(given: Mapping[str, Nanos | None], tiers: tuple[Tier, ...] = ()) -> UnitPrices:
    """Make prices of those that are given by kind; a kind left out costs what its parent does, or nothing if that is left out too."""
    prices: dict[str, Nanos] = {}
    for kind, parent in KINDS.items():
        if kind in AUDIO:
            continue
        price = given.get(kind)
        prices[kind] = prices.get(parent, 0) if price is None else price
    rarer = {kind: price for kind in (*AUDIO, *RARER, *FEES) if (price := given.get(kind)) is not None}
    return UnitPrices(**prices, tiers=tiers, **rarer)


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
    if usage.breakdown is not None or rates.per_request is not None or usage.input_audio_tokens or usage.output_audio_tokens:
        return divide_half_up(sum([part.amount for part in parts_of(usage, rates)]), TOKENS_PER_PRICE)
    if not (usage.cached_tokens or usage.cache_write_tokens or usage.reasoning_tokens):
        return divide_half_up(usage.input_tokens * rates.input + usage.output_tokens * rates.output, TOKENS_PER_PRICE)
    plain_input, plain_output, cached, written, thought, *_ = tokens_by_kind(usage)
    total = (
        plain_input * rates.input
        + plain_output * rates.output
        + cached * rates.cached_input
        + written * rates.cache_write
        + thought * rates.reasoning
    )
    return divide_half_up(total, TOKENS_PER_PRICE)


class Part(NamedTuple):
    """So many tokens of a kind, or searches and the like, and their price, `own` unless another stands in.

    `amount` is in millionths of a nano-dollar.
    """

    kind: str
    quantity: int
    price: Nanos
    amount: int
    own: bool = True


def parts_of(usage: Usage, rates: UnitPrices) -> list[Part]:
    """Return what a call is charged for at prices without tiers: the kinds that there are some of, in the order of PRICED."""
    counts = dict(zip(KINDS, tokens_by_kind(usage), strict=True))
    rarer = usage.breakdown or NO_BREAKDOWN
    counts["cached_input_audio"] = heard_again = taken(counts, "cached_input", rarer.cached_audio_tokens)
    # Of the audio, what was cached is not to be charged once more as audio that was not.
    counts["input"] += taken(counts, "input_audio", max(0, counts["input_audio"] - max(0, usage.input_audio_tokens - heard_again)))
    counts["cache_write_30m"] = taken(counts, "cache_write", rarer.cache_write_30m_tokens)
    counts["cache_write_1h"] = taken(counts, "cache_write", rarer.cache_write_1h_tokens)
    counts["cache_write_12h"] = taken(counts, "cache_write", rarer.cache_write_12h_tokens)
    counts["input_image"] = taken(counts, "input", rarer.input_image_tokens)
    counts["output_image"] = taken(counts, "output", rarer.output_image_tokens)
    advised = [Part("advice", 1, rarer.advice_cost, rarer.advice_cost * TOKENS_PER_PRICE, not rarer.advice_unpriced_tokens)]
    free = {kind: take_uncharged(counts, kind, getattr(rarer, f"{kind}_tokens")) for kind in UNCHARGED}
    counts["per_request"] = 1 if rates.per_request is not None and (usage.input_tokens or usage.output_tokens) else 0
    counts["per_search"], counts["per_source"] = rarer.searches, rarer.sources
    counts["per_file_search"], counts["per_code_run"] = rarer.file_searches, rarer.code_runs
    charged = [part_of(kind, count, rates) for kind in PRICED if (count := counts[kind])]
    charged += advised if rarer.advice_tokens or rarer.advice_cost else []
    return charged + [Part(kind, count, 0, 0) for kind, count in free.items() if count]


def kinds_without_price(usage: Usage, prices: UnitPrices) -> tuple[str, ...]:
    """Return the kinds of a call that have no price of their own: tokens that another one stands in for, and searches that are free then.

    Images in the input are none of them: they cost the plain price. Nor are searches where each request has its price.
    """
    if usage.breakdown is None and not usage.input_audio_tokens and not usage.output_audio_tokens:
        return ()
    none_needed = ("input_image",) if prices.per_request is None else ("input_image", "per_search", "per_source")
    parts = parts_of(usage, prices.for_input(usage.input_tokens))
    return tuple([part.kind for part in parts if not part.own and part.kind not in none_needed])


def part_of(kind: str, count: int, rates: UnitPrices) -> Part:
    """Return a part of a bill: at the kind's own price, else at that which stands in."""
    half_an_hour = kind == "cache_write_30m" and rates.cache_write_30m is None
    price: Nanos | None = rates.cache_write if half_an_hour else getattr(rates, kind)
    own = price is not None
    if price is None:
        price = 0 if kind in FEES else rates.input if kind == "input_image" else dearest(rates, SIDE[kind])
    return Part(kind, count, price, count * price * (TOKENS_PER_PRICE if kind in FEES else 1), own)


#: The side of every kind that may be without a price of its own.
SIDE: Mapping[str, str] = {**RARER, **{kind: KINDS[kind] for kind in AUDIO}}
ON_SIDE = {side: attrgetter(*[kind for kind, of in (*KINDS.items(), *RARER.items()) if of == side]) for side in ("input", "output")}


@lru_cache(PRICES_KEPT_MAX)
def dearest(rates: UnitPrices, side: str) -> Nanos:
    """Return the highest price that tokens of one side have, `input` or `output`."""
    found: tuple[Nanos | None, ...] = ON_SIDE[side](rates)
    return max([price for price in found if price is not None])


def output_price(prices: UnitPrices | None, input_tokens: int) -> Nanos:
    """Return the most that a million output tokens of a call can cost."""
    return 0 if prices is None else dearest(prices.for_input(input_tokens) if prices.tiers else prices, "output")


def taken(counts: dict[str, int], kind: str, wanted: int) -> int:
    """Take so many of a kind out of the counts, no more than there are, and return how many."""
    count = min(wanted, counts[kind])
    counts[kind] -= count
    return count


def take_uncharged(counts: dict[str, int], kind: str, wanted: int) -> int:
    """Take tokens that the vendor does not charge for out of the counts, and return how many."""
    plain, other = UNCHARGED[kind]
    free = taken(counts, plain, wanted)
    return free + taken(counts, other, wanted - free)


NO_BREAKDOWN = Breakdown()
