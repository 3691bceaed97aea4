"""The Cohere dialect: `/v2/chat`, streamed and whole. Sans-IO, and knows no vendor by name."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aisa.errors import UpstreamFailed
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.blame import judge, unreadable
from aisa.providers.cohere_reader import CohereReader
from aisa.providers.cohere_request import request_of
from aisa.providers.cohere_stream import CohereStream
from aisa.providers.concessions import Concessions
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.typed_stream import TypedDocument
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.responses import of_functions

NAME: str = "cohere"


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed for what Cohere has no words for."""
    chat = of_functions(request)
    concessions = Concessions(target, f"the model '{chat.model}'", translated=not isinstance(request, ChatRequest))
    body = request_of(chat, target, concessions)
    headers = (("content-type", "application/json"), ("accept", "text/event-stream" if chat.stream else "application/json"))
    return UpstreamRequest(
        path="/chat",
        headers=headers + target.headers,
        body=msgspec.json.encode(body),
        dropped=concessions.dropped,
        changed=concessions.changed,
    )


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:  # noqa: ARG001 - none passes
    """Return what reads the answer: a stream of events, or one document. No door speaks this protocol, so it never passes."""
    builder = AnswerBuilder(request, target, (call_id, created), by_pieces=True)
    reader = CohereReader(builder, target)
    return CohereStream(builder, reader, target) if request.stream else TypedDocument(builder, reader, target)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    return judge(read_refusal(status, headers, body, now=asked.now), target, asked.added)
