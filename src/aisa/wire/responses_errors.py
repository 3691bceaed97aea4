"""Failures in the words of the Responses API: as a whole answer, and as the two events that end a stream. Does not decide what failed.

Codex repeats a call for hours or not at all by the code that it is told, and a whole conversation each time; the official client reads the
first of the two events, Codex the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from aisa.errors import ApiError
from aisa.wire.lenient_json import encode
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, error_headers
from aisa.wire.trees import Tree

QUOTA, RATE = "insufficient_quota", "rate_limit_exceeded"
#: Our code -> what this door calls it, where its clients act on another word. They repeat every 402, so an empty wallet is a 429 here.
NAMED: Mapping[str, str] = MappingProxyType(
    {"insufficient_wallet_balance": QUOTA, "unknown_model": "model_not_found", "overloaded": "server_is_overloaded"}
)
STATUS: Mapping[str, int] = MappingProxyType({"insufficient_wallet_balance": 429})
#: Our code -> what a stream's failure is called. Codex ends on the first four, and repeats the call on all others.
IN_STREAMS: Mapping[str, str] = MappingProxyType(
    {
        "insufficient_wallet_balance": QUOTA,
        "quota_exceeded": QUOTA,
        "context_length_exceeded": "context_length_exceeded",
        "content_policy_violation": "invalid_prompt",
        "invalid_request": "invalid_prompt",
        "unsupported_parameter": "invalid_prompt",
        "max_tokens_exceeded": "invalid_prompt",
        "overloaded": "server_is_overloaded",
        "rate_limit_exceeded": RATE,
        "upstream_rate_limit": RATE,
    }
)
ANY_FAILURE = "server_error"


def refusal(error: ApiError, request_id: str) -> tuple[int, HeaderList, bytes]:
    """Return status, headers and body of a failure that is the whole answer."""
    return STATUS.get(error.code, error.status), [("content-type", JSON_TYPE), *error_headers(error)], refusal_body(error, request_id)


def refusal_body(error: ApiError, request_id: str) -> bytes:
    """Write a failure as a document."""
    code = NAMED.get(error.code, error.code)
    kind = QUOTA if code == QUOTA else error.type
    fields = {"type": kind, "code": code, "message": error.message, "param": error.param, "request_id": request_id}
    return msgspec.json.encode({"error": fields})


def failure_events(error: ApiError, response: Tree) -> list[Tree]:
    """Return the events that end a stream which failed. `response` is the answer so far, whose status and error they write."""
    code, message = IN_STREAMS.get(error.code, ANY_FAILURE), error.message
    if code == RATE and error.should_retry is False:
        code = QUOTA  # on which it ends at once; no retry cures this
    elif code == RATE and error.retry_after is not None:
        message = f"{message.removesuffix(f' Try again in {error.retry_after} s.')} Try again in {error.retry_after}s."  # as Codex reads it
    told = {"code": code, "message": message, "param": error.param}
    failed = {**response, "status": "failed", "error": {"code": code, "message": message}}
    return [{"type": "error", **told, "error": {"type": error.type, **told}}, {"type": "response.failed", "response": failed}]


def event_bytes(tree: Tree, number: int) -> bytes:
    """Write an event with its number."""
    kind = str(tree["type"]).encode()
    return b"event: " + kind + b"\ndata: " + encode({**tree, "sequence_number": number}) + b"\n\n"
