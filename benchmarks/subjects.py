"""The programs under test and the fake vendor behind them: how each is configured, started, pinned, asked and ended. Measures nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from benchmarks.calls import CALL_MODEL, MARK, request
from benchmarks.load import BenchFailed
from benchmarks.machine import split_cores, tree

HERE = Path(__file__).resolve().parent
NAIVE = "naive"
BARE = "bare"
START_SECONDS_MAX = 60.0  # the slowest gateway known to us takes 13 s
STOP_SECONDS_MAX = 10.0
KEY_SECONDS_MAX = 60.0
FIRST_ANSWER_SECONDS_MAX = 5.0  # the fake vendor answers at once
NOT_YET = tuple(f"HTTP/1.1 {status} " for status in (502, 503, 504))  # from one that listens before it can serve
POLL_SECONDS = 0.001  # a start is told to the millisecond
ANSWER_BYTES_MAX = 65_536
LOG_BYTES_SHOWN = 2_000


#: Subjects run from files that are compiled, as what was installed is, whatever the shell of whoever measures says.
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True, slots=True)
class Subject:
    """A program in front of the fake vendor. `folder` holds its files; `key` is the bearer key it accepts."""

    name: str
    command: tuple[str, ...]
    port: int
    folder: Path
    key: str = "bench"
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def log_tail(self) -> str:
        """Return the end of what the program has written."""
        log = self.folder / "log"
        return log.read_text(errors="replace")[-LOG_BYTES_SHOWN:] if log.exists() else ""


@dataclass(frozen=True, slots=True)
class Build:
    """One aisa among several: its name in tables, the interpreter that runs it, its files, and what its environment has besides ours."""

    name: str = "aisa"
    python: str = sys.executable
    tree: Path = HERE.parent
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


THIS = Build()


@dataclass(frozen=True, slots=True)
class Running:
    """A started subject: its processes and how many seconds passed from exec to its first answered call."""

    subject: Subject
    pids: tuple[int, ...]
    start_seconds: float


@contextmanager
def blaming(subject: Subject) -> Generator[None]:
    """Put the subject's name before a failure and the end of its log behind."""
    try:
        yield
    except BenchFailed as failure:
        raise BenchFailed(f"{subject.name}: {failure}\n{subject.log_tail()}") from failure


def pinned(cores: Sequence[int] | None, command: Sequence[str]) -> list[str]:
    """Return the command, bound to these cores where the machine can do that."""
    if not cores or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def fake_vendor(program: str = "upstream.py") -> Generator[tuple[int, int]]:
    """Run the fake vendor on the load's cores; yields (port, process id)."""
    command = pinned(split_cores()[1], [sys.executable, str(HERE / program)])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            if not said.strip().isdigit():
                raise BenchFailed("the fake vendor did not start; is uvloop installed?")
            yield int(said), process.pid
        finally:
            end(process)


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """End a process of ours, kindly first."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS_MAX)


@contextmanager
def started(subject: Subject, *, alone: bool = True) -> Generator[Running]:
    """Start a subject and wait until it has answered one call; `alone` on its own core. Raises BenchFailed with the end of its log."""
    core = split_cores()[0] if alone else None
    command = pinned(None if core is None else [core], subject.command)
    with (subject.folder / "log").open("wb") as log:
        began = time.perf_counter()
        environment = {**os.environ, **COMPILED, **subject.environment}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            start_seconds = until_answered(subject, process, began)
            pids = tree(process.pid)
            strayed = [pid for pid in pids if core is not None and os.sched_getaffinity(pid) != {core}]
            if strayed:
                raise BenchFailed(f"{subject.name} is not alone on core {core}: its processes {strayed} may run elsewhere")
            yield Running(subject, pids, start_seconds)
        finally:
            end(process)


def until_answered(subject: Subject, process: subprocess.Popen[bytes], began: float) -> float:
    """Ask until the first call is answered with the fake vendor's text; returns the seconds since `began`. Raises BenchFailed."""
    last = "nothing listens"
    while time.perf_counter() - began < START_SECONDS_MAX:
        if process.poll() is not None:
            last = f"it ended with status {process.returncode}"
            break
        try:
            last = ask_once(subject)
        except OSError:
            time.sleep(POLL_SECONDS)
            continue
        if last.startswith("HTTP/1.1 200 ") and MARK.decode() in last:
            return time.perf_counter() - began
        if not last.startswith(NOT_YET):
            break
        time.sleep(POLL_SECONDS)
    raise BenchFailed(f"{subject.name} did not answer a first call: {last}\n{subject.log_tail()}")


def ask_once(subject: Subject) -> str:
    """Make one call on a connection of its own and return what came back. Raises OSError if nobody listens."""
    answer = b""
    with socket.create_connection(("127.0.0.1", subject.port), timeout=FIRST_ANSWER_SECONDS_MAX) as connection:
        connection.sendall(request(CALL_MODEL, key=subject.key))
        while not answer.endswith((b"}", b"}\n")) and len(answer) < ANSWER_BYTES_MAX:
            try:
                data = connection.recv(ANSWER_BYTES_MAX)
            except TimeoutError:
                break  # what has come, a page of HTML perhaps, says more than that nothing else came
            if not data:
                break
            answer += data
    return answer.decode(errors="replace")


def nginx_program() -> str | None:
    """Return where nginx is, or None."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin")


def nginx(folder: Path, vendor_port: int) -> Subject:
    """Return nginx as a plain proxy. Raises BenchFailed if it is not installed, because every ratio is against it."""
    program = nginx_program()
    if program is None:
        raise BenchFailed("nginx is the yardstick and is not installed: apt-get install nginx-light")
    port = free_port()
    text = (HERE / "nginx.conf.in").read_text()
    for name, value in {"@DIR@": str(folder), "@PORT@": str(port), "@UPSTREAM_PORT@": str(vendor_port)}.items():
        text = text.replace(name, value)
    (folder / "nginx.conf").write_text(text)
    return Subject("nginx", (program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")), port, folder)


def bare(folder: Path, vendor_port: int) -> Subject:
    """Return the proxy without features."""
    port = free_port()
    environment = {"PORT": str(port), "VENDOR_PORT": str(vendor_port)}
    return Subject(BARE, (sys.executable, str(HERE / "bare.py")), port, folder, environment=environment)


def naive(folder: Path, vendor_port: int) -> Subject | str:
    """Return the FastAPI and httpx relay, or the reason why it is left out."""
    missing = [name for name in ("fastapi", "httpx", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        return f"naive is left out: {', '.join(missing)} not installed (pip install -r requirements/bench.txt)"
    port = free_port()
    command = (sys.executable, "-m", "uvicorn", "naive:app", "--app-dir", str(HERE), "--port", str(port))
    quiet = ("--log-level", "warning", "--no-access-log", "--backlog", "4096", "--timeout-keep-alive", "600")
    environment = {"UPSTREAM_URL": f"http://127.0.0.1:{vendor_port}/v1"}
    return Subject(NAIVE, command + quiet, port, folder, environment=environment)


def aisa(
    folder: Path,
    vendor_port: int,
    models: Sequence[str],
    build: Build = THIS,
    *,
    settings: Mapping[str, Any] = MappingProxyType({}),
    key: str = "",
    dialect: str = "openai",
) -> Subject | str:
    """Return aisa with everything on and a key of its own, or the reason why it is left out. Raises BenchFailed if no key can be made.

    `settings` are sections of its configuration; of `server` what is there besides. `key` is one that its database has, if it has one.
    `dialect` is what the fake vendor speaks.
    """
    if importlib.util.find_spec("aisa") is None or importlib.util.find_spec("aisa.__main__") is None:
        return "aisa is left out: `python -m aisa` is not installed here"
    port = free_port()
    prices = {"input": 2.5, "output": 10.0}
    config = {
        **settings,
        "server": {**settings.get("server", {}), "host": "127.0.0.1", "port": port},
        "vendors": {
            "local": {
                "dialect": dialect,
                "base_url": f"http://127.0.0.1:{vendor_port}/v1",
                "api_key": "bench-vendor-key",
                "connections_max": 20_000,
            }
        },
        "models": {model: {"to": [f"local/{model}"], "prices": prices} for model in models},
    }
    file = folder / "aisa.yaml"
    file.write_text(yaml.safe_dump(config))
    where = ("--config", str(file), "--data-dir", str(folder / "data"))
    program = (build.python, "-m", "aisa")
    key = key or made_key(program, where, {**os.environ, **COMPILED, **build.environment})
    return Subject(build.name, (*program, "serve", *where), port, folder, key=key, environment=build.environment)


def made_key(program: Sequence[str], where: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return a key that is made in a data folder. Raises BenchFailed."""
    made = subprocess.run(
        [*program, "keys", "create", "bench", "--quiet", *where],
        capture_output=True,
        text=True,
        check=False,
        timeout=KEY_SECONDS_MAX,
        env=environment,
    )
    if made.returncode:
        raise BenchFailed(f"`aisa keys create` failed: {made.stderr[-LOG_BYTES_SHOWN:]}")
    return made.stdout.split()[-1]
