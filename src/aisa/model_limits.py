"""What a request asks of a model against the limits in the model's entry. Pure; what an entry says nothing of is the vendor's to judge."""

from __future__ import annotations

from aisa.config.schema import Model
from aisa.errors import ApiError
from aisa.wire.door import Request
from aisa.wire.vendor_tier import TIER_CHARACTERS_MAX
from aisa.wire.wish import EFFORTS, Wish

#: The settings of a model's entry that bound what a request may ask for.
LIMITS = (
    "max_output_tokens",
    "max_top_logprobs",
    "max_n",
    "max_stop_sequences",
    "max_tools",
    "max_temperature",
    "max_penalty",
    EFFORTS,
    "allowed_tiers",
)


def has_limits(limits: Model) -> bool:
    """Say whether a model's entry bounds anything that a request may ask for; most bound nothing, and then nothing need be looked at."""
    return any(getattr(limits, name) is not None for name in LIMITS)


def check_limits(request: Request, name: str, limits: Model) -> None:
    """Do nothing if the model, here called `name`, can take the request. Raises ApiError max_tokens_exceeded, unsupported_parameter."""
    most = limits.max_output_tokens
    if most is not None and (request.max_tokens or 0) > most:
        field = request.bound_name
        raise ApiError("max_tokens_exceeded", too_many_tokens(field, request.max_tokens or 0, most, model=name), param=field)
    for wish in request.wishes():
        allowed = beyond(wish, limits)
        if allowed:
            message = f"'{wish.field}' is {shown(wish)}, but the model '{name}' takes {allowed}."
            raise ApiError("unsupported_parameter", message, param=wish.field)
    tiers = limits.allowed_tiers
    if tiers is not None:
        asked, field = request.tier()
        if asked and asked not in tiers:
            message = f"'{field}' asks for '{asked[:TIER_CHARACTERS_MAX]}', but callers of the model '{name}' may ask for "
            message += f"{', '.join(tiers)} and the usual tier only." if tiers else "the usual tier only."
            raise ApiError("unsupported_parameter", message, param=field)


def too_many_tokens(field: str, asked: int, most: int, *, model: str) -> str:
    """Say that a bound on the output is above what the model writes: in Anthropic's sentence, by which Claude Code lowers it."""
    return f"{field}: {asked} > {most}, which is the maximum allowed number of output tokens for {model}"


def beyond(wish: Wish, limits: Model) -> str:
    """Return what is allowed if a wish is beyond its limit, nothing if it is within."""
    if wish.limit == EFFORTS:
        efforts = limits.reasoning_efforts
        return (", ".join(efforts) or "none") if efforts is not None and wish.word is not None and wish.word not in efforts else ""
    value = wish.value
    if value is None:
        return ""
    if wish.limit == "max_temperature":
        most = limits.max_temperature
        return f"0 to {most:g}" if most is not None and not 0 <= value <= most else ""
    if wish.limit == "max_penalty":
        bound = limits.max_penalty
        return f"{-bound:g} to {bound:g}" if bound is not None and abs(value) > bound else ""
    count: int | None = getattr(limits, wish.limit)
    return f"at most {count}" if count is not None and not 0 <= value <= count else ""


def shown(wish: Wish) -> str:
    """Return a wish as its client may be told of it."""
    if wish.limit == EFFORTS:
        return "something else"
    value = f"{wish.value:g}" if isinstance(wish.value, float) else str(wish.value)
    return f"a list of {value}" if wish.listed else value
