"""Where a request may have its key: in a header, and never in the address. Knows no key."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.errors import ApiError
from aisa.http.server import Request

#: Where others take a key in the address, where it ends up in logs.
KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "apikey", "access_token"})
#: Where clients of other APIs send a key.
OTHERS_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")


def presented(request: Request, key_headers: Sequence[str]) -> str | None:
    """Return the key of a request, from the header for all or else from the first of these, None if there is none."""
    named = [given for name in key_headers if (given := request.headers.get(name, "").strip())]
    return bearer(request.headers.get("authorization")) or (named[0] if named else None)


def secret_of(request: Request, key_headers: Sequence[str] = ()) -> str | None:
    """Return the same. Raises ApiError missing_api_key for one that is where no key is taken from."""
    secret = presented(request, key_headers)
    if secret:
        return secret
    refuse_misplaced(request, key_headers)
    return None


def refuse_misplaced(request: Request, key_headers: Sequence[str]) -> None:
    """Raise ApiError missing_api_key for a key that is where none is taken from; it is not repeated."""
    if request.headers.get("authorization"):
        raise ApiError("missing_api_key", "The Authorization header has no bearer token: send `Authorization: Bearer <your key>`.")
    right = " or ".join(["`Authorization: Bearer <your key>`", *[f"`{name}: <your key>`" for name in key_headers]])
    if any(field.partition("=")[0].lower() in KEY_PARAMETERS for field in request.query.split("&")):
        raise ApiError("missing_api_key", f"A key is not taken from the address, which ends up in logs. Send the header {right}.")
    for name in OTHERS_HEADERS:
        if request.headers.get(name):
            raise ApiError("missing_api_key", f"No key is taken here from the header `{name}`. Send the header {right}.")


def bearer(authorization: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` header, None if there is none; the scheme's case does not matter."""
    if authorization is None:
        return None
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None
