"""What the ledger adds to a call: the ledger in memory, the journal and the writer's thread on a real database, without sockets."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from pathlib import Path

from aisa.call import Call
from aisa.clock import wall_clock
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.facts import Fact
from aisa.keys.rules import Key
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.port import Ending
from aisa.ledger.rules import COMPLETED, Delivered
from aisa.ledger.wallets import Wallet
from aisa.ledger.writer import Writer
from aisa.routing import Routes
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.usage import REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from benchmarks.load import BenchFailed
from benchmarks.plan import Plan
from benchmarks.report import Table, spread

CALLS = 5_000  # a round; the journal has one segment for each 1,024 in flight
IN_FLIGHT = 32
WRITE_SECONDS_MAX = 60
BODY = b'{"model":"fast","messages":[{"role":"user","content":"Say something of some length, please."}]}'
CONFIG = Config(
    vendors={"local": Vendor(base_url="http://127.0.0.1:9/v1")},
    models={"fast": Model(to=("local/m",), prices=Prices(input=2.5, output=10))},
)
USED = Usage(42, 128, source=REPORTED, input_source=REPORTED)
ENDING = Ending(
    outcome=COMPLETED,
    generated=USED,
    delivered=Delivered(128, 128),
    attempts=1,
    queue_ms=0,
    first_token_ms=3,
    total_ms=40,
    bytes_sent=700,
    error_code=None,
)


def bookkeeping(plan: Plan) -> Table:
    """Measure opening, noting one event, closing, confirming and writing down, per call."""
    rounds = [asyncio.run(one_round(number)) for number in range(plan.rounds)]
    cells = [spread([figures[place] * 1e6 for figures in rounds]) for place in range(3)]
    return Table(
        "ledger",
        "What the ledger adds to a call",
        f"{CALLS:,} calls a round, {IN_FLIGHT} at a time, {plan.rounds} rounds, on SQLite in a temporary folder; microseconds of CPU. "
        "Loop: what is done on the path of the call. Thread: encoding rows and the database.",
        (("", 0), ("loop us / call", 2), ("thread us / call", 2), ("both", 2)),
        (("ledger", *cells),),
    )


async def one_round(number: int) -> tuple[float, float, float]:
    """Return the seconds of CPU per call of the event loop's thread, of the writer's, and of both. Raises BenchFailed."""
    facts: list[Fact] = []
    with tempfile.TemporaryDirectory(prefix="aisa-bench-") as folder:
        database = open_database(folder, migrate)
        journal = Journal.open(Path(folder) / "board", slots_max=65_536)
        writer = Writer(database, facts.append)
        ledger = LiveLedger(journal, writer.post, wallets=[Wallet("default", 10**15)], wall_clock=wall_clock)
        key = Key("key_bench", "bench", b"", "sk-…", "active", 0)
        chat = parse_chat(BODY)
        plan = Routes(CONFIG).plan(chat, key, None)  # type: ignore[arg-type]  # one target: no chance is asked
        whole, own = resource.getrusage(resource.RUSAGE_SELF), time.thread_time()
        for start in range(0, CALLS, IN_FLIGHT):
            charges = [
                await ledger.open(Call(f"req_{number:06}{start + each:020}", key, BODY, 1, 0.0, [], CHAT_DOOR), key, chat, plan=plan)
                for each in range(IN_FLIGHT)
            ]
            for charge in charges:
                charge.serve(plan.offers[0], 1)
                charge.note(128)
                charge.close(ENDING)
                charge.confirm(ENDING.delivered, whole=True)
            await asyncio.sleep(0)
        left = await writer.stop(WRITE_SECONDS_MAX)
        loop_seconds, used = time.thread_time() - own, resource.getrusage(resource.RUSAGE_SELF)
        both = used.ru_utime + used.ru_stime - whole.ru_utime - whole.ru_stime
        journal.close()
        database.close()
    if left or facts:
        raise BenchFailed(f"the ledger left {left} rows: {facts}")
    count = -(-CALLS // IN_FLIGHT) * IN_FLIGHT
    return loop_seconds / count, (both - loop_seconds) / count, both / count
