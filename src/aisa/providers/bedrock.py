"""The Bedrock dialect: AWS's Converse and ConverseStream, whichever model is behind them. Sans-IO; what is signed, `credentials/` signs."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from aisa.errors import UpstreamFailed
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.anthropic_models import traits_of
from aisa.providers.anthropic_thinking import CHANGED_PREFIX, STRICT_PREFIX, prefix_changed
from aisa.providers.bedrock_marks import AskedOfClaude
from aisa.providers.bedrock_reader import BedrockReader
from aisa.providers.bedrock_request import request_of
from aisa.providers.bedrock_stream import FrameStream
from aisa.providers.blame import judge, unreadable
from aisa.providers.concessions import Concessions, refused
from aisa.providers.fetched import Fetches
from aisa.providers.port import UpstreamRequest
from aisa.providers.report import read_refusal
from aisa.providers.shape import Asked, Decoder, Target
from aisa.providers.typed_stream import TypedDocument
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.messages import MessagesRequest
from aisa.wire.responses import of_functions

NAME: str = "bedrock"

JSON, FRAMES = "application/json", "application/vnd.amazon.eventstream"


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed for what the model has no words for."""
    traits = traits_of(target.model)
    chat = request.as_chat(marked=True) if traits.known and isinstance(request, MessagesRequest) else of_functions(request)
    title = traits.title if traits.known else f"the model '{chat.model}'"
    concessions = Concessions(target, title, translated=not isinstance(request, ChatRequest))
    fetches = Fetches(wanted=target.fetches)
    if target.model.strip(".") == "":
        raise refused("unknown_model", f"'{target.model[:10]}' is no model's name.", param="model")  # in a path it would be another place
    body = request_of(chat, target, concessions=concessions, fetches=fetches)
    return UpstreamRequest(
        path=f"/model/{quote(target.model, safe='')}/{'converse-stream' if chat.stream else 'converse'}",
        headers=(("content-type", JSON), ("accept", FRAMES if chat.stream else JSON), *target.headers),
        body=msgspec.json.encode(body),
        dropped=concessions.dropped,
        changed=concessions.changed,
        added=(STRICT_PREFIX,) if traits.known and STRICT_PREFIX not in target.omit else (),
        fetches=fetches.urls,
    )


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:  # noqa: ARG001 - none passes
    """Return what reads the answer: binary frames, or one document. No door speaks this protocol, so it never passes."""
    asked = AskedOfClaude(request, target) if traits_of(target.model).known else None
    builder = AnswerBuilder(request, target, (call_id, created), by_pieces=True, asked=asked)
    reader = BedrockReader(builder, target)
    return FrameStream(builder, reader, target) if request.stream else TypedDocument(builder, reader, target)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    report = read_refusal(status, headers, body, now=asked.now)
    if status == 400 and STRICT_PREFIX in asked.added and CHANGED_PREFIX.search(report.message):
        return prefix_changed(target)
    return judge(report, target, asked.added)
