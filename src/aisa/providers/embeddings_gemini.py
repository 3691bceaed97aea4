"""Embeddings by Gemini's own API at AI Studio: `batchEmbedContents`. Sans-IO. Vertex has another form, which is not spoken here."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from aisa.answer import Identity, Part, Report, Vector
from aisa.providers.concessions import Concessions, refused
from aisa.providers.embeddings_openai import asked, post
from aisa.providers.embeddings_terms import CLASSES, CLUSTERS, DOCUMENT, QUERY, only_floats, only_texts, purpose_of, unheeded, whole
from aisa.providers.gemini import COLLECTED, read_failure
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Target
from aisa.providers.whole_document import WholeDocument, in_order
from aisa.wire.door import Request
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.trees import Tree

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "embeddings/gemini"
VERTEX = "aiplatform.googleapis.com"
TYPES = {QUERY: "RETRIEVAL_QUERY", DOCUMENT: "RETRIEVAL_DOCUMENT", CLASSES: "CLASSIFICATION", CLUSTERS: "CLUSTERING"}
OWN_TYPES = frozenset(("SEMANTIC_SIMILARITY", "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY"))  # no one else has such


class Values(msgspec.Struct):
    """One vector."""

    values: list[float]


VALUES = msgspec.json.Decoder(list[Values])


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: one in the batch for each text. Raises UpstreamFailed."""
    given = asked(request)
    if target.host.endswith(VERTEX):
        message = "Embeddings of Vertex are not spoken here. The operator can give the model a target at AI Studio, or another vendor."
        raise refused("unsupported_parameter", message, param="model")
    place = target.model if COLLECTED.fullmatch(target.model) else f"models/{target.model}"
    settings: Tree = {} if given.dimensions is None else {"outputDimensionality": given.dimensions}
    purpose = purpose_of(given)
    own = (given.known.input_type or "").upper()
    task = TYPES[purpose] if purpose else own if own in OWN_TYPES else ""
    settings |= {"taskType": task} if task else {}
    concessions = Concessions(target, f"the model '{given.model}'")
    texts = only_texts(given, concessions)
    only_floats(given, concessions)
    batch = [{"model": place, "content": {"parts": [{"text": text}]}, **settings} for text in texts]
    return post(f"/{place}:batchEmbedContents", {"requests": batch}, target, dropped=concessions.dropped)


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer."""
    del protocol  # one door asks
    return GeminiVectors(asked(request), target, Identity(call_id, created, target.public or request.model))


class GeminiVectors(WholeDocument):
    """Reads the document. It seldom reports tokens: then the texts are counted."""

    content_name = "embeddings"

    def __init__(self, request: EmbeddingsRequest, target: Target, identity: Identity) -> None:
        super().__init__(request, target)
        self._request = request
        self._identity = identity
        self._vectors: list[Values] = []

    def _take(self, members: dict[str, Raw]) -> None:
        self._vectors = VALUES.decode(members["embeddings"])
        whole(vector.values for vector in self._vectors)
        in_order(list(range(len(self._vectors))), len(self._request.texts))
        self.unheeded = unheeded([len(vector.values) for vector in self._vectors], self._request)
        self._report.take(msgspec.json.decode(members.get("usageMetadata", b"null")))

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """Return the vectors and the report."""
        vectors = [Vector(place, vector.values) for place, vector in enumerate(self._vectors)]
        return [self._identity, *vectors, Report(self._usage, cost_usd)]
