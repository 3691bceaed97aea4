"""For how many searches, sources and runs of code is held before a call: what its request shows, once each at least. Holds nothing."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from aisa.other_models import members_of
from aisa.prices.dear_input import FEES_HELD
from aisa.prices.lacking import always_searches
from aisa.pricing import Tier, UnitPrices
from aisa.wire.containers import gigabytes_in
from aisa.wire.door import Request
from aisa.wire.generated import text_bytes
from aisa.wire.hosted_tools import kind_of, offered_in
from aisa.wire.own_kinds import kinds_in
from aisa.wire.rerank import RerankRequest
from aisa.wire.responses import ResponsesRequest
from aisa.wire.searches import made_to_search
from aisa.wire.trees import as_tree

SEARCH, SOURCE, CODE = "per_search", "per_source", "per_code_run"
TOOLS, PARAMETERS = "tools", "search_parameters"
SOURCES, SOURCES_MAX = 20, 50  # that xAI reads of a search, and the most that a request may ask for
#: Cohere ranks so many documents for one search, and takes a longer one than so many bytes, some 500 tokens, for several.
RANKED_AT_ONCE, RANKED_BYTES = 100, 2_000


def fees_shown(request: Request, prices: UnitPrices, model: str) -> dict[str, int]:
    """Return how many of what has a fee here a request shows that it may make: of most kinds one, as nobody knows how often."""
    priced = frozenset([kind for kind in FEES_HELD if getattr(prices, kind)])
    if not priced:
        return {}
    if isinstance(request, RerankRequest):
        return {SEARCH: -(-sum([max(1, -(-text_bytes(text) // RANKED_BYTES)) for text in request.texts]) // RANKED_AT_ONCE)}
    shown = dict.fromkeys([kind for kind, _ in kinds_in(request, priced)], 1)
    tools = members_of(request, (TOOLS,)).get(TOOLS) if CODE in shown else ()
    if isinstance(request, ResponsesRequest):  # which may offer more on the way, and searches that need not be made
        tools = [tool for _, tool in offered_in(request)]
        shown |= dict.fromkeys(priced.intersection(map(kind_of, tools)), 1)
    if SEARCH in priced and always_searches(model):
        shown[SEARCH] = 1
    if SEARCH in shown and request.chat is not None:
        shown[SEARCH] = max(1, made_to_search(request.chat.fields))
    if CODE in shown:
        shown[CODE] = gigabytes_in(tools)
    if SOURCE in shown:
        asked = as_tree(members_of(request, (PARAMETERS,)).get(PARAMETERS)).get("max_search_results")
        shown[SOURCE] = min(asked, SOURCES_MAX) if type(asked) is int and asked > 0 else SOURCES
    return shown


def with_fees(prices: UnitPrices, shown: Mapping[str, int]) -> UnitPrices:
    """Return prices whose fee for a request has these fees in it."""
    if not shown:
        return prices
    fees = sum([(getattr(prices, kind) or 0) * number for kind, number in shown.items()])
    tiers = tuple([Tier(tier.over_input_tokens, with_fees(tier.prices, shown)) for tier in prices.tiers])
    return replace(prices, per_request=(prices.per_request or 0) + fees, tiers=tiers)
