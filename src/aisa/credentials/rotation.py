"""Several credentials of one vendor, used in turn; one that is refused rests. Knows nothing of what they are.

Where all rest, the one whose rest ends first is used, so no call fails that would have succeeded without this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aisa.clock import WallClock
from aisa.credentials.port import Credential
from aisa.credentials.rules import Proof
from aisa.errors import UpstreamFailed
from aisa.facts import CredentialRests, Fact
from aisa.providers.port import UpstreamRequest
from aisa.providers.retry_after import told_wait

REFUSED_SECONDS = 300.0  # that a key rests which is not taken, or whose account is empty: a mended one is back within five minutes
LIMITED_SECONDS = 10.0  # that one rests at its rate limit where the vendor does not say for how long
LIMITED_SECONDS_MAX = 3_600.0  # of what a vendor names: a limit by the day would keep it away beyond a larger one


class Fixed:
    """A key: the same proof for every request, for ever."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Return it."""
        return self._proof

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Return it: there is nothing to wait for."""
        return self._proof

    def refused(self, proof: Proof, status: int, headers: Mapping[str, str]) -> bool:
        """Say that there is no other."""
        return False


class _Member:
    """One of them, what it gave last, and until when it rests, in the event loop's seconds."""

    __slots__ = ("credential", "given", "number", "rests_until")

    def __init__(self, credential: Credential, number: int) -> None:
        self.credential = credential
        self.number = number
        self.given: Proof | None = None
        self.rests_until = 0.0


class Rotation:
    """The credentials of one vendor. The operator is told, by number in the order of the settings, of each that rests."""

    def __init__(self, vendor: str, credentials: Sequence[Credential], *, wall_clock: WallClock, report: Callable[[Fact], None]) -> None:
        self._vendor = vendor
        self._members = [_Member(credential, number) for number, credential in enumerate(credentials, 1)]
        self._queue = list(self._members)  # the one that was used longest ago first
        self._wall_clock = wall_clock
        self._report = report

    def proof(self, request: UpstreamRequest, now: float) -> Proof | None:
        """Return what the next one has at hand; None if that has to be fetched."""
        member = self._next(now)
        proof = member.credential.proof(request, now)
        if proof is not None:
            self._used(member, proof)
        return proof

    async def fetch(self, request: UpstreamRequest) -> Proof:
        """Wait for the next one's, and where it cannot be had for another's. Raises UpstreamFailed if none has any."""
        failure: UpstreamFailed | None = None
        for _ in self._members:
            member = self._next(asyncio.get_running_loop().time())
            try:
                proof = await member.credential.fetch(request)
            except UpstreamFailed as failed:
                failure = failed
                self._rest(member, REFUSED_SECONDS, 0)
            else:
                self._used(member, proof)
                return proof
        assert failure is not None, "there is at least one"
        raise failure

    def refused(self, proof: Proof, status: int, headers: Mapping[str, str]) -> bool:
        """Let the one rest whose proof was refused, and say whether there is one that does not."""
        now = asyncio.get_running_loop().time()
        member = next((each for each in self._members if each.given == proof), None)
        if member is None or member.credential.refused(proof, status, headers):
            return True  # it has been replaced meanwhile, or will be at once
        if now >= member.rests_until:
            seconds = REFUSED_SECONDS
            if status == 429:
                wait = told_wait(headers, self._wall_clock())
                seconds = LIMITED_SECONDS if wait is None else min(wait, LIMITED_SECONDS_MAX)
            self._rest(member, seconds, status)
        return any(now >= other.rests_until for other in self._members)

    def _next(self, now: float) -> _Member:
        return next((member for member in self._queue if now >= member.rests_until), min(self._queue, key=lambda each: each.rests_until))

    def _used(self, member: _Member, proof: Proof) -> None:
        member.given = proof
        self._queue.remove(member)
        self._queue.append(member)

    def _rest(self, member: _Member, seconds: float, status: int) -> None:
        member.rests_until = asyncio.get_running_loop().time() + seconds
        self._report(CredentialRests(self._vendor, member.number, len(self._members), status=status, seconds=seconds))
