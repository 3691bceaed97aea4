"""Pages on teams, whose keys share a cap, and the forms that make and change them. The administration judges what they say."""

from __future__ import annotations

from aisa.console import key_pages
from aisa.console.page import Page
from aisa.console.visit import Visit, part

SHOWN_MAX = 500  # teams, or keys of one, in one list


async def teams(visit: Visit) -> Page:
    """List the teams as they stand."""
    every = (await visit.get("/teams"))["data"]
    query = visit.query.get("q", "").casefold()
    fits = [team for team in every if query in f"{team['name']} {team['account']} {team['id']}".casefold()]
    accounts = sorted({team["account"] for team in every})
    hidden = max(0, len(fits) - SHOWN_MAX)
    return visit.page("teams.html", teams=fits[:SHOWN_MAX], hidden=hidden, every=len(every), accounts=accounts)


async def team(visit: Visit) -> Page:
    """Show one team and its keys."""
    shown = await visit.get(f"/teams/{part(visit.name)}")
    keys = [key for key in (await visit.get("/keys"))["data"] if key["team"] is not None and key["team"]["id"] == shown["id"]]
    return visit.page("team.html", team=shown, keys=keys[:SHOWN_MAX], hidden=max(0, len(keys) - SHOWN_MAX))


async def create(visit: Visit) -> Page:
    """Make a team."""
    form = visit.form
    account = {"account": form["account"]} if "account" in form else {}
    made = await visit.post("/teams", {"name": form.get("name", ""), "spend_cap": cap_in(form), **account})
    return visit.done(f"/teams/{part(made['id'])}", f"The team “{made['name']}” was made. Keys are made in it, and stay in it.")


async def create_key(visit: Visit) -> Page:
    """Make a key in a team."""
    return await key_pages.made_of(visit, {**visit.form, "team": visit.name})


async def update(visit: Visit) -> Page:
    """Change a team's name and cap to what the form says."""
    form = visit.form
    shown = await visit.post(f"/teams/{part(visit.name)}/update", {"name": form.get("name", ""), "spend_cap": cap_in(form)})
    return visit.done(f"/teams/{part(shown['id'])}", "The team was changed. It counts from its keys' next calls on.")


def cap_in(form: dict[str, str]) -> str | None:
    """Return a cap as a form has it: None if it is empty."""
    cap = form.get("cap")
    return None if cap is None else f"{cap}/{form.get('window', 'month')}"
