"""Tokens that hold for a while, each the proof of every request until the next is there. How they are renewed, `renewal.py` says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from aisa.credentials.renewal import Renewal
from aisa.credentials.rules import Proof
from aisa.providers.port import UpstreamRequest

REFUSED_AGAIN_SECONDS = 60.0  # within which a new token that is refused, too, is no reason for another: then it is not the token


class Token(NamedTuple):
    """What was fetched, and for how many seconds it holds, from when it was asked for."""

    proof: Proof
    seconds: float


#: Gets a new token. Raises CredentialFailed or OSError.
TokenSource = Callable[[], Awaitable[Token]]


class Expiring:
    """The tokens of one vendor."""

    def __init__(self, vendor: str, source: TokenSource) -> None:
        self._tokens: Renewal[Proof] = Renewal(vendor, source)
        self._refused_at = -REFUSED_AGAIN_SECONDS

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Return the token at hand if it holds, and see to the next in time."""
        return self._tokens.held(now)

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Wait for the token that is being fetched. Raises UpstreamFailed."""
        return await self._tokens.wait()

    def refused(self, proof: Proof, status: int, headers: Mapping[str, str]) -> bool:
        """Give up a token that its vendor does not take any more, as one is that was revoked: the next is fetched at once."""
        now = asyncio.get_running_loop().time()
        if status != 401 or proof != self._tokens.held(now):
            return status == 401  # with one that has been replaced meanwhile
        if now < self._refused_at + REFUSED_AGAIN_SECONDS:
            return False
        self._refused_at = now
        self._tokens.give_up()
        return True
