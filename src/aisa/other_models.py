"""Further models that a request names, for its vendor to ask by itself, held against a key's allow-list. Knows no price."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Raw

from aisa.errors import ApiError
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Entry
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.messages import MessagesRequest
from aisa.wire.responses import ResponsesRequest
from aisa.wire.trees import Tree, as_list, as_tree, text_or_none, trees_in

#: Members that name models to fall back on: OpenRouter's, Perplexity's, Anthropic's and LiteLLM's, each a list of names or of objects.
LISTS = ("models", "fallbacks")
#: Where other vendors have them: the models of Groq's systems, the fall-backs of Vercel's gateway.
SYSTEMS, GATEWAY, TOOLS = "compound_custom", "providerOptions", "tools"
MEMBERS = (*LISTS, SYSTEMS, GATEWAY, TOOLS)
ADVISOR = "advisor_"  # begins the type of Anthropic's tool that asks another model


def refuse_others(allowed: Sequence[str], entry: Entry, request: Request, *, find: Callable[[str], Entry]) -> None:
    """Raise ApiError model_not_allowed for a further model that a key with this allow-list may not use; `find` looks entries up."""
    for name, member in further_models(request):
        if not may_use(name, allowed, entry, find=find):
            what = f"This key may not use the model '{name[:MODEL_NAME_CHARACTERS_MAX]}', which `{member}` names. It may use: "
            raise ApiError("model_not_allowed", f"{what}{', '.join(allowed[:SHOWN_MAX])}.", param=member)


def further_models(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the names of further models in a request, each with its member."""
    given = members_of(request)
    for member in LISTS:
        for each in as_list(given.get(member)):
            yield from named(as_tree(each).get("model") or each, member)
    for name in as_tree(as_tree(given.get(SYSTEMS)).get("models")).values():
        yield from named(name, SYSTEMS)
    for name in as_list(as_tree(as_tree(given.get(GATEWAY)).get("gateway")).get("models")):
        yield from named(name, GATEWAY)
    for tool in trees_in(given.get(TOOLS)):
        if str(tool.get("type")).startswith(ADVISOR):
            yield from named(tool.get("model"), TOOLS)


def members_of(request: Request) -> Tree:
    """Return those members of a request that may name models; vendors of another protocol are not told what only its own has."""
    if isinstance(request, MessagesRequest):
        return request.tree
    fields: dict[str, Raw] = {}
    if isinstance(request, ChatRequest):
        fields = request.fields
    elif isinstance(request, ResponsesRequest):
        fields = request.fields()
    return {name: msgspec.json.decode(fields[name]) for name in MEMBERS if name in fields}


def named(value: object, member: str) -> Iterator[tuple[str, str]]:
    """Yield a name, if it is one."""
    name = text_or_none(value)
    if name is not None:
        yield name, member


def may_use(name: str, allowed: Sequence[str], entry: Entry, *, find: Callable[[str], Entry]) -> bool:
    """Tell whether a name is one of an allow-list at a vendor of this entry, or leads to the same there; the entry's own models are."""
    wanted = {name.casefold(), *[f"{offer.target.vendor}/{name}".casefold() for offer in entry.offers]}
    if not wanted.isdisjoint([*map(str.casefold, allowed), *[offer.name.casefold() for offer in entry.offers]]):
        return True
    for each in allowed:
        try:
            offers = find(each).offers
        except ApiError:
            continue
        if not wanted.isdisjoint([offer.name.casefold() for offer in offers]):
            return True
    return False


SHOWN_MAX = 20  # names of an allow-list in an error
