"""Which module writes what in which dialect: a table by the task of a request and the dialect of its target. Decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aisa.errors import UpstreamFailed
from aisa.providers import (
    anthropic,
    bedrock,
    cohere,
    completions_mistral,
    completions_openai,
    embeddings_cohere,
    embeddings_gemini,
    embeddings_mistral,
    embeddings_openai,
    gemini,
    mistral,
    openai,
    rerank_cohere,
    rerank_openai,
    responses,
)
from aisa.providers.blame import unreadable
from aisa.providers.concessions import refused
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Asked, Decoder, Dialect, Target
from aisa.providers.through_chat import ThroughChat
from aisa.wire.completions import TASK as COMPLETIONS
from aisa.wire.door import Request
from aisa.wire.embeddings import TASK as EMBEDDINGS
from aisa.wire.rerank import TASK as RERANK


class NotOffered:
    """The dialect of vendors that do not do a task at all, so that another target is asked; implements `shape.Dialect`."""

    NAME: str = "none"

    def __init__(self, what: str) -> None:
        self._what = what

    def to_upstream(self, request: Request, target: Target) -> UpstreamRequest:
        """Raises UpstreamFailed."""
        raise self._refusal(request, target)

    def decoder(self, request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
        """Raises UpstreamFailed: nothing was asked."""
        raise self._refusal(request, target)

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
        """Return a failure: nothing was asked."""
        return unreadable(target, f"status {status} of what was not asked")

    def _refusal(self, request: Request, target: Target) -> UpstreamFailed:
        message = f"The vendor '{target.vendor}' of the model '{request.model}' {self._what}."
        return refused("unsupported_parameter", message, param="model")


NO_EMBEDDINGS, NO_RANKINGS = NotOffered("makes no embeddings"), NotOffered("ranks no documents")

#: `Request.task` and behind it the name of a dialect -> what writes the one in the other.
TABLE: dict[str, Dialect] = {
    "anthropic": anthropic,
    "bedrock": bedrock,
    "cohere": cohere,
    "gemini": gemini,
    "mistral": mistral,
    "openai": openai,
    "responses": responses,
    f"{COMPLETIONS}anthropic": ThroughChat(anthropic),
    f"{COMPLETIONS}bedrock": ThroughChat(bedrock),
    f"{COMPLETIONS}cohere": ThroughChat(cohere),
    f"{COMPLETIONS}gemini": ThroughChat(gemini),
    f"{COMPLETIONS}mistral": completions_mistral,
    f"{COMPLETIONS}openai": completions_openai,
    f"{COMPLETIONS}responses": ThroughChat(responses),
    f"{EMBEDDINGS}anthropic": NO_EMBEDDINGS,
    f"{EMBEDDINGS}bedrock": NO_EMBEDDINGS,
    f"{EMBEDDINGS}cohere": embeddings_cohere,
    f"{EMBEDDINGS}gemini": embeddings_gemini,
    f"{EMBEDDINGS}mistral": embeddings_mistral,
    f"{EMBEDDINGS}openai": embeddings_openai,
    f"{EMBEDDINGS}responses": embeddings_openai,
    f"{RERANK}anthropic": NO_RANKINGS,
    f"{RERANK}bedrock": NO_RANKINGS,
    f"{RERANK}cohere": rerank_cohere,
    f"{RERANK}gemini": NO_RANKINGS,
    f"{RERANK}mistral": NO_RANKINGS,
    f"{RERANK}openai": rerank_openai,
    f"{RERANK}responses": rerank_openai,
}
DIALECTS: Mapping[str, Dialect] = MappingProxyType(TABLE)
