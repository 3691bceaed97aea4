"""Where vendors' names lead: one look-up at a time for each, remembered, and old addresses rather than none. Connects nowhere.

The system's resolver says nothing of how long its answer holds and cannot be interrupted, so a name server that is dead keeps a thread
for as long as the system likes. Such a thread belongs to its name alone: other names are looked up beside it, and callers of the same
name share it. Old addresses are served as RFC 8767 describes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

LOOK_UPS_MAX = 64  # at once, with a thread each; one a name, and names are the hosts and proxies of the configuration
FRESH_SECONDS = 30.0  # the life that large vendors' load balancers give their addresses is 20 to 60 s
STALE_SECONDS_MAX = 86_400.0  # after a day without a name server the addresses may be somebody else's; RFC 8767 suggests one to three
REFRESH_WAIT_SECONDS = 1.8  # what a connection waits for new addresses while it could have old ones: RFC 8767's client response timer
STALE_RETRY_SECONDS = 30.0  # after a failed look-up old addresses are used without another: RFC 8767's failure recheck timer
FAILED_SECONDS = 1.0  # how long a failure without old addresses is told again: a name that is wrong must not start a thread a call
ADDRESSES_MAX = 16  # of a name; each has an equal share of the connect timeout, so that of more none would have enough

#: Returns the addresses of a host as literals, in the order to try. Raises OSError or UnicodeError.
Resolve = Callable[[str], Awaitable[Sequence[str]]]


class _Name:
    """What is known of one name. Times are the event loop's seconds; no `addresses` means that there are none to use."""

    __slots__ = ("addresses", "failure", "flight", "flight_began", "fresh_until", "retry_at", "usable_until")

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.fresh_until = self.usable_until = self.retry_at = self.flight_began = 0.0
        self.failure = ""  # of the last look-up
        self.flight: asyncio.Task[None] | None = None  # the look-up under way; it outlives whoever asked for it


async def system_addresses(host: str) -> list[str]:
    """Ask the system's resolver, in a thread of this look-up's own, which nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str] | None, failure: Exception | None) -> None:
        if answer.done():
            return
        if found is None:
            answer.set_exception(failure or OSError("no answer"))
        else:
            answer.set_result(found)

    def ask() -> None:
        found, failure = None, None
        try:
            found = [str(address[0]) for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:  # a label of more than 63 characters is a UnicodeError
            failure = error
        with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, found, failure)

    try:
        threading.Thread(target=ask, name="look-up", daemon=True).start()
    except RuntimeError as error:
        raise OSError(f"no thread for a look-up: {error}") from error
    return await answer


class Names:
    """The addresses of all vendors' names. Belongs to the event loop that first uses it; `resolve` looks a name up."""

    def __init__(self, resolve: Resolve = system_addresses) -> None:
        self._resolve = resolve
        self._names: dict[str, _Name] = {}  # never more than the configuration has
        self._places = asyncio.Semaphore(LOOK_UPS_MAX)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host, at least one. The caller bounds the wait; leaving early ends no look-up.

        Raises OSError if the look-up fails and there are no old addresses to use.
        """
        name = self._names.setdefault(host, _Name())
        now = asyncio.get_running_loop().time()
        if now >= name.usable_until:
            name.addresses = ()
        if name.addresses and now < max(name.fresh_until, name.retry_at):
            return name.addresses
        if name.flight is None and now >= name.retry_at:
            name.flight_began = now
            name.flight = asyncio.create_task(self._look_up(host, name))
        if name.flight is not None:
            timeouts = max(0.0, name.flight_began + REFRESH_WAIT_SECONDS - now) if name.addresses else None
            await asyncio.wait({name.flight}, timeout=timeouts)
        if not name.addresses:
            raise OSError(name.failure)
        return name.addresses

    def doubt(self, host: str) -> None:
        """None of a host's addresses could be connected to: it may have moved, so that the next call looks it up anew."""
        name = self._names.get(host)
        if name is not None:
            name.fresh_until = 0.0

    async def _look_up(self, host: str, name: _Name) -> None:
        time = asyncio.get_running_loop().time
        try:
            async with self._places:
                found = tuple(dict.fromkeys(await self._resolve(host)))[:ADDRESSES_MAX]
            if not found:
                raise OSError("the name has no address")
        except (OSError, UnicodeError) as failure:
            name.failure = str(failure)
            if _is_denied(failure):
                name.addresses = ()
            name.retry_at = time() + (STALE_RETRY_SECONDS if name.addresses else FAILED_SECONDS)
        else:
            name.addresses = found
            name.retry_at = 0.0
            name.fresh_until = time() + FRESH_SECONDS
            name.usable_until = time() + STALE_SECONDS_MAX
        finally:
            name.flight = None


def _is_denied(failure: Exception) -> bool:
    """Tell whether a name server has answered that there is no such name, or that it has no address: then the old ones are wrong."""
    return isinstance(failure, socket.gaierror) and failure.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
