"""The parts of an answer as the content blocks of a message, streamed or whole. One block is open at a time, as its clients have it.

Calls that come side by side are told one behind the other: a later one waits until the arguments of the one before are whole. What a vendor
seals waits while a text goes on, and is not told where nothing was called: clients take the last block for the answer, and nobody needs it
back.
"""

from __future__ import annotations

from aisa.answer import Arguments, Finish, FunctionCall, Identity, Part, Reasoning, Refusal, Text, ToolCall
from aisa.wire.tool_calls import value_in
from aisa.wire.trees import Tree, is_tree

REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}
DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"), "tool_use": ("input_json_delta", "partial_json")}


class Blocks:
    """Turns parts into events. `content` is what has come of them."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.content: list[Tree] = []
        self.reason = "end_turn"
        self.refusal: list[str] = []
        self._open = ""
        self._call = -1
        self._given: list[str] = []
        self._seals: list[str] = []  # that came without thinking, for the next block but text that goes on
        self._waiting: list[tuple[int, ToolCall | Arguments]] = []

    @property
    def cut_call(self) -> str:
        """The name of a call whose arguments are no whole object, nothing if all are: clients take such a call for one without any."""
        block = next((block for block in self.content if block["type"] == "tool_use" and not is_tree(block["input"])), None)
        return "" if block is None else str(block["name"])

    def take(self, part: Part) -> list[Tree]:
        """Return the events for a part."""
        if type(part) is Text and part.choice == 0:  # as most are, and each pattern below would be tried at its cost
            return self._say("text", part.text)
        match part:
            case Identity():
                self.identity = part
                return []
            case Finish(0, reason):
                self.reason = REASONS.get(reason, "end_turn")
                return self.end()
            case Refusal(0, text):
                self.refusal.append(text)
                return self._say("text", text)
            case Reasoning(0, text):
                return self._think(text, part.signature)
            case ToolCall(0) | Arguments(0):
                return self._called(part)
            case FunctionCall(0, name, arguments):
                begun = self._called(ToolCall(0, 0, "toolu_function", name)) if name else []
                return begun + (self._called(Arguments(0, 0, arguments)) if arguments else [])
            case _:
                return []

    def further(self, texts: list[str]) -> int | None:
        """Take more of the text that is open, and return its block's place; None if no text is open, which `take` then begins."""
        if self._open != "text":
            return None
        self._given += texts
        return len(self.content) - 1

    def end(self) -> list[Tree]:
        """Close what is open."""
        events = self._close()
        while self._waiting:
            events += self._next(self._waiting.pop(0)[1])
        events += self._close()
        if self._seals and any(block["type"] == "tool_use" for block in self.content):
            events += self._sealed()
        return events

    def _say(self, kind: str, text: str) -> list[Tree]:
        if not text:
            return []
        events = [] if self._open == kind else self._begin(kind, {"type": "text", "text": ""})
        self._given.append(text)
        return [*events, self._delta(text)]

    def _think(self, text: str, signature: str) -> list[Tree]:
        events: list[Tree] = []
        if not text and self._open != "thinking":
            self._seals += [signature] if signature else []
            return events
        if self._open != "thinking":
            events = self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        if text:
            self._given.append(text)
            events.append(self._delta(text))
        if signature:
            self.content[-1]["signature"] = signature
            events.append(self._event("content_block_delta", delta={"type": "signature_delta", "signature": signature}))
            events += self._close()
        return events

    def _called(self, part: ToolCall | Arguments) -> list[Tree]:
        behind = self._open == "tool_use" and part.index != self._call
        if behind and not self._is_whole():
            self._waiting.append((part.index, part))
            return []
        events = self._next(part)
        while self._waiting and self._is_whole():
            index = self._waiting[0][0]
            mine = [entry for entry in self._waiting if entry[0] == index]
            self._waiting = [entry for entry in self._waiting if entry[0] != index]
            for _, waited in mine:
                events += self._next(waited)
        return events

    def _next(self, part: ToolCall | Arguments) -> list[Tree]:
        if isinstance(part, ToolCall):
            events = self._begin("tool_use", {"type": "tool_use", "id": part.id, "name": part.name, "input": {}})
            self._call = part.index
            return events
        if not part.text or part.index != self._call or self._open != "tool_use":
            return []
        self._given.append(part.text)
        return [self._delta(part.text)]

    def _is_whole(self) -> bool:
        return is_tree(value_in("".join(self._given)))

    def _sealed(self) -> list[Tree]:
        """Write the seals that wait, each as thinking without a text."""
        events: list[Tree] = []
        while self._seals:
            seal = self._seals.pop(0)
            self.content.append({"type": "thinking", "thinking": "", "signature": seal})
            events.append(self._event("content_block_start", content_block={"type": "thinking", "thinking": "", "signature": ""}))
            events.append(self._event("content_block_delta", delta={"type": "signature_delta", "signature": seal}))
            events.append(self._event("content_block_stop"))
        return events

    def _begin(self, kind: str, block: Tree) -> list[Tree]:
        events = self._close() + self._sealed()
        self.content.append(dict(block))
        self._open = kind
        return [*events, self._event("content_block_start", content_block=block)]

    def _delta(self, text: str) -> Tree:
        kind, name = DELTAS[self._open]
        return self._event("content_block_delta", delta={"type": kind, name: text})

    def _close(self) -> list[Tree]:
        if not self._open:
            return []
        kind, said = self._open, "".join(self._given)
        self._open, self._given = "", []
        if kind == "tool_use":
            value: object = value_in(said) if said.strip() else {}
            self.content[-1]["input"] = said if value is None else value
        else:
            self.content[-1][kind] = said
        return [self._event("content_block_stop")]

    def _event(self, kind: str, **members: object) -> Tree:
        return {"type": kind, "index": len(self.content) - 1, **members}
