"""Every check passes on a server that keeps its rule and fails on one that is made to break just that; both over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisa.checks.check import BASES, FAILED, PASSED, PROMISE, PROTOCOL, Check, Verdict
from aisa.checks.registry import CHECKS
from aisa.checks.remedies import product_of
from aisa.checks.running import judge, look, run
from aisa.cli.check_lines import changes, failure, wrapped
from aisa.testing.clock import run_virtual
from broken_rules import BROKEN, SUBTLE
from checked import checked
from tampering import Tamper

ROOT = Path(__file__).resolve().parents[1]
ALL = pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])


def verdict(check: Check, tamper: Tamper | None = None, *, final_seconds: float = 0.0) -> Verdict:
    """Run one check on a gateway of its own."""

    async def main() -> Verdict:
        async with checked(tamper, final_seconds=final_seconds) as subject:
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


def test_a_repeat_that_comes_before_the_bill_is_final_is_asked_again_as_the_answer_says() -> None:
    """[fault O2] A proxy may have the whole answer and not acknowledge it yet: 409 with `Retry-After` is right then, and was a failure."""
    check = next(each for each in CHECKS if each.name == "idempotency")
    given = verdict(check, final_seconds=0.25)
    assert (given.state, given.seen) == (PASSED, "")
    assert verdict(check, final_seconds=60.0).state == FAILED


@pytest.mark.parametrize("name", SUBTLE)
def test_a_check_sees_the_break_that_a_weaker_one_would_pass(name: str) -> None:
    """The rule is kept in its letter's first half: ids are there and all the same, the median is in time, the answer ends and is empty."""
    check, tamper = SUBTLE[name]
    given = verdict(next(each for each in CHECKS if each.name == check), tamper)
    assert given.state == FAILED, (given.state, given.seen)


@pytest.mark.parametrize(
    ("server", "settings"),
    [
        ("nginx/1.22.1", ["in `location`: `proxy_read_timeout 660s;`"]),
        ("envoy", ["`timeout: 0s`", "`idle_timeout: 330s`"]),
        ("", ["`proxy_read_timeout 660s;`", "`timeout server 660s`", "`ProxyTimeout 660`", "No header tells which proxy stands there"]),
    ],
    ids=["nginx", "Envoy", "one that says nothing"],
)
def test_behind_a_proxy_with_a_limit_of_60_s_the_output_alone_says_which_setting_to_change(server: str, settings: list[str]) -> None:
    """A document of 75 s is 504 and a stream is cut after 60 s: that is said, and the setting of the proxy that stands there."""

    async def main() -> tuple[str, list[Verdict]]:
        async with checked(Tamper(limit=60.0, told=lambda headers: headers.update({"server": server}))) as subject:
            await look(subject)
            wanted = [check for check in CHECKS if check.name in ("long-document", "long-stream")]
            return subject.server, await run(subject, wanted)

    said, verdicts = run_virtual(main())
    assert [(verdict.check.name, verdict.state) for verdict in verdicts] == [("long-stream", FAILED), ("long-document", FAILED)]
    told = "\n".join([*map(failure, verdicts), *changes(verdicts, product_of(said), ours=True)])
    assert "504 after 60 s" in told
    assert "cut after 60 s" in told
    assert [setting for setting in settings if setting not in told] == []
    assert server == "" or "ProxyTimeout" not in told


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_no_setting_is_broken_at_the_end_of_a_line(columns: int) -> None:
    """What stands between backticks can be copied from any terminal, as one piece."""
    settings = {text for check in CHECKS for text in check.remedies.values()}
    broken = [line for text in settings for line in wrapped(text, "    ", columns) if line.count("`") % 2]
    assert broken == []


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
