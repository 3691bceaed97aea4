"""What browsers need to be allowed to call us and to read our headers. Decides by configured origins only."""

from __future__ import annotations

from aisa.config.schema import Cors
from aisa.http.server import Request
from aisa.wire.port import HeaderList

#: Readable by scripts: what official clients look at.
EXPOSED = ", ".join(
    [
        "x-request-id",
        "retry-after",
        "x-should-retry",
        "x-aisa-attempts",
        "x-aisa-served-by",
        "x-aisa-dropped-params",
        "x-aisa-changed-params",
        "x-aisa-missing-choices",
        "x-aisa-padded",
        "idempotent-replayed",
        *(f"x-ratelimit-{word}{kind}" for word in ("limit", "remaining", "reset") for kind in ("", "-requests", "-tokens")),
    ]
)
PREFLIGHT_SECONDS = "86400"  # browsers cap it themselves; a day is their common maximum
REQUEST_HEADERS = "authorization, content-type, x-api-key, x-client-request-id, idempotency-key"
REQUESTED_HEADERS_CHARACTERS_MAX = 2048


class CrossOrigin:
    """Answers for the configured origins; `*` allows every one. No cookies are used, so none are allowed."""

    def __init__(self, settings: Cors) -> None:
        self._origins = frozenset(settings.origins)
        self._any = "*" in self._origins

    def headers(self, request: Request) -> HeaderList:
        """Return what every answer to this request carries."""
        origin = request.headers.get("origin")
        if origin is None or not (self._any or origin in self._origins):
            return []
        allowed = "*" if self._any else origin
        headers: HeaderList = [("access-control-allow-origin", allowed), ("access-control-expose-headers", EXPOSED)]
        return headers if self._any else [*headers, ("vary", "origin")]

    def preflight(self, request: Request, methods: tuple[str, ...]) -> HeaderList:
        """Return what the OPTIONS answer of a path with these methods carries beside `headers`."""
        allowed = ", ".join(methods)
        if "origin" not in request.headers:
            return [("allow", allowed)]
        asked = request.headers.get("access-control-request-headers", "")
        wanted = asked if asked and len(asked) <= REQUESTED_HEADERS_CHARACTERS_MAX else REQUEST_HEADERS
        return [
            ("allow", allowed),
            ("access-control-allow-methods", allowed),
            ("access-control-allow-headers", wanted),
            ("access-control-max-age", PREFLIGHT_SECONDS),
        ]
