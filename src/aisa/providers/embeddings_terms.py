"""What dialects of embeddings say in different words: what a text is for. And what none but OpenAI's takes. Knows no vendor's answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aisa.providers.concessions import Concessions
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.vendor_error import Unintelligible

FLOAT_MAX = float.fromhex("0x1.fffffefp127")  # above which a number is infinite in 32 bits
QUERY, DOCUMENT, CLASSES, CLUSTERS = "query", "document", "classification", "clustering"
#: What clients write in `input_type` -> what it means.
PURPOSES = {
    "query": QUERY,
    "search_query": QUERY,
    "retrieval_query": QUERY,
    "document": DOCUMENT,
    "passage": DOCUMENT,
    "search_document": DOCUMENT,
    "retrieval_document": DOCUMENT,
    "classification": CLASSES,
    "clustering": CLUSTERS,
}


def purpose_of(request: EmbeddingsRequest) -> str:
    """Return what the texts are for, nothing if the client does not say it in a word that is known."""
    return PURPOSES.get((request.known.input_type or "").lower(), "")


def only_floats(request: EmbeddingsRequest, concessions: Concessions) -> None:
    """Note that numbers of another kind cannot be asked for here. Raises UpstreamFailed, unless the model's entry has such dropped."""
    if request.known.output_dtype not in (None, "float"):
        concessions.drop("output_dtype", "its numbers are asked for as floats alone")


def unheeded(lengths: Iterable[int], request: EmbeddingsRequest) -> tuple[str, ...]:
    """Return the member that a vendor has paid no heed to: that for dimensions, where vectors have others. Nothing if all is as asked."""
    wanted = request.dimensions
    if wanted is None or request.packed:
        return ()
    return () if all(length == wanted for length in lengths) else (request.dimensions_name,)


def whole(vectors: Iterable[Sequence[float]]) -> None:
    """Raise Unintelligible for a vector of nothing, or with what floats of 32 bits cannot say."""
    for numbers in vectors:
        if not numbers or not max(map(abs, numbers)) <= FLOAT_MAX:
            raise Unintelligible("an empty vector, or one with what is no number")


def only_texts(request: EmbeddingsRequest, concessions: Concessions) -> list[str]:
    """Return the texts. Raises UpstreamFailed if some are given as tokens, whose tokenizer only the client knows."""
    texts = [text for text in request.texts if isinstance(text, str)]
    if len(texts) != len(request.texts):
        why = "it takes text and no ids of tokens; have your client send text (LangChain: check_embedding_ctx_length=False)"
        raise concessions.refusal("input", why)
    return texts
