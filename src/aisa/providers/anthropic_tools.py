"""Tools, the choice among them, and schemas of answers, from chat completions to Anthropic's words. Knows no message."""

from __future__ import annotations

import re

import msgspec

from aisa.providers.anthropic_media import mark_of
from aisa.providers.anthropic_models import Traits
from aisa.providers.concessions import Concessions
from aisa.providers.legacy_calls import refuse_choice_of_nothing
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import Tree, as_tree, is_list, is_tree, key_in, trees_in

NO_PARAMETERS: Tree = {"type": "object", "properties": {}}
#: A tool that the vendor runs, or has its own words for: a name and a date.
OWN_TOOL = re.compile(r"[a-z_]{1,60}_20\d{6}", re.ASCII)
#: What a schema of an answer, or of a strict tool, may not have; it is said in the description instead, where the model can still read it.
UNENFORCED = (
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern minItems maxItems uniqueItems minContains "
    "maxContains minProperties maxProperties"
).split()
FORMATS = tuple("date-time time date duration email hostname uri ipv4 ipv6 uuid".split())
INNER = ("properties", "$defs", "definitions", "patternProperties")  # names to schemas
BRANCHES = ("anyOf", "allOf", "oneOf", "prefixItems")
CHOICES = {"required": "any", "any": "any", "none": "none", "auto": "auto"}
ONLY_JSON = "Answer with one JSON object and nothing else: no words around it and no code fence."


def is_legacy(chat: ChatRequest) -> bool:
    """Tell whether tools are given, and calls wanted, in the older form."""
    return chat.known.functions is not None and chat.known.tools is None


def tools_of(chat: ChatRequest, concessions: Concessions) -> list[Tree]:
    """Return the tools of a request, in its order. Raises UpstreamFailed for a kind that these models do not have."""
    tools: list[Tree] = []
    for place, tool in enumerate(listed(chat, "tools")):
        kind = tool.get("type")
        if kind == "function" and is_tree(tool.get("function")):
            tools.append(written(as_tree(tool.get("function")), tool))
        elif isinstance(kind, str) and OWN_TOOL.fullmatch(kind):
            tools.append(tool)
        else:
            concessions.drop("tools", f"tools[{place}] is of type '{str(kind)[:40]}', and they have functions")
    return tools + [written(function, function) for function in listed(chat, "functions")]


def listed(chat: ChatRequest, name: str) -> list[Tree]:
    """Return the objects in a list of the request, with all their members."""
    raw = chat.fields.get(name)
    return [] if raw is None else trees_in(msgspec.json.decode(raw))


def written(function: Tree, around: Tree) -> Tree:
    """Write a function as a tool. `around` is what a mark for the cache may be on."""
    tool: Tree = {"name": function.get("name")}
    if isinstance(function.get("description"), str):
        tool["description"] = function["description"]
    parameters = function.get("parameters")
    schema = parameters if is_tree(parameters) and parameters else NO_PARAMETERS
    schema = schema if "type" in schema else {"type": "object", **schema}
    strict = function.get("strict") is True  # with which the vendor refuses what it refuses in the schema of an answer
    tool["input_schema"] = strict_schema(schema) if strict else schema
    if strict:
        tool["strict"] = True
    mark = mark_of(around) or mark_of(function)
    return tool if mark is None else {**tool, "cache_control": mark}


def choice_of(
    chat: ChatRequest, tools: list[Tree], traits: Traits, *, concessions: Concessions, thinks: bool
) -> tuple[Tree | None, list[Tree]]:
    """Return the choice among the tools, None for the usual one, and the tools that are left to choose from.

    A call that models cannot be made to do, or not while they think with a budget, is left to them.
    """
    asked: object = chat.known.function_call if is_legacy(chat) else chat.known.tool_choice
    name = "function_call" if is_legacy(chat) else "tool_choice"
    choice: Tree | None = None
    if is_tree(asked):
        inner = as_tree(asked.get("allowed_tools"))
        if asked.get("type") == "allowed_tools" or inner:
            allowed = {key_in(as_tree(tool.get("function") or tool), "name") for tool in trees_in(inner.get("tools") or asked.get("tools"))}
            tools = [tool for tool in tools if tool.get("name") in allowed]
            asked = inner.get("mode") or asked.get("mode") or "auto"
        else:
            function = as_tree(asked.get("function") or asked.get("custom") or asked)
            choice = {"type": "tool", "name": function.get("name")}
    if isinstance(asked, str):
        if asked not in CHOICES:
            raise concessions.refusal(name, "it is none, auto, required, allowed_tools or a function's name")
        choice = {"type": CHOICES[asked]}
    if not tools:
        refuse_choice_of_nothing(chat, concessions)
        return None, tools
    if choice is not None and choice["type"] in ("any", "tool") and (thinks or not traits.takes_forced_tools):
        concessions.move(name, "auto", "they choose themselves whether to call a tool" + (" while they think" if thinks else ""))
        choice = {"type": "auto"}
    single = chat.known.parallel_tool_calls is False or is_legacy(chat)
    if single and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice, tools


def format_of(chat: ChatRequest, concessions: Concessions) -> tuple[Tree | None, bool]:
    """Return the schema that the answer is to have, None if there is none, and whether it is to be some JSON object without one."""
    asked = chat.known.response_format
    kind = None if asked is None else asked.get("type")
    if not asked or kind == "text":
        return None, False
    if kind == "json_object":
        return None, True
    schema = as_tree(asked.get("json_schema")).get("schema")
    if kind != "json_schema" or not is_tree(schema):
        concessions.drop("response_format", "it is text, json_object, or json_schema with a schema")
        return None, False
    return {"type": "json_schema", "schema": strict_schema(schema)}, False


def strict_schema(schema: Tree) -> Tree:
    """Return a schema as the vendor enforces it: no other properties, and what it cannot enforce told in words."""
    strict: Tree = {}
    told: dict[str, object] = {}
    for name, value in schema.items():
        if name in UNENFORCED or (name == "format" and value not in FORMATS):
            told[name] = value
        elif name in INNER and is_tree(value):
            strict[name] = {key: inner_schema(inner) for key, inner in value.items()}
        elif name in BRANCHES and is_list(value):
            strict["anyOf" if name == "oneOf" else name] = [inner_schema(inner) for inner in value]
        elif name == "items":
            strict[name] = inner_schema(value)
        elif name != "additionalProperties":
            strict[name] = value
    if told:
        words = "; ".join([f"{name}: {msgspec.json.encode(value).decode()}" for name, value in told.items()])
        strict["description"] = f"{strict['description']} ({words})" if strict.get("description") else words
    if schema.get("type") == "object" or "properties" in schema:
        strict["additionalProperties"] = False
    return strict


def inner_schema(value: object) -> object:
    """Return a schema inside another; `true` and the like as they are."""
    return strict_schema(value) if is_tree(value) else value
