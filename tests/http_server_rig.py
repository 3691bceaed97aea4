"""A server on a real loopback socket with a scripted app, and a raw client, for the tests of the HTTP server beside it. Not a test."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import ssl
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import uvloop

from aisa.config.schema import Server
from aisa.errors import ApiError
from aisa.http.connection import Connection
from aisa.http.request import Judge
from aisa.http.server import HttpServer, Reply, Request
from aisa.http.shared import Shared
from aisa.testing.clock import run_virtual
from aisa.timers import Timers

PATIENCE_SECONDS_MAX = 10.0  # of real time on uvloop; what has not happened by then does not happen
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER of zero: close() sends a RST

#: Runs one scenario on each loop that the server may run on; the first of them has virtual time.
both_loops = pytest.mark.parametrize("run", [run_virtual, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, None]], None]
Script = Callable[[Request, Reply], Awaitable[None]]


class Accepted(NamedTuple):
    """A request that the app takes, however large its body is."""

    app: ScriptedApp
    request: Request
    body_bytes_max: int | None = None

    async def answer(self, reply: Reply) -> None:
        """Answer by the app's script. What it was asked is kept as a copy: the request's own body is let go with the call."""
        self.app.requests.append(msgspec.structs.replace(self.request))
        await self.app.script(self.request, reply)


class ScriptedApp:
    """An app that judges and answers as a test says and keeps what it was asked. `judging` takes everything if it is not set."""

    def __init__(self, script: Script, judging: Judge | None = None) -> None:
        self.script = script
        self.judging = judging
        self.judged: list[Request] = []
        self.requests: list[Request] = []
        self.refused: list[ApiError] = []

    def judge(self, request: Request) -> Accepted:
        """Take the request, with a body as large as the test says. Raises what the test does."""
        self.judged.append(request)
        return Accepted(self, request, None if self.judging is None else self.judging(request))

    def refuse(self, error: ApiError, reply: Reply, _request: Request | None) -> None:
        """Answer with the error's code and message."""
        self.refused.append(error)
        body = json.dumps({"code": error.code, "message": error.message}).encode()
        reply.start(error.status, [("content-type", "application/json")], len(body))
        reply.write(body)
        reply.end()


async def echo(request: Request, reply: Reply) -> None:
    """Answer with what was asked, as JSON."""
    told = {name: getattr(request, name) for name in ("method", "path", "query", "headers", "version")}
    body = json.dumps(told | {"body": request.body.decode("latin-1")}).encode()
    reply.start(200, [("content-type", "application/json")], len(body))
    reply.write(body)
    reply.end()


async def forever(request: Request, reply: Reply) -> None:
    """Never answer."""
    await asyncio.Event().wait()


class Answer:
    """A reply as the client received it; `body` is without its framing, `chunks` are the chunks' sizes."""

    def __init__(self, head: bytes) -> None:
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        self.status_line = status_line
        self.status = int(status_line.split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.body = b""
        self.chunks: list[int] = []

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Client:
    """The client's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Write to the server."""
        self.writer.write(data)

    async def answer(self, method: str = "GET") -> Answer:
        """Read one reply. Raises IncompleteReadError if the connection ends within it."""
        answer = Answer(await self.reader.readuntil(b"\r\n\r\n"))
        if answer.status < 200 or answer.status in (204, 304) or method == "HEAD":
            return answer
        if "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        elif answer.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                answer.chunks.append(size)
                answer.body += (await self.reader.readexactly(size + 2))[:-2]
            assert await self.reader.readexactly(2) == b"\r\n"
        else:
            answer.body = await self.reader.read()
        return answer

    async def rest(self) -> bytes:
        """Read until the server has ended the connection."""
        data = b""
        with suppress(ConnectionResetError):
            while piece := await self.reader.read(65_536):
                data += piece
        return data

    async def ask(self, data: bytes, method: str = "GET") -> Answer:
        """Send a request and read its reply."""
        self.send(data)
        return await self.answer(method)

    def half_close(self) -> None:
        """Say that nothing more will be sent, and keep reading."""
        self.writer.write_eof()

    def close(self) -> None:
        """Leave: what arrives from now on is answered by the kernel with a reset."""
        self.writer.close()

    def reset(self) -> None:
        """Leave with a RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()


class Bare:
    """The client's end of one connection as the kernel has it: nothing is read that the test does not read."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.bytes_read = 0

    async def send(self, data: bytes) -> None:
        """Write to the server."""
        await asyncio.get_running_loop().sock_sendall(self.end, data)

    async def read(self, bytes_max: int = 65_536) -> bytes:
        """Read what there is, waiting for something; nothing at the connection's end. Raises ConnectionResetError."""
        data = await asyncio.get_running_loop().sock_recv(self.end, bytes_max)
        self.bytes_read += len(data)
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Read up to and with `end`, which must be the last that was sent."""
        data = b""
        while not data.endswith(end):
            piece = await self.read()
            assert piece, "the server closed first"
            data += piece
        return data

    async def rest(self) -> bytes:
        """Read until the server has ended the connection, in whatever way."""
        data = b""
        with suppress(ConnectionResetError):
            while piece := await self.read():
                data += piece
        return data

    def bytes_had(self) -> int:
        """What this side's kernel has taken: read or yet to be read."""
        held = bytearray(4)
        fcntl.ioctl(self.end, termios.FIONREAD, held)
        return self.bytes_read + int.from_bytes(held, sys.byteorder)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave at once: with a FIN if everything was read, else the kernel makes it a RST."""
        self.end.close()

    def reset(self) -> None:
        """Leave at once, with a RST."""
        self.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.end.close()


class Served:
    """A running server, its app, and what the event loop was told of unexpected errors."""

    def __init__(self, app: ScriptedApp, settings: Server, **more: Any) -> None:
        self.app = app
        self.server = HttpServer(app, settings, **more)
        self.address = ("", 0)
        self.complaints: list[str] = []
        self._clients: list[Client] = []
        self._bare: list[Bare] = []

    async def connect(self, receive_buffer_bytes: int | None = None, **more: Any) -> Client:
        """Open a connection; it is closed with the server."""
        end = await self._reach(receive_buffer_bytes)
        client = Client(*await asyncio.open_connection(sock=end, limit=1 << 16, **more))
        self._clients.append(client)
        return client

    async def connect_bare(self, receive_buffer_bytes: int | None = None) -> Bare:
        """Open a connection that is read only when the test reads; it is closed with the server."""
        bare = Bare(await self._reach(receive_buffer_bytes))
        self._bare.append(bare)
        return bare

    async def _reach(self, receive_buffer_bytes: int | None) -> socket.socket:
        end = socket.socket()
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        end.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(end, self.address)
        except OSError:
            end.close()
            raise
        return end

    def complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what the loop's exception handler is told."""
        self.complaints.append(str(context.get("exception") or context["message"]))

    async def close(self) -> None:
        """Close every client and stop the server."""
        for bare in self._bare:
            bare.close()
        for client in self._clients:
            client.writer.close()
            with suppress(OSError):
                await client.writer.wait_closed()
        await self.server.drain(0)
        await asyncio.sleep(0.001)  # for what was being accepted when listening ended


@asynccontextmanager
async def serving(
    script: Script = echo,
    *,
    judging: Judge | None = None,
    now: Callable[[], float] | None = None,
    tls: Any = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """Run a server on an ephemeral port. Settings are those of config.schema.Server."""
    served = Served(ScriptedApp(script, judging), Server(**settings), **({"now": now} if now else {}))
    asyncio.get_running_loop().set_exception_handler(served.complain)
    served.address = await served.server.listen("127.0.0.1", 0, tls)
    try:
        async with asyncio.timeout(None if isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop) else PATIENCE_SECONDS_MAX):
            yield served
    finally:
        await served.close()


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext"
    both = subprocess.run([*command.split(), "subjectAltName=DNS:localhost", "-keyout", "-"], capture_output=True, check=True)
    path.write_bytes(both.stdout)
    return path


def trusting(pem: Path) -> dict[str, Any]:
    """The client's side of TLS, as arguments of `connect`: trusts only the certificate in `pem`."""
    context = ssl.create_default_context(cafile=str(pem))
    context.set_alpn_protocols(["http/1.1"])
    return {"ssl": context, "server_hostname": "localhost"}


def get(path: str = "/", headers: str = "") -> bytes:
    """A GET request; `headers` are whole lines."""
    return f"GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n".encode()


def post(body: bytes, path: str = "/", headers: str = "") -> bytes:
    """A POST request with a Content-Length; `headers` are whole lines."""
    return f"POST {path} HTTP/1.1\r\nhost: test\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


async def until(happened: Callable[[], object]) -> None:
    """Let the loop turn until something has happened."""
    gap = 0.001
    async with asyncio.timeout(PATIENCE_SECONDS_MAX):
        while not happened():
            await asyncio.sleep(gap)
            gap = min(2 * gap, 0.1)


async def kernel_time() -> None:
    """Half a second of real time and hardly any virtual: for the kernel's own timers, which know no virtual time."""
    for _ in range(50):
        await asyncio.sleep(0.001)


class Wire(asyncio.Transport):
    """A transport without a socket: keeps what was written, and says so when it is asked to read no more."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignored: everything is taken at once."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known."""
        return default

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_write_buffer_size(self) -> int:
        """Nothing ever waits."""
        return 0

    def can_write_eof(self) -> bool:
        """No."""
        return False

    def abort(self) -> None:
        """Nobody is told."""

    def write(self, data: bytes) -> None:  # type: ignore[override] # the port writes nothing else
        """Keep it."""
        self.written.append(data)

    def pause_reading(self) -> None:
        """Note it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note it."""
        self.paused = False


def wired(script: Script) -> tuple[Connection, Wire, ScriptedApp]:
    """A connection on a transport without a socket."""
    app, wire = ScriptedApp(script), Wire()
    connection = Connection(Shared(app, Server(), lambda: 0.0, timers=Timers()))
    connection.connection_made(wire)
    return connection, wire, app


def arrive(connection: Connection, data: bytes) -> int:
    """Give the connection as many of the bytes as it asks for, as an event loop does; return how many."""
    view = connection.get_buffer(-1)
    count = min(len(view), len(data))
    view[:count] = data[:count]
    connection.buffer_updated(count)
    return count
