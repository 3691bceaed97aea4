"""Whether a request asks for anything by a parameter: what is only said to be as it always is, is no wish. The same for every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from aisa.wire.chat import ChatRequest

#: Values of a parameter that ask for nothing, besides `null`, `{}` and `[]`.
NO_WISH: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "n": (1,),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
        "modalities": (["text"],),
        "verbosity": ("medium",),
        "parallel_tool_calls": (True,),
        "tool_choice": ("auto", "none", {"type": "auto"}, {"type": "none"}),  # the latter in the form of other protocols
        "function_call": ("auto", "none"),
        "service_tier": ("auto", "default"),
        "reasoning_effort": ("none",),
        "store": (False,),
        "stream": (False,),
    }
)
ALWAYS = frozenset({"web_search_options"})  # parameters whose empty value is a wish, too


PARALLEL = "parallel_tool_calls"  # which asks for nothing where no tool is offered


def is_wished(chat: ChatRequest, name: str) -> bool:
    """Tell whether a request asks for anything by a parameter."""
    if name not in chat.fields or (name == PARALLEL and not (chat.known.tools or chat.known.functions)):
        return False
    value: object = msgspec.json.decode(chat.fields[name])
    if value is None or (value in ({}, []) and name not in ALWAYS):
        return False
    return value not in NO_WISH.get(name, ())
