"""What every admission keeps, wherever it has its figures: claims that `test_admission.py` puts to each. Not a test by itself.

A claim is a function of a stage, on which time is virtual or, for stores with a clock of their own, real and short.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple, Protocol, cast

from aisa.admission.line import LINE_MICROS
from aisa.admission.memory import MemoryAdmission
from aisa.admission.port import Admission, Lease
from aisa.admission.rules import MICROS
from aisa.admission.window import BUCKETS
from aisa.call import Call
from aisa.config.limits import AccountRates, AddressRates, Limits, Tier
from aisa.config.schema import Config, Model, Vendor
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.routing import Routes
from aisa.usage import Usage
from aisa.wire.chat_door import CHAT_DOOR
from rig import body

ROUTES = Routes(Config(vendors={"a": Vendor(base_url="http://a.example:9/v1")}, models={"fast": Model(to=("a/some-model",))}))
NOTHING = Usage()
ANSWER = Usage(10, 5)


class Stage(Protocol):
    """Where a claim is tried. `window_seconds` is the minute there, `many` how many calls a random trial makes."""

    window_seconds: float
    many: int

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run to the end."""
        ...

    async def open(self, limits: Limits, tiers: Mapping[str, str]) -> Admission:
        """Return an admission with nothing used yet."""
        ...

    def now(self) -> float:
        """Return UNIX seconds by the clock that the admission goes by."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let so much time go by, and others have their turn."""
        ...


class World(NamedTuple):
    """A stage with an admission on it."""

    stage: Stage
    admission: Admission
    keys: dict[str, Key]

    async def call(self, name: str = "one", *, address: str = "", input_tokens: int = 10, **fields: object) -> Lease:
        """Begin a call of a key. Raises ApiError."""
        request = CHAT_DOOR.read(body(**fields))
        key = self.keys[name]
        plan = ROUTES.plan(request, key, random.Random(1))
        call = Call(id="req_1", key=key, body=b"", created=1, began=0.0, headers=[], door=CHAT_DOOR, address=address)
        return await self.admission.admit(call, request, plan, input_tokens=input_tokens)

    async def refused(self, name: str = "one", **call: Any) -> ApiError:
        """Begin a call that is refused, and return why."""
        _, error = await self.tried(name, **call)
        assert error is not None, "it was not refused"
        assert (error.code, error.status) == ("rate_limit_exceeded", 429)
        return error

    async def tried(self, name: str = "one", **call: Any) -> tuple[Lease | None, ApiError | None]:
        """Begin a call, and return its lease or why it has none."""
        try:
            return await self.call(name, **call), None
        except ApiError as error:
            return None, error

    async def patient(self, usage: Usage, **call: Any) -> ApiError | None:
        """Make a call, waiting once as long as is told if it is refused, and return what was told."""
        lease, error = await self.tried(**call)
        if error is not None:
            await self.stage.sleep(error.retry_after or 0)
            lease = await self.call(**call)
        assert lease is not None
        lease.release(usage)
        return error

    def told(self, name: str = "one") -> dict[str, int]:
        """Return the headers on a key's limits."""
        return {field.removeprefix("x-ratelimit-"): int(value) for field, value in self.admission.headers(self.keys[name])}


Story = Callable[[World], Awaitable[None]]


def tell(stage: Stage, story: Story, *, keys: Mapping[str, Key] | None = None, address: AddressRates | None = None, **tier: Any) -> None:
    """Put a story on a stage where the tier of every account is this one."""

    async def main() -> None:
        limits = Limits(default_tier="t", tiers={"t": Tier(**tier)}, address=address or AddressRates(), window_seconds=stage.window_seconds)
        await story(World(stage, await stage.open(limits, {}), dict(keys or {"one": key_of("one")})))

    stage.run(main())


def key_of(name: str, **fields: Any) -> Key:
    """Return a key of the account `acme`."""
    return Key(name, name, b"", "", "active", 0, account="acme", **fields)


def lone_client_that_waits_gets_in(stage: Stage) -> None:
    """Whatever the moments were at which it used up its calls: what it is told is enough, and is at most a window and a second."""
    chance = random.Random(2)

    async def story(world: World) -> None:
        for _ in range(stage.many // 50 + 1):
            error = await world.patient(ANSWER)
            if error is not None:
                assert (error.should_retry, 1 <= (error.retry_after or 0) <= stage.window_seconds + 1) == (True, True)
            await world.stage.sleep(chance.choice((0.0, 0.0, 0.013, 0.4)) * stage.window_seconds / 60)

    tell(stage, story, rpm=7)


def lone_client_that_waits_gets_its_tokens(stage: Stage) -> None:
    """The same holds of tokens, of calls of any size."""
    chance = random.Random(3)

    async def story(world: World) -> None:
        for _ in range(stage.many // 50 + 1):
            size = chance.choice((1, 30, 400, 900))
            await world.patient(Usage(size, 5), input_tokens=size, stream=True)
            await world.stage.sleep(chance.choice((0.0, 0.0, 0.013, 0.4)) * stage.window_seconds / 60)

    tell(stage, story, tpm=1_000)


def no_window_has_more_than_the_limit_and_pressure_reaches_it(stage: Stage) -> None:
    """At random arrivals, many in bursts: no sliding window has more, and in all at least 99 % of what an exact log lets in is let in."""
    window = stage.window_seconds
    for seed, pressure in enumerate((0.7, 1.0, 1.3, 3, 30)):
        chance = random.Random(seed)
        let_in: list[float] = []
        by_log: list[float] = []

        async def story(
            world: World,
            chance: random.Random = chance,
            mean: float = window / 100 / pressure,
            let_in: list[float] = let_in,
            by_log: list[float] = by_log,
        ) -> None:
            for _ in range(max(world.stage.many, round(window / mean * 1.2))):
                now = world.stage.now()
                if len(by_log) < 100 or by_log[-100] <= now - window:
                    by_log.append(now)
                try:
                    (await world.call()).release(ANSWER)
                    let_in.append(world.stage.now())
                except ApiError:
                    pass
                await world.stage.sleep(0 if chance.random() < 0.8 else chance.expovariate(0.2 / mean))

        tell(stage, story, rpm=100)
        most = max(bisect_right(let_in, first + window - 1e-5) - place for place, first in enumerate(let_in))
        assert most <= 100
        assert len(let_in) >= 0.99 * len(by_log) > 100


def who_waits_in_line_is_seldom_refused_again(stage: Stage) -> None:
    """64 clients share a limit, call after call, and wait as they are told: a fifth is refused again at 60 a minute, 2 % at 600."""
    for limit, minutes, again_max in ((60, 8, 0.20), (600, 4, 0.02)):
        tries = Counter[bool]()  # of those who had waited: whether they were refused again

        async def story(world: World, minutes: int = minutes, tries: Counter[bool] = tries) -> None:
            chance, began = random.Random(4), world.stage.now()
            arrivals = [(began + chance.random(), client, False) for client in range(64)]
            heapify(arrivals)
            while arrivals[0][0] < began + minutes * world.stage.window_seconds:
                when, client, waited = heappop(arrivals)
                await world.stage.sleep(max(0.0, when - world.stage.now()))
                lease, error = await world.tried()
                tries[error is not None] += waited
                late = chance.uniform(0.0005, 0.003)  # its timer, and the network
                if lease is not None:
                    lease.release(ANSWER)
                wait = chance.uniform(0.5, 1.5) if error is None else float(error.retry_after or 0)
                heappush(arrivals, (when + wait + late, client, error is not None))

        tell(stage, story, rpm=limit)
        assert tries.total() > 64, tries
        assert tries[True] <= again_max * tries.total(), tries


def each_in_a_line_is_told_a_wait_of_his_own(stage: Stage) -> None:
    """[issue 13] As far as waits are told, a minute, however short the window is: of one of 5 seconds, too, the tenth is told some 50."""

    async def story(window: float) -> None:
        limits = Limits(default_tier="t", tiers={"t": Tier(rpm=1)}, window_seconds=window)
        world = World(stage, await stage.open(limits, {}), {"one": key_of("one")})
        (await world.call()).release(ANSWER)
        for turn in range(1, 11):
            wait = (await world.refused()).retry_after
            assert wait is not None
            assert turn * window <= wait <= turn * (window + LINE_MICROS // BUCKETS / MICROS) + 1

    for window in (1.0, 5.0):
        stage.run(story(window))


def a_refused_call_takes_nothing(stage: Stage) -> None:
    """However often it is tried: what is left stays what it was, and a call that fits still goes."""

    async def story(world: World) -> None:
        (await world.call(input_tokens=900, stream=True)).release(Usage(900, 0))
        before = world.told()
        for _ in range(5):
            await world.refused(input_tokens=500, stream=True)
        after = world.told()
        assert {name: after[name] for name in ("remaining-requests", "remaining-tokens")} == {
            name: before[name] for name in ("remaining-requests", "remaining-tokens")
        }
        (await world.call(input_tokens=50, stream=True)).release(ANSWER)

    tell(stage, story, rpm=60, tpm=1_000)


def a_call_larger_than_the_limit_is_not_to_be_tried_again(stage: Stage) -> None:
    """No wait cures it, and it keeps nobody else waiting."""

    async def story(world: World) -> None:
        for call in ({"input_tokens": 1_001, "stream": True}, {"input_tokens": 10, "max_tokens": 995}, {"max_tokens": 500, "n": 2}):
            error = await world.refused(**call)
            assert (error.should_retry, error.retry_after) == (False, None)
            assert "1,000" in error.message
        (await world.call(input_tokens=990, stream=True)).release(ANSWER)
        stream = await world.refused(input_tokens=995, stream=True)
        assert "Shorten it, or set" in stream.message
        assert "ask for a stream" not in stream.message
        (await world.call(input_tokens=5, stream=True, max_tokens=3)).release(ANSWER)

    tell(stage, story, tpm=1_000)


def what_a_call_did_not_use_is_given_back(stage: Stage) -> None:
    """What it really used counts, more or less than it was taken for, from when it began; a call that failed used nothing."""

    async def story(world: World) -> None:
        lease = await world.call(input_tokens=100, max_tokens=300)
        assert world.told()["remaining-tokens"] == 600
        lease.release(Usage(80, 20))
        assert world.told()["remaining-tokens"] == 900
        (await world.call(input_tokens=100, max_tokens=300)).release(NOTHING)
        assert world.told()["remaining-tokens"] == 900
        (await world.call(input_tokens=100, max_tokens=300)).release(Usage(100, 700))  # it thought for longer than anybody asked
        assert world.told()["remaining-tokens"] == 100
        (await world.call(input_tokens=10, stream=True)).release(Usage(0, 3))  # nobody said what its input was
        assert world.told()["remaining-tokens"] == 87

    tell(stage, story, tpm=1_000)


def what_a_call_used_counts_as_soon_as_it_is_known(stage: Stage) -> None:
    """[contract 5] Before a document is sent, so that its head tells what is left; its place in flight is taken until it ends."""

    async def story(world: World) -> None:
        limit = world.told()["limit-tokens"]
        lease = await world.call(input_tokens=100, max_tokens=300)
        assert world.told()["remaining-tokens"] == limit - 400
        for used, left in ((Usage(80, 20), limit - 100), (Usage(100, 700), limit - 900)):
            lease.correct(used)
            lease.correct(used)
            assert world.told()["remaining-tokens"] == left
            assert "in flight" in (await world.refused()).message
            lease.release(used)
            lease = await world.call(input_tokens=100)
            assert world.told()["remaining-tokens"] < left
            lease.correct(NOTHING)
            lease.release(NOTHING)
            assert world.told()["remaining-tokens"] == left
            lease = await world.call(input_tokens=50, max_tokens=10)

    tell(stage, story, tpm=2_000, concurrency=1)


def a_stream_ends_where_its_tokens_do(stage: Stage) -> None:
    """It takes more as it runs, to the last one that there is, and what it has not used of its last step is there for others."""

    async def story(world: World) -> None:
        lease = await world.call(input_tokens=400, stream=True)
        sent = 0
        ended: ApiError | None = None
        while ended is None:
            try:
                if sent + 7 > lease.covered and (waiting := lease.cover(sent + 7)) is not None:
                    await waiting
                sent += 7
            except ApiError as error:
                ended = error
        assert ended.code == "rate_limit_exceeded"
        assert sent == 595  # 85 pieces of 7; the 86th would have been one too many
        lease.release(Usage(400, sent))
        assert world.told()["remaining-tokens"] == 5

    tell(stage, story, tpm=1_000)


async def streamed(lease: Lease, pieces: int, *, of: int = 7) -> tuple[int, ApiError | None]:
    """Send so many pieces of a stream, as far as its tokens allow; return the tokens that were sent, and what ended it before."""
    sent = 0
    for _ in range(pieces):
        try:
            if sent + of > lease.covered and (waiting := lease.cover(sent + of)) is not None:
                await waiting
        except ApiError as error:
            return sent, error
        sent += of
    return sent, None


def who_waits_as_a_stream_was_told_that_ended_gets_in(stage: Stage) -> None:
    """[fault P1] A call like the one that its tokens ended, be it long or short: what it is told is enough for that, not for one token."""

    async def story(world: World) -> None:
        for input_tokens, used in ((400, 100), (20, 900), (700, 100)):
            (await world.call(input_tokens=used, stream=True)).release(Usage(used, 0))
            await world.stage.sleep(world.stage.window_seconds / 3)
            lease = await world.call(input_tokens=input_tokens, stream=True)
            sent, ended = await streamed(lease, 1_000)
            assert ended is not None
            lease.release(Usage(input_tokens, sent))
            await world.stage.sleep(ended.retry_after or 0)
            (await world.call(input_tokens=input_tokens, stream=True)).release(NOTHING)
            await world.stage.sleep(world.stage.window_seconds * 1.1)

    tell(stage, story, tpm=1_000)


def a_limit_that_is_taken_away_ends_no_stream(stage: Stage) -> None:
    """[fault S17] Tokens, with calls still limited: what runs goes on, without more limits than others have from then on.

    And with those that they have again, if the limit is there again.
    """

    async def story(world: World) -> None:
        *leases, other = [await world.call(input_tokens=100, stream=True) for _ in range(3)]
        assert await streamed(leases[0], 20) == (140, None)
        left, before = [
            Limits(default_tier="t", tiers={"t": tier}, window_seconds=world.stage.window_seconds)
            for tier in (Tier(rpm=60), Tier(rpm=60, tpm=1_000))
        ]
        for limits, pieces, ends in ((left, 200, False), (before, 600, True), (left, 600, False)):
            cast("MemoryAdmission", world.admission).configure(limits)
            for _ in leases:  # from the next call on, which each process has to see
                (await world.call()).release(ANSWER)
            assert ((await streamed(other, pieces))[1] is not None) == ends
        other.release(Usage(100, 4_200))
        for lease in leases:
            assert await streamed(lease, 1_000) == (7_000, None)
            lease.release(Usage(100, 7_000))
        (await world.call()).release(ANSWER)

    tell(stage, story, rpm=60, tpm=1_000)


def the_last_limit_that_is_taken_away_ends_no_stream(stage: Stage) -> None:
    """[fault S17] Of a key, an account or an address that has no limit of any kind from then on; it had that of before until the end."""

    async def story(world: World) -> None:
        first, other = [await world.call(address="192.0.2.1", input_tokens=100, stream=True) for _ in range(2)]
        assert await streamed(first, 20) == (140, None)
        unlimited = Limits(default_tier="t", tiers={"t": Tier()}, window_seconds=world.stage.window_seconds)
        cast("MemoryAdmission", world.admission).configure(unlimited)
        for _ in range(2):  # from the next call on, which each process has to see
            (await world.call(address="192.0.2.1")).release(ANSWER)
        for lease in (first, other):
            assert await streamed(lease, 1_000) == (7_000, None)
            lease.release(Usage(100, 7_000))
        assert world.told() == {}

    tell(stage, story, tpm=1_000)
    tell(stage, story, account=AccountRates(tpm=1_000))
    tell(stage, story, address=AddressRates(tpm=1_000))


def tokens_are_within_a_step_of_the_limit(stage: Stage) -> None:
    """Many streams at once use no more than the limit together, and what is left in the end is less than one step for each."""
    chance = random.Random(5)

    async def story(world: World) -> None:
        sent = [0] * 8

        async def stream(which: int) -> None:
            lease = await world.call(input_tokens=20, stream=True)
            try:
                while True:
                    piece = chance.randrange(1, 9)
                    if sent[which] + piece > lease.covered and (waiting := lease.cover(sent[which] + piece)) is not None:
                        await waiting
                    sent[which] += piece
                    await world.stage.sleep(chance.random() * world.stage.window_seconds / 4_000)
            except ApiError:
                lease.release(Usage(20, sent[which]))

        await asyncio.gather(*[stream(which) for which in range(8)])
        assert 3_000 - 8 * 30 < sum(sent) + 8 * 20 <= 3_000

    tell(stage, story, tpm=3_000)


def calls_in_flight_are_leases(stage: Stage) -> None:
    """So many at the same time and no more; the end of one, however it ended, is the place of another."""

    async def story(world: World) -> None:
        leases = [await world.call() for _ in range(3)]
        error = await world.refused()
        assert error.should_retry is True
        assert error.retry_after is not None
        for _ in range(20):
            leases.pop(0).release(NOTHING)
            leases.append(await world.call())
            await world.refused()

    tell(stage, story, concurrency=3)


def who_waits_for_a_call_that_goes_on_is_told_twice_as_long_each_time(stage: Stage) -> None:
    """[issue 13] Nobody knows when it ends: "2" was told each time, and was wrong each time. Never much longer than it has run for."""

    async def story(world: World) -> None:
        for _ in range(2):
            running, began = [await world.call(stream=True) for _ in range(2)], world.stage.now()
            waits: list[int] = []
            while world.stage.now() < began + 300:
                error = await world.refused()
                waits.append(error.retry_after or 0)
                assert waits[-1] <= max(world.stage.now() - began, 2) + 2
                await world.stage.sleep(waits[-1])
            assert waits == sorted(waits)
            assert (waits[0] <= 2, waits[-2:], len(waits) <= 11) == (True, [60, 60], True), waits
            for lease in running:
                lease.release(NOTHING)
            for _ in range(30):  # as long as the last ones were
                (await world.call()).release(NOTHING)

    tell(stage, story, concurrency=2)


def an_account_bounds_its_keys_together(stage: Stage) -> None:
    """Whoever makes another key has no more calls by that; another account has its own."""

    async def story(world: World) -> None:
        for name in ("one", "two", "one", "two"):
            (await world.call(name)).release(ANSWER)
        assert "account" in (await world.refused("one")).message
        await world.refused("two")
        assert world.told("two")["remaining-requests"] == 0
        (await world.call("other")).release(ANSWER)

    other = Key("other", "other", b"", "", "active", 0, account="other")
    keys = {"one": key_of("one"), "two": key_of("two"), "other": other}
    tell(stage, story, keys=keys, rpm=3, account=AccountRates(rpm=4))


def an_address_is_bounded_with_all_of_its_keys(stage: Stage) -> None:
    """Of IPv6 a whole network is one client, which can choose the rest of its address; a client whose address is not known is none."""

    async def story(world: World) -> None:
        for name, address in (("one", "2001:db8::1"), ("two", "2001:db8::ffff:2")):
            (await world.call(name, address=address)).release(ANSWER)
        assert "address" in (await world.refused("one", address="2001:db8::3")).message
        for address in ("2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", ""):
            (await world.call("one", address=address)).release(ANSWER)
        await world.refused("two", address="192.0.2.1")
        assert world.told() == {}

    tell(stage, story, keys={"one": key_of("one"), "two": key_of("two")}, address=AddressRates(rpm=2))


def a_key_can_only_have_less_than_its_tier(stage: Stage) -> None:
    """Its own limits count where they are lower, and nothing raises the tier's."""

    async def story(world: World) -> None:
        assert world.told("less")["limit-requests"] == 2
        assert world.told("more")["limit-requests"] == 5
        assert world.told("less")["limit-tokens"] == 9_000

    tell(stage, story, keys={"less": key_of("less", rpm=2), "more": key_of("more", rpm=50, tpm=99_999)}, rpm=5, tpm=9_000)


def headers_tell_what_is_left_and_when_all_is_free(stage: Stage) -> None:
    """`Reset` is a UNIX second in which the whole limit is there again; the short names are those of calls."""

    async def story(world: World) -> None:
        assert world.told()["remaining"] == 9
        (await world.call(input_tokens=30)).release(Usage(30, 12))
        told = world.told()
        assert (told["limit"], told["remaining"], told["limit-requests"], told["remaining-requests"]) == (9, 8, 9, 8)
        assert (told["limit-tokens"], told["remaining-tokens"], told["reset"]) == (5_000, 4_958, told["reset-requests"])
        assert 0 <= told["reset"] - world.stage.now() - world.stage.window_seconds <= 1.1
        await world.stage.sleep(told["reset"] - world.stage.now())
        assert (world.told()["remaining"], world.told()["remaining-tokens"]) == (9, 5_000)

    tell(stage, story, rpm=9, tpm=5_000)


CLAIMS = (
    lone_client_that_waits_gets_in,
    lone_client_that_waits_gets_its_tokens,
    no_window_has_more_than_the_limit_and_pressure_reaches_it,
    who_waits_in_line_is_seldom_refused_again,
    each_in_a_line_is_told_a_wait_of_his_own,
    a_refused_call_takes_nothing,
    a_call_larger_than_the_limit_is_not_to_be_tried_again,
    what_a_call_did_not_use_is_given_back,
    what_a_call_used_counts_as_soon_as_it_is_known,
    a_stream_ends_where_its_tokens_do,
    who_waits_as_a_stream_was_told_that_ended_gets_in,
    a_limit_that_is_taken_away_ends_no_stream,
    the_last_limit_that_is_taken_away_ends_no_stream,
    tokens_are_within_a_step_of_the_limit,
    calls_in_flight_are_leases,
    who_waits_for_a_call_that_goes_on_is_told_twice_as_long_each_time,
    an_account_bounds_its_keys_together,
    an_address_is_bounded_with_all_of_its_keys,
    a_key_can_only_have_less_than_its_tier,
    headers_tell_what_is_left_and_when_all_is_free,
)
