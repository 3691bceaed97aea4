"""Custom tools, which take any text, as functions of one text, for models that know functions alone.

The door of the Responses API makes a call of such a function a custom call again. Knows no items and no vendor.
"""

from __future__ import annotations

import msgspec

from aisa.wire.chat import ChatRequest, chat_of
from aisa.wire.said import value_in
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in

CUSTOM, INPUT = "custom", "input"


def with_functions_alone(chat: ChatRequest, *, offered: bool = True) -> ChatRequest:
    """Return a chat completion without custom calls in its history, nor, if it has such `offered`, custom tools: as it is without any."""
    calls = [call for message in chat.known.messages for call in message.tool_calls or ()]
    has_tools = offered and any(tool.type == CUSTOM for tool in chat.known.tools or ())
    if not has_tools and not any(CUSTOM in call for call in calls):
        return chat
    tree: Tree = {name: msgspec.json.decode(value) for name, value in chat.fields.items()}
    tools, choice = trees_in(tree.get("tools")) if offered else [], as_tree(tree.get("tool_choice")) if offered else {}
    if tools:
        tree["tools"] = [function_of(tool) for tool in tools]
    if choice:
        allowed = as_tree(choice.get("allowed_tools"))
        among: Tree = {"allowed_tools": {**allowed, "tools": [chosen(one) for one in trees_in(allowed.get("tools"))]}}
        tree["tool_choice"] = {**chosen(choice), **(among if allowed else {})}
    for message in trees_in(tree["messages"]):
        if "tool_calls" in message:
            message["tool_calls"] = [call_of(call) for call in trees_in(message["tool_calls"])]
    return chat_of(tree, chat.body_bytes)


def function_of(tool: Tree) -> Tree:
    """Return a tool as a function; what its text must look like is said in words, as nobody holds the model to it."""
    custom = tool.get(CUSTOM)
    if not is_tree(custom):
        return tool
    grammar = as_tree(as_tree(custom.get("format")).get("grammar"))
    form = f"A text of this {grammar.get('syntax')} grammar:\n{grammar.get('definition')}" if grammar else "The text that the tool takes."
    properties: Tree = {INPUT: {"type": "string", "description": form}}
    parameters: Tree = {"type": "object", "properties": properties, "required": [INPUT], "additionalProperties": False}
    return {
        "type": "function",
        "function": {**{name: value for name, value in custom.items() if name != "format"}, "parameters": parameters},
    }


def chosen(choice: Tree) -> Tree:
    """Return the choice of a tool as that of a function."""
    custom = choice.get(CUSTOM)
    return {"type": "function", "function": custom} if is_tree(custom) else choice


def call_of(call: Tree) -> Tree:
    """Return a call in the history as a function's."""
    custom = call.get(CUSTOM)
    if not is_tree(custom):
        return call
    arguments = msgspec.json.encode({INPUT: custom.get(INPUT) or ""}).decode()
    return {"id": call.get("id"), "type": "function", "function": {"name": custom.get("name"), "arguments": arguments}}


def input_in(arguments: str) -> str | None:
    """Return the text that such a function was called with; None if its arguments are of another form."""
    value = value_in(arguments)
    text = value.get(INPUT) if is_tree(value) and len(value) == 1 else None
    return text if isinstance(text, str) else None
