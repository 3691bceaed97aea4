"""What is left out of a translated request for chat completions, which its client cannot know the vendor's ways of. Reads no answer."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aisa.providers.file_addresses import refuse_file_addresses
from aisa.providers.responses_models import HOST
from aisa.providers.shape import Target
from aisa.wire.trees import trees_in

BOUND, OLDER_BOUND = "max_completion_tokens", "max_tokens"  # some vendors know the older one alone
#: Members that change how an answer is made and not what it says.
HINTS = ("top_k", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "user", "verbosity")
HINTS_ELSEWHERE = (*HINTS, BOUND)
HINTED = frozenset(HINTS_ELSEWHERE)
MARK = "prompt_cache_breakpoint"  # of a part, behind which OpenAI may keep what stands before


def put_aside(fields: dict[str, Raw], target: Target, *, marked: bool) -> tuple[str, ...]:
    """Take out what a client of another protocol hinted at and this target refuses; return what hints are left.

    Such a client knows nothing of what chat completions this vendor takes, and often cannot leave them out. A bound is never lost: it goes
    under its older name then. That a tool failed has no word there. `marked`: its marks for a cache stay, whoever the vendor is.
    """
    messages = without_failures(bytes(fields["messages"]))
    fields["messages"] = Raw(messages if marked or target.host == HOST else without_marks(messages))
    refuse_file_addresses(fields["messages"], target)
    if HINTED.isdisjoint(fields):
        return ()
    hints = [name for name in (HINTS if target.host == HOST else HINTS_ELSEWHERE) if name in fields]
    for name in hints:
        if name in target.omit:
            value = fields.pop(name)
            if name == BOUND:
                fields[OLDER_BOUND] = value
    return tuple([name for name in hints if name in fields])


def without_failures(messages: bytes) -> bytes:
    """Return the `messages` of a request without the mark of tools' results that are errors."""
    if messages.find(b'"is_error"') < 0:
        return messages
    tree: object = msgspec.json.decode(messages)
    for message in trees_in(tree):
        message.pop("is_error", None)
    return msgspec.json.encode(tree)


def without_marks(messages: bytes) -> bytes:
    """Return the `messages` of a request without marks for a cache, and the texts that these kept apart as one.

    Vendors that are strict about members refuse the marks, and some any text that comes in parts.
    """
    if messages.find(b'"prompt_cache_breakpoint"') < 0:
        return messages
    tree = trees_in(msgspec.json.decode(messages))
    for place, message in enumerate(tree):
        parts = trees_in(message.get("content"))
        if not [part for part in parts if part.pop(MARK, None) is not None]:
            continue
        whole = len(parts) == 1 or message.get("role") == "tool" or (place == 0 and message.get("role") == "system")
        if whole and all(part.get("type") == "text" for part in parts):
            message["content"] = "".join([str(part.get("text")) for part in parts])
    return msgspec.json.encode(tree)
