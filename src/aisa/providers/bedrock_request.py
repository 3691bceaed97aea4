"""A chat request as Bedrock's Converse: messages and tools as `bedrock_blocks.py` writes them, then how to answer. Sans-IO.

Of Anthropic's models all that holds at Anthropic holds here; what Converse has no member for goes along for the model itself to read.
"""

from __future__ import annotations

import msgspec

from aisa.providers.anthropic_media import with_lifetimes
from aisa.providers.anthropic_models import Traits, traits_of
from aisa.providers.anthropic_request import limit_of, own_member, refuse_what_nobody_here_has, sampling_of, stops_of
from aisa.providers.anthropic_thinking import binding_relaxed, thinking_of
from aisa.providers.anthropic_tools import ONLY_JSON, choice_of, format_of, tools_of
from aisa.providers.anthropic_turns import Turns
from aisa.providers.bedrock_blocks import Blocks, cache_point, plain_text
from aisa.providers.bedrock_marks import with_points
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions, nothing_to_answer
from aisa.providers.fetched import Fetches
from aisa.providers.foreign import refuse_foreign
from aisa.providers.no_bound import tell_no_bound
from aisa.providers.shape import Target
from aisa.providers.wishes import PARALLEL, is_wished
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in
from aisa.wire.vendor_tier import OPEN, USUAL

TIERS = frozenset({"priority", "flex", "reserved"})
#: Members of Converse that a chat request may have as they are.
OWN = ("guardrailConfig", "performanceConfig", "requestMetadata", "promptVariables", "additionalModelResponseFieldPaths")
ONE_CALL = "disable_parallel_tool_use"  # as Anthropic's models call it
FORM_NAME = "answer"  # of a schema that has no name


def request_of(chat: ChatRequest, target: Target, *, concessions: Concessions, fetches: Fetches) -> Tree:
    """Write a request. Raises UpstreamFailed for what cannot be expressed."""
    traits = traits_of(target.model)
    chat = conceded(chat, target.facts, concessions)
    refuse_foreign(chat, concessions)
    refuse_what_nobody_here_has(chat, concessions)
    blocks = Blocks(target.model, fetches)
    turns = Turns(traits, target.state, concessions, write_part=blocks.read, marks_calls=traits.known)
    turns.take(with_lifetimes(trees_in(msgspec.json.decode(chat.fields["messages"])), chat))
    schema, only_json = format_of(chat, concessions)
    if only_json:
        turns.system.append({"type": "text", "text": ONLY_JSON})
    if not turns.messages:
        raise nothing_to_answer()
    limit = limit_of(chat, target, traits)
    tell_no_bound(chat, concessions, limit if traits.known else None)
    thinking, effort = thought(chat, traits, limit, concessions=concessions, unthought=turns.unthought)
    kind = None if thinking is None else thinking.get("type")
    sampling = sampling_of(chat, traits, concessions, thinks=kind in ("enabled", "adaptive"))
    betas: list[str] = []
    tools, one_call = tool_config(chat, turns.messages, traits, concessions=concessions, thinks=kind == "enabled")
    model_fields: Tree = {
        "top_k": sampling.get("top_k"),
        "thinking": binding_relaxed(thinking, target, betas) if traits.known else thinking,
        "tool_choice": one_call,
    }
    inference: Tree = {
        "maxTokens": limit if traits.known or chat.max_tokens is not None else None,
        "temperature": sampling.get("temperature"),
        "topP": sampling.get("top_p"),
        "stopSequences": stops_of(chat, concessions) or None,
    }
    output: Tree = {"textFormat": None if schema is None else form(chat, schema), "effort": effort}
    body: Tree = {
        "system": [written for block in turns.system for written in blocks.write(block)],
        "toolConfig": tools,
        "messages": [turn(message, blocks) for message in turns.messages],
        "inferenceConfig": present(inference),
        "outputConfig": present(output),
        "additionalModelRequestFields": present({**model_fields, "anthropic_beta": betas or None, **own_fields(chat)}),
        "serviceTier": tier_of(chat, concessions),
        **{name: own_member(chat, name) for name in OWN},
    }
    body = {name: value for name, value in body.items() if value}
    return with_points(body, own_member(chat, "cache_control"), traits) if traits.known else body


def present(fields: Tree) -> Tree:
    """Return the members that say something."""
    return {name: value for name, value in fields.items() if value is not None}


def own_fields(chat: ChatRequest) -> Tree:
    """Return what the request says to the model alone."""
    given = own_member(chat, "additionalModelRequestFields")
    return given if is_tree(given) else {}


def turn(message: Tree, blocks: Blocks) -> Tree:
    """Return a turn in Bedrock's words."""
    return {"role": message["role"], "content": [written for block in trees_in(message["content"]) for written in blocks.write(block)]}


def thought(chat: ChatRequest, traits: Traits, limit: int, *, concessions: Concessions, unthought: bool) -> tuple[Tree | None, str | None]:
    """Return what is said of thinking, and of effort: of Anthropic's models as there, of others the effort alone."""
    thinking, effort = thinking_of(chat, traits, limit, concessions=concessions, unthought=unthought)
    if traits.known:
        return thinking, effort
    return (thinking if own_member(chat, "thinking") is not None else None), effort


def tool_config(
    chat: ChatRequest, messages: list[Tree], traits: Traits, *, concessions: Concessions, thinks: bool
) -> tuple[Tree | None, Tree | None]:
    """Return the tools and how they are to be called, and what asks the model itself for one call at a time; None for nothing.

    A history with calls needs its tools, whatever is asked now. Converse has no word for one call at a time; models of Anthropic's have,
    and refuse a `type` beside the choice that Converse makes for them.
    """
    choice, tools = choice_of(chat, tools_of(chat, concessions), traits, concessions=concessions, thinks=thinks)
    called = names_called(messages)
    kind = None if choice is None else choice.get("type")
    one_call: Tree | None = None
    if choice is not None and choice.get(ONE_CALL):
        if traits.known:
            one_call = {ONE_CALL: True} if kind in ("any", "tool") else {"type": "auto", ONE_CALL: True}
        elif is_wished(chat, PARALLEL):
            concessions.do_without(PARALLEL, "one cannot be asked for")
    if kind == "none":
        if not called:
            return None, None
        concessions.move("tool_choice", "auto", "its history has calls, whose tools it must be given")
    unlisted: list[Tree] = [{"name": name, "input_schema": {"type": "object"}} for name in called]
    tools = tools or unlisted
    if not tools:
        return None, None
    specs: list[Tree] = []
    for tool in tools:
        if "type" in tool:
            concessions.drop("tools", f"it has functions, and not '{str(tool['type'])[:40]}'")
            continue
        declared: Tree = {"toolSpec": spec_of(tool)}
        specs += [declared, *cache_point(tool)]
    config: Tree = {"tools": specs}
    if kind == "any":
        config["toolChoice"] = {"any": {}}
    elif kind == "tool":
        config["toolChoice"] = {"tool": {"name": as_tree(choice).get("name")}}
    return config, one_call


def names_called(messages: list[Tree]) -> list[str]:
    """Return the names of the tools that the history has called, in the order of their first calls."""
    blocks = [block for message in messages for block in trees_in(message["content"])]
    return list(dict.fromkeys(str(block["name"]) for block in blocks if block.get("type") == "tool_use"))


def spec_of(tool: Tree) -> Tree:
    """Declare a tool. One that only its vendor runs is not here."""
    spec: Tree = {"name": tool.get("name"), "inputSchema": {"json": tool.get("input_schema") or {"type": "object"}}}
    described = plain_text(tool.get("description"))
    return {**spec, **({"description": described} if described else {}), **({"strict": True} if tool.get("strict") is True else {})}


def form(chat: ChatRequest, schema: Tree) -> Tree:
    """Return the form that the answer is to have: a schema, written as a text."""
    asked = as_tree(as_tree(chat.known.response_format).get("json_schema"))
    described = plain_text(asked.get("description"))
    held: Tree = {"name": text_or_none(asked.get("name")) or FORM_NAME, "schema": msgspec.json.encode(schema.get("schema")).decode()}
    return {"type": "json_schema", "structure": {"jsonSchema": {**held, **({"description": described} if described else {})}}}


def tier_of(chat: ChatRequest, concessions: Concessions) -> Tree | None:
    """Return the service tier to ask for, None for the usual one."""
    tier = (chat.known.service_tier or "").strip().lower()
    if tier in TIERS:
        return {"type": tier}
    if tier not in USUAL | OPEN:
        concessions.move("service_tier", "default", f"it has {', '.join(sorted(TIERS))} and the usual one")
    return None
