"""Where a request may have its key: in a header, and never in the address. Knows no key."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.edge.misplaced_key import refuse_misplaced
from aisa.http.server import Request


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


def bearer(authorization: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` header, None if there is none; the scheme's case does not matter."""
    if authorization is None:
        return None
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None
