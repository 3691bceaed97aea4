"""One process of several whose streams take tokens of one limit step by step in real time, and what such processes saw. Not a test.

Run with the limit, then `shared`, a descriptor of memory, the file of its lock and a worker's number; or `store`, its address and a number.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from admission_contract import Stage, World, key_of
from aisa.admission.rules import MICROS, STEP_TOKENS
from aisa.admission.shared import SharedAdmission
from aisa.admission.store import StoreAdmission, opener_of
from aisa.admission.store_way import StoreWay
from aisa.clock import monotonic_micros, wall_clock
from aisa.config.limits import Limits, Tier
from aisa.errors import ApiError
from aisa.storage.shared_memory import SharedLock, SharedMemory
from aisa.usage import Usage
from window_log import least_at_a_refusal, most_in_a_window

PROGRAM = Path(__file__)
PROCESSES, STREAMS = 4, 8
TPM = 300_000
INPUT_TOKENS = 20
SECONDS_MAX = 45.0  # of one process: some ten times what it takes
PROCESS_SECONDS_MAX = 120.0
PATIENT = 400  # looks of 50 ms: however busy the machine is, the store is not taken for away


class Log:
    """What one process saw: what it took, what of that was used, and what was refused, each with the two moments between which it was."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.lines: list[str] = []

    async def client(self, ends: int) -> None:
        """Make streams until one of them, or of their steps, is refused."""
        while (began := monotonic_micros()) < ends:
            try:
                lease = await self._world.call(input_tokens=INPUT_TOKENS, stream=True)
            except ApiError as error:
                if self._refused(error, began, INPUT_TOKENS + STEP_TOKENS):
                    return
                continue
            taken = [(began, monotonic_micros(), INPUT_TOKENS + lease.covered)]
            sent, whole, refused = 0, self._chance.randrange(4_000, 12_000), False
            while sent < whole and not refused:
                sent += self._chance.randrange(1, 64)
                if (needed := sent - lease.covered) > 0:
                    before, began = lease.covered, monotonic_micros()
                    try:
                        if (waiting := lease.cover(sent)) is not None:
                            await waiting
                    except ApiError as error:
                        refused = self._refused(error, began, needed)
                        sent = lease.covered
                        break
                    taken.append((began, monotonic_micros(), lease.covered - before))
                    await asyncio.sleep(self._chance.random() / 500)
            unused = lease.covered - sent
            lease.release(Usage(INPUT_TOKENS, sent))
            self.lines += (f"took {begin} {end} {tokens}" for begin, end, tokens in taken)
            for begin, end, tokens in reversed(taken):  # it is given back where it was taken, of the last step first
                back = min(unused, tokens)
                unused -= back
                self.lines.append(f"used {begin} {end} {tokens - back}")
            if refused:
                return

    def _refused(self, error: ApiError, began: int, needed: int) -> bool:
        """Note a refusal; what could not be looked up is none."""
        if error.code == "rate_limit_exceeded":
            self.lines.append(f"refused {began} {monotonic_micros()} {needed}")
        return error.code == "rate_limit_exceeded"


def tokens_hold(commands: Sequence[Sequence[str]], descriptors: Sequence[int] = ()) -> None:
    """Run such processes and see that no window had more tokens than the limit, and that whoever was refused lacked less than a step."""
    program, environment = [sys.executable, str(PROGRAM), str(TPM)], os.environ | {"PYTHONPATH": str(PROGRAM.parent.parent / "src")}
    processes = [
        subprocess.Popen([*program, *command], env=environment, pass_fds=descriptors, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    shown = [process.communicate(timeout=PROCESS_SECONDS_MAX)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    seen: dict[str, list[tuple[int, int, int]]] = {"took": [], "used": [], "refused": []}
    for line in "".join(shown).splitlines():
        what, begin, end, tokens = line.split()
        seen[what].append((int(begin), int(end), int(tokens)))
    span = 60 * MICROS
    assert most_in_a_window(seen["used"], span) <= TPM
    assert least_at_a_refusal(seen["took"], seen["refused"], span) > TPM
    assert any(tokens < INPUT_TOKENS + STEP_TOKENS for *_, tokens in seen["refused"]), "no stream was ended"


async def main() -> None:
    """Hammer, and print what was seen."""
    tpm, kind, *where = sys.argv[1:]
    limits, chance = Limits(default_tier="t", tiers={"t": Tier(tpm=int(tpm))}), random.Random(where[-1])
    way = None
    if kind == "shared":
        memory = SharedMemory(int(where[0]), SharedLock(Path(where[1])), int(where[2]))
        admission: SharedAdmission | StoreAdmission = SharedAdmission(limits, {}, memory, wall_clock=wall_clock)
    else:
        way = StoreWay(opener_of(where[0]), 60 * MICROS, chance=chance, report=print)
        way.looks_max = PATIENT
        await way.start()
        admission = StoreAdmission(limits, {}, way, wall_clock=wall_clock)
    log = Log(World(cast("Stage", None), admission, {"one": key_of("one")}), chance)  # which waits in real time
    ends = monotonic_micros() + round(SECONDS_MAX * MICROS)
    await asyncio.gather(*[log.client(ends) for _ in range(STREAMS)])
    if way is not None:
        await way.stop()
    print("\n".join(log.lines))


if __name__ == "__main__":
    asyncio.run(main())
