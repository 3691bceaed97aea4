"""Rankings by Cohere's own API, version 2, which charges by the search. Sans-IO. Its answers are those of `rerank_openai.py`."""

from __future__ import annotations

from aisa.providers.embeddings_openai import post
from aisa.providers.port import UpstreamRequest
from aisa.providers.rerank_openai import asked, decoder, read_failure
from aisa.providers.shape import Target
from aisa.wire.door import Request

__all__ = ["NAME", "decoder", "read_failure", "to_upstream"]

NAME: str = "rerank/cohere"
SAME = ("query", "max_tokens_per_doc", "priority")


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request: documents as texts, and what else it knows."""
    given = asked(request)
    fields: dict[str, object] = {name: given.fields[name] for name in SAME if name in given.fields and bytes(given.fields[name]) != b"null"}
    fields |= {} if given.known.most is None else {"top_n": given.known.most}
    return post("/rerank", {"model": target.model, "documents": given.texts, **fields}, target)
