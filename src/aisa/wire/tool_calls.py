"""Fragments of tool calls and of the legacy function call, put in the one order that every client can add up. Knows one choice.

What clients need: a dense index from 0 by first appearance; id, type and name exactly once, in the first fragment, with empty arguments;
later fragments with index and arguments only; at least one fragment of arguments.
"""

from __future__ import annotations

import msgspec

from aisa.wire.trees import Tree, is_tree, text_or_none, trees_in
from aisa.wire.vendor_error import Unintelligible

CALLS_MAX = 1024  # more calls in one answer are an attack or a bug


class Call:
    """One tool call as emitted so far."""

    __slots__ = ("argued", "custom", "held", "id", "index", "name", "opened")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.custom = False
        self.opened = False
        self.argued = False
        self.held = ""  # arguments that came before the name

    def fragment(self, text: str) -> Tree:
        """Return a later fragment."""
        self.argued = True
        return {"index": self.index, "custom": {"input": text}} if self.custom else {"index": self.index, "function": {"arguments": text}}


class ToolCallStream:
    """The tool calls of one choice. `seed` makes ids for vendors that give none."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._calls: list[Call] = []
        self._by_key: dict[object, Call] = {}

    @property
    def count(self) -> int:
        """How many calls there are so far."""
        return len(self._calls)

    def accept(self, fragments: object) -> list[Tree]:
        """Return the deltas to emit for a `tool_calls` value of the vendor."""
        deltas: list[Tree] = []
        for position, fragment in enumerate(trees_in(fragments)):
            if len(self._calls) <= CALLS_MAX:
                deltas += in_deltas(self._accept(fragment, position))
        return deltas

    def close(self) -> list[Tree]:
        """Return what is owed before the finish chunk: `{}` where no arguments came. Raises Unintelligible for a call without a name."""
        parts: list[Tree] = []
        for call in self._calls:
            if not call.opened:
                raise Unintelligible("a tool call without a name")
            if not call.argued:
                parts.append(call.fragment("" if call.custom else "{}"))
        return in_deltas(parts)

    def _accept(self, fragment: Tree, position: int) -> list[Tree]:
        call = self._find(fragment, position)
        custom = fragment.get("custom")
        call.custom = call.custom or is_tree(custom)
        body = custom if is_tree(custom) else fragment.get("function")
        body = body if is_tree(body) else {}
        text = arguments_text(body.get("input" if call.custom else "arguments"))
        extras = {name: value for name, value in fragment.items() if name not in HANDLED and value is not None}
        parts: list[Tree] = []
        if not call.opened:
            call.id = call.id or text_or_none(fragment.get("id")) or ""
            call.name = text_or_none(body.get("name")) or ""
            if not call.name:
                call.held += text
                return []
            parts, extras = self._open(call, extras), {}
        if text:
            parts.append(call.fragment(text) | extras)
        elif extras:
            parts.append({**call.fragment(""), **extras})
        return parts

    def _open(self, call: Call, extras: Tree) -> list[Tree]:
        call.opened = True
        kind, empty = ("custom", "input") if call.custom else ("function", "arguments")
        opening: Tree = {
            "index": call.index,
            "id": call.id or f"call_{self._seed}_{call.index}",
            "type": kind,
            kind: {"name": call.name, empty: ""},
            **extras,
        }
        held, call.held = call.held, ""
        return [opening, call.fragment(held)] if held else [opening]

    def _find(self, fragment: Tree, position: int) -> Call:
        """Find which call a fragment belongs to; vendors leave out the index, start it at 1, or give every call index 0."""
        given, name = text_or_none(fragment.get("id")), None
        for kind in ("function", "custom"):
            body = fragment.get(kind)
            name = body.get("name") if is_tree(body) else name
        index = fragment.get("index")
        key: object = index if type(index) is int else None
        if key is None:
            continues = not given and not name and self._calls
            key = given or (("new", len(self._calls)) if not continues else None)
        call = self._by_key.get(key) if key is not None else self._calls[-1]
        another = call is not None and bool(given) and bool(call.id) and call.id != given and bool(name)
        if call is None or another:
            call = Call(len(self._calls))
            self._calls.append(call)
            self._by_key[key] = call
        return call


HANDLED = frozenset({"index", "id", "type", "function", "custom"})


def in_deltas(parts: list[Tree]) -> list[Tree]:
    """Put each fragment into a delta of its own."""
    return [{"tool_calls": [part]} for part in parts]


def arguments_text(value: object) -> str:
    """Return arguments as the string that the protocol asks for; some vendors send an object."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


class FunctionCallStream:
    """The legacy `function_call` of one choice: name once, then arguments."""

    def __init__(self) -> None:
        self.begun = False

    def accept(self, fragment: object) -> list[Tree]:
        """Return the deltas to emit for a `function_call` value of the vendor."""
        if not is_tree(fragment):
            return []
        deltas: list[Tree] = []
        if not self.begun:
            self.begun = True
            deltas.append({"function_call": {"name": text_or_none(fragment.get("name")) or "", "arguments": ""}})
        text = arguments_text(fragment.get("arguments"))
        if text:
            deltas.append({"function_call": {"arguments": text}})
        return deltas
