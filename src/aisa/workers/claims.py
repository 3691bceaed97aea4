"""The Idempotency-Keys that calls of workers claim: nobody keeps one who has left, or died, before it was decided. Keeps no answer."""

from __future__ import annotations

from aisa.edge.idempotency import Answer as KeptAnswer
from aisa.edge.idempotency import IdempotencyStore
from aisa.ledger.row import CallRow
from aisa.shared_uses import SharedUses
from aisa.workers.crew import Worker
from aisa.workers.messages import Claim


class Claims:
    """The claims of all workers, which `uses` decides: at once, or when a database has answered."""

    def __init__(self, uses: IdempotencyStore | SharedUses) -> None:
        self.uses = uses

    async def decide(self, worker: Worker, claim: Claim) -> KeptAnswer | None:
        """Return the answer to send again; None if the call is the first with its mark. Raises ApiError."""
        worker.asking.add(claim.call_id)
        try:
            answer = await self.uses.claim(claim.mark, claim.call_id)
        finally:
            wanted = claim.call_id in worker.asking
            worker.asking.discard(claim.call_id)
        if answer is None and wanted:
            worker.claims[claim.mark] = claim.call_id
        elif answer is None:  # what was forgotten meanwhile is there only now
            self.uses.forget(claim.mark, claim.call_id)
        return answer

    def forget(self, worker: Worker, mark: str, call_id: str) -> None:
        """Forget a call that was refused before it was opened, or whose client has left: its claim may not be decided yet."""
        worker.asking.discard(call_id)
        if worker.claims.get(mark) == call_id:  # else it is another call's, which refused this one
            del worker.claims[mark]
        self.uses.forget(mark, call_id)

    def final(self, worker: Worker, row: CallRow) -> None:
        """Take the final row of a call."""
        if row.idempotency is not None:
            worker.claims.pop(row.idempotency, None)
            self.uses.final(row)

    def leave(self, worker: Worker) -> None:
        """Forget the calls of a worker that is gone, whose rows were all taken."""
        worker.asking.clear()
        for mark, call_id in worker.claims.items():
            self.uses.forget(mark, call_id)
