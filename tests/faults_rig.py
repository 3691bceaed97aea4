"""The whole gateway on real loopback sockets, between scripted vendors and raw clients that it cannot tell from real ones. Not a test.

In one process it runs on any event loop: `run_virtual` for time-outs, `on_uvloop` where the kernel's behaviour is the point. What must
hold after every scenario, whatever it was about, is checked when its gateway closes.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import uvloop
import yaml

from aisa.admission.unlimited import Unlimited
from aisa.background_reads import BackgroundReads
from aisa.bodies import body_reader, body_threads, body_work
from aisa.clock import wall_clock
from aisa.config.schema import Config, Cors, Model, Server, Stream, Vendor
from aisa.context import Dependencies
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.errors import ApiError
from aisa.facts import BugFound, CallEnded, Fact
from aisa.http.names import Names
from aisa.http.pool import HttpUpstream
from aisa.http.server import HttpServer
from aisa.ids import CallIds
from aisa.keys.port import Keys
from aisa.keys.rules import Key
from aisa.large_events import LargeEvents
from aisa.ledger.row import CallRow
from aisa.notices import Notices
from aisa.observe.columns import text_line
from aisa.observe.log import json_line
from aisa.process import FIRST_KEY_NAME
from aisa.providers import openai
from aisa.routing import Routes
from aisa.testing.conformance import check_error, check_stream
from aisa.timers import Timers
from ledger_rig import ledger_into
from rig import DONE, chunk, text, usage

CLIENT_KEY = "sk-canary-client-6Yw0Zt3nQp8LdVx1"
VENDOR_KEY = "canaryvendor4Rk9Bs7HmTj2Ue5G"  # without the marks by which a redactor would know a key
PROMPT = "canary-prompt-Xq5Ws8"
CHAT = "/v1/chat/completions"
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
REAL_SECONDS_MAX = 60.0  # for one scenario on uvloop; the slowest takes a tenth of it
VIRTUAL_SECONDS_MAX = 1_000.0  # the slowest scenario ends after 700
TURNS_MAX = 2_000  # of the event loop before waiting costs time
WAITS_MAX = 6_000
WAIT_SECONDS = 0.005
CANCELLED_SECONDS_MAX = 1.0  # promised are 0.1; a noisy machine gets ten times that

T = TypeVar("T")


def on_uvloop(main: Coroutine[Any, Any, T]) -> T:
    """Run a scenario in real time on the loop that the server runs on."""

    async def bounded() -> T:
        async with asyncio.timeout(REAL_SECONDS_MAX):
            return await main

    return uvloop.run(bounded())


async def until(true: Callable[[], bool]) -> None:
    """Let the event loop run until something is so."""
    for turn in range(TURNS_MAX + WAITS_MAX):
        if true():
            return
        await asyncio.sleep(0 if turn < TURNS_MAX else WAIT_SECONDS)
    raise AssertionError("it did not happen")


# The vendor's side


class Asked(NamedTuple):
    """One request as the vendor got it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


class VendorConnection(asyncio.Protocol):
    """The vendor's end of one connection. `lost_at` is when the gateway hung up, in the loop's seconds."""

    transport: asyncio.Transport

    def __init__(self, vendor: ScriptedVendor) -> None:
        self.vendor = vendor
        self.asked: list[Asked] = []
        self.lost = asyncio.Event()
        self.lost_at = 0.0
        self.written = 0
        self._arrived = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = transport  # type: ignore[assignment]  # uvloop's have its methods, not its type
        self.vendor.lines.append(self)

    def data_received(self, data: bytes) -> None:
        """Run the script for each complete request."""
        self._arrived += data
        head, found, rest = self._arrived.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if not found or len(rest) < (size := int(length[1]) if length else 0):
            return
        self._arrived = rest[size:]
        first, *lines = head.decode("latin-1").split("\r\n")
        named = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        if first.startswith("GET ") and "/models " in first:  # it has no list of its models, and is left alone
            self.vendor.lines.remove(self)
            self.transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
            return
        self.asked.append(Asked(first, named, rest[:size]))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        with suppress(ConnectionError):
            await self.vendor.script(self)

    def eof_received(self) -> None:
        """Close as well."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note when, and end whatever the script waits for."""
        self.lost_at = asyncio.get_running_loop().time()
        self.lost.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The gateway does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    async def send(self, data: bytes) -> None:
        """Write, and wait until the kernel has nearly all of it. Raises ConnectionError once the gateway has hung up."""
        if self.lost.is_set():
            raise ConnectionResetError
        self.written += len(data)
        self.transport.write(data)
        await self._writable.wait()

    @property
    def taken(self) -> int:
        """How many bytes the kernel has accepted."""
        return self.written - self.transport.get_write_buffer_size()

    def stop(self) -> None:
        """Drop everything."""
        if self._task is not None:
            self._task.cancel()
        self.transport.abort()


Script = Callable[[VendorConnection], Awaitable[None]]
Step = bytes | float | asyncio.Event | Script


def says(*steps: Step) -> Script:
    """Answer with bytes as they are, pauses in seconds, events to wait for, and whatever else a coroutine does."""

    async def script(line: VendorConnection) -> None:
        for step in steps:
            if isinstance(step, bytes):
                await line.send(step)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, float | int):
                await asyncio.sleep(step)
            else:
                await step(line)

    return script


def in_turn(*scripts: Script) -> Script:
    """Answer the vendor's first request with the first script, and so on; the last one again and again."""
    left = list(scripts)

    async def script(line: VendorConnection) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(line)

    return script


async def hang(line: VendorConnection) -> None:
    """Say nothing more until the gateway has hung up."""
    await line.lost.wait()


async def hang_up(line: VendorConnection) -> None:
    """End the connection properly (FIN)."""
    line.transport.close()
    await line.lost.wait()


async def reset(line: VendorConnection) -> None:
    """End the connection rudely (RST), once what was said has left."""
    await until(lambda: line.transport.get_write_buffer_size() == 0)
    line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.transport.abort()


def framed(*events: bytes) -> bytes:
    """Frame each event as one chunk of a chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def stream_of(*words: str) -> bytes:
    """A complete, chunked stream."""
    return SSE + framed(*text(*words), chunk({}, "stop"), usage(9, len(words)), DONE) + LAST


def plain(body: bytes, *, status: str = "200 OK", kind: str = "application/json", headers: str = "") -> bytes:
    """An answer with a Content-Length. `headers` are whole lines."""
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


class ScriptedVendor:
    """A server that runs a script for each request, and remembers."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.lines: list[VendorConnection] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def asked(self) -> list[Asked]:
        """Every request so far."""
        return [asked for line in self.lines for asked in line.asked]

    @property
    def open(self) -> int:
        """Connections that are open."""
        return sum(not line.lost.is_set() for line in self.lines)

    async def listen(self, listener: socket.socket | None = None) -> None:
        """Listen, on a free port or on a copy of a socket that listens already."""
        where: dict[str, Any] = {"host": "127.0.0.1", "port": 0} if listener is None else {"sock": listener.dup()}
        self._server = await asyncio.get_running_loop().create_server(lambda: VendorConnection(self), **where)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for line in self.lines:
            line.stop()
        await until(lambda: not self.open)


# The client's side


class Reply(NamedTuple):
    """One whole response. `interim` are the statuses of the 1xx before it; `framing` says what ended the body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    interim: list[int]
    framing: str

    def header(self, name: str) -> str | None:
        """Return a header, which must not be there twice."""
        values = [value for given, value in self.headers if given == name]
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


class Caller:
    """A client on a bare socket: reads when told to, keeps every byte, leaves as rudely as wished."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self._at = 0
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self.sock, data)

    async def read(self, bytes_max: int = 65_536) -> bytes:
        """Return what has come, b"" at the end. Raises ConnectionError for a reset."""
        # Else loopback, whose segments are as large as the server's send buffer, waits 40 ms for each acknowledgement.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data = await self._loop.sock_recv(self.sock, bytes_max)
        self.received += data
        return data

    async def until(self, mark: bytes) -> None:
        """Read until these bytes have come, a little at a time. Raises EOFError if the server has no more."""
        while mark not in self.received:
            if not await self.read(1_024):
                raise EOFError(bytes(self.received[-500:]))

    async def rest(self) -> bytes:
        """Read to the end, a reset being one, and return everything that was not returned as a reply."""
        with suppress(ConnectionError):
            while await self.read():
                pass
        return bytes(self.received[self._at :])

    async def reply(self, *, to_head: bool = False) -> Reply:
        """Read one response to its end; 1xx are skipped. The framing must be without fault. `to_head`: the request was HEAD."""
        interim: list[int] = []
        while True:
            head = await self._through(b"\r\n\r\n")
            first, *lines = head[:-4].decode("ascii").split("\r\n")
            status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]*", first)[1])  # type: ignore[index]  # a bad line is to fail here
            if status >= 200:
                break
            interim.append(status)
        fields = [re.fullmatch(r"([a-z0-9-]+): ([ -~]*)", line) for line in lines]
        assert all(fields), lines
        headers = [(field[1], field[2]) for field in fields if field is not None]
        named = dict(headers)
        if to_head or status in (204, 304):
            return Reply(status, headers, b"", interim, "none")
        if "content-length" in named:
            assert "transfer-encoding" not in named
            return Reply(status, headers, await self._exactly(int(named["content-length"])), interim, "length")
        if named.get("transfer-encoding") == "chunked":
            return Reply(status, headers, await self._chunks(), interim, "chunked")
        assert named.get("connection") == "close"
        while await self.read():
            pass
        body, self._at = bytes(self.received[self._at :]), len(self.received)
        return Reply(status, headers, body, interim, "close")

    async def _chunks(self) -> bytes:
        pieces: list[bytes] = []
        while size := int(await self._through(b"\r\n"), 16):
            pieces.append(await self._exactly(size))
            assert await self._exactly(2) == b"\r\n"
        assert await self._exactly(2) == b"\r\n"
        return b"".join(pieces)

    async def _through(self, mark: bytes) -> bytes:
        at = self._at
        while (end := self.received.find(mark, at)) < 0:
            at = max(self._at, len(self.received) - len(mark))
            await self._more()
        return self._cut(end + len(mark))

    async def _exactly(self, count: int) -> bytes:
        while len(self.received) < self._at + count:
            await self._more()
        return self._cut(self._at + count)

    async def _more(self) -> None:
        if not await self.read():
            raise EOFError(bytes(self.received[self._at :][-500:]))

    def _cut(self, end: int) -> bytes:
        data, self._at = bytes(self.received[self._at : end]), end
        return data

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Close: a FIN, or a RST if something was left unread."""
        self.sock.close()

    def reset(self) -> None:
        """Close with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def half_close_and_leave(self) -> None:
        """Close in two steps."""
        self.half_close()
        self.leave()


async def connect(port: int, *, receive_bytes: int | None = None) -> Caller:
    """Connect; `receive_bytes` bounds what the client's kernel holds unread."""
    sock = socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return Caller(sock)


def body(**fields: Any) -> bytes:
    """A chat request."""
    return json.dumps({"model": "fast", "messages": [{"role": "user", "content": PROMPT}], **fields}).encode()


def post(data: bytes | None = None, *headers: str, key: str | None = CLIENT_KEY, path: str = CHAT, version: str = "1.1") -> bytes:
    """One request as bytes, by default a streamed chat. `headers` are whole lines without their ends."""
    data = body(stream=True) if data is None else data
    lines = [f"POST {path} HTTP/{version}", "host: gateway", "content-type: application/json", f"content-length: {len(data)}", *headers]
    lines += [] if key is None else [f"authorization: Bearer {key}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


def failure(reply: Reply, status: int, code: str) -> Any:
    """Return the `error` of a response that must be this one and keep every rule of an error."""
    assert (reply.status, reply.json["error"]["code"]) == (status, code), (reply.status, reply.body[:500])
    assert check_error(reply.body, reply.status, dict(reply.headers)) == []
    return reply.json["error"]


def whole(data: bytes, *, include_usage: bool = False) -> bytes:
    """Return the body of a stream that must keep every rule and end with [DONE]."""
    assert check_stream(data, include_usage=include_usage) == []
    assert data.endswith(DONE), data[-500:]
    return data


def broken(data: bytes, code: str) -> Any:
    """Return the `error` that must be a stream's last event, in a stream that keeps every rule until then."""
    assert check_stream(data, include_usage=False) == []
    last = json.loads(data.split(b"data: ")[-1])
    assert set(last) == {"error"}
    assert last["error"]["code"] == code, last
    assert DONE not in data
    return last["error"]


# The gateway between them


class OneKey:
    """Knows one key and no other."""

    def verify(self, secret: str | None) -> Key:
        """Return it."""
        if secret != CLIENT_KEY:
            raise ApiError("invalid_api_key" if secret else "missing_api_key", "No such key.")
        return Key("key_1", "test", b"", "sk-…", "active", 0)

    def again(self, key: Key, secret: str) -> Key:
        """Ask anew."""
        return self.verify(secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the same whatever became of it, or None."""
        return OneKey.verify(self, secret) if secret == CLIENT_KEY else None


class Gateway:
    """A gateway at work: its port, its vendors `a`, `b`, …, the facts that it reported, and the clients that came."""

    def __init__(self, config: Config, vendors: Sequence[ScriptedVendor], keys: Keys, *, names: Names) -> None:
        self.config = config
        self.vendors = vendors
        self.facts: list[Fact] = []
        self.rows: list[CallRow] = []
        self.ledger = ledger_into(self.rows)
        self.callers: list[Caller] = []
        self.complaints: list[Any] = []
        self.port = 0
        self.pools = {name: HttpUpstream(name, vendor, {}, names=names) for name, vendor in config.vendors.items()}
        chance = random.Random(1)
        threads = body_threads()
        self.dependencies = Dependencies(
            keys=keys,
            read=body_reader(threads),
            work=body_work(threads),
            routes=Routes(config),
            admission=Unlimited(),
            ledger=self.ledger,
            dialects={openai.NAME: openai},
            upstreams=dict(self.pools),
            stream=config.stream,
            large_events=LargeEvents(config.stream.large_events_bytes_max),
            timers=Timers(),
            chance=chance,
            report=self.facts.append,
            notices=Notices(self.facts.append),
            background_reads=BackgroundReads(),
        )
        ids = CallIds(wall_clock, chance)
        self.edge = Edge(self.dependencies, ids, wall_clock, cross_origin=CrossOrigin(Cors()), not_ready=lambda: None)
        self.edge.configure(config)
        self.server = HttpServer(self.edge, config.server)

    @property
    def vendor(self) -> ScriptedVendor:
        """The first vendor."""
        return self.vendors[0]

    async def client(self, request: bytes = b"", *, receive_bytes: int | None = None) -> Caller:
        """Connect a client and let it send something."""
        caller = await connect(self.port, receive_bytes=receive_bytes)
        self.callers.append(caller)
        await caller.send(request)
        return caller

    async def ask(self, request: bytes) -> Reply:
        """Make one call on a connection of its own and return the whole answer."""
        caller = await self.client(request)
        reply = await caller.reply()
        caller.leave()
        return reply

    @property
    def calls(self) -> list[CallEnded]:
        """How each call ended."""
        return [fact for fact in self.facts if isinstance(fact, CallEnded)]

    async def ended(self) -> CallEnded:
        """Wait until the one call has ended, and return how."""
        await until(lambda: len(self.calls) == 1 and self.server.calls_count == 0)
        return self.calls[0]

    async def quiet(self) -> None:
        """Check what must hold after every scenario: nothing is open, nothing went wrong unseen, no secret was told."""
        for caller in self.callers:
            caller.leave()
        await until(lambda: self.server.calls_count == self.server.connections_count == 0)
        await until(lambda: all(pool.statistics().in_use == pool.statistics().waiting == 0 for pool in self.pools.values()))
        assert [fact for fact in self.facts if isinstance(fact, BugFound)] == []
        assert self.complaints == [], self.complaints
        lines = [line(0.0, fact) for fact in self.facts for line in (json_line, text_line)]
        assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
        told = b"".join([*lines, *(bytes(caller.received) for caller in self.callers)])
        assert VENDOR_KEY.encode() not in told
        assert CLIENT_KEY.encode() not in told
        assert PROMPT.encode() not in b"".join(lines)
        assert not re.search(rb"127\.0\.0\.1", b"".join(bytes(caller.received) for caller in self.callers))


@asynccontextmanager
async def gateway(
    *scripts: Script,
    server: dict[str, Any] | None = None,
    stream: dict[str, Any] | None = None,
    vendor: dict[str, Any] | None = None,
    keys: Keys | None = None,
    names: Names | None = None,
    **model: Any,
) -> AsyncGenerator[Gateway]:
    """Run a gateway whose model `fast` is served by one vendor for each script, in this order; `vendor` are further settings of them.

    `names` knows where hosts are.
    """
    vendors = [ScriptedVendor(script) for script in scripts]
    for one in vendors:
        await one.listen()
    letters = [chr(ord("a") + position) for position in range(len(vendors))]
    rows = {
        name: Vendor(**{"base_url": f"http://127.0.0.1:{one.port}/v1", "api_key": VENDOR_KEY, **(vendor or {})})
        for name, one in zip(letters, vendors, strict=True)
    }
    models: dict[str, Any] = {"fast": Model(to=tuple(f"{name}/real-model" for name in letters), **{"name_in_answers": "vendor", **model})}
    config = Config(server=Server(**(server or {})), stream=Stream(**(stream or {})), vendors=rows, models=models)
    home = Gateway(config, vendors, keys or OneKey(), names=names or Names())
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: home.complaints.append(context))
    _, home.port = await home.server.listen("127.0.0.1", 0)
    try:
        async with asyncio.timeout(VIRTUAL_SECONDS_MAX):
            yield home
            await home.quiet()
    finally:
        for caller in home.callers:
            caller.leave()
        await home.server.drain(0)
        for pool in home.pools.values():
            await pool.close()
        for one in vendors:
            await one.close()


# The gateway as a process of its own


class Served(NamedTuple):
    """A running server: its process, port and first key, and the files that it writes."""

    pid: int
    port: int
    key: str
    log: Path
    data: Path

    def command_line(self) -> bytes:
        """What every user of the machine can see of it."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    def resident_bytes(self) -> int:
        """How much memory it has now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def process(folder: Path, vendor_port: int, **settings: Any) -> Generator[Served]:
    """Run `aisa serve` with one vendor `local`, whose key comes from the environment, and the model `fast`."""
    row = {"dialect": "openai", "base_url": f"http://127.0.0.1:{vendor_port}/v1", "api_key": "${CANARY}", "connections_max": 20_000}
    fast = {"to": ["local/real-model"], "name_in_answers": "vendor"}
    config = {"server": {"port": 0}, "vendors": {"local": row}, "models": {"fast": fast}}
    file = folder / "aisa.yaml"
    file.write_text(yaml.safe_dump({**config, **settings}))
    command = [sys.executable, "-m", "aisa", "serve", "--config", str(file), "--data-dir", str(folder / "data"), "--log-format", "json"]
    paths = os.pathsep.join(path for path in sys.path if path)
    # Nothing else of the operator's shell: vendors' keys and proxies in it would steer the test.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "CANARY": VENDOR_KEY}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, text=True) as child,
    ):
        try:
            assert child.stdout is not None
            said = ""
            while "Ctrl-C" not in said and (line := child.stdout.readline()):
                said += line
            found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
            assert found, (folder / "log").read_text()
            if (given := folder / "data" / FIRST_KEY_NAME).exists():
                given.rename(folder / "key")  # as the banner says: taken, and not left there
            key = (folder / "key").read_text().strip()
            last = time.monotonic() + REAL_SECONDS_MAX
            while b'"type":"started"' not in (folder / "log").read_bytes():  # a thread writes it, and tests count lines from here on
                assert time.monotonic() < last, (folder / "log").read_text()
            yield Served(child.pid, int(found[1]), key, folder / "log", folder / "data")
        finally:
            child.kill()  # how a server stops is not the question here


# The kernel's view


def queued(sock: socket.socket | int, request: int) -> int:
    """Return how many bytes wait in a socket: termios.FIONREAD unread, termios.TIOCOUTQ unsent or not acknowledged."""
    count = array.array("i", [0])
    fcntl.ioctl(sock, request, count)
    return count[0]


def ends_of(port: int) -> list[socket.socket]:
    """Return copies of this process's connected sockets whose peer listens on a port: the dialling ends. The caller closes them."""
    found: list[socket.socket] = []
    links = {int(name): Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}
    # Looked up before anything is copied: a copy would take the number of the folder's own descriptor, which is free again.
    for number in [number for number, link in links.items() if link.is_symlink() and os.readlink(link).startswith("socket:")]:
        copy = socket.socket(fileno=os.dup(number))
        if peer_port(copy) == port:
            found.append(copy)
        else:
            copy.close()
    return found


def peer_port(sock: socket.socket) -> int | None:
    """Return the port at the other end of a socket, None if it has none."""
    try:
        return int(sock.getpeername()[1]) if sock.family == socket.AF_INET else None
    except OSError:
        return None
