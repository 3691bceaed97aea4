"""Every way a call can fail, and what the caller is told. Does not know HTTP framing, JSON or any vendor."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

INVALID = "invalid_request_error"
AUTHENTICATION = "authentication_error"
BILLING = "billing_error"
PERMISSION = "permission_error"
RATE_LIMIT = "rate_limit_error"
API = "api_error"
UPSTREAM = "upstream_error"

#: code -> (HTTP status, error type). `docs/errors.md` is generated from this table and from MEANING below.
CODES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "invalid_request": (400, INVALID),
        "missing_parameter": (400, INVALID),
        "invalid_parameter_type": (400, INVALID),
        "json_parse_error": (400, INVALID),
        "context_length_exceeded": (400, INVALID),
        "missing_api_key": (401, AUTHENTICATION),
        "invalid_api_key": (401, AUTHENTICATION),
        "revoked_api_key": (401, AUTHENTICATION),
        "expired_api_key": (401, AUTHENTICATION),
        "insufficient_wallet_balance": (402, BILLING),
        "insufficient_permissions": (403, PERMISSION),
        "model_not_allowed": (403, PERMISSION),
        "unknown_model": (404, INVALID),
        "unknown_endpoint": (404, INVALID),
        "resource_not_found": (404, INVALID),
        "method_not_allowed": (405, INVALID),
        "request_timeout": (408, INVALID),
        "request_in_progress": (409, INVALID),
        "request_already_completed": (409, INVALID),
        "idempotency_conflict": (409, INVALID),
        "request_too_large": (413, INVALID),
        "unsupported_media_type": (415, INVALID),
        "max_tokens_exceeded": (422, INVALID),
        "unsupported_parameter": (422, INVALID),
        "content_policy_violation": (422, INVALID),
        "rate_limit_exceeded": (429, RATE_LIMIT),
        "quota_exceeded": (429, RATE_LIMIT),
        "upstream_rate_limit": (429, RATE_LIMIT),
        "headers_too_large": (431, INVALID),
        "internal_error": (500, API),
        "upstream_unavailable": (502, UPSTREAM),
        "gateway_error": (502, UPSTREAM),
        "overloaded": (503, UPSTREAM),
        "upstream_timeout": (504, UPSTREAM),
    }
)

#: code -> one sentence on what happened and what to do, for `docs/errors.md`.
MEANING: Mapping[str, str] = MappingProxyType(
    {
        "invalid_request": "The request breaks a rule that the message names. Change it; a retry gives the same answer.",
        "missing_parameter": "A required field is absent; `param` names it.",
        "invalid_parameter_type": "A field has the wrong JSON type; `param` names it.",
        "json_parse_error": "The body is not one strict JSON object: bad syntax, NaN, a duplicate key, a known member "
        "written in another case, invalid UTF-8, deeper than 64 levels, or bytes after its end.",
        "context_length_exceeded": "The prompt does not fit the model's context window. Shorten it.",
        "missing_api_key": "No `Authorization: Bearer` header was sent.",
        "invalid_api_key": "The key is not one of this server's, or it or its account is disabled.",
        "revoked_api_key": "The key was revoked. Ask for a new one.",
        "expired_api_key": "The key's expiry has passed. Ask for a new one.",
        "insufficient_wallet_balance": "The account's wallet cannot pay for the call. Top it up; a retry helps only where calls in flight "
        "hold the rest, once they have ended.",
        "insufficient_permissions": "The key may not use this route.",
        "model_not_allowed": "The model is not on the key's allow-list.",
        "unknown_model": "No such model here, or it has no price. `GET /v1/models` lists what there is.",
        "unknown_endpoint": "No such route. The message names one that is much like it, or says what to set instead.",
        "resource_not_found": "The thing named in the path does not exist.",
        "method_not_allowed": "The route exists, but not with this method; see the `Allow` header.",
        "request_timeout": "The request's body arrived too slowly and was given up.",
        "request_in_progress": "The first request with this `Idempotency-Key`, which the message names, is running, or its bill is not "
        "final yet. Ask again after `Retry-After` seconds.",
        "request_already_completed": "The first request with this `Idempotency-Key` was answered and billed, and its answer cannot be "
        "sent again: it was a stream, or is not kept any more. The message names its receipt. Use a new key to ask anew.",
        "idempotency_conflict": "The `Idempotency-Key` was used for another request within the last 24 hours. Use a new one for each new "
        "request.",
        "request_too_large": "The body is over the server's limit, which the message states in bytes, as it came or unpacked.",
        "unsupported_media_type": "The body must be `application/json`, as it is or compressed as gzip or zstd.",
        "max_tokens_exceeded": "`max_tokens` is above the model's output limit, which the message states.",
        "unsupported_parameter": "The model cannot do what this field asks; `param` names it.",
        "content_policy_violation": "The vendor's safety policy refused the prompt.",
        "rate_limit_exceeded": "A limit of the key, its account or the client's address was reached (`docs/limits.md`). Wait `Retry-After` "
        "seconds; with `x-should-retry: false` the call is larger than the limit itself.",
        "quota_exceeded": "The spend cap of the key or its team was reached. A retry does not help before the period ends, unless calls in "
        "flight hold the rest: what they do not use comes back as they end.",
        "upstream_rate_limit": "The vendor is limiting us, or would (`limits.vendors`), and there was no room in time. Wait `Retry-After` "
        "seconds; with `x-should-retry: false` the call is larger than the limit itself, or that lasts an hour or longer.",
        "headers_too_large": "The request line and headers are over the server's limit, which the message states in bytes.",
        "internal_error": "A bug of ours. Report it with the `request_id`.",
        "upstream_unavailable": "The vendor could not be reached, refused our credential or broke off.",
        "gateway_error": "The vendor's answer could not be understood.",
        "overloaded": "The vendor or this server is overloaded (connections, unfinished bodies) or going away. Wait `Retry-After` seconds.",
        "upstream_timeout": "The vendor sent no token in time.",
    }
)

RETRY_AFTER_SECONDS_MAX = 60  # every official client honours 1 to 60; openai-node ignores more, openai-python gives up above 120


class ApiError(Exception):
    """A failure as the caller sees it.

    `code` is a key of CODES and fixes status and type. `message` says what was wrong, where, and what would be right; it must be
    free of keys, prompts and upstream addresses. `param` names the request field. `retry_after` is in seconds, kept as `wait` and
    told rounded up and clamped to 1..60. `should_retry=False` tells clients that no retry can cure it. `reason` is a vendor's own code on
    which clients of its protocol act by themselves. `kept` is what is written down in place of a message that is a vendor's: that may
    quote the prompt, which is its caller's to read and nobody's to keep (contract, section 6).
    """

    reason = kept = ""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.type = CODES[code]
        self.code = code
        self.message = message
        self.param = param
        self.wait = retry_after
        if retry_after is None and self.status in (429, 503) and should_retry is not False:
            retry_after = 1
        self.retry_after = None if retry_after is None else min(max(1, math.ceil(retry_after)), RETRY_AFTER_SECONDS_MAX)
        self.should_retry = should_retry
        self.allow = allow


SHUTTING_DOWN = "The server is shutting down. Send the request again."  # whatever of it a drain did not wait for
#: Who is to blame for a failed attempt at a vendor: the caller's request, this server's operator, or the vendor.
CALLER, OPERATOR, VENDOR = "caller", "operator", "vendor"
SERVER = "server"  # whose fault a failed call is when it is neither's: ours


class UpstreamFailed(Exception):
    """A vendor failed us, or refused. `error` is what the caller is told if no other target answers.

    `blame`: whose fault it is. The operator's are loud (our credential, our credit, our configuration); the caller's are quiet.
    `may_fall_back`: whether another target could do better (contract: never for a fault of the request itself).
    `may_repeat`: the vendor certainly did no work (a kept-alive connection had gone stale), so the same target may be asked once more.
    `overflow_tokens`: the prompt was too long; a window must have more tokens than this to hold it, 0 if nobody said how many. None
    for any other failure.
    `refused`: members that we had added to the request and that the vendor does not take.
    `of_vendor`: why it fails so whichever of its models is asked, one of OF_VENDORS; empty where another model may do.
    `is_home`: the error's words are about the request as its client wrote it, and not as a chat completion.
    `asked_in`: the dialect of the target that failed; `in_our_words`: it was not asked, and what is told of it is ours.
    `detail` is for the log only and may name addresses. `kept` is what is written down in its place, where it has a vendor's words.
    """

    of_vendor = kept = ""
    is_home = in_our_words = False
    asked_in = ""

    def __init__(
        self,
        error: ApiError,
        *,
        blame: str = VENDOR,
        may_fall_back: bool = True,
        may_repeat: bool = False,
        overflow_tokens: int | None = None,
        refused: tuple[str, ...] = (),
        detail: str = "",
    ) -> None:
        super().__init__(detail or error.message)
        self.error = error
        self.blame = blame
        self.may_fall_back = may_fall_back
        self.may_repeat = may_repeat
        self.overflow_tokens = overflow_tokens
        self.refused = refused
        self.detail = detail

    @property
    def retry_after(self) -> float | None:
        """The vendor's true wait in seconds, None if it named none."""
        return self.error.wait

    @property
    def loud(self) -> bool:
        """Whether an operator must act."""
        return self.blame == OPERATOR


def fault_of(error: ApiError, failed: UpstreamFailed | None) -> str:
    """Return whose fault it is that a call ended with an error; `failed` is its last attempt that failed, if any did."""
    if failed is not None and failed.error.code == error.code:
        return failed.blame
    if error.code == "upstream_rate_limit":
        return VENDOR  # nobody was asked, as the vendor would have refused
    return SERVER if error.status >= 500 else CALLER


#: A member's place in a request: at most 200 characters, of which 32 dots and brackets.
MEMBER = re.compile(r"(?=[\w.\[\]-]{1,200}$)[\w-]*(?:[.\[\]][\w-]*){0,32}", re.ASCII)


def words_kept(error: ApiError) -> str:
    """Return what is written down of what a caller was told, with the parameter that is meant where the words do not name it.

    Vendors may write a prompt there, too: only what looks like a member's name is kept.
    """
    words, param = error.kept or error.message, error.param
    return words if param is None or param in words or not MEMBER.fullmatch(param) else f"{words} (param: {param})"


def detail_of(error: ApiError, failed: UpstreamFailed | None) -> str | None:
    """Return what is written down of what the log says of a call's error, where that is more than what its caller is told.

    `failed` as in `fault_of`.
    """
    return failed.kept or failed.detail or None if failed is not None and failed.error.code == error.code else None


class KeyRefused(UpstreamFailed):
    """A vendor refused our key."""

    of_vendor = "key_refused"


class CreditSpent(UpstreamFailed):
    """We have no credit left with a vendor."""

    of_vendor = "no_credit"


class Unreachable(UpstreamFailed):
    """No connection to a vendor could be made."""

    of_vendor = "unreachable"


#: Why all models of a vendor fail, and how that is said of the vendor.
OF_VENDORS = {
    KeyRefused.of_vendor: "refuses our key",
    CreditSpent.of_vendor: "has no credit for us",
    Unreachable.of_vendor: "cannot be reached",
}


def without_frames(error: BaseException | None) -> None:
    """Let go of the frames that an exception, and what it came of, was raised through.

    A frame of the path holds its call, and a call its failures: a circle that would keep the body until somebody looks for garbage.
    """
    while error is not None:
        error.__traceback__, error = None, error.__cause__ or error.__context__
