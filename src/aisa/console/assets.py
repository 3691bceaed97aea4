"""The console's files beside its pages: its own, and those of other people that `make assets` fetches. Read once; sends nothing."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from aisa.console.page import PREFIX, Page

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
#: Files of others, without which pages load whole and plots are tables.
FETCHED = ("htmx.min.js", "uPlot.iife.min.js", "uPlot.min.css")
HASH_CHARACTERS = 12
KEPT = ("cache-control", "private, max-age=31536000, immutable")  # an address has the content's hash


class Assets:
    """The files by name."""

    def __init__(self) -> None:
        folder = files("aisa.console")
        self._files: dict[str, bytes] = {}
        for part in ("static", "assets"):
            place = folder / part
            if place.is_dir():
                self._files |= {each.name: each.read_bytes() for each in place.iterdir() if each.name.rpartition(".")[2] in TYPES}
        self.urls = {
            name: f"{PREFIX}/assets/{name}?{sha256(content).hexdigest()[:HASH_CHARACTERS]}" for name, content in self._files.items()
        }

    @property
    def missing(self) -> tuple[str, ...]:
        """Which files of others are not there."""
        return tuple([name for name in FETCHED if name not in self._files])

    def page(self, name: str) -> Page | None:
        """Return a file, None if there is no such."""
        content = self._files.get(name)
        return None if content is None else Page(content, headers=[("content-type", TYPES[name.rpartition(".")[2]]), KEPT])
