"""The settings on how the bill is kept, and for how long. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from msgspec import Meta

from aisa.config.section import Seconds, Section

#: A month's spend cap and the longest time that `GET /v1/usage` sums up begin up to 31 days ago, by anybody's clock.
KEEP_DAYS_MIN = 33


class Ledger(Section, frozen=True, kw_only=True):
    """How the bill is kept."""

    durability: Literal["process", "disk"] = "process"
    calls_waiting_max: Annotated[int, Meta(ge=1024, le=1_048_576)] = 65_536
    drains_max: Annotated[int, Meta(ge=0, le=100_000)] = 100
    drain_seconds: Seconds = 120.0
    keep_days: Annotated[int, Meta(ge=KEEP_DAYS_MIN, le=36_500)] | None = None
    export_dir: str | None = None


LEDGER_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "ledger.durability": "What a bill survives: `process`, any death of the process, or `disk`, loss of power too, at the price of two "
        "writes to disk a call.",
        "ledger.calls_waiting_max": "Calls in flight, and ended calls that the database has not taken yet, that are kept at most; more are "
        "refused with 503. Each takes 8 KiB of disk.",
        "ledger.drains_max": "Answers that are read on at the same time at most; more are cancelled.",
        "ledger.drain_seconds": "How long an answer is read on at most.",
        "ledger.keep_days": "After how many days the single calls are removed; what they come to is kept for ever, by the hour, key and "
        "model. If absent, every call is kept.",
        "ledger.export_dir": "Folder that calls are written to before they are removed, as JSON lines, a file a month. If absent, they are "
        "removed for good.",
    }
)
