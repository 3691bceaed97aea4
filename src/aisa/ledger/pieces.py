"""Which sums and which rows a question about a span of time needs, so that every call counts once. Asks no database.

Calls that ended before `rolled_ms` are in the sums of their hour and day, no others. Calls that ended before `removed_ms` may be nowhere
else: of them only whole hours can be told.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from aisa.errors import ApiError
from aisa.ids import CROCKFORD, PREFIX

TIME_CHARACTERS = 10  # of an id, before its random ones
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
#: What a piece is read from: a number of hours is that of the sums.
ROWS, HOURS, DAYS = 0, 1, 24


class RolledUp(NamedTuple):
    """How far the sums go, and the removal of rows, in UNIX milliseconds: see above."""

    rolled_ms: int = 0
    removed_ms: int = 0


class Piece(NamedTuple):
    """A part of a span, [start, end) in UNIX milliseconds, and what it is read from."""

    source: int
    start_ms: int
    end_ms: int


def pieces_of(start_ms: int, end_ms: int, known: RolledUp) -> list[Piece]:
    """Return the parts of [start, end). Raises ApiError invalid_request where they would need rows that may be removed."""
    first, all_of_it = up(start_ms, HOUR_MS), end_ms >= known.rolled_ms
    # The running hour and day have exactly what ended before `rolled_ms`, so where all of that is asked for they serve too.
    last = known.rolled_ms if all_of_it else down(end_ms, HOUR_MS)
    if first >= last:
        found = [Piece(ROWS, start_ms, end_ms)]
    else:
        first_day, last_day = up(first, DAY_MS), last if all_of_it else down(last, DAY_MS)
        if first_day >= last_day:
            first_day = last_day = last
        found = [
            Piece(ROWS, start_ms, first),
            Piece(HOURS, first, first_day),
            Piece(DAYS, first_day, last_day),
            Piece(HOURS, last_day, last),
            Piece(ROWS, last, end_ms),
        ]
    found = [piece for piece in found if piece.start_ms < piece.end_ms]
    for piece in found:
        if piece.source == ROWS and piece.start_ms < known.removed_ms:
            raise not_whole(piece.start_ms, known)
    return found


def up(moment_ms: int, width_ms: int) -> int:
    """Return the first border at a moment or after it."""
    return -down(-moment_ms, width_ms)


def down(moment_ms: int, width_ms: int) -> int:
    """Return the last border at a moment or before it."""
    return moment_ms - moment_ms % width_ms


def not_whole(moment_ms: int, known: RolledUp, width_ms: int = HOUR_MS) -> ApiError:
    """Return the error for a border inside an hour or day whose calls are kept as one sum."""
    begins, name = down(moment_ms, width_ms) // 1000, "hour" if width_ms == HOUR_MS else "day"
    what = f"Of calls that ended before {moment_of(known.removed_ms)} only sums by the {name} are kept (`ledger.keep_days`)."
    remedy = f"Begin and end there at full {name}s (UTC), such as {begins} or {begins + width_ms // 1000} (UNIX seconds)."
    return ApiError("invalid_request", f"{what} {remedy}")


def moment_of(moment_ms: int) -> str:
    """Return a UNIX millisecond's second in ISO 8601, UTC."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_of(ended_ms: int) -> str:
    """Return the name of the file for calls that ended in the month (UTC) of a moment, once they are removed."""
    return f"calls-{datetime.fromtimestamp(ended_ms // 1000, UTC):%Y-%m}.jsonl"


def moment_in(id_: str) -> int | None:
    """Return the UNIX millisecond in which an id was made, None for a text that is no beginning of an id with its whole time."""
    text = id_.removeprefix(PREFIX)[:TIME_CHARACTERS]
    if len(text) < TIME_CHARACTERS or not set(text) <= set(CROCKFORD):
        return None
    value = 0
    for character in text:
        value = value * len(CROCKFORD) + CROCKFORD.index(character)
    return value
