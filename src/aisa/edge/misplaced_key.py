"""What is told of a key that a request has where none is taken from: where it belongs. Repeats no key, and knows none."""

from __future__ import annotations

from collections.abc import Sequence

from aisa.errors import ApiError
from aisa.http.server import Request

#: Where others take a key in the address, where it ends up in logs.
KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "apikey", "access_token"})
#: Where clients of other APIs send a key.
OTHERS_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")


def refuse_misplaced(request: Request, key_headers: Sequence[str]) -> None:
    """Raise ApiError missing_api_key for a key in another header than these, in the address or in another scheme; else do nothing."""
    if request.headers.get("authorization"):
        raise ApiError("missing_api_key", "The Authorization header has no bearer token: send `Authorization: Bearer <your key>`.")
    right = " or ".join(["`Authorization: Bearer <your key>`", *[f"`{name}: <your key>`" for name in key_headers]])
    if any(field.partition("=")[0].lower() in KEY_PARAMETERS for field in request.query.split("&")):
        raise ApiError("missing_api_key", f"A key is not taken from the address, which ends up in logs. Send the header {right}.")
    for name in OTHERS_HEADERS:
        if request.headers.get(name):
            raise ApiError("missing_api_key", f"No key is taken here from the header `{name}`. Send the header {right}.")
