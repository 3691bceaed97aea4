"""Where a request may have its key: in a header, and never in the address. Knows no key."""

from __future__ import annotations

from aisa.errors import ApiError
from aisa.http.server import Request

#: Where others take a key in the address, where it ends up in logs.
KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "apikey", "access_token"})


def secret_of(request: Request, key_header: str = "") -> str | None:
    """Return the key of a request, from the header for all or from that of the route. Raises ApiError for one in another place."""
    given = request.headers.get("authorization")
    secret = bearer(given) or (request.headers.get(key_header) if key_header else None)
    right = "`Authorization: Bearer <your key>`" + (f" or `{key_header}: <your key>`" if key_header else "")
    if not secret and given:
        raise ApiError("missing_api_key", "The Authorization header has no bearer token: send `Authorization: Bearer <your key>`.")
    if not secret and any(field.partition("=")[0].lower() in KEY_PARAMETERS for field in request.query.split("&")):
        raise ApiError("missing_api_key", f"A key is not taken from the address, which ends up in logs. Send the header {right}.")
    return secret


def bearer(authorization: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` header, None if there is none; the scheme's case does not matter."""
    if authorization is None:
        return None
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None
