"""A bound on the output that is below 1, which servers of chat completions take for none: told where a dialect has no such word."""

from __future__ import annotations

from aisa.providers.concessions import Concessions
from aisa.providers.model_facts import NEWER_BOUND, OLDER_BOUND
from aisa.wire.chat import ChatRequest


def tell_no_bound(chat: ChatRequest, concessions: Concessions, instead: int | None = None) -> None:
    """Note that a bound below 1 is left out, or that `instead` holds in its place. Raises UpstreamFailed where that is to be refused."""
    if chat.max_tokens is not None:
        return
    for name in (NEWER_BOUND, OLDER_BOUND):
        if getattr(chat.known, name) is None:
            continue
        if instead is None:
            concessions.leave_out(name)
        else:
            concessions.move(name, instead, "it needs a bound of one token at least")
