"""How keys were used, from the live ledger and the database together. Judges nothing."""

from __future__ import annotations

from aisa.clock import WallClock
from aisa.edge.admin_calls import lines_waiting
from aisa.edge.statement import Statement
from aisa.ledger.port_calls import CallIndex, Wanted, newest_first
from aisa.ledger.port_usage import DAY, TEAM, Span
from aisa.money import Nanos


class KeyUsings:
    """Implements `admin_keys.Usings` and `admin_teams.TeamUsings`."""

    def __init__(self, statement: Statement, index: CallIndex, wall_clock: WallClock) -> None:
        self._statement = statement
        self._index = index
        self._wall_clock = wall_clock

    def spent_since(self, whose: str, began: int) -> Nanos:
        """Return what the calls of a key or team have cost that ended since a UNIX second."""
        span = Span(began * 1000, int(self._wall_clock() * 1000) + 1000, whose)
        return sum(used.cost for used in self._statement.used(DAY, span).values())

    def spent_by_team(self, start: int, end: int, *, account: str | None) -> dict[str, Nanos]:
        """Return what each team's calls have cost that ended in [start, end), UNIX seconds: of an account's teams, or of all."""
        span = Span(start * 1000, end * 1000, account=account)
        return {team_id: used.cost for team_id, used in self._statement.used(TEAM, span).items()}

    def last_use(self, key_id: str) -> tuple[int, str | None] | None:
        """Return when a key's last call ended or was refused, and from where, unless its row is removed; None if there is none."""
        ours = [line for line in lines_waiting(self._statement) if line.key_id == key_id]
        newest = newest_first([*ours, *self._index.lines(Wanted(key_id=key_id, limit=1))], 1, by_end=True)
        if newest:
            return newest[0].ended_ms, newest[0].address
        last_ms = self._index.last_ms(key_id)
        return (last_ms, None) if last_ms else None
