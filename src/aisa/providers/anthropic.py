"""Anthropic's dialect: the Messages API as Anthropic and whoever is compatible with it speak it. Sans-IO, and knows no vendor by name.

Chat requests are translated (`anthropic_request.py`); requests that came in this protocol pass as they are but for the model's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.providers.anthropic_answer import AnswerDecoder, AssemblyDecoder
from aisa.providers.anthropic_events import Asker
from aisa.providers.anthropic_native import passed_on
from aisa.providers.anthropic_request import written
from aisa.providers.anthropic_stream import StreamDecoder
from aisa.providers.anthropic_thinking import CHANGED_PREFIX, STRICT_PREFIX, prefix_changed
from aisa.providers.anthropic_tools import is_legacy
from aisa.providers.blame import judge, unreadable
from aisa.providers.port import UpstreamRequest
from aisa.providers.redaction import fit_to_show
from aisa.providers.report import read_refusal
from aisa.providers.shape import Asked, Decoder, Target
from aisa.wire.chat import ChatRequest
from aisa.wire.door import Request
from aisa.wire.messages import MessagesRequest
from aisa.wire.messages_errors import THREAD
from aisa.wire.responses import of_functions

NAME: str = "anthropic"

#: Codes in the details of an error on which this protocol's own clients act: they send the whole conversation, or shorten it again.
ACTED_ON = re.compile(r"(?:thread|compaction|tool)_[a-z_]{3,60}", re.ASCII)
LOST = "thread_not_found"

VERSION = "2023-06-01"  # the later one takes no sampling parameters, and nothing that this one does not


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Write the request. Raises UpstreamFailed for what these models have no words for."""
    if isinstance(request, MessagesRequest):
        whole, betas, left_out = passed_on(request, target)
        return UpstreamRequest(
            path="/messages",
            headers=headers_of(betas, stream=request.stream) + target.headers,
            body=whole,
            dropped=left_out,
            added=() if STRICT_PREFIX in target.omit else (STRICT_PREFIX,),
        )
    chat = of_functions(request)
    streams = chat.stream or target.assemble
    body, betas, concessions = written(chat, target, translated=not isinstance(request, ChatRequest))
    return UpstreamRequest(
        path="/messages",
        headers=headers_of(betas, stream=streams) + target.headers,
        body=body,
        dropped=concessions.dropped,
        changed=concessions.changed,
        added=() if STRICT_PREFIX in target.omit else (STRICT_PREFIX,),
    )


def headers_of(betas: tuple[str, ...], *, stream: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request that uses these betas."""
    headers = (
        ("content-type", "application/json"),
        ("accept", "text/event-stream" if stream else "application/json"),
        ("anthropic-version", VERSION),
    )
    return (*headers, ("anthropic-beta", ",".join(betas))) if betas else headers


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> Decoder:
    """Return what reads the answer: a stream of events, or one document, or a stream that becomes one."""
    passes = protocol == NAME
    legacy = isinstance(request, ChatRequest) and is_legacy(request)
    asker = Asker(request.model, legacy, call_id, created)
    if request.stream:
        return StreamDecoder(request, target, asker, passes=passes)
    if target.assemble and not passes:
        return AssemblyDecoder(request, target, asker)
    return AnswerDecoder(request, target, asker, passes=passes)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """Say what an HTTP status other than 200 means."""
    if 300 <= status < 400 or status < 200:
        return unreadable(target, f"unexpected status {status}")
    report = read_refusal(status, headers, body, now=asked.now)
    if status == 400 and STRICT_PREFIX in asked.added and CHANGED_PREFIX.search(report.message):
        return prefix_changed(target)
    reason = next((code for code in report.codes if ACTED_ON.fullmatch(code)), "")
    failed = judge(report, target, asked.added)
    if reason.startswith("thread_"):  # the caller's, though it has a status with which others speak of a model
        error = ApiError("resource_not_found" if reason == LOST else "invalid_request", fit_to_show(report.message, target), param=THREAD)
        error.kept = f"The vendor '{target.vendor}' refused the request: {reason}."
        failed = UpstreamFailed(error, blame=CALLER, may_fall_back=False, detail=f"{target.vendor} answered {status} {reason}")
    if reason:
        failed.error.reason = reason
    return failed
