"""The embedded model's vectors: a text's words, pairs of words and threes of letters, each hashed to a place. Learned from nothing.

So texts that share words or spellings are near each other, whatever they mean; the same text has the same vector everywhere and for ever.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise
from math import sqrt
from zlib import crc32

import msgspec

from aisa.embedded.request import PLACE, Refusal
from aisa.embedded.vocabulary import Vocabulary, normal
from aisa.wire.embeddings import KnownEmbeddings
from aisa.wire.embeddings_door import as_text
from aisa.wire.rerank import KnownRerank, text_of
from aisa.wire.texts import Given, texts_of

DIMENSIONS = 256  # enough that the features of a page seldom meet
DIMENSIONS_MAX = 3_072  # as many as the largest usual vectors have
TEXTS_MAX = 2_048  # of one request, as OpenAI
TEXT_MAX = 32_768  # characters, or tokens, of one text: some 20 milliseconds, in which no other call has its turn
WORD = re.compile(r"[^\W_]+")
PAIR_WEIGHT, LETTERS_WEIGHT = 0.5, 0.25  # beside a word's own
LETTERS = 3


def embeddings(body: object, vocabulary: Vocabulary) -> Generator[int, None, dict[str, object]]:
    """Return the answer to a request; yields the tokens of each text when its vector is made. Raises Refusal."""
    try:
        known = msgspec.convert(body, KnownEmbeddings)
    except msgspec.ValidationError as error:
        found = PLACE.search(str(error))
        raise Refusal(f"Invalid request: {error}.", found[1] if found else None, None) from None
    texts, dimensions = texts_of(known.input, "input"), known.dimensions or DIMENSIONS
    if dimensions > DIMENSIONS_MAX:
        raise Refusal(f"This model's vectors have at most {DIMENSIONS_MAX} dimensions, not {dimensions}.", "dimensions", None)
    check_size(texts, "input")
    data: list[dict[str, object]] = []
    total = 0
    for place, text in enumerate(texts):
        vector = as_text(vector_of(text, dimensions), known.encoding_format or "float")
        data.append({"object": "embedding", "index": place, "embedding": vector})
        tokens = len(text) if isinstance(text, list) else sum(1 for _ in vocabulary.encode(text))
        total += tokens
        yield tokens
    return {"object": "list", "data": data, "model": known.model, "usage": {"prompt_tokens": total, "total_tokens": total}}


def ranking(body: object, vocabulary: Vocabulary) -> Generator[int, None, dict[str, object]]:
    """Return documents by how near their vectors are to the query's; yields the tokens of each when it is done. Raises Refusal."""
    try:
        known = msgspec.convert(body, KnownRerank)
    except msgspec.ValidationError as error:
        found = PLACE.search(str(error))
        raise Refusal(f"Invalid request: {error}.", found[1] if found else None, None) from None
    texts = [text_of(document, place) for place, document in enumerate(known.documents)]
    check_size([known.query, *texts], "documents")
    query, total = vector_of(known.query), 0
    scored: list[tuple[float, int]] = []
    for place, text in enumerate(texts):
        scored.append((max(0.0, similarity(query, vector_of(text))), place))
        tokens = sum(1 for _ in vocabulary.encode(text))
        total += tokens
        yield tokens
    best = sorted(scored, key=lambda each: (-each[0], each[1]))[: known.most or len(scored)]
    results = [{"index": place, "relevance_score": score} for score, place in best]
    return {"model": known.model, "results": results, "usage": {"prompt_tokens": total, "total_tokens": total}}


def check_size(texts: Sequence[Given], name: str) -> None:
    """Raise Refusal unless there are not too many texts, and none too long."""
    if len(texts) > TEXTS_MAX:
        raise Refusal(f"This model takes at most {TEXTS_MAX} texts at once, not {len(texts)}.", name, None)
    if any(len(text) > TEXT_MAX for text in texts):
        raise Refusal(f"This model's maximum context length is {TEXT_MAX} characters of a text.", name, "context_length_exceeded")


def vector_of(text: Given, dimensions: int = DIMENSIONS) -> Sequence[float]:
    """Return the vector of a text, of length one; of a text without a word, that of its first place."""
    vector = [0.0] * dimensions
    for feature, weight in features_of(text):
        number = crc32(feature.encode("utf-8", "surrogatepass"))
        vector[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = sqrt(sum([each * each for each in vector]))
    if not length:
        return [1.0, *vector[1:]]
    return [each / length for each in vector]


def features_of(text: Given) -> Iterator[tuple[str, float]]:
    """Yield what a text is made of, each once, and how much that weighs: more, the more often it occurs, but not as much more."""
    words = [normal(word) for word in WORD.findall(text)] if isinstance(text, str) else [f"#{token}" for token in text]
    counts: Counter[tuple[str, float]] = Counter([(word, 1.0) for word in words])
    counts.update([(f"{first} {second}", PAIR_WEIGHT) for first, second in pairwise(words)])
    if isinstance(text, str):
        edged = [f"<{word}>" for word in words]
        counts.update([(word[at : at + LETTERS], LETTERS_WEIGHT) for word in edged for at in range(len(word) - LETTERS + 1)])
    for (feature, weight), count in counts.items():
        yield feature, weight * sqrt(count)


def similarity(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how near two vectors of length one are: 1 for the same, about 0 for texts that share nothing."""
    return sum([a * b for a, b in zip(one, other, strict=True)])
