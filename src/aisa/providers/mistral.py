"""The Mistral dialect: chat completions with names and limits of its own, which refuse every field that they do not know. Sans-IO.

Its answers are those of the OpenAI dialect, content in parts and `finish_reason: error` included.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from aisa.errors import UpstreamFailed
from aisa.providers import openai
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions
from aisa.providers.foreign import refuse_foreign
from aisa.providers.legacy_calls import LegacyCalls, is_legacy, refuse_choice_of_nothing, tools_of
from aisa.providers.legacy_calls import choice_of as older_choice
from aisa.providers.mistral_messages import messages_of
from aisa.providers.mistral_thinking import ThinkingKept
from aisa.providers.no_bound import tell_no_bound
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.wishes import is_wished
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.responses import of_functions
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in
from aisa.wire.vendor_tier import OPEN

NAME: str = "mistral"

#: Members that it takes as they are.
SAME = (
    "temperature top_p stop stream metadata response_format presence_penalty frequency_penalty n logprobs top_logprobs prediction "
    "parallel_tool_calls reasoning_effort top_k min_tokens repetition_penalty prompt_mode guardrails safe_prompt prompt_logprobs"
).split()
#: OpenAI's members that it has no word for.
LACKING = ("logit_bias", "verbosity", "modalities", "audio", "web_search_options")
STANDARD_TIERS = frozenset({"default", "standard", "standard_only"})
NO_PARAMETERS: Tree = {"type": "object", "properties": {}}
FUNCTION = ("name", "description", "parameters", "strict")  # the members of a function that is offered


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: what both have under the same name as it came, the rest under Mistral's."""
    chat = of_functions(request)
    concessions = Concessions(target, f"the model '{chat.model}'", translated=not isinstance(request, ChatRequest))
    chat = conceded(chat, target.facts, concessions)
    refuse_foreign(chat, concessions)
    known = chat.known
    for name in LACKING:
        if is_wished(chat, name):
            concessions.drop(name, "it has none")
    fields = {"model": encoded(target.model), "messages": encoded(messages_of(chat, target.state))}
    fields |= {name: chat.fields[name] for name in SAME if name in chat.fields and bytes(chat.fields[name]) != b"null"}
    tier = (known.service_tier or "").strip().lower()
    if tier in STANDARD_TIERS:
        fields["service_tier"] = encoded("standard_only")
    elif tier and tier not in OPEN:
        concessions.move("service_tier", "auto", "it has auto and standard_only")
    if chat.max_tokens is not None:
        fields["max_tokens"] = encoded(chat.max_tokens)
    tell_no_bound(chat, concessions)
    if known.seed is not None:
        fields["random_seed"] = encoded(abs(int(known.seed)))
    tools = offered(chat, concessions)
    choice: object = older_choice(known.function_call) if is_legacy(chat) else known.tool_choice
    if not tools:
        refuse_choice_of_nothing(chat, concessions)
    elif choice is not None:
        tools, asked = chosen(tools, choice, concessions)
        fields["tool_choice"] = encoded(asked)
    if tools:
        fields["tools"] = encoded(tools)
    headers = (("content-type", "application/json"), ("accept", "text/event-stream" if chat.stream else "application/json"))
    return UpstreamRequest(
        path="/chat/completions",
        headers=headers + target.headers,
        body=msgspec.json.encode(fields),
        dropped=concessions.dropped,
        changed=concessions.changed,
    )


def offered(chat: ChatRequest, concessions: Concessions) -> list[Tree]:
    """Return the tools that may be called. Raises UpstreamFailed for a kind that Mistral does not have."""
    if is_legacy(chat):
        return written(tools_of(trees_in(msgspec.json.decode(chat.fields["functions"]))))
    tools: list[Tree] = []
    for place, tool in enumerate(trees_in(msgspec.json.decode(chat.fields["tools"])) if chat.known.tools else ()):
        if tool.get("type") == "custom":
            concessions.drop("tools", f"tools[{place}] is of type 'custom', and it has functions")
        else:
            tools.append(tool)
    return written(tools)


def written(tools: list[Tree]) -> list[Tree]:
    """Return tools with the members that Mistral knows. Each function has parameters, if only with none: it takes no function without."""
    return [offered_function(held) if is_tree(held := tool.get("function")) else tool for tool in tools]


def offered_function(function: Tree) -> Tree:
    """Write a function as a tool."""
    held = {name: value for name in FUNCTION if (value := function.get(name)) is not None}
    return {"type": "function", "function": {"parameters": NO_PARAMETERS, **held}}


def encoded(value: object) -> Raw:
    """Write a value."""
    return Raw(msgspec.json.encode(value))


def chosen(tools: list[Tree], choice: object, concessions: Concessions) -> tuple[list[Tree], object]:
    """Return the tools that are left to choose from, and how they are to be called. Raises UpstreamFailed."""
    tree = as_tree(choice)
    allowed = tree.get("allowed_tools")
    if is_tree(allowed):
        names = [as_tree(tool.get("function")).get("name") for tool in trees_in(allowed.get("tools"))]
        tools, choice = [tool for tool in tools if as_tree(tool.get("function")).get("name") in names], allowed.get("mode")
    elif tree.get("custom") is not None:
        concessions.drop("tool_choice", "it has no choice of that form")
        choice = "auto"
    return tools, "any" if choice == "required" else choice


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer: as the OpenAI dialect's. Calls that are wanted in the older form do not pass as they are."""
    if is_legacy(request.as_chat()):
        return LegacyCalls(openai.decoder(request, target, call_id=call_id, created=created, protocol=openai.TYPED))
    calls = target.state is not None and "tools" in request.as_chat().fields  # what was thought before one is sealed into the answer
    inner = openai.decoder(request, target, call_id=call_id, created=created, protocol=openai.TYPED if calls else protocol)
    return inner if target.state is None else ThinkingKept(inner, target.state, stream=request.stream)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    return openai.read_failure(status, headers, body, target=target, asked=asked)
