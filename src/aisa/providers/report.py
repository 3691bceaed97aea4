"""Errors in OpenAI's shape, and in the shapes that compatible vendors make of it, read into a Report. Does not judge them."""

from __future__ import annotations

from aisa.providers.blame import Report
from aisa.wire.trees import is_tree


def read_report(report: object, status: int, retry_after: str | None = None) -> Report:
    """Read an error value: an object, a bare string, or nothing of use."""
    wait = float(retry_after) if retry_after is not None and retry_after.strip().isdigit() else None
    if not is_tree(report):
        return Report(status, report if isinstance(report, str) else "", retry_after=wait)
    code, param = report.get("code"), report.get("param")
    if status == 200:  # inside a stream the status is gone; some vendors send it as the code
        number = int(str(code)) if str(code).isdecimal() else 0
        status = number if 400 <= number < 600 else IN_STREAM.get(str(code or report.get("type") or ""), 500)
    message = report.get("message") or report.get("detail") or ""
    return Report(status, str(message), str(code or ""), str(report.get("type") or ""), param if isinstance(param, str) else None, wait)


#: What an error inside a stream would have had as its status.
IN_STREAM = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "content_filter": 400,
    "server_is_overloaded": 503,
    "overloaded_error": 503,
}
