"""Books that keep nothing: they price a call so that its answer can say what it cost, and forget it. No wallet, no history."""

from __future__ import annotations

from aisa.keys.rules import Key
from aisa.ledger.port import COMPLETED, FAILED, Bill
from aisa.pricing import UnitPrices, cost_of
from aisa.routing import Plan
from aisa.usage import Usage


class TransientCharge:
    """One call being priced."""

    def __init__(self, prices: UnitPrices | None) -> None:
        self._prices = prices
        self._bill: Bill | None = None

    def close(self, usage: Usage, outcome: str) -> Bill:
        """Return the bill: nothing for a failed call and for one that was cut before its first token."""
        if self._bill is None:
            free = outcome == FAILED or (outcome != COMPLETED and usage.output_tokens == 0)
            cost = None if self._prices is None else 0 if free else cost_of(usage, self._prices)
            self._bill = Bill(cost)
        return self._bill


class TransientLedger:
    """Opens charges and keeps none."""

    async def open(self, call_id: str, key: Key, plan: Plan) -> TransientCharge:
        """Open a call at the prices of its model."""
        return TransientCharge(plan.entry.prices)
