"""The ledger of a real server process whose host fails it: locks, disks, signals, descriptors. What clients may not notice, they do not.

The deaths of the process are in `test_crash`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aisa.ledger.writer import GIVE_UP_SECONDS_MAX
from crash import BURST_CHUNKS, DOCUMENT_TOKENS, PACED_CHUNKS, Row, Server, serving
from crash_point import DATABASE_FAILS, JOURNAL_FAILS, NOWHERE, WRITE_SECONDS_MAX
from faults_rig import (
    LAST,
    SSE,
    Caller,
    Reply,
    Script,
    ScriptedVendor,
    body,
    broken,
    connect,
    failure,
    framed,
    hang,
    on_uvloop,
    plain,
    post,
    says,
    whole,
)
from rig import DONE, chunk, content_of, document, text

CHILD = (str(Path(__file__).with_name("crash_point.py")), NOWHERE, "1")
#: A server under libfiu, by which its C library can be made to fail; `fiu-run` becomes the server, under the same process id.
INJECTED = ("-c", "import os, sys; os.execvp('fiu-run', ['fiu-run', '-x', '-f', 'fiu', sys.executable, '-m', 'aisa', *sys.argv[1:]])")
LOCKED_SECONDS = 3.0  # several of the writer's attempts; AISA_LOCKED_SECONDS=30 for a release
SLOTS_MIN = 1_024  # of a journal: the least that can be configured, and what there is when the disk is full
WORKERS = 8
SETTLED_SECONDS_MAX = 30.0  # until a row is written, which takes a tenth of a second and, after a failure, one more
STOP_SECONDS_MAX = 10.0  # for all the rest of a stop, which takes a fraction of a second
DISK_BYTES = 16 << 20  # the journal has eight MiB of it
STOPPED_SECONDS = 1.0
MODEL = {"to": ["v/real-model"], "prices": {"input": 1, "output": 2}}
DOCUMENT = Row(3, 9 * 1_000 + 3 * 2_000, "completed", stream=False)
DOCUMENTS = says(plain(document()))


class Running(NamedTuple):
    """A server that serves the models `fast` and `impatient`, the vendor behind it, and the clients that came."""

    server: Server
    vendor: ScriptedVendor
    callers: list[Caller]

    async def client(self, **fields: Any) -> Caller:
        """Send a request on a new connection, which the end closes."""
        caller = await connect(self.server.port)
        self.callers.append(caller)
        await caller.send(post(body(**fields), key=self.server.key))
        return caller

    async def ask(self, **fields: Any) -> Reply:
        """Make a call and return its whole answer."""
        caller = await self.client(**fields)
        reply = await caller.reply()
        caller.leave()
        return reply

    async def ask_until(self, enough: Callable[[list[Reply]], bool]) -> list[Reply]:
        """Make calls, several at a time and each worker's on one connection, until there are enough."""
        replies: list[Reply] = []

        async def work() -> None:
            caller = await self.client()
            replies.append(await caller.reply())
            while not enough(replies):
                await caller.send(post(body(), key=self.server.key))
                replies.append(await caller.reply())

        await asyncio.gather(*[work() for _ in range(WORKERS)])
        return replies

    async def settled(self, replies: list[Reply]) -> None:
        """Wait until the ledger has a row for each good answer, and check that these are right and that nothing else is billed."""
        ids = {reply.header("x-request-id") for reply in replies if reply.status == 200}
        await eventually(lambda: self.server.rows().keys() >= ids)
        assert {id_: rows for id_, rows in self.server.rows().items() if rows[0].cost} == {id_: [DOCUMENT] for id_ in ids}

    async def row(self, call: str) -> Row:
        """Wait for a call's row and return it."""
        await eventually(lambda: call in self.server.rows())
        [row] = self.server.rows()[call]
        return row


async def receipt(home: Running, call: str) -> bytes:
    """Return what the server says of a call now."""
    caller = await connect(home.server.port)
    head = f"GET /v1/usage/calls/{call} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {home.server.key}\r\nconnection: close\r\n\r\n"
    await caller.send(head.encode())
    reply = await caller.reply()
    caller.leave()
    return reply.body


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until another process has done something."""
    async with asyncio.timeout(SETTLED_SECONDS_MAX):
        while not true():  # noqa: ASYNC110  # another process is waited for
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    folder: Path, *program: str, script: Script = DOCUMENTS, on_disconnect: str = "cancel", **ledger: object
) -> AsyncGenerator[Running]:
    """Run a server in a folder, as `program` if that is another, with these settings of its vendor and its ledger."""
    vendor = ScriptedVendor(script)
    await vendor.listen()
    settings = {
        "server": {"drain_seconds": 0.5},
        "log": {"format": "json"},
        "ledger": ledger,
        "vendors": {"v": {"base_url": f"http://127.0.0.1:{vendor.port}/v1", "api_key": "k", "on_disconnect": on_disconnect}},
        "models": {"fast": MODEL, "impatient": {**MODEL, "idle_timeout_seconds": STOPPED_SECONDS / 2}},
    }
    home = Running(Server(folder, json.dumps(settings)), vendor, [])
    try:
        assert home.server.start(*program), home.server.log
        yield home
        assert "Traceback" not in home.server.log, home.server.log
    finally:
        home.server.end()
        for caller in home.callers:
            caller.leave()
        await vendor.close()


@contextmanager
def locked(server: Server) -> Generator[None]:
    """Hold the write lock of a server's database."""
    other = sqlite3.connect(server.folder / "data" / "aisa.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def failing(server: Server, what: str, how: str = "") -> Generator[None]:
    """Have a disk of a server that was started as CHILD fail."""
    (server.folder / what).write_text(how)
    try:
        yield
    finally:
        (server.folder / what).unlink()


def test_no_call_waits_for_a_locked_database_and_no_row_is_lost(tmp_path: Path) -> None:
    """[P8] Another program holds the write lock while calls go on; all are answered, and once it lets go all have their rows."""
    seconds = float(os.environ.get("AISA_LOCKED_SECONDS", LOCKED_SECONDS))

    async def main() -> None:
        async with running(tmp_path) as home:
            end = asyncio.get_running_loop().time() + seconds
            with locked(home.server):
                replies = await home.ask_until(lambda _: asyncio.get_running_loop().time() > end)
                assert home.server.rows() == {}
            assert {reply.status for reply in replies} == {200}
            await home.settled(replies)
            audit = await asyncio.to_thread(home.server.aisa, "ledger", "audit")
            assert audit.returncode == 0, audit.stdout + audit.stderr
            print(f"{len(replies)} calls in {seconds:g} s with a locked database, all answered and written down")

    on_uvloop(main())


async def refused_at_last(home: Running) -> list[Reply]:
    """Make calls until one is refused because the journal is full, and check that nobody was asked for it. Returns those before it."""
    before = len(home.vendor.asked)
    replies = await home.ask_until(lambda replies: replies[-1:] != [] and replies[-1].status != 200)
    served = [reply for reply in replies if reply.status == 200]
    assert len(served) >= SLOTS_MIN
    for reply in replies:
        if reply.status != 200:
            failure(reply, 503, "overloaded")
            assert 1 <= int(reply.header("retry-after") or 0) <= 60
    assert len(home.vendor.asked) == before + len(served)
    return served


def test_calls_beyond_those_that_may_wait_are_refused(tmp_path: Path) -> None:
    """[P8] Only once `calls_waiting_max` rows wait, and before a vendor is asked; as soon as they are written there is room again."""

    async def main() -> None:
        async with running(tmp_path, calls_waiting_max=SLOTS_MIN) as home:
            with locked(home.server):
                served = await refused_at_last(home)
                assert len(served) == SLOTS_MIN
            await eventually(lambda: len(home.server.rows()) == len(served))
            served.append(await home.ask())
            await home.settled(served)

    on_uvloop(main())


@contextmanager
def small_disk(folder: Path) -> Generator[bool]:
    """Mount a small disk in a new folder; False where we may not."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full(server: Server, *, mounted: bool) -> Generator[None]:
    """Fill a server's disk, or forbid it to make files longer."""
    if mounted:
        ballast = server.folder / "data" / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4_096))
        yield
        ballast.unlink()
    else:
        before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4_096, before[1]))
        yield
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_stops_new_calls_only_when_the_board_is_full(tmp_path: Path) -> None:
    """[P6] Rows wait in the journal, which has its room beforehand; then calls are refused, until there is space again."""

    async def main(*, mounted: bool) -> None:
        async with running(tmp_path) as home:
            first = await home.ask()
            await home.settled([first])
            with full(home.server, mounted=mounted):
                served = await refused_at_last(home)
                assert len(home.server.rows()) < len(served)
            await home.settled([first, *served])
            assert (await home.ask()).status == 200

    with small_disk(tmp_path / "data") as mounted:
        on_uvloop(main(mounted=mounted))


def test_a_database_that_fails_to_commit_loses_no_row(tmp_path: Path) -> None:
    """[P7] Calls are answered while no commit succeeds, and every row is written once when one does, whatever it failed for."""

    async def main() -> None:
        async with running(tmp_path, *CHILD) as home:
            served = [await home.ask()]
            for times, error in enumerate(["SQLITE_IOERR_FSYNC", "SQLITE_READONLY", "SQLITE_CANTOPEN"], 1):
                with failing(home.server, DATABASE_FAILS, error):
                    served += await home.ask_until(lambda _, times=times: home.server.log.count('"ledger_away"') == times)
                await home.settled(served)
            assert {reply.status for reply in served} == {200}
            assert home.server.end(signal.SIGTERM) == 0

    on_uvloop(main())


def test_a_server_stops_with_a_locked_database_and_the_next_one_has_the_rows(tmp_path: Path) -> None:
    """[P3] [P8] It leaves in the time that it may take and with status 0; what was not written is in the journal."""

    async def main() -> None:
        async with running(tmp_path, *CHILD) as home:
            with locked(home.server):
                served = [await home.ask() for _ in range(20)]
                began = asyncio.get_running_loop().time()
                assert await asyncio.to_thread(home.server.end, signal.SIGTERM) == 0
                took = asyncio.get_running_loop().time() - began
                assert took < WRITE_SECONDS_MAX + GIVE_UP_SECONDS_MAX + STOP_SECONDS_MAX
                assert '"calls_in_journal":20' in home.server.log
            assert home.server.rows() == {}
            home.server.restart()
            await home.settled(served)

    on_uvloop(main())


ENDLESS = says(SSE, framed(*text("a")), hang)


def in_two(gate: asyncio.Event) -> Script:
    """Answer with one token, and with another once the gate is open."""
    return says(SSE, framed(*text("a")), gate, framed(chunk({"content": "b"}), chunk({}, "stop"), DONE) + LAST)


async def one_token(home: Running, **fields: Any) -> tuple[Caller, str]:
    """Begin a stream and read its first token; returns the client and the call's id."""
    caller = await home.client(stream=True, **fields)
    await caller.until(b'"a"')
    return caller, bytes(caller.received).partition(b"x-request-id: ")[2].split(b"\r\n", 1)[0].decode()


def test_a_board_that_cannot_be_synced_takes_no_new_calls_and_ends_those_that_run(tmp_path: Path) -> None:
    """[P7] With `durability: disk` a call is refused before its vendor is asked; one that was opened is answered to its end."""
    gate = asyncio.Event()

    async def main() -> None:
        async with running(tmp_path, *CHILD, script=in_two(gate), durability="disk") as home:
            caller, call = await one_token(home)
            with failing(home.server, JOURNAL_FAILS):
                failure(await home.ask(), 503, "overloaded")
                gate.set()
                assert content_of(whole((await caller.reply()).body)) == "ab"
            assert len(home.vendor.asked) == 1
            rows = [await home.row(call), await home.row((await home.ask(stream=True)).header("x-request-id") or "")]
            assert [(row.outcome, row.tokens) for row in rows] == [("completed", 1)] * 2
            assert len(home.server.rows()) == 2

    on_uvloop(main())


@contextmanager
def syncs_failing(server: Server) -> Generator[None]:
    """Have the C library of a server that was started as INJECTED fail every sync of a file (EIO and its like, as libfiu draws)."""

    def control(order: str) -> None:
        orders = [option for name in ("fsync", "fdatasync") for option in ("-c", f"{order} name=posix/io/sync/{name}")]
        subprocess.run(["fiu-ctrl", "-f", str(server.folder / "fiu"), *orders, str(server.process.pid)], check=True)

    control("enable")
    try:
        yield
    finally:
        control("disable")


@pytest.mark.skipif(shutil.which("fiu-run") is None, reason="fiu-run is not installed (Debian: fiu-utils)")
def test_no_call_suffers_and_no_row_is_lost_when_the_systems_own_syncs_fail(tmp_path: Path) -> None:
    """[P7] The operating system's fsync fails under an unchanged server: calls go on, the operator is told, and the rows follow."""

    async def main() -> None:
        async with running(tmp_path, *INJECTED) as home:
            with syncs_failing(home.server):
                served = await home.ask_until(lambda _: '"ledger_away"' in home.server.log)
                served += [await home.ask() for _ in range(20)]
                assert home.server.rows() == {}
            assert {reply.status for reply in served} == {200}
            await home.settled(served)
            await eventually(lambda: '"ledger_back"' in home.server.log)
            audit = await asyncio.to_thread(home.server.aisa, "ledger", "audit")
            assert audit.returncode == 0, audit.stdout + audit.stderr

    on_uvloop(main())


@pytest.mark.skipif(shutil.which("fiu-run") is None, reason="fiu-run is not installed (Debian: fiu-utils)")
def test_with_durability_disk_no_call_begins_while_the_systems_own_syncs_fail(tmp_path: Path) -> None:
    """[P7] What cannot be made safe is refused with 503, before a vendor is asked; what was in flight ends as it would have."""

    async def main() -> None:
        gate = asyncio.Event()
        async with running(tmp_path, *INJECTED, script=in_two(gate), durability="disk") as home:
            caller, call = await one_token(home)
            with syncs_failing(home.server):
                failure(await home.ask(), 503, "overloaded")
                gate.set()
                assert content_of(whole((await caller.reply()).body)) == "ab"
            assert len(home.vendor.asked) == 1
            assert (await home.row(call)).outcome == "completed"
            again = await home.row((await home.ask(stream=True)).header("x-request-id") or "")
            assert (again.outcome, again.tokens) == ("completed", 1)

    on_uvloop(main())


def test_a_stream_that_a_stop_ends_is_billed_as_far_as_it_came(tmp_path: Path) -> None:
    """[P3] After `drain_seconds` its client gets an error event, and its row is written before the process leaves with status 0."""

    async def main() -> None:
        async with running(tmp_path, script=ENDLESS) as home:
            caller, call = await one_token(home)
            stopping = asyncio.create_task(asyncio.to_thread(home.server.end, signal.SIGTERM))
            broken((await caller.reply()).body, "overloaded")
            assert await stopping == 0
            row = await home.row(call)
            assert (row.outcome, row.tokens, row.cost > 2_000) == ("shut_down", 1, True)

    on_uvloop(main())


def test_a_stop_does_not_wait_for_what_is_read_on_for_nobody(tmp_path: Path) -> None:
    """[P3] Of a vendor with `on_disconnect: drain` the rest is let go when the server stops; what arrived is billed."""

    async def main() -> None:
        async with running(tmp_path, script=ENDLESS, on_disconnect="drain") as home:
            caller, call = await one_token(home)
            caller.reset()
            async with asyncio.timeout(SETTLED_SECONDS_MAX):
                while b'"client_gone"' not in await receipt(home, call):
                    pass  # the log line is written with the row, which is for when the vendor is done
            assert (home.vendor.open, home.server.rows()) == (1, {})
            assert await asyncio.to_thread(home.server.end, signal.SIGTERM) == 0
            row = await home.row(call)
            assert (row.outcome, row.tokens) == ("client_gone", 1)

    on_uvloop(main())


def test_a_process_that_stood_still_bills_what_its_clients_have(tmp_path: Path) -> None:
    """[P5] [P16] A stream goes on after a time shorter than its idle time-out; after a longer one it is cut, and billed as a cut one."""
    gate = asyncio.Event()

    async def main() -> None:
        async with running(tmp_path, script=in_two(gate)) as home:
            patient, whole_call = await one_token(home)
            impatient, cut_call = await one_token(home, model="impatient")
            home.server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STOPPED_SECONDS)
            home.server.process.send_signal(signal.SIGCONT)
            broken((await impatient.reply()).body, "upstream_timeout")
            gate.set()
            whole((await patient.reply()).body)
            rows = [await home.row(call) for call in (whole_call, cut_call)]
            assert [(row.outcome, row.tokens) for row in rows] == [("completed", 1), ("cut", 1)]

    on_uvloop(main())


def test_a_start_that_cannot_use_the_database_touches_neither_it_nor_the_board(tmp_path: Path) -> None:
    """[P9] It says so and leaves with status 2; once the database is back, the calls that a dead process left are billed."""
    path = tmp_path / "data" / "aisa.db"

    async def main() -> None:
        async with running(tmp_path, script=ENDLESS) as home:
            _, call = await one_token(home)
            home.server.end()
            assert sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
            good = path.read_bytes()
            damaged = bytes(100) + good[100:]
            sql(path, "UPDATE alembic_version SET version_num = '9999'")
            newer = path.read_bytes()
            for bad, what in ((damaged, "no SQLite database"), (newer, "a newer one made it")):
                path.write_bytes(bad)
                assert not home.server.start()
                assert home.server.ended() == 2
                assert what in " ".join(home.server.log.split())
                assert path.read_bytes() == bad
            path.write_bytes(good)
            home.server.restart()
            row = await home.row(call)
            assert (row.outcome, row.tokens) in {("crashed", 1), ("crashed", 0)}  # as the one write had been noted or not

    on_uvloop(main())


def sql(path: Path, statement: str) -> list[Any]:
    """Run one statement on a database that no server uses, and leave it in one file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(statement).fetchall()


def test_a_second_server_on_the_same_data_is_refused_and_changes_no_bill(tmp_path: Path) -> None:
    """[P10] It leaves with status 2 while the first one streams, and does not take its calls for those of a dead process."""
    gate = asyncio.Event()

    async def main() -> None:
        async with running(tmp_path, script=in_two(gate)) as home:
            caller, call = await one_token(home)
            second = Server(tmp_path, (tmp_path / "aisa.yaml").read_text())
            assert not second.start()
            assert second.ended() == 2
            assert home.server.rows() == {}
            gate.set()
            whole((await caller.reply()).body)
            row = await home.row(call)
            assert (row.outcome, row.tokens) == ("completed", 1)

    on_uvloop(main())


def test_a_server_without_descriptors_bills_only_what_it_served(tmp_path: Path) -> None:
    """[P15] Of more clients than it can open sockets for, some get nothing or an error, at no cost; all is well once there are fewer."""

    async def main() -> None:
        async with running(tmp_path) as home:
            replies = [await home.ask()]
            pid = home.server.process.pid
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 10, before[1]))
            callers = [await home.client() for _ in range(40)]
            for caller in callers:
                with suppress(EOFError, ConnectionError, TimeoutError):
                    async with asyncio.timeout(0.1):
                        replies.append(await caller.reply())
                caller.leave()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert len(replies) < len(callers)
            await eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 30)
            replies.append(await home.ask())
            assert replies[-1].status == 200
            await home.settled(replies)

    on_uvloop(main())


SOAK_SECONDS = 4.0  # `make soak` takes hours
SOAK_TOKENS = {"paced": PACED_CHUNKS, "burst": BURST_CHUNKS, "document": DOCUMENT_TOKENS}
Ended = tuple[str, str, bool]  # a call's model and id, and whether its client has all of it


async def call_at_random(server: Server, chance: random.Random) -> Ended | None:
    """Make a call of any kind and read all of it, or leave it somewhere in any way. None if its head was not read."""
    model = chance.choice(list(SOAK_TOKENS))
    caller = await connect(server.port)
    await caller.send(post(body(model=model, stream=model != "document"), key=server.key))
    stays = chance.random() < 0.5
    if stays:
        await caller.reply()
    else:
        patience_bytes = chance.choice([0, 300] if model == "document" else [0, 300, chance.randrange(10_000)])  # less than all of it
        while len(caller.received) < patience_bytes and await caller.read(16_384):
            pass
    chance.choice([Caller.leave, Caller.reset, Caller.half_close_and_leave])(caller)
    head, complete, _ = bytes(caller.received).partition(b"\r\n\r\n")
    return (model, head.partition(b"x-request-id: ")[2].split(b"\r\n")[0].decode(), stays) if complete else None


async def disturb(server: Server) -> None:
    """Lock the database for a while, stop the process for a moment, and lock the database again."""
    for _ in range(2):
        await asyncio.sleep(SOAK_SECONDS / 8)
        with locked(server):
            await asyncio.sleep(SOAK_SECONDS / 8)
        server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(SOAK_SECONDS / 16)
        server.process.send_signal(signal.SIGCONT)


async def balance_of(server: Server) -> Any:
    """Ask for the balance of the key's account."""
    caller = await connect(server.port)
    await caller.send(f"GET /v1/credits/balance HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {server.key}\r\n\r\n".encode())
    reply = await caller.reply()
    caller.leave()
    return reply.json


def test_a_mixed_load_with_faults_leaves_true_books_and_nothing_open(tmp_path: Path) -> None:
    """[P20] Calls of all kinds, whole and abandoned, while the host misbehaves: a right row each, no hold, no descriptor."""
    chance = random.Random(20_260_103)
    ended: list[Ended | None] = []

    async def work(server: Server, until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            ended.append(await call_at_random(server, chance))

    async def main() -> None:
        async with serving(tmp_path) as server:
            descriptors = Path(f"/proc/{server.process.pid}/fd")
            before = len(os.listdir(descriptors))
            end = asyncio.get_running_loop().time() + SOAK_SECONDS
            await asyncio.gather(disturb(server), *[work(server, end) for _ in range(WORKERS)])
            seen = [call for call in ended if call is not None]
            await eventually(lambda: server.rows().keys() >= {call for _, call, _ in seen})
            await eventually(lambda: len(os.listdir(descriptors)) <= before + WORKERS)  # connections to the vendor are kept
            rows = server.rows()
            for model, call, all_of_it in seen:
                [row] = rows[call]
                assert row.tokens == SOAK_TOKENS[model] if all_of_it else row.tokens <= SOAK_TOKENS[model], (model, row)
            assert {call for call, [row] in rows.items() if row.tokens} <= {call for _, call, _ in seen}
            balance = await balance_of(server)
            assert balance["available_balance_micros_usd"] == balance["account_balance_micros_usd"] < 1_000_000_000
            audit = await asyncio.to_thread(server.aisa, "ledger", "audit")
            assert audit.returncode == 0, audit.stdout + audit.stderr
            print(f"{len(ended)} calls, {sum(all_of_it for *_, all_of_it in seen)} read to their end")

    on_uvloop(main())
