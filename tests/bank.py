"""A gateway with a live ledger and a database behind it, for tests of what callers see of their bills. Not a test.

Threads read the database in real time, so it runs on the loop that is served on.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from aisa.clock import WallClock, wall_clock
from aisa.config.schema import Cors, Prices
from aisa.edge.account import Accounts
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.edge.statement import Statement
from aisa.errors import ApiError
from aisa.http.server import HttpServer
from aisa.ids import CallIds
from aisa.keys.rules import Key, Team
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.port_usage import EndedCalls
from aisa.ledger.row import CallRow
from aisa.ledger.usage import UsageStore
from aisa.ledger.wallets import Wallet
from aisa.ledger.writer import insert_rows
from aisa.storage.engine import Database, open_database
from aisa.storage.migrate import migrate
from aisa.storage.tables import accounts
from faults_rig import Gateway, Reply, Script, body, gateway, on_uvloop, plain, post, says, until
from ledger_rig import shared_journal
from rig import document

ANSWER = says(plain(document()))
TARIFF = Prices(input=1.25, output=10.0)
TEAM = Team("team_1", "acme", "bots", 0, 3_000_000_000, "day")
KEYS = {
    "mine": Key("key_1", "mine", b"", "sk-…", "active", 0),
    "sister": Key("key_2", "sister", b"", "sk-…", "active", 0),
    "stranger": Key("key_3", "stranger", b"", "sk-…", "active", 0, account="acme"),
    "member": Key("key_5", "member", b"5", "sk-…", "active", 0, account="acme", team=TEAM),
    "mate": Key("key_6", "mate", b"6", "sk-…", "active", 0, account="acme", spend_cap=5_000_000_000, spend_window="month", team=TEAM),
    "capped": Key("key_4", "capped", b"", "sk-…", "active", 0, account="acme", spend_cap=5_000_000_000, spend_window="day"),
}


class Ring:
    """Knows KEYS by their secrets."""

    def verify(self, secret: str | None) -> Key:
        """Return one."""
        if secret not in KEYS:
            raise ApiError("invalid_api_key" if secret else "missing_api_key", "No such key.")
        return KEYS[secret]

    def again(self, key: Key, secret: str) -> Key:
        """Ask anew."""
        return self.verify(secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the same, or None."""
        return KEYS.get(secret or "")


class Bank:
    """A gateway with a live ledger, whose rows go to a database when told to."""

    def __init__(self, home: Gateway, database: Database | None, clock: WallClock, ended: EndedCalls | None) -> None:
        self.home = home
        self.database = database
        self.posted: list[tuple[CallRow, Callable[[], None]]] = []
        self.wallet = Wallet("acme", 20_000_000_000)
        self.ledger = LiveLedger(
            shared_journal(), lambda row, done: self.posted.append((row, done)), wallets=[self.wallet], wall_clock=wall_clock
        )
        home.dependencies.ledger = home.ledger = self.ledger
        ids = CallIds(wall_clock, random.Random(2))
        known = ended or UsageStore(database or pytest.fail("there is no database"))
        accounts = Accounts(self.ledger, Statement(self.ledger, known), clock)
        rest = {"cross_origin": CrossOrigin(Cors()), "not_ready": lambda: None}
        self.edge = Edge(home.dependencies, ids, wall_clock, accounts=accounts, **rest)

    def store(self, *rows: CallRow) -> None:
        """Have the database take some rows, or every one that was posted, without telling the ledger yet."""
        assert self.database is not None
        insert_rows(self.database, rows or [row for row, _ in self.posted])

    def commit(self) -> None:
        """Have the database take every row that was posted, and tell the ledger."""
        self.store()
        for _, done in self.posted:
            done()
        self.posted.clear()

    async def call(self, key: str = "mine", *, posted: int = 1) -> str:
        """Make a call, wait until so many rows are final, and return its id."""
        reply = await self.home.ask(post(body(), key=key))
        assert reply.status == 200
        await until(lambda: len(self.posted) == posted)
        return reply.header("x-request-id") or ""

    async def get(self, path: str, *headers: str, key: str | None = "mine", method: str = "GET") -> Reply:
        """Ask for a document."""
        lines = [f"{method} {path} HTTP/1.1", "host: gateway", *headers, *([] if key is None else [f"authorization: Bearer {key}"])]
        caller = await self.home.client("\r\n".join([*lines, "", ""]).encode())
        reply = await caller.reply(to_head=method == "HEAD")
        caller.leave()
        return reply

    async def json(self, path: str, key: str = "mine") -> Any:
        """Ask for a document that must come."""
        reply = await self.get(path, key=key)
        assert reply.status == 200, reply.body
        return reply.json


@asynccontextmanager
async def bank(
    folder: Path | None, *scripts: Script, clock: WallClock = wall_clock, ended: EndedCalls | None = None
) -> AsyncGenerator[Bank]:
    """Run a gateway whose model `fast` costs TARIFF, with its database in a folder, or with `ended` calls instead of one."""
    database = None if folder is None else open_database(str(folder), migrate)
    if database is not None:
        with database.transaction() as connection:
            connection.execute(insert(accounts).values(name="acme", balance=20_000_000_000, charged=0, spent=0, calls=0, created_at=1))
    async with gateway(*(scripts or (ANSWER,)), keys=Ring(), prices=TARIFF) as home:
        made = Bank(home, database, clock, ended)
        await home.server.drain(0)
        home.server = HttpServer(made.edge, home.config.server)
        _, home.port = await home.server.listen("127.0.0.1", 0)
        yield made
    if database is not None:
        database.close()


def with_bank(scenario: Callable[[Bank], Coroutine[Any, Any, None]], folder: Path, *scripts: Script, **options: Any) -> None:
    """Run a scenario."""

    async def main() -> None:
        async with bank(folder, *scripts, **options) as made:
            await scenario(made)

    on_uvloop(main())
