"""What the path of a call asks of its client's protocol, a front door: how a request is read, and how everything sent is written.

A door is a value: adding one is a module that makes it, and a row in the edge's table of routes. The path, its clocks, routing, limits and
the ledger see a `Request`, and never the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from aisa.answer import Part, Piece
from aisa.errors import ApiError, UpstreamFailed
from aisa.wire.chat import ChatRequest
from aisa.wire.content import Content
from aisa.wire.port import Client, HeaderList
from aisa.wire.reply import whole_line
from aisa.wire.wish import Wish


class Request(Protocol):
    """What a call asks for, whichever protocol it came in."""

    @property
    def model(self) -> str:
        """The name of the model as the client wrote it."""
        ...

    @property
    def task(self) -> str:
        """What is to be done, which says whose dialects write it: nothing for a conversation, else the task's name with a slash behind."""
        ...

    @property
    def stream(self) -> bool:
        """True if the answer is to come as it is made."""
        ...

    @property
    def choices(self) -> int:
        """How many answers are wanted; 0 where nothing is written, and output therefore costs nothing."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """The client's bound on the output tokens of each, None if it gave none."""
        ...

    @property
    def bounds_reasoning(self) -> bool:
        """True if that bound holds for hidden reasoning too."""
        ...

    @property
    def bound_tells_length(self) -> bool:
        """True if it says how long a stream may get: none of the text alone does, nor one that a protocol demands of every request."""
        ...

    @property
    def bound_name(self) -> str:
        """What the client's protocol calls that bound."""
        ...

    @property
    def body_bytes(self) -> int:
        """The size of the request's body: the measure of estimates of its input."""
        ...

    def wishes(self) -> Iterable[Wish]:
        """Yield what the request asks of the model that a model's entry may limit."""
        ...

    def tier(self) -> tuple[str, str]:
        """Return the service tier that is asked for, nothing for the usual one, and the field that asks."""
        ...

    @property
    def chat(self) -> ChatRequest | None:
        """What of it chat completions can say, by which its cost is foreseen; None of what is no conversation."""
        ...

    def as_chat(self) -> ChatRequest:
        """Return the request in the one form that every dialect can read, whatever it came in.

        Raises UpstreamFailed for what that form cannot say, as a target that speaks the client's own protocol may be able to.
        """
        ...


class Refused(NamedTuple):
    """An error as a whole answer. `headers` include the content type."""

    status: int
    headers: HeaderList
    body: bytes


class Encoder(Protocol):
    """Writes one answer in a protocol. Sans-IO. An attempt that failed before anything was sent is forgotten with its encoder."""

    @property
    def headers(self) -> HeaderList:
        """The headers of a good answer, its content type among them."""
        ...

    @property
    def cut(self) -> UpstreamFailed | None:
        """The failure that an answer is in this protocol though its vendor calls it complete, to be told behind all that was written."""
        ...

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return what goes to the client for these parts; None if that is nothing yet."""
        ...

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return what tells a client of a failure after the head was sent; the body ends behind it, and nothing in it says success."""
        ...

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return what ends a complete answer, once the bill is settled: the last of a stream, or the whole document."""
        ...


class Door(Protocol):
    """A front door."""

    @property
    def protocol(self) -> str:
        """The name of its protocol: a dialect of the same name passes a vendor's bytes on as they are."""
        ...

    @property
    def outside_body(self) -> str:
        """What of a request its address and headers say: two with the same body may be different ones. Nothing of a chat."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """What is sent in a stream with nothing else to send, and to find out if a client is still there; nothing if no client bears it."""
        ...

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        ...

    def content(self, request: Request) -> Content:
        """Return what a request holds: the measure of its input where no vendor says it."""
        ...

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer. The call's id and UNIX time stand in where the vendor gives none."""
        ...

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer, with its true status."""
        ...

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return what tells of a failure inside a stream of which nobody knows how far it came."""
        ...


def refuse(client: Client, error: ApiError, request_id: str, *, headers: HeaderList, door: Door) -> None:
    """Tell a client of a failure, if it is still there, and end the answer. `headers` go with what was not begun yet."""
    if client.gone:
        return
    if client.started:
        client.write(door.failure(error, request_id))
        client.end()
        return
    refused = door.refused(error, request_id)
    body = whole_line(refused.body)
    client.start(refused.status, [*refused.headers, *headers], len(body))
    client.write(body)
    client.end()
