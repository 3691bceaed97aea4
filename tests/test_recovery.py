"""What the next start makes of an answer that was settled and was still in the process when that died."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisa.ledger.journal import Journal
from aisa.ledger.journal_record import closing_record, opening_record
from aisa.ledger.recovery import recover
from aisa.ledger.row import Opening
from aisa.ledger.rules import COMPLETED, CRASHED, CUT
from rows import NOON, priced


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("outcome", "progress", "becomes", "is_free"),
    [(COMPLETED, 0, CRASHED, True), (COMPLETED, 1, COMPLETED, False), (CUT, 0, CUT, False)],
)
def test_an_answer_of_which_nothing_had_left_is_free_though_it_was_settled(
    tmp_path: Path, stream: bool, outcome: str, progress: int, becomes: str, is_free: bool
) -> None:
    """A document, or a stream that was all there, leaves behind its settlement in one message; the next start finds whether it has."""
    row = priced(1, stream=stream, outcome=outcome)
    journal = Journal.open(tmp_path / "board", slots_max=8)
    slot = journal.take(opening_record(Opening(row.id, row.account, row.key_id, row.model, stream, NOON, 100)))
    slot.words[slot.at] = progress
    slot.close(closing_record(row))
    journal.close()
    journal = Journal.open(tmp_path / "board", slots_max=8)
    [found] = recover(journal, lambda _rows: None, NOON)
    journal.close()
    assert (found.outcome, found.cost == 0) == (becomes, is_free)
