"""What the ledger and the metrics add to a call, without sockets: the ledger in memory, the journal, the writer's thread, the counters."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aisa.call import Call
from aisa.clock import wall_clock
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.facts import CallEnded, Fact
from aisa.keys.rules import Key
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.port import Ending
from aisa.ledger.rules import COMPLETED, FAILED, Delivered
from aisa.ledger.wallets import Wallet
from aisa.ledger.writer import Writer
from aisa.observe.gen_ai import CHAT, Readings, Server
from aisa.observe.metrics import Metrics
from aisa.routing import Routes
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.usage import REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from benchmarks.load import BenchFailed
from benchmarks.plan import METRICS_BUDGET_US, Plan
from benchmarks.report import Table, spread, verdict

CALLS = 5_000  # a round; the journal has one segment for each 1,024 in flight
IN_FLIGHT = 32
COUNTING_RUNS = 6
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


#: Of as many models at as many targets, streams and documents, some of which failed.
ENDED = [
    CallEnded(
        request_id="req_1", outcome=COMPLETED if number % 9 else FAILED, status=200, model=f"m-{number % 50}", stream=number % 3 > 0,
        key_id="key_bench", key_label="bench", target=f"vendor-{number % 5}/m-{number % 50}", attempts=1, usage=USED, billed_tokens=128,
        cost_nanos=1_500_000, first_token_seconds=0.01 * (number % 90), total_seconds=0.3 + 0.02 * (number % 400), bytes_sent=700,
    )
    for number in range(1_000)
]  # fmt: skip


def bookkeeping(plan: Plan) -> Table:
    """Measure opening, noting one event, closing, confirming and writing down, per call; and what is counted of one that has ended."""
    rounds = [asyncio.run(one_round(number)) for number in range(plan.rounds)]
    metrics, readings = counting_us()
    cells = [spread([figures[place] * 1e6 for figures in rounds]) for place in range(3)]
    return Table(
        "ledger",
        "What the ledger and the metrics add to a call",
        f"{CALLS:,} calls a round, {IN_FLIGHT} at a time, {plan.rounds} rounds, on SQLite in a temporary folder; microseconds of CPU. "
        "Loop: what is done on the path of the call. Thread: encoding rows and the database. Metrics: what is counted of a call that has "
        f"ended, in the loop, and for a collector, in its thread; {CALLS:,} calls of 50 models a round, the best of some.",
        (("", 0), ("loop us / call", 2), ("thread us / call", 2), ("both", 2), ("budget", 0)),
        (
            ("ledger", *cells, ""),
            ("metrics", metrics, None, None, verdict(metrics, METRICS_BUDGET_US, "us")),
            ("metrics for a collector", None, readings, None, ""),
        ),
    )


def counting_us() -> tuple[float, float]:
    """Return the microseconds of counting a call that has ended: in the loop for Prometheus, and in a thread for a collector."""
    metrics, readings, server = Metrics(), Readings(), Server("openai", "api.example", 443)
    return best_us(metrics.note), best_us(lambda fact: readings.note(fact, CHAT, server))


def best_us(note: Callable[[CallEnded], None]) -> float:
    """Return the microseconds of CPU that noting a call takes: the best of some runs, the first of which makes the series."""
    found: list[float] = []
    for _ in range(COUNTING_RUNS):
        began = time.thread_time()
        for number in range(CALLS):
            note(ENDED[number % len(ENDED)])
        found.append((time.thread_time() - began) / CALLS * 1e6)
    return min(found)


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
