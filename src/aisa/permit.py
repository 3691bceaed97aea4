"""One call's permission to be made and to go on: what its account can pay first, then what its key's rates allow. Keeps no books itself.

Behind it are two ports, `ledger` and `admission`. Each can answer at once from what it has in memory, or have the call wait for a store
that several servers share; the path does not see which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aisa.admission.port import Admission, Lease, Places
from aisa.call import Call
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.ledger.port import Charge, Ledger, Short
from aisa.offer import Offer, Plan
from aisa.usage import Usage
from aisa.wire.door import Request

EXTEND_SECONDS_MAX = 5.0  # for a store's answer inside a stream: the client waits for it, and a store that is slower is down


class Permit:
    """A permission that was given. `covered` output tokens in all may be sent without asking; it is ended exactly once."""

    __slots__ = ("_lease", "charge", "covered", "places")

    def __init__(self, charge: Charge, lease: Lease) -> None:
        self.charge = charge
        self._lease: Lease | None = lease
        self.covered = min(charge.covered, lease.covered)
        self.places: Places | None = None  # at vendors, where those of the call's model limit us

    async def place(self, admission: Admission, call: Call, *, request: Request, plan: Plan) -> Offer:
        """Return the target that is asked first: the first whose vendor has room for us, be it after a wait. Raises ApiError."""
        self.places = admission.places(call, request, plan, input_tokens=self.charge.input_tokens)
        return await self.places.first()

    async def extend(self, tokens: int) -> None:
        """Return once so many output tokens in all may be sent. Raises ApiError when they may not, or when nobody can say it in time."""
        lease = self._lease
        assert lease is not None, "it has not ended"
        try:
            async with asyncio.timeout(EXTEND_SECONDS_MAX):
                for limit in (self.charge, lease):
                    if tokens > limit.covered and (waiting := cover(limit, tokens)) is not None:
                        await waiting
        except TimeoutError:
            raise ApiError("overloaded", "This server cannot look up what is left of your limits at the moment. Try again soon.") from None
        self.covered = min(self.charge.covered, lease.covered)

    def correct(self, used: Usage) -> None:
        """Have the rates count the tokens that the call used, before it ends."""
        if self._lease is not None:
            self._lease.correct(used)

    def end(self, used: Usage) -> None:
        """Give the lease back with the tokens that the call used. The first time counts."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release(used)
            if self.places is not None:
                self.places.end(used)


def cover(limit: Charge | Lease, tokens: int) -> Awaitable[None] | None:
    """Have a limit allow so many output tokens in all; what is returned, if anything, is to be awaited. Raises ApiError."""
    try:
        return limit.cover(tokens)
    except Short as short:
        return cover_with_more(short, limit, tokens)


async def cover_with_more(short: Short, limit: Charge | Lease, tokens: int) -> None:
    """Do it once more has been allotted to this server, or again where another call was quicker. Raises ApiError."""
    await short.more()
    if (waiting := cover(limit, tokens)) is not None:
        await waiting


async def open_permit(ledger: Ledger, admission: Admission, call: Call, *, key: Key, request: Request, plan: Plan) -> Permit:
    """Return a call's permit: money first, then rate. Raises ApiError, and leaves nothing held then."""
    charge = await ledger.open(call, key, request, plan=plan)
    try:
        lease = await admission.admit(call, request, plan, input_tokens=charge.input_tokens)
    except BaseException:
        charge.void()
        raise
    return Permit(charge, lease)
