"""Which page each address of the console is, and which one shows a form that was refused, or what it did. Answers nothing itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aisa.console import account_pages, call_pages, key_pages, server_pages, team_pages, usage_pages
from aisa.console.page import PREFIX, Page, redirected
from aisa.console.visit import Visit
from aisa.edge.routes import Route

LOGIN = f"{PREFIX}/login"

#: What answers a request. Raises ApiError.
Answering = Callable[[Visit], Awaitable[Page]]


async def login(visit: Visit) -> Page:
    """Sign in: `Console` does it, who has the sessions."""
    return visit.page("login.html", problem="", kept={}, told="")


async def enter(_visit: Visit) -> Page:
    """Sign in with a one-time link, as `login`."""
    return redirected(LOGIN)


async def logout(_visit: Visit) -> Page:
    """Sign out, as `login`."""
    return redirected(LOGIN)


async def asset(_visit: Visit) -> Page:
    """Send a file, as `login`."""
    return Page(status=404)


#: What anybody may ask.
OPEN = (login, enter, asset)


def look(path: str, handler: Answering, summary: str = "") -> Route[Answering]:
    """Return the route of a page."""
    return Route("GET", PREFIX + path, handler, summary)


def change(path: str, handler: Answering) -> Route[Answering]:
    """Return the route of a form."""
    return Route("POST", PREFIX + path, handler)


ROUTES: tuple[Route[Answering], ...] = (
    look("", usage_pages.overview, "Overview"),
    look("/sums", usage_pages.sums),
    look("/live", call_pages.live, "Live calls"),
    look("/live/events", call_pages.live),
    look("/calls", call_pages.calls, "Calls"),
    change("/calls/{name}/end", call_pages.end_call),
    look("/calls/{name}", call_pages.receipt),
    look("/usage", usage_pages.usage, "Usage"),
    look("/usage/plots", usage_pages.plots),
    look("/keys", key_pages.keys, "Keys"),
    change("/keys", key_pages.create),
    change("/keys/{name}/update", key_pages.update),
    change("/keys/{name}/rotate", key_pages.rotate),
    *(change(f"/keys/{{name}}/{action}", key_pages.set_state) for action in ("disable", "enable", "revoke")),
    look("/keys/{name}", key_pages.key),
    look("/teams", team_pages.teams, "Teams"),
    change("/teams", team_pages.create),
    change("/teams/{name}/update", team_pages.update),
    change("/teams/{name}/keys", team_pages.create_key),
    look("/teams/{name}", team_pages.team),
    look("/accounts", account_pages.accounts, "Accounts"),
    change("/accounts", account_pages.create),
    change("/accounts/{name}/top-up", account_pages.top_up),
    change("/accounts/{name}/adjust", account_pages.adjust),
    change("/accounts/{name}/tier", account_pages.set_tier),
    *(change(f"/accounts/{{name}}/{action}", account_pages.set_state) for action in ("disable", "enable", "unlimit")),
    look("/accounts/{name}/statement", account_pages.statement),
    look("/accounts/{name}", account_pages.account),
    look("/vendors", server_pages.vendors, "Vendors"),
    look("/vendors/sums", server_pages.vendor_sums),
    look("/models", server_pages.models, "Models"),
    look("/models/rows", server_pages.model_rows),
    look("/changes", server_pages.changes, "Changes"),
    look("/playground", server_pages.playground, "Playground"),
    change("/playground/key", key_pages.for_playground),
    look("/setup", server_pages.setup, "Setup"),
    look("/login", login),
    change("/login", login),
    look("/enter", enter),
    change("/logout", logout),
    look("/assets/{name}", asset),
)
#: The page that shows what a form did whose address is not below it.
ELSEWHERE: Mapping[Answering, str] = {call_pages.end_call: "/live", key_pages.for_playground: "/playground"}
#: The page of each form with fields: when the form is refused it is shown again, with what was typed.
FORM_PAGES: Mapping[Answering, Answering] = {
    key_pages.create: key_pages.keys,
    key_pages.update: key_pages.key,
    key_pages.rotate: key_pages.key,
    team_pages.create: team_pages.teams,
    team_pages.update: team_pages.team,
    team_pages.create_key: team_pages.team,
    account_pages.create: account_pages.accounts,
    account_pages.top_up: account_pages.account,
    account_pages.adjust: account_pages.account,
    account_pages.set_tier: account_pages.account,
}


def page_of(route: Route[Answering], path: str) -> str:
    """Return the page that shows what a form has changed."""
    if route.handler in ELSEWHERE:
        return PREFIX + ELSEWHERE[route.handler]
    return path.rpartition("/")[0] if "{" in route.path else path
