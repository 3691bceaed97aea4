"""What an administrator may do with teams, whose keys share a cap, as requests and answers in JSON. Lists the routes; `admin` answers.

| request | body | answer |
|---|---|---|
| `GET /teams?account=A` | | 200, `{data: [team, ...]}`, of one account if that is given; each as it stands |
| `GET /teams/{id or name}?account=A` | | 200, the team as it stands |
| `POST /teams` | `{name, account?, spend_cap?}` | 201, the team, `account_made` |
| `POST /teams/{id or name}/update` | `{name?, spend_cap?, account?}` | 200, the team; a cap of null takes it away |

A team is `{id, account, name, created_at, spend_cap, spend_window}`, the time in UNIX seconds, the cap in nano-dollars; as it stands it has
`keys`, how many of its keys are not revoked, and `spent_since`, `spent`, `left`: what they all have spent in its cap's window (else this
month), and what is left of the cap, null without one. `account` only says which team is meant where several accounts have one of a name.
`spend_cap` is what `keys.terms.parse_spend_cap` takes. `POST /keys` and `/keys/import` take a `team`: a key is in its team for good.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from aisa.clock import WallClock
from aisa.edge.admin_accounts import account_is_new
from aisa.edge.admin_route import Answering, Asked, Listed, Note, Result, Steps, change, look, read
from aisa.edge.routes import Route
from aisa.facts import AccountChanged, TeamChanged
from aisa.keys.port import KeyRing
from aisa.keys.rules import DEFAULT_ACCOUNT, MONTH, REVOKED, SpendCap, Team, check_account, window_start
from aisa.keys.terms import parse_spend_cap
from aisa.money import Nanos


class TeamAsked(msgspec.Struct, forbid_unknown_fields=True):
    """A new team."""

    name: str
    account: str = DEFAULT_ACCOUNT
    spend_cap: str | None = None


class TeamTermsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of a team; `account` says which is meant."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    spend_cap: str | msgspec.UnsetType | None = msgspec.UNSET
    account: str | None = None


class TeamMade(Team, frozen=True, kw_only=True):
    """A new team, and whether its account was made for it."""

    account_made: bool


class TeamStanding(Team, frozen=True, kw_only=True):
    """A team and how it stands: how many keys are good, and `spent` since the UNIX second `spent_since`, in nano-dollars."""

    keys: int
    spent_since: int
    spent: Nanos
    left: Nanos | None


class TeamList(Listed[TeamStanding], frozen=True):
    """Teams, by account and name."""


class TeamUsings(Protocol):
    """What is known of the use of an account's keys."""

    def spent_by_key(self, account: str, began: int) -> dict[str, Nanos]:
        """Return what each key's calls have cost that ended since a UNIX second, by key id. May wait for the database."""
        ...


class Standings:
    """How teams stand at one moment, in UNIX seconds: an account's keys are added up once for all of its teams."""

    def __init__(self, keys: KeyRing, usings: TeamUsings, now: float) -> None:
        self._usings = usings
        self._now = now
        self._members: dict[str, list[str]] = {}
        self._live: dict[str, int] = {}
        self._sums: dict[tuple[str, int], dict[str, Nanos]] = {}
        for key in keys.list():
            if key.team is not None:
                self._members.setdefault(key.team.id, []).append(key.id)
                self._live[key.team.id] = self._live.get(key.team.id, 0) + (key.state != REVOKED)

    def of(self, team: Team) -> TeamStanding:
        """Return a team with its keys and what they have spent."""
        began = window_start(team.spend_window or MONTH, self._now)
        at = (team.account, began)
        if at not in self._sums:
            self._sums[at] = self._usings.spent_by_key(*at)
        spent = sum([self._sums[at].get(key_id, 0) for key_id in self._members.get(team.id, ())])
        left = None if team.spend_cap is None else max(0, team.spend_cap - spent)
        keys = self._live.get(team.id, 0)
        return TeamStanding(**msgspec.structs.asdict(team), keys=keys, spent_since=began, spent=spent, left=left)


class TeamRoutes:
    """The routes on teams. `note` takes what was changed."""

    def __init__(self, keys: KeyRing, wall_clock: WallClock, *, note: Note, usings: TeamUsings) -> None:
        self._keys = keys
        self._wall_clock = wall_clock
        self._note = note
        self._usings = usings

    def routes(self) -> tuple[Route[Answering], ...]:
        """Return what is answered."""
        return (
            look("/teams", self._list),
            change("/teams", self._create),
            change("/teams/{name}/update", self._update),
            look("/teams/{name}", self._show),
        )

    def _list(self, asked: Asked) -> Steps:
        account, shown = asked.query.get("account"), list[TeamStanding]()
        standings = Standings(self._keys, self._usings, self._wall_clock())
        for team in self._keys.teams.list():
            if account in (None, team.account):
                shown.append(standings.of(team))
                yield
        return 200, TeamList(data=shown)

    def _show(self, asked: Asked) -> Result:
        team = self._keys.teams.find(asked.name, asked.query.get("account"))
        return 200, Standings(self._keys, self._usings, self._wall_clock()).of(team)

    def _create(self, asked: Asked) -> Result:
        wanted = read(asked.body, TeamAsked)
        account, spend = check_account(wanted.account), parse_spend_cap(wanted.spend_cap)
        new = account_is_new(self._keys.accounts, account)
        team = self._keys.teams.create(account, wanted.name, spend)
        if new:
            made = self._keys.accounts.account(account)
            self._note(AccountChanged("created", made.name, made.tier), None, made)
        self._note(TeamChanged("created", team.id, team.name, team.account), None, team)
        return 201, TeamMade(**msgspec.structs.asdict(team), account_made=new)

    def _update(self, asked: Asked) -> Result:
        wanted = read(asked.body, TeamTermsAsked)
        before = self._keys.teams.find(asked.name, wanted.account)
        name = before.name if wanted.name is msgspec.UNSET else wanted.name
        spend = cap_of(before) if wanted.spend_cap is msgspec.UNSET else parse_spend_cap(wanted.spend_cap)
        team = self._keys.teams.update(before.id, name=name, spend=spend)
        self._note(TeamChanged("updated", team.id, team.name, team.account), before, team)
        return 200, team


def cap_of(team: Team) -> SpendCap | None:
    """Return the cap that a team has, None for none."""
    return None if team.spend_cap is None or team.spend_window is None else SpendCap(team.spend_cap, team.spend_window)
