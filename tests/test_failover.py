"""Stores that fail over to a replica or are slow, as servers on them and their clients see it: real stores, one address that moves.

The address is a link to the socket of whoever is the primary, as a name or a virtual address would be.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from admission_contract import World, key_of
from aisa.admission.rules import MICROS
from aisa.admission.store import StoreAdmission, opener_of
from aisa.admission.store_way import Mode, StoreWay
from aisa.clock import system_chance
from aisa.config.limits import Limits, Tier
from aisa.storage.postgres_script import PostgresScript
from aisa.storage.unanswered import LOOKS_MAX, StoreAway
from aisa.usage import Usage
from limits_rig import KINDS, LimitsStore, limits_store
from ports import free_port
from postgres_rig import needs_postgres, postgres_server
from test_store_admission import PATIENT, Heard
from test_stores_serving import servers
from test_workers import ask, audited, connection, control, until
from valkey_rig import store_server
from vendor import ScriptedVendor

LIMITS = Limits(default_tier="t", tiers={"t": Tier(rpm=6)}, window_seconds=20.0)
SOCKET = ".s.PGSQL.5432"  # PostgreSQL's, in a folder


@pytest.fixture
def address() -> Iterator[Path]:
    """A name for a socket that is short enough to be one."""
    with tempfile.TemporaryDirectory(prefix="aisa-") as folder:
        yield Path(folder) / "at"


def point(address: Path, to: Path) -> None:
    """Let an address mean another server from now on."""
    fresh = address.with_name("next")
    fresh.symlink_to(to)
    fresh.replace(address)


@needs_postgres
def test_a_standby_that_takes_over_has_every_call_once(address: Path, tmp_path: Path) -> None:
    """[issue 13] The primary is killed, its synchronous standby promoted: what was served in between is in it once, and wallets agree."""
    with ExitStack() as stack:
        vendor, primary = stack.enter_context(ScriptedVendor()), stack.enter_context(postgres_server())
        name = primary.fresh().partition("?")[0].rpartition("/")[2]
        standby = stack.enter_context(postgres_server(primary))
        primary.sql(f"postgresql://aisa@/{name}?host={primary.folder}", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql(f"postgresql://aisa@/{name}?host={primary.folder}", "SELECT pg_reload_conf()")
        point(address, primary.folder)
        database = f"postgresql://aisa@/{name}?host={address}"
        (server,) = stack.enter_context(servers(tmp_path, 1, vendor, database))
        client = stack.enter_context(closing(connection(server)))
        free, paying = (control(server, "/keys", label=label, account=label)["secret"] for label in ("free", "paying"))
        control(server, "/accounts/paying/top-up", amount="1")
        good = sum(ask(client, key, "priced", max_tokens=20)[0] == 200 for key in (free, paying, paying))
        primary.kill()
        until(lambda: "THE DATABASE IS AWAY" in server.log, "nobody notices")
        point(address, standby.folder)  # which takes no writes yet
        for _ in range(5):
            good += ask(client, free)[0] == 200
            assert ask(client, paying, "priced", max_tokens=20)[0] == 503
        assert good == 8
        standby.promote()
        until(lambda: ask(client, paying, "priced", max_tokens=20)[0] == 200, "the wallet is not known again")
        at_standby = f"postgresql://aisa@/{name}?host={standby.folder}"
        until(lambda: standby.sql(at_standby, "select count(*) from calls where cost >= 0") == "9\n", "not all is written")
        assert standby.sql(at_standby, "select count(distinct id) from calls") == "9\n"
        audited(server)


class Replicated:
    """A store of limits with a replica, at an address."""

    def __init__(self, stack: ExitStack, kind: str, address: Path) -> None:
        """Start both, for as long as the stack is open."""
        self._address = address
        if kind == "postgres":
            self._postgres = [stack.enter_context(postgres_server())]
            self.url = self._postgres[0].fresh().partition("?")[0] + f"?host={address}"
            self._postgres.append(stack.enter_context(postgres_server(self._postgres[0])))
            point(address, self._postgres[0].folder)
        else:
            port = free_port()
            self._valkey = [stack.enter_context(store_server(*more, kind=kind)) for more in (("--port", str(port)), ())]
            self.url = f"unix://{address}"
            point(address, self._valkey[0].path)
            self._valkey[1].ask("REPLICAOF", "127.0.0.1", str(port))

    def fail_over(self) -> None:
        """Kill the primary, and let the replica be one and be found at the address."""
        if hasattr(self, "_postgres"):
            self._postgres[0].kill()
            point(self._address, self._postgres[1].folder)
            self._postgres[1].promote()
        else:
            self._valkey[0].ask("WAIT", "1", "0")  # or it would have nothing yet, as in the tests of one that comes back empty
            self._valkey[0].kill()
            point(self._address, self._valkey[1].path)
            self._valkey[1].ask("REPLICAOF", "NO", "ONE")


async def world_on(url: str, heard: Heard, *, looks_max: int = PATIENT) -> tuple[World, StoreWay]:
    """One server's admission, and its way to the store."""
    way = StoreWay(opener_of(url), round(LIMITS.window_seconds * MICROS), chance=system_chance(), report=heard.append)
    way.looks_max = looks_max
    await way.start()
    admission = StoreAdmission(LIMITS, {}, way, wall_clock=lambda: 1_800_000_000.0)
    return World(None, admission, {"one": key_of("one")}), way  # type: ignore[arg-type]  # nothing here waits on a stage


@pytest.mark.parametrize("kind", KINDS)
def test_a_replica_that_takes_over_the_limits_lets_nobody_in_twice(kind: str, address: Path) -> None:
    """[issue 13] What this server let in counts on, whether the replica has it or nothing, and is told to it; whoever starts asks it."""

    async def main(store: Replicated) -> None:
        heard = Heard()
        world, way = await world_on(store.url, heard)
        for _ in range(4):
            (await world.call()).release(Usage())
        store.fail_over()
        await heard.until("is back")
        for _ in range(2):
            (await world.call()).release(Usage())
        assert (await world.refused()).should_retry is True
        assert await way.renew()  # behind what it was told
        other, its_way = await world_on(store.url, heard)
        assert its_way.mode is Mode.STORE
        await other.tried()
        assert other.told()["remaining"] == (3 if kind == "postgres" else 0)  # tables that are not logged are in no standby
        for each in (way, its_way):
            await each.stop()

    with ExitStack() as stack:
        asyncio.run(main(Replicated(stack, kind, address)))


class SlowWay:
    """Listens at an address and passes on to a socket, and back, what comes `seconds` later."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._ends: list[asyncio.StreamWriter] = []
        self.seconds = 0.0

    async def come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        there, back = await asyncio.open_unix_connection(self._socket)
        self._ends += writer, back
        await asyncio.gather(self._passed(reader, back), self._passed(there, writer), return_exceptions=True)

    async def _passed(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            asyncio.get_running_loop().call_later(self.seconds, target.write, data)
        target.close()

    async def end(self) -> None:
        """Close everything."""
        for writer in self._ends:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._ends), return_exceptions=True)


@pytest.mark.parametrize("patience", [PATIENT, LOOKS_MAX], ids=["waited for", "too slow"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_store_decides_while_it_is_waited_for_and_is_away_beyond_that(kind: str, patience: int, address: Path) -> None:
    """[issue 13] Its answers are 0.6 s late: for whoever had that patience it decides; with ours no call waits for it, shares count."""

    async def main(store: LimitsStore) -> None:
        socket, listening, url = at_address(store.url, address)
        slow = SlowWay(socket)
        async with await asyncio.start_unix_server(slow.come, listening):
            world, way = await world_on(url, Heard(), looks_max=patience)
            (await world.call()).release(Usage())
            slow.seconds = 0.3
            (await world.call()).release(Usage())
            assert way.mode is (Mode.STORE if patience == PATIENT else Mode.SHARE)
            await way.stop()
            await slow.end()

    with limits_store(kind) as store:
        asyncio.run(main(store))


def at_address(url: str, address: Path) -> tuple[str, str, str]:
    """Return the path of a store's socket, that of one at another address, and the store's URL by that; a PostgreSQL's is a folder."""
    path = urlsplit(url).path
    if not url.startswith("postgresql:"):
        return path, str(address), f"unix://{address}"
    address.mkdir()
    before, _, folder = url.partition("?host=")
    return f"{folder}/{SOCKET}", f"{address}/{SOCKET}", f"{before}?host={address}"


@needs_postgres
@pytest.mark.parametrize("workers", [1, 2])
def test_no_call_waits_for_a_database_that_hangs(workers: int, tmp_path: Path) -> None:
    """[issue 13] Connections stand and nothing answers: keys without wallet go on, others get 503, and all of it is written afterwards.

    Another configuration is taken meanwhile: it may be the one that helps.
    """
    with ScriptedVendor() as vendor, postgres_server() as postgres:
        database = postgres.fresh()
        with servers(tmp_path, 1, vendor, database, workers=workers) as (server,), closing(connection(server)) as client:
            free, paying = (control(server, "/keys", label=label, account=label)["secret"] for label in ("free", "paying"))
            control(server, "/accounts/paying/top-up", amount="1")
            good = sum(ask(client, key, "priced", max_tokens=20)[0] == 200 for key in (free, paying))
            postgres.pause()
            statuses = []
            while 503 not in statuses:  # for a second it may spend what it was allotted
                statuses.append(ask(client, paying, "priced", max_tokens=20)[0])
            assert set(statuses) <= {200, 503}
            configuration = server.folder / "aisa.yaml"
            configuration.write_text(configuration.read_text() + "log: {client_address: none}\n")
            with pytest.raises(subprocess.CalledProcessError) as told:
                server.aisa("reload")  # the record of it needs the database, the configuration does not
            assert "It is done, but" in told.value.stderr
            until(lambda: '"changed":["log.client_address"]' in server.log, "it is not reloaded")
            good += statuses.count(200) + sum(ask(client, free)[0] == 200 for _ in range(3))
            postgres.go_on()
            until(lambda: ask(client, paying, "priced", max_tokens=20)[0] == 200, "the wallet is not known again")
            until(lambda: postgres.sql(database, "select count(*) from calls where cost >= 0") == f"{good + 1}\n", "not all is written")
            assert good >= 5
            audited(server)


class Late:
    """A session of PostgreSQL whose answer comes when it is told to."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[list[tuple[list[str]]]] = asyncio.get_running_loop().create_future()

    async def fetch(self, _query: str, *_parameters: str) -> list[tuple[list[str]]]:
        """Wait for it."""
        return await self.answer

    async def execute(self, _query: str) -> str:
        """Nothing is to be done."""
        return ""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Nothing has one."""
        return nullcontext()

    def terminate(self) -> None:
        """It is told otherwise."""

    def add_termination_listener(self, callback: Callable[[object], None]) -> None:
        """Nobody ends it but us."""


def test_an_answer_that_comes_as_a_connection_is_given_up_answers_nobody() -> None:
    """[fault S6] The questions were gone, and the task that had asked for them ended with an IndexError that nobody looked at."""

    async def main() -> None:
        session = Late()
        script = PostgresScript(session, "v")
        asked = script.run(["a", "b"], ["begin"])
        [work] = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.sleep(0)
        script.give_up()
        session.answer.set_result([(["1"],)])
        with pytest.raises(StoreAway):
            await asked
        await asyncio.wait([work])
        assert work.exception() is None

    asyncio.run(main())
