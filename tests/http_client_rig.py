"""A scripted vendor on a real loopback socket, for the tests of the HTTP client beside it. Not a test."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from aisa.config.schema import Vendor
from aisa.http.pool import HttpUpstream
from aisa.providers.port import Answer, UpstreamRequest
from aisa.testing.clock import run_virtual

PATIENCE_SECONDS_MAX = 10.0  # of real time; what has not happened by then does not happen
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

#: Runs one scenario on each loop that the server may run on; the first of them has virtual time.
both_loops = pytest.mark.parametrize("run", [run_virtual, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, None]], None]


class Connection:
    """The vendor's end of one connection. `number` counts from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self.received = 0
        self.lost = False

    async def request(self) -> tuple[bytes, bytes]:
        """Read one request: head and body. Raises IncompleteReadError when the client hangs up."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        body = await self.reader.readexactly(length)
        self.received += 1
        return head, body

    def send(self, data: bytes) -> None:
        """Write to the client, if it is still there."""
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    def reset(self) -> None:
        """End the connection with a RST."""
        linger_of_zero = b"\1\0\0\0\0\0\0\0"
        self.writer.get_extra_info("socket").setsockopt(1, 13, linger_of_zero)  # SOL_SOCKET, SO_LINGER on Linux
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has ended the connection."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.lost = True


Script = Callable[[Connection], Awaitable[None]]


def answering(*answers: bytes) -> Script:
    """Answer the requests of each connection in turn, the last answer again and again."""

    async def script(connection: Connection) -> None:
        for number in range(1_000_000):
            await connection.request()
            connection.send(answers[min(number, len(answers) - 1)])

    return script


def ending(answer: bytes) -> Script:
    """Answer one request and hang up."""

    async def script(connection: Connection) -> None:
        await connection.request()
        connection.send(answer)

    return script


class FakeVendor:
    """Runs a script for each connection and keeps count."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections: list[Connection] = []
        self.open = 0
        self.most_open = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(len(self.connections) + 1, reader, writer)
        self.connections.append(connection)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.script(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            connection.lost = True
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[FakeVendor]:
        """Listen on a free port; drop everything at the end."""
        server = await asyncio.start_server(self.accept, host, 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await until(lambda: not self._tasks)
            for _ in range(10):  # transports close their sockets a few turns later
                await asyncio.sleep(0)


@asynccontextmanager
async def vendor(script: Script, **settings: Any) -> AsyncIterator[tuple[FakeVendor, HttpUpstream]]:
    """A scripted vendor and the pool that leads to it."""
    async with FakeVendor(script).serving() as fake:
        upstream = HttpUpstream("local", Vendor(base_url=f"http://127.0.0.1:{fake.port}/v1", **settings), {})
        try:
            yield fake, upstream
        finally:
            await upstream.close()


def post(body: bytes = b"{}", path: str = "/chat/completions", headers: tuple[tuple[str, str], ...] = ()) -> UpstreamRequest:
    """Make a request."""
    return UpstreamRequest(path=path, headers=headers, body=body)


async def read_all(answer: Answer) -> bytes:
    """Read a body to its proper end."""
    body = b""
    while data := await answer.read():
        assert len(data) <= 65_536
        body += data
    return body


async def call(upstream: HttpUpstream, body: bytes = b"{}") -> tuple[int, bytes]:
    """Carry out one whole exchange."""
    answer = await upstream.ask(post(body))
    try:
        return answer.status, await read_all(answer)
    finally:
        answer.close()


async def until(true: Callable[[], bool]) -> None:
    """Let the event loop run until something is so, without a jump of its time. How many turns that takes is the machine's affair."""
    give_up = time.monotonic() + PATIENCE_SECONDS_MAX
    while not true():
        assert time.monotonic() < give_up, "it did not happen"
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
