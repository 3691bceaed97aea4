"""A chat request as Cohere's: messages and tools, then how to answer, with Cohere's own members as they come. Sans-IO."""

from __future__ import annotations

import re

import msgspec

from aisa.providers.cohere_messages import MessagesWriter
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions
from aisa.providers.foreign import refuse_foreign
from aisa.providers.legacy_calls import refuse_choice_of_nothing
from aisa.providers.no_bound import tell_no_bound
from aisa.providers.shape import Target
from aisa.providers.wishes import PARALLEL, is_wished
from aisa.wire.chat import ChatRequest
from aisa.wire.trees import Tree, is_list, is_tree, trees_in
from aisa.wire.vendor_tier import OPEN, USUAL

NO_PARAMETERS: Tree = {"type": "object", "properties": {}}
#: What it has no form of.
LACKING = ("n", "top_logprobs", "logit_bias", "modalities", "prediction", "web_search_options", "verbosity")
#: Members of Cohere's own that a chat request may have.
OWN = ("documents", "citation_options", "safety_mode", "strict_tools", "priority")
#: Models that were made before Cohere's thought, or that do not.
UNTHINKING = re.compile(r"command-r|command-a-(?:03-2025|vision|translate)|command-(?:light|nightly)|(?:^|-)aya-", re.ASCII)
#: The words of the newest API of OpenAI -> tokens that a model may think for; None is as long as it likes.
BUDGETS = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": None, "xhigh": None, "max": None}
P_MIN, P_MAX = 0.01, 0.99  # what Cohere takes of `top_p`
PENALTY_MIN, PENALTY_MAX = 0, 1  # what it takes of either penalty


def request_of(chat: ChatRequest, target: Target, concessions: Concessions) -> Tree:
    """Write a request. Raises UpstreamFailed for what cannot be expressed."""
    chat = conceded(chat, target.facts, concessions)
    refuse_foreign(chat, concessions)
    refuse_what_it_lacks(chat, concessions)
    tell_no_bound(chat, concessions)
    known = chat.known
    tools, choice = chosen(tools_of(chat, concessions), chat, concessions)
    body: Tree = {
        "model": target.model,
        "tools": tools or None,
        "messages": MessagesWriter(target.state, concessions).write(trees_in(msgspec.json.decode(chat.fields["messages"]))),
        "tool_choice": choice,
        **{name: own for name in OWN if (own := own_member(chat, name)) is not None},
        "stream": chat.stream,
        "max_tokens": chat.max_tokens,
        "temperature": known.temperature,
        "p": bounded("top_p", known.top_p, concessions, within=(P_MIN, P_MAX)),
        "k": own_member(chat, "top_k"),
        "stop_sequences": [known.stop] if isinstance(known.stop, str) else known.stop,
        "seed": None if known.seed is None else abs(int(known.seed)),
        "frequency_penalty": bounded("frequency_penalty", known.frequency_penalty, concessions, within=(PENALTY_MIN, PENALTY_MAX)),
        "presence_penalty": bounded("presence_penalty", known.presence_penalty, concessions, within=(PENALTY_MIN, PENALTY_MAX)),
        "logprobs": True if known.logprobs else None,
        "response_format": form_of(chat, concessions),
        "thinking": thinking_of(chat, target, concessions),
    }
    if tools and any(tool.function is not None and tool.function.strict is True for tool in known.tools or ()):
        body.setdefault("strict_tools", True)
    return {name: value for name, value in body.items() if value is not None}


def refuse_what_it_lacks(chat: ChatRequest, concessions: Concessions) -> None:
    """Give up the parameters that Cohere has no form of."""
    for name in LACKING:
        if is_wished(chat, name):
            concessions.drop(name)
    if is_wished(chat, PARALLEL):
        concessions.do_without(PARALLEL)
    tier = (chat.known.service_tier or "").strip().lower()
    if tier not in USUAL | OPEN:
        concessions.move("service_tier", "default", "it has the usual one")


def bounded(name: str, asked: float | None, concessions: Concessions, *, within: tuple[float, float]) -> float | None:
    """Return a number, moved to the nearest that Cohere takes."""
    if asked is None:
        return None
    least, most = within
    near = min(max(asked, least), most)
    if near != asked:
        concessions.move(name, near, f"it takes {least} to {most}")
    return near


def tools_of(chat: ChatRequest, concessions: Concessions) -> list[Tree]:
    """Return the tools, in the request's order. Raises UpstreamFailed for a kind that is not there."""
    tools: list[Tree] = []
    for place, tool in enumerate(listed(chat, "tools")):
        function = tool.get("function")
        if tool.get("type") == "function" and is_tree(function):
            tools.append(declared(function))
        else:
            concessions.drop("tools", f"tools[{place}] is of type '{str(tool.get('type'))[:40]}', and it has functions")
    return tools + [declared(function) for function in listed(chat, "functions")]


def declared(function: Tree) -> Tree:
    """Declare a function, with parameters if only with none."""
    parameters = function.get("parameters")
    inner: Tree = {"name": function.get("name")}
    if isinstance(function.get("description"), str):
        inner["description"] = function["description"]
    inner["parameters"] = parameters if is_tree(parameters) and parameters else NO_PARAMETERS
    return {"type": "function", "function": inner}


def chosen(tools: list[Tree], chat: ChatRequest, concessions: Concessions) -> tuple[list[Tree], str | None]:
    """Return the tools to choose from, and whether one must or must not be called; None where the model may decide."""
    known = chat.known
    choice: object = known.tool_choice if known.tool_choice is not None else known.function_call
    if not tools:
        refuse_choice_of_nothing(chat, concessions)
    if choice is None or choice == "auto" or not tools:
        return tools, None
    if choice in ("none", "required", "any"):
        return tools, "NONE" if choice == "none" else "REQUIRED"
    tree = choice if is_tree(choice) else {}
    allowed = tree.get("allowed_tools")
    if tree.get("type") == "allowed_tools" and is_tree(allowed):
        names = [function.get("name") for tool in trees_in(allowed.get("tools")) if is_tree(function := tool.get("function"))]
        return named(tools, names), "REQUIRED" if allowed.get("mode") == "required" else None
    function = tree.get("function")
    name = function.get("name") if is_tree(function) else tree.get("name")
    if isinstance(name, str) and name:
        return named(tools, [name]), "REQUIRED"
    concessions.drop("tool_choice", "it is none of the forms that it has")
    return tools, None


def named(tools: list[Tree], names: list[object]) -> list[Tree]:
    """Return the tools of these names; all where none is: Cohere then says what is wrong with the choice."""
    left = [tool for tool in tools if is_tree(function := tool["function"]) and function.get("name") in names]
    return left or tools


def form_of(chat: ChatRequest, concessions: Concessions) -> Tree | None:
    """Return the form that the answer is to have."""
    wanted = chat.known.response_format or {}
    kind = wanted.get("type")
    if not wanted or kind == "text":
        return None
    if kind not in ("json_object", "json_schema"):
        concessions.drop("response_format", "it has no `type`" if kind is None else f"there is none of the type '{str(kind)[:40]}'")
        return None
    inner: object = wanted.get("json_schema")
    schema = inner.get("schema") if is_tree(inner) else wanted.get("schema")
    return {"type": "json_object", **({"json_schema": schema} if is_tree(schema) else {})}


def thinking_of(chat: ChatRequest, target: Target, concessions: Concessions) -> Tree | None:
    """Return how the model is to think: Cohere's own words as they are, or what an effort comes to; None where nothing is to be said."""
    own = own_member(chat, "thinking")
    if is_tree(own) and isinstance(own.get("type"), str):
        budget = own.get("token_budget", own.get("budget_tokens"))
        kind = "disabled" if own["type"] == "disabled" else "enabled"
        return {"type": kind, **({"token_budget": budget} if isinstance(budget, int) and kind == "enabled" else {})}
    effort = chat.known.reasoning_effort
    if effort is None:
        return None
    if UNTHINKING.search(target.model):
        if effort != "none":
            concessions.do_without("reasoning_effort", "it does not think")
        return None
    if effort == "none":
        return {"type": "disabled"}
    if not isinstance(effort, str) or effort not in BUDGETS:
        concessions.drop("reasoning_effort", f"it is one of none, {', '.join(BUDGETS)}")
        return None
    budget = BUDGETS[effort]
    return {"type": "enabled", **({} if budget is None else {"token_budget": budget})}


def listed(chat: ChatRequest, name: str) -> list[Tree]:
    """Return the objects in a list of the request, with all their members."""
    raw = chat.fields.get(name)
    value: object = None if raw is None else msgspec.json.decode(raw)
    return trees_in(value) if is_list(value) else []


def own_member(chat: ChatRequest, name: str) -> object:
    """Return a member of the request that is none of OpenAI's; None if it is not there."""
    raw = chat.fields.get(name)
    return None if raw is None else msgspec.json.decode(raw)
