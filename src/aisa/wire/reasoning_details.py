"""Where chat completions carry what a vendor wants back: `reasoning_details` of an assistant's message, as OpenRouter's clients know it.

An entry of ours holds a seal of `providers.vendor_state`, whole: nothing else of the answer need come back with it. Opens no seal.
"""

from __future__ import annotations

import msgspec

from aisa.wire.trees import Tree, is_list, is_tree, trees_in

MEMBER = "reasoning_details"
SEALED_PREFIX = "aisa1."  # of every seal; no vendor's entry begins so
BETWEEN_SEALS = " "  # where a protocol has one place for several; no seal has one in it


def detail(seal: str, index: int) -> Tree:
    """Return the entry for a seal, the how-manieth of its choice: clients put the parts of a stream together by that."""
    return {"type": "reasoning.encrypted", "data": seal, "format": "unknown", "index": index}


#: How one begins in JSON.
SEALED_BEGIN = b'"' + SEALED_PREFIX.encode()


def is_ours(entry: object) -> bool:
    """Tell whether an entry holds a seal."""
    data = entry.get("data") if is_tree(entry) else None
    return isinstance(data, str) and data.startswith(SEALED_PREFIX)


def seals_in(message: Tree) -> list[str]:
    """Return the seals that a message brings back, in order."""
    return [str(entry["data"]) for entry in trees_in(message.get(MEMBER)) if is_ours(entry)]


def without_seals(messages: bytes) -> bytes:
    """Return the `messages` of a request, as JSON, without seals: for vendors that have no use for them."""
    if messages.find(SEALED_BEGIN) < 0:
        return messages
    tree: object = msgspec.json.decode(messages)
    for message in trees_in(tree):
        entries = message.get(MEMBER)
        if is_list(entries):
            left = [entry for entry in entries if not is_ours(entry)]
            message[MEMBER] = left
            if not left:
                del message[MEMBER]
    return msgspec.json.encode(tree)
