"""Mistral's thinking, signed, between an answer and the next turn: sealed for clients that bring it back, else kept. Writes no text.

Answers of this dialect are read as OpenAI's, where thinking is a text without a signature. What Mistral wants back is heard beside that, of
answers that think before they call a tool: nothing else of it is needed in a later turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part, Reasoning, ToolCall
from aisa.providers.shape import Decoder
from aisa.providers.vendor_state import KEPT_STATE_BYTES_MAX, VendorState
from aisa.providers.wrapped import Wrapped
from aisa.wire.reasoning_details import seals_in
from aisa.wire.sse import EventTooLarge, SseDecoder
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in

SIGN = b'"thinking"'  # what has it not is not looked at again
CHOICES_MAX = 128  # whose thinking is held at a time: as many as a request may ask for


class ThinkingKept(Wrapped):
    """Keeps what a model thought before its first call of a tool, and puts a seal of it in front of that call."""

    def __init__(self, inner: Decoder, state: VendorState, *, stream: bool) -> None:
        super().__init__(inner)
        self._state = state
        self._events = SseDecoder(KEPT_STATE_BYTES_MAX) if stream else None
        self._document = bytearray()
        self._thoughts: dict[int, list[Tree]] = {}  # of each choice that has called nothing yet
        self._seals: dict[int, str] = {}  # of choices whose call is not given yet
        self._called: set[int] = set()
        self._held = 0  # bytes of thinking
        self._deaf = False  # there was more than is kept

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        if not self._deaf:
            self._hear(data)
        return self._sealed(super().feed(data))

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        if self._document and not self._deaf:
            self._read(bytes(self._document), "message")
        return self._sealed(super().end())

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return what comes after the bill is settled: of a document, everything."""
        return self._sealed(super().closing(cost_usd))

    def _sealed(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Put what is sealed in front of the calls that it led to."""
        if not self._seals:
            return parts
        given: list[Part] = []
        for part in parts:
            if isinstance(part, ToolCall) and (seal := self._seals.pop(part.choice, "")):
                given.append(Reasoning(part.choice, "", signature=seal))
            given.append(part)
        return given

    def _hear(self, data: bytes) -> None:
        if self._events is None:
            self._document += data
            self._deaf = len(self._document) > KEPT_STATE_BYTES_MAX
            return
        try:
            for _, event in self._events.feed(data):
                if SIGN in event or self._thoughts:
                    self._read(event, "delta")
        except EventTooLarge:
            self._deaf = True

    def _read(self, data: bytes, member: str) -> None:
        """Take what an event, or the document, thinks; with a choice's first call of a tool, keep it."""
        try:
            value: object = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        for choice in trees_in(value.get("choices"))[:CHOICES_MAX] if is_tree(value) else ():
            index, message = choice.get("index"), as_tree(choice.get(member))
            place = index if isinstance(index, int) else 0
            for part in trees_in(message.get("content")):
                if part.get("type") == "thinking" and place not in self._called and len(self._thoughts) < CHOICES_MAX:
                    self._take(part, self._thoughts.setdefault(place, []))
            calls = trees_in(message.get("tool_calls"))
            if calls and place not in self._called:
                self._called.add(place)
                self._keep(place, text_or_none(calls[0].get("id")))

    def _keep(self, place: int, call_id: str | None) -> None:
        thoughts = self._thoughts.pop(place, None)
        if thoughts and call_id and not self._deaf:
            state = msgspec.json.encode(thoughts)
            self._state.keep(call_id, state)
            self._seals[place] = self._state.seal(state)

    def _take(self, part: Tree, thoughts: list[Tree]) -> None:
        """Put a piece of thinking to what came before, up to a signature, which ends it."""
        text = "".join([str(each.get("text") or "") for each in trees_in(part.get("thinking"))])
        self._held += len(text)
        if self._held > KEPT_STATE_BYTES_MAX:
            self._deaf = True
            self._thoughts.clear()
            return
        if thoughts and "signature" not in thoughts[-1]:
            [said] = trees_in(thoughts[-1]["thinking"])
            said["text"] = f"{said['text']}{text}"
        else:
            thoughts.append({"type": "thinking", "thinking": [{"type": "text", "text": text}]})
        if part.get("signature"):
            thoughts[-1]["signature"] = part["signature"]


def with_thinking(message: Tree, state: VendorState | None) -> object:
    """Return the content of an assistant's message with what was thought before its calls, if that is brought back or kept here."""
    content, calls = message.get("content"), trees_in(message.get("tool_calls"))
    if state is None or not calls:
        return content
    brought = [opened for seal in seals_in(message) if (opened := state.open(seal)) is not None]
    kept = brought[0] if brought else state.kept(str(calls[0].get("id")))
    if kept is None:
        return content
    parts: list[Tree] = [{"type": "text", "text": content}] if isinstance(content, str) and content else trees_in(content)
    return [*trees_in(msgspec.json.decode(kept)), *[part for part in parts if part.get("type") != "thinking"]]
