"""Servers that are restarted one after the other while clients stream from them, behind a proxy or on a handed socket. Not a test.

Clients keep their connections and read one stream after another. What counts as lost is told by what they see: a connection that is
refused or breaks, a status that is not 200, a stream without its end.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ports import free_port
from proxy_rig import DEPLOYED, PRODUCTS, standing
from server import PROCESS_SECONDS_MAX, environment, read_banner

TOKENS = 24  # of each stream
TOKENS_PER_SECOND = 40
GRACE_SECONDS = 1.5  # twice a stream, and five looks of the proxy's
CONFIGURATION = f"""\
server: {{drain_grace_seconds: {GRACE_SECONDS}, drain_seconds: 20}}
embedded: {{tokens_per_second: {TOKENS_PER_SECOND}}}
"""
STREAMS_BETWEEN = 2  # of each client between two restarts: by then a proxy's checks have seen who is back
CLIENT_SECONDS_MAX = 30.0  # for one stream
LOOK_SECONDS = 0.05
BODY = json.dumps(
    {"model": "embedded/tiny", "stream": True, "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Tell me a story."}]}
).encode()
CHECK = "option httpchk GET /health/ready"
CHECKED = "check inter 300ms fall 2 rise 1"
LISTEN = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&0 </dev/null'


class Outcome(NamedTuple):
    """What clients saw: streams that came whole, each other end by its name, and the longest wait for a head in seconds."""

    whole: int
    lost: Counter[str]
    longest_seconds: float

    def __str__(self) -> str:
        lost = ", ".join(f"{count} x {what}" for what, count in self.lost.items()) or "none"
        return f"{self.whole} streams whole, lost: {lost}; longest wait for a head {self.longest_seconds:.1f} s"


class Replica:
    """A server that can be stopped and started again in the same place: on a port of its own, or on a socket that it is handed."""

    def __init__(
        self,
        folder: Path,
        port: int,
        listener: socket.socket | None = None,
        *,
        configuration: str = CONFIGURATION,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self._port = port
        self._listener = listener
        self._configuration = configuration
        self._environment = environment() | {**variables}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it is ready."""
        data = str(self.folder / "data")
        aisa = [sys.executable, "-m", "aisa", "serve", "--config", "aisa.yaml", "--data-dir", data, "--log-format", "json"]
        handed = self._listener is not None
        command = ["bash", "-c", LISTEN, "bash", *aisa] if handed else [*aisa, "--port", str(self._port)]
        (self.folder / "aisa.yaml").write_text(self._configuration, encoding="utf-8")
        with (self.folder / "log").open("ab") as log:
            given = None if self._listener is None else self._listener.fileno()
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdin=given, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert f":{self._port}" in read_banner(self._process), (self.folder / "log").read_text(encoding="utf-8")

    def stop(self) -> None:
        """Stop it as an operator does: it has to leave with 0."""
        process = self._process
        if process is not None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PROCESS_SECONDS_MAX) == 0, (self.folder / "log").read_text(encoding="utf-8")
            process.communicate()
            self._process = None

    def restart(self) -> None:
        """Stop it, and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End it, whatever became of it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def made(folder: Path) -> str:
    """Make a data folder with a key, and return that."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "aisa", "keys", "create", "load", "--quiet", "--data-dir", str(folder / "data")]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def replicas(folder: Path) -> Iterator[tuple[list[Replica], list[int], str]]:
    """Run two servers that know the same key, and yield them with their ports."""
    key, ports = made(folder / "a"), [free_port(), free_port()]
    shutil.copytree(folder / "a", folder / "b")
    both = [Replica(folder / name, port) for name, port in zip("ab", ports, strict=True)]
    try:
        for replica in both:
            replica.start()
        yield both, ports, key
    finally:
        for replica in both:
            replica.kill()


@contextmanager
def proxied(name: str, folder: Path, ports: list[int]) -> Iterator[str]:
    """Run a proxy with its file in front of two ports, and yield its URL."""
    product = PRODUCTS[name]
    text, (first, second) = (DEPLOYED / product.file).read_text(encoding="utf-8"), ports
    if name == "nginx":
        text = text.replace("server 127.0.0.1:8000;", f"server 127.0.0.1:8000 max_fails=0; server 127.0.0.1:{second} max_fails=0;")
    else:
        servers = f"    {CHECK}\n    server a 127.0.0.1:8000 {CHECKED}\n    server b 127.0.0.1:{second} {CHECKED}\n"
        text = text.replace("    server a 127.0.0.1:8000\n", servers)
    with standing(product, text, folder, behind=first) as url:
        yield url


def rolling(name: str, folder: Path, *, restarts: int, clients: int) -> Outcome:
    """Restart two replicas behind a proxy one after the other, so often, while so many clients stream."""
    with replicas(folder) as (both, ports, key), proxied(name, folder / "proxy", ports) as url:
        outcome = under_load(
            int(url.rpartition(":")[2]), key, clients=clients, steps=[both[number % 2].restart for number in range(restarts)]
        )
        for replica in both:
            replica.stop()
    return outcome


def handed_over(folder: Path, *, restarts: int, clients: int) -> Outcome:
    """Upgrade a server on a socket that outlives it, as systemd has it, so often, while so many clients stream."""
    key, listener = made(folder / "a"), socket.create_server(("127.0.0.1", 0), backlog=512)
    port = int(listener.getsockname()[1])
    server = Replica(folder / "a", port, listener)
    server.start()

    try:
        with listener:
            outcome = under_load(port, key, clients=clients, steps=[server.restart] * restarts)
            server.stop()
    finally:
        server.kill()
    return outcome


def under_load(port: int, key: str, *, clients: int, steps: Sequence[Callable[[], None]]) -> Outcome:
    """Let clients stream while something is done to servers, one thing after the other, and to the end of what they have begun."""
    seen = [Client(port, key) for _ in range(clients)]

    def all_steps() -> None:
        for step in steps:
            read(STREAMS_BETWEEN * clients)
            step()
        read(STREAMS_BETWEEN * clients)

    def read(more: int) -> None:
        """Return when so many more streams have ended, well or not."""
        enough = more + sum(client.ended for client in seen)
        until = time.monotonic() + CLIENT_SECONDS_MAX
        while sum(client.ended for client in seen) < enough and time.monotonic() < until:
            threading.Event().wait(LOOK_SECONDS)

    async def load() -> Outcome:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(client.run(stop)) for client in seen]
        try:
            await asyncio.to_thread(all_steps)
        finally:
            stop.set()
            await asyncio.gather(*tasks)
        lost = sum((client.lost for client in seen), Counter[str]())
        return Outcome(sum(client.whole for client in seen), lost, max(client.longest_seconds for client in seen))

    return asyncio.run(load())


class Client:
    """Reads one stream after another, over one connection for as long as the server keeps it."""

    def __init__(self, port: int, key: str) -> None:
        self.whole = 0
        self.lost = Counter[str]()
        self.longest_seconds = 0.0
        self._port = port
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        self._request = head.encode() + b"content-length: %d\r\n\r\n" % len(BODY) + BODY

    @property
    def ended(self) -> int:
        """How many of its streams have ended, well or not."""
        return self.whole + self.lost.total()

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until it is told to stop."""
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not stop.is_set():
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self._port)
                async with asyncio.timeout(CLIENT_SECONDS_MAX):
                    kept = await self._stream(*connection)
            except (OSError, EOFError, TimeoutError) as failure:
                self.lost[type(failure).__name__] += 1
                kept = False
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            if not kept and connection is not None:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one stream, and return whether the connection is kept. Raises OSError, EOFError."""
        began = time.monotonic()
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
        body = await chunked(reader) if b"transfer-encoding: chunked" in head else await reader.readexactly(length_in(head))
        status = head[9:12].decode()
        if status != "200":
            self.lost[f"status {status}"] += 1
        elif not body.endswith(b"data: [DONE]\n\n"):
            self.lost["no end"] += 1
        else:
            self.whole += 1
        return b"connection: close" not in head


async def chunked(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body."""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def length_in(head: bytes) -> int:
    """Return the length that a head says its body has."""
    found = re.search(rb"content-length: (\d+)", head)
    return 0 if found is None else int(found[1])
