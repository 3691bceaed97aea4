"""What the commands on teams do: ask, and show the answer. Decides nothing about teams and opens nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from aisa.cli.account_lines import account_is_new
from aisa.cli.control import ask
from aisa.cli.data_folder import settings
from aisa.cli.fitting import fitted
from aisa.cli.problems import Misuse
from aisa.cli.terminal import ago, paint, say
from aisa.cli.treasury import dollars, json_text
from aisa.clock import wall_clock
from aisa.edge.admin_teams import TeamList, TeamMade, TeamStanding
from aisa.keys.rules import Team
from aisa.money import dollars_text

SHOW_SECONDS_MAX = 60.0  # a month of calls may have to be summed up
NO_CAP = "none"  # what takes a cap away


def create(name: str, account: str | None, spend_cap: str | None, *, config: str | None, data_dir: str | None) -> None:
    """Make a team and say how it is. Raises Stop."""
    known = settings(config, data_dir, makes=True)
    asked = {"name": name, "spend_cap": spend_cap, **({} if account is None else {"account": account})}
    team = ask(known.server.data_dir, "POST", "/teams", expect=TeamMade, asked=asked, config=known)
    say(f"Team {paint(team.name, bold=True)} made ({team.id}), of the account {team.account}: {cap_in_words(team)}.")
    if team.account_made:
        say(account_is_new(team.account))


def show_all(account: str | None, config: str | None, data_dir: str | None, *, as_json: bool) -> None:
    """Print every team, or those of an account. Raises Stop."""
    query = "" if account is None else f"?{urlencode({'account': account})}"
    teams = ask(settings(config, data_dir).server.data_dir, "GET", f"/teams{query}", expect=TeamList, seconds=SHOW_SECONDS_MAX).data
    if as_json:
        say(json_text(teams), literal=True)
    elif teams:
        now = wall_clock()
        heads = ("TEAM", "ACCOUNT", "ID", "CAP", "KEYS", "SPENT", "LEFT", "CREATED")
        least = ("CREATED", "ID", "KEYS", "ACCOUNT", "CAP")
        say(fitted(heads, [row(team, now) for team in teams], right=(4, 5, 6), least=least))
    else:
        whose = "" if account is None else f" in the account {account}"
        say(f"There are no teams{whose} yet. Make one: aisa teams create NAME --spend-cap 50/month")


def update(name: str, account: str | None, terms: Mapping[str, str | None], *, config: str | None, data_dir: str | None) -> None:
    """Change a team's name or cap and say how it is now. Raises Stop."""
    asked: dict[str, object] = {which: value for which, value in terms.items() if value is not None}
    if not asked:
        raise Misuse("nothing is to be changed", [("teams update", "No term was named.", "Name one or both: --name, --spend-cap.")])
    if str(asked.get("spend_cap", "")).strip().lower() == NO_CAP:
        asked["spend_cap"] = None
    asked |= {} if account is None else {"account": account}
    known = settings(config, data_dir)
    team = ask(known.server.data_dir, "POST", f"/teams/{quote(name, safe='')}/update", expect=Team, asked=asked)
    say(f"Team {paint(team.name, bold=True)} ({team.id}), from its keys' next requests on: {cap_in_words(team)}.")


def cap_in_words(team: Team) -> str:
    """Say what the keys of a team may spend."""
    return "no cap" if team.spend_cap is None else f"at most {dollars_text(team.spend_cap)} US dollars a {team.spend_window}"


def row(team: TeamStanding, now: float) -> list[str]:
    """Return a team's line of the table. `now` is in UNIX seconds."""
    cap = "none" if team.spend_cap is None else f"{dollars_text(team.spend_cap)}/{team.spend_window}"
    left = "" if team.left is None else dollars(team.left)
    return [team.name, team.account, team.id, cap, f"{team.keys:,}", dollars(team.spent), left, ago(now - team.created_at)]
