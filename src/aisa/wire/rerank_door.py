"""The front door of rankings: a client's request in, and the ranking it is sent, always one document. Knows no vendor.

Its form is what Cohere's and Jina's clients both read: `results` with `index` and `relevance_score`, the best first.
"""

from __future__ import annotations

from collections.abc import Sequence

from aisa.answer import Part, Piece
from aisa.errors import ApiError
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Refused, Request
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, error_event, error_headers, error_json
from aisa.wire.rerank import RerankRequest
from aisa.wire.sse import KEEP_ALIVE

PROTOCOL = "rerank"
DOCUMENT_HEADERS: HeaderList = [("content-type", JSON_TYPE)]


class PassingEncoder:
    """Passes the document, which the vendor's reader has brought to this form: no vendor has another."""

    headers = DOCUMENT_HEADERS

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Return nothing: a document is sent when it is whole."""
        del parts
        return None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
        return error_json(error, request_id)

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the document."""
        return b"".join([part.data for part in parts if isinstance(part, Piece)])


class RerankDoor:
    """The door."""

    protocol = PROTOCOL
    keep_alive = KEEP_ALIVE

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return RerankRequest(body)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        del request, call_id, created  # its reader has them
        return PassingEncoder()

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error as an event, though nobody is sent a stream here."""
        return error_event(error, request_id)

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        return Refused(error.status, [("content-type", JSON_TYPE), *error_headers(error)], error_json(error, request_id))


def own(request: Request) -> RerankRequest:
    """Return a request that this door has read."""
    assert isinstance(request, RerankRequest), "the path gives a door back what it has read"
    return request


RERANK_DOOR: Door = RerankDoor()
