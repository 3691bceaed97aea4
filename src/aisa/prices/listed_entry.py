"""One entry of a price list in LiteLLM's format, read as the prices that an operator would have written. Finds no entry.

Its prices are US dollars a token. Zero stands there for what is free and for what nobody has looked up, so it is taken for no price.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, cast

from msgspec import convert

from aisa.config.schema import PriceHours, Prices, PriceTier, VendorTier
from aisa.money import NANOS_PER_DOLLAR, TOKENS_PER_PRICE
from aisa.prices.rules import WEEKDAYS
from aisa.pricing import FEE_MAX, FEES, PRICE_MAX, RARER, RARER_PRICES_MAX, TIERS_MAX

EMBEDDING, RERANK = "embedding", "rerank"  # of models that write nothing, so that an output of 0 is no price that nobody has looked up
MODES = ("chat", "responses", "completion", EMBEDDING, RERANK)  # of models that answer calls as they are made here
QUERIES = "input_cost_per_query"  # what a ranking costs: a search
#: The list's name of a price -> the kind that we charge at it. Of two names for one kind the first that is there counts.
KINDS: Mapping[str, str] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "input_cost_per_token_cache_hit": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "cache_read_input_audio_token_cost": "cached_input_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_request": "per_request",
}
SEARCHES = "search_context_cost_per_query"  # by how much is searched for, which no answer tells: a price only where all are alike
FACTORS = "provider_specific_entry"  # on all prices of tokens, by what an answer says of itself: Anthropic's place and speed
PLACE, SPEED = "us", "fast"
FACTOR_MAX = 100
STEPS, CHEAPER_HOURS = "tiered_pricing", "off_peak_pricing"
#: Prices that are another price under a second name -> that one. They are read over where both are the same.
TWICE: Mapping[str, str] = {
    "cache_read_input_image_token_cost": "cache_read_input_token_cost",
    "cache_creation_input_audio_token_cost": "cache_creation_input_token_cost",
    "explicit_cache_read_input_token_cost": "cache_read_input_token_cost",
    "citation_cost_per_token": "input_cost_per_token",
}
#: Prices of what no call here makes, or what no usage report of a chat tells apart; those of batches too.
NOT_CHARGED = re.compile(
    r"_batches$|_dbu_|^(code_interpreter|computer_use|file_search|vector_store|google_maps|annotation|ocr)_|_uplift_multiplier"
)
IS_PRICE = re.compile(r"cost|pricing")
ABOVE = re.compile(r"_above_(\d+)(k?)_tokens")
TIER = re.compile(r"_([a-z]+)$")
HOURS = re.compile(r"\s*([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-4]):([0-5]\d)\s*")
MIDNIGHT = "00:00"
DAYS_A_WEEK = 7

#: (service tier, input tokens above which it holds) -> prices by kind, in US dollars per million tokens or each.
Given = dict[tuple[str, int], dict[str, Decimal]]


class NotCharged(Exception):
    """Why an entry is no price for a bill; its words go on after "but"."""


def prices_of(entry: Mapping[str, object]) -> Prices:
    """Return the prices of an entry. Raises NotCharged where a part of it cannot be charged, as the bill would be too small."""
    mode = entry.get("mode")
    if mode not in MODES:
        raise NotCharged(f"as a model for {mode}" if isinstance(mode, str) else "without a `mode`, so that nobody knows what it is for")
    given: Given = {("", 0): {}}
    for name, value in entry.items():
        if IS_PRICE.search(name) and not NOT_CHARGED.search(name):
            take(given, name, value, entry=entry)
    usual = given["", 0]
    nothing = {"output": Decimal(0)} if mode in (EMBEDDING, RERANK) else {}
    nothing |= {"input": Decimal(0)} if "per_search" in usual and mode == RERANK else {}
    for kind in ("input", "output"):
        if kind not in usual and kind in nothing:
            usual[kind] = nothing[kind]
        if kind not in usual:
            raise NotCharged(f"without a price for its {kind}, or with 0, which stands there for free and for unknown alike")
    tell_thinking(given)
    tiers = {tier: tier_prices(given, tier) for tier, _ in given if tier} | factors_of(entry.get(FACTORS))
    steps = price_tiers(given, "")
    hours = tuple(hours_of(entry[CHEAPER_HOURS])) if entry.get(CHEAPER_HOURS) else ()
    if hours and steps:
        raise NotCharged("with prices by hour and by context length at once")
    rarer = {kind for prices in given.values() for kind in prices if kind in (*RARER, *FEES)}
    widest = max([len(steps), *[len(tier.tiers) for tier in tiers.values()]])
    if widest > TIERS_MAX or len(rarer) * (1 + widest) > RARER_PRICES_MAX:
        raise NotCharged("with more steps by context length, or rarer kinds, than are kept here")
    return Prices(**cast("Any", usual), tiers=steps, service_tiers=tiers, hours=hours)


def factors_of(value: object) -> dict[str, VendorTier]:
    """Return what a place and a speed cost, and both at once, as service tiers of these names."""
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    said = {
        name: factor for name in (PLACE, SPEED) if isinstance(factor := members.get(name), int | float) and not isinstance(factor, bool)
    }
    found = {name: Decimal(str(factor)) for name, factor in said.items() if factor > 0}
    if len(found) == len((PLACE, SPEED)):
        found[f"{SPEED}+{PLACE}"] = found[SPEED] * found[PLACE]
    if any(factor > FACTOR_MAX for factor in found.values()):
        raise NotCharged(f"with a factor that is too high to be meant: {FACTORS}")
    return {name: convert({"factor": str(factor)}, VendorTier, strict=False) for name, factor in found.items()}


def take(given: Given, name: str, value: object, *, entry: Mapping[str, object]) -> None:
    """Put one member of an entry where it belongs."""
    if name == STEPS:
        take_steps(given, value)
        return
    if name == SEARCHES:
        sizes = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        each = {amount(name, price) for price in sizes.values()}
        if len(each) == 1 and (price := each.pop()):
            given["", 0]["per_search"] = price
        return
    if name == CHEAPER_HOURS:
        return
    price = amount(name, value)
    if price and name == QUERIES and entry.get("mode") == RERANK:
        given["", 0]["per_search"] = in_dollars("per_search", price, name)
        return
    if not price:
        return
    above = ABOVE.search(name)
    stem = name if above is None else name.replace(above[0], "")
    over = 0 if above is None else int(above[1]) * (1_000 if above[2] else 1)
    tier = ""
    if stem not in KINDS and (ending := TIER.search(stem)) is not None and stem[: ending.start()] in (*KINDS, *TWICE):
        stem, tier = stem[: ending.start()], ending[1]
    if stem in TWICE and amount(name, entry.get(name.replace(stem, TWICE[stem]))) == price:
        return
    if stem not in KINDS:
        raise NotCharged(f"with a price that is not charged here: {name}")
    given.setdefault((tier, over), {}).setdefault(KINDS[stem], in_dollars(KINDS[stem], price, name))


def take_steps(given: Given, value: object) -> None:
    """Read prices by ranges of input tokens, of which the one holds for all tokens that the input is in."""
    steps = cast("list[object]", value) if isinstance(value, list) else []
    for step in steps:
        members = cast("dict[str, object]", step) if isinstance(step, dict) else {}
        span = members.get("range")
        start = cast("list[object]", span)[0] if isinstance(span, list) and span else None
        if not isinstance(start, int | float) or start < 0 or start != int(start):
            raise NotCharged(f"with `{STEPS}` whose `range` cannot be read")
        for name, price in members.items():
            if name != "range":
                if name not in KINDS:
                    raise NotCharged(f"with a price that is not charged here: {STEPS}.{name}")
                if found := amount(name, price):
                    given.setdefault(("", int(start)), {})[KINDS[name]] = in_dollars(KINDS[name], found, name)


def amount(name: str, value: object) -> Decimal:
    """Return a price as it is written, 0 where there is none."""
    if value is None:
        return Decimal(0)
    try:
        found = Decimal(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise NotCharged(f"with a price that is no number from 0 up: {name}")
    return found


def in_dollars(kind: str, price: Decimal, name: str) -> Decimal:
    """Return a price in US dollars per million tokens, or each, to nine decimals as all are kept."""
    dollars = price if kind in FEES else price * TOKENS_PER_PRICE
    if dollars * NANOS_PER_DOLLAR > (FEE_MAX if kind in FEES else PRICE_MAX):
        raise NotCharged(f"with a price that is too high to be meant: {name}")
    return dollars.quantize(Decimal(1).scaleb(-9), ROUND_HALF_UP)


def tell_thinking(given: Given) -> None:
    """Have thinking follow the output where its price only repeats that, and in service tiers that price output and not thinking."""
    usual = given["", 0]
    if usual.get("reasoning") == usual["output"]:
        del usual["reasoning"]
    apart = any("reasoning" in prices for prices in given.values())
    for (tier, _), prices in given.items():
        if apart and tier and "output" in prices:
            prices.setdefault("reasoning", prices["output"])


def price_tiers(given: Given, tier: str) -> tuple[PriceTier, ...]:
    """Return a service tier's prices by context length, the usual one's if it is empty: each with all kinds that have a price there.

    What a step does not say costs what the step before says, a service tier's own before the usual one. Where only the usual one says it
    for a step, a service tier costs the dearer of that and of its own below: nobody knows which, and the bill must not be too small.
    """
    prices = {**given["", 0], **given.get((tier, 0), {})}
    found: list[PriceTier] = []
    for step in sorted({over for name, over in given if over and name in ("", tier)}):
        own = {kind for name, over in given if name == tier and over <= step for kind in given[name, over]}
        usual = given.get(("", step), {})
        prices |= {kind: max(price, prices[kind]) if kind in own and kind in prices else price for kind, price in usual.items()}
        prices |= given.get((tier, step), {})
        found.append(PriceTier(over_input_tokens=step, **cast("Any", {kind: price for kind, price in prices.items() if kind not in FEES})))
    return tuple(found)


def tier_prices(given: Given, tier: str) -> VendorTier:
    """Return what a service tier costs, where it differs."""
    return VendorTier(**cast("Any", given.get((tier, 0), {})), tiers=price_tiers(given, tier))


def hours_of(value: object) -> Iterator[PriceHours]:
    """Yield the hours at which an entry has other prices. One that goes over midnight is two, as its days are those of the moment."""
    block = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if block.get("weekday_timezone") not in (None, "UTC"):
        raise NotCharged("with hours by days of the week that do not begin at midnight UTC")
    given: Given = {("", 0): {}}
    for name, price in block.items():
        if IS_PRICE.search(name):
            take(given, name, price, entry=block)
    if list(given) != [("", 0)] or not given["", 0]:
        raise NotCharged(f"with `{CHEAPER_HOURS}` that cannot be read")
    rules = [block, *cast("list[object]", block.get("windows") or [])]
    for rule in rules:
        members = cast("dict[str, object]", rule) if isinstance(rule, dict) else {}
        hours = members.get("hours_utc")
        for text in [hours] if isinstance(hours, str) else cast("list[object]", hours or []):
            for begin, end in spans(text):
                yield PriceHours(days=days_of(members.get("weekdays")), from_=begin, to=end, **cast("Any", given["", 0]))


def spans(text: object) -> Iterator[tuple[str, str]]:
    """Yield the parts of a span such as `16:30-00:30` within one day; it is the whole day where it ends as it begins."""
    found = HOURS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise NotCharged(f"with `{CHEAPER_HOURS}` whose hours cannot be read")
    begin, end = f"{found[1]}:{found[2]}", f"{found[3]}:{found[4]}"
    if begin == end:
        yield MIDNIGHT, "24:00"
    elif begin < end or end == MIDNIGHT:
        yield begin, "24:00" if end == MIDNIGHT else end
    else:
        yield begin, "24:00"
        yield MIDNIGHT, end


def days_of(value: object) -> tuple[Any, ...]:
    """Return days of the week, which stand there as 1 to 7 from Monday or by their names; all days as none."""
    if value is None:
        return ()
    found: list[str] = []
    for day in cast("list[object]", value) if isinstance(value, list) else [value]:
        word = day.strip().lower()[:3] if isinstance(day, str) else ""
        if isinstance(day, int) and 1 <= day <= DAYS_A_WEEK:
            word = WEEKDAYS[day - 1]
        if word not in WEEKDAYS:
            raise NotCharged(f"with `{CHEAPER_HOURS}` whose days cannot be read")
        found.append(word)
    return tuple(found)
