"""Mistral's thinking, with its signature, between an answer and the next turn: kept by the call that it led to, as it came. Writes no text.

Answers of this dialect are read as OpenAI's, where thinking is a text without a signature. What Mistral wants back is heard beside that, of
answers that think before they call a tool: nothing else of it is needed in a later turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.answer import Part
from aisa.providers.shape import Decoder
from aisa.providers.vendor_state import KEPT_STATE_BYTES_MAX, VendorState
from aisa.providers.wrapped import Wrapped
from aisa.wire.sse import EventTooLarge, SseDecoder
from aisa.wire.trees import Tree, as_tree, is_tree, text_or_none, trees_in

SIGN = b'"thinking"'  # what has it not is not looked at again


class ThinkingKept(Wrapped):
    """Keeps what a model thought before its first call of a tool."""

    def __init__(self, inner: Decoder, state: VendorState, *, stream: bool) -> None:
        super().__init__(inner)
        self._state = state
        self._events = SseDecoder(KEPT_STATE_BYTES_MAX) if stream else None
        self._document = bytearray()
        self._thoughts: list[Tree] = []
        self._deaf = False  # it has called a tool, or there was more than is kept

    def feed(self, data: bytes) -> Sequence[Part]:
        """Take the next bytes of the vendor's body."""
        if not self._deaf:
            self._hear(data)
        return super().feed(data)

    def end(self) -> Sequence[Part]:
        """Take the end of the vendor's body."""
        if self._document and not self._deaf:
            self._read(bytes(self._document), "message")
        return super().end()

    def _hear(self, data: bytes) -> None:
        if self._events is None:
            self._document += data
            self._deaf = len(self._document) > KEPT_STATE_BYTES_MAX
            return
        try:
            for _, event in self._events.feed(data):
                if SIGN in event or (self._thoughts and not self._deaf):
                    self._read(event, "delta")
        except EventTooLarge:
            self._deaf = True

    def _read(self, data: bytes, member: str) -> None:
        """Take what an event, or the document, thinks; with its first call of a tool, keep it."""
        try:
            value: object = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        for choice in trees_in(value.get("choices"))[:1] if is_tree(value) else ():
            message = as_tree(choice.get(member))
            for part in trees_in(message.get("content")):
                if part.get("type") == "thinking":
                    self._take(part)
            calls = trees_in(message.get("tool_calls"))
            if calls and self._thoughts and (call_id := text_or_none(calls[0].get("id"))):
                self._state.keep(call_id, msgspec.json.encode(self._thoughts))
                self._deaf = True

    def _take(self, part: Tree) -> None:
        """Put a piece of thinking to what came before, up to a signature, which ends it."""
        text = "".join([str(each.get("text") or "") for each in trees_in(part.get("thinking"))])
        if self._thoughts and "signature" not in self._thoughts[-1]:
            [said] = trees_in(self._thoughts[-1]["thinking"])
            said["text"] = f"{said['text']}{text}"
        else:
            self._thoughts.append({"type": "thinking", "thinking": [{"type": "text", "text": text}]})
        if part.get("signature"):
            self._thoughts[-1]["signature"] = part["signature"]


def with_thinking(content: object, calls: list[Tree], state: VendorState | None) -> object:
    """Return the content of a message with what was thought before its calls, if that is kept."""
    kept = state.kept(str(calls[0].get("id"))) if calls and state is not None else None
    if kept is None:
        return content
    parts: list[Tree] = [{"type": "text", "text": content}] if isinstance(content, str) and content else trees_in(content)
    return [*trees_in(msgspec.json.decode(kept)), *[part for part in parts if part.get("type") != "thinking"]]
