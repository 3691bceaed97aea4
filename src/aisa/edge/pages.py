"""The two documents that are files: the page at `/` for people, and the OpenAPI description for machines. Read once, at start."""

from __future__ import annotations

from importlib.resources import files

from aisa import __version__
from aisa.wire.reply import JSON_TYPE


class Pages:
    """The files, as they are served."""

    def __init__(self) -> None:
        folder = files("aisa.edge")
        self._landing = (folder / "landing.html").read_text("utf-8").replace("{{version}}", __version__).encode()
        self._openapi = (folder / "openapi.json").read_text("utf-8").replace("{{version}}", __version__).encode()

    def page(self, route: str) -> tuple[int, str, bytes]:
        """Return (status, content type, body)."""
        if route == "/openapi.json":
            return 200, JSON_TYPE, self._openapi
        return 200, "text/html; charset=utf-8", self._landing
