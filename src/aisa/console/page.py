"""What the console answers: a page, a redirection, a file, with the headers that keep other pages and other servers out. Writes no HTML."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

import msgspec

from aisa.wire.port import HeaderList

HTML = "text/html; charset=utf-8"
COOKIE = "aisa_console"
PREFIX = "/console"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{api}; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
GUARDS: HeaderList = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),  # with `no-referrer` browsers send our own forms with `Origin: null`
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
]
NEVER_KEPT: HeaderList = [("cache-control", "no-store")]


class Page(msgspec.Struct, frozen=True):
    """A whole answer."""

    body: bytes = b""
    status: int = 200
    headers: HeaderList = msgspec.field(default_factory=lambda: [("content-type", HTML)])


def redirected(path: str, *more: tuple[str, str]) -> Page:
    """Return the answer that has a browser look elsewhere on this server."""
    return Page(status=303, headers=[("location", path), *more])


def cookie_of(header: str) -> str:
    """Return the console's cookie of a `Cookie` header, an empty text if there is none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def set_cookie(secret: str, seconds: int, *, secure: bool) -> tuple[str, str]:
    """Return the header that sets the console's cookie for so long, or takes it away (0)."""
    more = "; Secure" if secure else ""
    return "set-cookie", f"{COOKIE}={secret}; Path={PREFIX}; HttpOnly; SameSite=Strict; Max-Age={seconds}{more}"
