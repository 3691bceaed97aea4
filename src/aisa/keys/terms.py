"""What administrators write of a key's terms, read: expiries, graces and caps. Keeps nothing, and knows no clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from aisa.durations import FORMS, milliseconds
from aisa.keys.rules import DAY, DAY_SECONDS, MONTH, WEEK, SpendCap, invalid
from aisa.money import parse_dollars

EXPIRY_SECONDS_MAX = 100 * 366 * 86_400  # a century: beyond it a number was mistyped
GRACE_SECONDS_MAX = 90 * 86_400  # that a secret stays good after it was replaced: a quarter


def parse_spend_cap(text: str | None) -> SpendCap | None:
    """Return a cap written as `5/day`, `20/week` or `99.50/month` in US dollars, None for none. Raises ApiError invalid_request."""
    if text is None:
        return None
    dollars, _, window = text.strip().partition("/")
    try:
        amount = parse_dollars(dollars)
    except ValueError as error:
        raise invalid("spend_cap", f"The spend cap cannot be read: {error}") from None
    if amount <= 0 and window in (DAY, WEEK, MONTH):
        raise invalid("spend_cap", f"{text[:40]!r} is no spend cap: its dollars must be above 0.")
    if window not in (DAY, WEEK, MONTH):
        raise invalid("spend_cap", f"{text[:40]!r} is no spend cap: write dollars and a window, such as 5/day, 20/week or 99.50/month.")
    return SpendCap(amount, window)


def parse_expiry(text: str | None, now: float) -> int | None:
    """Return the UNIX second at which a key expires, None for never.

    Takes a duration from `now` (`durations`), a date (its end, UTC), or a date and time (UTC unless it says otherwise).
    Raises ApiError invalid_request for anything else, for the past, and for more than a century.
    """
    if text is None:
        return None
    duration_ms = milliseconds(text)
    expires_at = _moment(text.strip()) if duration_ms is None else int(now) + duration_ms // 1000
    if expires_at <= now:
        raise invalid("expires", f"{text[:40]!r} is in the past.")
    if expires_at > now + EXPIRY_SECONDS_MAX:
        raise invalid("expires", f"{text[:40]!r} is not in the coming hundred years.")
    return expires_at


def parse_grace(text: str) -> int:
    """Return the seconds that a secret stays good after it was replaced, of a duration (`durations`). Raises ApiError invalid_request."""
    grace_ms = milliseconds(text)
    if grace_ms is None or grace_ms > GRACE_SECONDS_MAX * 1000:
        raise invalid("grace", f"{text[:40]!r} is no time of at most {GRACE_SECONDS_MAX // DAY_SECONDS} days: write 0, or such as {FORMS}.")
    return grace_ms // 1000


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= len("2030-12-31"):
            moment = datetime.combine(moment.date(), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise invalid("expires", f"{text[:40]!r} is no expiry: write {FORMS}, or a date such as 2030-12-31.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
