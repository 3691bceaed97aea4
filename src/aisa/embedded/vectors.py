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
    if len(texts) > TEXTS_MAX:
        raise Refusal(f"This model takes at most {TEXTS_MAX} texts at once, not {len(texts)}.", "input", None)
    if any(len(text) > TEXT_MAX for text in texts):
        message = f"This model's maximum context length is {TEXT_MAX} characters of a text."
        raise Refusal(message, "input", "context_length_exceeded")
    data: list[dict[str, object]] = []
    total = 0
    for place, text in enumerate(texts):
        vector = as_text(vector_of(text, dimensions), known.encoding_format or "float")
        data.append({"object": "embedding", "index": place, "embedding": vector})
        tokens = len(text) if isinstance(text, list) else sum(1 for _ in vocabulary.encode(text))
        total += tokens
        yield tokens
    return {"object": "list", "data": data, "model": known.model, "usage": {"prompt_tokens": total, "total_tokens": total}}


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
