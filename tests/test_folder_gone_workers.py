"""A data folder that is moved away, replaced and put back under a server of several processes, one of which may die meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from server import PROCESS_SECONDS_MAX, Server, serving
from test_folder_gone import called, ready, until

CALLS = 5


def workers_of(server: Server) -> set[int]:
    """Return the process ids of the workers that run."""
    found: set[int] = set()
    for path in Path(f"/proc/{server.process.pid}/task").glob("*/children"):
        for child in path.read_text(encoding="ascii").split():
            try:
                if b"aisa.workers" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.add(int(child))
            except OSError:
                continue
    return found


def in_order(server: Server, calls: int) -> None:
    """Wait until the ledger has so many calls that were completed, and have it audited."""
    until(lambda: sum(call["outcome"] == "completed" for call in ended(server)) == calls)
    server.aisa("ledger", "audit")


def ended(server: Server) -> list[Any]:
    """Return the calls that the ledger has."""
    shown = json.loads(server.aisa("calls", "--limit", "100", "--json"))
    return list(shown["data"] if isinstance(shown, dict) else shown)


def test_a_folder_that_is_moved_away_and_back_is_served_again_by_all_workers(tmp_path: Path) -> None:
    """[issue 13] All refuse meanwhile, and all take calls again; nothing that was called is lost."""
    data, moved = tmp_path / "data", tmp_path / "moved"
    with serving(tmp_path, "", workers=2) as server:
        until(lambda: len(workers_of(server)) == 2)
        before = workers_of(server)
        assert {called(server)[0] for _ in range(CALLS)} == {200}
        data.rename(moved)
        until(lambda: ready(server)[0] == 503)
        assert {called(server)[0] for _ in range(CALLS)} == {503}
        moved.rename(data)
        until(lambda: ready(server)[0] == 200)
        assert {called(server)[0] for _ in range(CALLS)} == {200}
        assert workers_of(server) == before
        in_order(server, 2 * CALLS)
        log = server.told('"ledger_back"')
        assert (log.count('"folder_gone"'), log.count('"ledger_back"')) == (1, 1)


def test_a_worker_that_dies_while_the_folder_is_moved_away_is_replaced_when_it_is_back(tmp_path: Path) -> None:
    """[issue 13] What it had in its journal is settled then, and until then no other begins in whatever stands in its place."""
    data, moved = tmp_path / "data", tmp_path / "moved"
    with serving(tmp_path, "", workers=2) as server:
        until(lambda: len(workers_of(server)) == 2)
        assert {called(server)[0] for _ in range(CALLS)} == {200}
        data.rename(moved)
        until(lambda: ready(server)[0] == 503)
        victim = min(workers_of(server))
        os.kill(victim, signal.SIGKILL)
        until(lambda: "has ended with status" in server.log)
        assert called(server)[0] == 503
        moved.rename(data)
        until(lambda: ready(server)[0] == 200)
        until(lambda: len(workers_of(server) - {victim}) == 2)
        assert {called(server)[0] for _ in range(CALLS)} == {200}
        in_order(server, 2 * CALLS)


def test_a_worker_that_dies_while_another_folder_stands_there_begins_in_none(tmp_path: Path) -> None:
    """[issue 13] One that began there would take calls under keys and into a journal of nobody's."""
    data, moved = tmp_path / "data", tmp_path / "moved"
    with serving(tmp_path, "", workers=2) as server:
        until(lambda: len(workers_of(server)) == 2)
        assert {called(server)[0] for _ in range(CALLS)} == {200}
        data.rename(moved)
        data.mkdir(mode=0o700)
        until(lambda: ready(server)[0] == 503)
        victim = min(workers_of(server))
        os.kill(victim, signal.SIGKILL)
        until(lambda: "has ended with status" in server.log)
        assert {called(server)[0] for _ in range(CALLS)} == {503}
        assert sorted(path.name for path in data.iterdir()) == []
        data.rmdir()
        moved.rename(data)
        until(lambda: ready(server)[0] == 200)
        until(lambda: len(workers_of(server) - {victim}) == 2)
        assert {called(server)[0] for _ in range(CALLS)} == {200}
        in_order(server, 2 * CALLS)


def test_what_a_worker_leaves_that_dies_while_the_folder_is_moved_away_is_billed_when_it_is_back(tmp_path: Path) -> None:
    """[issue 13] Its journal was not where it was looked for, so what it had in flight was billed at the next start, or to nobody."""
    data, moved = tmp_path / "data", tmp_path / "moved"
    with serving(tmp_path, "embedded: {tokens_per_second: 1}\n", workers=2) as server:
        until(lambda: len(workers_of(server)) == 2)
        client = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PROCESS_SECONDS_MAX)
        asked = {"model": "tiny", "stream": True, "max_tokens": 2_000, "messages": [{"role": "user", "content": "Count to a thousand."}]}
        headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
        client.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
        answer = client.getresponse()
        assert answer.status == 200
        assert [answer.readline() for _ in range(6)]
        data.rename(moved)
        until(lambda: ready(server)[0] == 503)
        victims = workers_of(server)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        until(lambda: server.log.count("has ended with status") == 2)
        answer.close()
        client.close()
        moved.rename(data)
        until(lambda: len(workers_of(server) - victims) == 2)
        until(lambda: ready(server)[0] == 200)
        assert called(server)[0] == 200
        until(lambda: "crashed" in {call["outcome"] for call in ended(server)})
        [call] = [call for call in ended(server) if call["outcome"] == "crashed"]
        assert call["billed_output_tokens"] > 0
        server.aisa("ledger", "audit")
