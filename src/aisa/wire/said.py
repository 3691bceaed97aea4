"""What a choice says, in whichever shape a vendor gives it: a delta, a message, a bare text; calls keyed by place, as text, as parts.

Nothing that was said is lost behind a `stop`: calls that cannot be read are a failure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aisa.wire.keyed_lists import objects_of
from aisa.wire.trees import Tree, as_list, as_tree, is_list, is_tree
from aisa.wire.vendor_error import Unintelligible

#: Members by which an object is one call, and no list of them.
CALL = frozenset({"index", "id", "type", "function", "custom", "name", "arguments"})
#: What stands in `tool_calls` and `function_call` as a text where there is none.
NO_CALLS = frozenset({"", "null", "none", "auto", "[]", "{}"})
#: What a call is given, where that is not in `arguments`: in the words of Anthropic, Gemini, models that write calls as text.
GIVEN = ("input", "args", "parameters")
#: Members by which a choice itself says something, where it has neither a delta nor a message.
FLAT = ("content", "refusal", "reasoning_content", "tool_calls", "function_call")
#: Other names of `tool_calls`: Java's, and for a call alone.
CALLED = ("toolCalls", "tool_call", "toolCall")
#: Parts of a content that are calls: Anthropic's, the Responses API's. Blocks and items that are calls may be named as chat's, too. Tuples,
#: as a vendor's type may be anything, and not all of that can be looked up.
CALL_PARTS = ("tool_use", "tool_call", "function_call")
CALL_TYPES = (*CALL_PARTS, "function")


def value_in(text: str) -> object:
    """Return the JSON value that a call was given as text, None of what is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        return None


def calls_of(value: object) -> list[Tree]:
    """Return the calls, or their fragments, in `tool_calls`: a list, an object in place of one, JSON as text.

    Raises Unintelligible for what is no call.
    """
    if is_list(value) and all(map(is_tree, value)):
        return [called(as_tree(each)) for each in value]
    calls: list[Tree] = []
    for each in as_list(value) if is_list(value) else [value]:
        given = value_in(each) if isinstance(each, str) else each
        if is_tree(given):
            calls += objects_of(given, CALL)
        elif is_list(given) and all(map(is_tree, given)):
            calls += map(as_tree, given)
        elif not (isinstance(each, str) and each.strip().casefold() in NO_CALLS) and each:
            raise Unintelligible("tool calls that are none")
    return [called(call) for call in calls]


def function_of(value: object) -> Tree:
    """Return the call of the older API; of what is none, an empty one. Raises Unintelligible for what cannot be read."""
    calls = calls_of(value)
    return calls[0] if calls else {}


def called(call: Tree) -> Tree:
    """Return a call, or a fragment of one, with its name and what it is given where they are looked for."""
    function = call.get("function")
    if is_tree(function) or is_tree(call.get("custom")):
        return call if not is_tree(function) or "arguments" in function else {**call, "function": with_arguments(function)}
    if is_list(function) and len(function) == 1 and is_tree(function[0]):
        return {**call, "function": with_arguments(function[0])}
    named: Tree = {"name": function} if isinstance(function, str) and function else {}
    return with_arguments({name: value for name, value in call.items() if name != "function"} | named)


def with_arguments(function: Tree) -> Tree:
    """Return what holds a call's name and arguments, with these under their own name."""
    return with_own_name(function, "arguments", GIVEN)


def with_own_name(tree: Tree, own: str, others: Iterable[str]) -> Tree:
    """Return an object with a member under its own name, which goes by one of these others; the same object, if it does not."""
    name = next((name for name in others if tree.get(name) is not None), None)
    if name is None or tree.get(own) is not None:
        return tree
    return {member: value for member, value in tree.items() if member != name} | {own: tree[name]}


def said_as(value: object) -> Tree:
    """Return a delta or a message as the object that it should be. Calls among the parts of its content stand in `tool_calls`."""
    if not is_tree(value):
        value = value[0] if is_list(value) and len(value) == 1 and is_tree(value[0]) else {"content": value}
    value = with_calls(value) if any(name in value for name in CALLED) else value
    content = value.get("content")
    parts = [content] if is_tree(content) else as_list(content)
    calls = [as_tree(part) for part in parts if is_call(part) and not value.get("tool_calls")]
    if not calls:
        return value
    rest = [part for part in parts if not is_call(part)]
    return {**value, "content": rest or None, "tool_calls": [part_called(call) for call in calls]}


def is_call(part: object) -> bool:
    """Tell whether a part of a content is a call."""
    return is_tree(part) and part.get("type") in CALL_PARTS


def with_calls(said: Tree) -> Tree:
    """Return a delta or a message with its calls under their own name."""
    name = next(name for name in CALLED if name in said)
    if said.get("tool_calls"):
        return said
    return {member: value for member, value in said.items() if member != name} | {"tool_calls": said[name]}


def part_called(part: Tree) -> Tree:
    """Return a part of a content that is a call as a call."""
    named = {"id": part.get("call_id") or part.get("id"), "type": "function"}
    return named | {name: part[name] for name in ("function", "name", "arguments", *GIVEN) if name in part}


def says(said: Tree) -> bool:
    """Tell whether there is anything in a delta or a message but whose it is."""
    return any(value for name, value in said.items() if name != "role")


def said_beside(choice: Tree) -> Tree:
    """Return what a choice says that has no delta: its message, its text, what stands in it itself; nothing, if that says nothing."""
    flat = {name: choice[name] for name in FLAT if choice.get(name)}
    for said in (said_as(choice.get("message")), {"content": choice.get("text")}, said_as(flat)):
        if says(said):
            return said
    return {}
