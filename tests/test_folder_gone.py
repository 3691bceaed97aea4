"""A data folder that is deleted, moved or replaced under a server that runs, as clients and operators see it. Real processes."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from aisa.facts import FolderGone
from aisa.folder_watch import LAST_LOOK_SECONDS, FolderWatch
from aisa.observe.words import in_words
from aisa.storage.in_place import OpenFiles
from server import PROCESS_SECONDS_MAX, Server, serving


def asked(server: Server, path: str, body: object = None, *, key: str | None = None) -> tuple[int, Any]:
    """Ask on a connection of its own."""
    client = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PROCESS_SECONDS_MAX)
    headers = {"authorization": f"Bearer {key or server.key}", "content-type": "application/json"}
    client.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    answer = client.getresponse()
    status, document = answer.status, json.loads(answer.read())
    client.close()
    return status, document


def called(server: Server) -> tuple[int, Any]:
    """Make a call."""
    return asked(server, "/v1/chat/completions", {"model": "tiny", "max_tokens": 3, "messages": [{"role": "user", "content": "Hi."}]})


def until(true: Callable[[], object]) -> None:
    """Ask again until it is so."""
    end = time.monotonic() + PROCESS_SECONDS_MAX
    while not true():
        assert time.monotonic() < end, "it never was so"


def ready(server: Server) -> tuple[int, str]:
    """Whether the server is ready, and its word for that."""
    status, document = asked(server, "/health/ready")
    return status, document["status"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_whose_data_folder_is_deleted_says_so_and_takes_no_calls(tmp_path: Path, workers: int) -> None:
    """[fault P6] Calls went on with 200 and were billed into files without a name, it was ready, and its log had no word of it."""
    with serving(tmp_path, "", workers=workers) as server:
        admin = server.aisa("admin-keys", "create", "op", "--scope", "read", "--quiet").strip()
        assert called(server)[0] == 200
        assert ready(server) == (200, "ready")
        shutil.rmtree(tmp_path / "data")
        until(lambda: '"folder_gone"' in server.log)
        until(lambda: ready(server)[0] == 503)
        assert ready(server)[1] == "data_folder_gone"
        status, refused = called(server)
        assert (status, refused["error"]["code"]) == (503, "overloaded")
        assert "its data folder is gone" in refused["error"]["message"]
        shown = asked(server, "/admin/v1/status", key=admin)[1]
        assert shown["why_not_ready"] == "data_folder_gone"
        assert [each["level"] for each in shown["attention"] if "is gone or replaced" in each["what"]] == ["error"]
        assert server.log.count('"folder_gone"') == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PROCESS_SECONDS_MAX) == 0
        assert server.log.count('"folder_gone"') == 2, "what it stops with is said again"


def test_a_folder_that_is_moved_away_and_back_is_served_again(tmp_path: Path) -> None:
    """Nothing is lost by it: the files are the ones that are open."""
    data = tmp_path / "data"
    with serving(tmp_path, "") as server:
        data.rename(tmp_path / "moved")
        until(lambda: ready(server)[0] == 503)
        (tmp_path / "moved").rename(data)
        until(lambda: ready(server)[0] == 200)
        assert called(server)[0] == 200
        until(lambda: '"ledger_back"' in server.log)


def test_a_server_that_stops_takes_nothing_of_the_one_in_its_place(tmp_path: Path) -> None:
    """It removed the control socket of the server that had made the folder anew, which no command reached from then on."""
    data, place = tmp_path / "data", tmp_path / "place"
    with serving(tmp_path, "") as first:
        shutil.rmtree(data)
        data.mkdir(mode=0o700)
        place.mkdir()
        (place / "data").symlink_to(data)
        with serving(place, "") as second:
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(PROCESS_SECONDS_MAX) == 0
            assert "takes calls" in second.aisa("status")
            assert called(second)[0] == 200


def test_a_folder_that_is_gone_at_the_stop_is_told_then(tmp_path: Path) -> None:
    """Between two looks too: a stop says nothing of an end in order while all bills go with it."""
    with serving(tmp_path, "") as server:
        shutil.rmtree(tmp_path / "data")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PROCESS_SECONDS_MAX) == 0
        assert '"folder_gone"' in server.log


def test_a_stop_waits_for_no_disk_that_hangs(tmp_path: Path) -> None:
    """[issue 13] It waited for the last look before anything else: the server was not ready, and went on for ever.

    And for as long as any look took, answers of a server that was not ready kept their connections.
    """
    asked = threading.Event()
    hang = threading.Event()

    class Hanging(OpenFiles):
        def lost(self) -> str | None:
            asked.set()
            hang.wait(PROCESS_SECONDS_MAX)
            return None

    async def scene() -> None:
        stopped = asyncio.Event()
        watch = FolderWatch(Hanging(tmp_path, ()), lambda _fact: None, lambda _gone: None, stopping=lambda: None)
        waiting = asyncio.create_task(watch.until(stopped.wait()))
        await asyncio.sleep(0)
        stopped.set()
        await asyncio.wait_for(waiting, LAST_LOOK_SECONDS / 2)
        assert not asked.is_set()
        await asyncio.wait_for(watch.end(), 5 * LAST_LOOK_SECONDS)
        assert asked.is_set()
        hang.set()

    asyncio.run(scene())


def test_files_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    """Another file of the same name is not the one that was opened; one that was never there is not missed."""
    for name in ("lock", "aisa.db"):
        (tmp_path / name).touch()
    files = OpenFiles(tmp_path, ("lock", "aisa.db", "board"))
    assert files.lost() is None
    (tmp_path / "aisa.db").rename(tmp_path / "old")
    assert files.lost() == "aisa.db"
    (tmp_path / "aisa.db").touch()
    assert files.lost() == "aisa.db"
    (tmp_path / "old").replace(tmp_path / "aisa.db")
    assert files.lost() is None


def test_the_operator_is_told_what_to_do() -> None:
    """On a terminal in one line."""
    assert in_words(FolderGone("It is gone.", "Put it back.")) == "ACT NOW: It is gone. New calls are refused. Put it back."
