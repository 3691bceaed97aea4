"""The refusal of a part of a request that no vendor could read, which only a translation looks into. Knows no dialect."""

from __future__ import annotations

from aisa.errors import CALLER, ApiError, UpstreamFailed


def malformed(param: str, why: str) -> UpstreamFailed:
    """Return the failure: the caller's to mend, and not sent on. `why` is a sentence that says what would be right."""
    return UpstreamFailed(ApiError("invalid_request", why, param=param), blame=CALLER, may_fall_back=False, detail=why)
