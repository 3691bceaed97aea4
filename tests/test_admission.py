"""The limits on rates: what every admission keeps, and what the one in memory does beside it."""

from __future__ import annotations

import asyncio
import heapq
import json
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from admission_contract import CLAIMS, Stage, World, key_of
from aisa.admission.allowance import Allowance
from aisa.admission.line import PLACES_MAX
from aisa.admission.memory import ADDRESSES_MAX, MemoryAdmission
from aisa.admission.refusals import seconds_of
from aisa.admission.rules import MICROS, output_guessed
from aisa.admission.window import BUCKETS, Window
from aisa.clock import wall_clock
from aisa.config.limits import AddressRates, Limits, Tier
from aisa.config.schema import Model, Prices
from aisa.edge.idempotency import IdempotencyStore
from aisa.facts import Fact
from aisa.keys.rules import Key
from aisa.ledger.holds import CALLS_MIN
from aisa.ledger.wallets import Wallet
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.chat_door import CHAT_DOOR
from faults_rig import gateway, post
from rig import (
    DONE,
    MemoryClient,
    Rig,
    Script,
    ScriptedUpstream,
    body,
    chunk,
    content_of,
    document,
    events_of,
    text,
    usage,
    whole_stream,
)
from test_edge import GOOD, get, head_of
from test_idempotency import home_with

LIMITED = Limits(default_tier="t", tiers={"t": Tier(rpm=9)}, address=AddressRates(rpm=9))


class MemoryStage:
    """One process, with a clock that goes on only when it is told to."""

    window_seconds = 60.0
    many = 20_000

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run to the end."""
        asyncio.run(main)

    async def open(self, limits: Limits, tiers: Mapping[str, str]) -> MemoryAdmission:
        """Return an empty one."""
        return MemoryAdmission(limits, tiers, wall_clock=self.now, micros=lambda: round(self.seconds * MICROS))

    def now(self) -> float:
        """Return the time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move the clock on."""
        self.seconds += seconds
        await asyncio.sleep(0)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.__name__ for claim in CLAIMS])
@pytest.mark.parametrize("stage", [MemoryStage()], ids=["memory"])
def test_an_admission_keeps_its_contract(stage: Stage, claim: Callable[[Stage], None]) -> None:
    """Each claim says in its own docstring what that is."""
    claim(stage)


def calls_in_line(limit: int, clients: int, *, minutes: int = 20, begin_seconds: int = 1, seed: int = 4) -> tuple[int, int, int]:
    """Let so many clients share a limit, each with calls of about a second, one behind the other, and waits as they are told.

    They begin within so many seconds.

    Return how many waits there were, how many of those who waited were refused again, and how many calls were made.
    """
    chance, window = random.Random(seed), Window(limit, 60 * MICROS)
    arrivals = [(chance.randrange(begin_seconds * MICROS), client, False) for client in range(clients)]
    heapq.heapify(arrivals)
    waited = again = made = 0
    while arrivals:
        now, client, has_waited = heapq.heappop(arrivals)
        if now > minutes * 60 * MICROS:
            break
        waited += has_waited
        late = chance.randrange(500, 3_000)  # of its timer and the network
        if window.left(now) >= 1:
            window.add(now, 1)
            made += 1
            heapq.heappush(arrivals, (now + round(chance.uniform(0.5, 1.5) * MICROS) + late, client, False))
        else:
            again += has_waited
            told = seconds_of(window.take_place(now, 1) - now)
            heapq.heappush(arrivals, (now + told * MICROS + late, client, True))
    return waited, again, made


@pytest.mark.parametrize(("limit", "clients", "again_max"), [(60, 64, 0.20), (600, 64, 0.02), (60, 8, 0.10), (3_000, 500, 0.05)])
def test_who_waits_in_line_is_seldom_refused_again(limit: int, clients: int, again_max: float) -> None:
    """[issue 13] Told the same moment, all would come back together, and all but one in vain. The limit is used up all the same."""
    waited, again, made = calls_in_line(limit, clients)
    assert waited > clients
    assert again <= again_max * waited
    assert made >= 0.99 * limit * 20


@pytest.mark.parametrize("begin_seconds", [5, 10, 60])
@pytest.mark.parametrize(("limit", "clients", "again_max"), [(60, 64, 0.12), (600, 64, 0.06), (60, 8, 0.02)])
def test_what_becomes_free_for_who_waits_is_kept_for_him(limit: int, clients: int, again_max: float, begin_seconds: int) -> None:
    """[issue 13] Clients that did not all begin at once took it from each other by their next calls: half of the waits were vain."""
    for seed in range(3):
        waited, again, made = calls_in_line(limit, clients, begin_seconds=begin_seconds, seed=seed)
        assert waited > clients
        assert again <= again_max * waited
        assert made >= 0.99 * limit * (20 - begin_seconds / 60)


@pytest.mark.parametrize("pause_micros", [3_000, 50_000, 300_000, 2_000_000])
@pytest.mark.parametrize(("limit", "span"), [(6, 60), (60, 60), (600, 60), (60, 5), (10, 5)])
def test_what_is_kept_for_who_waits_leaves_nothing_of_a_limit_unused(limit: int, span: int, pause_micros: int) -> None:
    """[issue 13] Sixteen clients that wait as they like, whatever they are told: at least 99 % of the limit are reached."""
    chance, window = random.Random(limit), Window(limit, span * MICROS)
    arrivals = [(chance.randrange(MICROS), client) for client in range(16)]
    heapq.heapify(arrivals)
    made, ends = list[int](), 8 * span * MICROS
    while arrivals[0][0] < ends:
        now, client = heapq.heappop(arrivals)
        if window.left(now) >= 1:
            window.add(now, 1)
            made.append(now)
        else:
            window.take_place(now, 1)
        heapq.heappush(arrivals, (now + round(chance.uniform(0.5, 1.5) * pause_micros), client))
    assert all(later - first >= span * MICROS for first, later in zip(made, made[limit:], strict=False))
    possible = min(limit * 8, round(16 * ends / pause_micros))
    assert len(made) >= 0.99 * possible


def test_a_stream_that_runs_takes_what_is_kept_for_who_waits() -> None:
    """What has begun is not ended for a call that has not: only what begins leaves to others what they were told to come for."""
    window = Window(10, 60 * MICROS)
    window.add(0, 10)
    assert window.take_place(600_000, 4) == 60_600_000
    assert (window.left(60 * MICROS), window.unused(60 * MICROS)) == (6, 10)
    assert (window.left(60_600_000), window.unused(60_600_000)) == (10, 10)


def test_a_line_and_a_window_need_little_memory_however_many_come() -> None:
    """The line has an end, and use is kept by buckets, not by calls."""
    window = Window(1_000_000, 60 * MICROS)
    for now in range(0, 600 * MICROS, 9_973):
        window.add(now, 1)
        assert len(window._times) <= BUCKETS + 1
    window.limit = window.used
    last = [window.take_place(600 * MICROS, 1) for _ in range(5 * PLACES_MAX)][-1]
    assert window._line is not None
    assert len(window._line._places) == PLACES_MAX
    assert last <= 661 * MICROS


def test_quiet_keys_and_addresses_are_forgotten() -> None:
    """A client that changes its address with every call does not fill the memory, nor do keys that called once."""
    stage = MemoryStage()

    async def main() -> None:
        admission = MemoryAdmission(LIMITED, {}, wall_clock=stage.now, micros=lambda: round(stage.seconds * MICROS))
        for number in range(3_000):
            key = Key(f"key_{number}", "k", b"", "", "active", 0, account="acme")
            lease = await World(stage, admission, {"one": key}).call(address=f"2001:db8:0:{number:x}::1")
            lease.release(Usage(10, 5))
            stage.seconds += 1.0
        assert len(admission._keys) < 150
        assert len(admission._addresses) < 150

    asyncio.run(main())


def test_more_addresses_than_can_be_kept_are_told_once_a_minute() -> None:
    """They are limited by their keys alone meanwhile, and the operator hears of it."""
    stage, heard = MemoryStage(), list[Fact]()

    async def main() -> None:
        admission = MemoryAdmission(LIMITED, {}, wall_clock=stage.now, micros=lambda: round(stage.seconds * MICROS), report=heard.append)
        for number in range(ADDRESSES_MAX):
            admission._addresses._items[str(number)] = Allowance("Your address")
        world = World(stage, admission, {"one": key_of("one")})
        for _ in range(3):
            (await world.call(address="192.0.2.1")).release(Usage(10, 5))
        assert len(heard) == 1
        stage.seconds += 60
        (await world.call(address="192.0.2.1")).release(Usage(10, 5))
        assert len(heard) == 2

    asyncio.run(main())


def test_another_tier_and_other_limits_count_from_the_next_call_on() -> None:
    """What was used stays used, in whatever is lowered or raised, and a lease of before ends as it began."""
    stage, tiers = MemoryStage(), dict[str, str]()

    async def main() -> None:
        limits = Limits(tiers={"few": Tier(rpm=3, concurrency=2), "more": Tier(rpm=5)})
        admission = MemoryAdmission(limits, tiers, wall_clock=stage.now, micros=lambda: round(stage.seconds * MICROS))
        world = World(stage, admission, {"one": key_of("one")})
        (await world.call()).release(Usage())
        assert world.told() == {}
        tiers["acme"] = "few"
        leases = [await world.call(), await world.call()]
        assert "in flight" in (await world.refused()).message
        tiers["acme"] = "more"
        assert world.told()["remaining-requests"] == 3
        leases.pop().release(Usage())
        admission.configure(Limits(tiers={"more": Tier(rpm=2)}))
        assert world.told()["remaining-requests"] == 0
        await world.refused()
        del tiers["acme"]
        leases.pop().release(Usage())
        (await world.call()).release(Usage())

    asyncio.run(main())


def test_a_tier_that_the_configuration_has_lost_is_not_unlimited() -> None:
    """An account in it has the lowest limits that there are, until somebody says otherwise."""
    stage = MemoryStage()

    async def main() -> None:
        admission = MemoryAdmission(Limits(), {"acme": "gone"}, wall_clock=stage.now, micros=lambda: 0)
        assert World(stage, admission, {"one": key_of("one")}).told()["limit-requests"] == 60

    asyncio.run(main())


def limited_rig(script: list[Any], *, status: int = 200, **tier: Any) -> Rig:
    """A rig whose keys have this tier."""
    rig = Rig(ScriptedUpstream(Script(script, status)), prices=Prices(input=1, output=2))
    rig.dependencies.admission = MemoryAdmission(
        Limits(default_tier="t", tiers={"t": Tier(**tier)}), {}, wall_clock=lambda: 1_800_000_000.0
    )
    return rig


def test_a_limit_that_is_reached_inside_a_stream_ends_it_with_an_error_event() -> None:
    """[contract 5] What was sent is billed and counted, nothing that pretends success follows, and the headers told of the limit.

    When it is worth while to come again stands in the event's words: it has no header of its own.
    """
    client = MemoryClient()
    rig = limited_rig([*text(*["word "] * 80), chunk({}, "stop"), usage(9, 80), DONE], tpm=50, rpm=9)
    run_virtual(rig.call(client, body(stream=True)))
    row = rig.rows[0]
    error = events_of(client.body)[-1]["error"]
    assert (error["code"], error["message"].endswith(", and has used them. Try again in 60 s.")) == ("rate_limit_exceeded", True)
    assert b"[DONE]" not in client.body
    assert (row.outcome, row.error_code) == ("cut", "rate_limit_exceeded")
    assert row.billed.output_tokens == content_of(client.body).count("word") == 50 - row.billed.input_tokens
    assert (client.headers["x-ratelimit-limit-tokens"], client.headers["x-ratelimit-remaining-requests"]) == ("50", "8")


def test_a_document_tells_what_is_left_once_it_is_known_what_it_used() -> None:
    """[contract 5] Its head had what was held for it: 4,096 tokens fewer than were left right after."""
    rig = limited_rig([document()], tpm=20_000)
    client = MemoryClient()

    async def main() -> None:
        await rig.call(client, body())
        told = World(MemoryStage(), rig.dependencies.admission, {"one": rig.key}).told()
        assert client.headers["x-ratelimit-remaining-tokens"] == str(told["remaining-tokens"])

    run_virtual(main())
    row = rig.rows[0]
    assert client.headers["x-ratelimit-remaining-tokens"] == str(20_000 - row.billed.input_tokens - row.billed.output_tokens)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_call_that_its_vendor_failed_tells_of_no_tokens_that_it_only_held(status: int, streamed: bool) -> None:
    """[contract 5] It has used none of the 900 that it asked for: they are there for whoever reads its head and calls next."""
    refused = json.dumps({"error": {"message": "no", "type": "server_error"}}).encode()
    rig = limited_rig([refused], status=status, tpm=1_000, rpm=9)
    client = MemoryClient()
    run_virtual(rig.call(client, body(stream=streamed, max_tokens=900)))
    assert client.status >= 400
    assert (client.headers["x-ratelimit-remaining-tokens"], client.headers["x-ratelimit-remaining-requests"]) == ("1000", "8")


def test_a_document_without_a_bound_takes_what_answers_of_its_targets_have_once_that_is_known() -> None:
    """[issue 13] Until then a quarter of a small limit, so that others are let in beside it; a model's own word and bound come first."""
    rig = limited_rig([document()], tpm=1_000)
    admission = rig.dependencies.admission
    assert isinstance(admission, MemoryAdmission)
    admission.expect(rig.ledger.usual)
    world = World(MemoryStage(), admission, {"one": rig.key})

    async def main() -> None:
        lease = await world.call(input_tokens=10)
        assert world.told()["remaining-tokens"] == 1_000 - 10 - 990 // 4
        lease.release(Usage())
        for _ in range(CALLS_MIN):
            assert world.told()["remaining-tokens"] > 900 - CALLS_MIN * 12
            await rig.call(MemoryClient(), body())
        before = world.told()["remaining-tokens"]
        leases = [await world.call(input_tokens=10), await world.call(input_tokens=10, n=2)]
        assert world.told()["remaining-tokens"] == before - (10 + 3) - (10 + 2 * 3)
        for lease in leases:
            lease.release(Usage(10, 3))
        assert world.told()["remaining-tokens"] == before - 2 * 13
        asked = CHAT_DOOR.read(body())
        known = (({}, 3), ({"hold_output_tokens": 40}, 40), ({"max_output_tokens": 2}, 2), ({"hold_output_tokens": 9_000}, 500))
        for settings, taken in known:
            assert output_guessed(asked, Model(to=("a/m",), **settings), 500, usual=3) == taken
        for settings, tokens_max, taken in (({"max_output_tokens": 80}, 500, 80), ({}, 500, 125), ({}, 2, 1), ({}, 90_000, 4_096)):
            assert output_guessed(asked, Model(to=("a/m",), **settings), tokens_max, usual=None) == taken

    run_virtual(main())


@pytest.mark.parametrize("streamed", [True, False])
def test_a_refused_call_costs_vendor_and_wallet_nothing(streamed: bool) -> None:
    """The vendor is not asked, nothing is held or written, and the answer says when to come and what the limits are."""
    rig = limited_rig(whole_stream("a") if streamed else [document()], rpm=1)
    wallet = rig.ledger.wallets["default"] = Wallet("default", 10**9)
    first, second = MemoryClient(), MemoryClient()

    async def main() -> None:
        await rig.call(first, body(stream=streamed))
        balance = wallet.balance
        await rig.call(second, body(stream=streamed))
        assert (wallet.balance, wallet.held) == (balance, 0)

    run_virtual(main())
    assert (first.status, second.status, len(rig.rows)) == (200, 429, 1)
    headers = second.headers
    assert (headers["retry-after"], headers["x-should-retry"], headers["x-ratelimit-remaining"]) == ("60", "true", "0")
    assert int(headers["x-ratelimit-reset"]) == 1_800_000_060


def test_a_key_has_its_limits_told_on_every_answer() -> None:
    """[contract 5] Lists, refusals of every kind, good answers; a request without a key is told of none."""
    good = [post(body()), get("/v1/models"), get("/v1/models/fast")]
    bad = [post(b"{"), post(body(model="none")), get("/v9"), get("/v1/models", method="PUT"), post(body(), "content-type: text/plain")]
    bad.append(head_of("/v1/chat/completions", "content-type: application/json", "content-length: 99999999"))

    async def main() -> None:
        async with gateway(GOOD) as home:
            limits = Limits(default_tier="t", tiers={"t": Tier(rpm=9, tpm=9_000)})
            home.dependencies.admission = MemoryAdmission(limits, {}, wall_clock=lambda: 0.0)
            for request in good + bad:
                reply = await home.ask(request)
                assert (reply.status == 200) == (request in good)
                assert reply.header("x-ratelimit-limit-tokens") == "9000"
                assert {reply.header(f"x-ratelimit-{name}") for name in ("remaining", "remaining-requests")} == {"8"}
            reply = await home.ask(get("/v1/models", key=None))
            assert (reply.status, reply.header("x-ratelimit-limit")) == (401, None)

    run_virtual(main())


def test_a_replayed_answer_tells_of_the_limits_and_takes_nothing_of_them() -> None:
    """[contract 5] It was made once, so it counts once."""

    async def main() -> None:
        async with home_with(IdempotencyStore(wall_clock), GOOD) as home:
            limits = Limits(default_tier="t", tiers={"t": Tier(rpm=9, tpm=9_000)})
            home.dependencies.admission = MemoryAdmission(limits, {}, wall_clock=lambda: 0.0)
            replies = [await home.ask(post(body(), "idempotency-key: order-7")) for _ in range(2)]
            assert [reply.status for reply in replies] == [200, 200]
            assert replies[1].header("idempotent-replayed") == "true"
            assert {reply.header("x-ratelimit-remaining-requests") for reply in replies} == {"8"}

    run_virtual(main())
