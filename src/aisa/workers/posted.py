"""A call that has ended at a worker and whose row the database does not have yet, as those who show calls see it. Writes nothing."""

from __future__ import annotations

import msgspec

from aisa.ledger.row import CallRow, Opening


class PostedRow(msgspec.Struct, frozen=True):
    """Such a call; implements `edge.statement.Booked`."""

    row: CallRow

    @property
    def opening(self) -> Opening:
        """Nobody asks: it has ended."""
        raise AssertionError("it has its row")

    @property
    def progress(self) -> int:
        """The output tokens that were sent."""
        return self.row.delivered
