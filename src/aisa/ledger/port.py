"""What the path of a call asks of the ledger: open before the vendor is asked, close exactly once. Never waits for a database."""

from __future__ import annotations

from typing import Protocol

import msgspec

from aisa.keys.rules import Key
from aisa.money import Nanos
from aisa.routing import Plan
from aisa.usage import Usage

#: How a call can end. A complete answer costs what was reported; one that was cut, what was delivered; a failed one, nothing.
COMPLETED = "completed"
FAILED = "failed"
CUT = "cut"
CLIENT_GONE = "client_gone"
CLIENT_STALLED = "client_stalled"
SHUT_DOWN = "shut_down"


class Bill(msgspec.Struct, frozen=True):
    """What a call cost. `cost` is None for a model without a price."""

    cost: Nanos | None


class Charge(Protocol):
    """One open call in the books."""

    def close(self, usage: Usage, outcome: str) -> Bill:
        """Settle. The first closing counts; a later one returns the same bill."""
        ...


class Ledger(Protocol):
    """The books."""

    async def open(self, call_id: str, key: Key, plan: Plan) -> Charge:
        """Open a call before the vendor is asked. Raises ApiError insufficient_wallet_balance or overloaded."""
        ...
