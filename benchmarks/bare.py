"""The least that a proxy in this language can be: uvloop and httptools on both sides, callbacks only. It reads no JSON, checks no key,
counts no token, has no time-out and no limit. What it costs is the floor under anything written in Python; for comparison only.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import httptools
import uvloop

PORT = int(os.environ.get("PORT", "0"))
VENDOR_PORT = int(os.environ.get("VENDOR_PORT", "0"))
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: vendor\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
IDLE: list[Back] = []


class Back(asyncio.Protocol):
    """A connection to the vendor: hands what arrives to the client as it is."""

    def __init__(self) -> None:
        self.front: Front | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on, then look whether the answer is complete."""
        if self.front is not None:
            self.front.transport.write(data)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The vendor is free for the next call."""
        self.front = None
        self._parser = httptools.HttpResponseParser(self)
        IDLE.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self in IDLE:
            IDLE.remove(self)


class Front(asyncio.Protocol):
    """A client's connection: one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Gather the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Send the request on, over a new connection if none is idle."""
        request, self._body = HEAD % (len(self._body), self._body), b""
        if IDLE:
            self._ask(IDLE.pop(), request)
        else:
            task = asyncio.ensure_future(asyncio.get_running_loop().create_connection(Back, "127.0.0.1", VENDOR_PORT))
            task.add_done_callback(lambda done: self._ask(done.result()[1], request))

    def _ask(self, back: Back, request: bytes) -> None:
        back.front = self
        back.transport.write(request)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Front, "127.0.0.1", PORT, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
