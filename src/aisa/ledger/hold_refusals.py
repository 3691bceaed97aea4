"""Why what a call may cost could not be held: what the hold is made of, and what lowers it. Holds nothing."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.ledger.holds import HELD_OUTPUT_TOKENS, Hold
from aisa.money import Nanos, dollars_text
from aisa.wire.door import Request

NOBODY_KNOWS = "overloaded"  # of refusals that are not about what is held


def explained(refusal: ApiError, hold: Hold, request: Request, *, counted: int) -> ApiError:
    """Return the refusal of a hold with what of it is for the output, why that much, and how it becomes less.

    So many tokens of input were `counted`.
    """
    if refusal.code == NOBODY_KNOWS:
        return refusal
    more = ""
    if hold.input_tokens > counted:
        more = f" Its input is held for as {hold.input_tokens} tokens, as vendors of this model report more than the {counted} counted."
    if not hold.tokens:
        return ApiError(refusal.code, f"{refusal.message} It is for the input alone.{more}", should_retry=False)
    name = request.bound_name
    remedy = f"A smaller `{name}` lowers it" if request.max_tokens else f"`{name}` lowers it"
    if not request.stream and hold.tokens > HELD_OUTPUT_TOKENS and not request.bounds_reasoning:
        remedy += ", and so may asking for a stream, for which is held as it is made"
    held = f"{dollars_text(hold.for_output)} of it is held until the call ends, for {hold.tokens} output tokens, {hold.why}."
    return ApiError(refusal.code, f"{refusal.message} {held} {remedy}.{more}", should_retry=False)


def cut_short(refusal: ApiError, *, held: Nanos, covered: int, more: int, name: str) -> ApiError:
    """Return the refusal to hold for `more` output tokens inside a stream: what is held already, what needs less, by name."""
    if refusal.code == NOBODY_KNOWS:
        return refusal
    so_far = f"{dollars_text(held)} US dollars are held for this call already, for its input and {covered} output tokens"
    what = f"The answer ends here: {so_far}, and {more} more must be held for before they are sent."
    remedy = f"A limit on the output, such as `{name}`, bounds what a call needs."
    return ApiError(refusal.code, f"{refusal.message} {what} {remedy}", should_retry=False)
