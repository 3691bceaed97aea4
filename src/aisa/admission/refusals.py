"""Why a call may not begin or go on, and when it is worth while to come again. Takes places in line, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from aisa.admission.allowance import Shown
from aisa.admission.rules import MICROS
from aisa.errors import RETRY_AFTER_SECONDS_MAX, ApiError
from aisa.wire.door import Request

CODE = "rate_limit_exceeded"


def refusal(allowances: Iterable[Shown], now: int, *, tokens: int, input_tokens: int, request: Request) -> ApiError:
    """Return the refusal of a call for which not all of these have room, with the longest of the waits. It takes its places in line."""
    waits: list[tuple[int, str]] = []
    for each in allowances:
        if each.tokens is not None and tokens > each.tokens.limit:
            return too_large(each, tokens, input_tokens=input_tokens, request=request)
    for each in allowances:
        requests, used = each.requests, each.tokens
        if requests is not None and requests.left(now) < 1:
            calls, them = ("call", "it") if requests.limit == 1 else ("calls", "them")
            said = f"{each.whose} may begin {requests.limit:,} {calls} in any {length_in_words(requests.span)}, and has begun {them}."
            waits.append((requests.take_place(now, 1), said))
        if used is not None and (left := used.left(now)) < tokens:
            needs = f"{max(0, left):,} are left, and this call needs {tokens:,}, {input_tokens:,} of them for its input."
            said = f"{each.whose} may use {used.limit:,} tokens in any {length_in_words(used.span)}; {needs}"
            waits.append((used.take_place(now, tokens), said))
        if each.in_flight >= each.concurrency:
            calls = "call" if each.concurrency == 1 else "calls"
            said = f"{each.whose} may have {each.concurrency:,} {calls} in flight at the same time, and has."
            waits.append((each.take_turn(now), said))
    if not waits:
        waits = [(now + MICROS, "There is room for this call, but others have waited for it before.")]
    return waiting(*max(waits), now)


def too_large(allowance: Shown, tokens: int, *, input_tokens: int, request: Request) -> ApiError:
    """Return the refusal of a call that is larger than the limit itself: no wait helps."""
    used = allowance.tokens
    assert used is not None, "it is what the call is too large for"
    if input_tokens >= used.limit:
        remedy = "Shorten it."
    elif request.stream:  # its first step is in the way, which a bound makes smaller
        remedy = f"Shorten it, or set `{request.bound_name}` so low that both fit."
    else:
        remedy = f"Lower `{request.bound_name}`, or ask for a stream."
    needs = f"This call needs {tokens:,} tokens, {input_tokens:,} of them for its input"
    whose = allowance.whose[0].lower() + allowance.whose[1:]
    return ApiError(CODE, f"{needs}, but {whose} may use {used.limit:,} in any {length_in_words(used.span)}. {remedy}", should_retry=False)


def stopped_inside(limited: Iterable[Shown], now: int, needed: int, *, again: int) -> ApiError:
    """Return what ends a stream for whose next tokens not all of these have room. Sent again it would take so many at first."""
    waits: list[tuple[int, str]] = []
    for each in limited:
        if (used := each.tokens) is not None and used.unused(now) < needed:
            whose = each.whose[0].lower() + each.whose[1:]
            said = f"The stream ends here: {whose} may use {used.limit:,} tokens in any {length_in_words(used.span)}, and has used them."
            waits.append((used.take_place(now, min(max(needed, again), used.limit)), said))
    return waiting(*max(waits), now)


def waiting(when: int, said: str, now: int) -> ApiError:
    """Return the refusal of what may be tried again at a moment, which an event of a stream has no header for."""
    seconds = seconds_of(when - now)
    return ApiError(CODE, f"{said} Try again in {seconds} s.", retry_after=seconds, should_retry=True)


def seconds_of(micros: int) -> int:
    """Return a wait in whole seconds as it is told: rounded up, so that it is long enough, and within what clients honour."""
    return max(1, min(RETRY_AFTER_SECONDS_MAX, ceil(micros / MICROS)))


def length_in_words(span: int) -> str:
    """Name a window by its length in microseconds."""
    return "minute" if span == 60 * MICROS else f"{span / MICROS:g} seconds"
