"""A server that is told to stop, as clients of every door see it whose calls outlive its patience. Real processes, and real stores."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from aisa.stopping import STOP_SECONDS_MAX
from limits_rig import limits_store
from postgres_rig import Postgres, needs_postgres, postgres_server
from server import SECONDS_MAX, Server, environment, read_banner, serving
from test_reload import Streaming, until
from test_workers import workers_of
from valkey_rig import FOUND, needs_server
from vendor import ScriptedVendor

DRAIN_SECONDS = 1
HUNG_SECONDS_MAX = 0.75 * STOP_SECONDS_MAX  # that a hanging database keeps a server whose calls have ended: half of it, as a rule
SETTINGS = """\
server: {{drain_seconds: {seconds}}}
vendors: {{local: {{dialect: openai, base_url: "{vendor}", api_key: vendor-secret}}}}
models: {{m: [local/endless], mute: [local/silent]}}
"""
TOLD = "The server is shutting down. Send the request again."
SAID = [{"role": "user", "content": "Write a long poem."}]
CHAT, COMPLETIONS, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"
GEMINI = "/v1beta/models/m:streamGenerateContent?alt=sse"


class Door(NamedTuple):
    """How a stream is asked for there, and how its last event begins that says why it ended."""

    path: str
    body: dict[str, object]
    last: str


DOORS = {
    "chat": Door(CHAT, {"model": "m", "messages": SAID}, 'data: {"error":{"type":"upstream_error","code":"overloaded",'),
    "completions": Door(COMPLETIONS, {"model": "m", "prompt": "Once"}, 'data: {"error":{"type":"upstream_error","code":"overloaded",'),
    "messages": Door(
        MESSAGES,
        {"model": "m", "messages": SAID, "max_tokens": 900},
        'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",',
    ),
    "responses": Door(RESPONSES, {"model": "m", "input": "Write."}, 'event: error\ndata: {"type":"error","code":"server_is_overloaded",'),
    "gemini": Door(GEMINI, {"contents": [{"role": "user", "parts": [{"text": "Write."}]}]}, 'data: {"error":{"code":503,'),
}


class Client:
    """A connection on which bytes were sent; a thread reads all that comes, unless it is one that never reads."""

    def __init__(self, server: Server, path: str, body: dict[str, object], *, reads: bool = True, part: int | None = None) -> None:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {server.key}\r\ncontent-type: application/json\r\n"
        parts = urlsplit(server.url)
        self._socket = socket.create_connection((parts.hostname, parts.port), SECONDS_MAX)
        self._socket.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data[:part])
        self.got = b""
        self._thread = threading.Thread(target=self._read)
        if reads:
            self._thread.start()

    def _read(self) -> None:
        while more := self._socket.recv(65_536):
            self.got += more

    def whole(self) -> str:
        """Return all that came, once the server has ended it."""
        self._thread.join(SECONDS_MAX)
        self._socket.close()
        return self.got.decode()

    def close(self) -> None:
        """Leave without having read."""
        self._socket.close()


@pytest.fixture(params=["one process", "two workers", pytest.param("shared stores", marks=[needs_postgres, needs_server])])
def slow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server whose models come to no end, and that waits for calls for a second."""
    with ExitStack() as stack:
        settings = settings_for(stack.enter_context(ScriptedVendor()))
        variables, workers = {}, 1
        if request.param == "shared stores":
            postgres: Postgres = request.getfixturevalue("postgres")
            limits = stack.enter_context(limits_store("redis" if FOUND["redis"] else "valkey"))
            variables, workers = {"DATABASE_URL": postgres.migrated(), "REDIS_URL": limits.url}, 2
        workers = 2 if request.param == "two workers" else workers
        yield stack.enter_context(serving(tmp_path, settings, variables=variables, workers=workers))


def settings_for(vendor: ScriptedVendor) -> str:
    """Return a server's configuration in front of a vendor."""
    return SETTINGS.format(vendor=vendor.url, seconds=DRAIN_SECONDS)


def calls_in(server: Server) -> list[dict[str, object]]:
    """Return what the log says of calls."""
    lines = [json.loads(line) for line in server.log.splitlines()]
    return [line for line in lines if line["type"] == "call"]


def test_what_outlives_the_drain_is_told_at_every_door_to_come_again_and_is_billed(slow: Server) -> None:
    """[fault O1] A stream by its door's error event, a document and half a request by 503; who reads nothing holds nobody up. Status 0."""
    streams = {name: Client(slow, door.path, {**door.body, "stream": True}) for name, door in DOORS.items()}
    document = Client(slow, CHAT, {**DOORS["chat"].body, "model": "mute"})
    half = Client(slow, CHAT, DOORS["chat"].body, part=9)
    deaf = Client(slow, CHAT, {**DOORS["chat"].body, "stream": True}, reads=False)
    until(lambda: all(client.got.count(b"data:") > 2 for client in streams.values()))
    began = time.monotonic()
    slow.process.send_signal(signal.SIGTERM)
    for name, client in streams.items():
        text = client.whole()
        events = [line for chunk in text.split("\r\n") if (line := chunk.strip()).startswith(("data:", "event:"))]
        assert events[-1].startswith(DOORS[name].last), (name, events[-1])
        assert TOLD in events[-1], name
        assert text.endswith("0\r\n\r\n"), name
    for client in (document, half):
        head, _, body = client.whole().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 503")
        assert {"retry-after: 1", "connection: close"} <= set(head.split("\r\n"))
        assert json.loads(body)["error"]["message"] == TOLD
    assert slow.process.wait(SECONDS_MAX) == 0
    assert time.monotonic() - began < DRAIN_SECONDS + 5  # the most that calls are waited for beyond
    deaf.close()
    ended = calls_in(slow)
    assert {call["outcome"] for call in ended} == {"shut_down"}
    billed = [call["billed_tokens"] != 0 for call in ended]
    assert (len(billed), sum(billed)) == (len(DOORS) + 2, len(DOORS) + 1)  # not the document
    assert json.loads(slow.log.splitlines()[-1])["calls_in_journal"] == 0


def test_a_signal_to_all_processes_lets_streams_have_their_end(tmp_path: Path) -> None:
    """[fault O7] systemd's default, supervisors and shells stop a whole group: workers that died of it took all streams with them."""
    with serving(tmp_path, "embedded: {tokens_per_second: 8}\n", workers=2) as server:
        streams = [Streaming(server) for _ in range(3)]
        for pid in (*workers_of(server), server.process.pid):
            os.kill(pid, signal.SIGTERM)
        assert all(stream.whole().endswith(b"data: [DONE]\n\n") for stream in streams)
        assert server.process.wait(SECONDS_MAX) == 0


@needs_postgres
@pytest.mark.parametrize("workers", [1, 2])
def test_a_database_that_hangs_keeps_no_server_from_leaving(tmp_path: Path, workers: int) -> None:
    """[fault O8] After the last stream a thread that had asked it was waited for without end. The next start has what it did not take.

    Its last rows are waited for once: workers, their office and its writer waited one after the other, 45 s where whoever stops a server
    by the files of `deploy/` gave it 15.
    """
    slow = "embedded: {tokens_per_second: 8}\nserver: {drain_seconds: 20}\n"
    with postgres_server() as postgres:
        variables = {"DATABASE_URL": postgres.fresh()}
        with serving(tmp_path, slow, variables=variables, workers=workers) as server:
            stream = Streaming(server)
            postgres.pause()
            try:
                server.process.terminate()
                assert stream.whole().endswith(b"data: [DONE]\n\n")
                began = time.monotonic()
                assert server.process.wait(SECONDS_MAX) == 0
                assert time.monotonic() - began < HUNG_SECONDS_MAX
            finally:
                postgres.go_on()
        with serving(tmp_path, slow, variables=variables, label="again") as server:
            assert "calls 1" in server.aisa("ledger", "audit")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_end_that_hangs_is_given_up_as_a_whole(tmp_path: Path, workers: int) -> None:
    """[issue 13] Its bound was a sum of bounds, which nothing held: a thread that somebody waits for kept the process for ever."""
    script = tmp_path / "hangs.py"
    script.write_text(HANGS, encoding="utf-8")
    (tmp_path / "aisa.yaml").write_text("server: {drain_seconds: 1}\n", encoding="utf-8")
    command = [sys.executable, script, "serve", "--port", "0", "--data-dir", tmp_path / "data", "--workers", str(workers)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        try:
            assert "Stop with" in read_banner(process)
            process.terminate()
            assert process.wait(SECONDS_MAX) == 1
            said = (tmp_path / "log").read_text(encoding="utf-8")
            assert said.index("stopped") < said.index("the end took too long")
        finally:
            process.kill()


#: A server with a thread that never ends, whose end has another second than it usually has.
HANGS = """\
import concurrent.futures, functools, threading
from aisa import stopping
from aisa.cli import main
from aisa.workers import serving

if __name__ == "__main__":
    for module in (stopping, serving):
        module.end_within = functools.partial(module.end_within, seconds_max=1.0)
    concurrent.futures.ThreadPoolExecutor().submit(threading.Event().wait)
    main()
"""


@pytest.mark.parametrize("stderr", ["gone", "full"])
@pytest.mark.parametrize("last", ["lambda: None", "[].pop"])
def test_an_end_is_given_up_whatever_becomes_of_its_last_words(stderr: str, last: str) -> None:
    """[issue 13] Where nobody reads them, or none is left who could, or what is ended first fails, the process stood for ever."""
    reader, writer = os.pipe()
    if stderr == "gone":
        os.close(reader)
    else:
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"." * 4096)
        os.set_blocking(writer, True)
    process = subprocess.Popen([sys.executable, "-c", GIVEN_UP.format(last=last)], stdin=subprocess.PIPE, stderr=writer)
    with process:
        os.close(writer)
        try:
            assert process.wait(SECONDS_MAX) == 1
        finally:
            process.kill()
    if stderr == "full":
        os.close(reader)


#: A process whose end takes too long; it has something to end first.
GIVEN_UP = """\
import sys
from aisa.config.schema import Server
from aisa.stopping import end_within

end_within(Server(drain_seconds=0), grace=False, last={last}, seconds_max=0.1)
sys.stdin.read()
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_leaves_at_once_and_the_next_start_settles(tmp_path: Path, workers: int) -> None:
    """Whichever the two signals are; what was in flight is billed from the journal."""
    with ScriptedVendor() as vendor, serving(tmp_path, settings_for(vendor), workers=workers, status=1) as slow:
        stream = Client(slow, CHAT, {**DOORS["chat"].body, "stream": True})
        until(lambda: stream.got.count(b"data:") > 2)
        slow.process.send_signal(signal.SIGINT)
        until(lambda: '"type":"draining"' in slow.log)
        slow.process.send_signal(signal.SIGTERM)
        assert slow.process.wait(SECONDS_MAX) == 1
        assert TOLD not in stream.whole()
    with serving(tmp_path, label="again") as again:
        assert '"type":"crash_settled","calls":1,' in again.log
        assert "Everything adds up." in again.aisa("ledger", "audit")


@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_told_that_a_server_goes_is_told_that_it_was_the_last_answer(tmp_path: Path, workers: int) -> None:
    """[issue 13] Who asked in the very turn of the signal got 503 on a connection that was kept. Asked is by many, to meet that turn."""
    with serving(tmp_path, "server: {drain_grace_seconds: 0.5}\n", workers=workers) as server, ThreadPoolExecutor() as threads:
        askers = [threads.submit(kept_after, server) for _ in range(4)]
        server.process.terminate()
        assert [asker.result() for asker in askers] == [[]] * len(askers)
        assert server.process.wait(SECONDS_MAX) == 0


def kept_after(server: Server) -> list[str]:
    """Ask on connections that are kept whether a server is ready, until it is gone; return what it said when it was not, and kept them."""
    kept = []
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=SECONDS_MAX)) as connection, suppress(OSError, HTTPException):
        while True:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            said = answer.read().decode()
            if answer.status != HTTPStatus.OK and answer.headers["connection"] != "close":
                kept.append(said)
    return kept
