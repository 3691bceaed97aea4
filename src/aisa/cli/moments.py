"""Moments in the past as every command takes them: so long ago, a day, the beginning of a calendar's span. Knows no command."""

from __future__ import annotations

from datetime import UTC, datetime

from aisa.cli.problems import Misuse
from aisa.durations import FORMS, milliseconds
from aisa.edge.admin_route import MOMENT_MS_MAX
from aisa.keys.rules import window_start
from aisa.ledger.port_usage import DAY_MS

ALWAYS = "always"
CALENDAR = {"today": "day", "week": "week", "month": "month"}  # as spend caps count them: days of UTC, weeks from Monday
BY_THE_HOUR_SECONDS = 31 * 86_400  # longer durations begin at a full hour, as calls may be kept in sums of hours by then


def moment(text: str, now: float) -> int:
    """Return the UNIX second of a duration ago, a date, a date and time, or the beginning of this day, week or month, all UTC.

    Raises Misuse for anything else.
    """
    duration_ms = milliseconds(text)
    try:
        if text.strip().lower() in CALENDAR:
            start = window_start(CALENDAR[text.strip().lower()], now)
        elif duration_ms == 0:
            raise ValueError("nothing lies between now and now")
        elif duration_ms is not None:
            start = int(now) - duration_ms // 1000
            if int(now) - start > BY_THE_HOUR_SECONDS:
                start -= start % 3_600
        else:
            read = datetime.fromisoformat(text.strip())
            start = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        problem = (text[:40], "This is no duration and no date.", f"Write {FORMS}, today, week, month, or a date such as 2026-12-31.")
        raise Misuse("the time cannot be read", [problem]) from None
    if not 0 <= start <= MOMENT_MS_MAX // 1000:
        raise Misuse("the time cannot be used", [(text[:40], "Nothing can have been then.", "Write a year from 1970 on.")])
    return start


def beginning(since: str, now: float, *, ago_ms_max: int = MOMENT_MS_MAX) -> int:
    """Return the same in milliseconds. Raises Misuse also for the future, and for what is longer ago than may be asked for."""
    start = moment(since, now)
    if start > int(now):
        raise Misuse("the beginning cannot be used", [(since[:40], "This is in the future.", "Write a time in the past.")])
    if (int(now) + 1 - start) * 1000 > ago_ms_max:
        problem = (since[:40], "This is too long ago.", f"Begin {ago_ms_max // DAY_MS} days ago at most.")
        raise Misuse("the beginning cannot be used", [problem])
    return start * 1000


def ending(until: str, now: float) -> int:
    """Return the same, which may be in the future. Raises Misuse."""
    return moment(until, now) * 1000


def beginning_or_always(since: str, now: float) -> int:
    """Return the same, and 0 for `always`. Raises Misuse."""
    return 0 if since.strip().lower() == ALWAYS else beginning(since, now)
