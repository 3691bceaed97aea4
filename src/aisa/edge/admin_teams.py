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

from collections import Counter
from typing import Protocol

import msgspec

from aisa.clock import WallClock
from aisa.edge.admin_accounts import account_is_new
from aisa.edge.admin_route import Answering, Asked, Listed, Note, Result, Steps, change, look, read
from aisa.edge.routes import Route
from aisa.facts import AccountChanged, TeamChanged
from aisa.keys.port import KeyRing
from aisa.keys.rules import DAY_SECONDS, DEFAULT_ACCOUNT, MONTH, REVOKED, Team, check_account, window_start
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
    """What is known of the use of teams. Both may wait for the database."""

    def spent_since(self, whose: str, began: int) -> Nanos:
        """Return what the calls of a key or team have cost that ended since a UNIX second, by its id."""
        ...

    def spent_by_team(self, start: int, end: int, *, account: str | None) -> dict[str, Nanos]:
        """Return what each team's calls have cost that ended in [start, end), by its id: of an account's teams, or of all."""
        ...


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
        """Answer with the teams. However many there are, each day is one question to the ledger, and a step: windows begin at midnight."""
        account, now = asked.query.get("account"), self._wall_clock()
        end = int(now) + 1
        teams = [team for team in self._keys.teams.list() if account in (None, team.account)]
        began, spent = {team.id: began_of(team, now) for team in teams}, Counter[str]()
        for day in range(min(began.values(), default=end), end, DAY_SECONDS):
            in_day = self._usings.spent_by_team(day, min(day + DAY_SECONDS, end), account=account)
            spent.update({id_: cost for id_, cost in in_day.items() if began.get(id_, end) <= day})
            yield
        counts = Counter(key.team.id for key in self._keys.list() if key.team is not None and key.state != REVOKED)
        shown = [standing(team, counts[team.id], began=began[team.id], spent=spent[team.id]) for team in teams]
        return 200, TeamList(data=shown)

    def _show(self, asked: Asked) -> Result:
        team = self._keys.teams.find(asked.name, asked.query.get("account"))
        began = began_of(team, self._wall_clock())
        count = sum(key.team is not None and key.team.id == team.id and key.state != REVOKED for key in self._keys.list())
        return 200, standing(team, count, began=began, spent=self._usings.spent_since(team.id, began))

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
        spend = msgspec.UNSET if wanted.spend_cap is msgspec.UNSET else parse_spend_cap(wanted.spend_cap)
        team = self._keys.teams.update(before.id, name=wanted.name, spend=spend)
        self._note(TeamChanged("updated", team.id, team.name, team.account), before, team)
        return 200, team


def began_of(team: Team, now: float) -> int:
    """Return when the window of a team's cap began, else this month, as a UNIX second."""
    return window_start(team.spend_window or MONTH, now)


def standing(team: Team, keys: int, *, began: int, spent: Nanos) -> TeamStanding:
    """Return a team as it stands."""
    left = None if team.spend_cap is None else max(0, team.spend_cap - spent)
    return TeamStanding(**msgspec.structs.asdict(team), keys=keys, spent_since=began, spent=spent, left=left)
