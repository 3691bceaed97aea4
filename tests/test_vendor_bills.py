"""Bills of real vendors' reports: what was billed wrong once (faults M4, M9, M10, M11, M12, M16).

As a document and as a stream: the bill is the same. The reports and their arithmetic are in `vendor_reports`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aisa.ledger.audit import differences_of, exact_cost
from vendor_reports import REPORTS, billed

PAGE = Path(__file__).parents[1] / "docs" / "compared-bills.md"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", REPORTS)
def test_a_vendors_report_costs_what_its_arithmetic_says(name: str, *, stream: bool) -> None:
    """By the server's rule and by that of an auditor who knows the documentation alone."""
    row = billed(REPORTS[name], stream=stream)
    assert list(differences_of(row)) == []
    assert row.prices is not None
    assert (row.outcome, row.cost // 1_000) == ("completed", REPORTS[name].micros)
    assert exact_cost(row.billed, row.prices) == row.cost


def test_the_page_that_compares_bills_has_every_report_at_the_cost_that_it_has_here() -> None:
    """`make bills` wrote it; LiteLLM's column is as it was then."""
    rows = [[cell.strip() for cell in line.split("|")] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert {row[1]: int(row[2].replace(",", "").partition(".")[0]) for row in rows[1:]} == {
        name: report.micros for name, report in REPORTS.items()
    }
