"""Errors in the words of the Messages API: its types, its statuses, and sentences by which its clients mend their requests."""

from __future__ import annotations

import msgspec

from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.wire.door import Refused
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, error_headers

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
OVERLOADED = 529  # what its clients call an overload; 503 is another class to them
TOO_LONG = "prompt is too long"  # how its clients know that a conversation must be shortened
THREAD, UNTHREADED = "thread", "thread_unsupported_request"


def no_threads() -> UpstreamFailed:
    """Return why a conversation cannot go on from what a vendor keeps of it.

    Its clients' tool runners begin with a thread unasked, and go on without one when they are told this: so nobody else is asked.
    """
    words = "'thread' goes on from what Anthropic keeps, and who is asked here keeps nothing. Send the whole conversation without `thread`"
    error = ApiError("invalid_request", f"{words} (Anthropic's clients: unsupported_request_behavior='continue_unthreaded').", param=THREAD)
    error.reason = UNTHREADED
    return UpstreamFailed(error, blame=CALLER, may_fall_back=False, detail=error.message)


def error_json(error: ApiError, request_id: str) -> bytes:
    """Write the error as a body, or as the data of an event."""
    kind = TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    message = error.message
    if error.code == "context_length_exceeded" and TOO_LONG not in message.lower():
        message = f"{TOO_LONG}: {message}"
    details = {"details": {"error_code": error.reason}} if error.reason else {}
    told = {"type": kind, "message": message, "code": error.code, **details}
    return msgspec.json.encode({"type": "error", "error": told, "request_id": request_id})


def error_event(error: ApiError, request_id: str) -> bytes:
    """Write the event that ends a stream which failed."""
    return b"event: error\ndata: %b\n\n" % error_json(error, request_id)


def refusal(error: ApiError, request_id: str) -> Refused:
    """Return an error as a whole answer. No retry gives a key: its clients would try for minutes."""
    headers: HeaderList = [("content-type", JSON_TYPE), ("request-id", request_id), *error_headers(error)]
    if error.status in (401, 402) and error.should_retry is None:
        headers.append(("x-should-retry", "false"))
    status = 400 if error.code == "max_tokens_exceeded" else OVERLOADED if error.status == 503 else error.status
    return Refused(status, headers, error_json(error, request_id))  # of a 400 clients read the sentence, and lower their bound
