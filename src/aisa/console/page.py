"""What the console answers: a page, a redirection, a file, and the headers that keep other pages and servers out. Fills no template."""

from __future__ import annotations

import msgspec

from aisa.errors import ApiError
from aisa.http.server import Request
from aisa.wire.port import HeaderList

HTML = "text/html; charset=utf-8"
COOKIE = "aisa_console"
PREFIX = "/console"
FIELDS_MAX = 200  # the largest form has some forty
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
    """Return the console's cookie of a `Cookie` header, an empty text if there is none.

    The first counts, as browsers name that of the longest path first. The standard library's parser takes a tenth of a second for a header
    of 64 KiB, which anybody may send.
    """
    for cookie in header.split(";"):
        name, _, value = cookie.partition("=")
        if name.strip() == COOKIE:
            return value.strip()
    return ""


def check_fields(request: Request) -> None:
    """Raises ApiError invalid_request for more fields, in address and form together, than any page has: to read them takes long."""
    if request.query.count("&") + request.body.count(b"&") >= FIELDS_MAX:
        raise ApiError("invalid_request", f"This has more than {FIELDS_MAX} fields, which no page here asks for.")


def set_cookie(secret: str, seconds: int, *, secure: bool) -> tuple[str, str]:
    """Return the header that sets the console's cookie for so long, or takes it away (0)."""
    more = "; Secure" if secure else ""
    return "set-cookie", f"{COOKIE}={secret}; Path={PREFIX}; HttpOnly; SameSite=Strict; Max-Age={seconds}{more}"
