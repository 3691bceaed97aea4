"""The tools of a Responses request that its vendor runs and charges for: which kind of cost each makes, which must be used. No prices."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aisa.wire.kinds_asked import TYPES
from aisa.wire.responses import ResponsesRequest
from aisa.wire.responses_client_tools import LOCAL
from aisa.wire.responses_tools import CHOICES, MORE_TOOLS
from aisa.wire.trees import Tree, as_list, as_tree, is_list, is_tree, text_or_none, trees_in

SEARCH, CODE, TOOLS = "per_search", "per_code_run", "tools"
HOSTED = {kind: re.compile(types) for kind, types in TYPES.items()}


def kind_of(tool: Tree) -> str:
    """Return the kind of cost that a tool makes; nothing of those that are run elsewhere, or cost no more than their tokens."""
    name = text_or_none(tool.get("type")) or ""
    if name == "shell":  # in a container of the vendor's, or on the client's machine
        return CODE if as_tree(tool.get("environment")).get("type") not in (None, LOCAL) else ""
    return next((kind for kind, types in HOSTED.items() if types.fullmatch(name)), "")


def kinds_hosted(request: ResponsesRequest) -> Iterator[str]:
    """Yield the kinds of cost of the tools that a request offers: of searches only if one must be made.

    Agents offer a search with every request, used or not, and do without.
    """
    offered = [tool for _, tool in offered_in(request)]
    kinds = list(dict.fromkeys(map(kind_of, offered)))
    yield from [kind for kind in kinds if kind and (kind != SEARCH or must_search(request.known.tool_choice, offered))]


def offered_in(request: ResponsesRequest) -> Iterator[tuple[str, Tree]]:
    """Yield the tools that a request offers, at its top and on the way, each with its place."""
    lists: list[tuple[str, object]] = [(TOOLS, request.sent(TOOLS))]
    items = request.known.input
    for place, item in enumerate(() if isinstance(items, str) else items):
        if item.get("type") == MORE_TOOLS:
            lists.append((f"input[{place}].{TOOLS}", item.get(TOOLS)))
    for where, tools in lists:
        yield from [(f"{where}[{place}]", tool) for place, tool in enumerate(as_list(tools)) if is_tree(tool)]


def must_search(choice: str | Tree | None, offered: list[Tree]) -> bool:
    """Tell whether a choice leaves nothing but a search: it names one, or a call is required and there is nothing else to be called."""
    named = as_tree(choice)
    word = str(named.get("type")) if named else choice
    if word in CHOICES:
        return word == "required" and bool(offered) and all(map(searches, offered))
    allowed = trees_in(named.get(TOOLS))
    return searches(named) or (named.get("mode") == "required" and bool(allowed) and all(map(searches, allowed)))


def searches(tool: Tree) -> bool:
    """Tell whether a tool is a search that its vendor makes."""
    return kind_of(tool) == SEARCH


def without_searches(request: ResponsesRequest) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return the members of a request that offer or allow searches, without these, and the places of those that are left out."""
    places = tuple([place for place, tool in offered_in(request) if searches(tool)])
    if not places:
        return {}, ()
    changed: dict[str, object] = {}
    if is_list(tools := request.sent(TOOLS)):
        changed[TOOLS] = unsearching(tools)
    items = request.known.input
    if not isinstance(items, str):
        offer = [item.get("type") == MORE_TOOLS for item in items]
        if any(offer):
            changed["input"] = [
                {**item, TOOLS: unsearching(item.get(TOOLS))} if does else item for item, does in zip(items, offer, strict=True)
            ]
    choice = as_tree(request.known.tool_choice)
    if any(map(searches, trees_in(choice.get(TOOLS)))):
        left = unsearching(choice[TOOLS])
        changed["tool_choice"] = {**choice, TOOLS: left} if left else "none"
    return changed, places


def unsearching(tools: object) -> object:
    """Return tools without searches."""
    return [tool for tool in tools if not searches(as_tree(tool))] if is_list(tools) else tools
