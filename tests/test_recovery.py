"""What the next start makes of an answer that was settled and was still in the process when that died."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aisa.ledger.journal import WHOLE, Journal
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


@pytest.mark.parametrize("settled", [True, False])
def test_an_answer_without_output_that_had_left_costs_its_input_and_no_token_of_output(tmp_path: Path, settled: bool) -> None:
    """Embeddings, say. That it has left is no token; so it is too where its settlement is lost, as a loss of power may have it."""
    whole = priced(1, stream=False, outcome=COMPLETED)
    row = replace(whole, generated=replace(whole.generated, output_tokens=0), billed=replace(whole.billed, output_tokens=0))
    journal = Journal.open(tmp_path / "board", slots_max=8)
    slot = journal.take(opening_record(Opening(row.id, row.account, row.key_id, row.model, row.stream, NOON, 100)))
    if settled:
        slot.close(closing_record(row))
    slot.words[slot.at] = WHOLE
    journal.close()
    journal = Journal.open(tmp_path / "board", slots_max=8)
    [found] = recover(journal, lambda _rows: None, NOON)
    journal.close()
    assert (found.outcome, found.billed.output_tokens) == (COMPLETED if settled else CRASHED, 0)
