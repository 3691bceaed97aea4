"""Signals that would end a process which has no answer to them, and who comes while a server begins. A real process."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import pytest

from server import BANNER_END, PROCESS_SECONDS_MAX, Server, environment, read_banner, serving
from test_workers import control, until

ASKED_MAX = 10_000  # seconds of questions; the log is written within 0.05 s


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=lambda number: number.name)
def test_a_signal_that_others_use_for_reloading_cuts_no_stream(number: signal.Signals, server: Server) -> None:
    """[fault S17] Sent in the middle of a stream it is a line in the log; the stream has its end, and the next call is answered."""
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi."}]})
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        start = answer.read(20)
        server.process.send_signal(number)
        assert (answer.status, (start + answer.read()).endswith(b"data: [DONE]\n\n")) == (200, True)
    for _ in range(ASKED_MAX):  # the log is written a moment later
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"live"}\n'
        if f"{number.name} is ignored" in server.log:
            break
    connection.close()
    assert f"{number.name} is ignored" in server.log


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sighup_while_a_server_begins_counts_once_it_has_begun(tmp_path: Path, workers: int) -> None:
    """[issue 13] It was ignored, or killed a server that had not come that far: what was written then counted at the next reload."""
    processes = list[int]()

    def reload_early() -> None:
        until(lambda: (tmp_path / "data" / "lock").exists() and (tmp_path / "data" / "lock").read_text().endswith("\n"), "it never began")
        (tmp_path / "aisa.yaml").write_text("models: {changed: [embedded/tiny]}\n", "utf-8")
        processes.append(int((tmp_path / "data" / "lock").read_text()))
        os.kill(processes[0], signal.SIGHUP)

    hasty = threading.Thread(target=reload_early)
    hasty.start()
    with serving(tmp_path, "models: {first: [embedded/tiny]}\n", workers=workers) as server:
        hasty.join()
        assert processes == [server.process.pid]
        until(lambda: '"reloaded"' in server.log, "the signal was not answered")
        assert "changed" in server.aisa("models")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_that_means_nothing_ends_no_server_that_begins_or_goes(number: signal.Signals, tmp_path: Path) -> None:
    """[issue 13] While it read its configuration, and while Python took its leave, SIGUSR1 killed the process: no start, no status 0."""
    (tmp_path / "aisa.yaml").write_text("models: {first: [embedded/tiny]}\n", "utf-8")
    words = ["serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--config", str(tmp_path / "aisa.yaml"), "--log-format", "off"]
    over = threading.Event()

    def pester() -> None:
        until(lambda: any(signals(process.pid, kind, signal.SIGHUP) for kind in ("SigBlk", "SigCgt")), "it never began")
        assert any(signals(process.pid, kind, signal.SIGUSR1, signal.SIGUSR2) for kind in ("SigIgn", "SigCgt"))
        while not over.wait(0.001):
            process.send_signal(number)  # nothing once it has been waited for

    with (
        subprocess.Popen(
            [sys.executable, "-m", "aisa", *words], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
        ) as process,
        ThreadPoolExecutor() as threads,
    ):
        pestering = threads.submit(pester)
        try:
            assert BANNER_END in read_banner(process)
            process.terminate()
            assert process.wait(PROCESS_SECONDS_MAX) == 0
        finally:
            over.set()
            process.kill()
        pestering.result()


def signals(pid: int, kind: str, *numbers: signal.Signals) -> bool:
    """Say whether a process ignores (`SigIgn`), holds back (`SigBlk`) or has a handler of (`SigCgt`) these signals."""
    mask = int(re.findall(rf"{kind}:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text("utf-8"))[0], 16)
    return all(mask >> (number - 1) & 1 for number in numbers)


def test_whoever_finds_the_control_socket_is_told_where_the_server_is(tmp_path: Path) -> None:
    """[issue 13] It listened before the server knew its own address: who made a key in that moment was told that nothing listens."""
    told = list[str | None]()

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX) as tried:
            return tried.connect_ex(str(tmp_path / "data" / "control.sock")) == 0

    def look() -> None:
        until(listens, "there is no server")
        told.append(control(cast("Server", SimpleNamespace(folder=tmp_path)), "/keys", label="early")["url"])

    looking = threading.Thread(target=look)
    looking.start()
    with serving(tmp_path, "metrics: {listen: 'localhost:0'}\n") as server:
        looking.join()
        assert told == [server.url]
