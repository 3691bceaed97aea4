"""Credentials that hold for a while: fetched before they are needed, once for all who wait, and used for as long as they hold.

No call fails because a token is renewed. The one at hand is used while the next is fetched and, if that fails, to the end of its life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from aisa.credentials.rules import Proof
from aisa.errors import OPERATOR, ApiError, UpstreamFailed
from aisa.providers.port import UpstreamRequest

AHEAD_SHARE = 0.2  # of a token's life that is left when the next is fetched: enough for several attempts, and four fifths are used
AHEAD_SECONDS_MAX = 300.0  # a token for a day is not thrown away hours before its end
FETCH_SECONDS_MAX = 10.0  # identity services answer within one or two; a caller without a token waits no longer
REFUSED_AGAIN_SECONDS = 60.0  # within which a new token that is refused, too, is no reason for another: then it is not the token
RETRY_SECONDS = 5.0  # between a failed attempt and the next, whoever asks: a thousand calls a second must not become a thousand fetches


class Token(NamedTuple):
    """What was fetched, and for how many seconds it holds, from when it was asked for."""

    proof: Proof
    seconds: float


class CredentialFailed(Exception):
    """No token can be had; the text is for the log."""


#: Gets a new token. Raises CredentialFailed or OSError.
TokenSource = Callable[[], Awaitable[Token]]


class Expiring:
    """The tokens of one vendor. Belongs to the event loop that first uses it; times are its seconds, so no wall clock's step matters."""

    def __init__(self, vendor: str, source: TokenSource) -> None:
        self._vendor = vendor
        self._source = source
        self._proof = Proof()
        self._expires_at = self._renew_at = self._retry_at = 0.0
        self._refused_at = -REFUSED_AGAIN_SECONDS
        self._failure = ""
        self._flight: asyncio.Task[None] | None = None  # of whoever needed it first; nobody's leaving ends it

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Return the token at hand if it holds, and see to the next in time."""
        if now >= self._renew_at:
            self._begin(now)
        return self._proof if now < self._expires_at else None

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Wait for the token that is being fetched. Raises UpstreamFailed."""
        time = asyncio.get_running_loop().time
        self._begin(time())
        if self._flight is not None:
            await asyncio.wait({self._flight})
        if time() < self._expires_at:
            return self._proof
        what = f"This server has no valid credential for the vendor '{self._vendor}'. The operator has been told."
        error = ApiError("upstream_unavailable", what, should_retry=False)
        raise UpstreamFailed(error, blame=OPERATOR, detail=f"{self._vendor}: no token: {self._failure}")

    def refused(self, proof: Proof, status: int, headers: Mapping[str, str]) -> bool:
        """Give up a token that its vendor does not take any more, as one is that was revoked: the next is fetched at once."""
        now = asyncio.get_running_loop().time()
        if status != 401 or proof != self._proof:
            return status == 401  # with one that has been replaced meanwhile
        if now < self._refused_at + REFUSED_AGAIN_SECONDS:
            return False
        self._refused_at = now
        self._expires_at = self._renew_at = 0.0
        return True

    def _begin(self, now: float) -> None:
        if self._flight is None and now >= self._retry_at:
            self._flight = asyncio.create_task(self._renew(now))

    async def _renew(self, began: float) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                token = await self._source()
        except (CredentialFailed, OSError) as failure:  # a TimeoutError is an OSError
            self._failure = str(failure) or f"no answer within {FETCH_SECONDS_MAX:g} s"
            self._retry_at = asyncio.get_running_loop().time() + RETRY_SECONDS
        else:
            self._proof = token.proof
            self._expires_at = began + token.seconds
            self._renew_at = self._expires_at - min(AHEAD_SHARE * token.seconds, AHEAD_SECONDS_MAX)
        finally:
            self._flight = None
