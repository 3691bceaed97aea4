"""The command line's socket on a server: what it asks for may wait for the disk, and nothing else on the server does."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from aisa.config.schema import Server
from aisa.edge.admin import Admin
from aisa.edge.admin_wallets import LedgerRoutes
from aisa.edge.control import REQUESTS_MAX, Control
from aisa.facts import Fact, KeysChanged
from aisa.http.server import HttpServer
from aisa.keys.store import KeyStore
from aisa.ledger.audit import STEP_ROWS
from aisa.ledger.store import LedgerStore
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database, open_database
from aisa.storage.migrate import migrate
from rows import priced

NOW = 1_000_000


class Desk:
    """A control socket in this process, and what was reported."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.facts: list[Fact] = []
        self.database = database
        self.folder = folder
        store = LedgerStore(database, lambda: NOW)
        keys = KeyStore(database, lambda: NOW, random.Random(1))
        admin = Admin(keys, lambda: NOW, self._report, wallets=store, more=LedgerRoutes(store).routes())
        self.server = HttpServer(Control(admin), Server())

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make a request on a connection of its own and return the status and the decoded answer."""
        reader, writer = await asyncio.open_unix_connection(self.folder / "s")
        raw = b"" if body is None else json.dumps(body).encode()
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: aisa\r\nconnection: close\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw)
        try:
            answer = await reader.read()
        finally:
            writer.close()
        head, _, document = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(document)

    async def until_busy(self, requests: int) -> None:
        """Let the loop go on until so many requests are being answered."""
        while self.server.calls_count < requests:  # noqa: ASYNC110 - the server has no event for it, and this takes a few turns
            await asyncio.sleep(0)

    def _report(self, fact: Fact) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.facts.append(fact)


Scene = Callable[[Desk], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[[Scene], None]]:
    """Run a scene with a control socket."""
    database = open_database(str(tmp_path), migrate)

    async def main(scene: Scene) -> None:
        desk = Desk(database, tmp_path)
        await desk.server.listen_unix(str(tmp_path / "s"))
        try:
            await asyncio.wait_for(scene(desk), 60)
        finally:
            await desk.server.drain(5)

    yield lambda scene: uvloop.run(main(scene))
    database.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the database's write lock, as a backup tool may."""
    other = sqlite3.connect(folder / "aisa.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_request_that_waits_for_the_disk_does_not_stop_the_event_loop(play: Callable[[Scene], None]) -> None:
    """While a key cannot be written yet, the loop turns a thousand times; then it is written, and reported in the loop's thread."""

    async def scene(desk: Desk) -> None:
        with locked(desk.folder):
            asked = asyncio.create_task(desk.ask("POST", "/keys", {"label": "ci"}))
            await desk.until_busy(1)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not asked.done()
        status, key = await asked
        assert (status, key["label"]) == (201, "ci")
        assert desk.facts == [KeysChanged("created", key["id"], "ci")]

    play(scene)


def test_a_long_request_lets_others_have_their_turn(play: Callable[[Scene], None]) -> None:
    """A key is revoked while an audit is under way, not after it."""

    async def scene(desk: Desk) -> None:
        await desk.ask("POST", "/keys", {"label": "leaked"})
        for start in range(0, 20 * STEP_ROWS, 500):
            insert_rows(desk.database, [priced(number) for number in range(start, start + 500)])
        order: list[str] = []

        async def ask(name: str, method: str, path: str) -> dict[str, Any]:
            status, answer = await desk.ask(method, path)
            order.append(name)
            assert status == 200
            return answer  # type: ignore[no-any-return]  # it is JSON

        audit = asyncio.create_task(ask("audit", "POST", "/ledger/audit"))
        await desk.until_busy(1)
        await ask("revoke", "POST", "/keys/leaked/revoke")
        report = await audit
        assert order == ["revoke", "audit"]
        assert (report["calls"], report["counts"]) == (20 * STEP_ROWS, {})

    play(scene)


def test_two_commands_at_once_are_done_one_after_the_other(play: Callable[[Scene], None]) -> None:
    """Of ten that want the same label, one gets it."""

    async def scene(desk: Desk) -> None:
        answers = await asyncio.gather(*[desk.ask("POST", "/keys", {"label": "ci"}) for _ in range(10)])
        assert sorted(status for status, _ in answers) == [201] + 9 * [400]

    play(scene)


def test_there_are_not_endlessly_many_requests(play: Callable[[Scene], None]) -> None:
    """One more than can wait is told so at once, and the others are answered."""

    async def scene(desk: Desk) -> None:
        with locked(desk.folder):
            asked = [asyncio.create_task(desk.ask("POST", "/keys", {"label": "ci"}))]
            await desk.until_busy(1)
            asked += [asyncio.create_task(desk.ask("GET", "/keys")) for _ in range(REQUESTS_MAX - 1)]
            await desk.until_busy(REQUESTS_MAX)
            status, answer = await desk.ask("GET", "/keys")
            assert (status, answer["error"]["code"]) == (503, "overloaded")
        assert {status for status, _ in await asyncio.gather(*asked)} == {200, 201}

    play(scene)


def test_a_command_that_nobody_waits_for_is_still_done_and_reported(play: Callable[[Scene], None]) -> None:
    """Ctrl-C at the command line does not undo what the server is writing, and the log has it."""

    async def scene(desk: Desk) -> None:
        with locked(desk.folder):
            asked = asyncio.create_task(desk.ask("POST", "/keys", {"label": "ci"}))
            await desk.until_busy(1)
            asked.cancel()
            for _ in range(100):
                await asyncio.sleep(0)
        _, listed = await desk.ask("GET", "/keys")
        assert [key["label"] for key in listed["data"]] == ["ci"]
        assert [type(fact) for fact in desk.facts] == [KeysChanged]

    play(scene)
