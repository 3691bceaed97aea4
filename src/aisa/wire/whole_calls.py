"""The chat door for clients that want each call of a tool in one piece: Mistral's own breaks on the second fragment of a call.

A call is held until it is whole, and goes as one fragment with its name and all its arguments. All else is as at the chat door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aisa.answer import OUTPUT, Arguments, Part, Piece, ToolCall, together
from aisa.wire.chat_door import CHAT_DOOR, PROTOCOL, ChatDoor, DocumentEncoder, StreamEncoder, event_of
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.sse import KEEP_ALIVE
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in

HEADER, WHOLE = "x-aisa-tool-calls", "whole"
CLIENT = "mistral-client-python"  # how the User-Agent of the client begins that needs it
HELD_CHARACTERS_MAX = 262_144  # of one call's arguments; a longer one goes on in fragments, as calls do elsewhere
TYPED = f"{PROTOCOL}, calls whole"  # no dialect's name: vendors' own bytes have fragments in them


class Held:
    """A call that is not whole yet: its beginning, its arguments so far, and the tokens in both."""

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        self.texts: list[str] = []
        self.size = 0
        self.tokens = call.tokens

    def add(self, part: Arguments) -> None:
        """Take a further part of its arguments."""
        self.texts.append(part.text)
        self.size += len(part.text)
        self.tokens += part.tokens


class WholeCallsEncoder(StreamEncoder):
    """Writes a stream. Calls that a vendor makes side by side are all held until the first of them that cannot grow any more."""

    _held: Held | None = None
    _long: tuple[int, int] | None = None  # the call that goes on in fragments

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece; a comment where all of them are held, as the model is at work."""
        pieces: list[Piece] = []
        for part in parts:
            if isinstance(part, Arguments) and self._takes(part):
                if self._held is not None and self._held.size > HELD_CHARACTERS_MAX:
                    self._long = (part.choice, part.index)
                    pieces += self._let_go()
                continue
            pieces += self._let_go()
            if isinstance(part, ToolCall):
                self._held, self._long = Held(part), None
            elif (piece := super().write([part])) is not None:
                pieces.append(piece)
        if not pieces and self._held is not None and any(isinstance(part, OUTPUT) for part in parts):
            return Piece(KEEP_ALIVE, 0, carries=True)
        return together(pieces)[0] if pieces else None

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return what is still held, the usage chunk, if it was asked for, and `[DONE]`."""
        return b"".join([piece.data for piece in self._let_go()]) + super().closing(parts)

    def _takes(self, part: Arguments) -> bool:
        """Add arguments to the call that is held, if they are its own."""
        held = self._held
        if held is None or (held.call.choice, held.call.index) != (part.choice, part.index):
            return False
        held.add(part)
        return True

    def _let_go(self) -> list[Piece]:
        """Return the call that is held, whole."""
        held, self._held = self._held, None
        if held is None:
            return []
        *before, chunk = self._chunks.take(held.call)
        text = "".join(held.texts)
        for call in calls_in(chunk):
            kind = "custom" if held.call.custom else "function"
            inner = as_tree(call[kind])
            call[kind] = {**inner, "input" if held.call.custom else "arguments": text if text or held.call.custom else "{}"}
        return [*[Piece(event_of(each), 0) for each in before], Piece(event_of(chunk), held.tokens, carries=True)]


def calls_in(chunk: Tree) -> list[Tree]:
    """Return the calls of tools in a chunk that we have written."""
    deltas = [choice.get("delta") for choice in trees_in(chunk.get("choices"))]
    return [call for delta in deltas if is_tree(delta) for call in trees_in(delta.get("tool_calls"))]


class WholeCallsDoor(ChatDoor):
    """The door for one call: what reads the body says whether it is for a stream; documents pass as ever."""

    def __init__(self) -> None:
        self.protocol = TYPED

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        request = super().read(body)
        self.protocol = TYPED if request.stream else PROTOCOL
        return request

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        if request.stream:
            return WholeCallsEncoder(request.as_chat(), call_id, created)
        return DocumentEncoder(request, call_id, created)


def heard(headers: Mapping[str, str]) -> Door:
    """Return the door for a chat with these headers."""
    if HEADER not in headers and not headers.get("user-agent", "").startswith(CLIENT):
        return CHAT_DOOR
    return WholeCallsDoor() if headers.get(HEADER, WHOLE).strip().lower() == WHOLE else CHAT_DOOR
