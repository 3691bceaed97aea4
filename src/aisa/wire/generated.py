"""What a model generated in a delta or a message: its text, whatever kind of output that is, and what vendors list beside it."""

from __future__ import annotations

from aisa.wire.trees import Tree, is_list, is_tree, trees_in

MADE = ("content", "reasoning_content", "refusal", "function_call", "audio", "images", "reasoning_details")


def carries_token(delta: Tree) -> bool:
    """Tell whether a delta holds generated output: text, reasoning, refusal, arguments, audio or pictures."""
    return is_list(delta.get("tool_calls")) or any(map(delta.get, MADE))


def text_in(delta: Tree) -> str:
    """Return the generated text of a delta or a message, whatever kind of output it is."""
    calls = [delta.get("function_call"), *[item.get(kind) for item in trees_in(delta.get("tool_calls")) for kind in ("function", "custom")]]
    parts = [delta.get(name) for name in ("content", "reasoning_content", "refusal")]
    parts += [call.get(name) for call in calls if is_tree(call) for name in ("name", "arguments", "input")]
    return "".join([part for part in parts if isinstance(part, str)])


def text_bytes(text: str) -> int:
    """Return the size of a text as UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def listed(tree: object, name: str) -> int:
    """Return how many entries a list has that a vendor gave under a name, 0 if it gave none."""
    value = tree.get(name) if is_tree(tree) else None
    return len(value) if is_list(value) else 0
