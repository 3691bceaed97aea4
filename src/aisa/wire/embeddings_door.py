"""The front door of embeddings: a client's request in, and the vectors it is sent, always one document. Knows no vendor."""

from __future__ import annotations

import struct
from array import array
from base64 import b64encode
from collections.abc import Sequence

from aisa.answer import Identity, Part, Piece, Report, Vector
from aisa.errors import ApiError
from aisa.wire.chat_parts import usage_of
from aisa.wire.content import Content
from aisa.wire.door import Door, Encoder, Refused, Request
from aisa.wire.embeddings import BASE64, EmbeddingsRequest
from aisa.wire.lenient_json import encode
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, error_event, error_headers, error_json
from aisa.wire.sse import KEEP_ALIVE
from aisa.wire.trees import Tree

PROTOCOL = "embeddings"
DOCUMENT_HEADERS: HeaderList = [("content-type", JSON_TYPE)]
WRITTEN = "completion_tokens"  # of which there are none


class VectorsEncoder:
    """Writes the document. A vendor's own passes."""

    headers = DOCUMENT_HEADERS

    def __init__(self, request: EmbeddingsRequest, identity: Identity) -> None:
        self._encoding = request.encoding
        self._identity = identity
        self._vectors: list[Vector] = []

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """Keep the parts: a document is sent when it is whole."""
        for part in parts:
            if isinstance(part, Identity):
                self._identity = part
            elif isinstance(part, Vector):
                self._vectors.append(part)
        return None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error in place of the document."""
        return error_json(error, request_id)

    def closing(self, parts: Sequence[Part]) -> bytes:
        """Return the document."""
        passed = [part.data for part in parts if isinstance(part, Piece)]
        if passed:
            return b"".join(passed)
        self.write(parts)
        data = [
            {"object": "embedding", "index": vector.place, "embedding": as_text(vector.numbers, self._encoding)} for vector in self._vectors
        ]
        report = next((part for part in parts if isinstance(part, Report)), None)
        usage = {} if report is None else {name: count for name, count in usage_of(report).items() if name != WRITTEN}
        answer: Tree = {"id": self._identity.id, "object": "list", "data": data, "model": self._identity.model, "usage": usage}
        return encode(answer)


def as_text(numbers: Sequence[float], encoding: str) -> str | Sequence[float]:
    """Return a vector as a client asked for it: as a list, or as base64 of 32-bit floats, the lowest byte first."""
    return base64_of(numbers) if encoding == BASE64 else numbers


def base64_of(numbers: Sequence[float]) -> str:
    """Return numbers as base64 of 32-bit floats, the lowest byte first."""
    floats = array("f", numbers)  # what is beyond their range becomes infinite, where packing would fail
    return b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()


class EmbeddingsDoor:
    """The door."""

    protocol = PROTOCOL
    keep_alive = KEEP_ALIVE

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises ApiError."""
        return EmbeddingsRequest(body)

    def content(self, request: Request) -> Content:
        """Return what a request holds."""
        return own(request).content()

    def encoder(self, request: Request, *, call_id: str, created: int) -> Encoder:
        """Return what writes the answer."""
        return VectorsEncoder(own(request), Identity(call_id, created, request.model))

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """Return the error as an event, though nobody is sent a stream here."""
        return error_event(error, request_id)

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        return Refused(error.status, [("content-type", JSON_TYPE), *error_headers(error)], error_json(error, request_id))


def own(request: Request) -> EmbeddingsRequest:
    """Return a request as one of this door's."""
    assert isinstance(request, EmbeddingsRequest), "the door has read it"
    return request


EMBEDDINGS_DOOR: Door = EmbeddingsDoor()
