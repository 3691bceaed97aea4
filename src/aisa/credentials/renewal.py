"""What holds for a while: fetched before it is needed, once for all who wait, and used for as long as it holds. Knows not what it is.

No call fails because it is renewed. What is at hand is used while the next is fetched and, if that fails, to the end of its life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from aisa.errors import OPERATOR, ApiError, UpstreamFailed

AHEAD_SHARE = 0.2  # of a life that is left when the next is fetched: enough for several attempts, and four fifths are used
AHEAD_SECONDS_MAX = 300.0  # what holds for a day is not thrown away hours before its end
FETCH_SECONDS_MAX = 10.0  # identity services answer within one or two; a caller with nothing waits no longer
RETRY_SECONDS = 5.0  # between a failed attempt and the next, whoever asks: a thousand calls a second must not become a thousand fetches

Held = TypeVar("Held")


class CredentialFailed(Exception):
    """Nothing can be had; the text is for the log."""


class Renewal(Generic[Held]):
    """What one vendor's requests are proved with. Belongs to the event loop that first uses it.

    Times are that loop's seconds, so no wall clock's step matters.
    """

    def __init__(self, vendor: str, source: Callable[[], Awaitable[tuple[Held, float]]]) -> None:
        """`source` gets what is to be held, and for how many seconds it holds from then on. It raises CredentialFailed or OSError."""
        self._vendor = vendor
        self._source = source
        self._held: Held | None = None
        self._expires_at = self._renew_at = self._retry_at = 0.0
        self._failure = ""
        self._flight: asyncio.Task[None] | None = None  # of whoever needed it first; nobody's leaving ends it

    def held(self, now: float) -> Held | None:
        """Return what is at hand if it holds, and see to the next in time."""
        if now >= self._renew_at:
            self._begin(now)
        return self._held if now < self._expires_at else None

    async def wait(self) -> Held:
        """Wait for what is being fetched. Raises UpstreamFailed."""
        time = asyncio.get_running_loop().time
        self._begin(time())
        if self._flight is not None:
            await asyncio.wait({self._flight})
        if self._held is not None and time() < self._expires_at:
            return self._held
        what = f"This server has no valid credential for the vendor '{self._vendor}'. The operator has been told."
        error = ApiError("upstream_unavailable", what, should_retry=False)
        raise UpstreamFailed(error, blame=OPERATOR, detail=f"{self._vendor}: no token: {self._failure}")

    def give_up(self) -> None:
        """Use what is at hand no more: the next is fetched at once."""
        self._expires_at = self._renew_at = 0.0

    def _begin(self, now: float) -> None:
        if self._flight is None and now >= self._retry_at:
            self._flight = asyncio.create_task(self._renew(now))

    async def _renew(self, began: float) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                held, seconds = await self._source()
        except (CredentialFailed, OSError) as failure:  # a TimeoutError is an OSError
            self._failure = str(failure) or f"no answer within {FETCH_SECONDS_MAX:g} s"
            self._retry_at = asyncio.get_running_loop().time() + RETRY_SECONDS
        else:
            self._held = held
            self._expires_at = began + seconds
            self._renew_at = self._expires_at - min(AHEAD_SHARE * seconds, AHEAD_SECONDS_MAX)
        finally:
            self._flight = None
