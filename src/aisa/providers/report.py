"""Errors in OpenAI's shape, and in the shapes that compatible vendors make of it, read into a Report. Does not judge them."""

from __future__ import annotations

from aisa.errors import UpstreamFailed
from aisa.providers.blame import Report, judge, unreadable
from aisa.providers.shape import Target
from aisa.wire.trees import is_tree
from aisa.wire.vendor_error import Unintelligible, VendorError


def read_report(report: object, status: int, retry_after: str | None = None) -> Report:
    """Read an error value: an object, a bare string, or nothing of use."""
    wait = number_in(retry_after, WAIT_DIGITS_MAX)
    if not is_tree(report):
        return Report(status, report if isinstance(report, str) else "", retry_after=wait)
    code, param = report.get("code"), report.get("param")
    if status == 200:  # inside a stream the status is gone; some vendors send it as the code
        number = number_in(str(code), STATUS_DIGITS)
        status = number if number is not None and 400 <= number < 600 else IN_STREAM.get(str(code or report.get("type") or ""), 500)
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

WAIT_DIGITS_MAX = 9  # seconds; more than three of them are clamped anyway
STATUS_DIGITS = 3


def number_in(text: str | None, digits_max: int) -> int | None:
    """Return the whole number that a short text of ASCII digits is, None for any other text."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits_max else None


def blame_for(error: VendorError, target: Target) -> UpstreamFailed:
    """Return the failure that an error inside an answer amounts to."""
    if isinstance(error, Unintelligible):
        return unreadable(target, str(error.report))
    return judge(read_report(error.report, 200), target)
