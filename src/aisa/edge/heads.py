"""What is read off a request's head beside its route: the caller's own id, what its body is, and what is told of it if it is refused."""

from __future__ import annotations

from typing import Generic

import msgspec

from aisa.edge.hints import shown
from aisa.edge.routes import SHOWN_METHOD_CHARACTERS_MAX, Handler, Route
from aisa.errors import ApiError
from aisa.facts import Refused
from aisa.http.packed_body import CODINGS
from aisa.http.server import Request
from aisa.keys.rules import Key
from aisa.names import CLIENT_ID_CHARACTERS_MAX, UNREAD
from aisa.wire.reply import JSON_TYPE


class Judged(msgspec.Struct, Generic[Handler], frozen=True):
    """What a good head asks for, whenever it comes: a route, what stands in its path for the part that varies, as whom, under which id.

    `key` is whose the secret was then. `address` and what may be shown of it are the client's: a head's memo lasts no longer than its
    connection. `coding` is how the body is compressed, nothing for most.
    """

    route: Route[Handler]
    name: str
    secret: str | None
    key: Key | None
    client_request_id: str | None
    address: str
    shown_address: str | None
    coding: str = ""


def client_id(request: Request) -> str | None:
    """Return the caller's own id for the request: 1 to 128 printable ASCII characters, else None."""
    given = request.headers.get("x-client-request-id") or request.headers.get("x-request-id")
    fits = given and len(given) <= CLIENT_ID_CHARACTERS_MAX and given.isascii() and given.isprintable()
    return given if fits else None


def refused(error: ApiError, request_id: str, request: Request | None, *, key: Key | None, address: str | None, model: str = "") -> Refused:
    """Return what is reported of a refusal: of the request's own words only so much as a log line should have."""
    if request is None:
        return Refused(request_id, error.status, error.code, UNREAD, UNREAD, address=address, message=error.message)
    method, path = request.method[:SHOWN_METHOD_CHARACTERS_MAX], shown(request.path)
    whose = ("", "") if key is None else (key.id, key.label)
    return Refused(request_id, error.status, error.code, method, path, client_id(request), *whose, address, shown(model))


def coding_of(content_type: str, encoding: str) -> str:
    """Return how a body that may be JSON is compressed, nothing if it is not. Raises ApiError unsupported_media_type for any other."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != JSON_TYPE and not (kind.startswith("application/") and kind.endswith("+json")):
        raise not_json(kind)
    coding = encoding.strip().lower()
    if coding in ("identity", ""):
        return ""
    if coding not in CODINGS:
        remedy = "send it as gzip or zstd, or without Content-Encoding."
        raise ApiError("unsupported_media_type", f"The body's Content-Encoding is '{encoding[:100]}'; {remedy}")
    return coding


def not_json(kind: str) -> ApiError:
    """Return the refusal of a body that says to be something else, or names no type."""
    given = f"is '{kind[:100]}'" if kind else "names no type"
    return ApiError("unsupported_media_type", f"The body's Content-Type {given}; send 'Content-Type: application/json'.")
