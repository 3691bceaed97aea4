"""Gemini's signatures on its thinking, on their way through clients of other protocols: sealed, or kept by the id of the call. Checks none.

A state is the id of the call that a signature is of, empty for one on a text, and the signature. Clients of Google's own OpenAI-compatible
API bring them back bare, in `extra_content.google.thought_signature` of the call; those are taken too.
"""

from __future__ import annotations

import msgspec

from aisa.providers.vendor_state import VendorState
from aisa.wire.reasoning_details import seals_in
from aisa.wire.trees import Tree, is_list, is_tree, trees_in

#: What a signature is called in a chat request, and where the vendor refuses one.
SIGNATURE = "thought_signature"


class Signatures:
    """Those of one account at one vendor; none are kept without a state."""

    def __init__(self, state: VendorState | None) -> None:
        self._state = state

    def sealed(self, call_id: str, signature: str) -> str:
        """Return a signature as it goes to the client, and keep it for one that sends nothing back; nothing if neither is possible."""
        if self._state is None:
            return ""
        state = msgspec.json.encode([call_id, signature])
        if call_id:
            self._state.keep(call_id, state)
        return self._state.seal(state)

    def in_message(self, message: Tree) -> dict[str, str]:
        """Return the signatures that an assistant's message brings back, by the id of the call, empty for that of a text."""
        found: dict[str, str] = {}
        for call in trees_in(message.get("tool_calls")):
            extra = call.get("extra_content")
            google = extra.get("google") if is_tree(extra) else None
            bare = google.get(SIGNATURE) if is_tree(google) else None
            if isinstance(bare, str) and bare:
                found[str(call.get("id") or "")] = bare
        for seal in seals_in(message) if self._state is not None else ():
            opened = None if self._state is None else self._state.open(seal)
            found |= read(opened)
        return found

    def kept(self, call_id: str) -> str:
        """Return the signature of a call that is kept here; nothing if none is."""
        return read(None if self._state is None else self._state.kept(call_id)).get(call_id, "")


def read(state: bytes | None) -> dict[str, str]:
    """Return the signature in a state; none if it is not one of ours, or of another kind."""
    if state is None:
        return {}
    try:
        value: object = msgspec.json.decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    if is_list(value) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str):
        return {value[0]: value[1]}
    return {}
