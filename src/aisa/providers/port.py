"""What the path of a call asks of the way to a vendor: send one request, read what comes back, close. Knows no dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

ABOVE = "/.."  # at the beginning of a path: what follows is beside the last part of the base URL, and not below it


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One HTTP request to a vendor. `path` starts with `/` and is joined to the vendor's base URL by whoever sends it; see ABOVE.

    `dropped` names the client's parameters that this dialect cannot express and that the operator lets us drop; `added` the members that
    we put in without the client's asking, so that a vendor which refuses one is asked again without it. `changed` are `name=value` of
    parameters whose values were moved to the nearest that the model takes. `fetches` are addresses whose contents belong into the body, at
    the marks of `fetched.py`.
    """

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    method: str = "POST"
    added: tuple[str, ...] = ()
    fetches: tuple[str, ...] = ()


class Pictures(Protocol):
    """What reads the pictures that a request gives by address."""

    async def filled(self, request: UpstreamRequest) -> UpstreamRequest:
        """Return a request with what stands at its `fetches`. Raises UpstreamFailed, or ApiError overloaded."""
        ...


class Answer(Protocol):
    """What a vendor sends back. Exactly one reader. Must be closed, and closing early cancels the request at once."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers, names in lower case; a repeated header's values are joined by `, `."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes of the body as they arrived, at most 64 KiB, or b"" at its proper end.

        Raises UpstreamFailed when the connection breaks, the framing is violated or a limit is exceeded.
        Reads no further from the vendor while nobody calls it: this is the backpressure. Cancelling the wait loses nothing.
        """
        ...

    def release(self) -> None:
        """Say that the answer is complete as far as the caller cares. The connection is kept if the body's end arrives at once."""
        ...

    def close(self) -> None:
        """Give the connection back when the body has been read to its end, else abort it. A no-op after either."""
        ...


class Upstream(Protocol):
    """The way to one vendor."""

    def ask(self, request: UpstreamRequest) -> Awaitable[Answer]:
        """Send the request and return once the response head has arrived.

        Raises UpstreamFailed when it cannot be delivered. Cancelling the task that waits aborts the request at once.
        """
        ...


@runtime_checkable
class AtHand(Upstream, Protocol):
    """A way to a model that runs here, and can be asked ahead what it would report."""

    def prompt_tokens(self, request: UpstreamRequest) -> int | None:
        """Return the tokens of a chat's prompt; None for what it refuses. For a thread."""
        ...
