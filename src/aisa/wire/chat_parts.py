"""Chat completions as the parts of an answer, and parts as chat completions. Mends nothing: both sides are conformant.

The seal on a vendor's reasoning, for which chat completions have no word, is the door's to place.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Refusal, Report, Text, ToolCall
from aisa.wire.trees import Tree, is_tree, trees_in

SAID = frozenset({"role", "content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"})
CALL = frozenset({"index", "id", "type", "function", "custom"})
KNOWN = frozenset({"index", "delta", "message", "finish_reason"})


def identity_of(answer: Tree) -> Identity:
    """Return who answers, as a chunk or an answer says it."""
    created = answer.get("created")
    return Identity(str(answer.get("id")), created if isinstance(created, int) else 0, str(answer.get("model")))


def parts_of(answer: Tree, tokens: int) -> list[Part]:
    """Return what a conformant chunk or answer says; the last of it carries its tokens."""
    parts: list[Part] = []
    finished: list[Part] = []
    for choice in trees_in(answer.get("choices")):
        said = choice.get("delta", choice.get("message"))
        given = choice.get("index")
        index = given if isinstance(given, int) else 0
        held = said if is_tree(said) else {}
        parts += said_in(held, index)
        parts += [Extra(index, name, choice[name], beside=True) for name in choice if name not in KNOWN and choice[name] is not None]
        parts += calls_in(held, index)
        if (reason := choice.get("finish_reason")) is not None:
            finished.append(Finish(index, str(reason)))
    parts += finished
    if parts and tokens:
        parts[-1] = msgspec.structs.replace(parts[-1], tokens=tokens)
    return parts


def said_in(said: Tree, choice: int) -> Iterator[Part]:
    """Yield what a delta or a message says, in the order in which clients want it, and what is carried along with it."""
    if text := said.get("reasoning_content"):
        yield Reasoning(choice, str(text))
    if text := said.get("content"):
        yield Text(choice, str(text))
    if text := said.get("refusal"):
        yield Refusal(choice, str(text))
    if not SAID.issuperset(said):
        for name, value in said.items():
            if name not in SAID and value is not None:
                yield Extra(choice, name, value)


def calls_in(said: Tree, choice: int) -> Iterator[Part]:
    """Yield the calls that a delta or a message holds: behind what is said, and behind all notes on that."""
    if calls := said.get("tool_calls"):
        for place, call in enumerate(trees_in(calls)):
            yield from called_in(call, choice, place)
    legacy = said.get("function_call")
    if is_tree(legacy):
        yield FunctionCall(choice, str(legacy.get("name") or ""), str(legacy.get("arguments") or ""))


def called_in(call: Tree, choice: int, place: int) -> Iterator[Part]:
    """Yield what a tool call, or a fragment of one, holds."""
    given = call.get("index")
    index = given if isinstance(given, int) else place
    custom = call.get("custom")
    function = call.get("function")
    held = custom if is_tree(custom) else function if is_tree(function) else {}
    if call.get("id"):
        carried = {name: value for name, value in call.items() if name not in CALL}
        yield ToolCall(choice, index, str(call["id"]), str(held.get("name") or ""), custom=is_tree(custom), carried=carried or None)
    if text := held.get("input" if is_tree(custom) else "arguments"):
        yield Arguments(choice, index, str(text))


def written(part: Part, *, custom: bool) -> tuple[int | None, Tree]:
    """Return which choice a part belongs to and the members of its chunk's choice. `custom`: arguments are those of a custom tool."""
    match part:
        case Text(choice, text):
            return choice, {"delta": {"content": text}}
        case Reasoning(choice, text):
            return choice, {"delta": {"reasoning_content": text, "reasoning": text} if text else {}}
        case Refusal(choice, text):
            return choice, {"delta": {"refusal": text}}
        case ToolCall(choice, index, call_id, name, _, _, carried):
            kind, empty = ("custom", "input") if custom else ("function", "arguments")
            call: Tree = {"index": index, "id": call_id, "type": kind, kind: {"name": name, empty: ""}}
            return choice, {"delta": {"tool_calls": [call | (carried or {})]}}
        case Arguments(choice, index, text):
            held: Tree = {"custom": {"input": text}} if custom else {"function": {"arguments": text}}
            return choice, {"delta": {"tool_calls": [{"index": index, **held}]}}
        case FunctionCall(choice, name, arguments):
            return choice, {"delta": {"function_call": {"name": name, "arguments": arguments} if name else {"arguments": arguments}}}
        case Extra(choice, name, value, _, beside):
            return choice, {name: value} if beside else {"delta": {name: value}}
        case Finish(choice, reason):
            return choice, {"delta": {}, "finish_reason": reason}
        case _:
            return None, {}


def usage_of(report: Report) -> Tree:
    """Write a report as chat completions do."""
    usage = report.usage
    tree: Tree = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    given = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens, "audio_tokens": usage.input_audio_tokens}
    made = {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.output_audio_tokens}
    if any(given.values()):
        tree["prompt_tokens_details"] = {name: count for name, count in given.items() if count}
    if any(made.values()):
        tree["completion_tokens_details"] = {name: count for name, count in made.items() if count}
    if report.cost_usd is not None:
        tree["cost"] = msgspec.Raw(report.cost_usd.encode())
    return tree
