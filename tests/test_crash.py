"""Deaths of the server: its ledger must hold what its clients counted, wherever it was killed. Times nothing.

`make crash` does the same hundreds of times.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import uvloop

from aisa.stopping import EXIT_IMPATIENT
from crash import GIVE_UP_SECONDS_MAX, Load, Server, Tally, rounds, serving
from crash_point import POINTS, RECOVERY_POINTS
from repeats import repeats

SEED = 20_260_102
KILLS = 12
#: How often the server dies at each named point; AISA_CRASHES=20 for a release.
CRASHES = int(os.environ.get("AISA_CRASHES", str(repeats(1))))
NUMBER_MAX = 30  # a server under load comes to each point more often in a second
LEFT_TOKEN = 500  # of a client: when it has read that many, all clients have calls in flight
LEFT_MAX = 3  # of these, so many at least
START_SECONDS = (0.2, 0.3, 0.4)  # after which a start is in its imports, in its recovery, or beginning to serve
CHILD = str(Path(__file__).with_name("crash_point.py"))


def test_a_server_killed_at_random_instants_bills_what_its_clients_have(tmp_path: Path) -> None:
    """[P1] [P5] One row a call, never more than the clients' own counts and at most a read less, whoever or whatever killed it."""
    tally, audit = uvloop.run(rounds(KILLS, SEED, tmp_path))
    assert tally.wrong == []
    assert len(tally.less) <= KILLS, tally.less  # a kill finds one call at most between a write and its note
    assert sum(tally.calls.values()) - tally.ended > KILLS, "calls were in flight"
    assert audit.returncode == 0, audit.stdout


async def die_serving(server: Server, point: str, chance: random.Random) -> Load:
    """Have a server die by itself at a point under load."""
    server.end()
    assert server.start(CHILD, point, str(chance.randrange(1, NUMBER_MAX))), server.log
    load = Load(server, chance)
    await load.run()
    assert await asyncio.to_thread(server.ended) == -signal.SIGKILL
    return load


async def load_in_flight(server: Server, chance: random.Random) -> tuple[Load, asyncio.Task[None]]:
    """Put a load on a server, and return when all clients have calls in flight."""
    load = Load(server, chance)
    load.fatal_token = LEFT_TOKEN
    clients = asyncio.create_task(load.run())
    await asyncio.wait_for(load.fatal.wait(), GIVE_UP_SECONDS_MAX)
    return load, clients


async def die_recovering(server: Server, point: str, chance: random.Random) -> Load:
    """Kill a server under load, and have the next one die by itself at a point before it serves."""
    load, clients = await load_in_flight(server, chance)
    server.end()
    await clients
    number = 1 if point == "recommitting" else chance.randrange(1, LEFT_MAX)
    assert not server.start(CHILD, point, str(number))
    assert server.ended() == -signal.SIGKILL
    return load


def test_a_death_at_any_named_point_is_settled_by_the_next_start(tmp_path: Path) -> None:
    """[P2] Before the vendor is asked, before [DONE], before and after the commit, and in a start: one row a call, nothing twice."""

    async def main() -> Tally:
        whole = Tally()
        async with serving(tmp_path, "disk") as server:
            known = server.rows()
            for point in (*POINTS, *RECOVERY_POINTS):
                tally = Tally()
                for number in range(CRASHES):
                    chance = random.Random(f"{SEED}-{point}-{number}")
                    load = await (die_serving if point in POINTS else die_recovering)(server, point, chance)
                    server.restart()
                    rows = server.rows()
                    tally.compare(load.seen, rows, known, f"{point} {number}")
                    known = rows
                print(f"{CRASHES} deaths, {POINTS.get(point) or RECOVERY_POINTS[point]}: {tally}")
                whole.wrong += tally.wrong
                whole.less += tally.less
            server.end()
            server.restart()
            whole.compare([], server.rows(), known, "started again")
        assert (audit := server.aisa("ledger", "audit")).returncode == 0, audit.stdout
        return whole

    tally = uvloop.run(main())
    assert tally.wrong == []
    assert len(tally.less) <= (len(POINTS) + len(RECOVERY_POINTS)) * CRASHES, tally.less


def test_an_operator_who_cannot_wait_loses_no_bill(tmp_path: Path) -> None:
    """[P4] A second SIGTERM ends the server at once, as does one while it starts; the next start bills what the clients have read."""

    async def main() -> Tally:
        tally = Tally()
        async with serving(tmp_path) as server:
            load, clients = await load_in_flight(server, random.Random(SEED))
            while server.process.poll() is None:  # another process is waited for, and two signals at once are one
                server.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.01)
            assert server.ended() == EXIT_IMPATIENT
            await clients
            for wait_seconds in START_SECONDS:
                starting = asyncio.create_task(asyncio.to_thread(server.start))
                await asyncio.sleep(wait_seconds)
                server.end(signal.SIGTERM)
                await starting
            server.restart()
            tally.compare(load.seen, server.rows(), {}, "stopped")
        assert server.aisa("ledger", "audit").returncode == 0
        return tally

    tally = uvloop.run(main())
    assert tally.wrong == []
    assert len(tally.less) <= 1, tally.less
