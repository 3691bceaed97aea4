"""The front door of embeddings: a client's request in, and the vectors it is sent, always one document. Knows no vendor."""

from __future__ import annotations

import struct
from array import array
from base64 import b64encode
from collections.abc import Sequence

from aisa.answer import Identity, Part, Report, Vector
from aisa.wire.chat_parts import usage_of
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Request
from aisa.wire.embeddings import BASE64, EmbeddingsRequest
from aisa.wire.openai_failures import OpenAIDocument, OpenAIDoor
from aisa.wire.trees import Tree

PROTOCOL = "embeddings"
WRITTEN = "completion_tokens"  # of which there are none


class VectorsEncoder(OpenAIDocument):
    """Writes the document."""

    def __init__(self, request: EmbeddingsRequest, identity: Identity) -> None:
        self._encoding = request.encoding
        self._identity = identity
        self._vectors: list[Vector] = []

    def keep(self, part: Part) -> None:
        """Take note of a part."""
        if isinstance(part, Identity):
            self._identity = part
        elif isinstance(part, Vector):
            self._vectors.append(part)

    def document(self, report: Report | None) -> Tree:
        """Return the document of all parts."""
        data = [
            {"object": "embedding", "index": vector.place, "embedding": as_text(vector.numbers, self._encoding)} for vector in self._vectors
        ]
        usage = {} if report is None else {name: count for name, count in usage_of(report).items() if name != WRITTEN}
        return {"id": self._identity.id, "object": "list", "data": data, "model": self._identity.model, "usage": usage}


def as_text(numbers: Sequence[float], encoding: str) -> str | Sequence[float]:
    """Return a vector as a client asked for it: as a list, or as base64 of 32-bit floats, the lowest byte first."""
    return base64_of(numbers) if encoding == BASE64 else numbers


def base64_of(numbers: Sequence[float]) -> str:
    """Return numbers as base64 of 32-bit floats, the lowest byte first."""
    floats = array("f", numbers)  # what is beyond their range becomes infinite, where packing would fail
    return b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()


class EmbeddingsDoor(OpenAIDoor):
    """The door."""

    protocol = outside_body = PROTOCOL

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return EmbeddingsRequest(body)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        return VectorsEncoder(own(request), Identity(call_id, created, request.model))


def own(request: Request) -> EmbeddingsRequest:
    """Return a request as one of this door's."""
    assert isinstance(request, EmbeddingsRequest), "the door has read it"
    return request


EMBEDDINGS_DOOR: Door = EmbeddingsDoor()
