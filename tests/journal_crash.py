"""What a call in the journal can go through, at random from a seed: for a model, and for a process that is killed meanwhile. Not a test."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from aisa.ledger.journal import ATTEMPTS, CLOSING_BYTES_MAX, OPENING_BYTES_MAX, Journal, Slot

STEPS = 3_000
REPORT_BYTES = 4


class Step(NamedTuple):
    """One operation on one call. `tokens` counts for progress and ask, `record` for take, reopen, close and amend."""

    kind: str
    number: int
    tokens: int = 0
    record: bytes = b""


class Call(NamedTuple):
    """What the journal holds of one call."""

    opening: bytes
    progress: int
    closing: bytes | None
    attempts: int = 0


def steps_of(seed: int) -> list[Step]:
    """The operations of a run. Some runs have few calls at a time, some more than a segment holds."""
    chance = random.Random(seed)
    return list(random_steps(chance, crowd=chance.choice([1, 5, 100, 1_500])))


def random_steps(chance: random.Random, *, crowd: int) -> Iterator[Step]:
    """Operations on calls of which `crowd` are in the journal once it has filled."""
    opened: list[int] = []
    closed: list[int] = []
    told: set[int] = set()  # anew how they began: a death within the second time finds the first opening again
    for number in range(STEPS):
        live = len(opened) + len(closed)
        kind = chance.choice(["ask", "reopen", "progress", "close", "amend", "free"])
        if not live or (live < crowd and chance.random() < 0.6):
            opened.append(number)
            yield Step("take", number, record=record_of(chance, OPENING_BYTES_MAX))
        elif kind == "reopen" and (fresh := [call for call in opened if call not in told]):
            told.add(call := chance.choice(fresh))
            yield Step(kind, call, record=record_of(chance, OPENING_BYTES_MAX))
        elif kind in {"ask", "progress", "close"} and opened:
            call = opened.pop(chance.randrange(len(opened)))
            (closed if kind == "close" else opened).append(call)
            yield Step(kind, call, chance.getrandbits(64), record_of(chance, CLOSING_BYTES_MAX))
        elif kind == "amend" and closed:
            yield Step(kind, chance.choice(closed), record=record_of(chance, CLOSING_BYTES_MAX))
        else:
            calls = chance.choice([calls for calls in (opened, closed) if calls])
            yield Step("free", calls.pop(chance.randrange(len(calls))))


def record_of(chance: random.Random, size_max: int) -> bytes:
    """A record that was never written before; mostly short, as real ones are."""
    return chance.randbytes(chance.choice([16, 500, size_max]))


def model_of(steps: Iterable[Step]) -> list[Call]:
    """What the journal must hold after these operations, in a stable order."""
    calls: dict[int, Call] = {}
    first: dict[int, bytes] = {}
    for kind, number, tokens, record in steps:
        if kind == "take":
            first[number] = record
            calls[number] = Call(record, 0, None)
        elif kind == "progress":
            calls[number] = calls[number]._replace(progress=tokens)
        elif kind == "ask":
            calls[number] = calls[number]._replace(attempts=tokens)
        elif kind == "reopen":
            calls[number] = calls[number]._replace(opening=record)
        elif kind == "free":
            del calls[number]
        else:
            calls[number] = calls[number]._replace(opening=first[number], closing=record)  # which has all of the new opening
    return sorted(calls.values(), key=lambda call: call.opening)


def found_in(journal: Journal) -> list[Call]:
    """What a journal holds, in the order of `model_of`."""
    return sorted((Call(*found[1:]) for found in journal.found()), key=lambda call: call.opening)


def perform(journal: Journal, slots: dict[int, Slot], step: Step) -> None:
    """Do one operation on a real journal."""
    kind, number, tokens, record = step
    if kind == "take":
        slots[number] = journal.take(record)
    elif kind == "progress":
        slot = slots[number]
        slot.words[slot.at] = tokens
    elif kind == "ask":
        slot = slots[number]
        slot.words[slot.at + ATTEMPTS] = tokens
    elif kind == "reopen":
        slots[number].reopen(record)
    elif kind == "close":
        slots[number].close(record)
    elif kind == "amend":
        slots[number].amend(record)
    else:
        slots.pop(number).free()


def main(path: str, seed: str) -> None:
    """Do everything at full speed, telling after each operation how many were done; then wait to be killed."""
    journal, slots = Journal.open(Path(path), slots_max=10_000), dict[int, Slot]()
    steps = steps_of(int(seed))
    for done, step in enumerate(steps, 1):
        perform(journal, slots, step)
        os.write(1, done.to_bytes(REPORT_BYTES, "big"))
    os.read(0, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
