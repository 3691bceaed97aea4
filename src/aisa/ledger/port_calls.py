"""Calls as one list, ended and refused ones: which are wanted, a line of each, and who has them. Opens no database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from aisa.ids import first_id
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow
from aisa.ledger.rules import CRASHED, CUT, FAILED, REFUSED, SHUT_DOWN
from aisa.money import Nanos

#: Outcomes of what failed or broke off: by a vendor, by us, or by a limit or wallet inside the answer; no client left.
FAILURES = (FAILED, CUT, CRASHED, SHUT_DOWN)
SAME_BEGINNING_MAX = 5  # ids that are told of when one is not enough
LINES_MAX = 1_000  # of one list


class Wanted(msgspec.Struct, frozen=True):
    """Which calls: since a UNIX millisecond, of a key's id, an account, a model, where given; both kinds, or only `failed` or `refused`.

    `limit` is how many, the newest. With `by_end` those count that ended since then, else those that began.
    `before` is the id of a call: only those that began before it; not with `by_end`.
    """

    since_ms: int = 0
    key_id: str | None = None
    account: str | None = None
    model: str | None = None
    failed: bool = False
    refused: bool = False
    limit: int = 30
    by_end: bool = False
    before: str | None = None


class CallLine(msgspec.Struct, frozen=True):
    """One call in a list. `number` is above 1 where so many refused calls of a minute are kept as one; it has what the first of them had.

    `ended_ms` is UNIX milliseconds, `cost` nano-dollars; tokens are those that were billed. `message` is what the caller was told, `detail`
    what the log has of it where that is more.
    """

    id: str
    key_id: str
    account: str
    model: str
    outcome: str
    ended_ms: int
    code: str | None = None
    message: str | None = None
    status: int | None = None
    number: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Nanos = 0
    total_ms: int = 0
    target: str = ""
    key_label: str = ""
    address: str | None = None
    detail: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it did not come to its end, for operators; None where it did, or nobody knows."""
        return self.detail or self.message


class LastUse(NamedTuple):
    """When a key was last used, UNIX milliseconds, and what is kept of where the call came from: of one that is removed, nothing."""

    at_ms: int
    address: str | None


class CallIndex(Protocol):
    """The calls that the database has. Every method may wait for it and raises ApiError when it does not work."""

    def beginning(self, text: str, end: str = "") -> list[str]:
        """Return ids that begin and end so, at most SAME_BEGINNING_MAX, in order."""
        ...

    def newest_id(self) -> str:
        """Return the id of the call that began last, an empty text if there is none."""
        ...

    def last_uses(self, key_ids: Sequence[str]) -> dict[str, LastUse]:
        """Return when the last call of each of these keys ended or was refused, by id, some hundreds at most; 0 where there is none."""
        ...

    def lines(self, wanted: Wanted) -> list[CallLine]:
        """Return the newest calls that fit, the newest first."""
        ...


def newest_first(lines: list[CallLine], limit: int, *, by_end: bool) -> list[CallLine]:
    """Return so many lines, those of the calls that began last first, or with `by_end` those that ended last.

    Ids are in the order in which calls began, and a page goes on behind the last id of the one before: no other order loses no line.
    """
    return sorted(lines, key=ending_of if by_end else beginning_of, reverse=True)[:limit]


def ending_of(line: CallLine) -> tuple[int, str]:
    """Return where a line stands among those of calls by their ends."""
    return line.ended_ms, line.id


def beginning_of(line: CallLine) -> str:
    """Return where it stands by their beginnings."""
    return line.id


def fits(line: CallLine, wanted: Wanted) -> bool:
    """Say whether a line that is not in the database yet is wanted."""
    kinds = (not wanted.failed and not wanted.refused) or (wanted.refused and line.outcome == REFUSED)
    kinds = kinds or (wanted.failed and line.outcome in FAILURES)
    given = ((wanted.key_id, line.key_id), (wanted.account, line.account), (wanted.model, line.model))
    kinds = kinds and (wanted.before is None or line.id < wanted.before)
    since = line.ended_ms >= wanted.since_ms if wanted.by_end else line.id >= first_id(wanted.since_ms)
    return kinds and since and all(asked in (None, has) for asked, has in given)


def line_of_row(row: CallRow) -> CallLine:
    """Return the line of an ended call."""
    return CallLine(
        id=row.id,
        key_id=row.key_id,
        account=row.account,
        model=row.model,
        outcome=row.outcome,
        ended_ms=row.ended_ms,
        code=row.error_code,
        message=row.error_message,
        detail=row.error_detail,
        input_tokens=row.billed.input_tokens,
        output_tokens=row.billed.output_tokens,
        cost=row.cost,
        total_ms=row.total_ms,
        target=row.target,
        address=row.address,
    )


def line_of_refused(record: RefusedCalls) -> CallLine:
    """Return the line of a refused call, or of those that are kept as one."""
    return CallLine(
        id=record.id,
        key_id=record.key_id,
        account=record.account,
        model=record.model,
        outcome=REFUSED,
        ended_ms=record.last_ms,
        code=record.code,
        message=record.message,
        status=record.status,
        number=record.number,
        address=record.address,
    )
