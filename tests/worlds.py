"""Small worlds for the ledger: who calls what, what vendor and client do, when the server dies; each made from one seed. Judges nothing.

A world is made by `world_of` and lived by `live`: through the real path, in virtual time. What it leaves behind is for an auditor. Tokens
can be seen in the clients' bytes: every `~` is one of text, every `^` one of reasoning.
"""

from __future__ import annotations

import asyncio
import random
import re
import selectors
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from aisa.admission.unlimited import Unlimited
from aisa.background_reads import BackgroundReads
from aisa.call import Call
from aisa.config.schema import Config, Model, Prices, PriceTier, Stream, Vendor
from aisa.context import Dependencies
from aisa.errors import ApiError
from aisa.facts import CallEnded, Fact
from aisa.keys.rules import DAY, MONTH, WEEK, Key
from aisa.large_events import LargeEvents
from aisa.ledger.charge import Charge
from aisa.ledger.holds import Learned
from aisa.ledger.journal import FIRST_BYTES, SECOND_AT, SECOND_BYTES, THIRD_AT, THIRD_BYTES, Journal
from aisa.ledger.journal_file import HEADER_BYTES
from aisa.ledger.live_ledger import LiveLedger
from aisa.ledger.recovery import recover
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.long_counts import LongCounts
from aisa.notices import Notices
from aisa.offer import Plan as RoutePlan
from aisa.prices.rules import seconds_of
from aisa.providers import openai
from aisa.providers.port import Answer, UpstreamRequest
from aisa.providers.shape import Decoder
from aisa.relay import relay
from aisa.routing import Routes
from aisa.testing.client import MemoryClient
from aisa.testing.clock import JumpingSelector, VirtualLoop
from aisa.testing.upstream import Break, Script, ScriptedAnswer, ScriptedUpstream, Stall
from aisa.timers import Timers
from aisa.usage import Usage
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Request
from aisa.wire.port import SERVER_CLOSES
from rig import at_once, read

#: window -> when one begins, and no larger one.
MIDNIGHTS = {DAY: seconds_of(date(2026, 12, 2)), WEEK: seconds_of(date(2026, 11, 30)), MONTH: seconds_of(date(2026, 12, 1))}
END_SECONDS = 3_600  # after it a world has nothing left to do: a document is waited for 600 s, twice; a background read takes 120 s
SLOTS_COPIED = 64  # those that are taken first: a world has 30 calls
#: Of a journal, with its header: where what belongs to these slots lies, and how much that is.
JOURNAL_COPIED = (
    (0, HEADER_BYTES + SLOTS_COPIED * FIRST_BYTES),
    (HEADER_BYTES + SECOND_AT, SLOTS_COPIED * SECOND_BYTES),
    (HEADER_BYTES + THIRD_AT, SLOTS_COPIED * THIRD_BYTES),
)
T = TypeVar("T")
NEVER = float("inf")


class Tokens(NamedTuple):
    """What a vendor reports, or a caller is billed for. The last five are parts of the first two."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    thought: int = 0
    heard: int = 0
    spoken: int = 0


def merged(earlier: Tokens | None, later: Tokens | None) -> Tokens | None:
    """Return what two reports come to: counts only grow."""
    return Tokens(*map(max, earlier, later)) if earlier and later else earlier or later


class Said(NamedTuple):
    """Bytes of a vendor: how many tokens we count in them, how many of these are reasoning, what they report, whether it is the end."""

    data: bytes
    tokens: int = 0
    thoughts: int = 0
    report: Tokens | None = None
    finishes: bool = False


class Tariff(NamedTuple):
    """Nano-dollars per million tokens by kind, and other ones above a number of input tokens."""

    rates: Mapping[str, int]
    tiers: tuple[tuple[int, Mapping[str, int]], ...]


class Named(NamedTuple):
    """A model: its price, if it has one, and its limit on output."""

    name: str
    tariff: Tariff | None
    output_max: int | None


class Manner(NamedTuple):
    """How a client behaves. Counts are writes, moments seconds after the call began.

    It acknowledges `acks_bytes_max` bytes at most, and `lag_bytes` of what it took only after the end: `tells_seconds` later.
    """

    acks_bytes_max: int = sys.maxsize
    lag_bytes: int = 0
    tells_seconds: float = 0
    stalls_after: int | None = None
    resumes_seconds: float = NEVER
    leaves_after: int | None = None
    leaves_seconds: float = NEVER


@dataclass(frozen=True)
class Plan:
    """One call to be made, `at` seconds after the world began."""

    id: str
    key: Key
    model: Named
    at: float
    stream: bool
    choices: int
    max_tokens: int | None
    body: bytes
    refusals: int
    steps: Sequence[Said | Stall | Break]
    status: int
    manner: Manner


@dataclass(frozen=True)
class World:
    """Everything that is going to happen. Balances are nano-dollars, None for unlimited; moments are seconds after the beginning."""

    seed: int
    began: float
    balances: Mapping[str, int | None]
    top_ups: Sequence[tuple[float, str, int]]
    models: Sequence[Named]
    plans: Sequence[Plan]
    shuts_seconds: float
    dies_seconds: float
    reads_max: int
    sync_seconds: float | None
    commit_seconds: float


class NoWaiting(JumpingSelector):
    """A selector for worlds without sockets: nothing can become ready, so time jumps at once. A world that waits for nothing is a bug."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Jump."""
        if timeout is None:
            raise RuntimeError("the world stands still")
        self.skipped_seconds += max(0.0, timeout)
        return []


class WorldLoop(VirtualLoop):
    """A virtual loop that does not even look at sockets."""

    def __init__(self) -> None:
        self._jumping = NoWaiting()
        asyncio.SelectorEventLoop.__init__(self, self._jumping)


class Listener(MemoryClient):
    """A client that behaves as it was told. `observe` is called at each write."""

    def __init__(self, manner: Manner, observe: Callable[[bytes], None]) -> None:
        super().__init__(stalls_after=manner.stalls_after, leaves_after=manner.leaves_after)
        self.manner = manner
        self.all_bytes = 0
        self.lost_bytes = 0
        self.tokens = 0
        self._observe = observe
        self._acknowledged_all = False
        self._tell: Callable[[bool], None] | None = None
        self._left_process: Callable[[], None] | None = None

    @property
    def bytes_sent(self) -> int:
        """Body bytes so far."""
        return self.all_bytes

    def write(self, data: bytes) -> int:
        """Take body bytes, or lose them."""
        if self.gone:
            self.lost_bytes += len(data)
        else:
            self.all_bytes += len(data)
            self.tokens += data.count(b"~") + thoughts_in(data)
            self._observe(data)
            was_congested = self.congested
            super().write(data)
            if self.congested and not was_congested and self.manner.resumes_seconds < NEVER:
                asyncio.get_running_loop().call_later(self.manner.resumes_seconds, self.resume)
        return self.bytes_written

    @property
    def bytes_written(self) -> int:
        """Bytes given; those that came after it had gone never arrive."""
        return self.all_bytes + self.lost_bytes

    async def writable(self, taken: Callable[[], None] | None = None) -> None:
        """Wait until it takes again; `taken` is called as it does."""
        self._left_process = taken
        try:
            await self._taken.wait()
        finally:
            self._left_process = None

    def resume(self) -> None:
        """Take what waits, unless it is too late."""
        if not self.gone:
            super().resume()
            if self._left_process is not None:
                self._left_process()

    def bytes_delivered(self) -> int:
        """Return what its system has acknowledged."""
        lag = 0 if self._acknowledged_all else self.manner.lag_bytes
        return min(self.manner.acks_bytes_max, max(0, self.bytes_taken() - lag))

    def tell_delivery(self, tell: Callable[[bool], None]) -> None:
        """Tell at once if it is gone or has all, else some seconds later."""
        if self.gone or self.bytes_delivered() == self.bytes_written:
            tell(self.bytes_delivered() == self.bytes_written)
            return
        self._tell = tell
        asyncio.get_running_loop().call_later(self.manner.tells_seconds, self._arrive)

    def leave(self) -> None:
        """Go."""
        super().leave()
        self._say()

    def _arrive(self) -> None:
        """Acknowledge what will be acknowledged; a connection that has not all by then is lost."""
        if not self.gone:
            self._acknowledged_all = True
            self.gone = self.bytes_delivered() < self.all_bytes
            self._say()

    def _say(self) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(self.bytes_delivered() == self.bytes_written)


class Making:
    """One call in the making. `held` from its admission until it is settled; `read` counts the pieces that were read of its vendor.

    `read_late` counts those that had been read when the vendor's last word was taken, if it was after the settlement.
    """

    def __init__(self, plan: Plan, world: Life) -> None:
        self.plan = plan
        self.client = Listener(plan.manner, partial(world.observe, self))
        steps = [step.data if isinstance(step, Said) else step for step in plan.steps]
        script = Script(steps, status=plan.status)
        self.upstream = ScriptedUpstream(*[Script(refuses=True)] * plan.refusals, script)
        self.held = self.settled = self.begun = self.ended = self.prepaid = False
        self.syncs = 0
        self.began_seconds = self.ended_seconds = 0.0
        self.refused: str | None = None
        self.read = 0
        self.read_late: int | None = None


class ReadingOn(BackgroundReads):
    """The real thing, which notes for each call how much had been read of its vendor when that was reported."""

    def __init__(self, life: Life, reads_max: int) -> None:
        super().__init__("a", reads_max=reads_max, seconds_max=120)
        self._life = life

    def start(self, answer: Answer, decoder: Decoder, report: Callable[[Usage], None], *, vendor: str | None, counts: LongCounts) -> bool:
        """Read on, or not."""
        making = self._life.now()

        def reported(generated: Usage) -> None:
            making.read_late = making.upstream.reads
            report(generated)

        return super().start(answer, decoder, reported, vendor=vendor, counts=counts)


class Seen(NamedTuple):
    """What there is to be seen of a call at the end, or when the server dies. `taken` and `delivered` are bytes of `body`."""

    plan: Plan
    asked: bool
    held: bool
    settled: bool
    ended: bool
    prepaid: bool
    refused: str | None
    status: int | None
    body: bytes
    taken: int
    delivered: int
    closed: bool
    gone: bool
    read: int
    read_late: int | None
    began_seconds: float
    ended_seconds: float


class Recoveries(NamedTuple):
    """The rows that two starts after a death found, and the slots of the journal that were still taken in the end."""

    first: list[CallRow]
    second: list[CallRow]
    slots_taken: int


class Free(NamedTuple):
    """What an account had beyond what was held when a call ended, and the calls that ended since it last was not below zero."""

    account: str
    nanos: int
    ended: tuple[str, ...]


@dataclass
class Left:
    """What a world leaves. `wallets` are (balance, held). `recoveries` is there if the server died."""

    world: World
    seen: list[Seen]
    rows: list[CallRow]
    wallets: Mapping[str, tuple[int | None, int]]
    caps_held: Mapping[str, int]
    in_ledger: list[str]
    free: list[Free]
    lines: list[CallEnded]  # of the log
    recoveries: Recoveries | None = None


class Observer:
    """Looks at a world that is being lived. An auditor's is derived from this one, which sees nothing."""

    def admits(self, life: Life, making: Making) -> None:
        """A call is about to be opened."""

    def settles(self, life: Life, making: Making) -> None:
        """A call has been settled, or was refused: nothing is held for it any more."""

    def writes(self, life: Life, making: Making) -> None:
        """Bytes are about to go to a client; they are counted already."""


class Life:
    """A world being lived: it stands in for keys, vendors and database of the real path, and looks on at its ledger."""

    left: Left

    def __init__(self, world: World, observer: Observer) -> None:
        self.world = world
        self.makings = [Making(plan, self) for plan in world.plans]
        self.rows: list[CallRow] = []
        self.free: list[Free] = []
        self._lines: list[CallEnded] = []
        self._observer = observer
        self._shut = False
        self._running: dict[asyncio.Task[None] | None, Making] = {}
        self._ended_since: dict[str, list[str]] = {account: [] for account in world.balances}
        sync = None if world.sync_seconds is None else self._sync
        wallets = [Wallet(account, balance) for account, balance in world.balances.items()]
        self.ledger = LiveLedger(place().journal, self._post, wallets=wallets, wall_clock=self.wall_clock, sync=sync)
        self.ledger.learned = Learned(calls_min=sys.maxsize)  # the auditor computes holds from what a call says of itself
        vendors = {name: Vendor(base_url=f"http://{name}.example:9/v1", api_key="secret") for name in "ab"}
        models = {model.name: settings_of(model) for model in world.models}
        self.dependencies = Dependencies(
            keys=self,
            read=read,
            work=at_once,
            routes=Routes(Config(vendors=vendors, models=models)),
            admission=Unlimited(),
            ledger=self,
            dialects={"openai": openai},
            upstreams={"a": self, "b": self},
            stream=Stream(),
            large_events=LargeEvents(Stream().large_events_bytes_max),
            chance=random.Random(world.seed),
            report=self._report,
            notices=Notices(self._report),
            timers=Timers(),
            background_reads=ReadingOn(self, world.reads_max),
        )

    def wall_clock(self) -> float:
        """Return the UNIX time of this world."""
        return self.world.began + asyncio.get_running_loop().time()

    def verify(self, secret: str | None) -> Key:
        """Return the key of the call that is running."""
        return self.now().plan.key

    def again(self, key: Key, secret: str) -> Key:
        """Ask anew."""
        return self.verify(secret)

    def known(self, secret: str | None) -> Key | None:
        """Return the same, or None."""
        return self.now().plan.key

    async def open(self, call: Call, key: Key, request: Request, *, plan: RoutePlan) -> Charge:
        """Have a call opened in the ledger; what it sees before is there in the same breath."""
        making = self.now()
        self._observer.admits(self, making)
        making.held = True
        making.prepaid = self.ledger.wallets[making.plan.key.account].balance is not None
        return await self.ledger.open(call, key, request, plan=plan)

    async def ask(self, request: UpstreamRequest) -> ScriptedAnswer:
        """Ask the call's own vendor."""
        return await self.now().upstream.ask(request)

    def observe(self, making: Making, data: bytes) -> None:
        """Look around when bytes are written. A call is settled before its end is sent."""
        if making.held and (not making.plan.stream or b"[DONE]" in data or b'"error"' in data):
            self._settle(making)
        self._observer.writes(self, making)

    async def live(self) -> None:
        """Make every call, and wait until there is nothing more to come, or until the server dies; then `left` is there."""
        loop = asyncio.get_running_loop()
        world = self.world
        dead = asyncio.Event()
        for at, account, amount in world.top_ups:
            loop.call_at(at, self._top_up, account, amount)
        for making in self.makings:
            loop.call_at(making.plan.at, self._begin, making)
        if world.shuts_seconds < NEVER:
            loop.call_at(world.shuts_seconds, self._shut_down)
        loop.call_at(min(world.dies_seconds, END_SECONDS), self._end, dead)
        await dead.wait()

    def now(self) -> Making:
        """Return the call whose task runs."""
        return self._running[asyncio.current_task()]

    def _begin(self, making: Making) -> None:
        if self._shut:
            return
        making.begun = True
        task = asyncio.get_running_loop().create_task(self._call(making))
        self._running[task] = making
        making.client.task = task
        if making.plan.manner.leaves_seconds < NEVER:
            asyncio.get_running_loop().call_later(making.plan.manner.leaves_seconds, making.client.leave)

    async def _call(self, making: Making) -> None:
        plan, time = making.plan, asyncio.get_running_loop().time
        making.began_seconds = time()
        call = Call(plan.id, plan.key, plan.body, int(self.wall_clock()), making.began_seconds, [("x-request-id", plan.id)], CHAT_DOOR)
        try:
            await relay(call, making.client, self.dependencies)
            if not making.upstream.requests and making.client.status is not None:
                making.refused = msgspec.json.decode(making.client.body)["error"]["code"]
        except ApiError as refusal:
            making.refused = refusal.code
        finally:
            if making.held:
                self._settle(making)
            making.ended, making.ended_seconds = True, time()

    def _settle(self, making: Making) -> None:
        """Note that a call is settled, and what its account has left beyond what is held."""
        making.held, making.settled, making.read = False, making.refused is None, making.upstream.reads
        self._observer.settles(self, making)
        account = making.plan.key.account
        wallet, ended = self.ledger.wallets[account], self._ended_since[account]
        ended.append(making.plan.id)
        if wallet.balance is not None:
            free = wallet.balance - wallet.held
            self.free.append(Free(account, free, tuple(ended)))
            if free >= 0:
                ended.clear()

    async def _sync(self) -> None:
        """Take the time that a disk takes. The second time a call waits for it, it has been settled."""
        making = self.now()
        making.syncs += 1
        if making.syncs == 2:
            self._settle(making)
        await asyncio.sleep(self.world.sync_seconds or 0)

    def _report(self, fact: Fact) -> None:
        if isinstance(fact, CallEnded):
            self._lines.append(fact)

    def _post(self, row: CallRow, committed: Callable[[], None]) -> None:
        """Be the database: it has the row after a while, and says so after another."""
        seconds, loop = self.world.commit_seconds, asyncio.get_running_loop()
        if seconds == 0:
            self.rows.append(row)
            committed()
        else:
            loop.call_later(seconds, self.rows.append, row)
            loop.call_later(2 * seconds, committed)

    def _top_up(self, account: str, amount: int) -> None:
        wallet = self.ledger.wallets[account]
        wallet.balance = (wallet.balance or 0) + amount

    def _shut_down(self) -> None:
        self._shut = True
        for making in self.makings:
            if making.begun and not making.ended:
                making.client.interrupt(SERVER_CLOSES)

    def _end(self, dead: asyncio.Event) -> None:
        """Say what there is at this moment; what happens afterwards, while the loop is being closed, nobody sees."""
        wallets = {account: (wallet.balance, wallet.held) for account, wallet in self.ledger.wallets.items()}
        self.left = left = Left(
            world=self.world,
            seen=[seen_of(making) for making in self.makings],
            rows=list(self.rows),
            wallets=wallets,
            caps_held={key: cap.held for key, cap in self.ledger.caps.items()},
            in_ledger=list(self.ledger.calls),
            free=self.free,
            lines=list(self._lines),
        )
        if self.world.dies_seconds < END_SECONDS:
            place().copy()
            left.recoveries = recoveries(left.rows, int(self.wall_clock() * 1000), dies_again=self.world.seed % 2 == 0)
        dead.set()


def thoughts_in(data: bytes) -> int:
    """Return the tokens of reasoning in whole events, which have it under both of the names that clients read."""
    return sum([found.count(b"^") for found in THOUGHTS.findall(data)])


THOUGHTS = re.compile(rb'"reasoning_content":"([^"]*)"')


def settings_of(model: Named) -> Model:
    """Return a model as the configuration has it."""
    targets = ("a/some-model", "b/some-model")
    if model.tariff is None:
        return Model(to=targets, max_output_tokens=model.output_max)
    tiers = tuple(PriceTier(over_input_tokens=over, **dollars(rates)) for over, rates in model.tariff.tiers)
    return Model(to=targets, max_output_tokens=model.output_max, prices=Prices(**dollars(model.tariff.rates), tiers=tiers))


def dollars(rates: Mapping[str, int]) -> dict[str, float]:
    """Return prices as an operator writes them; below a thousand dollars a float keeps nine decimals."""
    return {kind: nanos / 1_000_000_000 for kind, nanos in rates.items()}


def seen_of(making: Making) -> Seen:
    """Return what there is to be seen of a call now."""
    client = making.client
    return Seen(
        plan=making.plan,
        asked=bool(making.upstream.requests),
        held=making.held,
        settled=making.settled,
        ended=making.ended,
        prepaid=making.prepaid,
        refused=making.refused,
        status=client.status,
        body=client.body,
        taken=client.bytes_taken(),
        delivered=client.bytes_delivered(),
        closed=client.ended,
        gone=client.gone,
        read=making.read if making.settled else making.upstream.reads,
        read_late=making.read_late,
        began_seconds=making.began_seconds,
        ended_seconds=making.ended_seconds,
    )


class Place:
    """Where the journals are: one for all worlds, because making one takes 8 MiB, and a copy for what a dead server left."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aisa-worlds-")
        self._path, self._copy = Path(self._folder.name) / "board", Path(self._folder.name) / "copy"
        self.journal = Journal.open(self._path, slots_max=1_024)
        self.reopened().close()

    def copy(self) -> None:
        """Keep the journal as it is now, as the death of the process does."""
        with self._path.open("rb") as journal, self._copy.open("r+b") as copy:
            for at, size in JOURNAL_COPIED:
                journal.seek(at)
                copy.seek(at)
                copy.write(journal.read(size))

    def reopened(self) -> Journal:
        """Open the copy, as the next start does."""
        return Journal.open(self._copy, slots_max=1_024)


class Died(Exception):
    """The server died once more, while it was starting."""


def recoveries(rows: list[CallRow], now_ms: int, *, dies_again: bool) -> Recoveries:
    """Start twice on what was left, the first time perhaps dying when the database has the rows; return what each start found."""
    known = {row.id for row in rows}
    starts: list[list[CallRow]] = []

    def insert(found: list[CallRow]) -> None:
        starts[-1].extend(found)
        fresh = [row for row in found if row.id not in known]
        rows.extend(fresh)
        known.update(row.id for row in fresh)
        if dies_again and len(starts) == 1:
            raise Died

    slots_taken = 0
    for start in range(2):
        journal = place().reopened()
        starts.append([])
        with suppress(Died):
            recover(journal, insert, now_ms + start)
        slots_taken = journal.taken
        journal.close()
    return Recoveries(starts[0], starts[1], slots_taken)


@cache
def place() -> Place:
    """Return the place of this process."""
    return Place()


def live(world: World, observer: Observer | None = None) -> Left:
    """Live a world to its end and return what it leaves."""
    life = Life(world, observer or Observer())
    with asyncio.Runner(loop_factory=WorldLoop) as runner:
        runner.run(life.live())
    for charge in list(life.ledger.calls.values()):  # of a server that died: the next world begins with an empty journal
        charge.void()
    assert not place().journal.taken, f"a slot of the journal was lost in world {world.seed}"
    return life.left


# The making of worlds.

INPUTS = ("cached_input", "cache_write", "input_audio")
RATE_MAX = 30_000_000_000  # nano-dollars per million tokens
HALF_A_NANO = 500_000  # a token: whoever does not round half up is seen


def world_of(seed: int) -> World:
    """Return the world of a seed."""
    return Maker(seed).world()


class Maker:
    """Draws one world."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.honest = self.likely(0.5)  # vendors report no more than what is held for
        self.tight = self.likely(0.1)  # one key that spends its cap, before midnight and after

    def likely(self, share: float) -> bool:
        """Say yes so often."""
        return self.chance.random() < share

    def among(self, *choices: tuple[float, T]) -> T:
        """Return one of these, by weight."""
        return self.chance.choices([choice for _, choice in choices], [weight for weight, _ in choices])[0]

    def world(self) -> World:
        """Draw everything."""
        chance = self.chance
        models = [
            Named(f"m{number}", self.tariff() if self.likely(0.93) else None, self.output_max())
            for number in range(chance.choice((1, 1, 2)))
        ]
        first = models[0].tariff
        usual = 0 if first is None else (first.rates["input"] * 200 + first.rates["output"] * 300) // 1_000_000
        accounts = ["one", "two"][: chance.choice((1, 1, 2))]
        window, midnight = chance.choice(tuple(MIDNIGHTS.items()))
        if self.tight:
            keys = [self.key(0, accounts[0], usual, window)]
        else:
            keys = [self.key(number, chance.choice(accounts), usual, None) for number in range(chance.choice((1, 2, 3)))]
        calls = 8 if self.tight else self.among((4, 1), (5, 2), (4, 3), (2, 5), (1, 8), (0.3, 15), (0.15, 30))
        return World(
            seed=self.seed,
            began=midnight - chance.uniform(0, 120),
            balances={account: None if self.tight or self.likely(0.35) else int(usual * chance.uniform(0, 8)) for account in accounts},
            top_ups=[] if self.tight else [self.top_up(chance.choice(accounts), usual) for _ in range(self.among((6, 0), (3, 1), (1, 3)))],
            models=models,
            plans=[self.plan(number, chance.choice(keys), chance.choice(models)) for number in range(calls)],
            shuts_seconds=chance.uniform(1, 150) if self.likely(0.1) else NEVER,
            dies_seconds=chance.uniform(0.5, chance.choice((10, 30, 120))) if self.likely(0.12) else NEVER,
            reads_max=self.among((3, 0), (1, 1), (1, 100)),
            sync_seconds=chance.uniform(0.001, 2) if self.likely(0.15) else None,
            commit_seconds=chance.uniform(0.001, 20) if self.likely(0.25) else 0,
        )

    def top_up(self, account: str, usual: int) -> tuple[float, str, int]:
        """Draw money that is put into a wallet."""
        return self.chance.uniform(0, 120), account, 1 + int(usual * self.chance.uniform(0, 4))

    def tariff(self) -> Tariff:
        """Draw prices."""
        chance = self.chance
        rates = {"input": self.rate(0.4), "output": self.rate(1)}
        if self.likely(0.4):
            dearest = self.among((3, 1.0), (1, 2.0))
            rates |= {kind: int(rates["input"] * chance.uniform(0, dearest)) for kind in INPUTS if self.likely(0.6)}
        if self.likely(0.4):
            rates |= {kind: int(rates["output"] * chance.uniform(0, 3)) for kind in ("reasoning", "output_audio") if self.likely(0.7)}
        tiers = []
        if self.likely(0.3):
            overs = sorted(chance.sample(range(150, 900), chance.choice((1, 2))))
            for over in overs:
                factor = chance.uniform(1, 2)
                rates_there = {kind: int(rate * factor) for kind, rate in rates.items()}
                tiers.append((over, rates_there))
        chance.shuffle(tiers)
        return Tariff(rates, tuple(tiers))

    def rate(self, share: float) -> int:
        """Draw a price: any, round or nothing."""
        chance = self.chance
        return self.among((6, chance.randrange(1, int(RATE_MAX * share))), (2, chance.randrange(1, 10_000) * HALF_A_NANO), (0.5, 0))

    def output_max(self) -> int | None:
        """Draw a model's limit on output."""
        return self.chance.randrange(64 if self.likely(0.1) else 256, 1_500) if self.likely(0.2) else None

    def key(self, number: int, account: str, usual: int, window: str | None) -> Key:
        """Draw a key; if a window is given, one with a tight cap on it."""
        cap = 1 + int(usual * self.chance.uniform(1, 3 if window else 6)) if window or self.likely(0.35) else None
        window = window or (self.chance.choice((DAY, WEEK, MONTH)) if cap else None)
        return Key(f"key_{number}", f"key {number}", b"", "", "active", 0, account=account, spend_cap=cap, spend_window=window)

    def plan(self, number: int, key: Key, model: Named) -> Plan:
        """Draw a call."""
        chance = self.chance
        stream = self.likely(0.75)
        choices = 2 if self.likely(0.1) else 1
        max_tokens = chance.randrange(1, min(600, model.output_max or 600)) if self.likely(0.4) else None
        asked = {
            "stream": stream,
            "n": choices,
            "max_tokens": max_tokens,
            "stream_options": {"include_usage": True} if stream and self.likely(0.5) else None,
        }
        fields = {name: value for name, value in asked.items() if value is not None}
        body = request(model.name, "a" * chance.randrange(self.among((5, 200), (2, 3_500))), fields)
        vendor = VendorMaker(self, model, text_bytes=text_bytes_of(body), choices=choices)
        steps = vendor.stream() if stream else vendor.document()
        return Plan(
            id=f"req_{number}",
            key=key,
            model=model,
            at=chance.uniform(0.001, chance.choice((1, 20, 120))),
            stream=stream,
            choices=choices,
            max_tokens=max_tokens,
            body=body,
            refusals=self.among((8, 0), (1, 1), (0.3, 2)),
            steps=steps,
            status=500 if self.likely(0.03) else 200,
            manner=self.manner(steps, stream=stream),
        )

    def manner(self, steps: Sequence[Said | Stall | Break], *, stream: bool) -> Manner:
        """Draw how a client behaves."""
        chance, size = self.chance, sum(len(step.data) for step in steps if isinstance(step, Said))
        lag = chance.choice((0, 0, chance.randrange(400)))
        tells = chance.choice((0.0, 0.001, chance.uniform(0, 60)))
        few = chance.randrange(1, 9) if stream else 1
        return self.among(
            (8, Manner(lag_bytes=lag, tells_seconds=tells)),
            (3, Manner(lag_bytes=lag, tells_seconds=tells, acks_bytes_max=chance.randrange(size + 200))),
            (2, Manner(lag_bytes=lag, tells_seconds=tells, leaves_after=few)),
            (2, Manner(lag_bytes=lag, tells_seconds=tells, leaves_seconds=chance.uniform(0, chance.choice((2, 60))))),
            (2, Manner(lag_bytes=lag, tells_seconds=tells, stalls_after=few, resumes_seconds=chance.uniform(0, 400))),
            (1, Manner(lag_bytes=lag, tells_seconds=tells, stalls_after=few)),
        )


def text_bytes_of(body: bytes) -> int:
    """Return the size of the text in a request's body."""
    return len(msgspec.json.decode(body)["messages"][0]["content"].encode())


class VendorMaker:
    """Draws what a vendor does with one call."""

    def __init__(self, maker: Maker, model: Named, *, text_bytes: int, choices: int) -> None:
        self.chance = maker.chance
        self.likely = maker.likely
        self.among = maker.among
        self.maker = maker
        self.overs = [over for over, _ in model.tariff.tiers] if model.tariff else []
        self.text_bytes = text_bytes
        self.choices = choices

    def stream(self) -> list[Said | Stall | Break]:
        """Draw a stream."""
        chance = self.chance
        way = "token" if self.choices > 1 else self.among((0.1 if self.maker.tight else 4, "token"), (0.6, "logprobs"), (2, "running"))
        sizes = [1 if way == "token" else chance.randrange(1, self.among((3, 6), (2, 200))) for _ in range(chance.choice((0, 1, 3, 8, 14)))]
        thinking = chance.randrange(len(sizes) + 1) if way != "logprobs" and self.likely(0.25) else 0
        deltas = [(tokens, place < thinking) for place, tokens in enumerate(sizes)]
        if self.likely(0.2):
            chance.shuffle(deltas)
        prompt, shown, thoughts = self.prompt(), sum(sizes), sum(sizes[:thinking])
        said = [Said(chunk({"role": "assistant", "content": ""}))]
        running = 0
        for tokens, thought in deltas:
            running += tokens
            report = Tokens(prompt, running) if way == "running" else None
            delta = {"reasoning_content": "^is" * tokens} if thought else {"content": "~it" * tokens}
            index = chance.randrange(self.choices)
            entries = tokens if way == "logprobs" else 0
            said.append(Said(chunk(delta, index=index, entries=entries, report=report), tokens, tokens * thought, report))
        opened = 1 + max([0, *(1 for piece in said if b'"index":1' in piece.data)])
        finish = b"".join([chunk({}, finish="stop", index=index) for index in range(opened)])
        report = self.report(prompt, shown, thoughts, hides=way != "running")
        return self.ending(said, finish, report)

    def ending(self, said: list[Said], finish: bytes, report: Tokens) -> list[Said | Stall | Break]:
        """Draw how a stream ends, and how its bytes arrive."""
        chance = self.chance
        usage = event({**HEAD, "choices": [], "usage": usage_of(report)})
        last = [Said(finish, finishes=True), Said(usage, report=report), Said(DONE, finishes=True)]
        end: Stall | Break | Said | None = None
        how = self.among((10, "whole"), (1, "unreported"), (1, "no done"), (1, "no finish"), (1, "usage on finish"), (6, "broken"))
        if how == "unreported":
            last = [last[0], last[2]]
        elif how == "no done":
            last = last[:2]
        elif how == "no finish":
            last = last[1:]
        elif how == "usage on finish":
            last = [Said(chunk({}, finish="stop", report=report), report=report, finishes=True), Said(DONE, finishes=True)]
        elif how == "broken":
            whole = [*said, *last]
            said, last = whole[: chance.randrange(len(whole))], []
            end = chance.choice(
                (Break(), Stall(), None, Said(event({"error": {"message": "No.", "type": "server_error"}})), Said(b"data: {oops\n\n"))
            )
        return self.arriving([*said, *last]) + ([] if end is None else [end])

    def arriving(self, said: list[Said]) -> list[Said | Stall | Break]:
        """Draw which events arrive together, and when."""
        steps: list[Said | Stall | Break] = []
        together = self.chance.choice((0, 0.3, 0.9, 1))
        for piece in said:
            before = steps[-1] if steps else None
            if isinstance(before, Said) and self.likely(together):
                steps[-1] = Said(
                    before.data + piece.data,
                    before.tokens + piece.tokens,
                    before.thoughts + piece.thoughts,
                    merged(before.report, piece.report),
                    before.finishes or piece.finishes,
                )
                continue
            if self.likely(0.4):
                steps.append(Stall(self.among((6, self.chance.uniform(0, 3)), (1, self.chance.uniform(0, 70)))))
            steps.append(piece)
        return steps

    def document(self) -> list[Said | Stall | Break]:
        """Draw an answer that is not a stream."""
        chance = self.chance
        tokens = chance.randrange(1, 60)
        report = self.report(self.prompt(), tokens, 0, hides=True)
        if self.likely(0.2):
            report = report._replace(spoken=chance.randrange(report.output - report.thought + 1))
        message = {"role": "assistant", "content": "~it" * tokens} | ({"refusal": None} if self.likely(0.5) else {})
        choices = [{"index": index, "message": message, "logprobs": None, "finish_reason": "stop"} for index in range(self.choices)]
        data = msgspec.json.encode({**HEAD, "object": "chat.completion", "choices": choices, "usage": usage_of(report)})
        cut = chance.randrange(len(data))
        steps: list[Said | Stall | Break] = [
            Said(data[:cut]),
            Stall(chance.uniform(0, 20)),
            Said(data[cut:], tokens, 0, report, finishes=True),
        ]
        if self.likely(0.25):
            steps[chance.randrange(1, 3) :] = [chance.choice((Break(), Stall(), Said(b"oops")))]
        return steps

    def prompt(self) -> int:
        """Draw how many tokens the vendor makes of the request: no more than was held for, if it is honest."""
        held = max(1, -(-self.text_bytes // 4))
        honest = self.maker.honest or self.likely(0.7)
        if not honest and self.overs and self.likely(0.3):
            return self.chance.choice(self.overs) + self.chance.choice((0, 1))
        return self.chance.randrange(1, held + 1) if honest else int(held * self.chance.uniform(1, 4))

    def report(self, prompt: int, shown: int, thoughts: int, *, hides: bool) -> Tokens:
        """Draw what is reported in the end of an answer that shows so many tokens, some of them thoughts."""
        chance, thought, output = self.chance, thoughts, shown
        if not self.maker.honest:
            output = self.among((4, shown), (1, shown * chance.randrange(2, 6)), (1, chance.randrange(shown + 1)), (0.5, 0))
            thought = min(thoughts, output)
            if hides and self.likely(0.3):
                hidden = chance.randrange(1, 400)
                thought, output = thought + hidden, output + hidden
        cached = chance.randrange(prompt + 1) if self.likely(0.3) else 0
        written = chance.randrange(prompt - cached + 1) if self.likely(0.2) else 0
        heard = chance.randrange(prompt - cached - written + 1) if self.likely(0.1) else 0
        return Tokens(prompt, output, cached, written, thought, heard)


HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "some-model"}
DONE = b"data: [DONE]\n\n"
ENTRY = {"token": "t", "logprob": -1.0, "bytes": None, "top_logprobs": []}


def event(value: object) -> bytes:
    """Return one server-sent event."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def chunk(delta: Mapping[str, str], *, index: int = 0, finish: str | None = None, entries: int = 0, report: Tokens | None = None) -> bytes:
    """Return one chunk of a vendor's stream, with so many entries of log-probabilities."""
    logprobs = {"content": [ENTRY] * entries, "refusal": None} if entries else None
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return event({**HEAD, "choices": [choice]} | ({} if report is None else {"usage": usage_of(report)}))


def usage_of(said: Tokens) -> dict[str, object]:
    """Return a report as vendors write it."""
    usage: dict[str, object] = {"prompt_tokens": said.input, "completion_tokens": said.output, "total_tokens": said.input + said.output}
    if said.cached or said.written or said.heard:
        usage["prompt_tokens_details"] = {"cached_tokens": said.cached, "cache_write_tokens": said.written, "audio_tokens": said.heard}
    if said.thought or said.spoken:
        usage["completion_tokens_details"] = {"reasoning_tokens": said.thought, "audio_tokens": said.spoken}
    return usage


def request(model: str, content: str, fields: Mapping[str, object]) -> bytes:
    """Return a chat request."""
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": content}], **fields})
