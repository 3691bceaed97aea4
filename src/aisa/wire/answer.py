"""A non-streamed answer, made to keep OpenAI's rules whatever a vendor sent. Also turns one into chunks when a stream was asked."""

from __future__ import annotations

from aisa.wire.chunks import FAILURES, FINISH_REASONS, SYNONYMS, flatten
from aisa.wire.tool_calls import arguments_text
from aisa.wire.trees import Tree, is_tree, text_or_none, trees_in
from aisa.wire.vendor_error import Unintelligible, VendorError, error_in

OBJECT = "chat.completion"


def completed(tree: Tree, fallback_id: str, *, created: int, model: str) -> Tree:
    """Return a conformant `chat.completion`.

    Raises VendorError when the vendor reports a failure in it, or it has no choices.
    """
    choices = trees_in(tree.get("choices"))
    report = error_in(tree if choices else {name: value for name, value in tree.items() if name != "choices"})
    if report is not None:
        raise VendorError(report)
    if not choices:
        raise Unintelligible("an answer without choices")
    given_created = tree.get("created")
    answer: Tree = {
        **tree,
        "id": text_or_none(tree.get("id")) or fallback_id,
        "object": OBJECT,
        "created": given_created if isinstance(given_created, int) else created,
        "model": text_or_none(tree.get("model")) or model,
        "choices": [choice_of(choice, position, fallback_id) for position, choice in enumerate(choices)],
    }
    answer.pop("error", None)
    return answer


def choice_of(choice: Tree, position: int, call_id: str) -> Tree:
    """Return a conformant choice: index, message, logprobs and a finish reason of the five."""
    message = choice.get("message")
    message = message_of(message if is_tree(message) else {}, f"call_{call_id.removeprefix('chatcmpl-')}_{position}")
    reason = str(choice.get("finish_reason") or "").lower()
    if reason in FAILURES:
        raise VendorError(f"finish_reason is {reason}")
    reason = SYNONYMS.get(reason, reason)
    if reason not in FINISH_REASONS:
        reason = "tool_calls" if "tool_calls" in message else "function_call" if "function_call" in message else "stop"
    index = choice.get("index")
    fixed = {
        "index": index if isinstance(index, int) else position,
        "message": message,
        "logprobs": choice.get("logprobs"),
        "finish_reason": reason,
    }
    return {**choice, **fixed}


def message_of(message: Tree, call_seed: str) -> Tree:
    """Return a conformant message: role, content and refusal always there, `tool_calls` only when there are some."""
    text, thinking = flatten(message.get("content"))
    fixed: Tree = {"role": "assistant", "content": text if message.get("content") is not None else None, "refusal": None}
    reasoning = text_or_none(message.get("reasoning_content")) or text_or_none(message.get("reasoning")) or thinking
    fixed |= {name: value for name, value in message.items() if name not in ("role", "content", "reasoning", "reasoning_content")}
    if reasoning:
        fixed["reasoning_content"] = reasoning
    elif "reasoning_content" in message:
        fixed["reasoning_content"] = message["reasoning_content"]
    calls = trees_in(message.get("tool_calls"))
    fixed.pop("tool_calls", None)
    if calls:
        fixed["tool_calls"] = [tool_call_of(call, f"{call_seed}_{position}") for position, call in enumerate(calls)]
    legacy = fixed.pop("function_call", None)
    if is_tree(legacy):
        fixed["function_call"] = {
            **legacy,
            "name": str(legacy.get("name") or ""),
            "arguments": arguments_text(legacy.get("arguments")) or "{}",
        }
    return fixed


def tool_call_of(call: Tree, fallback_id: str) -> Tree:
    """Return a conformant tool call: id, type, and arguments as a string."""
    custom = call.get("custom")
    given = text_or_none(call.get("id")) or fallback_id
    rest = {name: value for name, value in call.items() if name not in ("id", "type", "function", "custom", "index")}
    if is_tree(custom):
        return {"id": given, "type": "custom", "custom": custom, **rest}
    function = call.get("function")
    function = function if is_tree(function) else {}
    fixed = {"name": str(function.get("name") or ""), "arguments": arguments_text(function.get("arguments")) or "{}"}
    return {"id": given, "type": "function", "function": {**function, **fixed}, **rest}


def as_chunk(answer: Tree) -> Tree:
    """Return a whole answer as one chunk, for a vendor that did not stream although it was asked to."""
    choices: list[object] = []
    for choice in trees_in(answer.get("choices")):
        rest = {name: value for name, value in choice.items() if name != "message"}
        choices.append({**rest, "delta": choice.get("message")})
    return {**answer, "choices": choices}
