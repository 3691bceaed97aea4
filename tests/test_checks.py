"""Every check passes on a server that keeps its rule and fails on one that is made to break just that; both over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisa.checks.check import BASES, FAILED, PASSED, PROMISE, PROTOCOL, Check, Verdict
from aisa.checks.registry import CHECKS
from aisa.checks.running import judge
from aisa.testing.clock import run_virtual
from broken_rules import BROKEN
from checked import checked
from tampering import Tamper

ROOT = Path(__file__).resolve().parents[1]
ALL = pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])


def verdict(check: Check, tamper: Tamper | None = None) -> Verdict:
    """Run one check on a gateway of its own."""

    async def main() -> Verdict:
        async with checked(tamper) as subject:
            return await judge(subject, check)

    return run_virtual(main())


@ALL
def test_a_check_passes_on_a_server_that_keeps_its_rule(check: Check) -> None:
    """Directly at our own server every check passes."""
    given = verdict(check)
    assert (given.state, given.seen) == (PASSED, given.seen), given.seen


@ALL
def test_a_check_fails_on_a_server_that_breaks_just_its_rule(check: Check) -> None:
    """A proxy between breaks one thing; the check sees it."""
    given = verdict(check, BROKEN[check.name])
    assert given.state == FAILED, (given.state, given.seen)
    assert given.seen


def test_there_are_at_least_fifty_checks_and_a_broken_server_for_each() -> None:
    """Names are used once, and no check goes without its counter-example."""
    names = [check.name for check in CHECKS]
    assert len(names) >= 50
    assert len(set(names)) == len(names)
    assert set(BROKEN) == set(names)


@ALL
def test_who_asks_for_a_rule_is_where_that_is_said(check: Check) -> None:
    """A rule of a protocol is written outside of this project; a promise is on a page of this project, which is there."""
    page = ROOT / check.source.partition(",")[0]
    assert check.basis in BASES
    if check.basis == PROTOCOL:
        assert not page.suffix, "a protocol's rule stands in a page of ours"
    if check.basis == PROMISE:
        assert page.is_file(), "a promise stands nowhere"
    assert not check.ours or check.basis == PROMISE, "nobody else has receipts"
