"""Calls in the older form of chat completions, of vendors that know the newer one alone. Knows no dialect, and reads no bytes.

`functions` are given as tools, and calls of tools come back as `function_call`. In either form nothing may be offered to call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aisa.answer import Arguments, Finish, FunctionCall, Part, ToolCall
from aisa.providers.concessions import Concessions
from aisa.providers.wishes import is_wished
from aisa.providers.wrapped import Wrapped
from aisa.wire.chat import ChatRequest
from aisa.wire.finish import FUNCTION_CALL, TOOL_CALLS
from aisa.wire.trees import Tree, is_tree


def is_legacy(chat: ChatRequest) -> bool:
    """Tell whether tools are given, and calls wanted, in the older form."""
    return chat.known.functions is not None and not chat.known.tools


def tools_of(functions: Iterable[Tree]) -> list[Tree]:
    """Return functions as tools."""
    return [{"type": "function", "function": function} for function in functions]


def choice_of(choice: object) -> object:
    """Return how functions are to be called as a choice among tools."""
    return {"type": "function", "function": {"name": choice.get("name")}} if is_tree(choice) else choice


def refuse_choice_of_nothing(chat: ChatRequest, concessions: Concessions) -> None:
    """Give up a choice among tools where there are none. Raises UpstreamFailed, unless the model's entry has such dropped."""
    for name in ("tool_choice", "function_call"):
        if is_wished(chat, name):
            concessions.drop(name, "no tool is offered that could be called")


def with_tool_calls(messages: list[Tree]) -> list[Tree]:
    """Return messages with calls of functions, which have no ids, and their results as those of tools: the same ids in every turn."""
    written: list[Tree] = []
    called = 0
    for message in messages:
        call = message.get("function_call")
        called += is_tree(call)
        ident = f"call_function_{called}"
        if is_tree(call):
            rest = {name: value for name, value in message.items() if name != "function_call"}
            written.append({**rest, "tool_calls": [{"id": ident, "type": "function", "function": call}]})
        elif message.get("role") == "function":
            written.append({"role": "tool", "tool_call_id": ident, "content": message.get("content")})
        else:
            written.append(message)
    return written


class LegacyCalls(Wrapped):
    """Gives the parts of an answer with calls in the older form, of which a choice has one at most. What it wraps gives typed parts."""

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return what comes after the bill is settled."""
        return in_older_form(super().closing(cost_usd))

    def _given(self, parts: Sequence[Part]) -> Sequence[Part]:
        return in_older_form(super()._given(parts))


def in_older_form(parts: Sequence[Part]) -> list[Part]:
    """Return parts with the first call of a choice in the older form, and without the others."""
    written: list[Part] = []
    for part in parts:
        match part:
            case ToolCall(choice, index, _, name, tokens):
                written += [FunctionCall(choice, name, "", tokens)] if index == 0 else []
            case Arguments(choice, index, text, tokens):
                written += [FunctionCall(choice, "", text, tokens)] if index == 0 else []
            case Finish(choice, reason, tokens) if reason == TOOL_CALLS:
                written.append(Finish(choice, FUNCTION_CALL, tokens))
            case _:
                written.append(part)
    return written
