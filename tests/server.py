"""Runs the real server as a process of its own, for tests that ask it over sockets. Knows what it prints, and nothing of its insides."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from vendor import ScriptedVendor

SOURCE = Path(__file__).resolve().parents[1] / "src"
#: A start takes half a second and a stop less; on a machine that runs ten other things, a minute is a hang.
PROCESS_SECONDS_MAX = 60.0
SECONDS_MAX = PROCESS_SECONDS_MAX
LOOK_SECONDS = 0.01  # between two looks into the log
BANNER_END = "Stop with"
STARTED = '"type":"started"'
#: What the operator's shell may have set and must not steer a test: vendors' keys, proxies and the server's own settings.
FOREIGN = re.compile(r"_API_KEY$|^AISA_|_proxy$|^(HOST|PORT)$", re.IGNORECASE)
#: What its processes get: ours, and no look at what else runs on this machine, which is no part of a test.
OURS = {"PYTHONPATH": str(SOURCE), "AISA_DISCOVERY_LOOPBACK": "never"}

RUNTIME = tempfile.TemporaryDirectory(prefix="aisa-test-")  # where the servers of tests are found, and no others
#: A server in front of the scripted vendor: `local/SCRIPT` asks for a script, `gpt-4.1` is the embedded model.
FRONT = """\
vendors:
  local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}
models:
  gpt-4.1: [embedded/tiny]
  brief: {{to: [embedded/tiny], max_output_tokens: 100}}
  impatient: {{to: [local/silent], idle_timeout_seconds: 0.3, answer_timeout_seconds: 0.3}}
  priced: {{to: [local/hello], prices: {{input: 2.0, output: 8.0}}}}
"""


class Server:
    """A server that runs. `url` has no path, `key` is valid, `banner` is what it printed at its start, `folder` holds its data."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], banner: str, label: str = "t") -> None:
        self.folder = folder
        self.process = process
        self.banner = banner
        self.url = re.findall(r"http://[\d.:]+", banner)[0]
        self.key = self.aisa("keys", "create", label, "--quiet").strip()

    @property
    def api(self) -> str:
        """The address that clients are configured with."""
        return f"{self.url}/v1"

    @property
    def log(self) -> str:
        """The lines that it has written to standard error so far. The last one may be half written, and is none yet."""
        return (self.folder / "log").read_bytes().rpartition(b"\n")[0].decode()

    def told(self, words: str) -> str:
        """Wait until its log has these words, and return the log: a thread writes it, a moment behind what it tells of."""
        give_up = time.monotonic() + PROCESS_SECONDS_MAX
        while words not in (log := self.log):
            assert time.monotonic() < give_up, f"the log does not say: {words}"
            threading.Event().wait(LOOK_SECONDS)
        return log

    def aisa(self, *words: str, typed: str | None = None, variables: Mapping[str, str] = MappingProxyType({})) -> str:
        """Run a command of the command line on this server's data, and return what it prints. `typed` is its standard input."""
        command = [sys.executable, "-m", "aisa", *words, "--data-dir", str(self.folder / "data")]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment() | {**variables},
            input=typed,
            capture_output=True,
            text=True,
            check=True,
            timeout=PROCESS_SECONDS_MAX,
        ).stdout


class Front(NamedTuple):
    """A server, and the scripted vendor behind it."""

    server: Server
    vendor: ScriptedVendor


def environment() -> dict[str, str]:
    """Return the variables that the server's processes get."""
    return {name: value for name, value in os.environ.items() if not FOREIGN.search(name)} | OURS | {"XDG_RUNTIME_DIR": RUNTIME.name}


@contextmanager
def serving(
    folder: Path,
    configuration: str | None = None,
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
    workers: int = 1,
    label: str = "t",
    status: int = 0,
) -> Iterator[Server]:
    """Run a server with its data in `folder`, and stop it as an operator would: it must leave with `status` and report no bug.

    `variables` are set in its environment; `label` is that of the key which is made.
    """
    command = [sys.executable, "-m", "aisa", "serve", "--port", "0", "--data-dir", str(folder / "data"), "--log-format", "json"]
    command += ["--workers", str(workers)]
    if configuration is not None:
        (folder / "aisa.yaml").write_text(configuration, encoding="utf-8")
        command += ["--config", str(folder / "aisa.yaml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment() | {**variables}, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        banner = read_banner(process)
        assert BANNER_END in banner, f"the server did not start: {(folder / 'log').read_text(encoding='utf-8')}"
        server = Server(folder, process, banner, label)
        server.told(STARTED)  # behind what else is told of a start
        yield server
        process.terminate()
        assert process.wait(PROCESS_SECONDS_MAX) == status, server.log
        bugs = [line for line in server.log.splitlines() if "Traceback" in line]
        assert not bugs, f"{len(bugs)} bugs, the first: {bugs[0]}"
    finally:
        process.kill()
        process.communicate()


def read_banner(process: subprocess.Popen[str]) -> str:
    """Return what the server prints, up to the last line of its welcome or to its end. One that hangs is killed."""
    assert process.stdout is not None
    hang = threading.Timer(PROCESS_SECONDS_MAX, process.kill)
    hang.start()
    banner = ""
    for line in process.stdout:
        banner += line
        if BANNER_END in line:
            break
    hang.cancel()
    return banner


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with nothing configured: the embedded model answers under every name."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A server in front of a scripted vendor, see FRONT and `vendor.SCRIPTS`."""
    with ScriptedVendor() as vendor, serving(tmp_path_factory.mktemp("front"), FRONT.format(vendor=vendor.url)) as running:
        yield Front(running, vendor)
