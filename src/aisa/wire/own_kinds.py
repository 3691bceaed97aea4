"""Which rarer kinds of cost a request shows in members of its own protocol, that only vendors who speak it are sent. Knows no price."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import msgspec

from aisa.wire.cache_lifetimes import cache_lifetime
from aisa.wire.door import Request
from aisa.wire.gemini import GeminiRequest
from aisa.wire.gemini_names import member, trees_at
from aisa.wire.hosted_tools import kinds_hosted
from aisa.wire.kinds_asked import LONG_WRITES, MADE, TOOLS, WRITES, Native, kinds_asked, offers
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_code import runs_code
from aisa.wire.responses import ResponsesRequest
from aisa.wire.trees import as_tree, is_list

MARKED = "cache_control.ttl"  # the member that asks in a request of the Messages API, whose marks only some targets get
RESPONSES = ResponsesRequest.protocol
#: Tools that Gemini runs and charges for, by the kind of cost: maps are searched, too, and others' searches of the web are charged through.
#: Code, pages and files of its own cost no more than their tokens.
OF_GEMINI = {
    "per_search": ("googleSearch", "googleSearchRetrieval", "enterpriseWebSearch", "googleMaps", "parallelAiSearch", "exaAiSearch"),
    "per_file_search": ("retrieval",),
}
MODALITIES = "generationConfig.responseModalities"


def kinds_in(request: Request, wanted: AbstractSet[str]) -> list[tuple[str, str]]:
    """Return those of the wanted kinds that a request asks for, in its own words or as the chat that it is; none of no conversation."""
    chat = request.chat
    return [] if chat is None else [*kinds_asked(chat, wanted), *own_kinds(request, wanted)]


def own_kinds(request: Request, wanted: AbstractSet[str]) -> list[tuple[str, str]]:
    """Return those of the wanted kinds that such members ask for, each with the member that does; none of a chat, which has no others."""
    if isinstance(request, MessagesRequest):
        lifetime = cache_lifetime(request.fields, WRITES) if wanted & LONG_WRITES else ""
        found = [(WRITES[lifetime], MARKED)] if lifetime else []
        found += tools_asked(tools := request.tree.get("tools"), request.protocol)
        found += [("per_code_run", Native("tools", request.protocol))] if runs_code(tools) else []
    elif isinstance(request, GeminiRequest):
        found = list(asked_of_gemini(request))
    elif isinstance(request, ResponsesRequest):
        found = [(kind, Native("tools", RESPONSES)) for kind in kinds_hosted(request)]
    else:
        return []
    return [(kind, asks) for kind, asks in found if kind in wanted]


def tools_asked(tools: object, dialect: str) -> Iterator[tuple[str, str]]:
    """Yield the kinds of cost that tools make which the vendor runs."""
    written = msgspec.json.encode(tools) if tools else b""
    for kind, tool in TOOLS.items():
        if offers(tool, written):
            yield kind, Native("tools", dialect)


def asked_of_gemini(request: GeminiRequest) -> Iterator[tuple[str, str]]:
    """Yield the kinds of cost that a request of Gemini's own API asks for."""
    tools = trees_at(request.tree, "tools")
    for kind, names in OF_GEMINI.items():
        if any(member(tool, name) is not None for tool in tools for name in names):
            yield kind, Native("tools", request.protocol)
    asked = member(as_tree(member(request.tree, "generationConfig")), "responseModalities")
    for word in asked if is_list(asked) else ():
        if isinstance(word, str) and word.lower() in MADE:
            yield MADE[word.lower()], Native(MODALITIES, request.protocol)
