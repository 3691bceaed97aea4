"""Teams: keys of one account that together may spend no more than their team's cap. Kept in the database; each key has its team with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, insert, select, update

from aisa.clock import Chance, WallClock
from aisa.errors import ApiError
from aisa.keys import rules
from aisa.keys.accounts import add_account, reading, writing
from aisa.keys.rules import TEAM_ID_PREFIX, Key, SpendCap, Team
from aisa.names import ACCOUNT_CHARACTERS_MAX
from aisa.storage.changes import note_change
from aisa.storage.engine import Database
from aisa.storage.tables import accounts, teams

NUL = "\0"  # in no name; PostgreSQL takes it in no question
TEAMS_MAX = 10_000  # of one server: administrators see them as one list


class TeamStore:
    """The teams in a database; implements `keys.port.TeamRing`. `changed` is told of each that has changed, in the thread that did it."""

    def __init__(self, database: Database, *, wall_clock: WallClock, chance: Chance, changed: Callable[[Team], None]) -> None:
        self._database = database
        self._wall_clock = wall_clock
        self._chance = chance
        self._changed = changed

    def list(self) -> list[Team]:
        """Return every team, by account and name. Raises ApiError: overloaded, internal_error (the database)."""
        with reading(self._database) as connection:
            return sorted(teams_in(connection).values(), key=lambda team: (team.account, team.name))

    def find(self, name: str, account: str | None = None) -> Team:
        """Return the team with an id, or a name, in an account if that is given. Raises ApiError: resource_not_found, or the database's."""
        with reading(self._database) as connection:
            return find_team(connection, name, account)

    def create(self, account: str, name: str, spend: SpendCap | None = None) -> Team:
        """Make a team; an account that is not there is made, without a limit. Raises ApiError: invalid_request, internal_error."""
        now = int(self._wall_clock())
        cap, window = (None, None) if spend is None else spend
        with writing(self._database) as connection:
            known = teams_in(connection)
            team = Team(new_id(self._chance, known), rules.check_account(account), check_team(name), now, cap, window)
            if any((each.account, each.name) == (team.account, team.name) for each in known.values()):
                raise rules.invalid("name", f"The account {team.account!r} has a team {team.name!r} already.")
            if len(known) >= TEAMS_MAX:
                raise rules.invalid("name", f"There are {TEAMS_MAX:,} teams, which is the most that one server keeps.")
            if connection.execute(select(accounts).where(accounts.c.name == team.account)).first() is None:
                add_account(connection, team.account, created_at=now)
            connection.execute(insert(teams).values(msgspec.structs.asdict(team)))
        return team

    def update(self, team_id: str, *, name: str | UnsetType = UNSET, spend: SpendCap | UnsetType | None = UNSET) -> Team:
        """Give a team this name, this cap, or both, for all of its keys from their next requests on; what is not named stays.

        Raises ApiError: resource_not_found, invalid_request (name taken or unfit), internal_error (the database).
        """
        with writing(self._database) as connection:
            team = find_team(connection, team_id)
            if name is not UNSET:
                team = msgspec.structs.replace(team, name=check_team(name))
            if spend is not UNSET:
                cap, window = (None, None) if spend is None else spend
                team = msgspec.structs.replace(team, spend_cap=cap, spend_window=window)
            taken = select(teams.c.id).where(teams.c.account == team.account, teams.c.name == team.name, teams.c.id != team.id)
            if connection.execute(taken).first() is not None:
                raise rules.invalid("name", f"The account {team.account!r} has a team {team.name!r} already.")
            connection.execute(update(teams).where(teams.c.id == team.id).values(msgspec.structs.asdict(team)))
            note_change(connection, team=team.id)
        self._changed(team)
        return team


def find_team(connection: Connection, name: str, account: str | None = None) -> Team:
    """Return the team with an id or a name, in an account if that is given. Raises ApiError: resource_not_found, invalid_request."""
    where = (teams.c.id == name) | (teams.c.name == name)
    found = [team_of(row) for row in connection.execute(select(teams).where(where))] if NUL not in name else []
    fitting = [team for team in found if account is None or team.account == account]
    if not fitting:
        of = "" if account is None else f" in the account {account!r}"
        raise ApiError("resource_not_found", f"There is no team with the id or name {name!r}{of}. `aisa teams list` shows them.")
    if len(fitting) > 1:
        whose = ", ".join(sorted(repr(team.account) for team in fitting))
        raise rules.invalid("team", f"Several accounts have a team {name!r}: {whose}. Name the account, or the team's id.")
    return fitting[0]


def check_team(name: str) -> str:
    """Return a team's name without spaces at its ends. Raises ApiError invalid_request for one that could not be shown or looked up."""
    name = name.strip()
    if not name or len(name) > ACCOUNT_CHARACTERS_MAX or not name.isprintable():
        raise rules.invalid("name", f"A team's name has 1 to {ACCOUNT_CHARACTERS_MAX} printable characters.")
    if name.startswith(TEAM_ID_PREFIX):
        raise rules.invalid("name", f"A team's name must not begin with {TEAM_ID_PREFIX}, as teams' ids do.")
    return name


def new_id(chance: Chance, known: Mapping[str, Team]) -> str:
    """Return the id of a team that none of these has."""
    while True:
        id_ = TEAM_ID_PREFIX + rules.new_id(chance).removeprefix(rules.ID_PREFIX)
        if id_ not in known:
            return id_


def teams_in(connection: Connection, ids: Iterable[str] | None = None) -> dict[str, Team]:
    """Return teams by their ids: all, or these."""
    wanted = select(teams) if ids is None else select(teams).where(teams.c.id.in_(list(ids)))
    found = [team_of(row) for row in connection.execute(wanted)]
    return {team.id: team for team in found}


def keys_in(connection: Connection, rows: Iterable[Any]) -> list[Key]:
    """Return the keys that rows of `keys` are, each with its team."""
    listed = list(rows)
    named = {row.team for row in listed if row.team is not None}
    known = teams_in(connection, named) if named else {}
    made: list[Key] = []
    for row in listed:
        values = {name: getattr(row, name) for name in Key.__struct_fields__} | {"team": known.get(row.team)}
        made.append(msgspec.convert(values, Key, builtin_types=(bytes,)))
    return made


def row_of(key: Key) -> dict[str, object]:
    """Return a key as its row has it: of its team the id."""
    team = None if key.team is None else key.team.id
    return {**{name: getattr(key, name) for name in Key.__struct_fields__}, "team": team}


def team_of(row: Any) -> Team:
    """Return the team that a row is."""
    return msgspec.convert(row, Team, from_attributes=True)
