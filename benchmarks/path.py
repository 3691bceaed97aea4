"""What our own Python costs: the whole path of a call, from the client's bytes to the row that is handed on, with no sockets around it.

The difference to `calls` and `paced` is the kernel's, the event loop's, the database's, and the caches' that grow cold in between.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from aisa.admission.shared import SharedAdmission
from aisa.clock import quick_chance, system_chance, wall_clock
from aisa.composition import open_dependencies
from aisa.config.limits import Limits, Tier
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.edge.app import Edge
from aisa.edge.cors import CrossOrigin
from aisa.facts import Fact
from aisa.http.connection import Connection
from aisa.http.pool import HttpUpstream
from aisa.http.pool_connection import PoolConnection
from aisa.http.shared import Shared
from aisa.ids import CallIds
from aisa.keys.store import KeyStore
from aisa.ledger.journal import Journal
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.routing import Routes
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.storage.shared_memory import LOCK_NAME, SharedLock, SharedMemory, new_memory
from aisa.timers import Timers
from benchmarks.calls import CALL_MODEL, request
from benchmarks.load import BenchFailed
from benchmarks.plan import BURST_CHUNKS, CALL_CONNECTIONS, Plan
from benchmarks.report import Row, Table, spread
from benchmarks.upstream import reply_to

CALLS = 4_000  # a round; a tenth of a second is too short to be judged
STREAMS = 40  # a round, of BURST_CHUNKS chunks each
STREAM_MODEL = f"bench-{BURST_CHUNKS}x0"
ARRIVAL_BYTES_MAX = 16_384
PLENTY = 1_000_000  # of each kind of limit: each is asked, and none is reached


class Wire(asyncio.Transport):
    """A transport that takes everything at once and goes nowhere. `wrote` is called with what was written."""

    def __init__(self, wrote: Callable[[bytes], None]) -> None:
        super().__init__()
        self.wrote = wrote
        self.end, self._other = socket.socketpair()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know a socket for whoever polls it, and no more."""
        return self.end if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignored: nothing waits."""

    def write(self, data: bytes) -> None:  # type: ignore[override] # nothing else is written
        """Pass it on."""
        self.wrote(data)

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def is_closing(self) -> bool:
        """Never."""
        return False

    def abort(self) -> None:
        """Let the sockets go."""
        self.end.close()
        self._other.close()


def arrive(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Have a protocol read bytes as an event loop does."""
    memoryview(protocol.get_buffer(-1))[: len(data)] = data
    protocol.buffer_updated(len(data))


class VendorWire(Wire):
    """The way to a vendor that answers a request with the same pieces each time, one in each turn of the loop in which they are read."""

    def __init__(self, connection: PoolConnection, pieces: list[bytes]) -> None:
        super().__init__(self._asked)
        self._connection = connection
        self._pieces = pieces
        self._at = 0
        self._paused = False

    def pause_reading(self) -> None:
        """Bring no more."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._bring)

    def _asked(self, _request: bytes) -> None:
        self._at = 0
        asyncio.get_running_loop().call_soon(self._bring)

    def _bring(self) -> None:
        if not self._paused and self._at < len(self._pieces):
            self._at += 1
            arrive(self._connection, self._pieces[self._at - 1])
            asyncio.get_running_loop().call_soon(self._bring)


class Dialer:
    """Opens connections to such a vendor."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def dial(self, make: Callable[[], PoolConnection]) -> PoolConnection:
        """Return a connection."""
        connection = make()
        connection.connection_made(VendorWire(connection, self.pieces))
        return connection


class Caller:
    """A client's keep-alive connection, which sends its next request when an answer has ended."""

    def __init__(self, shared: Shared, asked: bytes, ended: Callable[[bytes], bool]) -> None:
        self._asked = asked
        self._ended = ended
        self._connection = Connection(shared)
        self._wire = Wire(self._answered)
        self._connection.connection_made(self._wire)

    def ask(self) -> None:
        """Send a request."""
        arrive(self._connection, self._asked)

    def leave(self) -> None:
        """End the connection."""
        self._wire.abort()
        self._connection.connection_lost(None)

    def _answered(self, data: bytes) -> None:
        if data.endswith((b"}", b"}\n", b"0\r\n\r\n")) and self._ended(data):
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self.ask)  # a turn later, as a client would


@asynccontextmanager
async def opened(folder: str, dialer: Dialer, dialect: str = "openai", limits: str = "") -> AsyncGenerator[tuple[Edge, str]]:
    """Yield everything between two sockets as `serve` puts it together, but for the writer's thread and the log; and a key.

    The key has limits of all three kinds where these are `memory` or `shared`, which is memory as workers have it.
    """
    prices = Prices(input=2.5, output=10)
    plenty = Tier(rpm=PLENTY, tpm=PLENTY, concurrency=PLENTY)
    config = Config(
        limits=Limits(default_tier="t", tiers={"t": plenty}) if limits else Limits(),
        vendors={"local": Vendor(base_url="http://127.0.0.1:9/v1", api_key="k", dialect=dialect)},
        models={model: Model(to=(f"local/{model}",), prices=prices) for model in (CALL_MODEL, STREAM_MODEL)},
    )
    database = open_database(folder, migrate)
    keys = KeyStore(database, wall_clock, system_chance())
    _, secret = keys.create("bench")

    def written(_row: CallRow, committed: Callable[[], None]) -> None:
        committed()

    facts: list[Fact] = []
    journal = Journal.open(Path(folder) / "board", slots_max=65_536)
    ledger = LiveLedger(journal, written, wallets=[Wallet("default", 10**15)], wall_clock=wall_clock)
    pool = HttpUpstream("local", config.vendors["local"], {})
    pool._dialer = dialer  # type: ignore[assignment] # noqa: SLF001 - the network is what this bench leaves out
    dependencies = open_dependencies(
        config, keys, ledger, pools={"local": pool}, routes=Routes(config), chance=quick_chance(), report=partial(keep_last, facts)
    )
    if limits == "shared":
        memory = SharedMemory(new_memory(Path(folder), quick_chance()), SharedLock(Path(folder) / LOCK_NAME))
        dependencies.admission = SharedAdmission(config.limits, keys.tiers, memory, wall_clock=wall_clock)
        dependencies.admission.expect(ledger.usual)
    ids = CallIds(wall_clock, quick_chance())
    try:
        yield Edge(dependencies, ids, wall_clock, cross_origin=CrossOrigin(config.cors), not_ready=lambda: None), secret
    finally:
        await pool.close()
        journal.close()
        database.close()


def keep_last(facts: list[Fact], fact: Fact) -> None:
    """Take a report at the least cost."""
    facts[:] = [fact]


async def seconds_of_cpu(
    calls: int,
    pieces: list[bytes],
    asks: Callable[[str], bytes],
    *,
    dialect: str = "openai",
    limits: str = "",
    warm: int = 0,
    connections: int = CALL_CONNECTIONS,
    spent: Callable[[], float] = time.thread_time,
) -> float:
    """Return the CPU seconds of so many calls, written by `asks` for a key, whose vendor answers in these pieces.

    So many are made at a time, and so many `warm` ones before; `spent` is read at the begin and at the end. The key's `limits` are as
    `opened` has them. Raises BenchFailed.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="aisa-bench-"))
        edge, key = await stack.enter_async_context(opened(folder, Dialer(pieces), dialect, limits))
        shared = Shared(edge, Config().server, wall_clock, timers=Timers())
        left = warm + calls
        began = 0.0
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def ended(last: bytes) -> bool:
            nonlocal left, began
            left -= 1
            if left == calls:
                began = spent()
            failed = b'"error":{' in last
            if (failed or left == 0) and not done.done():
                done.set_result(last if failed else b"")
            return left >= connections

        asked = asks(key)
        callers = [Caller(shared, asked, ended) for _ in range(min(warm + calls, connections))]
        if not warm:
            began = spent()
        for caller in callers:
            caller.ask()
        failure = await done
        seconds = spent() - began
        for caller in callers:
            caller.leave()
    if failure:
        raise BenchFailed(f"the path answered {failure!r}")
    return seconds


def asking(model: str, stream: bool, key: str) -> bytes:
    """Return a chat request."""
    return request(model, key=key, stream=stream)


def path(plan: Plan) -> Table:
    """Measure calls, and streams whose chunks come one by one and many at a time."""
    document = reply_to(request(CALL_MODEL).partition(b"\r\n\r\n")[2])
    streamed = reply_to(request(STREAM_MODEL, stream=True).partition(b"\r\n\r\n")[2])
    whole = b"".join((streamed.first, *streamed.rest))
    burst = [whole[start : start + ARRIVAL_BYTES_MAX] for start in range(0, len(whole), ARRIVAL_BYTES_MAX)]
    alone = [line + b"\n\n\r\n" for line in whole.split(b"\n\n\r\n")[:-1]] + [b"0\r\n\r\n"]
    kinds = (
        ("call", CALLS, [document.first], CALL_MODEL, 1),
        ("chunk that comes alone", STREAMS, alone, STREAM_MODEL, BURST_CHUNKS),
        ("chunk of a burst", STREAMS, burst, STREAM_MODEL, BURST_CHUNKS),
    )
    rows: list[Row] = []
    for name, calls, pieces, model, units in kinds:
        rounds = [uvloop.run(seconds_of_cpu(calls, pieces, partial(asking, model, units > 1))) for _ in range(plan.rounds)]
        rows.append((name, spread([seconds * 1e6 / calls / units for seconds in rounds])))
    how = (
        f"Everything between two sockets, hot: {CALLS:,} calls a round, {CALL_CONNECTIONS} at a time, and {STREAMS} streams "
        f"of {BURST_CHUNKS} chunks, whose opening and end are in the figure; {plan.rounds} rounds; microseconds of CPU."
    )
    return Table("path", "Our own Python", how, (("per", 0), ("us", 2)), tuple(rows))
