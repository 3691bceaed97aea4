"""What a check is: a rule that an endpoint keeps or breaks, who suffers if it does, and what to change. Runs none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from aisa.checks.subject import Subject

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
#: Who asks for a rule -> how that is said.
PROTOCOL, PRACTICE, PROMISE = "protocol", "practice", "promise"
BASES: Mapping[str, str] = MappingProxyType(
    {
        PROTOCOL: "a rule of the protocol",
        PRACTICE: "no rule, but clients need it",
        PROMISE: "a promise of aisa, which others need not make",
    }
)
NOTHING: Mapping[str, str] = MappingProxyType({})


class Check(NamedTuple):
    """One rule.

    `door` is the API that it is about, `rule` what must hold, `basis` one of BASES, `source` where that is said, `breaks` what a failure
    breaks (which client, at which version). `remedies` are settings by product, the one without a name for whoever writes the server. A
    `quick` one takes less than 5 seconds; `needs_vendor`: only where the checking program plays the vendor; `ours`: only of a server of
    this project. `run` returns a figure to be shown, or "". It raises Broken, Skipped.
    """

    name: str
    door: str
    rule: str
    run: Callable[[Subject], Awaitable[str]]
    basis: str
    source: str
    breaks: str
    remedies: Mapping[str, str] = NOTHING
    quick: bool = True
    needs_vendor: bool = False
    ours: bool = False


class Verdict(NamedTuple):
    """What became of a check: PASSED, FAILED or SKIPPED, what was seen, and after how many seconds."""

    check: Check
    state: str
    seen: str
    seconds: float
