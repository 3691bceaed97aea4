"""What a model reads at once of a request of any kind: what has to fit one context window, and how its text begins. Routes none."""

from __future__ import annotations

from aisa.usage import BYTES_PER_TOKEN
from aisa.wire.completions import CompletionsRequest
from aisa.wire.content import Content
from aisa.wire.door import Request
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.request_content import content_of
from aisa.wire.rerank import RerankRequest


def largest_content(request: Request) -> Content:
    """Return what has to fit one window: a conversation, or the largest of the texts that have one each."""
    if isinstance(request, EmbeddingsRequest | CompletionsRequest | RerankRequest):
        return request.largest()
    return Content(request.body_bytes) if request.chat is None else content_of(request.chat)


def text_prefix(request: Request, characters_max: int) -> str | None:
    """Return what a text begins with that is to be gone on with; None of a conversation, and of what no vendor's cache serves.

    Of a prompt that is given as the ids of its tokens it is those.
    """
    if not isinstance(request, CompletionsRequest):
        return None
    first = request.prompts[0]
    return request.beginning(characters_max) if isinstance(first, str) else str(first[: characters_max // BYTES_PER_TOKEN])
