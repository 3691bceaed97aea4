"""The parts of an answer as the content blocks of a message, streamed or whole. One block is open at a time, as its clients have it.

What comes inside a call waits until that has all it is given: another call, a text, thinking. No block is opened again, so the rest of the
call would be lost. What a vendor seals waits while a text goes on, and is not told where nothing was called: clients take the last block
for the answer, and nobody needs it back.
"""

from __future__ import annotations

from collections import deque

import msgspec

from aisa.answer import Arguments, Extra, Finish, FunctionCall, Identity, Part, Reasoning, Refusal, Text, ToolCall
from aisa.errors import ApiError
from aisa.wire.completeness import Completeness
from aisa.wire.said import value_in
from aisa.wire.tool_calls import GIVES_NOTHING
from aisa.wire.trees import Tree, is_tree

REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}
DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"), "tool_use": ("input_json_delta", "partial_json")}

WAITING_BYTES_MAX = 16 << 20  # beside a call that is not whole: beyond what a model writes in one answer
PART_BYTES = 128  # of memory, whatever it says


class Blocks:
    """Turns parts into events. `content` is what has come of them. `seed` makes ids for calls in the older form, which have none."""

    def __init__(self, identity: Identity, seed: str) -> None:
        self.identity = identity
        self.content: list[Tree] = []
        self.reason = "end_turn"
        self.refusal: list[str] = []
        self._seed = seed
        self._open = ""
        self._call = -1  # the place of the newest call, and how far it is
        self._progress = Completeness()
        self._given: list[str] = []
        self._seals: list[str] = []  # that came without thinking, for the next block but text that goes on
        self._waiting: deque[Part] = deque()  # of which no event has told yet
        self._own: dict[int, list[Part]] = {}  # what calls that wait are given, by their places
        self._waiting_bytes = 0
        self.waiting_tokens = 0

    @property
    def waiting(self) -> bool:
        """Whether something waits for a call to be whole."""
        return bool(self._waiting)

    @property
    def cut_call(self) -> str:
        """The name of a call whose arguments are no whole object, nothing if all are: clients take such a call for one without any."""
        block = next((block for block in self.content if block["type"] == "tool_use" and not is_tree(block["input"])), None)
        return "" if block is None else str(block["name"])

    def take(self, part: Part) -> list[Tree]:
        """Return the events for a part, and for what has waited for it. Raises ApiError when too much waits."""
        if self._waits(part):
            self._wait(part)
            return []
        events = self._take(part)
        return [*events, *self._go_on()] if self._waiting and not self._in_a_call else events

    def _take(self, part: Part) -> list[Tree]:
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
                begun = self._called(ToolCall(0, 0, f"toolu_{self._seed}", name)) if name else []
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
        """Close what is open. A call that was cut is closed as it is, and what has waited for it is told behind it."""
        events = self._close()
        while self._waiting:
            events += self._go_on() + self._close()
        called = any(block["type"] == "tool_use" for block in self.content)
        if self._seals and called:
            events += self._sealed()
        if self.reason == "tool_use" and not called:  # clients would answer the calls that are not there, with nothing
            self.reason = "end_turn"
        return events

    @property
    def _in_a_call(self) -> bool:
        return self._open == "tool_use" and not self._progress.complete

    def _waits(self, part: Part) -> bool:
        """Tell whether a call is open that is not whole yet, and a part is none of it."""
        if not self._in_a_call or isinstance(part, Finish | Identity | Extra):
            return False
        own = (isinstance(part, Arguments) and part.index == self._call) or (isinstance(part, FunctionCall) and not part.name)
        return not own

    def _wait(self, part: Part) -> None:
        if isinstance(part, Arguments) and part.index in self._own:
            self._own[part.index].append(part)
        else:
            self._waiting.append(part)
            if isinstance(part, ToolCall):
                self._own[part.index] = []
        self.waiting_tokens += part.tokens
        self._waiting_bytes += size_of(part)
        if self._waiting_bytes > WAITING_BYTES_MAX:
            raise ApiError("gateway_error", "The model's call of a tool does not end, and what came beside it is too long to wait.")

    def _go_on(self) -> list[Tree]:
        """Return the events for what has waited, as far as nothing of it has to wait again: a call with all that it was given."""
        events: list[Tree] = []
        while self._waiting and not self._in_a_call:
            first = self._waiting.popleft()
            for part in (first, *(self._own.pop(first.index, ()) if isinstance(first, ToolCall) else ())):
                self.waiting_tokens -= part.tokens
                self._waiting_bytes -= size_of(part)
                events += self._take(part)
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
        if isinstance(part, ToolCall):
            events = self._begin("tool_use", {"type": "tool_use", "id": part.id, "name": part.name, "input": {}})
            self._call, self._progress = part.index, Completeness()
            return events
        if not part.text or part.index != self._call or self._open != "tool_use":
            return []
        if not self._given and part.text.strip() in GIVES_NOTHING:
            self._progress.feed("{}" if part.text.strip() else "")
            return []
        self._given.append(part.text)
        self._progress.feed(part.text)
        return [self._delta(part.text)]

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


def size_of(part: Part) -> int:
    """Return what a part that waits takes, in bytes."""
    parts = 2 if isinstance(part, ToolCall) else 1  # what it is given is kept beside it
    return PART_BYTES * parts + sum([len(value) for value in msgspec.structs.astuple(part) if isinstance(value, str)])
