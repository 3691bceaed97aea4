"""What administrators ask of the ledger: wallets to fill, sums to audit. Implemented by the store; the path of a call asks none of it.

Money is in nano-dollars, `_at` are UNIX seconds, `_ms` UNIX milliseconds. Everything here may wait for the database.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import msgspec

from aisa.money import Nanos

#: Why an entry was booked.
TOP_UP = "top_up"
ADJUSTMENT = "adjustment"
#: In a statement, what a call has cost.
CALL = "call"
DAY_OF_CALLS = "calls"  # that were removed: what they took together
WALLET_LINES_MAX = 1_000  # of one page of a statement


class AccountStanding(msgspec.Struct, frozen=True):
    """Who pays for calls. `balance` is None for unlimited; `spent` is what all calls cost, `charged` what came out of the wallet of it.

    `tier` names the limits of its keys, None for the configuration's default; `state` is active or disabled.
    """

    name: str
    balance: Nanos | None
    charged: Nanos
    spent: Nanos
    calls: int
    created_at: int
    tier: str | None = None
    state: str = "active"


class Entry(msgspec.Struct, frozen=True):
    """Money put into a wallet by hand, or taken out, which is a negative amount. `reference` is the operator's own."""

    id: int
    account: str
    kind: str
    amount: Nanos
    note: str
    reference: str | None
    created_at: int


class Booking(msgspec.Struct, frozen=True):
    """An entry, whether it is a new one (`fresh`) or was booked before, and the wallet's balance now, as far as ended calls are written."""

    entry: Entry
    fresh: bool
    balance: Nanos | None


class WalletSpan(msgspec.Struct, frozen=True):
    """Which lines of a statement: those of [since_ms, until_ms), so many of the newest, older than the line with the id `after`."""

    since_ms: int = 0
    until_ms: int | None = None
    limit: int = 100
    after: str | None = None


class WalletLine(msgspec.Struct, frozen=True):
    """One line of a statement: an entry (`entry_12`) or a call that the wallet paid for, whose amount is below zero.

    Where single calls are not kept any more, it is what those of a day took (`day_2026-12-31`, its end in UTC).

    `left` is what was in the wallet then.
    """

    id: str
    at_ms: int
    kind: str
    amount: Nanos
    left: Nanos
    note: str = ""
    reference: str | None = None
    model: str = ""
    key_id: str = ""


class WalletPage(msgspec.Struct, frozen=True):
    """A page of a wallet's statement, the newest line first. `opening` was in it before the last of these lines, `closing` after the first.

    `account` is as it was at the same moment. `has_more` says that there are older ones in the span, `after` of the last id.
    """

    account: AccountStanding
    data: list[WalletLine]
    opening: Nanos
    closing: Nanos
    has_more: bool = False


class Wallets(Protocol):
    """The accounts' wallets. What is done here is on disk when the method returns.

    All raise ApiError: resource_not_found for an account that is not there, invalid_request for what breaks a rule, internal_error when the
    database does not work.
    """

    def accounts(self) -> list[AccountStanding]:
        """Return every account, by name."""
        ...

    def top_up(self, account: str, nanos: Nanos, *, note: str = "", reference: str | None = None) -> Booking:
        """Put an amount above zero into a wallet. An unlimited account becomes a prepaid one with exactly that balance.

        A reference is booked once for an account: the same amount again returns the first entry, another one is refused.
        """
        ...

    def adjust(self, account: str, nanos: Nanos, *, note: str) -> Booking:
        """Add an amount, which may be negative, to a wallet; the note says why. An unlimited account has nothing to adjust."""
        ...

    def unlimit(self, account: str) -> AccountStanding:
        """Make an account unlimited. What was left in its wallet is written off by an adjustment."""
        ...


class Made(msgspec.Struct, frozen=True):
    """What a vendor made of a model in a day (UTC, `2026-12-31`): calls and tokens, and what it may charge for them where we know.

    `reported_cost` is what its answers themselves say that it charges, for `reported` of the calls.
    """

    day: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    vendor_cost: Nanos
    reported_cost: Nanos = 0
    reported: int = 0


class Difference(msgspec.Struct, frozen=True):
    """Something that does not add up: of which kind, about which account or call, in words."""

    kind: str
    where: str
    what: str


class AuditReport(msgspec.Struct, frozen=True):
    """What an audit found. `counts` says how many differences of each kind there are; `differences` are the first of them.

    `on_board` calls are not in the database yet: in flight, or about to be written. `removed` calls are not there any more, and none that
    ended since `proven_since_ms` (None: none at all): what each of those cost was computed anew. `keyless` calls are of keys that the
    database does not have, the first of which `keyless_calls` names.
    """

    calls: int
    accounts: int
    entries: int
    on_board: int
    counts: dict[str, int]
    differences: list[Difference]
    removed: int = 0
    proven_since_ms: int | None = None
    keyless: int = 0
    keyless_calls: list[str] = []


class LedgerAudits(Protocol):
    """The ledger as the database has it. All raise ApiError internal_error when it does not work."""

    def entries(self, account: str) -> list[Entry]:
        """Return the newest entries of an account's wallet, the newest first."""
        ...

    def statement(self, account: str, span: WalletSpan) -> WalletPage:
        """Return a page of a wallet's statement: entries and calls, which add up to what is in it.

        Raises ApiError resource_not_found; invalid_request for an `after` that is no line of it.
        """
        ...

    def audit(self) -> Generator[None, None, AuditReport]:
        """Compute everything anew from the rows, in steps of some milliseconds, and return what differs."""
        ...

    def made(self, vendor: str, start_ms: int, end_ms: int) -> Generator[None, None, list[Made]]:
        """Return what a vendor made of each model in each day of [start, end), a day a step. A call counts in the day in which it ended."""
        ...
