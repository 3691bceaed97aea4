"""A server that reads its configuration again, and one that goes away in order, while streams run. Real processes."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from aisa.config.load import Loaded
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config, Cors, Model, Server, Vendor
from aisa.facts import Fact
from aisa.reload import Prepared, Reload, differences
from aisa.routing import Routes
from http_server_rig import pem
from server import FRONT, environment, read_banner, serving
from server import Server as Running
from vendor import ScriptedVendor

__all__ = ["pem"]

SECONDS_MAX = 30.0  # for what takes milliseconds, on a machine that does ten other things
SLOW = "embedded: {tokens_per_second: 6}\n"


class Answered(NamedTuple):
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes


def asked(server: Running, path: str, body: object = None, *, method: str | None = None) -> Answered:
    """Ask on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=SECONDS_MAX)
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    connection.request(method or ("GET" if body is None else "POST"), path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    got = Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return got


class Streaming:
    """A call whose stream is read by a thread, and that has begun."""

    def __init__(self, server: Running) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=SECONDS_MAX)
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Write a long poem."}]}
        headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self._answer = self.connection.getresponse()
        self._start = self._answer.read(40)
        self._rest = b""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        self._rest = self._answer.read()

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self._thread.is_alive()

    def whole(self) -> bytes:
        """Return all of it once it has ended."""
        self._thread.join(SECONDS_MAX)
        self.connection.close()
        return self._start + self._rest


def until(true: Callable[[], object]) -> None:
    """Ask again until it is so."""
    end = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < end, "it never was so"


def write(server: Running, configuration: str) -> None:
    """Write another configuration, all at once."""
    (server.folder / "new").write_text(configuration)
    (server.folder / "new").rename(server.folder / "aisa.yaml")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose model takes its time."""
    with serving(tmp_path_factory.mktemp("reloaded"), SLOW) as running:
        yield running


def test_a_configuration_is_swapped_under_a_stream(server: Running) -> None:
    """[issue 13] [fault P5] By SIGHUP: limits, models and origins count for the next call, what streams goes on to its end."""
    assert asked(server, "/v1/models").headers.get("x-ratelimit-limit") is None
    stream = Streaming(server)
    limits = "limits: {default_tier: t, tiers: {t: {rpm: 5000}}}\nmodels: {other: [embedded/tiny]}\n"
    write(server, SLOW + limits + "cors: {origins: ['https://a.example']}\n")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: '"changed":["cors.origins","limits.default_tier","limits.tiers","models.other"]' in server.log)
    assert stream.running, "it has ended too soon to show anything"
    assert asked(server, "/v1/models").headers["x-ratelimit-limit"] == "5000"
    assert b'"other"' in asked(server, "/v1/models").body
    assert stream.whole().endswith(b"data: [DONE]\n\n")


def test_a_bad_configuration_changes_nothing_and_is_told(server: Running) -> None:
    """By the command with what is wrong and where, by the signal in the log; the good one that follows is taken."""
    write(server, SLOW + "limits: {default_tier: t, tiers: {t: {rpm: 77}}}\n")
    server.aisa("reload")
    write(server, SLOW + "limits: {default_tier: nowhere}\nmodels: {broken: [nobody/model]}\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        server.aisa("reload")
    assert "nowhere" in refused.value.stderr
    assert "nobody" in refused.value.stderr
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.log.count('"reload_refused"') == 2)
    assert "The configuration as it is written was refused at 20" in server.aisa("status")
    assert "nowhere" in server.aisa("status")
    assert asked(server, "/v1/models").headers["x-ratelimit-limit"] == "77"
    write(server, SLOW)
    assert "limits.tiers" in server.aisa("reload")
    assert asked(server, "/v1/models").headers.get("x-ratelimit-limit") is None
    assert "Nothing needs attention." in server.aisa("status")


def test_a_refusal_needs_attention_until_a_reading_succeeds() -> None:
    """Status said that nothing needs any, while the file on disk was one with which no server starts."""
    problems = [Problem("limits.default_tier", "There is no tier 'nowhere'.", "Name another."), Problem("models.x", "No.", "Yes.")]

    def again() -> Loaded:
        if problems:
            raise ConfigErrors(problems, None)
        return Loaded(Config(), {}, None)

    async def main() -> None:
        reload = Reload(Config(), lambda _fact: None, again=again, routes_of=Routes, swap=taken, now=lambda: 1_795_878_000.0)
        assert reload.attention() == ()
        with pytest.raises(ConfigErrors):
            await reload()
        [told] = reload.attention()
        assert told.level == "warning"
        assert told.what.endswith(
            "refused at 2026-11-28 15:00 UTC, and the one before it counts: limits.default_tier: There is no tier 'nowhere'."
        )
        problems.clear()
        await reload()
        assert reload.attention() == ()

    asyncio.run(main())


def test_fifty_signals_are_answered_by_one_reading_after_the_last_of_them() -> None:
    """[issue 13] Those that come before anything is read by that, those that come while it is read by one more; none is forgotten."""
    reading, go_on = threading.Event(), threading.Event()
    read: list[Config] = []

    def again() -> Loaded:
        config = Config(cors=Cors(origins=(f"https://reading-{len(read)}.example",)))
        read.append(config)
        reading.set()
        assert go_on.wait(SECONDS_MAX)
        return Loaded(config, {}, None)

    async def swap(_prepared: Prepared, _old: Config) -> int:
        return 0

    async def main() -> None:
        told: list[Fact] = []
        reload = Reload(Config(), told.append, again=again, routes_of=Routes, swap=swap)
        for _ in range(50):
            reload.soon()
        await asyncio.to_thread(reading.wait, SECONDS_MAX)
        for _ in range(50):
            reload.soon()
            await asyncio.sleep(0)
        assert len(read) == 1
        go_on.set()
        await reload()  # behind all of them
        assert (len(read), len(told), reload.config) == (3, 3, read[-1])
        reload.soon()
        await asyncio.sleep(0)
        await reload()
        assert len(read) == 5

    asyncio.run(main())


@pytest.mark.parametrize("text", ["{", "vendors: [", "- 1\n", "\0"])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_cannot_be_read_is_in_the_way_of_no_command(server: Running, text: str, named: bool) -> None:
    """Whoever edits it can still revoke a key of the server that runs, and a reload is refused by that, in its log too."""
    write(server, text)
    refusals = server.log.count('"reload_refused"')
    with pytest.raises(subprocess.CalledProcessError) as refused:
        command(server, "reload", named=named)
    assert "the old one stays" in refused.value.stderr
    until(lambda: server.log.count('"reload_refused"') > refusals)  # which is written beside the answer
    assert server.log.count('"reload_refused"') == refusals + 1
    assert " t " in command(server, "keys", "list", named=named)
    write(server, SLOW)


@pytest.mark.parametrize(("text", "said"), [("", "The file is empty."), (None, "The file, with which the server began, is gone.")])
def test_a_file_that_is_empty_or_gone_does_not_take_everything_away(server: Running, text: str | None, said: str) -> None:
    """Alone it would be a good configuration, of no vendor and no limit; who means that writes `{}`."""
    write(server, SLOW + "limits: {default_tier: t, tiers: {t: {rpm: 77}}}\n")
    server.aisa("reload")
    if text is None:
        (server.folder / "aisa.yaml").unlink()
    else:
        write(server, text)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: said in server.log)
    assert asked(server, "/v1/models").headers["x-ratelimit-limit"] == "77"
    write(server, SLOW)
    server.aisa("reload")


def command(server: Running, *words: str, named: bool) -> str:
    """Run a command in the server's folder, which is `named` or not."""
    if named:
        return server.aisa(*words)
    asked = [sys.executable, "-m", "aisa", *words]
    return subprocess.run(asked, cwd=server.folder, env=environment(), capture_output=True, text=True, check=True).stdout


def test_what_only_a_restart_changes_is_said_to(server: Running) -> None:
    """Nobody is left to believe that a port or a log's form counts now."""
    write(server, SLOW + "server: {port: 1, drain_seconds: 40}\nlog: {format: text}\n")
    said = server.aisa("reload")
    assert "server.drain_seconds" in said.split("restart")[0]
    assert "server.port" not in said  # the command line says it, before the file
    write(server, SLOW + "ledger: {durability: disk}\n")
    assert "ledger.durability" in server.aisa("reload").split("restart")[1]
    write(server, SLOW)
    server.aisa("reload")


def test_what_a_process_has_for_its_lifetime_is_told_by_what_it_began_with() -> None:
    """[issue 13] What was set back to what runs was said to wait for a restart, and what still waits was told once alone."""
    written = Config()
    kept = Reload(
        written,
        lambda _fact: None,
        again=lambda: Loaded(written, {}, None),
        routes_of=Routes,
        swap=taken,
    )

    async def reloaded_as(server: Server, **more: Any) -> tuple[list[str], list[str]]:
        nonlocal written
        written = Config(server=server, **more)
        swapped = await kept()
        return swapped.changed, swapped.after_restart

    async def main() -> None:
        assert await reloaded_as(Server(port=9_000, drain_seconds=9)) == (["server.drain_seconds"], ["server.port"])
        assert await reloaded_as(Server(port=9_000, drain_seconds=9)) == ([], ["server.port"])
        assert await reloaded_as(Server(drain_seconds=9)) == ([], [])

    asyncio.run(main())


async def taken(_prepared: Prepared, _old: Config) -> int:
    """Take a configuration."""
    return 0


def test_without_a_server_there_is_nothing_to_reload(tmp_path: Path) -> None:
    """The command says so, and makes nothing."""
    command = [sys.executable, "-m", "aisa", "reload", "--data-dir", str(tmp_path)]
    refused = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (refused.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "no aisa data" in refused.stderr


def certificate(port: int) -> bytes:
    """Return the certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as plain, context.wrap_socket(plain) as secured:
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return shown


@contextmanager
def tls_server(folder: Path, configuration: str) -> Iterator[tuple[int, Callable[[], str | None]]]:
    """Run a server that speaks TLS; yield its port, and what reloads it and returns what the command says, None if it was refused."""
    (folder / "aisa.yaml").write_text(configuration)
    command = [sys.executable, "-m", "aisa"]
    place = ["--config", str(folder / "aisa.yaml"), "--data-dir", str(folder / "data")]
    with subprocess.Popen([*command, "serve", "--port", "0", *place], env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.findall(r"https://[\d.]+:(\d+)", read_banner(process))[0])
            yield port, partial(reloaded, [*command, "reload", *place])
        finally:
            process.kill()


def reloaded(command: list[str]) -> str | None:
    """Return what a command says, None if it fails."""
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    return None if ended.returncode else ended.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_a_renewed_certificate_is_shown_to_new_connections(tmp_path: Path, pem: Path, workers: int) -> None:
    """The files are the same, what is in them is not; a file that is none is refused, and the old one stays."""
    file = tmp_path / "cert.pem"
    file.write_bytes(pem.read_bytes())
    configuration = f"server: {{workers: {workers}}}\ntls: {{cert: {file}, key: {file}}}\n"
    with tls_server(tmp_path, configuration) as (port, reload):
        first = certificate(port)
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout -"
        file.write_bytes(subprocess.run(command.split(), capture_output=True, check=True).stdout)
        assert certificate(port) == first
        assert reload() == "Reloaded: tls.cert, tls.key.\n"  # it was "nothing has changed", to whoever renews one
        assert reload() == "Reloaded: nothing has changed.\n"
        renewed = certificate(port)
        assert renewed != first
        file.write_text("nothing")
        assert reload() is None
        assert certificate(port) == renewed


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_goes_away_in_order(tmp_path: Path, workers: int) -> None:
    """[issue 13] Not ready first; new connections are taken for the grace, for one answer each; a stream has its end; status 0."""
    with serving(tmp_path, SLOW + "server: {drain_grace_seconds: 2, drain_seconds: 30}\n", workers=workers) as server:
        stream = Streaming(server)
        assert asked(server, "/health/ready").status == 200
        server.process.terminate()
        until(lambda: asked(server, "/health/ready").status == 503)
        assert asked(server, "/health/ready").headers["retry-after"] == "1"
        for answer in (asked(server, "/health/live"), asked(server, "/v1/models")):
            assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert stream.whole().endswith(b"data: [DONE]\n\n")
        assert server.process.wait(SECONDS_MAX) == 0


def test_what_differs_is_named_and_not_shown() -> None:
    """By the setting where there is one place for it, by its name in a list; the same again is nothing."""
    old = Config(vendors={"a": Vendor(base_url="http://a", api_key="secret-1")}, models={"x": Model(to=("a/b",))})
    new = Config(
        vendors={"a": Vendor(base_url="http://a", api_key="secret-2"), "b": Vendor(base_url="http://b")},
        models={"x": Model(to=("a/b",))},
        server=Server(drain_seconds=5),
        cors=Cors(origins=()),
    )
    assert differences(old, new) == ["cors.origins", "server.drain_seconds", "vendors.a", "vendors.b"]
    assert differences(new, new) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_upgrade_by_a_handed_socket_refuses_no_connection(tmp_path: Path, workers: int) -> None:
    """[issue 13] Whoever has the socket (systemd) keeps what waits there: while one server ends and the next starts, clients only wait."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]
    (tmp_path / "aisa.yaml").write_text(f"server: {{workers: {workers}}}\n")
    outcomes: list[bytes] = []
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            with socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as client:
                client.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                outcomes.append(client.makefile("rb").read(12))
            stop.wait(0.005)

    def start() -> subprocess.Popen[str]:
        # As systemd does it: descriptor 3, and the variables name the process that reads them.
        script = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&0 </dev/null'
        serve = [sys.executable, "-m", "aisa", "serve", "--config", "aisa.yaml", "--data-dir", str(tmp_path / "data")]
        command = ["bash", "-c", script, "bash", *serve]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdin=listener, stdout=subprocess.PIPE, text=True)
        assert f":{port}" in read_banner(process)
        return process

    first = start()
    clients = [threading.Thread(target=knock) for _ in range(4)]
    for client in clients:
        client.start()
    until(lambda: len(outcomes) > 50)
    first.terminate()
    first.communicate(timeout=SECONDS_MAX)
    second = start()
    seen = len(outcomes)
    until(lambda: len(outcomes) > seen + 50)
    stop.set()
    for client in clients:
        client.join(SECONDS_MAX)
    second.terminate()
    second.communicate(timeout=SECONDS_MAX)
    assert (first.returncode, second.returncode) == (0, 0)
    assert set(outcomes) == {b"HTTP/1.1 200"}
    listener.close()


def test_a_socket_that_cannot_be_listened_on_is_told(tmp_path: Path) -> None:
    """Rather than to listen somewhere else, where nobody looks."""
    (tmp_path / "aisa.yaml").write_text("limits: {}\n")
    serve = [sys.executable, "-m", "aisa", "serve", "--config", "aisa.yaml", "--data-dir", str(tmp_path / "data")]
    for number, given in (("1", socket.socket()), ("2", socket.create_server(("127.0.0.1", 0)))):
        with given:
            script = f'export LISTEN_FDS={number} LISTEN_PID=$$; exec "$@" 3<&0 </dev/null'
            command = ["bash", "-c", script, "bash", *serve]
            ended = subprocess.run(command, cwd=tmp_path, env=environment(), stdin=given, capture_output=True, text=True, check=False)
            assert (ended.returncode, "LISTEN_FDS" in ended.stderr) == (2, True)


def test_a_vendor_whose_key_is_another_is_asked_with_it(tmp_path: Path) -> None:
    """[issue 13] The next call has the new key, on a connection of its own; a vendor that stays as it was keeps its connections."""
    with ScriptedVendor() as vendor, serving(tmp_path, FRONT.format(vendor=vendor.url)) as server:
        body = {"model": "local/hello", "messages": [{"role": "user", "content": "Hi."}]}
        assert asked(server, "/v1/chat/completions", body).status == 200
        server.aisa("reload")
        assert asked(server, "/v1/chat/completions", body).status == 200
        write(server, FRONT.format(vendor=vendor.url).replace("vendor-secret", "another-secret"))
        assert "vendors.local" in server.aisa("reload")
        assert asked(server, "/v1/chat/completions", body).status == 200
        assert [request.headers["authorization"] for request in vendor.requests] == [
            "Bearer vendor-secret",
            "Bearer vendor-secret",
            "Bearer another-secret",
        ]
