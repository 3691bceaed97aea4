"""What a process that died left in the journal, brought to the database before the first call. Idempotent: it may die half-way itself.

An open call is settled at the output that had left the dead process, at the prices of the target that was asked last: the kernel sent
that, even without it. A closed one stands as it is, unless it is an answer that leaves in one message with its end, as documents do and
streams that a vendor sent at once, and that was still in the dead process.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aisa.ledger.charge import amended, crashed
from aisa.ledger.journal import WHOLE, Found, Journal
from aisa.ledger.journal_record import closing_record
from aisa.ledger.row import CallRow, Opening
from aisa.ledger.rules import COMPLETED, CRASHED, Delivered

TOKENS_MAX = 100_000_000  # more than any stream has; a progress has no checksum, and one that was tampered with must not stop a start
ATTEMPTS_MAX = 1_000  # more than any model has targets; it has no checksum either
BATCH_ROWS_MAX = 512  # in one transaction

#: Brings rows to the database, leaving out those that it has; returns when they are committed.
Insert = Callable[[list[CallRow]], object]
DECODE_OPENING = msgspec.json.Decoder(Opening).decode
DECODE_ROW = msgspec.json.Decoder(CallRow).decode


def recover(journal: Journal, insert: Insert, now_ms: int) -> list[CallRow]:
    """Settle every call that is left, and free its slot once the database has it. Returns the rows. Raises StorageFailed."""
    recovered: list[CallRow] = []
    left = journal.found()
    for start in range(0, len(left), BATCH_ROWS_MAX):
        found = left[start : start + BATCH_ROWS_MAX]
        rows = [settled(each, now_ms) for each in found]
        insert(rows)
        for each in found:
            each.slot.free()
        recovered += rows
    return recovered


def settled(found: Found, now_ms: int) -> CallRow:
    """Return the row of a call that is left, and make sure that another death would find the same."""
    if found.closing is not None:
        row = DECODE_ROW(found.closing)
        if row.outcome != COMPLETED or found.progress:
            return row
        row = amended(row, CRASHED, Delivered())  # nothing had left the dead process
        found.slot.amend(closing_record(row))
        return row
    tokens, attempts = min(found.progress % WHOLE, TOKENS_MAX), min(found.attempts, ATTEMPTS_MAX)
    row = crashed(DECODE_OPENING(found.opening), tokens, attempts=attempts, found_ms=now_ms)
    found.slot.close(closing_record(row))
    return row
