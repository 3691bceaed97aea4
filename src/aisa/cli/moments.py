"""Moments in the past as every command takes them: so long ago, a day, the beginning of a calendar's span. Knows no command."""

from __future__ import annotations

from datetime import UTC, datetime

from aisa.cli.problems import Misuse
from aisa.durations import FORMS, milliseconds
from aisa.edge.admin_usage import SPAN_MS_MAX
from aisa.keys.rules import window_start
from aisa.ledger.port_usage import DAY_MS

ALWAYS = "always"
CALENDAR = {"today": "day", "week": "week", "month": "month"}  # as spend caps count them: days of UTC, weeks from Monday
BY_THE_HOUR_SECONDS = 31 * 86_400  # longer durations begin at a full hour, as calls may be kept in sums of hours by then


def beginning(since: str, now: float) -> int:
    """Return the UNIX millisecond of a duration ago, a date, a date and time, or the beginning of this day, week or month, all UTC.

    Raises Misuse for anything else, the future, and what is longer ago than is summed up at once.
    """
    duration_ms = milliseconds(since)
    try:
        if since.strip().lower() in CALENDAR:
            start = window_start(CALENDAR[since.strip().lower()], now)
        elif duration_ms == 0:
            raise ValueError("nothing lies between now and now")
        elif duration_ms is not None:
            start = int(now) - duration_ms // 1000
            if int(now) - start > BY_THE_HOUR_SECONDS:
                start -= start % 3_600
        else:
            moment = datetime.fromisoformat(since.strip())
            start = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        problem = (since[:40], "This is no duration and no date.", f"Write {FORMS}, today, week, month, or a date such as 2026-12-31.")
        raise Misuse("the beginning cannot be read", [problem]) from None
    if start < 0 or not 0 < (int(now) + 1 - start) * 1000 <= SPAN_MS_MAX:
        problem = (since[:40], "This is in the future, or too long ago.", f"Begin {SPAN_MS_MAX // DAY_MS} days ago at most.")
        raise Misuse("the beginning cannot be used", [problem])
    return start * 1000


def beginning_or_always(since: str, now: float) -> int:
    """Return the same, and 0 for `always`. Raises Misuse."""
    return 0 if since.strip().lower() == ALWAYS else beginning(since, now)
