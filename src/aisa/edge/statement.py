"""What was used and billed, whether the database has it yet or only the live ledger. Asks both, judges nothing, knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from aisa.ledger.pieces import moment_in, moment_of
from aisa.ledger.port_usage import EndedCalls, Removal, Span, Used
from aisa.ledger.refusal import RefusedCalls
from aisa.ledger.row import CallRow, Opening
from aisa.ledger.rules import REFUSED
from aisa.money import Nanos


class Booked(Protocol):
    """A call in the ledger."""

    @property
    def opening(self) -> Opening:
        """What was known of it at first."""
        ...

    @property
    def row(self) -> CallRow | None:
        """What it came to, None until it has ended."""
        ...

    @property
    def progress(self) -> int:
        """How many output tokens have left this process."""
        ...


class CapShown(Protocol):
    """A key's or team's cap."""

    @property
    def held(self) -> Nanos:
        """What is held of it for calls in flight."""
        ...

    def spent_at(self, now: float) -> Nanos | None:
        """Return what was spent in the window that a moment is in, None if that is not known."""
        ...


class Purse(Protocol):
    """An account's wallet."""

    @property
    def held(self) -> Nanos:
        """What is held of it for calls in flight."""
        ...

    @property
    def balance(self) -> Nanos | None:
        """What is in it, None for unlimited."""
        ...


class LedgerShown(Protocol):
    """What is asked of the live ledger: `ledger.live_ledger.LiveLedger` has it."""

    @property
    def calls(self) -> Mapping[str, Booked]:
        """Every call that is open, or whose row may not be in the database yet."""
        ...

    @property
    def caps(self) -> Mapping[str, CapShown]:
        """Caps by the id of the key or team; that of one that has not been used may be missing."""
        ...

    def wallet(self, account: str) -> Purse:
        """Return an account's wallet."""
        ...


class CallFound(msgspec.Struct, frozen=True):
    """One call: its `row` once it has ended, `final` when nothing about it can change any more; before, its opening and the tokens sent.

    One that was refused before it was opened has `refused` alone; one that a vendor refused for its caller's fault may have both.
    """

    row: CallRow | None = None
    opening: Opening | None = None
    tokens: int = 0
    final: bool = False
    key_label: str = ""
    refused: RefusedCalls | None = None

    @property
    def key_id(self) -> str:
        """The id of the key that made it."""
        known = self.row or self.opening or self.refused
        assert known is not None, "one of them is there"
        return known.key_id


class Statement:
    """The live ledger and the calls in the database as one. `ledger` is None where no server runs.

    `refused` are refused calls that the database may not have yet, by id; `left` are those that a server which died has in its journal,
    `left_ended` of which had ended.
    """

    def __init__(
        self,
        ledger: LedgerShown | None,
        ended: EndedCalls,
        refused: Mapping[str, RefusedCalls] = MappingProxyType({}),
        *,
        left: int = 0,
        left_ended: int = 0,
    ) -> None:
        self.ledger = ledger
        self.refused = refused
        self.left, self.left_ended = left, left_ended
        self._ended = ended

    def booked(self, call_id: str) -> CallFound | None:
        """Return a call that the live ledger has. Returns at once."""
        charge = None if self.ledger is None else self.ledger.calls.get(call_id)
        if charge is None:
            refused = self.refused.get(call_id)
            return None if refused is None else CallFound(refused=refused, final=True)
        row = charge.row
        if row is None:
            return CallFound(opening=charge.opening, tokens=charge.progress)
        return CallFound(row, refused=self.refused.get(call_id))

    def stored(self, call_id: str) -> CallFound | None:
        """Return a call that the database has. Waits for it. Raises ApiError internal_error when it does not work."""
        row = self._ended.call(call_id)
        refused = self._ended.refused(call_id) if row is None or row.outcome == REFUSED else None
        return None if row is None and refused is None else CallFound(row, refused=refused, final=True)

    def removal(self, call_id: str) -> Removal | None:
        """Say that a call of this id, which is not in the database, may have been removed. Waits for the database, as `stored` does."""
        began_ms = moment_in(call_id)
        return None if began_ms is None else self._ended.removal(began_ms)

    def used(self, by: str, span: Span) -> dict[str, Used]:
        """Return the sums of `port_usage.EndedCalls.used`. Waits for the database, and can be called in any thread."""
        charges = () if self.ledger is None else tuple(self.ledger.calls.values())  # in one step: the event loop may change them meanwhile
        return self._ended.used(by, span, [row for charge in charges if (row := charge.row) is not None])


def removed_in_words(removal: Removal) -> str:
    """Say since when single calls are kept, and where a removed one is."""
    said = (
        f"Calls that ended before {moment_of(removal.before_ms)} have been removed (`ledger.keep_days`): only the sums of usage have them."
    )
    return said if removal.file is None else f"{said} They were written to `ledger.export_dir` first: look for its id in {removal.file}."


def left_in_words(count: int, ended: int = 0) -> str:
    """Say what is left in a line: so many calls, of which some had `ended`."""
    calls, them = ("1 call", "it") if count == 1 else (f"{count:,} calls", "them")
    if ended:
        which = (
            ", all of which had ended"
            if 1 < count == ended
            else ", which had ended"
            if count == ended
            else f", {ended:,} of which had ended"
        )
        return f"{calls} of a server that died {'is' if count == 1 else 'are'} in its journal{which}; the next start settles {them}."
    journal = f"of a server that ended without settling {them} {'is' if count == 1 else 'are'} in its journal"
    return f"{calls} {journal}; the next start settles {them}."
