"""The error shape of chat completions, as a body and as an event, and the headers that go with it. Does not decide what is an error."""

from __future__ import annotations

import msgspec

from aisa.errors import ApiError
from aisa.wire.port import HeaderList
from aisa.wire.sse import data_event

JSON_TYPE = "application/json"


class ErrorFields(msgspec.Struct, frozen=True):
    """What went wrong: `code` is one of `errors.CODES`, `type` its kind, `param` names the field that it is about, if it is about one."""

    type: str
    code: str
    message: str
    param: str | None
    request_id: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of an answer that is an error."""

    error: ErrorFields


def error_json(error: ApiError, request_id: str) -> bytes:
    """Write `{"error": {...}}` with the five fields of the contract, section 3."""
    return msgspec.json.encode(ErrorAnswer(ErrorFields(error.type, error.code, error.message, error.param, request_id)))


def whole_line(body: bytes) -> bytes:
    """Return a body that ends its line: much is read at a terminal, where a prompt would stand behind it."""
    return body if body.endswith(b"\n") else body + b"\n"


def error_event(error: ApiError, request_id: str) -> bytes:
    """Write the event that ends a stream which failed after its head was sent."""
    return data_event(error_json(error, request_id))


def error_headers(error: ApiError) -> HeaderList:
    """Return what tells a client whether and when to try again."""
    headers: HeaderList = []
    if error.retry_after is not None:
        headers.append(("retry-after", str(error.retry_after)))
    if error.should_retry is not None:
        headers.append(("x-should-retry", "true" if error.should_retry else "false"))
    if error.allow is not None:
        headers.append(("allow", error.allow))
    if error.status == 401:
        headers.append(("www-authenticate", "Bearer"))
    return headers
