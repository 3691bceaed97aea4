"""What is asked about ended calls: one of them, or sums over those of a span of time. The path of a call asks none of it.

Money is in nano-dollars. Everything here may wait for the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec

from aisa.ledger.port_calls import FAILURES
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import OTHER_PRICE, CallRow
from aisa.ledger.rules import FAILED
from aisa.money import Nanos

#: By what calls are summed up: the id of their key, their account, model or vendor, or the day in which they ended (UTC, `2026-12-31`).
KEY, ACCOUNT, MODEL, VENDOR, DAY = "key", "account", "model", "vendor", "day"
GROUPINGS = (KEY, ACCOUNT, MODEL, VENDOR, DAY)
#: The same by the id of the team that their key is in; calls of keys that are in none are left out.
TEAM = "team"
NO_TEAMS: Mapping[str, str] = MappingProxyType({})
DAY_MS = 86_400_000
BROKEN = tuple(outcome for outcome in FAILURES if outcome != FAILED)  # of answers that broke off, and no caller broke them off


class Used(msgspec.Struct):
    """Sums over calls: tokens are those that were billed, `cost` is what they cost, `charged` what of it came out of a wallet.

    `failed` requests are those that failed before anything of an answer had come; `otherwise` those that a model has answered which the
    catalogue prices otherwise than the one asked for. `broken` broke off after a part of an answer, and their clients had not left. Both
    together are the FAILED of `aisa usage` and of the console, and what `aisa calls --failed` lists.
    `first_tokens` had a first token, `first_token_ms` after their beginning, all together.
    """

    requests: int = 0
    failed: int = 0
    otherwise: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost: Nanos = 0
    charged: Nanos = 0
    broken: int = 0
    first_tokens: int = 0
    first_token_ms: int = 0

    @property
    def in_vain(self) -> int:
        """How many failed or broke off: what is called FAILED wherever people see it."""
        return self.failed + self.broken

    def add(self, row: CallRow) -> None:
        """Count one call more."""
        billed = row.billed
        self.merge(
            Used(
                1,
                int(row.outcome == FAILED),
                int(OTHER_PRICE in (row.marks or "")),
                billed.input_tokens,
                billed.output_tokens,
                billed.cached_tokens,
                billed.cache_write_tokens,
                row.cost,
                row.cost if row.prepaid else 0,
                int(row.outcome in BROKEN),
                int(row.first_token_ms is not None),
                row.first_token_ms or 0,
            )
        )

    def merge(self, other: Used) -> None:
        """Add other sums."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + getattr(other, field))


class Span(NamedTuple):
    """The calls that ended in [start, end), UNIX milliseconds: all, or of a key or team by the id of `whose`, of an account, or of both.

    Or of `keys` by their ids, some hundreds at most.
    """

    start_ms: int
    end_ms: int
    whose: str | None = None
    account: str | None = None
    keys: frozenset[str] | None = None

    def has(self, row: CallRow, teams: Mapping[str, str] = NO_TEAMS) -> bool:
        """Say whether a call is one of them; `teams` are those that keys are in, by the keys' ids."""
        ours = self.whose in (None, row.key_id, teams.get(row.key_id)) and self.account in (None, row.account)
        ours = ours and (self.keys is None or row.key_id in self.keys)
        return ours and self.start_ms <= row.ended_ms < self.end_ms


class Removal(NamedTuple):
    """Calls that ended before a UNIX millisecond may be removed. `file` has those of the month that is asked about, None if none has."""

    before_ms: int
    file: str | None = None


class EndedCalls(Protocol):
    """The calls that ended. Asked in any thread but the event loop's. All raise ApiError when the database does not work."""

    def call(self, call_id: str) -> CallRow | None:
        """Return the row of a call, None if there is none."""
        ...

    def refused(self, call_id: str) -> RefusedCalls | None:
        """Return the record of a refused call, None if there is none."""
        ...

    def removal(self, began_ms: int) -> Removal | None:
        """Say that a call which began then may be removed, None if it would be there."""
        ...

    def used(self, by: str, span: Span, waiting: Collection[CallRow] = ()) -> dict[str, Used]:
        """Return the sums by TEAM or one of GROUPINGS, in ascending order.

        `waiting` are rows that the database may not have yet, as they were before this was called; each call is counted once. Raises
        ApiError invalid_request for a span that begins or ends within an hour whose calls may be removed.
        """
        ...


def day_of(unix_ms: int) -> str:
    """Return the day of a moment in UTC, as `2026-12-31`."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).date().isoformat()
