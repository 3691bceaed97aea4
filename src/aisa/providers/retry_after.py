"""How long a vendor asks us to wait, in every form in which vendors write it: true seconds. What a caller is told is clamped elsewhere.

Pure: the time of day is an argument, because some vendors name a moment and not a length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

WAIT_SECONDS_MAX = 1e9  # about 31 years; a longer wait is a typing mistake
TEXT_CHARACTERS_MAX = 64  # of a header or a length that are looked at; a date has half of it
WORDS_CHARACTERS_MAX = 4_096  # of a refusal's words that are searched for a wait
#: From these sizes on a bare number in a `reset` header is a moment: seconds, or milliseconds, since 1970.
EPOCH_SECONDS_MIN = 1e9
EPOCH_MILLISECONDS_MIN = 1e11

UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])"
NUMBER = re.compile(r"\d{1,400}(?:\.\d{0,20})?", re.ASCII)
#: One part of a length as vendors write it: `37.2s`, `6m0s`, `120ms`, `2h15m`, `1 minute 5 seconds`.
PART = re.compile(rf"(\d{{1,12}}(?:\.\d{{0,12}})?) ?({UNIT})", re.ASCII)
IN_WORDS = re.compile(
    r"\b(?:retry|try|wait|resets?|available)(?: [a-z]{1,12}){0,4}[ :]{1,2}"
    rf"((?:\d{{1,12}}(?:\.\d{{0,12}})? ?{UNIT}[ ,]{{0,2}}(?:and )?){{1,4}})",
    re.ASCII,
)
SECONDS_OF = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def told_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the wait that the headers name for this refusal; `now` is UNIX seconds. Milliseconds win: who sends both means them."""
    milliseconds = looked_at(headers.get("retry-after-ms"))
    if NUMBER.fullmatch(milliseconds):
        return bounded(float(milliseconds) / 1000)
    text = looked_at(headers.get("retry-after"))
    return bounded(float(text)) if NUMBER.fullmatch(text) else length_or_date(text, now)


def wait_in_words(message: str) -> float | None:
    """Return the wait that a sentence names, as in `Please retry in 37.2s`."""
    found = IN_WORDS.search(message[:WORDS_CHARACTERS_MAX].lower())
    return length(found[1]) if found else None


def reset_wait(headers: Mapping[str, str], now: float) -> tuple[float | None, bool]:
    """Return the time until the limit that was hit starts anew, as headers like `x-ratelimit-reset-requests` tell it, and if it is used up.

    Vendors send these with every answer, so they say how long and never that waiting helps. Of several limits those count that have
    nothing remaining, the longest of them; if none says so, the soonest of all.
    """
    hit: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        if "ratelimit" in name and "reset" in name:
            wait = moment_or_length(looked_at(value), now)
            if wait is not None:
                used_up = looked_at(headers.get(name.replace("reset", "remaining"))) == "0"
                (hit if used_up else others).append(wait)
    return (max(hit), True) if hit else (min(others, default=None), False)


def moment_or_length(text: str, now: float) -> float | None:
    """Read a `reset` header: a length, in seconds or with units, a UNIX time in seconds or milliseconds, or a date."""
    if not NUMBER.fullmatch(text):
        return length_or_date(text, now)
    number = float(text)
    if number >= EPOCH_MILLISECONDS_MIN:
        return bounded(number / 1000 - now)
    return bounded(number - now if number >= EPOCH_SECONDS_MIN else number)


def length_or_date(text: str, now: float) -> float | None:
    """Return the seconds in a length with units, else those from `now` to an HTTP date or an ISO 8601 time; 0 if that has passed."""
    seconds = length(text)
    if seconds is not None:
        return seconds
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
            return bounded((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
        except (ValueError, TypeError, IndexError, OverflowError):  # what the parsers raise for what is no date
            continue
    return None


def length(value: object) -> float | None:
    """Return the seconds in a length with units, None for anything else. A bare number is none: it has no unit."""
    text = value[:TEXT_CHARACTERS_MAX].lower() if isinstance(value, str) else ""
    parts = PART.findall(text)
    if not parts or PART.sub("", text).replace("and", "").strip(" ,."):
        return None
    return bounded(sum(float(number) * (0.001 if unit.startswith(("ms", "mil")) else SECONDS_OF[unit[0]]) for number, unit in parts))


def bounded(seconds: float) -> float:
    """Keep a wait between 0 and WAIT_SECONDS_MAX."""
    return min(max(0.0, seconds), WAIT_SECONDS_MAX)


def looked_at(text: str | None) -> str:
    """Return a header's text; nothing of one that is longer than what any vendor means, but for a number, which may have any length."""
    text = (text or "").strip()
    return text if len(text) <= TEXT_CHARACTERS_MAX or NUMBER.fullmatch(text) else ""
