"""What an administrator may see of single calls, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | answer |
|---|---|
| `GET /calls?key=K&account=A&model=M&failed=1&refused=1&since_ms=T&limit=N&by_end=1&after=ID` | 200, a `CallsShown`, the newest first |
| `GET /calls/{id}` | 200, a `CallFound`; also for `latest`, and for the beginning of an id in any case, with or without `req_` |
| `POST /calls/{id}/end` | 200, a `CallEnded`: ends a call that runs, whose client is told; what has arrived is billed |

An id may also be the short form that the console shows, with `…` in it. Every field of the first is optional: `key` is an id or a
label; `failed` and `refused` leave only these. Calls are in the order in which they began, and `after` goes on behind a page's last
one; with `by_end`, which counts `since_ms` from their ends, they are in the order of these. Money is in nano-dollars, times are UNIX
milliseconds. A call that is not in the database yet is in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from aisa.edge.admin_accounts import account_asked
from aisa.edge.admin_route import MOMENT_MS_MAX, Answering, Asked, Note, Result, act, look, note_nothing, number
from aisa.edge.board_view import Board, running
from aisa.edge.routes import Route
from aisa.edge.statement import CallFound, Statement, left_in_words, removed_in_words
from aisa.errors import ApiError
from aisa.facts import CallStopped
from aisa.ids import PREFIX
from aisa.keys.port import KeyRing
from aisa.ledger.pieces import moment_in
from aisa.ledger.port_calls import (
    LINES_MAX,
    SAME_BEGINNING_MAX,
    CallIndex,
    CallLine,
    Wanted,
    fits,
    line_of_refused,
    line_of_row,
    newest_first,
)
from aisa.ledger.refusal import IN_LOG_ALONE, KEPT_DAYS, KEPT_EACH_MAX
from aisa.ledger.rules import REFUSED

LATEST = "latest"
LEFT_OUT = re.compile(r"…|\.\.\.|~")  # in the middle of an id, also as terminals without that character show it
SHOWN_CHARACTERS_MAX = 100  # of an id that nobody knows


class CallsShown(msgspec.Struct, frozen=True):
    """Calls, the newest first; `has_more` says that there are older ones, `after` of the last id."""

    data: list[CallLine]
    has_more: bool = False


class CallEnded(msgspec.Struct, frozen=True):
    """That a call was ended, which ran: its whole id."""

    id: str
    ended: bool


class CallRoutes:
    """The routes on single calls. `board` has those that run, None where no server does; `note` takes that one was ended."""

    def __init__(
        self, statement: Statement, keys: KeyRing, index: CallIndex, *, board: Board | None = None, note: Note = note_nothing
    ) -> None:
        self._statement = statement
        self._keys = keys
        self._index = index
        self._board = board
        self._note = note

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        ending = act("/calls/{name}/end", self._end)  # before what has any name in its path, also one with a slash
        return look("/calls", self._several), ending, look("/calls/{name}", self._one)

    def _several(self, asked: Asked) -> Result:
        """Answer with the newest calls that fit. Raises ApiError invalid_request, resource_not_found (no such key)."""
        query = asked.query
        wanted = Wanted(
            since_ms=number(query.get("since_ms", "0"), "since_ms", MOMENT_MS_MAX),
            key_id=self._keys.find(query["key"]).id if "key" in query else None,
            account=account_asked(self._keys.accounts, query),
            model=query.get("model"),
            failed=query.has("failed"),
            refused=query.has("refused"),
            limit=number(query.get("limit", "30"), "limit", LINES_MAX, smallest=1),
            by_end=query.has("by_end"),
            before=query.get("after"),
        )
        if wanted.before is not None and (not wanted.before.startswith(PREFIX) or moment_in(wanted.before) is None):
            raise ApiError("invalid_request", "`after` is the id of a call.", param="after")
        if wanted.by_end and wanted.before is not None:
            raise ApiError("invalid_request", "`after` goes on behind a call by its beginning: leave `by_end` out.", param="after")
        waiting = {line.id: line for line in lines_waiting(self._statement) if fits(line, wanted)}
        lines = newest_first(
            [*({line.id: line for line in self._index.lines(wanted)} | waiting).values()], wanted.limit, by_end=wanted.by_end
        )
        labels = {key.id: key.label for key in self._keys.list()}
        return 200, CallsShown(
            [msgspec.structs.replace(line, key_label=labels.get(line.key_id, "")) for line in lines], len(lines) == wanted.limit
        )

    def _one(self, asked: Asked) -> Result:
        """Answer with one call. Raises ApiError resource_not_found; invalid_request if several begin so."""
        found = self._found(asked.name)
        if found is None:
            id_ = newest(self._statement, self._index, waiting=self._waiting()) if asked.name.lower() == LATEST else self._meant(asked.name)
            found = self._found(id_)
        if found is None:
            raise unknown(asked.name, self._statement)
        label = next((key.label for key in self._keys.list() if key.id == found.key_id), "")
        return 200, msgspec.structs.replace(found, key_label=label)

    def _end(self, asked: Asked) -> Result:
        """End a call that runs. Raises ApiError resource_not_found, which says what became of it; invalid_request if several begin so."""
        board, id_ = running(self._board), asked.name
        if not board.end(id_):
            if id_.lower() == LATEST:  # which may be another one by the time that this is done
                raise ApiError("invalid_request", "Which call is the latest changes with every call: name the one that is meant by its id.")
            id_ = self._meant(id_)
            if not board.end(id_):
                raise not_running(id_, self._found(id_))
        self._note(CallStopped("ended", id_), None, {"id": id_})
        return 200, CallEnded(id_, True)

    def _found(self, id_: str) -> CallFound | None:
        return self._statement.booked(id_) or self._statement.stored(id_)

    def _meant(self, name: str) -> str:
        return only(name, self._statement, self._index, waiting=self._waiting())

    def _waiting(self) -> tuple[str, ...]:
        """Return the ids of calls that the database may not have yet, running ones included."""
        booked = () if self._statement.ledger is None else tuple(self._statement.ledger.calls)
        return (*(booked if self._board is None else self._board.ids()), *tuple(self._statement.refused))


def not_running(id_: str, found: CallFound | None) -> ApiError:
    """Return the error for a call that was to be ended, and does not run."""
    if found is None or (found.row is None and found.refused is None):
        return ApiError(
            "resource_not_found", f"The call {id_} is in its last step: it is not ended any more, and what it comes to follows."
        )
    how = REFUSED if found.row is None else found.row.outcome
    return ApiError("resource_not_found", f"The call {id_} runs no more: it has ended already ({how}). How: aisa explain {id_}")


def lines_waiting(statement: Statement) -> list[CallLine]:
    """Return the lines of calls that the database may not have yet."""
    charges = () if statement.ledger is None else tuple(statement.ledger.calls.values())  # in one step, as the event loop changes them
    rows = [row for charge in charges if (row := charge.row) is not None and row.outcome != REFUSED]  # it has the other record, too
    return [*map(line_of_row, rows), *map(line_of_refused, tuple(statement.refused.values()))]


def newest(statement: Statement, index: CallIndex, *, waiting: Iterable[str]) -> str:
    """Return the id of the call that began last, `waiting` ones included. Raises ApiError resource_not_found."""
    id_ = max((*waiting, index.newest_id()))
    if not id_:
        if statement.left:
            raise ApiError("resource_not_found", f"No call is in the ledger. {left_in_words(statement.left, statement.left_ended)}")
        raise ApiError("resource_not_found", f"No call with a key of this server has been made yet. {IN_LOG_ALONE}")
    return id_


def only(name: str, statement: Statement, index: CallIndex, *, waiting: Iterable[str]) -> str:
    """Return the id that a text means which somebody typed: its beginning, or what `ids.short_id` makes of it.

    Raises ApiError resource_not_found, invalid_request.
    """
    bare, end = [*LEFT_OUT.split(name.strip().upper().removeprefix(PREFIX.upper()), maxsplit=1), ""][:2]
    beginning = PREFIX + bare
    fit = (id_ for id_ in waiting if id_.startswith(beginning) and id_.endswith(end))
    ids = sorted({*fit, *index.beginning(beginning, end)})
    if not ids:
        raise unknown(beginning if moment_in(beginning) is not None else name, statement)
    if len(ids) > 1:
        several = ", ".join(ids[: SAME_BEGINNING_MAX - 1]) + (", ..." if len(ids) >= SAME_BEGINNING_MAX else "")
        raise ApiError("invalid_request", f"Several calls' ids begin so: {several}. Write more of it.")
    return ids[0]


def unknown(name: str, statement: Statement) -> ApiError:
    """Return the error for an id that no call has."""
    what = f"There is no call {name[:SHOWN_CHARACTERS_MAX]!r} in the ledger."
    removal = statement.removal(name)
    if removal is not None:
        return ApiError("resource_not_found", f"{what} {removed_in_words(removal)}")
    if statement.left:
        return ApiError("resource_not_found", f"{what} {left_in_words(statement.left, statement.left_ended)}")
    kept = f"Refused calls are kept for {KEPT_DAYS} days, and beyond {KEPT_EACH_MAX} a minute, key and code only their number is."
    return ApiError("resource_not_found", f"{what} {IN_LOG_ALONE} {kept} List them: aisa calls --{REFUSED}")
