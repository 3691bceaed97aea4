"""What the path of a call asks of whoever receives the answer. The HTTP connection implements it; so do the test clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

#: Extra response headers as (name, value) pairs, names in lower case, values printable ASCII.
HeaderList = list[tuple[str, str]]


#: Why a call's task is cancelled: what `task.cancel` is given, and the one argument of the CancelledError.
CLIENT_LEFT = "the client has left"
CLIENT_STALLS = "the client takes nothing"
VENDOR_SILENT = "the vendor is silent"
SERVER_CLOSES = "the server is shutting down"
OPERATOR_ENDS = "an operator ends the call"


class Client(Protocol):
    """The receiving end of one answer. All methods but `writable` return at once.

    When the client is gone, and when the server stops and its patience is over, the call's task is cancelled once. A cancellation says why
    in its one argument, with the words above; once `gone` is True, that is why.
    """

    @property
    def gone(self) -> bool:
        """True once the connection is lost; writing is then a no-op."""
        ...

    @property
    def started(self) -> bool:
        """True once the status line has been committed; an error can then only be told inside the body."""
        ...

    @property
    def congested(self) -> bool:
        """True while bytes are waiting in this process because the client does not read; await `writable()` before writing more."""
        ...

    @property
    def bytes_sent(self) -> int:
        """Body bytes handed over so far."""
        ...

    @property
    def bytes_written(self) -> int:
        """Bytes written to the client's connection so far, heads and framing included: the scale of `bytes_taken` and `bytes_delivered`."""
        ...

    def bytes_taken(self) -> int:
        """Return how many of the bytes written have left this process: the kernel will send them even if we die."""
        ...

    def bytes_delivered(self) -> int:
        """Return how many of the bytes written the client's system has acknowledged; where that cannot be told, those taken.

        Never too many. Final once `gone`; costs a system call before.
        """
        ...

    def cork(self) -> None:
        """Have what is written from now on leave with the end, which comes without a wait; a client may leave that out.

        Nothing of it has left before: it is neither taken nor delivered.
        """
        ...

    def when_taken(self, tell: Callable[[], None]) -> None:
        """After the end: call once when all that was written has left this process, if the kernel takes it in one go; else not at all."""
        ...

    def tell_delivery(self, tell: Callable[[bool], None]) -> None:
        """Call `tell(True)` when all that was written so far is delivered, `tell(False)` if the connection is lost before.

        Calls once: at once if that is known already, else from the event loop. Never waits longer than the connection lives.
        """
        ...

    def start(self, status: int, headers: HeaderList, length: int | None, *, probe: bytes = b"") -> None:
        """Commit to a status. `length` is the body's size in bytes, or None for a stream. Sent together with the first write.

        `probe` is what a living client ignores in a stream, sent to find out whether it lives.
        """
        ...

    def write(self, data: bytes) -> int:
        """Hand over body bytes in one go; return where they end, as `bytes_written` counts, whatever frames them left out.

        May be called while congested, but only for a few hundred bytes.
        """
        ...

    async def writable(self, taken: Callable[[], None] | None = None) -> None:
        """Wait until what is waiting has left this process; `taken` is called as it does, before the waiting task gets its turn."""
        ...

    def end(self, data: bytes = b"") -> None:
        """End the body properly, after these last bytes of it."""
        ...

    def interrupt(self, reason: str) -> None:
        """Cancel the task that writes the answer, for this reason."""
        ...

    def abort(self) -> None:
        """Break the connection off, dropping what the client has not taken."""
        ...
