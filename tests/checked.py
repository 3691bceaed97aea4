"""A gateway with bills, in front of the vendor that checks play, on one loop of virtual time. Not a test."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aisa.checks.client import Address
from aisa.checks.subject import Subject
from aisa.clock import wall_clock
from aisa.config.schema import Config, Cors, Model, Prices, Vendor
from aisa.edge.account import Accounts
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.edge.idempotency import IdempotencyStore
from aisa.edge.statement import Statement
from aisa.http.names import Names
from aisa.http.server import HttpServer
from aisa.ids import CallIds
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.row import CallRow
from aisa.providers.tasks import DIALECTS
from aisa.testing.scenario import built_in
from aisa.testing.scripted_server import ScriptedServer
from faults_rig import CLIENT_KEY, VENDOR_KEY, Gateway, OneKey
from ledger_rig import shared_journal
from tampering import Tamper, tampering

SCENARIOS = built_in()
MODEL = "check"


class Rows:
    """The calls that ended, in memory; implements what the bills ask of a database."""

    def __init__(self) -> None:
        self.rows: dict[str, CallRow] = {}

    def post(self, row: CallRow, committed: Any) -> None:
        """Take a row."""
        self.rows[row.id] = row
        committed()

    def call(self, call_id: str) -> CallRow | None:
        """Return one."""
        return self.rows.get(call_id)

    def refused(self, call_id: str) -> None:
        """There are none."""

    def used(self, *_: object) -> dict[str, Any]:
        """Nobody asks."""
        return {}


@asynccontextmanager
async def checked(tamper: Tamper | None = None, *, final_seconds: float = 0.0) -> AsyncIterator[Subject]:
    """Run gateway and vendor, with a proxy in front if there is something to break, and yield what checks are run on.

    So long after its end a call's bill is final, as where a proxy is slow to acknowledge what it has.
    """
    vendor = ScriptedServer(SCENARIOS, "hello")
    port = await vendor.listen("127.0.0.1", 0)
    row = Vendor(base_url=f"http://127.0.0.1:{port}/v1", api_key=VENDOR_KEY)
    models = {MODEL: Model(to=("local/check",), prices=Prices(input=1.0, output=2.0))}
    home = Gateway(Config(vendors={"local": row}, models=models), (), OneKey(), names=Names())
    rows = Rows()
    idempotency = IdempotencyStore(wall_clock)

    def final(row: CallRow) -> None:
        asyncio.get_running_loop().call_later(final_seconds, idempotency.final, row)

    ledger = LiveLedger(shared_journal(), rows.post, wall_clock=wall_clock, final=final if final_seconds else idempotency.final)
    home.dependencies.ledger, home.dependencies.dialects = ledger, DIALECTS
    edge = Edge(
        home.dependencies,
        CallIds(wall_clock, random.Random(3)),
        wall_clock,
        cross_origin=CrossOrigin(Cors()),
        not_ready=lambda: None,
        idempotency=idempotency,
        accounts=Accounts(ledger, Statement(ledger, rows), wall_clock),
    )
    server = HttpServer(edge, home.config.server)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: home.complaints.append(context))
    _, own = await server.listen("127.0.0.1", 0)
    try:
        if tamper is None:
            yield Subject(Address("127.0.0.1", own), "", key=CLIENT_KEY, model=MODEL, vendor=vendor)
        else:
            async with tampering(own, tamper) as front:
                yield Subject(Address("127.0.0.1", front), "", key=CLIENT_KEY, model=MODEL, vendor=vendor)
    finally:
        await server.drain(0)
        for pool in home.pools.values():
            await pool.close()
        await vendor.close()
