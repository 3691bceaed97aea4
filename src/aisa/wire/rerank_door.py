"""The front door of rankings: a client's request in, and the ranking it is sent, always one document. Knows no vendor.

Its form is what Cohere's and Jina's clients both read: `results` with `index` and `relevance_score`, the best first.
"""

from __future__ import annotations

from aisa.answer import Part, Report
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.openai_failures import OpenAIDocument, OpenAIDoor
from aisa.wire.rerank import RerankRequest
from aisa.wire.trees import Tree

PROTOCOL = "rerank"


class PassingEncoder(OpenAIDocument):
    """Passes the document, which the vendor's reader has brought to this form: no vendor has another."""

    def keep(self, part: Part) -> None:
        """Keep nothing."""

    def document(self, report: Report | None) -> Tree:
        """Return nothing: it has passed."""
        del report
        return {}


class RerankDoor(OpenAIDoor):
    """The door."""

    protocol = outside_body = PROTOCOL

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


def own(request: Request) -> RerankRequest:
    """Return a request that this door has read."""
    assert isinstance(request, RerankRequest), "the path gives a door back what it has read"
    return request


RERANK_DOOR: Door = RerankDoor()
