"""The chat door for clients that want each call of a tool in one piece: Mistral's own breaks on the second fragment of a call.

A call is held until it is whole, and goes as one fragment with its name and all its arguments. All else is as at the chat door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aisa.answer import OUTPUT, Arguments, Finish, Part, Piece, Text, ToolCall, together
from aisa.wire.chat import ChatRequest
from aisa.wire.chat_door import CHAT_DOOR, PROTOCOL, ChatDoor, DocumentEncoder, StreamEncoder, event_of
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.finish import CUT
from aisa.wire.held_calls import HeldCall, HeldCalls
from aisa.wire.sse import KEEP_ALIVE
from aisa.wire.trees import Tree, as_tree, is_tree, trees_in

HEADER, WHOLE = "x-aisa-tool-calls", "whole"
CLIENT = "mistral-client-python"  # how the User-Agent of the client begins that needs it
HELD_CHARACTERS_MAX = 262_144  # of arguments; longer ones go on in fragments, as calls do elsewhere
COMMENTS_MAX = 100  # in a row: a client for Go takes more than 150 for a fault (findings/go-openai-counts-comments.sh)
TYPED = f"{PROTOCOL}, calls whole"  # no dialect's name: vendors' own bytes have fragments in them


class WholeCallsEncoder(StreamEncoder):
    """Writes a stream. A call is held until it cannot grow any more, or to the end of its choice; those behind it in its choice wait."""

    def __init__(self, request: ChatRequest, call_id: str, created: int) -> None:
        super().__init__(request, call_id, created)
        self._calls = HeldCalls()
        self._comments = 0  # in a row, modulo COMMENTS_MAX
        self._long: set[tuple[int, int]] = set()  # the calls that go on in fragments

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return the events for these parts as one piece; a comment where all of them are held, as the model is at work."""
        pieces: list[Piece] = []
        for part in parts:
            if isinstance(part, Arguments) and self._calls.add(part):
                if self._calls.characters > HELD_CHARACTERS_MAX:
                    pieces += self._let_go_of_all()
            elif isinstance(part, ToolCall):
                pieces += self._written_calls(self._calls.begin(part))
            else:
                if isinstance(part, Finish):
                    pieces += self._written_calls(self._calls.rest(part.choice), cut=part.reason in CUT)
                elif isinstance(part, OUTPUT):
                    pieces += self._written_calls(self._calls.whole(part.choice))
                pieces += [piece for piece in [super().write([part])] if piece is not None]
        held = [part.choice for part in parts if isinstance(part, OUTPUT)] if self._calls and not pieces else []
        if held:
            return self._sign_of_work(held[-1])
        self._comments = 0 if pieces else self._comments
        return together(pieces)[0] if pieces else None

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return what is still held, the usage chunk, if it was asked for, and `[DONE]`."""
        return b"".join([piece.data for piece in self._written_calls(self._calls.rest())]) + super().closing(parts)

    def _sign_of_work(self, choice: int) -> Piece:
        """Return a comment, or, where there were many in a row, an empty text."""
        self._comments = (self._comments + 1) % COMMENTS_MAX
        nothing = [] if self._comments else self._chunks.take(Text(choice, "", 0))
        return Piece(b"".join([event_of(chunk) for chunk in nothing]) or KEEP_ALIVE, 0, carries=True)

    def _let_go_of_all(self) -> list[Piece]:
        """Hold nothing any more: what is not whole yet goes on in fragments."""
        calls = self._calls.rest()
        self._long |= {(held.call.choice, held.call.index) for held in calls if not held.is_whole}
        return self._written_calls(calls)

    def _written_calls(self, calls: list[HeldCall], *, cut: bool = False) -> list[Piece]:
        """Return the events of calls, each in one piece; of the last, where it was `cut`, as much as came."""
        return [piece for held in calls for piece in self._written_call(held, cut=cut and held is calls[-1])]

    def _written_call(self, held: HeldCall, *, cut: bool) -> list[Piece]:
        *before, chunk = self._chunks.take(held.call)
        given = "".join(held.texts) or ("" if cut or held.call.custom or (held.call.choice, held.call.index) in self._long else "{}")
        for call in calls_in(chunk):
            kind = "custom" if held.call.custom else "function"
            call[kind] = {**as_tree(call[kind]), "input" if held.call.custom else "arguments": given}
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
