"""How keys were used, from the live ledger and the database together. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.clock import WallClock
from aisa.edge.admin_calls import lines_waiting
from aisa.edge.board_view import Board
from aisa.edge.statement import Statement
from aisa.ledger.port_calls import CallIndex, LastUse
from aisa.ledger.port_usage import DAY, KEY, TEAM, Span
from aisa.money import Nanos


class KeyUsings:
    """Implements `admin_keys.Usings` and `admin_teams.TeamUsings`."""

    def __init__(self, statement: Statement, index: CallIndex, wall_clock: WallClock, *, board: Board | None = None) -> None:
        """`board` has the calls that run, None where no server does."""
        self._statement = statement
        self._board = board
        self._index = index
        self._wall_clock = wall_clock

    def spent_since(self, whose: str, began: int) -> Nanos:
        """Return what the calls of a key or team have cost that ended since a UNIX second."""
        return sum(used.cost for used in self._statement.used(DAY, self._since(began)._replace(whose=whose)).values())

    def spent_by_key(self, key_ids: Sequence[str], began: int) -> dict[str, Nanos]:
        """Return what the calls of each of these keys have cost that ended since a UNIX second, by its id; nothing of others."""
        span = self._since(began)._replace(keys=frozenset(key_ids))
        return {key_id: used.cost for key_id, used in self._statement.used(KEY, span).items()}

    def spent_by_team(self, start: int, end: int, *, account: str | None) -> dict[str, Nanos]:
        """Return what each team's calls have cost that ended in [start, end), UNIX seconds: of an account's teams, or of all."""
        span = Span(start * 1000, end * 1000, account=account)
        return {team_id: used.cost for team_id, used in self._statement.used(TEAM, span).items()}

    def last_uses(self, key_ids: Sequence[str]) -> dict[str, LastUse]:
        """Return when each key's last call ended or was refused, and from where, unless its row is removed; nothing where there is none.

        A key is used now with which a call runs.
        """
        found = self._index.last_uses(key_ids)
        for line in lines_waiting(self._statement):
            if line.key_id in found and line.ended_ms >= found[line.key_id].at_ms:
                found[line.key_id] = LastUse(line.ended_ms, line.address)
        now_ms = int(self._wall_clock() * 1000)
        for key_id, address in ({} if self._board is None else self._board.using()).items():
            if key_id in found:
                found[key_id] = LastUse(now_ms, address)
        return {key_id: use for key_id, use in found.items() if use.at_ms}

    def _since(self, began: int) -> Span:
        return Span(began * 1000, int(self._wall_clock() * 1000) + 1000)
