"""The tools of a Responses request in the words of chat completions, and by which name each side knows them. Knows no conversation."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import chain, count
from typing import NamedTuple

import msgspec

from aisa.errors import ApiError
from aisa.wire.bad_values import explain
from aisa.wire.losses import Loss, Losses
from aisa.wire.responses_client_tools import BY_TYPE, SEARCH, ClientTool, OfferedTool
from aisa.wire.trees import Tree, is_tree, trees_in

NAME_CHARACTERS_MAX = 64  # of a function's name at OpenAI and most others
DIGEST_CHARACTERS = 8  # that tell long names apart which begin alike
#: Tools of the vendor's that a model does without: a client offers them whoever answers (Codex), and the answer is no worse a lie.
DISPENSABLE = ("web_search", "tool_search")
CHOICES = frozenset({"auto", "none", "required"})
MORE_TOOLS, FOUND_TOOLS = "additional_tools", SEARCH.output  # items that offer tools where they stand


class Called(NamedTuple):
    """A tool as its client knows it. `own` is what it is that is no function and no custom tool."""

    name: str
    namespace: str | None = None
    own: ClientTool | None = None


class ToolNames:
    """The names of the tools that a request offers, as models are given them, and whose they are."""

    def __init__(self) -> None:
        self._called: dict[str, Called] = {}
        self._flat: dict[Called, str] = {}  # of functions and custom tools: the other way round
        self._bare: dict[str, list[Called]] = {}  # what a model says that leaves a namespace out
        self._custom: set[Called] = set()  # tools that take any text
        self._own: dict[str, str] = {}  # of tools that are no functions, by their type

    def add(self, called: Called, param: str, *, custom: bool = False) -> str:
        """Take note of a tool; return a name for models that no other has. Raises ApiError if a function or custom tool has its own."""
        whole = flattened(called)
        holder = self._called.get(whole)
        if holder is not None and holder.own is None and flattened(holder) == whole:
            raise ApiError("invalid_request", f"Two tools have the name '{whole}'. Give each a name of its own.", param=param)
        flat = self._flat[called] = self._free(whole)
        self._called[flat] = called
        if custom:
            self._custom.add(called)
        self._bare.setdefault(called.name, []).append(called)
        return flat

    def add_own(self, own: ClientTool, param: str) -> str:
        """Take note of a tool that is no function; return a name for it that no other has. Raises ApiError if it was offered before."""
        if own.type in self._own:
            raise ApiError("invalid_request", f"The tool '{own.type}' is offered twice.", param=param)
        flat = self._own[own.type] = self._free(own.type)
        self._called[flat] = Called(flat, own=own)
        return flat

    def own(self, kind: str) -> str | None:
        """Return the name of the tool of this type that is no function; None if none is offered."""
        return self._own.get(kind)

    def flat(self, called: Called) -> str:
        """Return the name by which models know a function or a custom tool, also of one that is not offered any longer."""
        return self._flat.get(called) or flattened(called)

    def is_custom(self, called: Called) -> bool:
        """Tell whether a tool takes any text."""
        return called in self._custom

    def has(self, called: Called) -> bool:
        """Tell whether a tool is offered already."""
        return called in self._flat if called.own is None else called.own.type in self._own

    def _free(self, name: str) -> str:
        """Return a name, with a number behind it where another tool has it: the same in each turn, as tools are added behind others."""
        numbered = (f"{name[: NAME_CHARACTERS_MAX - len(end)]}{end}" for number in count(2) if (end := f"_{number}"))
        return next(free for free in chain([name], numbered) if free not in self._called)

    def called(self, flat: str) -> Called:
        """Return what the client calls the tool that a model has named."""
        known = self._called.get(flat)
        if known is None:
            bare = self._bare.get(flat, [])
            known = bare[0] if len(bare) == 1 else Called(flat)
        return known


def flattened(called: Called) -> str:
    """Return the name by which models know a tool, unless another has it: the same in every turn, as conversations repeat it."""
    if called.namespace is None:
        return called.name
    whole = f"{called.namespace}__{called.name}"
    if len(whole) <= NAME_CHARACTERS_MAX:
        return whole
    return f"{whole[: NAME_CHARACTERS_MAX - DIGEST_CHARACTERS - 1]}_{sha256(whole.encode()).hexdigest()[:DIGEST_CHARACTERS]}"


def chat_tools(tools: list[OfferedTool], names: ToolNames, lost: Losses, *, all_at_once: bool = False) -> list[Tree]:
    """Return the tools that a client runs, as chat completions offer them: those that are no functions behind all others.

    What only the vendor could run is added to `lost`. Where the client searches for tools itself, those that are deferred are not offered
    before it has found them, except `all_at_once`.
    """
    each = [one for position, tool in enumerate(tools) for one in run_by_client(tool, f"tools[{position}]", lost)]
    later = not all_at_once and any(called.own is SEARCH for _, called, _ in each)
    now = [one for one in each if not (later and one[0].defer_loading)]
    now.sort(key=lambda one: one[1].own is not None)
    return [offered for tool, called, at in now for offered in lost.came([chat_tool(tool, called, names, param=at)], at)]


def found_in(item: Tree, names: ToolNames) -> str:
    """Return what a model is told of what a client's search found: the names by which it can call it."""
    found = [names.flat(called) for tool in trees_in(item.get("tools")) for called in called_in(tool)]
    return f"These tools can be called now: {', '.join(found)}." if found else "No tool was found."


def called_in(tool: Tree) -> Iterator[Called]:
    """Yield what the client calls the tools that a found entry stands for."""
    name, kind = tool.get("name"), tool.get("type")
    if isinstance(name, str) and kind in ("function", "custom"):
        yield Called(name)
    for inner in trees_in(tool.get("tools")):
        if kind == "namespace" and isinstance(name, str) and isinstance(inner.get("name"), str):
            yield Called(str(inner["name"]), name)


def tools_offered_later(items: list[Tree], names: ToolNames, lost: Losses) -> list[Tree]:
    """Return those that a conversation offers on its way, each once. What a vendor's search found of its own is left out.

    Raises ApiError for what are no tools.
    """
    found: list[Tree] = []
    for place, item in enumerate(items):
        kind = item.get("type")
        if kind not in (MORE_TOOLS, FOUND_TOOLS):
            continue
        param = f"input[{place}].tools"
        try:
            tools = msgspec.convert(item.get("tools"), list[OfferedTool])
        except msgspec.ValidationError as error:
            raise ApiError(explain(str(error)).code, f"'{param}' must be a list of tools: {error}.", param=param) from None
        for position, tool in enumerate(tools):
            for own, called, at in run_by_client(tool, f"{param}[{position}]", lost if kind == MORE_TOOLS else Losses()):
                found += [] if names.has(called) else lost.came([chat_tool(own, called, names, param=at)], at)
    return found


def run_by_client(tool: OfferedTool, param: str, lost: Losses) -> Iterator[tuple[OfferedTool, Called, str]]:
    """Yield the tools of the client's that an entry stands for, what the client calls each, and its place."""
    own = BY_TYPE.get(tool.type)
    if own is not None and own.is_run_by_client(tool):
        yield tool, Called(tool.type, own=own), param
    elif tool.type == "namespace":
        namespace = named(tool, param)
        for place, inner in enumerate(tool.tools or []):
            at = f"{param}.tools[{place}]"
            yield inner, Called(named(inner, at), namespace), at
    elif tool.type in ("function", "custom"):
        yield tool, Called(named(tool, param)), param
    elif not tool.type.startswith(DISPENSABLE):
        what = f"The tool '{tool.type[:NAME_CHARACTERS_MAX]}' runs at a vendor that has the Responses API itself"
        remedy = "Leave it out." if own is None else own.remedy
        lost.append(Loss(f"{param}.type", f"{what}, and the model that was asked is reached in another way. {remedy}"))


def named(tool: OfferedTool, param: str) -> str:
    """Return a tool's name. Raises ApiError if it has none."""
    if not tool.name:
        raise ApiError("missing_parameter", f"A tool of the type '{tool.type[:NAME_CHARACTERS_MAX]}' needs a name.", param=f"{param}.name")
    return tool.name


def chat_tool(tool: OfferedTool, called: Called, names: ToolNames, *, param: str) -> Tree:
    """Return a function or a custom tool; a function too for what is neither."""
    if called.own is not None:
        return {"type": "function", "function": {"name": names.add_own(called.own, f"{param}.type"), **called.own.function(tool)}}
    own: Tree = {"name": names.add(called, f"{param}.name", custom=tool.type == "custom")}
    if tool.description is not None:
        own["description"] = tool.description
    if tool.type == "custom":
        if tool.format is not None:
            own["format"] = nested_format(tool.format)
        return {"type": "custom", "custom": own}
    if tool.parameters is not None:
        own["parameters"] = tool.parameters
    if tool.strict is not None:
        own["strict"] = tool.strict
    return {"type": "function", "function": own}


def nested_format(given: Tree) -> Tree:
    """Return the format of a custom tool's input: chat completions have a grammar in an object of its own."""
    if given.get("type") != "grammar":
        return given
    return {"type": "grammar", "grammar": {name: value for name, value in given.items() if name != "type"}}


def chat_choice(choice: str | Tree, names: ToolNames, lost: Losses) -> str | Tree | None:
    """Return which tool is to be called, None where that is the usual; what cannot be said is added to `lost`. Raises ApiError."""
    if isinstance(choice, str):
        return choice
    kind = choice.get("type")
    if kind is not None and not isinstance(kind, str):
        raise ApiError("invalid_parameter_type", "'tool_choice.type' must be a string.", param="tool_choice.type")
    if (one := one_choice(choice, names)) is not None:
        return one
    if kind == "allowed_tools":
        allowed = [one for tool in trees_in(choice.get("tools")) if (one := one_choice(tool, names)) is not None]
        mode = choice.get("mode", "auto")
        if allowed:
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
        if mode == "auto":  # only tools of the vendor's were, which are not offered
            return "none"
    if kind in CHOICES:  # what some write as an object
        return str(kind)
    lost.append(Loss("tool_choice", "'tool_choice' asks for a tool of the vendor's, and the model that was asked has none here."))
    return None


def one_choice(choice: Tree, names: ToolNames) -> Tree | None:
    """Return a tool that is named, None if it is one of the vendor's. Raises ApiError if its name is missing."""
    kind = str(choice.get("type"))
    if (own := names.own(kind)) is not None:
        return {"type": "function", "function": {"name": own}}
    if kind not in ("function", "custom"):
        return None
    inner = choice.get(kind)  # chat completions' own form is understood too
    given = inner if is_tree(inner) else choice
    name, namespace = given.get("name"), choice.get("namespace")
    if not isinstance(name, str) or not name:
        raise ApiError("missing_parameter", "'tool_choice' needs the name of the tool.", param="tool_choice.name")
    return {"type": kind, kind: {"name": names.flat(Called(name, namespace if isinstance(namespace, str) else None))}}
