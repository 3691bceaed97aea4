"""The console at `/console`: who is let in and how, which page a request gets, and what keeps other sites out. Writes no page itself.

Its pages ask what administrators ask, by the same routes (`edge.admin`), so what one shows the other does too. There is no prompt on any of
them, as none is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from html import escape
from typing import Protocol
from urllib.parse import parse_qs, unquote

import msgspec

from aisa.console.doubt import doubted, hides_change, sent_again
from aisa.console.kept import SIGNED_OUT, again, kept_of
from aisa.console.page import (
    FORM_BYTES_MAX,
    GUARDS,
    HTML,
    NEVER_KEPT,
    POLICY,
    PREFIX,
    REFUSED,
    Page,
    check_fields,
    cookie_of,
    redirected,
    set_cookie,
)
from aisa.console.routes import FORM_PAGES, LOGIN, OPEN, ROUTES, Answering, asset, enter, logout, page_of
from aisa.console.sessions import SESSION_SECONDS, Session, Sessions
from aisa.console.visit import Ask, Visit
from aisa.edge.admin import Actor
from aisa.edge.admin_gate import AdminGate
from aisa.edge.hints import shown
from aisa.edge.pages import send_whole
from aisa.edge.refusals import Note
from aisa.edge.routes import Route, RouteTable
from aisa.errors import ApiError
from aisa.http.server import Reply, Request
from aisa.keys.rules import WRITE
from aisa.wire.port import HeaderList

SIGNING_IN = (LOGIN, f"{PREFIX}/enter")
GUESSED = {401: "invalid_api_key", 429: "rate_limit_exceeded"}  # what the log calls pages of who signs in with a wrong key or link
EVENTS = f"{PREFIX}/live/events"
EVENT_SECONDS = 1.0  # between two looks at the calls that run
WATCHERS_MAX = 20  # who look at the same time: each look is a question to the administration
RETRY_MS = 2_000  # after which a browser asks for events again

NO_PAGE = "The console has no page at {}."
RETURNED = "Your session had ended when you sent this, so it was not done. Look at it, and send it again."
NO_KEY = "The field is empty: fill in an admin key. It begins with sk-aisa-admin-."
ONE_KEY = "There is a comma in the field: fill in one admin key alone."
NO_FILE = ApiError("resource_not_found", "There is no such file.")


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

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> ConsoleVisit:
        """Judge a request by its head. Raises ApiError insufficient_permissions for a foreign host name."""
        self._gate.hosts.check(request.headers.get("host", ""), "The console")
        return ConsoleVisit(self, request, address, request_id, note)

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
            if route.handler in FORM_PAGES:
                return visit.page("login.html", status=401, problem="", kept=kept_of(visit), told=SIGNED_OUT)
            return redirected(LOGIN) if not visit.wants_part else Page(status=401, headers=[("hx-redirect", LOGIN)])
        if request.method == "POST":
            return await self._changed(route, visit, visit.session)
        return await route.handler(visit)

    async def _changed(self, route: Route[Answering], visit: Visit, session: Session) -> Page:
        """Do what a form says, once. Raises ApiError."""
        request = visit.request
        try:
            session.check_token(visit.form.get("token", ""))
        except ApiError as error:
            return await self._shown_again(route, visit, error)
        if route.handler is logout:
            self._sessions.close(cookie_of(request.headers.get("cookie", "")))
            return redirected(LOGIN, set_cookie("", 0, secure=visit.secure))
        if not session.may_write:
            raise ApiError("insufficient_permissions", "You are signed in with an admin key that may only read.")
        path, number = request.path, visit.number
        if (done := session.take(path, number)) is not None:
            session.notice = session.notice or sent_again(done=done)
            return redirected(page_of(route, path))
        try:
            page = await route.handler(visit)
        except ApiError as error:
            visit.in_doubt = hides_change(error)
            if not visit.in_doubt:
                session.settle(path, number, done=False)
            return await self._shown_again(route, visit, doubted(error) if visit.in_doubt else error)
        session.settle(path, number, done=True)
        return page

    async def _shown_again(self, route: Route[Answering], visit: Visit, error: ApiError) -> Page:
        """Return the page of a form that was refused, with what was typed. Raises the error again where there is none."""
        visit.refused = error
        if (form_page := FORM_PAGES.get(route.handler)) is not None:
            with contextlib.suppress(ApiError):  # what the page is about may be gone by now
                page = await form_page(visit)
                if visit.is_shown:
                    return page
        raise error

    async def _open(self, route: Route[Answering], visit: Visit) -> Page:
        """Answer what anybody may ask: files, the page to sign in, and signing in itself."""
        request = visit.request
        if route.handler is asset:
            return visit.with_.assets.page(visit.name) or visit.page("error.html", status=404, error=NO_FILE, back=PREFIX)
        if route.handler is enter:
            return self._enter(visit)
        if request.method != "POST":
            return visit.page("login.html", problem="", kept={}, told="")
        given = visit.form.get("key")
        try:
            key = self._gate.key_of(given, request.headers.get("host", ""), visit.address)
        except ApiError as error:
            problem = NO_KEY if not given else ONE_KEY if "," in given and error.code == "invalid_api_key" else error.message
            return visit.page("login.html", status=error.status, problem=problem, kept=kept_of(visit), told="")
        session, secret = self._sessions.open(Actor(f"{key.label} ({key.id})", visit.address or None), key.scope, key)
        cookie = set_cookie(secret, SESSION_SECONDS, secure=visit.secure)
        page = await self._returned(visit, session)
        return redirected(PREFIX, cookie) if page is None else msgspec.structs.replace(page, status=200, headers=[*page.headers, cookie])

    async def _returned(self, visit: Visit, session: Session) -> Page | None:
        """Return the page of a form that was sent after its session had ended, to whoever has signed in again; None if there is none."""
        sent = again(visit, session)
        if sent is None:
            return None
        try:
            route, name = self._routes.find("POST", sent.request.path)
            sent.name = unquote(name)
            return await self._shown_again(route, sent, ApiError("invalid_request", RETURNED))
        except ApiError:
            return None

    def _enter(self, visit: Visit) -> Page:
        """Sign in with a one-time link. A HEAD, which some programs send ahead, does not use it up."""
        if visit.request.method != "GET":
            return redirected(LOGIN)
        given = parse_qs(visit.request.query).get("link", [""])[0]
        self._gate.check_guesser(visit.address)
        if not self._sessions.use_link(given):
            self._gate.note_guess(visit.address)
            problem = "This link was used, or is older than ten minutes. Sign in with an admin key."
            return visit.page("login.html", status=401, problem=problem, kept={}, told="")
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
    note: Note
    body_bytes_max: int | None = FORM_BYTES_MAX

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self._answer(reply)

    async def _answer(self, reply: Reply) -> None:
        pages, events = self.pages, self.request.path == EVENTS and self.request.method == "GET"
        if events:
            self.request = msgspec.structs.replace(self.request, headers={**self.request.headers, "x-fragment": "1"})
        try:
            check_fields(self.request)
            shown = await pages.shown(self.request, self.address, self.id)
        except ApiError as error:
            self.note(error, self.request, self.id)
            refuse_browser(error, reply, self.id, in_doubt=self.request.method == "POST" and hides_change(error))
            return
        if self.request.path in SIGNING_IN and (code := GUESSED.get(shown.page.status)) is not None:
            self.note(ApiError(code, ""), self.request, self.id)
        if not events:
            await send_whole(reply, shown.page.status, headers_of(shown.page, shown.policy), body=shown.page.body)
        elif shown.page.status != 200 or pages.watchers >= WATCHERS_MAX:
            page = Page(status=204 if shown.page.status == 200 else shown.page.status)
            await send_whole(reply, page.status, headers_of(page, shown.policy), body=b"")
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


def refuse_browser(error: ApiError, reply: Reply, request_id: str, *, in_doubt: bool = False) -> None:
    """Answer with an error for people, as a page that needs no file: none is sent to whoever was not let in.

    It is `in_doubt` what became of a form that somebody else was to take.
    """
    heading = "It is not known whether that was done" if in_doubt else "That was not done"
    error = doubted(error) if in_doubt else error
    headers: HeaderList = [("content-type", HTML), ("x-request-id", request_id)]
    headers += [] if error.retry_after is None else [("retry-after", str(error.retry_after))]
    body = REFUSED.format(heading=heading, status=error.status, code=error.code, message=escape(error.message))
    page = Page(body.encode(), error.status, headers)
    reply.start(page.status, headers_of(page, POLICY.format(api="")), len(page.body))
    reply.end(page.body)


def headers_of(page: Page, policy: str) -> HeaderList:
    """Return all headers of a whole answer."""
    kept = [] if any(name == "cache-control" for name, _ in page.headers) else NEVER_KEPT
    return [*page.headers, ("content-security-policy", policy), *GUARDS, *kept]


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
