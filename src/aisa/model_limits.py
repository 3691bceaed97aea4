"""What a request asks of a model against the limits in the model's entry. Pure; what an entry says nothing of is the vendor's to judge."""

from __future__ import annotations

from collections.abc import Iterator

from aisa.config.schema import Model
from aisa.errors import ApiError
from aisa.wire.chat import ChatRequest, Known
from aisa.wire.vendor_tier import TIER_CHARACTERS_MAX, tier_asked


def check_limits(chat: ChatRequest, name: str, limits: Model) -> None:
    """Do nothing if the model, here called `name`, can take the request. Raises ApiError max_tokens_exceeded, unsupported_parameter."""
    most = limits.max_output_tokens
    if most is not None and (chat.max_tokens or 0) > most:
        field = "max_completion_tokens" if chat.known.max_completion_tokens == chat.max_tokens else "max_tokens"
        message = f"'{field}' is {chat.max_tokens}, but the model '{name}' writes at most {most} tokens."
        raise ApiError("max_tokens_exceeded", message, param=field)
    for field, asked, allowed in beyond(chat.known, limits):
        raise ApiError("unsupported_parameter", f"'{field}' is {asked}, but the model '{name}' takes {allowed}.", param=field)
    tiers = limits.allowed_tiers
    if tiers is not None:
        asked, field = tier_asked(chat)
        if asked and asked not in tiers:
            message = f"'{field}' asks for '{asked[:TIER_CHARACTERS_MAX]}', but callers of the model '{name}' may ask for "
            message += f"{', '.join(tiers)} and the usual tier only." if tiers else "the usual tier only."
            raise ApiError("unsupported_parameter", message, param=field)


def beyond(known: Known, limits: Model) -> Iterator[tuple[str, str, str]]:
    """Yield (field, what is asked, what is allowed) for each value that is beyond a limit."""
    counts = {
        "top_logprobs": (known.top_logprobs, limits.max_top_logprobs),
        "n": (known.n, limits.max_n),
        "stop": (len(known.stop) if isinstance(known.stop, list) else None, limits.max_stop_sequences),
        "tools": (len(known.tools or ()), limits.max_tools),
        "functions": (len(known.functions or ()), limits.max_tools),
    }
    for field, (count, most) in counts.items():
        if most is not None and count is not None and not 0 <= count <= most:
            yield field, f"a list of {count}" if field in LISTS else str(count), f"at most {most}"
    if limits.max_temperature is not None and not 0 <= (known.temperature or 0) <= limits.max_temperature:
        yield "temperature", f"{known.temperature:g}", f"0 to {limits.max_temperature:g}"
    for field, value in (("frequency_penalty", known.frequency_penalty), ("presence_penalty", known.presence_penalty)):
        if limits.max_penalty is not None and abs(value or 0) > limits.max_penalty:
            yield field, f"{value:g}", f"{-limits.max_penalty:g} to {limits.max_penalty:g}"
    efforts, effort = limits.reasoning_efforts, known.reasoning_effort
    if efforts is not None and effort is not None and effort not in efforts:
        yield "reasoning_effort", "something else", ", ".join(efforts) or "none"


LISTS = frozenset({"stop", "tools", "functions"})
