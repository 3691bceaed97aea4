"""Embeddings as OpenAI and everyone compatible with it makes them. Sans-IO, and knows no vendor by name.

A vendor's vectors pass in its own bytes, one for each text and in their order; where it heeds another encoding than was asked for, they
are written anew.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from math import isfinite

import msgspec
from msgspec import Raw

from aisa.answer import Part, Piece
from aisa.providers.embeddings_terms import unheeded, whole
from aisa.providers.openai import read_failure
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Target, path_to
from aisa.providers.whole_document import WholeDocument, in_order
from aisa.wire.door import Request
from aisa.wire.embeddings import BASE64, EmbeddingsRequest
from aisa.wire.embeddings_door import WRITTEN, base64_of
from aisa.wire.model_name import shown_name
from aisa.wire.texts import no_conversation
from aisa.wire.trees import text_or_none
from aisa.wire.usage_report import with_cost
from aisa.wire.vendor_error import Unintelligible

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "embeddings/openai"
FLOAT_BYTES = 4
NULL, OBJECT = Raw(b"null"), b'"embedding"'
ITEMS = msgspec.json.Decoder(list[dict[str, Raw]])
NUMBERS = msgspec.json.Decoder(list[float])
IN_NUMBERS = b"0123456789+-.eE, \t\r\n"
LARGE = re.compile(rb"[eE]\+?\d{3}")


def asked(request: Request) -> EmbeddingsRequest:
    """Return a request for embeddings. Raises UpstreamFailed for any other."""
    if not isinstance(request, EmbeddingsRequest):
        raise no_conversation("This call")
    return request


def post(path: str, fields: object, target: Target, *, dropped: tuple[str, ...] = ()) -> UpstreamRequest:
    """Write a request for a document; `dropped` is what of the client's is not in it."""
    headers = (("content-type", "application/json"), ("accept", "application/json"), *target.headers)
    return UpstreamRequest(path=path, headers=headers, body=msgspec.json.encode(fields), dropped=dropped)


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: the client's own members, with the vendor's model name."""
    return post(path_to("/embeddings", target), {**asked(request).fields, "model": target.model}, target)


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer."""
    del created, protocol  # nothing in it has a time, and there is one protocol
    return Vectors(asked(request), target, call_id)


class Vectors(WholeDocument):
    """Reads the document."""

    def __init__(self, request: EmbeddingsRequest, target: Target, call_id: str) -> None:
        super().__init__(request, target)
        self._request = request
        self._call_id = call_id
        self._members: dict[str, Raw] = {}

    def _take(self, members: dict[str, Raw]) -> None:
        items = ITEMS.decode(members["data"])
        places = [place_of(item.get("index", NULL), position) for position, item in enumerate(items)]
        order = in_order(places, len(self._request.texts))
        vectors = [as_asked(item.get("embedding", NULL), self._request.encoding, packed=self._request.packed) for item in items]
        self.unheeded = unheeded(map(length_of, vectors), self._request)
        same = all(vector is item.get("embedding") and is_named(item) for vector, item in zip(vectors, items, strict=True))
        if not same or order != list(range(len(items))):
            written = [{**items[at], "object": "embedding", "index": place, "embedding": vectors[at]} for place, at in enumerate(order)]
            members["data"] = Raw(msgspec.json.encode(written))
        model: object = msgspec.json.decode(members.get("model", b"null"))
        self.answered = text_or_none(model) or ""
        shown = self._target.public or shown_name(model, self._request.model)
        self._report.take(msgspec.json.decode(members.get("usage", b"null")))
        given = members.pop("id", NULL)  # OpenAI's API gives none, and Mistral's client demands one
        name = given if bytes(given).startswith(b'"') else Raw(msgspec.json.encode(self._call_id))
        self._members = {"id": name, **members, "object": Raw(b'"list"'), "model": Raw(msgspec.json.encode(shown))}

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the document with its usage and what it cost."""
        usage = {name: count for name, count in self._report.document(self._usage).items() if name != WRITTEN}
        return [Piece(msgspec.json.encode({**self._members, "usage": with_cost(usage, cost_usd)}), 0)]


def place_of(index: Raw, position: int) -> int:
    """Return which text an item is of, if it says so in a number, however that is written. Raises ValueError for what is none."""
    place = msgspec.json.decode(index, type=int | None, strict=False)
    return position if place is None else place


def is_named(item: dict[str, Raw]) -> bool:
    """Say whether an item has what clients look for beside its vector."""
    return bytes(item.get("object", NULL)) == OBJECT and bytes(item.get("index", NULL)).isdigit()


def as_asked(vector: Raw, encoding: str, *, packed: bool = False) -> Raw:
    """Return a vector as it came if it has the encoding that was asked for, else written in that. Raises what decoders raise.

    One in base64 also stays as it came if it is `packed` as its client says to the vendor.
    """
    data = bytes(vector)
    if data[:1] == b'"':
        content = msgspec.json.decode(data, type=bytes)
        if not content or (len(content) % FLOAT_BYTES and not packed):
            raise Unintelligible("a vector that is no whole number of floats")
        if packed:
            return vector
        numbers = struct.unpack(f"<{len(content) // FLOAT_BYTES}f", content)
        if not all(map(isfinite, numbers)):
            raise Unintelligible("a vector with what is no number")
        return vector if encoding == BASE64 else Raw(msgspec.json.encode(numbers))
    if encoding == BASE64:
        listed = numbers_in(data)
        whole([listed])
        return Raw(msgspec.json.encode(base64_of(listed)))
    if data.translate(None, IN_NUMBERS) != b"[]" or not data.strip(b"[] \t\r\n"):
        raise Unintelligible("a vector that is no list of numbers")
    if LARGE.search(data):
        numbers_in(data)  # which has none beyond any float
    return vector


def length_of(vector: Raw) -> int:
    """Return how many numbers a vector has that is as it should be, in either encoding."""
    data = bytes(vector)
    return len(msgspec.json.decode(data, type=bytes)) // FLOAT_BYTES if data[:1] == b'"' else data.count(b",") + 1


def numbers_in(data: bytes) -> list[float]:
    """Return the numbers of a vector, at least one. Raises what decoders raise."""
    numbers = NUMBERS.decode(data)
    if not numbers:
        raise Unintelligible("an empty vector")
    return numbers
