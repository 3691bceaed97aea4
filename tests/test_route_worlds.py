"""Whole worlds of routed calls, each from one seed, in virtual time: targets refuse, stall, lie and break in the middle, and recover.

Every call goes through the real path. What a target says carries the number of the attempt, so a client's bytes show whose they are.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.config.route import Route
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.health import BENCH_SECONDS_MAX
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.providers.port import UpstreamRequest
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.testing.upstream import ScriptedAnswer
from repeats import repeats
from rig import (
    DONE,
    OPENING,
    Break,
    MemoryClient,
    Rig,
    Script,
    ScriptedUpstream,
    Stall,
    body,
    chunk,
    content_of,
    document,
    event,
    events_of,
    text,
    usage,
    whole_stream,
)

WORLDS = max(4, repeats(4))
SECONDS = 1_100.0  # of a world
TROUBLE_SECONDS = (20.0, 80.0)  # how long a target is in one kind of trouble
WELL_AGAIN = 400.0  # from here on all are well
SILENCE_SECONDS = 60.0  # after which a call that asked before gives up a target, which is benched then
HEALED_SECONDS = 250.0  # of the end, in which nobody is benched any more
WALLET = 10**15
Step = bytes | Stall | Break


def says(word: str, tokens: int) -> list[Step]:
    """A good stream of so many words, each with the attempt's own mark, with a breath between."""
    parts = whole_stream(*[f" {word}"] * tokens)
    return [step for part in parts for step in (part, Stall(0.05))]


#: A kind of trouble -> what a target says then, given the mark of the attempt. All of it fails before the first piece.
EARLY: dict[str, Callable[[str], Script]] = {
    "500": lambda _: Script([b"{}"], status=500),
    "overloaded": lambda _: Script([b'{"error": {"type": "overloaded_error"}}'], status=529),
    "limited": lambda _: Script([b"{}"], status=429, headers={"retry-after": "17"}),
    "bad key": lambda _: Script([b'{"error": {"code": "invalid_api_key"}}'], status=401),
    "no credit": lambda _: Script([b'{"error": {"code": "insufficient_quota"}}'], status=429),
    "unreachable": lambda _: Script(refuses=True),
    "stale": lambda _: Script(stale=True),
    "silent": lambda _: Script([Stall()]),
    "opens and is silent": lambda _: Script([chunk(OPENING), b": alive\n\n", Stall()]),
    "opens and breaks off": lambda _: Script([chunk(OPENING), Break()]),
    "ends at once": lambda _: Script([]),
    "is done with nothing": lambda _: Script([DONE]),
    "an error as a 200": lambda _: Script([event({"error": {"message": "x", "type": "server_error"}}), DONE]),
    "no JSON": lambda _: Script([b"data: {oops\n\n", DONE]),
}
#: The same of what breaks behind the first piece.
LATE: dict[str, Callable[[str], Script]] = {
    "breaks": lambda word: Script([*text(f" {word}", f" {word}"), Break()]),
    "falls silent": lambda word: Script([*text(f" {word}"), Stall()]),
    "fails": lambda word: Script([*text(f" {word}"), event({"error": {"message": "x", "type": "server_error"}})]),
    "just ends": lambda word: Script([*text(f" {word}")]),
}
#: Answers that are complete, and whose reports are not true.
LIES: dict[str, Callable[[str], Script]] = {
    "reports millions": lambda word: Script([*text(f" {word}"), chunk({}, "stop"), usage(10**9, 10**9), DONE]),
    "reports nothing made": lambda word: Script([*text(f" {word}"), chunk({}, "stop"), usage(9, 0), DONE]),
    "reports nothing": lambda word: Script([*text(f" {word}"), chunk({}, "stop"), DONE]),
}


@dataclass
class Asked:
    """One attempt: by which call, at which target, when, and what the target did."""

    call: int
    target: str
    at: float
    kind: str
    mark: str
    tokens: int = 0


@dataclass
class Seen:
    """One call, its attempts, and what its client got."""

    number: int
    client: MemoryClient
    stream: bool
    asked: list[Asked] = field(default_factory=list)
    first_piece_asked: int | None = None  # how many attempts there had been when the first text left


class Watching(MemoryClient):
    """A client that notes how many attempts its call had made when the first text came."""

    seen: Seen

    def write(self, data: bytes) -> int:
        """Take body bytes."""
        if self.seen.first_piece_asked is None and (b"#" in data):
            self.seen.first_piece_asked = len(self.seen.asked)
        return super().write(data)


class Moody(ScriptedUpstream):
    """A target that is in one kind of trouble after the other; between them, and from WELL_AGAIN on, it is well."""

    def __init__(self, name: str, world: World, troubles: Sequence[tuple[float, float, str]]) -> None:
        super().__init__(Script())
        self.name, self.world, self.troubles = name, world, troubles

    async def ask(self, request: UpstreamRequest) -> ScriptedAnswer:
        """Answer as it is in the mood to."""
        now = asyncio.get_running_loop().time()
        seen = self.world.running[asyncio.current_task()]
        kind = next((kind for begin, end, kind in self.troubles if begin <= now < end), "well")
        asked = Asked(seen.number, self.name, now, kind, f"#{seen.number}.{len(seen.asked)}")
        seen.asked.append(asked)
        self._scripts = [self.script(asked, stream=seen.stream)]
        return await super().ask(request)

    def script(self, asked: Asked, *, stream: bool) -> Script:
        """Return what it says to one attempt."""
        if asked.kind == "well":
            asked.tokens = 1 + asked.call % 5
            delay = Stall(self.world.chance.choice([0.01, 0.3, 1]))
            return Script([delay, *says(asked.mark, asked.tokens)] if stream else [delay, document(f" {asked.mark}")])
        if not stream and asked.kind in (*LATE, *LIES):
            return Script([b'{"choices"', Break()])
        return {**EARLY, **LATE, **LIES}[asked.kind](asked.mark)


class World:
    """Targets, a route and calls, from one seed; in one kind of `trouble` if given. `steady` is always well, so that no call need fail."""

    def __init__(self, seed: int, trouble: str = "") -> None:
        self.chance = chance = random.Random(seed)
        self.names = list("abcd"[: chance.randint(2, 4)])
        self.steady = self.names[-1]  # so that in order, too, the others are asked
        late = itertools.chain(LATE, LIES)
        kinds = [trouble] if trouble else [*itertools.chain(*zip(EARLY, late, strict=False)), *list(EARLY)[len(LATE) + len(LIES) :]]
        self.kinds = itertools.cycle(kinds[(place + 7 * seed) % len(kinds)] for place in range(len(kinds)))
        self.weights = {name: chance.choice([1, 1, 2, 5]) for name in self.names}
        self.route = Route(
            by=chance.choice([None, "weights", "load", "latency", "cost", "order"]),
            affinity=chance.choice(["none", "none", "prompt"]),
            first_token_seconds=chance.choice([None, 2, 5]),
            retries=chance.choice([0, 2]),
        )
        self.prices = {name: Prices(input=place, output=10 * place) for place, name in enumerate(self.names, 1)}
        self.running: dict[asyncio.Task[Any] | None, Seen] = {}
        self.seen: list[Seen] = []
        self.rows: dict[str, CallRow] = {}
        self.wallet = Wallet("default", WALLET)
        self.upstreams = {name: Moody(name, self, () if name == self.steady else self.troubles()) for name in self.names}

    def troubles(self) -> list[tuple[float, float, str]]:
        """Return when a target is in which trouble."""
        chance, at, found = self.chance, self.chance.uniform(0, 30), list[tuple[float, float, str]]()
        while at < WELL_AGAIN - TROUBLE_SECONDS[1]:
            end = at + chance.uniform(*TROUBLE_SECONDS)
            found.append((at, end, next(self.kinds)))
            at = end + chance.uniform(0, 40)
        return found

    @property
    def to(self) -> tuple[TargetSetting | str, ...]:
        """The targets as the configuration has them: with weights where those count."""
        weighed = self.route.by in ("weights", "load") or self.route.affinity == "prompt"
        return tuple(TargetSetting(target=f"{name}/m", weight=self.weights[name]) if weighed else f"{name}/m" for name in self.names)

    async def live(self) -> None:
        """Make all calls and wait for their ends."""
        vendors = {name: Vendor(base_url=f"http://{name}.example/v1", prices={"m": self.prices[name]}) for name in self.names}
        rig = Rig(*self.upstreams.values(), wallets=[self.wallet])
        model = Model(to=self.to, route=self.route, name_in_answers="vendor", hold_output_tokens=100)
        rig.dependencies.routes = Routes(Config(vendors=vendors, models={"fast": model}))
        rig.dependencies.chance = self.chance
        tasks: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        while loop.time() < SECONDS:
            await asyncio.sleep(self.chance.expovariate(1))
            client = Watching(leaves_after=self.chance.choice([None] * 19 + [2]))
            seen = client.seen = Seen(len(self.seen), client, self.chance.random() < 0.8)
            self.seen.append(seen)
            data = body(stream=seen.stream, messages=[{"role": "user", "content": f"Question {self.chance.randrange(200)}"}])
            task = asyncio.ensure_future(rig.call(client, data))
            self.running[task] = seen
            tasks.append(task)
        await asyncio.gather(*tasks)
        await asyncio.sleep(2 * REPORT_SECONDS_MAX)  # for which the last call may still be read, though its client has left
        self.facts = rig.facts
        for row in rig.rows:
            assert row.id not in self.rows, "a call has one row"
            self.rows[row.id] = row
        self.in_flight = dict(rig.dependencies.health.traffic._in_flight)

    def row_of(self, seen: Seen) -> CallRow:
        """The row of a call; calls are numbered from 1 there."""
        return self.rows[f"req_{seen.number + 1}"]


@cache
def lived(seed: int) -> World:
    """The world of a seed, when all is over."""
    world = World(seed)
    run_virtual(world.live())
    return world


def every_world() -> list[World]:
    """Return the worlds of this run."""
    return [lived(seed) for seed in range(WORLDS)]


def marks_in(seen: Seen) -> set[str]:
    """The attempts whose words a client has."""
    given = content_of(seen.client.body) if seen.stream else seen.client.body.decode()
    return set(re.findall(r"#\d+\.\d+", given))


def test_every_call_ends_once() -> None:
    """One row, one ending at the client: `[DONE]`, one error, or his own leaving; and nothing stays open, held or in flight."""
    for world in every_world():
        assert len(world.rows) == len(world.seen) > 700
        for seen in world.seen:
            row, client = world.row_of(seen), seen.client
            if client.gone:
                continue
            assert client.ended
            if seen.stream and client.status == 200:
                ends = [item for item in events_of(client.body) if item == "[DONE]" or "error" in item]
                assert len(ends) == 1
                assert (ends[0] == "[DONE]") == (row.outcome == "completed")
            else:
                assert (client.status == 200) == (row.outcome == "completed")
            assert row.attempts == len(seen.asked)
        assert world.in_flight == {}
        assert world.wallet.held == 0
        assert all(upstream.open == 0 for upstream in world.upstreams.values())


def test_nobody_is_asked_again_behind_the_first_piece() -> None:
    """What a client has is from one attempt, the last, and that was the last already when the first of it left."""
    for world in every_world():
        for seen in world.seen:
            marks = marks_in(seen)
            if marks:
                assert marks == {seen.asked[-1].mark}
                assert seen.first_piece_asked in (None, len(seen.asked))


def test_no_call_fails_that_another_target_could_have_served() -> None:
    """One of them is always well: only what breaks behind the first piece is cut."""
    for world in every_world():
        for seen in world.seen:
            row = world.row_of(seen)
            if row.outcome != "completed" and not seen.client.gone:
                assert seen.asked[-1].kind in LATE, (world.route, seen.asked)
                assert row.outcome == "cut" if seen.stream else "failed"


def test_failed_tries_are_never_on_the_callers_bill() -> None:
    """A complete call costs what it costs at the target that served it, to the nano-dollar, however many had failed before."""
    tried = 0
    for world in every_world():
        for seen in world.seen:
            row, last = world.row_of(seen), seen.asked[-1]
            if row.outcome == "completed" and last.kind == "well":
                price = world.prices[last.target]
                output = last.tokens if seen.stream else 3
                assert row.cost == round(9 * price.input * 1_000) + round(output * price.output * 1_000)
                tried += len(seen.asked) > 1
            if row.outcome == "failed":
                assert row.cost == 0
            assert row.target == f"{last.target}/m"
            charged = [asked for asked in seen.asked[:-1] if asked.kind in ("silent", "opens and is silent", "opens and breaks off")]
            assert (row.operator_cost or 0) >= len(charged)
            if all(
                asked.kind in ("500", "overloaded", "limited", "bad key", "no credit", "unreachable", "stale") for asked in seen.asked[:-1]
            ):
                assert row.operator_cost is None or row.outcome != "completed"
        assert world.wallet.balance == WALLET - sum(row.cost for row in world.rows.values())
    assert tried > 20


def test_reports_that_cannot_be_are_not_billed() -> None:
    """A target that lies about what it made earns no more by it."""
    lies = 0
    for world in every_world():
        for seen in world.seen:
            row, last = world.row_of(seen), seen.asked[-1]
            if last.kind in LIES and row.outcome == "completed":
                assert row.billed.output_tokens <= 10
                lies += 1
    assert lies > 10


def test_breakers_open() -> None:
    """A target that fails every call is asked by few of them: those before it is noticed, and one probe for each time on the bench."""
    opened = 0
    for world in every_world():
        for upstream in world.upstreams.values():
            for begin, end, kind in upstream.troubles:
                if kind in ("silent", "opens and is silent", "stale") or kind not in EARLY:
                    continue
                asked = [each for seen in world.seen for each in seen.asked if each.target == upstream.name and begin <= each.at < end]
                calls = sum(any(begin <= each.at < end for each in seen.asked) for seen in world.seen)
                opened += len(asked) < calls / 2
                assert len(asked) <= 12 + world.route.retries, (kind, end - begin, len(asked))
    assert opened > 3


def test_a_wait_that_was_named_is_kept() -> None:
    """While another is well nobody asks a limited target before its time, however many calls there are."""
    limited = 0
    for seed in range(100, 103):
        world = World(seed, "limited")
        run_virtual(world.live())
        for name in world.names:
            asked = sorted(each.at for seen in world.seen for each in seen.asked if (each.kind, each.target) == ("limited", name))
            assert all(after - before >= 17 for before, after in pairwise(asked))
            limited += len(asked)
    assert limited > 10


def test_breakers_heal() -> None:
    """When all are well again each is asked again: by its share, where shares decide."""
    for world in every_world():
        late = [seen.asked[0] for seen in world.seen if seen.asked and seen.asked[0].at > SECONDS - HEALED_SECONDS]
        first = Counter(asked.target for asked in late)
        assert all(asked.kind == "well" for asked in late)
        if world.route.by == "weights" and world.route.affinity == "none":
            total = sum(world.weights.values())
            for name, weight in world.weights.items():
                assert first[name] / len(late) == pytest.approx(weight / total, abs=0.08)
        if world.route.by in (None, "order") and world.route.affinity == "none":
            assert first.keys() == {world.names[0]}
    assert SECONDS - HEALED_SECONDS > WELL_AGAIN + SILENCE_SECONDS + BENCH_SECONDS_MAX


def test_the_worlds_have_every_kind_of_trouble() -> None:
    """What never happens proves nothing."""
    kinds = Counter(asked.kind for world in every_world() for seen in world.seen for asked in seen.asked)
    assert len(kinds.keys() & {*EARLY, *LATE, *LIES}) >= 10
    outcomes = Counter(row.outcome for world in every_world() for row in world.rows.values())
    assert outcomes.keys() >= {"completed", "cut", "client_gone"}


def test_a_world_is_the_same_each_time() -> None:
    """A seed that fails can be looked at again."""
    once, again = lived(0), World(0)
    run_virtual(again.live())
    assert [[(each.target, each.at) for each in seen.asked] for seen in once.seen] == [
        [(each.target, each.at) for each in seen.asked] for seen in again.seen
    ]


@pytest.mark.parametrize(("by", "calls"), [("weights", 10_000), ("load", 4_000)])
def test_no_target_is_off_its_share_by_more_than_one_in_twenty(by: str, calls: int) -> None:
    """Of so many calls through the real path, of which one in a hundred fails at its first target: who is asked first, and who serves."""
    weights = {"a": 40, "b": 30, "c": 20, "d": 10}
    chance = random.Random(7)
    asked: list[str] = []

    class Steady(ScriptedUpstream):
        def __init__(self, name: str) -> None:
            super().__init__(Script())
            self.name = name

        async def ask(self, request: UpstreamRequest) -> ScriptedAnswer:
            asked.append(self.name)
            bad = chance.random() < 0.01
            self._scripts = [Script([b"{}"], status=500) if bad else Script([Stall(20), document()])]
            return await super().ask(request)

    async def main() -> list[str]:
        rig = Rig(*[Steady(name) for name in weights])
        to = tuple(TargetSetting(target=f"{name}/m", weight=weight) for name, weight in weights.items())
        vendors = {name: Vendor(base_url=f"http://{name}.example/v1") for name in weights}
        rig.dependencies.routes = Routes(Config(vendors=vendors, models={"fast": Model(to=to, route=Route(by=by))}))
        tasks = []
        for _ in range(calls):
            tasks.append(asyncio.ensure_future(rig.call(MemoryClient(), body(stream=False))))
            await asyncio.sleep(0.1)
        await asyncio.gather(*tasks)
        return [row.target[0] for row in rig.rows if row.outcome == "completed"]

    served = run_virtual(main())
    assert len(served) == calls
    for name, weight in weights.items():
        assert served.count(name) / calls == pytest.approx(weight / 100, rel=0.05)
        assert asked.count(name) / len(asked) == pytest.approx(weight / 100, rel=0.05)
