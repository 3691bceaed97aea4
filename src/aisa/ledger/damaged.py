"""Records of calls that somebody has changed by hand: told by their ids, so that all others can be shown. Repairs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aisa.errors import ApiError
from aisa.ledger.pieces import moment_in
from aisa.ledger.port_calls import CallLine, line_of_refused, line_of_row
from aisa.ledger.record import NAMES, row_of
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow

DAMAGED = "damaged"  # where others say how the call ended
LAST_MS = 253_402_300_799_999  # of the year 9999: what is later has no date
WHAT = "Its row is not as it was written, and cannot be read. `aisa ledger audit` says of all such rows what is wrong with them."


def whole_row(record: Sequence[object]) -> CallRow:
    """Return the row that a record keeps. Raises ApiError internal_error, in words for whoever asks for it, if somebody changed it."""
    try:
        row = row_of(record)
        check_moments(row.began_ms, row.ended_ms)
    except msgspec.MsgspecError as error:
        raise damaged(record[0]) from error
    return row


def whole_refusal(record: Sequence[object]) -> RefusedCalls:
    """Return the same of refused calls."""
    try:
        refused = msgspec.convert(dict(zip(RefusedCalls.__struct_fields__, record, strict=True)), RefusedCalls)
        check_moments(refused.at_ms, refused.last_ms)
    except msgspec.MsgspecError as error:
        raise damaged(record[0]) from error
    return refused


def ended_line(record: Sequence[object]) -> CallLine:
    """Return the line of an ended call, be its row damaged or not."""
    try:
        return line_of_row(whole_row(record))
    except ApiError:
        return damaged_line(NAMES, record)


def refused_line(record: Sequence[object]) -> CallLine:
    """Return the line of refused calls, be their record damaged or not."""
    try:
        return line_of_refused(whole_refusal(record))
    except ApiError:
        return damaged_line(RefusedCalls.__struct_fields__, record)


def check_moments(*moments_ms: int) -> None:
    """Raise msgspec.ValidationError for a moment that no date has."""
    if not all(0 <= moment_ms <= LAST_MS for moment_ms in moments_ms):
        raise msgspec.ValidationError("a moment is none")


def damaged(id_: object) -> ApiError:
    """Return the error for a call whose row cannot be read."""
    return ApiError("internal_error", f"The call {id_} is there, and damaged. {WHAT}")


def damaged_line(names: Sequence[str], record: Sequence[object]) -> CallLine:
    """Return what can be told of a damaged record, whose end is taken for the beginning that its id has."""
    id_ = str(record[0])
    values = dict(zip(names, record, strict=True))
    key_id, account, model = (value if isinstance(value := values[name], str) else "" for name in ("key_id", "account", "model"))
    return CallLine(id_, key_id, account, model, DAMAGED, moment_in(id_) or 0, message=WHAT)
