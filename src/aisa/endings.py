"""How a call ended that did not come to its proper end: what was the reason, what the client is told of it, and who else hears of it."""

from __future__ import annotations

from aisa.context import CallContext
from aisa.errors import CALLER, SHUTTING_DOWN, ApiError, UpstreamFailed, fault_of, without_frames
from aisa.facts import TargetHealth, VendorFailed
from aisa.health import subject
from aisa.ledger.rules import CLIENT_GONE, CLIENT_STALLED, CUT, FAILED, REFUSED, SHUT_DOWN
from aisa.providers.blame import odd_type
from aisa.providers.shape import Target
from aisa.wire.origins import at_home
from aisa.wire.port import CLIENT_LEFT, CLIENT_STALLS, OPERATOR_ENDS, SERVER_CLOSES, VENDOR_SILENT

READ_AT_ONCE_BYTES_MAX = 65_536  # of a request, for the places in it: other calls wait meanwhile, and this one's client for its end


def explain(context: CallContext, ending: BaseException) -> ApiError | None:
    """Say how an unfinished call ended, in its life's outcome, and return what the client is to be told, if it can hear it."""
    life = context.life
    without_frames(ending)
    life.outcome = CUT if life.answered else FAILED
    if isinstance(ending, ApiError | UpstreamFailed):
        error = ending if isinstance(ending, ApiError) else ending.error
        if not life.answered and error.status < 500 and fault_of(error, life.failed) == CALLER:
            life.outcome = REFUSED
        if life.answered and isinstance(ending, UpstreamFailed):
            report_failure(context, context.target, ending)
            small, dialect = context.request.body_bytes <= READ_AT_ONCE_BYTES_MAX, context.target.dialect
            error = at_home(ending, context.request, dialect, ours=False, once_more=small).error
        return error
    reason = CLIENT_LEFT if context.client.gone else ending.args[0] if ending.args else None
    if reason is CLIENT_LEFT:
        life.outcome = CLIENT_GONE
        return None
    if reason is CLIENT_STALLS:
        life.outcome = CLIENT_STALLED
        context.client.abort()
        return None
    if reason is VENDOR_SILENT:
        silence = UpstreamFailed(too_silent(context.target.vendor))
        report_failure(context, context.target, silence)
        return silence.error
    if reason is SERVER_CLOSES:
        life.outcome = SHUT_DOWN
        return ApiError("overloaded", SHUTTING_DOWN, retry_after=1)
    if reason is OPERATOR_ENDS:
        return ApiError("insufficient_permissions", "Whoever runs this server has ended this call.", should_retry=False)
    raise ending  # somebody else cancelled this task; that is theirs to handle


def too_silent(vendor: str) -> ApiError:
    """The error for a vendor that sent no token in time."""
    return ApiError("upstream_timeout", f"The vendor '{vendor}' sent no token in time.")


def report_failure(context: CallContext, target: Target, failure: UpstreamFailed) -> None:
    """Tell the operator about a failed attempt, and the next plans."""
    context.life.failed, detail = failure, failure.detail or failure.error.message
    if context.answer is not None and context.answer.status == 200 and (odd := odd_type(context.answer.headers)):
        failure.detail = detail = detail + odd
    context.dependencies.report(
        VendorFailed(context.call.id, target.vendor, target.model, failure.error.code, detail, failure.loud, failure.blame)
    )
    seconds = context.dependencies.health.failed(context.life.target, failure, context.timeouts.now())
    if seconds is not None:
        context.dependencies.report(TargetHealth(subject(context.life.target, failure), seconds, failure.of_vendor))
