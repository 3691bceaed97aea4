"""What a vendor says in a stream beside its events, which clients pass over: in comments, or in the body of an error. Reads no event."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Begins the comment in which DashScope says an event's HTTP status: its streams have status 200 whatever becomes of them.
STATUS = b"HTTP_STATUS/"
FIRST_FAILURE = b"400"
#: What broke a stream off, written behind it as the body that it would have been: Google, and gateways.
BARE_ERROR = re.compile(rb'\s*\[?\s*\{\s*"error"')
MEMBERS = re.compile(rb'\A\s*\{\s*"')  # the beginning of an object that has some


def told_beside(comments: Iterable[bytes], data: bytes) -> bytes:
    """Return an event's data with the status of a failure that a comment beside them tells, if they are an object with members."""
    for comment in comments:
        status = comment.removeprefix(STATUS)
        if comment.startswith(STATUS) and len(status) == len(FIRST_FAILURE) and status.isdigit() and status >= FIRST_FAILURE:
            return MEMBERS.sub(rb'{"status_code":%b,"' % status, data, count=1)
    return data
