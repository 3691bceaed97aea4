"""Runs checks against an endpoint: the quick ones one after the other, as they measure, and then the slow ones together, as they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aisa.checks.check import FAILED, PASSED, SKIPPED, Check, Verdict
from aisa.checks.subject import Broken, Skipped, Subject, printable

CHECK_SECONDS_MAX = 240.0  # of one check, the slowest of which takes 90


async def look(subject: Subject) -> int:
    """Note what answers, by its `server` and `via` headers, and return its status. Raises Broken when nothing does."""
    response = await subject.ask(subject.request(method="GET", path="/v1/models"))
    subject.server = printable(", ".join(response.headers[name] for name in ("server", "via") if response.headers.get(name)))
    return response.status


async def run(subject: Subject, checks: Iterable[Check], tell: Callable[[Verdict], None] = lambda _verdict: None) -> list[Verdict]:
    """Run checks and return their verdicts in order; `tell` gets each when it is there."""
    wanted = list(checks)
    verdicts: dict[str, Verdict] = {}
    for check in wanted:
        if check.quick:
            verdicts[check.name] = await judge(subject, check)
            tell(verdicts[check.name])

    async def one(check: Check) -> None:
        verdicts[check.name] = await judge(subject, check)
        tell(verdicts[check.name])

    async with asyncio.TaskGroup() as together:
        for check in wanted:
            if not check.quick:
                together.create_task(one(check))
    return [verdicts[check.name] for check in wanted]


async def judge(subject: Subject, check: Check) -> Verdict:
    """Run one check."""
    began = subject.now()
    state, seen = PASSED, ""
    if check.needs_vendor and subject.vendor is None:
        return Verdict(check, SKIPPED, "needs a vendor that is played: --vendor-port", 0.0)
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            seen = await check.run(subject)
    except Broken as broken:
        state, seen = FAILED, str(broken)
    except Skipped as skipped:
        state, seen = SKIPPED, str(skipped)
    except TimeoutError:
        state, seen = FAILED, f"no end within {CHECK_SECONDS_MAX:.0f} s"
    return Verdict(check, state, subject.without_key(seen), subject.now() - began)
