"""Embeddings by Cohere's own API, version 2: `/embed`. Sans-IO. What it bills for stands in `meta.billed_units`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from aisa.answer import Identity, Part, Report, Vector
from aisa.providers.concessions import Concessions
from aisa.providers.embeddings_openai import asked, post
from aisa.providers.embeddings_terms import CLASSES, CLUSTERS, DOCUMENT, QUERY, only_floats, only_texts, purpose_of, unheeded, whole
from aisa.providers.openai import read_failure
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Target
from aisa.providers.whole_document import WholeDocument, in_order
from aisa.wire.door import Request
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.trees import Tree, is_tree

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "embeddings/cohere"
TYPES = {QUERY: "search_query", DOCUMENT: "search_document", CLASSES: "classification", CLUSTERS: "clustering"}
CARRIED = ("truncate", "max_tokens", "priority")  # its own members, which clients may add


class Embeddings(msgspec.Struct):
    """Vectors by their type: only this one is asked for."""

    numbers: list[list[float]] = msgspec.field(name="float")


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed.

    The vendor wants to know what the texts are for: to be found, unless the client says otherwise.
    """
    given = asked(request)
    concessions = Concessions(target, f"the model '{given.model}'")
    texts = only_texts(given, concessions)
    only_floats(given, concessions)
    purpose = TYPES.get(purpose_of(given), given.known.input_type or TYPES[DOCUMENT])
    fields: dict[str, object] = {"model": target.model, "texts": texts, "input_type": purpose, "embedding_types": ["float"]}
    fields |= {} if given.dimensions is None else {"output_dimension": given.dimensions}
    fields |= {name: given.fields[name] for name in CARRIED if name in given.fields}
    return post("/embed", fields, target, dropped=concessions.dropped)


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer."""
    del protocol  # one door asks
    return CohereVectors(asked(request), target, Identity(call_id, created, target.public or request.model))


class CohereVectors(WholeDocument):
    """Reads the document."""

    content_name = "embeddings"

    def __init__(self, request: EmbeddingsRequest, target: Target, identity: Identity) -> None:
        super().__init__(request, target)
        self._request = request
        self._identity = identity
        self._vectors: list[list[float]] = []

    def _take(self, members: dict[str, Raw]) -> None:
        self._vectors = msgspec.json.decode(members["embeddings"], type=Embeddings).numbers
        whole(self._vectors)
        in_order(list(range(len(self._vectors))), len(self._request.texts))
        self.unheeded = unheeded(map(len, self._vectors), self._request)
        self._report.take(billed_units(members))

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the vectors and the report."""
        vectors = [Vector(place, numbers) for place, numbers in enumerate(self._vectors)]
        return [self._identity, *vectors, Report(self._usage, cost_usd)]


def billed_units(members: dict[str, Raw]) -> Tree | None:
    """Return what Cohere bills for, None if it does not say."""
    meta: object = msgspec.json.decode(members.get("meta", b"null"))
    units = meta.get("billed_units") if is_tree(meta) else None
    return units if is_tree(units) else None
