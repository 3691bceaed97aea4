"""Whole answers that are no call's. Some of them are files, read once: the page at `/` for people, the OpenAPI description for machines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Protocol
from urllib.parse import unquote

import msgspec

from aisa import __version__
from aisa.http.server import Reply
from aisa.http.stall import STALL_SECONDS_MAX
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, whole_line

PART_BYTES = 8_192  # of a whole answer that is written at a time: what a client that does not read makes us hold, be it without a key


async def send_whole(reply: Reply, status: int, headers: HeaderList, *, body: bytes) -> None:
    """Send an answer no faster than its client takes it; one that takes nothing for too long is cut."""
    reply.start(status, headers, len(body))
    for begin in range(0, len(body), PART_BYTES):
        reply.write(body[begin : begin + PART_BYTES])
        if reply.congested:
            try:
                async with asyncio.timeout(STALL_SECONDS_MAX):
                    await reply.writable()
            except TimeoutError:
                reply.abort()
                return
    reply.end()


class Page(msgspec.Struct, frozen=True):
    """A whole answer that is no call's."""

    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE

    @property
    def sent(self) -> bytes:
        """The body as it is sent."""
        return whole_line(self.body)


ICON_PATH = "/favicon.ico"  # which browsers ask for beside what is no page
ICON = "data:image/svg+xml,"  # before the icon in the page that has it


class Readiness(Protocol):
    """Whether this server wants new calls."""

    def __call__(self) -> str | None:
        """Return None when ready, else why not, in words fit for anyone."""
        ...


class Pages:
    """The files, as they are served. `routes` are what there is, as method and path."""

    def __init__(self, routes: Iterable[tuple[str, str]] = ()) -> None:
        folder = files("aisa.edge")
        self._landing = (folder / "landing.html").read_text("utf-8").replace("{{version}}", __version__)
        listed = [f"    <li><code>{method} {escape(path)}</code></li>" for method, path in routes if path != "/"]
        self._landing = self._landing.replace("{{routes}}", "\n".join(listed))
        self._icon = unquote(self._landing.partition(ICON)[2].partition('"')[0]).encode()
        self._openapi = (folder / "openapi.json").read_text("utf-8").replace("{{version}}", __version__).encode()

    def page(self, path: str, model: str | None, host: str) -> tuple[bytes, int, str]:
        """Return body, status and content type. `model` is a name that can be called, None if none is known, `host` as the request says."""
        if path == "/openapi.json":
            return self._openapi, 200, JSON_TYPE
        if path == ICON_PATH:
            return self._icon, 200, "image/svg+xml"
        shown = "MODEL" if model is None else msgspec.json.encode(model).decode()[1:-1].replace("'", "'\\''")
        return self._landing.replace("{{host}}", escape(host)).replace("{{model}}", escape(shown)).encode(), 200, "text/html; charset=utf-8"
