"""What the console answers: a page, a redirection, a file, and the headers that keep other pages and servers out. Fills no template."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

import msgspec

from aisa.wire.port import HeaderList

HTML = "text/html; charset=utf-8"
COOKIE = "aisa_console"
PREFIX = "/console"
FORM_BYTES_MAX = 65_536  # a form with an allow-list of a thousand models
#: For who is not let in: it loads nothing, as nothing else is sent there.
REFUSED = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{heading} · aisa</title>
<link rel="icon" href="data:,">
</head>
<body><h1>{heading}</h1><p>{message}</p><p>{status} <code>{code}</code></p></body>
</html>
"""
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
