"""A call of a known key that was refused, and what is kept of it. Keeps nothing itself.

Most were never opened, and this is all that is kept of them. What a vendor or its dialect refused for the caller's fault has its row in the
ledger too, which says where it was asked; what the caller was told is here alone.
"""

from __future__ import annotations

import msgspec

from aisa.errors import ApiError
from aisa.keys.rules import Key

KEPT_EACH_MAX = 60  # of a minute, key and code, as rows of their own; one more row has the number of the rest
KEPT_DAYS = 30
IN_LOG_ALONE = "A request with no key, or with one that nobody knows (401), is in the server's log alone."


class Refusal(msgspec.Struct, frozen=True):
    """A call of a known key that was refused, as the path sees it. `model` is the name that was asked for, empty if none was read."""

    call_id: str
    key: Key
    error: ApiError
    model: str = ""
    client_request_id: str | None = None
    address: str | None = None


class RefusedCalls(msgspec.Struct, frozen=True, gc=False):
    """One refused call as it is kept, or the first of `number` that are kept as one. Times are UNIX milliseconds.

    `last_ms` is when the last of them was refused. No text has anything of a prompt.
    """

    id: str
    account: str
    key_id: str
    model: str
    status: int
    code: str
    message: str
    at_ms: int
    last_ms: int
    number: int = 1
    client_request_id: str | None = None
    address: str | None = None


def not_kept(_refusal: Refusal) -> None:
    """Keep nothing."""
