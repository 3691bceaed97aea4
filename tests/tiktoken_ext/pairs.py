"""An encoding for tests, in the form in which tiktoken looks for them: bytes are tokens, and so is the pair `ab`. Needs no network."""

from __future__ import annotations


def pairs() -> dict[str, object]:
    """Return what `tiktoken.Encoding` is made of."""
    ranks = {bytes([value]): value for value in range(256)} | {b"ab": 256}
    return {"name": "pairs", "pat_str": r"\S+|\s+", "mergeable_ranks": ranks, "special_tokens": {}}


ENCODING_CONSTRUCTORS = {"pairs": pairs}
