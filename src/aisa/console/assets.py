"""The console's files beside its pages: its own, and those of other people that `make assets` fetches. Read once each; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from aisa.console.page import PREFIX, Page

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
#: Files of others, without which pages load whole and plots are tables.
FETCHED = ("htmx.min.js", "uPlot.iife.min.js", "uPlot.min.css")
HASH_CHARACTERS = 12
KEPT = ("cache-control", "private, max-age=31536000, immutable")  # an address has the content's hash


class Assets:
    """The files by name. `fetched` is the folder of other people's."""

    def __init__(self, fetched: Traversable | None = None) -> None:
        folder = files("aisa.console")
        self._fetched = folder / "assets" if fetched is None else fetched
        self._files: dict[str, bytes] = {}
        self._urls: dict[str, str] = {}
        for each in (folder / "static").iterdir():
            if each.name.rpartition(".")[2] in TYPES:
                self._read(each)

    @property
    def urls(self) -> Mapping[str, str]:
        """The address of each file that is there now."""
        self._look()
        return self._urls

    @property
    def missing(self) -> tuple[str, ...]:
        """Which files of others are not there now."""
        return self._look()

    def _look(self) -> tuple[str, ...]:
        """Read what was fetched since: plots are wanted by whoever has just seen that they are missing."""
        for name in FETCHED:
            if name not in self._files and (each := self._fetched / name).is_file():
                self._read(each)
        return tuple([name for name in FETCHED if name not in self._files])

    def _read(self, file: Traversable) -> None:
        content = file.read_bytes()
        self._files[file.name] = content
        self._urls[file.name] = f"{PREFIX}/assets/{file.name}?{sha256(content).hexdigest()[:HASH_CHARACTERS]}"

    def page(self, name: str) -> Page | None:
        """Return a file, None if there is no such."""
        content = self._files.get(name)
        return None if content is None else Page(content, headers=[("content-type", TYPES[name.rpartition(".")[2]]), KEPT])
