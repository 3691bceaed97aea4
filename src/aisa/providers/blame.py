"""What a vendor's refusal means for the caller: whose fault, which of our codes, and whether another target may do better. Pure.

Shared by all dialects: a dialect reads its vendor's error body into a Report, and this table decides. Sources: provider-neutral
practice of the official clients (what they retry), and the contract, section 3.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from aisa.errors import ApiError, UpstreamFailed
from aisa.providers.shape import Target


class Report(NamedTuple):
    """A vendor's error in the terms that all vendors share. `status` is HTTP's, or what a status inside a stream stands for."""

    status: int
    message: str = ""
    code: str = ""
    type: str = ""
    param: str | None = None
    retry_after: float | None = None


CODE_CHARACTERS_MAX = 60  # real codes are shorter
PARAM_CHARACTERS_MAX = 200
MESSAGE_CHARACTERS_MAX = 1000  # longer vendor messages are dumps of our own request
ADDRESS = re.compile(r"\b(?:https?|wss?)://[^\s'\"<>]+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\blocalhost(?::\d+)?\b")
CREDENTIAL = re.compile(r"\b(?:sk|pk|gsk|xai|AIza)[-_A-Za-z0-9*]{8,}|\bBearer\s+\S+", re.IGNORECASE)

CONTEXT = re.compile(
    r"maximum context length|context_length_exceeded|context window|prompt is too long|input tokens exceed|too many tokens", re.IGNORECASE
)
POLICY = frozenset({"content_filter", "content_policy_violation", "content_policy", "safety", "moderation_blocked"})
QUOTA = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    }
)
UNSUPPORTED = frozenset({"unsupported_parameter", "unsupported_value"})
CREDENTIAL_CODES = frozenset({"invalid_api_key", "authentication_error", "permission_denied", "permission_error", "model_not_found"})
OVERLOADED = frozenset({"server_is_overloaded", "overloaded_error", "overloaded", "slow_down", "engine_overloaded"})


def judge(report: Report, target: Target) -> UpstreamFailed:
    """Return the failure that a vendor's error amounts to. The log gets the vendor's words only where they cannot quote a prompt."""
    words = {report.code.lower(), report.type.lower()}
    detail = f"{target.vendor} answered {report.status} {fit_to_show(report.code or report.type, target)[:CODE_CHARACTERS_MAX]}"
    if words & QUOTA or report.status == 402:
        return ours(target, "has no credit left for this server", detail)
    if report.status in (401, 403, 404) or (words & CREDENTIAL_CODES and report.status < 500):
        return ours(target, "refused this server's access to the model", f"{detail}: {fit_to_show(report.message, target)}")
    wait = report.retry_after or 1
    if report.status == 429 or "rate_limit_exceeded" in words:
        limited = f"The vendor '{target.vendor}' is limiting requests. Wait and try again."
        return UpstreamFailed(ApiError("upstream_rate_limit", limited, retry_after=wait), detail=detail)
    if report.status in (503, 529) or words & OVERLOADED:
        busy = f"The vendor '{target.vendor}' is overloaded. Wait and try again."
        return UpstreamFailed(ApiError("overloaded", busy, retry_after=wait), detail=detail)
    if report.status in (408, 504, 524):
        return UpstreamFailed(ApiError("upstream_timeout", f"The vendor '{target.vendor}' ran out of time."), detail=detail)
    if 400 <= report.status < 500 and report.status != 409:
        return callers(report, target, words=words, detail=detail)
    return UpstreamFailed(ApiError("upstream_unavailable", f"The vendor '{target.vendor}' failed to answer."), detail=detail)


def ours(target: Target, what: str, detail: str) -> UpstreamFailed:
    """A fault of our account or credential: never the caller's 401, and no retry of theirs can cure it."""
    error = ApiError("upstream_unavailable", f"The vendor '{target.vendor}' {what}. The operator has been told.", should_retry=False)
    return UpstreamFailed(error, loud=True, detail=detail)


def callers(report: Report, target: Target, *, words: set[str], detail: str) -> UpstreamFailed:
    """A fault of the request, in the vendor's own words, made fit to be shown."""
    message = fit_to_show(report.message, target)
    param = None if report.param is None else fit_to_show(report.param, target)[:PARAM_CHARACTERS_MAX]
    if CONTEXT.search(report.message) or "context_length_exceeded" in words:
        error = ApiError("context_length_exceeded", message or "The prompt exceeds the model's context window.", param=param or "messages")
    elif words & POLICY:
        error = ApiError("content_policy_violation", message or "The vendor's content policy refused the prompt.", param=param)
    elif words & UNSUPPORTED:
        error = ApiError("unsupported_parameter", message or "The model does not support a parameter of the request.", param=param)
    elif report.status == 413:
        error = ApiError("request_too_large", message or "The request is too large for the vendor.", param=param)
    else:
        error = ApiError("invalid_request", message or "The vendor refused the request as invalid.", param=param)
    return UpstreamFailed(error, may_fall_back=False, detail=detail)


def unreadable(target: Target, what: str) -> UpstreamFailed:
    """An answer that breaks the protocol."""
    error = ApiError("gateway_error", f"The vendor '{target.vendor}' sent an answer that could not be understood.")
    return UpstreamFailed(error, detail=f"{target.vendor}: {what}")


def broken_off(target: Target) -> UpstreamFailed:
    """An answer that ended before it was complete."""
    error = ApiError("upstream_unavailable", f"The vendor '{target.vendor}' broke off its answer. What was sent is incomplete.")
    return UpstreamFailed(error, detail=f"{target.vendor} ended without a finish reason")


def fit_to_show(message: str, target: Target) -> str:
    """Return a vendor's message without our keys, its addresses and its excess."""
    for secret in target.secrets:
        message = message.replace(secret, "[redacted]")
    message = CREDENTIAL.sub("[redacted]", ADDRESS.sub("[redacted]", message))
    return shortened("".join(c if c.isprintable() else " " for c in message).strip())


def shortened(message: str) -> str:
    """Bound a message's length."""
    return message if len(message) <= MESSAGE_CHARACTERS_MAX else message[:MESSAGE_CHARACTERS_MAX] + "…"
