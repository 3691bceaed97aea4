"""The dialect of OpenAI's Responses API, for models that answer only there and vendors that speak it. Sans-IO, and knows no vendor by name.

Chat requests are translated (`responses_request.py`); requests that came in this protocol pass as they are, but that nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aisa.errors import UpstreamFailed
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.blame import judge, unreadable
from aisa.providers.conceded import conceded
from aisa.providers.concessions import Concessions
from aisa.providers.foreign import refuse_foreign
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.responses_passing import PassingDocument, PassingStream, ResponsesStream
from aisa.providers.responses_reader import ResponsesReader
from aisa.providers.responses_request import ENCRYPTED, own_request, request_of
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.typed_stream import TypedDocument
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.responses import ResponsesRequest

NAME: str = "responses"
PATH = "/responses"
DOCUMENT_HEADERS = (("content-type", "application/json"), ("accept", "application/json"))
STREAM_HEADERS = (("content-type", "application/json"), ("accept", "text/event-stream"))
ADDED = (ENCRYPTED,)


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed for what this API has no words for."""
    headers = (STREAM_HEADERS if request.stream else DOCUMENT_HEADERS) + target.headers
    if isinstance(request, ResponsesRequest):
        fields, dropped = own_request(request, target)
        return UpstreamRequest(PATH, headers, msgspec.json.encode(fields), dropped=dropped, added=ADDED)
    chat = request.as_chat()
    title = f"the model '{chat.model}', which is asked through the Responses API"
    concessions = Concessions(target, title, translated=not isinstance(request, ChatRequest))
    chat = conceded(chat, target.facts, concessions)
    refuse_foreign(chat, concessions, moderated=True)
    body = msgspec.json.encode(request_of(chat, target, concessions))
    return UpstreamRequest(PATH, headers, body, dropped=concessions.dropped, changed=concessions.changed, added=ADDED)


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer: a stream of events, or one document."""
    builder = AnswerBuilder(request, target, (call_id, created), by_pieces=True)
    reader = ResponsesReader(builder, None if protocol == NAME else target.state)
    if protocol == NAME:
        return PassingStream(builder, reader, target) if request.stream else PassingDocument(builder, reader, target)
    return ResponsesStream(builder, reader, target) if request.stream else TypedDocument(builder, reader, target)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    return judge(read_refusal(status, headers, body, now=asked.now), target, asked.added)
