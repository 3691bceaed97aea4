"""Puts the chunks of a conformant stream together to the answer that they are parts of. Repairs nothing: `chunks` has done that.

What grows is text; of everything else the last word counts. Entries of lists belong together by their index, as clients have it too.
"""

from __future__ import annotations

from aisa.wire.answer import OBJECT
from aisa.wire.trees import Tree, is_list, is_tree, trees_in

#: Of a chunk, what says nothing of the whole answer. `obfuscation` fills chunks up so that their size tells nothing.
OF_CHUNKS = frozenset({"object", "choices", "usage", "obfuscation"})
OF_CHOICES = frozenset({"index", "delta"})
#: Inside objects, the members that are parts of one text; the others are names, and said again.
GROWING = frozenset({"arguments", "content", "data", "input", "reasoning", "signature", "summary", "text", "thinking", "transcript"})


class Text:
    """A text that grows. Its parts are joined once: adding to a long text again and again copies it each time."""

    __slots__ = ("parts",)

    def __init__(self, *parts: str) -> None:
        self.parts = list(parts)


class Assembly:
    """One answer that grows with the chunks of its stream, which belong to it from then on."""

    def __init__(self) -> None:
        self._top: Tree = {}
        self._choices: dict[int, tuple[Tree, Tree]] = {}  # what stands beside the message, and the message

    def take(self, chunk: Tree) -> None:
        """Take the next chunk."""
        self._top |= {name: value for name, value in chunk.items() if name not in OF_CHUNKS and value is not None}
        for part in trees_in(chunk.get("choices")):
            index = part.get("index")
            if isinstance(index, int):
                beside, message = self._choices.setdefault(index, ({"logprobs": None, "finish_reason": None}, {}))
                delta = part.get("delta")
                if is_tree(delta):
                    add(message, {name: value for name, value in delta.items() if name != "role"}, top=True)
                for name, value in part.items():
                    if name not in OF_CHOICES and value is not None:
                        beside[name] = with_more(beside.get(name), value)

    def document(self) -> Tree:
        """Return the answer, without its usage."""
        choices = [{"index": index, **choice_of(*self._choices[index])} for index in sorted(self._choices)]
        return {"id": self._top.get("id"), "object": OBJECT, **self._top, "choices": choices}


def choice_of(beside: Tree, grown: Tree) -> Tree:
    """Return a choice as documents have it: content and refusal null where there is none, calls without their index."""
    message: Tree = {name: joined(value) for name, value in grown.items()}
    content, refusal = message.pop("content", None) or None, message.pop("refusal", None) or None
    calls = [{name: value for name, value in call.items() if name != "index"} for call in trees_in(message.pop("tool_calls", None))]
    if not (content or refusal or calls or "function_call" in message or "audio" in message):
        content = ""
    whole: Tree = {"role": "assistant", "content": content, "refusal": refusal, **message}
    return {**beside, "message": {**whole, "tool_calls": calls} if calls else whole}


def add(known: Tree, more: Tree, *, top: bool = False) -> None:
    """Add another part of an object to it. At the `top` of a delta every text grows."""
    for name, value in more.items():
        before = known.get(name)
        if isinstance(value, str) and (top or name in GROWING):
            if isinstance(before, Text):
                before.parts.append(value)
            else:
                known[name] = Text(value)
        elif is_list(value):
            entries = before if is_list(before) else []
            add_entries(entries, value)
            known[name] = entries
        elif is_tree(value):
            inner = before if is_tree(before) else {}
            add(inner, value)
            known[name] = inner
        elif value is not None or name not in known:
            known[name] = value


def add_entries(entries: list[object], more: list[object]) -> None:
    """Add entries to a list: one with the index of a known one is another part of that."""
    for part in more:
        index = part.get("index") if is_tree(part) else None
        entry = next((entry for entry in entries if index is not None and is_tree(entry) and entry.get("index") == index), None)
        if is_tree(entry) and is_tree(part):
            add(entry, part)
        elif is_tree(part):
            begun: Tree = {}
            add(begun, part)
            entries.append(begun)
        else:
            entries.append(part)


def joined(value: object) -> object:
    """Return a value with its texts whole."""
    if isinstance(value, Text):
        return "".join(value.parts)
    if is_tree(value):
        return {name: joined(inner) for name, inner in value.items()}
    return [joined(item) for item in value] if is_list(value) else value


def with_more(known: object, value: object) -> object:
    """Add what stands beside a delta: lists go on (log probabilities, token ids), objects gain members, of others the last counts."""
    if is_list(known) and is_list(value):
        known.extend(value)
        return known
    if is_tree(known) and is_tree(value):
        known |= {name: with_more(known.get(name), more) for name, more in value.items() if more is not None}
        return known
    return value
