"""AWS's Signature Version 4: what is added to a request so that AWS knows whose it is. Pure; the time is given."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
END = "aws4_request"
MOMENT = "%Y%m%dT%H%M%SZ"
UNRESERVED = "-_.~"  # what stays as it is in a path that is signed, beside letters and digits; `%` is encoded once more


class Keys(NamedTuple):
    """What requests are signed with. The session's token goes along with keys that hold only for a while."""

    access_key: str
    secret_key: str
    session_token: str = ""


class Scope(NamedTuple):
    """Where a signature counts: the region and the service, as `eu-west-1` and `bedrock`."""

    region: str
    service: str


class Unsigned(NamedTuple):
    """A request: its host as in its header, the path as it is sent, the query's pairs encoded as they are sent, and the body."""

    method: str
    host: str
    path: str
    query: str
    body: bytes


def signature(keys: Keys, scope: Scope, request: Unsigned, *, at: float) -> tuple[tuple[str, str], ...]:
    """Return the headers that prove a request at a UNIX time in seconds."""
    moment = datetime.fromtimestamp(at, UTC).strftime(MOMENT)
    stamped = {"host": request.host, "x-amz-date": moment}
    if keys.session_token:
        stamped["x-amz-security-token"] = keys.session_token
    names = ";".join(stamped)  # they stand in the order of the alphabet
    canonical = "\n".join(
        (
            request.method,
            "/".join([quote(segment, safe=UNRESERVED) for segment in request.path.split("/")]),
            "&".join(sorted(request.query.split("&"))),
            *[f"{name}:{' '.join(value.split())}" for name, value in stamped.items()],
            "",
            names,
            sha256(request.body).hexdigest(),
        )
    )
    place = f"{moment[:8]}/{scope.region}/{scope.service}/{END}"
    to_sign = f"{ALGORITHM}\n{moment}\n{place}\n{sha256(canonical.encode()).hexdigest()}"
    signed = hmac.digest(signing_key(keys.secret_key, moment[:8], scope), to_sign.encode(), "sha256").hex()
    proof = f"{ALGORITHM} Credential={keys.access_key}/{place}, SignedHeaders={names}, Signature={signed}"
    given = (("authorization", proof), ("x-amz-date", moment))
    return (*given, ("x-amz-security-token", keys.session_token)) if keys.session_token else given


def signing_key(secret_key: str, day: str, scope: Scope) -> bytes:
    """Return the key that signs on a day, as `20261128`."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, scope.region, scope.service, END):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
