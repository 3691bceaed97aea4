"""At which prices a call is held for that costs more than its tokens: for what it writes to a cache, for where it is made. Holds none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from aisa.ledger.fee_holds import fees_shown, with_fees
from aisa.offer import Offer
from aisa.prices.dear_input import PLACING, is_dear
from aisa.prices.rules import Price
from aisa.pricing import Tier, UnitPrices, dearest
from aisa.wire.cache_lifetimes import cache_lifetime
from aisa.wire.door import Request
from aisa.wire.geographies import ASKED, place_in, placed
from aisa.wire.kinds_asked import OPTIONS, SOUND, WRITES, half_a_day_asked
from aisa.wire.messages import MessagesRequest
from aisa.wire.own_kinds import kinds_in
from aisa.wire.spelled_out import spelled_out

BY_MARKS = frozenset({"anthropic", "bedrock"})  # dialects in which nothing is written that is not marked; elsewhere vendors write unasked
MARKABLE = ("messages", "tools", "system")
MARK = re.compile(rb'"(?:cache_control|prompt_cache_breakpoint)"\s*:\s*[{t]')
LONG = re.compile(rb'"ttl"\s*:\s*"(?:30m|1h|12h)"')  # what becomes an hour in those dialects
SOUNDS = frozenset({SOUND})
HALF, HOUR = "cache_write_30m", WRITES["1h"]  # half an hour is what OpenAI keeps unasked


def with_writes(found: Iterable[tuple[Offer, Price | None]], request: Request, now: float) -> list[UnitPrices]:
    """Return the prices of these offers, but for those that have none, with the dearest `input` that a token of this request's may cost.

    What it shows that is charged by the number is in the fee for the request. Where it asks for a place that its vendor charges more for,
    that price at a UNIX second is among them.
    """
    chat = request.chat
    rates: list[UnitPrices] = []
    own = request.fields if isinstance(request, MessagesRequest) else None
    place = place_in(msgspec.json.decode(own[ASKED])) if own is not None and ASKED in own else ""
    for offer, price in found:
        if price is None:
            continue
        there = offer.price_at(now, placed(offer.tier, place)) if place and offer.target.dialect == PLACING else None
        others = [offer.answered_price(name, now)[0] for name in offer.further]
        rated = [each.prices for each in (price, there, *others) if each is not None]
        kinds: list[str] = []
        if chat is not None and any(map(is_dear, rated)):  # what is no conversation is not kept, and to look takes a while
            fields = chat.fields if own is None else own
            kinds = marked(fields) if offer.target.dialect in BY_MARKS else unmarked(fields)
            kinds += [SOUND] if price.prices.input_audio is not None and kinds_in(request, SOUNDS) else []
        dear = [at_dearest(each, kinds) if kinds else each for each in rated]
        rates += [with_fees(each, fees_shown(request, each, offer.target.model)) for each in dear]
    return rates


def marked(fields: Mapping[str, Raw]) -> list[str]:
    """Return the kinds of writes that the marks of a request ask for; none where it has no marks."""
    members = [spelled_out(bytes(fields[name])) for name in MARKABLE if name in fields]
    if "cache_control" not in fields and not any(map(MARK.search, members)):
        return []
    lasting = [*members, *[spelled_out(bytes(fields[name])) for name in ("cache_control", OPTIONS) if name in fields]]
    return ["cache_write", *([HOUR] if any(map(LONG.search, lasting)) else [])]


def unmarked(fields: Mapping[str, Raw]) -> list[str]:
    """Return the kinds of writes that a vendor may make that writes unasked: those that last as usual, and as the request asks."""
    lifetime = cache_lifetime(fields, WRITES)
    return ["cache_write", HALF, *([WRITES[lifetime]] if lifetime else []), *([WRITES["12h"]] if half_a_day_asked(fields) else [])]


def at_dearest(prices: UnitPrices, kinds: list[str]) -> UnitPrices:
    """Return prices whose `input` is the dearest of these kinds, its tiers' too; a kind without a price costs the dearest of its side."""
    own = [getattr(prices, kind) for kind in kinds if kind != HALF or prices.cache_write_30m is not None]  # else as any write
    top = max([prices.input, *[dearest(prices, "input") if price is None else price for price in own]])
    return replace(prices, input=top, tiers=tuple([Tier(tier.over_input_tokens, at_dearest(tier.prices, kinds)) for tier in prices.tiers]))
