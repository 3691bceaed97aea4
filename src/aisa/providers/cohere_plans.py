"""What a model of Cohere's thought and planned before it called tools, on its way through clients of other protocols. Translates nothing.

Cohere wants it back with the calls. A state is the plan and the thinking, sealed for clients that bring it back, and kept by the id of the
first call for those that do not.
"""

from __future__ import annotations

import msgspec

from aisa.providers.vendor_state import VendorState
from aisa.wire.reasoning_details import seals_in
from aisa.wire.trees import Tree, trees_in


class Plan(msgspec.Struct, frozen=True):
    """What led to calls of tools."""

    tool_plan: str = ""
    thinking: str = ""


def sealed(plan: Plan, first_call: str, state: VendorState | None) -> str:
    """Return a plan as it goes to the client, and keep it; nothing where there is none, or no call that it led to."""
    if state is None or not first_call or plan == Plan():
        return ""
    encoded = msgspec.json.encode(plan)
    state.keep(first_call, encoded)
    return state.seal(encoded)


def plan_of(message: Tree, state: VendorState | None) -> Plan:
    """Return what led to the calls of an assistant's message, as it is brought back or kept here; an empty one if it is neither."""
    calls = trees_in(message.get("tool_calls"))
    if state is None or not calls:
        return Plan()
    for seal in seals_in(message):
        found = decoded(state.open(seal))
        if found is not None:
            return found
    return decoded(state.kept(str(calls[0].get("id") or ""))) or Plan()


def decoded(encoded: bytes | None) -> Plan | None:
    """Return the plan in a state, None if it is none of ours."""
    try:
        return None if encoded is None else msgspec.json.decode(encoded, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
