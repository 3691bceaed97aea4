"""Further models that a request names, for its vendor to ask by itself, held against a key's allow-list. Knows no price."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw

from aisa.errors import ApiError
from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.offer import Entry
from aisa.redaction import without_secrets
from aisa.wire.door import Request
from aisa.wire.responses import ResponsesRequest
from aisa.wire.trees import Tree, as_list, as_tree, text_or_none, trees_in

#: Members that name models to fall back on: OpenRouter's, Perplexity's, Anthropic's and LiteLLM's, each a list of names or of objects.
LISTS = ("models", "fallbacks")
#: Where other vendors have them: the models of Groq's systems, the fall-backs of Vercel's gateway.
SYSTEMS, GATEWAY, TOOLS = "compound_custom", "providerOptions", "tools"
MEMBERS = (*LISTS, SYSTEMS, GATEWAY, TOOLS)
ADVISOR = "advisor_"  # begins the type of Anthropic's tool that asks another model


def refuse_others(allowed: Sequence[str], entry: Entry, request: Request, *, find: Callable[[str], Entry]) -> None:
    """Refuse further models that a key with this allow-list may not use; `find` looks entries up, each of the list's once at most.

    Raises ApiError: model_not_allowed; invalid_request for more than FURTHER_MAX different ones.
    """
    further = few(dict(further_models(request)))
    usable = {*map(str.casefold, allowed), *[offer.name.casefold() for offer in entry.offers]}
    others = [(name, member) for name, member in further.items() if usable.isdisjoint(names_of(name, entry))]
    if others:
        usable = offered(allowed, find=find)
    for name, member in others:
        if usable.isdisjoint(names_of(name, entry)):
            told = without_secrets(name[:MODEL_NAME_CHARACTERS_MAX])
            what = f"This key may not use the model '{told}', which `{member}` names. It may use: {', '.join(allowed[:SHOWN_MAX])}."
            raise ApiError("model_not_allowed", what, param=member)


def further_models(request: Request, members: Sequence[str] = MEMBERS) -> Iterator[tuple[str, str]]:
    """Yield the names of further models in these members of a request, each with its member."""
    given = members_of(request, members)
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


def members_of(request: Request, members: Sequence[str]) -> Tree:
    """Return these members of a request; vendors of another protocol are not told what only its own has."""
    if isinstance(request, ResponsesRequest):
        return {name: request.sent(name) for name in members}
    tree: Tree | None = getattr(request, "tree", None)
    if tree is not None:
        return {name: tree[name] for name in members if name in tree}
    fields: Mapping[str, Raw] = getattr(request, "fields", None) or {}
    return {name: msgspec.json.decode(fields[name]) for name in members if name in fields}


def few(further: dict[str, str]) -> dict[str, str]:
    """Return further models by their names, each with its member. Raises ApiError invalid_request if they are too many."""
    if len(further) > FURTHER_MAX:
        what = f"{len(further)} further models are named for the vendor to ask: name {FURTHER_MAX} different ones at most."
        raise ApiError("invalid_request", what, param=next(reversed(further.values())))
    return further


def named(value: object, member: str) -> Iterator[tuple[str, str]]:
    """Yield a name, if it is one."""
    name = text_or_none(value)
    if name is not None:
        yield name, member


def names_of(name: str, entry: Entry) -> set[str]:
    """Return what a name may be on a list, folded: itself, and a model's at a vendor of this entry."""
    return {name.casefold(), *[f"{offer.target.vendor}/{name}".casefold() for offer in entry.offers]}


def offered(allowed: Sequence[str], *, find: Callable[[str], Entry]) -> set[str]:
    """Return the folded names of what the names of an allow-list lead to; those that lead nowhere have none."""
    names: set[str] = set()
    for each in allowed:
        try:
            names.update([offer.name.casefold() for offer in find(each).offers])
        except ApiError:
            continue
    return names


FURTHER_MAX = 32  # different names in a request: vendors take fewer, and each is looked up while other calls wait
SHOWN_MAX = 20  # names of an allow-list in an error
