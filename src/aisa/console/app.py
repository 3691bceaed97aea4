"""The console at `/console`: who is let in and how, which page a request gets, and what keeps other sites out. Writes no page itself.

Its pages ask what administrators ask, by the same routes (`edge.admin`), so what one shows the other does too. There is no prompt on any of
them, as none is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Protocol
from urllib.parse import parse_qs, unquote

import msgspec

from aisa.console import account_pages, call_pages, key_pages, server_pages, team_pages, usage_pages
from aisa.console.page import GUARDS, HTML, NEVER_KEPT, POLICY, PREFIX, REFUSED, Page, cookie_of, redirected, set_cookie
from aisa.console.sessions import SESSION_SECONDS, Sessions
from aisa.console.visit import Ask, Visit
from aisa.edge.admin import Actor
from aisa.edge.admin_gate import AdminGate
from aisa.edge.hints import shown
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError
from aisa.http.server import Reply, Request
from aisa.keys.rules import WRITE
from aisa.wire.port import HeaderList

LOGIN = f"{PREFIX}/login"
EVENTS = f"{PREFIX}/live/events"
EVENT_SECONDS = 1.0  # between two looks at the calls that run
WATCHERS_MAX = 20  # who look at the same time: each look is a question to the administration
FORM_BYTES_MAX = 65_536  # a form with an allow-list of a thousand models
RETRY_MS = 2_000  # after which a browser asks for events again

#: What answers a request. Raises ApiError.
Answering = Callable[[Visit], Awaitable[Page]]


class Console:
    """The console of one server. `tls` says that its connections are secured; `stopping` returns why the server goes away, if it does."""

    def __init__(self, gate: AdminGate, sessions: Sessions, ask: Ask, *, tls: bool, stopping: Callable[[], str | None]) -> None:
        self._gate = gate
        self._sessions = sessions
        self._ask = ask
        self._tls = tls
        self._routes = RouteTable(ROUTES)
        self.watchers = 0
        self.stopping = stopping

    def link(self, origin: str) -> str:
        """Return an address that signs the operator at this machine in, once and within ten minutes."""
        return f"{origin}{PREFIX}/enter?link={self._sessions.new_link()}"

    def judge(self, request: Request, address: str, request_id: str) -> ConsoleVisit:
        """Judge a request by its head. Raises ApiError insufficient_permissions for a foreign host name."""
        self._gate.hosts.check(request.headers.get("host", ""), "The console")
        return ConsoleVisit(self, request, address, request_id)

    def refuse(self, error: ApiError, reply: Reply, request_id: str) -> None:
        """Answer a request that was not let in."""
        refuse_browser(error, reply, request_id)

    async def page(self, request: Request, address: str) -> Page:
        """Answer a request whose host name is good. Raises nothing that a request can cause."""
        secure = self._tls or request.headers.get("x-forwarded-proto", "") == "https"
        secret = cookie_of(request.headers.get("cookie", ""))
        session = self._sessions.find(secret) if secret else None
        visit = Visit(self._ask, request, "", session, secure, address)
        try:
            return await self._answered(visit)
        except ApiError as error:
            template = "part_error.html" if visit.wants_part else "error.html"
            return visit.page(template, status=error.status, error=error, back=back_of(request))

    async def _answered(self, visit: Visit) -> Page:
        request = visit.request
        bare = request.path.rstrip("/")
        if bare != request.path and request.method in ("GET", "HEAD"):
            return redirected(f"{bare}?{request.query}" if request.query else bare)
        try:
            route, visit.name = self._routes.find(request.method, request.path)
        except ApiError as error:  # without what is nearest by its letters: pages are in the menu, and forms are asked for by none
            raise ApiError(error.code, NO_PAGE.format(shown(request.path))) if error.code == "unknown_endpoint" else error from None
        visit.name = unquote(visit.name)
        if request.method == "POST":
            check_own_origin(request)
        if route.handler in OPEN:
            return await self._open(route, visit)
        if visit.session is None:
            return redirected(LOGIN) if not visit.wants_part else Page(status=401, headers=[("hx-redirect", LOGIN)])
        if request.method == "POST":
            visit.session.check_token(visit.form.get("token", ""))
            if route.handler is logout:
                self._sessions.close(cookie_of(request.headers.get("cookie", "")))
                return redirected(LOGIN, set_cookie("", 0, secure=visit.secure))
            if not visit.session.may_write:
                raise ApiError("insufficient_permissions", "You are signed in with an admin key that may only read.")
        try:
            return await route.handler(visit)
        except ApiError as error:
            form_page = FORM_PAGES.get(route.handler)
            if form_page is None:
                raise
            visit.refused = error
        with contextlib.suppress(ApiError):  # what the page is about may be gone by now
            page = await form_page(visit)
            if visit.is_shown:
                return page
        raise visit.refused

    async def _open(self, route: Route[Answering], visit: Visit) -> Page:
        """Answer what anybody may ask: files, the page to sign in, and signing in itself."""
        request = visit.request
        if route.handler is asset:
            return visit.with_.assets.page(visit.name) or visit.page("error.html", status=404, error=NO_FILE, back=PREFIX)
        if route.handler is enter:
            return self._enter(visit)
        if request.method != "POST":
            return visit.page("login.html", problem="")
        given = visit.form.get("key")
        try:
            key = self._gate.key_of(given, request.headers.get("host", ""), visit.address)
        except ApiError as error:
            problem = NO_KEY if not given else ONE_KEY if "," in given and error.code == "invalid_api_key" else error.message
            return visit.page("login.html", status=error.status, problem=problem)
        _, secret = self._sessions.open(Actor(f"{key.label} ({key.id})", visit.address or None), key.scope, key)
        return redirected(PREFIX, set_cookie(secret, SESSION_SECONDS, secure=visit.secure))

    def _enter(self, visit: Visit) -> Page:
        """Sign in with a one-time link. A HEAD, which some programs send ahead, does not use it up."""
        if visit.request.method != "GET":
            return redirected(LOGIN)
        given = parse_qs(visit.request.query).get("link", [""])[0]
        self._gate.check_guesser(visit.address)
        if not self._sessions.use_link(given):
            self._gate.note_guess(visit.address)
            problem = "This link was used, or is older than ten minutes. Sign in with an admin key."
            return visit.page("login.html", status=401, problem=problem)
        _, secret = self._sessions.open(Actor("operator (console)", visit.address or None), WRITE)
        return redirected(PREFIX, set_cookie(secret, SESSION_SECONDS, secure=visit.secure))

    async def shown(self, request: Request, address: str, _request_id: str) -> Shown:
        """Answer a request whose host name is good, with the policy that the answer is sent with. Nobody is watched for who goes away."""
        over = request.path == EVENTS and self.stopping() is not None
        return Shown(Page(status=204) if over else await self.page(request, address), self.policy())

    def policy(self) -> str:
        """Return the policy that tells browsers what our pages may load: nothing from elsewhere but, where it is, the API."""
        api = self._ask.api() if self._ask.moved else None
        return POLICY.format(api=f" {api}" if api else "")


class Shown(msgspec.Struct, frozen=True):
    """A page of the console, and the policy that it is sent with."""

    page: Page
    policy: str


class Pages(Protocol):
    """Who has the pages: `Console`, here or in another process. `watchers` is how many browsers are sent events here."""

    watchers: int

    async def shown(self, request: Request, address: str, request_id: str, /) -> Shown:
        """Answer a request. Raises ApiError when nobody can."""
        ...


class ConsoleVisit(msgspec.Struct):
    """A request for the console; see `http.shared.Verdict`."""

    pages: Pages
    request: Request
    address: str
    id: str
    body_bytes_max: int | None = FORM_BYTES_MAX

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self._answer(reply)

    async def _answer(self, reply: Reply) -> None:
        pages, events = self.pages, self.request.path == EVENTS and self.request.method == "GET"
        if events:
            self.request = msgspec.structs.replace(self.request, headers={**self.request.headers, "x-fragment": "1"})
        try:
            shown = await pages.shown(self.request, self.address, self.id)
        except ApiError as error:
            refuse_browser(error, reply, self.id)
            return
        if not events:
            send(reply, shown.page, shown.policy)
        elif shown.page.status != 200 or pages.watchers >= WATCHERS_MAX:
            send(reply, Page(status=204 if shown.page.status == 200 else shown.page.status), shown.policy)
        else:
            pages.watchers += 1
            try:
                await send_events(reply, self._look)
            finally:
                pages.watchers -= 1

    async def _look(self) -> bytes | None:
        """Return what there is to see now, None when the session is over, or the server goes away."""
        try:
            page = (await self.pages.shown(self.request, self.address, self.id)).page
        except ApiError:
            return None
        return page.body if page.status == 200 else None


def refuse_browser(error: ApiError, reply: Reply, request_id: str) -> None:
    """Answer with an error for people, as a page that needs no file: none is sent to whoever was not let in."""
    headers: HeaderList = [("content-type", HTML), ("x-request-id", request_id)]
    headers += [] if error.retry_after is None else [("retry-after", str(error.retry_after))]
    body = REFUSED.format(status=error.status, code=error.code, message=escape(error.message))
    send(reply, Page(body.encode(), error.status, headers), POLICY.format(api=""))


def send(reply: Reply, page: Page, policy: str) -> None:
    """Send a whole answer."""
    kept = [] if any(name == "cache-control" for name, _ in page.headers) else NEVER_KEPT
    reply.start(page.status, [*page.headers, ("content-security-policy", policy), *GUARDS, *kept], len(page.body))
    reply.write(page.body)
    reply.end()


async def send_events(reply: Reply, look: Callable[[], Awaitable[bytes | None]]) -> None:
    """Send what `look` returns as events, one a second, until it returns None or nobody reads any more."""
    headers: HeaderList = [("content-type", "text/event-stream"), *GUARDS, *NEVER_KEPT]
    reply.start(200, headers, None)
    reply.write(b"retry: %d\n\n" % RETRY_MS)
    try:
        while not reply.gone and (html := await look()) is not None:
            reply.write(b"".join(b"data: %b\n" % line for line in html.splitlines()) + b"\n")
            if reply.congested:
                await reply.writable()
            await asyncio.sleep(EVENT_SECONDS)
    except asyncio.CancelledError:
        if not reply.gone:  # the server closes
            reply.end()
        return
    if not reply.gone:
        reply.end()


def check_own_origin(request: Request) -> None:
    """Raise ApiError insufficient_permissions for a form that another site's page has sent."""
    site, origin = request.headers.get("sec-fetch-site", "same-origin"), request.headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2].casefold() != request.headers.get("host", "").casefold()
    if site not in ("same-origin", "none") or foreign:
        raise ApiError("insufficient_permissions", "Forms of other sites are not taken.")


def back_of(request: Request) -> str:
    """Return the page that a form came from, for whoever is told that it was refused."""
    came = "/" + request.headers.get("referer", "").partition("://")[2].partition("/")[2].partition("?")[0]
    return came if came.startswith(PREFIX) else PREFIX


async def login(visit: Visit) -> Page:
    """Sign in: `Console` does it, who has the sessions."""
    return visit.page("login.html", problem="")


async def enter(_visit: Visit) -> Page:
    """Sign in with a one-time link, as `login`."""
    return redirected(LOGIN)


async def logout(_visit: Visit) -> Page:
    """Sign out, as `login`."""
    return redirected(LOGIN)


async def asset(_visit: Visit) -> Page:
    """Send a file, as `login`."""
    return Page(status=404)


NO_PAGE = "The console has no page at {}."
NO_KEY = "The field is empty: fill in an admin key. It begins with sk-aisa-admin-."
ONE_KEY = "There is a comma in the field: fill in one admin key alone."
NO_FILE = ApiError("resource_not_found", "There is no such file.")
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
