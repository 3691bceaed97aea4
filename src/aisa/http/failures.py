"""The ways in which the transport to a vendor fails, as words that are fit for a caller. Decides nothing and knows no socket."""

from __future__ import annotations

import os
import ssl

from aisa.errors import ApiError, Unreachable, UpstreamFailed


def in_words(error: OSError) -> str:
    """Return what the system says of a failed connection, as an operator would look it up."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'reason', None) or error}"
    said = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
    return said or str(error) or type(error).__name__


def unreachable(vendor: str, detail: str) -> UpstreamFailed:
    """Say that no connection could be made. `detail` is for the log and may name addresses."""
    return Unreachable(ApiError("upstream_unavailable", f"The vendor '{vendor}' could not be reached."), detail=detail)


def broke_off(vendor: str, detail: str, *, may_repeat: bool = False) -> UpstreamFailed:
    """Say that the connection ended before the answer did. `may_repeat` as in UpstreamFailed."""
    error = ApiError("upstream_unavailable", f"The vendor '{vendor}' broke off the connection before its answer was complete.")
    return UpstreamFailed(error, may_repeat=may_repeat, detail=detail)


def unfit_answer(vendor: str, what: str, detail: str = "") -> UpstreamFailed:
    """Say that the vendor sent what we do not take. `what` completes the sentence `The vendor sent ...` and is shown to the caller."""
    return UpstreamFailed(ApiError("gateway_error", f"The vendor '{vendor}' sent {what}."), detail=detail)


def overloaded(vendor: str, why: str) -> UpstreamFailed:
    """Say that the vendor cannot be asked now. `why` completes the sentence and is shown to the caller."""
    return UpstreamFailed(ApiError("overloaded", f"The vendor '{vendor}' cannot be asked now: {why}."))
