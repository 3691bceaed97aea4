"""The Gemini dialect: `generateContent` as AI Studio and Vertex speak it. Sans-IO.

Both have the same form below their base URLs: `https://generativelanguage.googleapis.com/v1beta` with a key, and
`https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/google` with a bearer token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Raw

from aisa.errors import UpstreamFailed
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.blame import judge, unreadable
from aisa.providers.concessions import Concessions
from aisa.providers.continuation import Continuation
from aisa.providers.fetched import Fetches
from aisa.providers.gemini_passing import PassingDocument, PassingStream
from aisa.providers.gemini_reader import GeminiReader
from aisa.providers.gemini_request import request_of
from aisa.providers.gemini_signatures import SIGNATURE
from aisa.providers.gemini_stream import GeminiStream
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.typed_stream import TypedDocument
from aisa.wire.chat import FIELDS_DECODER, ChatRequest
from aisa.wire.door import Request
from aisa.wire.gemini import GeminiRequest
from aisa.wire.responses import of_functions

NAME: str = "gemini"

#: Names of models that say in which collection they are; all others are in `models`.
COLLECTED = re.compile(r"(?:models|tunedModels|endpoints|publishers/[\w.-]+/models)/[\w.@-]+", re.ASCII)
TIER_HEADER = "x-gemini-service-tier"  # what a call was served as, where Vertex has it in its report
DAILY_SECONDS = 3_600.0  # to wait where the quota of a day is used up, whatever shorter wait it names: it is no limit on a rate


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request."""
    headers = (("content-type", "application/json"), ("accept", "text/event-stream" if request.stream else "application/json"))
    if isinstance(request, GeminiRequest):
        return UpstreamRequest(path_of(target.model, stream=request.stream), headers + target.headers, passed_on(request, target))
    chat = of_functions(request)
    concessions = Concessions(target, f"the model '{chat.model}'", translated=not isinstance(request, ChatRequest))
    fetches = Fetches(wanted=target.fetches)
    written = request_of(chat, target, concessions=concessions, fetches=fetches)
    return UpstreamRequest(
        path=path_of(target.model, stream=chat.stream),
        headers=headers + target.headers,
        body=msgspec.json.encode(written.body),
        dropped=concessions.dropped,
        changed=concessions.changed,
        added=(SIGNATURE,) if written.signed else (),
        fetches=fetches.urls,
    )


def passed_on(request: GeminiRequest, target: Target) -> bytes:
    """Return a body in the client's own bytes, as all that Gemini has may be in them, but for a model's name: who reads that, serves it."""
    if "model" not in request.tree:
        return request.body
    named = Raw(msgspec.json.encode(place_of(target.model)))
    return msgspec.json.encode({**FIELDS_DECODER.decode(request.body), "model": named})


def path_of(model: str, *, stream: bool) -> str:
    """Return where a model answers, below the base URL."""
    return f"/{place_of(model)}:streamGenerateContent?alt=sse" if stream else f"/{place_of(model)}:generateContent"


def place_of(model: str) -> str:
    """Return a model's whole name."""
    return model if COLLECTED.fullmatch(model) else f"models/{quote(model, safe='@')}"


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer: a stream of events, or one document."""
    builder = AnswerBuilder(request.chat if isinstance(request, GeminiRequest) else request, target, (call_id, created))
    if protocol == NAME:
        reader = GeminiReader(builder, target, None)
        passing = PassingStream(builder, reader, target) if request.stream else PassingDocument(builder, reader, target)
        passing.tier_header = TIER_HEADER
        return passing
    continuation = Continuation("continuationToken")
    reader = GeminiReader(builder, target, continuation)
    typed = GeminiStream(builder, reader, target) if request.stream else TypedDocument(builder, reader, target)
    typed.continuation, typed.tier_header = continuation, TIER_HEADER
    return typed


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    report = read_refusal(status, headers, body, now=asked.now)
    if status == 429 and b"PerDay" in body:
        report = report._replace(wait=max(report.wait or 0.0, DAILY_SECONDS))
    return judge(report, target, asked.added)
