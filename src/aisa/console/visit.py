"""One request of somebody who looks at the console: who he is, what he asks for, and how a page's values are had. Knows no page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, quote

import msgspec

from aisa.console.assets import Assets
from aisa.console.form import NOT_SENT, Form
from aisa.console.page import FORM_BYTES_MAX, PREFIX, Page, redirected
from aisa.console.sessions import Notice, Session
from aisa.edge.admin import Actor, Answer
from aisa.errors import ApiError
from aisa.http.server import Request

FRAGMENT_HEADERS = ("hx-request", "x-fragment")  # of scripts that want a part of a page

Shape = TypeVar("Shape")


class Administration(Protocol):
    """What is asked as an administrator: `edge.control.Control.ask` does it."""

    def __call__(self, method: str, path: str, body: bytes, *, actor: Actor) -> Awaitable[Answer]:
        """Do what is asked, and return the status and a JSON body. Raises ApiError overloaded."""
        ...


class Ask(msgspec.Struct, frozen=True):
    """What pages are made with: `admin` answers as the admin API does, `render` fills a template, `api` is where callers call."""

    admin: Administration
    render: Callable[[str, Mapping[str, object]], str]
    now: Callable[[], float]
    api: Callable[[], str | None]
    assets: Assets
    moved: bool = False


class Fields(dict[str, str]):
    """The fields of an address; one that was not given is empty."""

    def __missing__(self, name: str) -> str:
        return ""


class Visit(msgspec.Struct):
    """A request. `name` is what stands in its path for the part that varies; the session is None on the pages for everybody.

    `refused` is why a form was refused whose page is shown again, and `is_shown` whether that page has the form. `in_doubt` says that
    nobody knows whether what was sent is done.
    """

    with_: Ask
    request: Request
    name: str
    session: Session | None
    secure: bool
    address: str
    refused: ApiError | None = None
    is_shown: bool = False
    in_doubt: bool = False

    @property
    def query(self) -> dict[str, str]:
        """The fields of the address that are not empty."""
        return {name: value for name, value in parse_qsl(self.request.query) if value}

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form that are not empty."""
        return {name: value for name, value in self.sent.items() if value}

    @property
    def sent(self) -> dict[str, str]:
        """All fields of a form."""
        fields = parse_qsl(self.request.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: value.strip() for name, value in fields}

    @property
    def number(self) -> str:
        """The number of a form that was sent, as its page has given it; empty if it came from no page."""
        return self.sent.get("form", "")

    @property
    def wants_part(self) -> bool:
        """Whether only the part of a page is wanted that scripts replace."""
        return any(name in self.request.headers for name in FRAGMENT_HEADERS)

    @property
    def own_session(self) -> Session:
        """The session of a page that needs one."""
        assert self.session is not None, "the route needs a session, which was looked at first"
        return self.session

    @property
    def origin(self) -> str:
        """Where callers reach the API, as this browser would write it."""
        if self.with_.moved:
            return self.with_.api() or ""
        return f"{'https' if self.secure else 'http'}://{self.request.headers.get('host', '')}"

    async def raw(self, method: str, path: str, body: object = None) -> bytes:
        """Ask the administration. Raises ApiError as it answers."""
        sent = b"" if body is None else msgspec.json.encode(body)
        status, answer = await self.with_.admin(method, path, sent, actor=self.own_session.actor)
        if status >= 400:
            error = msgspec.json.decode(answer)["error"]
            raise ApiError(error["code"], error["message"], param=error["param"])
        return answer

    async def get(self, path: str, **query: object) -> Any:
        """Return what the administration shows."""
        return msgspec.json.decode(await self.raw("GET", with_query(path, query)))

    async def typed(self, path: str, shape: type[Shape]) -> Shape:
        """Return the same as a type."""
        return msgspec.json.decode(await self.raw("GET", path), type=shape)

    async def post(self, path: str, body: object = None) -> Any:
        """Have the administration change something."""
        return msgspec.json.decode(await self.raw("POST", path, {} if body is None else body))

    def form_of(self, action: str) -> Form:
        """Return the form of this page whose address ends so: with what was sent, if it was this one that was refused."""
        was_sent = self.refused is not None and self.request.path.rpartition("/")[2] == action
        self.is_shown = self.is_shown or was_sent
        return Form(self.sent if self.request.method == "POST" else self.query, self.refused) if was_sent else NOT_SENT

    def page(self, template: str, *, status: int = 200, **values: object) -> Page:
        """Fill a template. A page that is shown again for a form that was refused has the status of that."""
        status = status if self.refused is None else self.refused.status
        if self.session is not None:
            self.session.number(self.number if self.in_doubt else None)
        notice = None if self.session is None or self.wants_part else self.session.take_notice()
        common = {
            "session": self.session,
            "notice": notice,
            "urls": self.with_.assets.urls,
            "missing": self.with_.assets.missing,
            "layout": "part.html" if self.wants_part else "layout.html",
            "now": self.with_.now(),
            "path": self.request.path,
            "origin": self.origin,
            "query": Fields(self.query),
            "form_of": self.form_of,
            "refused": self.refused,
            "in_doubt": self.in_doubt,
            "form_bytes_max": FORM_BYTES_MAX,
        }
        return Page(self.with_.render(template, {**common, **values}).encode(), status)

    def done(self, path: str, text: str, secret: str | None = None, *, notes: tuple[str, ...] = ()) -> Page:
        """Answer that something was changed, on a page that shows it."""
        self.own_session.notice = Notice("good", text, secret, notes)
        return redirected(PREFIX + path)


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return an address with the fields that are given."""
    given = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value not in (None, ""))
    return f"{path}?{given}" if given else path


def part(name: str) -> str:
    """Write a name as a part of a path."""
    return quote(name, safe="")
