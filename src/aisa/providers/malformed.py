"""The refusal of a part of a request that no vendor could read, which only a translation looks into. Knows no dialect."""

from __future__ import annotations

from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.wire.trees import Tree, is_tree, trees_in


def malformed(param: str, why: str) -> UpstreamFailed:
    """Return the failure: the caller's to mend, and not sent on. `why` is a sentence that says what would be right."""
    return UpstreamFailed(ApiError("invalid_request", why, param=param), blame=CALLER, may_fall_back=False, detail=why)


def calls_in(message: Tree, where: str) -> list[Tree]:
    """Return the calls of a turn of the model's, which stands at that place. Raises UpstreamFailed for one that calls nothing."""
    calls = trees_in(message.get("tool_calls"))
    for order, call in enumerate(calls):
        if not (is_tree(call.get("function")) or is_tree(call.get("custom"))):
            place = f"{where}.tool_calls[{order}]"
            raise malformed(place, f"The call at {place} has neither a 'function' nor a 'custom' tool that it is of.")
    return calls
