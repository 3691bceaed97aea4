"""What an answer truly was, the ways in which vendors write that down, and what it is to cost: by docs/billing.md, written here once more.

Shares no code with the product: it has its own fractions, its own prices by hour and tier, its own order of kinds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from aisa.config.schema import PriceHours, Prices, PriceTier, VendorTier

MILLION = 1_000_000
NANOS = 1_000_000_000
ZONES = {"UTC": UTC, **{name: ZoneInfo(name) for name in {"Asia/Kathmandu", "America/St_Johns"} & available_timezones()}}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FEES = ("per_request", "per_search", "per_source", "per_file_search", "per_code_run")
#: Every kind of token, and its side.
SIDES = {
    **dict.fromkeys(("input", "cached_input", "cache_write", "input_audio", "cached_input_audio", "input_image"), "input"),
    **dict.fromkeys(("cache_write_30m", "cache_write_1h", "cache_write_12h"), "input"),
    **dict.fromkeys(("output", "reasoning", "output_audio", "output_image"), "output"),
}
#: Kinds that cost what another does where nothing is said; of the others the dearest of their side.
AS = {"cached_input": "input", "cache_write": "input", "cache_write_30m": "cache_write", "input_image": "input", "reasoning": "output"}


class Truth(NamedTuple):
    """Tokens of an answer by kind, none counted twice, and what was counted beside them."""

    tokens: Mapping[str, int]
    searches: int = 0
    sources: int = 0
    file_searches: int = 0
    code_runs: int = 0

    def side(self, side: str) -> int:
        """Return the tokens of a side."""
        return sum(count for kind, count in self.tokens.items() if SIDES[kind] == side)

    def of(self, *kinds: str) -> int:
        """Return the tokens of some kinds."""
        return sum(self.tokens.get(kind, 0) for kind in kinds)


# What it costs


def rates(prices: Prices, moment: float, tier: str, input_tokens: int) -> dict[str, Fraction]:
    """Return US dollars per million tokens, or each, by kind, as they hold for a call."""
    found = stated(prices, Fraction(str(prices.factor)))
    steps = [(each.over_input_tokens, stated(each, Fraction(str(prices.factor)))) for each in prices.tiers]
    now = datetime.fromtimestamp(moment, ZONES[prices.time_zone])
    hours = next((each for each in prices.hours if holds(each, now)), None)
    if hours is not None:
        more = Fraction(str(hours.factor))
        found = {**multiplied(found, more), **stated(hours, Fraction(str(prices.factor)))}
        steps = [(over, multiplied(each, more)) for over, each in steps]
    other = prices.service_tiers.get(tier)
    own = {} if other is None else stated(other, Fraction(str(prices.factor)))
    if other is not None:
        more = Fraction(str(other.factor))
        found, steps = {**multiplied(found, more), **own}, [(over, {**multiplied(each, more), **own}) for over, each in steps]
    fees = {kind: found[kind] for kind in FEES if kind in found}
    for over, each in sorted(steps, key=lambda step: step[0]):
        if input_tokens > over:
            found = {**each, **fees}
    return complete(found)


def stated(part: Prices | PriceTier | VendorTier | PriceHours, factor: Fraction) -> dict[str, Fraction]:
    """Return the prices that are written down, with a factor on those of tokens."""
    given = {kind: getattr(part, kind, None) for kind in (*SIDES, *FEES)}
    return multiplied({kind: Fraction(str(price)) for kind, price in given.items() if price is not None}, factor)


def multiplied(prices: Mapping[str, Fraction], factor: Fraction) -> dict[str, Fraction]:
    """Return prices with a factor on those of tokens."""
    return {kind: price if kind in FEES else price * factor for kind, price in prices.items()}


def holds(hours: PriceHours, now: datetime) -> bool:
    """Say whether a clock shows these hours; a span over midnight belongs to the day on which it begins."""
    minute, day = now.hour * 60 + now.minute, now.weekday()
    begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in (hours.from_, hours.to))
    if begin <= end:
        within = begin <= minute < end
    else:
        within = minute >= begin or minute < end
        day = (day - 1) % 7 if minute < end else day
    return within and (not hours.days or DAYS[day] in hours.days)


def complete(found: dict[str, Fraction]) -> dict[str, Fraction]:
    """Return a price for every kind."""
    whole = {kind: found[kind] for kind in ("input", "output")}
    for kind, other in AS.items():
        whole[kind] = found.get(kind, whole[other])
    given = {**whole, **found}
    dearest = {side: max(price for kind, price in given.items() if SIDES.get(kind) == side) for side in ("input", "output")}
    whole |= {kind: found.get(kind, dearest[side]) for kind, side in SIDES.items() if kind not in whole}
    return {**whole, **{kind: found.get(kind, Fraction(0)) for kind in FEES}}


def exact_cost(truth: Truth, prices: Prices, moment: float, tier: str) -> Fraction:
    """Return what an answer costs in nano-dollars, before it is rounded."""
    each = rates(prices, moment, tier, truth.side("input"))
    total = sum((count * each[kind] / MILLION for kind, count in truth.tokens.items()), Fraction(0))
    total += truth.searches * each["per_search"] + truth.sources * each["per_source"]
    total += truth.file_searches * each["per_file_search"] + truth.code_runs * each["per_code_run"]
    return (total + (each["per_request"] if any(truth.tokens.values()) else 0)) * NANOS


def rounded(nanos: Fraction) -> int:
    """Round half up."""
    return int(nanos + Fraction(1, 2))


# How it is written down


@st.composite
def reports(draw: st.DrawFn, truth: Truth) -> dict[str, Any]:
    """Usage as some vendor writes it: whatever the spelling, the same answer."""
    inside = {"cached": truth.of("cached_input", "cached_input_audio"), "thought": truth.of("reasoning")}
    written = truth.of("cache_write", "cache_write_30m", "cache_write_1h", "cache_write_12h")
    taken, made = truth.side("input"), truth.side("output")
    usage: dict[str, Any] = {}
    beside = draw(st.sampled_from(["nothing", "cache", "thinking"]))
    ambiguous = inside["thought"] in (inside["cached"], written, inside["cached"] + written)
    given_in = taken - inside["cached"] - written if beside == "cache" else taken
    given_out = made - inside["thought"] if beside == "thinking" and not ambiguous else made
    shape = draw(st.sampled_from(["both", "both", "both", "no output"])) if (given_in, given_out) == (taken, made) and made else "both"
    usage[draw(st.sampled_from(["prompt_tokens", "input_tokens", "promptTokens", "inputTokens"]))] = given_in
    if shape == "both":
        usage[draw(st.sampled_from(["completion_tokens", "output_tokens", "completionTokens", "outputTokens"]))] = given_out
    if shape != "both" or (given_in, given_out) != (taken, made) or draw(st.booleans()):
        usage[draw(st.sampled_from(["total_tokens", "totalTokens"]))] = taken + made
    into = draw(st.sampled_from(["prompt_tokens_details", "input_tokens_details"]))
    outof = draw(st.sampled_from(["completion_tokens_details", "output_tokens_details"]))
    inner: dict[str, Any] = {}
    outer: dict[str, Any] = {}
    if inside["cached"]:
        name = draw(st.sampled_from(["cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cacheReadInputTokens"]))
        draw(st.sampled_from([usage, inner]))[name] = inside["cached"]
    if written:
        name = draw(st.sampled_from(["cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens"]))
        draw(st.sampled_from([usage, inner]))[name] = written
        lasting = {kind: truth.of(f"cache_write_{kind}") for kind in ("30m", "1h", "12h")}
        form = draw(st.sampled_from(["ephemeral_{}_input_tokens", "ttl_{}_tokens"]))
        if any(lasting.values()):
            where = draw(st.sampled_from(["cache_creation", "cache_creation_token_details", "cache_write_tokens_details"]))
            usage[where] = {form.format(kind): count for kind, count in lasting.items()}
    if inside["thought"]:
        draw(st.sampled_from([usage, outer]))["reasoning_tokens"] = inside["thought"]
    heard = truth.of("input_audio", "cached_input_audio")
    for tree, name, count in (
        (inner, "audio_tokens", heard),
        (inner, "image_tokens", truth.of("input_image")),
        (outer, "audio_tokens", truth.of("output_audio")),
        (outer, "image_tokens", truth.of("output_image")),
    ):
        if count:
            tree[name] = count
    if heard and inside["cached"]:
        inner["cached_tokens_details"] = {"audio_tokens": truth.of("cached_input_audio")}
    if truth.searches:
        ways = ("num_search_queries", "server_tool_use web_search_requests", "plugins search count", "x_tools web_search count")
        usage |= nested(draw(st.sampled_from(ways)).split(), truth.searches)
    if truth.sources:
        usage["num_sources_used"] = truth.sources
    tools = {"file_search_calls": truth.file_searches, "code_interpreter_calls": truth.code_runs}
    usage |= {"server_side_tool_usage_details": tools} if any(tools.values()) else {}
    usage |= {name: tree for name, tree in ((into, inner), (outof, outer)) if tree}
    return spelled(usage, draw(st.sampled_from(["{:d}", "{:.1f}", '"{:d}"'])))


def nested(names: list[str], count: int) -> dict[str, Any]:
    """Return a count at the end of some names, each within the one before."""
    return {names[0]: nested(names[1:], count) if names[1:] else count}


def spelled(tree: Mapping[str, Any], form: str) -> dict[str, Any]:
    """Return a report with its numbers written in another way."""
    text = json.dumps(tree)
    found: dict[str, Any] = json.loads(re.sub(r": (\d+)", lambda number: ": " + form.format(int(number[1])), text))
    return found


# Random answers and prices


@st.composite
def truths(draw: st.DrawFn, words: int) -> Truth:
    """An answer whose request has a token of plain text at least, and which says so many words and possibly more."""
    count = st.one_of(st.just(0), st.integers(1, 3_000))
    tokens = {kind: draw(count) for kind in SIDES}
    tokens["input"] += 1
    tokens["output"] += words
    return Truth(tokens, *[draw(st.integers(0, 3)) for _ in range(4)])


DOLLARS = st.integers(0, 5_000).map(lambda cents: cents / 100)
FACTORS = st.sampled_from([1.0, 0.5, 1.1, 2.0, 0.75])
OPTIONAL = ("cached_input", "cache_write", "reasoning", "input_audio", "output_audio")
RARE = ("cached_input_audio", "cache_write_30m", "cache_write_1h", "cache_write_12h", "input_image", "output_image", *FEES)
RARE_MAX = 10  # prices of rarer kinds that a set may have, tiers by input included


@st.composite
def price_lists(draw: st.DrawFn) -> Prices:
    """Prices with kinds, tiers, hours in some time zone, a service tier, fees and a factor. A larger input never makes a token cheaper."""
    over = sorted(draw(st.sets(st.sampled_from([1, 50, 5_000, 20_000]), max_size=2)))
    rare = draw(st.permutations(RARE))[: draw(st.integers(0, RARE_MAX // (1 + len(over))))]
    base: dict[str, Any] = {kind: draw(DOLLARS) for kind in ("input", "output", *(kind for kind in OPTIONAL if draw(st.booleans())), *rare)}
    tokens = {kind: price for kind, price in base.items() if kind not in FEES}
    times = sorted(draw(st.integers(1, 3)) for _ in over)
    assert all(one <= another for one, another in pairwise(times))
    steps: list[dict[str, Any]] = [{kind: round(price * more, 2) for kind, price in tokens.items()} for more in times]
    tiers = tuple(PriceTier(over_input_tokens=step, **each) for step, each in zip(over, steps, strict=True))
    hours: tuple[PriceHours, ...] = ()
    if draw(st.booleans()):
        begin, end = draw(st.integers(0, 1_439)), draw(st.integers(0, 1_439))
        own: dict[str, Any] = {} if tiers else {kind: draw(DOLLARS) for kind in tokens if draw(st.booleans())}
        days: Any = tuple(day for day in DAYS if draw(st.booleans()))
        text = [f"{minute // 60:02}:{minute % 60:02}" for minute in (begin, end)]
        hours = (PriceHours(days=days, from_=text[0], to=text[1], factor=draw(FACTORS), **own),) if begin != end else ()
    flex: dict[str, Any] = {kind: draw(DOLLARS) for kind in base if kind not in rare and draw(st.booleans())}
    service = {"flex": VendorTier(factor=draw(FACTORS), **flex)} if draw(st.booleans()) else {}
    zone = draw(st.sampled_from(sorted(ZONES)))
    return Prices(**base, tiers=tiers, hours=hours, time_zone=zone, service_tiers=service, factor=draw(FACTORS))
