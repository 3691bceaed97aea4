"""Calls a second of one, two and four workers, where the machine has cores for them: a closed loop from processes of their own.

One client's process and one fake vendor's serve two workers, as each takes a fraction of a worker's time for a call; the table says how
much of a core they took, so that a reader sees whether the workers were what was slow. As a program this is such a client.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, this folder's siblings are not importable otherwise

from benchmarks.calls import CALL_MODEL, CallChannel, request
from benchmarks.load import BenchFailed, Load, connect
from benchmarks.machine import cores, cpu_seconds, unpinned
from benchmarks.plan import CALL_CONNECTIONS, RATE_WORKERS, Plan
from benchmarks.report import Row, Table, ratios, spread
from benchmarks.subjects import Running, Subject, aisa, fake_vendor, started

WORKERS_A_CLIENT = 2
CLIENT_START_SECONDS = 1.5  # for its interpreter and its connections, ahead of the warm-up
CLIENT_SECONDS_MAX = 60.0  # beyond the round
COLUMNS = (("way", 0), ("calls/s", 0), ("x 1 process", 2), ("us CPU / call", 2), ("cores", 2), ("clients' cores", 2), ("vendors' cores", 2))


class Rate(NamedTuple):
    """Calls a second, and how many cores were busy: the server's, the clients', the vendors'."""

    calls: float
    server: float
    clients: float
    vendors: float


def rates(plan: Plan, folder: Path, settings: Mapping[str, Any]) -> Table:
    """Return the rates of servers with these settings, or a table that says why there are none. Raises BenchFailed."""
    title = f"Calls a second of {', '.join(map(str, RATE_WORKERS[:-1]))} and {RATE_WORKERS[-1]} workers"
    if cores() < plan.rate_cores:
        how = f"Not measured: this machine has {cores()} cores for the bench, and {plan.rate_cores} are needed."
        return Table("rates", title, how, COLUMNS, ())
    found: dict[int, list[Rate]] = {number: [] for number in RATE_WORKERS}
    with ExitStack() as stack:
        vendors = [stack.enter_context(fake_vendor()) for _ in range(clients_of(max(RATE_WORKERS)))]
        stack.enter_context(unpinned(*[pid for _, pid in vendors]))
        made = [subject(number, folder, [port for port, _ in vendors], settings) for number in RATE_WORKERS]
        running = [stack.enter_context(started(each, alone=False)) for each in made]
        for turn in range(plan.rounds):
            for place in range(len(running)) if turn % 2 else reversed(range(len(running))):
                number = RATE_WORKERS[place]
                models = [model_at(each) for each in range(clients_of(number))]
                found[number].append(one_round(running[place], number, [pid for _, pid in vendors], plan=plan, models=models))
    rows: list[Row] = []
    one = [each.calls for each in found[RATE_WORKERS[0]]]
    for number, rounds in found.items():
        calls = [each.calls for each in rounds]
        cost = spread([each.server / each.calls * 1e6 for each in rounds])
        busy = [spread([each[place] for each in rounds]).median for place in (1, 2, 3)]
        rows.append((f"{number} workers" if number > 1 else "1 process", spread(calls), ratios(calls, one), cost, *busy))
    how = (
        f"Closed loop, {CALL_CONNECTIONS} keep-alive connections for each worker with non-streamed calls, from a process for every "
        f"{WORKERS_A_CLIENT} workers, to as many fake vendors; {plan.rounds} interleaved rounds of {plan.call_seconds:g} s, nothing "
        f"pinned, limits of all kinds, {cores()} cores. A client or vendor near a whole core for each of its processes was what was slow."
    )
    return Table("rates", title, how, COLUMNS, tuple(rows))


def clients_of(workers: int) -> int:
    """Return how many client processes, and vendors, so many workers get."""
    return -(-workers // WORKERS_A_CLIENT)


def model_at(place: int) -> str:
    """Return what the model of the vendor at a place is called."""
    return CALL_MODEL if place == 0 else f"{CALL_MODEL}-{place}"


def subject(workers: int, folder: Path, ports: Sequence[int], settings: Mapping[str, Any]) -> Subject:
    """Return a server of so many workers in front of vendors at these ports. Raises BenchFailed."""
    own = folder / f"rates-{workers}"
    own.mkdir()
    made = aisa(own, ports[0], [CALL_MODEL], settings={**settings, "server": {"workers": workers}})
    if isinstance(made, str):
        raise BenchFailed(made)
    file = own / "aisa.yaml"
    config = yaml.safe_load(file.read_text())
    vendor, model = config["vendors"]["local"], config["models"][CALL_MODEL]
    config["vendors"] = {f"local-{place}": {**vendor, "base_url": f"http://127.0.0.1:{port}/v1"} for place, port in enumerate(ports)}
    config["models"] = {model_at(place): {**model, "to": [f"local-{place}/{CALL_MODEL}"]} for place in range(len(ports))}
    file.write_text(yaml.safe_dump(config))
    return replace(made, name=f"{workers} workers")


def one_round(running: Running, workers: int, vendors: Sequence[int], *, plan: Plan, models: Sequence[str]) -> Rate:
    """Load a server of so many workers from a process for each model, which all begin to count at the same moment. Raises BenchFailed."""
    count = len(models)
    begins = time.perf_counter() + CLIENT_START_SECONDS + plan.warm_up_seconds
    asked = [running.subject.port, running.subject.key, CALL_CONNECTIONS * workers // count, begins, plan.call_seconds]
    command = [sys.executable, __file__, *map(str, asked)]
    clients = [subprocess.Popen([*command, model], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for model in models]
    try:
        time.sleep(max(0.0, begins - time.perf_counter()))
        before = cpu_seconds(running.pids), cpu_seconds(vendors)
        time.sleep(plan.call_seconds)
        server, vendor = cpu_seconds(running.pids) - before[0], cpu_seconds(vendors) - before[1]
        said = [client.communicate(timeout=CLIENT_SECONDS_MAX) for client in clients]
    finally:
        for client in clients:
            client.kill()
    for (_, trouble), client in zip(said, clients, strict=True):
        if client.returncode:
            raise BenchFailed(f"{running.subject.name}: {trouble.strip()}\n{running.subject.log_tail()}")
    figures = [json.loads(out) for out, _ in said]
    calls, used = (sum(each[place] for each in figures) for place in (0, 1))
    return Rate(calls, server / plan.call_seconds, used, vendor / plan.call_seconds)


async def client(port: int, asked: bytes, connections: int, *, begins: float, seconds: float) -> tuple[float, float]:
    """Keep connections busy until a moment of the performance counter and so long after it.

    Returns the calls a second and how much of a core they took here. Raises BenchFailed.
    """
    load = Load(await connect(lambda: CallChannel(asked), port, connections))
    await load.closed(max(0.0, begins - time.perf_counter()))
    used, began = time.process_time(), time.perf_counter()
    rate = await load.closed(seconds)
    busy = (time.process_time() - used) / (time.perf_counter() - began)
    load.leave()
    return rate, busy


def main() -> int:
    """Run as a client: port, key, connections, when it begins to count, for how many seconds, and the model."""
    port, key, connections, begins, seconds, model = sys.argv[1:]
    gc.disable()
    try:
        told = uvloop.run(client(int(port), request(model, key=key), int(connections), begins=float(begins), seconds=float(seconds)))
    except BenchFailed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
