"""Durations as people write them, taken in one way wherever one is asked for: `20s`, `90 minutes`, `12h`, `7d`, `2w`, `1h30m`, `0`.

A month and a year are no durations, as they differ in length.
"""

from __future__ import annotations

import re

#: What to tell somebody whose duration cannot be read.
FORMS = "20s, 30m, 12h, 7d, 2w or 1h30m"
UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
SPELLED = {"millisecond": "ms", "sec": "s", "second": "s", "min": "m", "minute": "m", "hr": "h", "hour": "h", "day": "d", "week": "w"}
PART = re.compile(r"\s*([0-9]{1,12})\s*([a-z]+)\s*", re.ASCII | re.IGNORECASE)  # twelve digits of milliseconds are thirty years


def milliseconds(text: str) -> int | None:
    """Return how many milliseconds a duration has, None for a text that is none. Units come once each, the longest first."""
    if text.strip() == "0":
        return 0
    total, at, last = 0, 0, max(UNIT_MS.values()) + 1
    while at < len(text):
        part = PART.match(text, at)
        unit = "" if part is None else part[2].lower()
        length = UNIT_MS.get(SPELLED.get(unit.removesuffix("s"), unit), last)
        if part is None or length >= last:
            return None
        total, at, last = total + int(part[1]) * length, part.end(), length
    return total if text else None
