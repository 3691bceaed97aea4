"""What a request lets its vendor do by itself, and whether the bill of an answer would have it: further models, tools without a price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Self

from msgspec.structs import replace

from aisa.errors import ApiError
from aisa.offer import Entry, Offer
from aisa.other_models import GATEWAY, LISTS, SYSTEMS, TOOLS, few, further_models, members_of
from aisa.prices.lacking import BESIDE
from aisa.pricing import UnitPrices
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.own_kinds import kinds_in
from aisa.wire.searches import plugins_on
from aisa.wire.spelled_out import spelled_out
from aisa.wire.trees import Tree, as_tree, text_or_none, trees_in

NAMING = (*LISTS, SYSTEMS, GATEWAY)  # members that name models; what an advisor costs is in the bill of its call
PLUGINS = "plugins"
ROUTERS = "openrouter:"  # begins the types of OpenRouter's own tools
#: Those of its tools that cost no more than tokens, and that have a fee. Others ask models, read pages or run machines at prices of theirs.
FREE_TOOLS = ("datetime", "apply_patch", "tool_search", "experimental__search_models")
FEE_BEGINS = ("web_search", "image_generation")
FETCHES, FREE_ENGINE = "web_fetch", "openrouter"  # pages cost nothing by that engine alone
COSTLY_PLUGINS = ("fusion",)  # asks several models
PARSER, COSTLY_ENGINE = "file-parser", "mistral-ocr"  # by the page; its other engines are free
#: A request of one of these protocols is sent to the others with members that we do not know.
ONE_PROTOCOL = ("openai", "responses", "completions")


class Beside(str):
    """A member that lets a vendor do so: ask further models, each by the member that names it, or use a `tool` that no bill would have."""

    __slots__ = ("at", "entry_of", "names", "protocol", "tool")
    names: dict[str, str]
    tool: str
    protocol: str
    entry_of: Callable[[str], Entry]
    at: float

    def __new__(cls, member: str, *, names: dict[str, str], tool: str, protocol: str, find: Callable[[str], Entry], at: float) -> Self:
        """Make one; `find` looks entries up, and prices are those `at` a UNIX second."""
        made = super().__new__(cls, member)
        made.names, made.tool, made.protocol, made.entry_of, made.at = names, tool, protocol, find, at
        return made

    def reaches(self, offer: Offer) -> bool:
        """Say whether a target gets the member: vendors of other protocols are not told of it."""
        dialect = offer.target.dialect
        return dialect == self.protocol or (dialect in ONE_PROTOCOL and self.protocol in ONE_PROTOCOL)

    def unpriced_at(self, offer: Offer) -> str:
        """Return what a target would do at a price that its bill would not have; empty if there is nothing."""
        if not self.reaches(offer):
            return ""
        return self.tool or next((name for name in self.names if not self._is_billed(name, offer)), "")

    def _is_billed(self, name: str, offer: Offer) -> bool:
        """Say whether an answer by a further model costs at least what that model does here."""
        if name in (offer.target.model, offer.name):
            return True
        try:
            named = self.entry_of(f"{offer.target.vendor}/{name}").offers[0]
        except ApiError:  # no model that may be called
            return False
        own, charged = named.price_at(self.at), offer.answered_price(name, self.at)[0]
        return own is not None and charged is not None and covers(charged.prices, own.prices)

    def held_for(self, offer: Offer) -> Offer:
        """Return a target for which what the dearest of the further models costs is held."""
        return replace(offer, further=tuple(self.names), dear_input=True) if self.names and self.reaches(offer) else offer


def covers(charged: UnitPrices, own: UnitPrices) -> bool:
    """Say whether nothing costs less at the first prices than at the second, whatever the size of the input."""
    sizes = [0, *[tier.over_input_tokens + 1 for prices in (charged, own) for tier in prices.tiers]]
    pairs = [(charged.for_input(size), own.for_input(size)) for size in sizes]
    plain = all(getattr(ours, kind) >= getattr(theirs, kind) for ours, theirs in pairs for kind in COMPARED)
    return plain and all((ours.per_request or 0) >= (theirs.per_request or 0) for ours, theirs in pairs)


COMPARED = ("input", "output", "cached_input", "cache_write", "reasoning")


def kinds_shown(request: Request, wanted: AbstractSet[str], *, find: Callable[[str], Entry], at: float) -> list[tuple[str, str]]:
    """Return those of the wanted kinds that a request asks for, each with the member that does; `find` and `at` as in `Beside`.

    Raises ApiError invalid_request for too many further models.
    """
    kinds = kinds_in(request, wanted)
    if BESIDE not in wanted:
        return kinds
    protocol = getattr(request, "protocol", ONE_PROTOCOL[0])
    if names := few(dict(further_models(request, NAMING))):
        member = next(iter(names.values()))
        kinds.append((BESIDE, Beside(member, names=names, tool="", protocol=protocol, find=find, at=at)))
    kinds += [(BESIDE, Beside(member, names={}, tool=tool, protocol=protocol, find=find, at=at)) for tool, member in tools_beside(request)]
    return kinds


def tools_beside(request: Request) -> Iterator[tuple[str, str]]:
    """Yield OpenRouter's tools and plugins in a request that cost what no key of prices tells, each with its member."""
    for tool in tools_of(request):
        kind = text_or_none(tool.get("type")) or ""
        if kind.startswith(ROUTERS) and not is_told(kind.removeprefix(ROUTERS), as_tree(tool.get("parameters")).get("engine")):
            yield kind, TOOLS
    for plugin in plugins_on(members_of(request, (PLUGINS,)).get(PLUGINS)):
        name = text_or_none(plugin.get("id")) or ""
        if name in COSTLY_PLUGINS or (name == PARSER and as_tree(plugin.get("pdf")).get("engine") == COSTLY_ENGINE):
            yield COSTLY_ENGINE if name == PARSER else name, PLUGINS


def tools_of(request: Request) -> list[Tree]:
    """Return the tools of a request; of a chat whose tools name none of OpenRouter's nothing, as they may be long."""
    if isinstance(request, ChatRequest) and ROUTERS.encode() not in spelled_out(bytes(request.fields.get(TOOLS, b""))):
        return []
    return list(trees_in(members_of(request, (TOOLS,)).get(TOOLS)))


def is_told(tool: str, engine: object) -> bool:
    """Say whether what a tool of OpenRouter's costs can be in a bill."""
    return tool in FREE_TOOLS or tool.startswith(FEE_BEGINS) or (tool == FETCHES and engine == FREE_ENGINE)
