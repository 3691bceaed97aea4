"""Embeddings by Mistral's own API, which refuses every field that it does not know and takes no ids of tokens. Sans-IO.

Its answers are those of `embeddings_openai.py`.
"""

from __future__ import annotations

from aisa.providers.concessions import Concessions
from aisa.providers.embeddings_openai import asked, decoder, post, read_failure
from aisa.providers.embeddings_terms import only_texts
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Target
from aisa.wire.door import Request

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "embeddings/mistral"
SAME = ("input", "encoding_format", "metadata", "output_dimension", "output_dtype")


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed."""
    given = asked(request)
    only_texts(given, Concessions(target, f"the model '{given.model}'"))
    fields: dict[str, object] = {"model": target.model}
    fields |= {name: given.fields[name] for name in SAME if name in given.fields and bytes(given.fields[name]) != b"null"}
    if given.dimensions is not None:
        fields["output_dimension"] = given.dimensions
    return post("/embeddings", fields, target)
