"""What happens when a target fails before the first piece: who is asked next and when, what the caller is told, what it costs whom."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.route import Route
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.errors import CALLER, OPERATOR, ApiError, KeyRefused, UpstreamFailed
from aisa.facts import TargetHealth
from aisa.health import FAILURES_TO_BENCH, PROBE_SECONDS, Health
from aisa.http.failures import unreachable
from aisa.keys.rules import Key
from aisa.ledger.journal_record import opening_record
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.prices.rules import Price, PriceList, Term
from aisa.pricing import unit_prices
from aisa.providers.port import UpstreamRequest
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.testing.upstream import ScriptedAnswer
from aisa.tries import BACKOFF_SECONDS, JITTER_MIN, Tries
from aisa.wire.chat import parse_chat
from repeats import repeats
from rig import Break, MemoryClient, Rig, Script, ScriptedUpstream, Stall, body, chunk, content_of, document, event, text, whole_stream

OK = Script(whole_stream("a", "b"))
PLAIN = Script([document()])
BUSY = Script([b"{}"], status=503)


def limited(seconds: float) -> Script:
    """A refusal that names a wait."""
    return Script([b"{}"], status=429, headers={"retry-after": f"{seconds}"})


class Timed(ScriptedUpstream):
    """Notes when it is asked, in the loop's seconds."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(*scripts)
        self.times: list[float] = []

    async def ask(self, request: UpstreamRequest) -> ScriptedAnswer:
        """Take a request."""
        self.times.append(asyncio.get_running_loop().time())
        return await super().ask(request)


class Made:
    """One call to `fast` at vendors a, b and so on, each with its scripts; and what came of it."""

    def __init__(self, *scripts: list[Script], stream: bool = True, client: MemoryClient | None = None, **options: Any) -> None:
        self.client = client or MemoryClient()
        self.upstreams = [Timed(*each) for each in scripts]

        async def main() -> None:
            self.rig = Rig(*self.upstreams, **options)
            await self.rig.call(self.client, body(stream=stream))
            self.took = asyncio.get_running_loop().time()

        run_virtual(main())

    @property
    def asked(self) -> list[int]:
        """How often each vendor was asked."""
        return [len(upstream.requests) for upstream in self.upstreams]

    @property
    def row(self) -> CallRow:
        """The call's row."""
        [row] = self.rig.rows
        return row

    @property
    def told(self) -> tuple[str | None, str | None]:
        """Who served, and at which attempt, as the client was told."""
        return self.client.headers.get("x-aisa-served-by"), self.client.headers.get("x-aisa-attempts")


@pytest.mark.parametrize(("stream", "good"), [(True, OK), (False, PLAIN)])
def test_every_answer_says_who_served_it_and_at_which_attempt(stream: bool, good: Script) -> None:
    """Of a failed call nobody served, and the attempts are told."""
    assert Made([good], stream=stream).told == ("a/some-model", "1")
    assert Made([BUSY], [good], stream=stream).told == ("b/some-model", "2")
    failed = Made([BUSY], [BUSY], stream=stream)
    assert (failed.client.status, *failed.told) == (503, None, "2")


def test_a_head_that_left_before_the_first_piece_names_nobody() -> None:
    """Who is being asked then need not be the one that serves."""
    made = Made([Script([Stall(20), *text("a"), Break()])], [OK], stream=True)
    assert made.client.status == 200
    assert made.told == (None, None)


@pytest.mark.parametrize("path", ["/srv/models/x", "C:\\x"])
def test_a_path_on_a_vendors_machine_is_not_told(path: str) -> None:
    """The vendor's name is enough."""
    routes = Routes(Config(vendors={"a": Vendor(base_url="http://a.example/v1")}, models={"m": Model(to=(f"a/{path}",))}))
    assert routes.find("m").offers[0].shown == "a"


def test_a_target_without_a_first_token_in_time_is_left_for_the_next() -> None:
    """After the model's own time; what it sends later is nobody's, and its connection is closed."""
    made = Made([Script([Stall(20), *whole_stream("late")])], [OK], route=Route(first_token_seconds=2))
    assert content_of(made.client.body) == "ab"
    assert (round(made.took, 1), made.told, made.upstreams[0].open) == (2, ("b/some-model", "2"), 0)


def test_a_bare_opening_is_no_first_token() -> None:
    """[contract 2.11] A vendor that only opens its answer, or sends comments, has said nothing."""
    opened = Script([chunk({"role": "assistant", "content": ""}), b": alive\n\n", Stall(20), *whole_stream("late")])
    made = Made([opened], [OK], route=Route(first_token_seconds=2))
    assert (content_of(made.client.body), round(made.took, 1)) == ("ab", 2)


def test_the_last_target_has_the_usual_time() -> None:
    """Better late than never: there is nobody else to ask. So has a model's only one."""
    late = Script([Stall(20), *whole_stream("late")])
    for scripts in ([[BUSY], [late]], [[late]]):
        made = Made(*scripts, route=Route(first_token_seconds=2))
        assert content_of(made.client.body) == "late"


def test_behind_its_first_token_a_target_has_the_usual_time() -> None:
    """A pause in the middle is no reason to cut; the idle time-out is."""
    slow = Script([*text("a"), Stall(20), chunk({"content": "b"}), chunk({}, "stop")])
    made = Made([slow], [OK], route=Route(first_token_seconds=2))
    assert (content_of(made.client.body), made.asked) == ("ab", [1, 0])
    stuck = Made([Script([*text("a"), Stall()])], [OK], route=Route(first_token_seconds=2))
    assert (round(stuck.took), stuck.row.outcome, stuck.asked) == (60, "cut", [1, 0])


def test_a_document_has_no_first_token() -> None:
    """Nothing of it can be seen while it is made."""
    made = Made([Script([Stall(20), document()])], [PLAIN], stream=False, route=Route(first_token_seconds=2))
    assert made.told == ("a/some-model", "1")


def test_without_the_setting_nothing_is_asked_twice() -> None:
    """Clients have their own retries; two layers of them multiply."""
    assert Made([BUSY, OK]).asked == [1]


@pytest.mark.parametrize("seed", range(5))
def test_a_target_that_passes_is_asked_again_after_a_growing_random_wait(seed: int) -> None:
    """Half of it at least, so that nobody comes back at once; and the call is one call."""
    client = MemoryClient()
    upstream = Timed(BUSY, BUSY, BUSY, OK)

    async def main() -> Rig:
        rig = Rig(upstream, route=Route(retries=3))
        rig.dependencies.chance = random.Random(seed)
        await rig.call(client, body(stream=True))
        return rig

    rig = run_virtual(main())
    waits = [after - before for before, after in itertools.pairwise(upstream.times)]
    for number, wait in enumerate(waits):
        longest = BACKOFF_SECONDS * 2**number
        assert JITTER_MIN * longest <= wait <= longest + 0.02
    assert (content_of(client.body), client.headers["x-aisa-attempts"], len(rig.rows)) == ("ab", "4", 1)


def test_all_targets_are_asked_once_before_any_is_asked_again() -> None:
    """The one that may be asked soonest comes first then."""
    made = Made([BUSY], [limited(1), OK], [BUSY], route=Route(retries=10))
    first, second = made.upstreams[1].times
    assert made.told[0] == "b/some-model"
    assert (first, [upstream.times[0] for upstream in made.upstreams]) == (0, [0, 0, 0])
    assert second >= 1
    assert made.upstreams[0].times[1] < 1


def test_a_wait_that_a_vendor_names_is_kept() -> None:
    """To the fraction; by every target, whatever the others do."""
    made = Made([limited(3.5), OK], route=Route(retries=2))
    assert made.upstreams[0].times[1] == pytest.approx(3.5, abs=0.02)
    assert made.told == ("a/some-model", "2")


def test_what_would_begin_after_the_time_for_it_is_not_tried() -> None:
    """The caller gets the refusal at once, with the wait that the vendor named, and may come back himself."""
    made = Made([limited(30), OK], route=Route(retries=5, retry_seconds=10))
    assert (made.client.status, made.asked, round(made.took)) == (429, [1], 0)
    assert made.client.headers["retry-after"] == "30"


def test_the_number_of_retries_is_kept() -> None:
    """Whatever time there would be."""
    made = Made([BUSY], [BUSY], route=Route(retries=3, retry_seconds=600))
    assert sum(made.asked) == 2 + 3


@pytest.mark.parametrize(
    "refusal",
    [
        Script([b'{"error": {"code": "content_policy_violation", "message": "no"}}'], status=400),
        Script([b'{"error": {"code": "invalid_api_key", "message": "no"}}'], status=401),
        Script([b'{"error": {"code": "insufficient_quota", "message": "no"}}'], status=429),
        Script([b'{"error": {"message": "unknown field x"}}'], status=422),
    ],
)
def test_what_waiting_cannot_cure_is_not_tried_again(refusal: Script) -> None:
    """A fault of the request, of our key, of our credit."""
    assert Made([refusal, OK], route=Route(retries=5)).asked == [1]


def test_a_client_that_leaves_in_the_wait_ends_the_call() -> None:
    """Nobody is asked for him."""
    client = MemoryClient()
    upstream = Timed(limited(10), OK)

    async def main() -> Rig:
        rig = Rig(upstream, route=Route(retries=2))
        asyncio.get_running_loop().call_later(3, client.leave)
        await rig.call(client, body(stream=True))
        return rig

    rig = run_virtual(main())
    assert (len(upstream.requests), rig.rows[0].outcome) == (1, "client_gone")


def test_a_long_wait_is_no_silence() -> None:
    """The head leaves after 15 s and keep-alives follow; the vendor's clock stands still, as nobody is asked."""
    made = Made([limited(100), OK], route=Route(retries=1, retry_seconds=120))
    assert made.client.body.count(b": keep-alive") >= 5
    assert content_of(made.client.body) == "ab"


@pytest.mark.parametrize("ending", [Break(), event({"error": {"message": "x", "type": "server_error"}})])
def test_nothing_is_tried_again_behind_the_first_piece(ending: Any) -> None:
    """What the client has cannot be taken back."""
    made = Made([Script([*text("a"), ending]), OK], [OK], route=Route(retries=5, first_token_seconds=1))
    assert (made.asked, made.row.outcome) == ([1, 0], "cut")


FAILURES = [
    UpstreamFailed(ApiError("upstream_unavailable", "x")),
    UpstreamFailed(ApiError("upstream_rate_limit", "x", retry_after=3)),
    UpstreamFailed(ApiError("overloaded", "x", retry_after=300)),
    UpstreamFailed(ApiError("upstream_unavailable", "x"), may_repeat=True),
    UpstreamFailed(ApiError("unsupported_parameter", "x"), blame=CALLER),
    UpstreamFailed(ApiError("context_length_exceeded", "x"), blame=CALLER, overflow_tokens=5_000),
    UpstreamFailed(ApiError("upstream_unavailable", "x"), blame=OPERATOR),
]


@settings(deadline=None, max_examples=repeats(300))
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 10), st.floats(0.1, 100))
def test_tries_end_whatever_happens(seed: int, targets: int, retries: int, seconds: float) -> None:
    """Within their number and their time, never before a wait that was named is over; and what is told then is one of the failures."""
    chance = random.Random(seed)
    names = [f"{name}/x" for name in "abcd"[:targets]]
    vendors = {name: Vendor(base_url="http://a.example/v1") for name in "abcd"}
    model = Model(to=tuple(names), route=Route(retries=retries, retry_seconds=seconds), context_window=chance.choice([None, 9_000]))
    chat = parse_chat(b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}')
    plan = Routes(Config(vendors=vendors, models={"m": model})).plan(chat, Key("k", "", b"", "", "active", 0), chance)
    tries, now, offer = Tries(plan, 100, chance, began=0, health=Health()), 0.0, plan.offers[0]
    asked, named, seen, told = [offer.name], dict[str, float](), list[UpstreamFailed](), None
    while told is None:
        failure = chance.choice(FAILURES)
        seen.append(failure)
        now += chance.choice([0, 0.1, 5])
        if failure.retry_after:
            named[offer.name] = now + failure.retry_after
        before = offer.name
        try:
            offer, wait = tries.after(offer, failure, now)
        except UpstreamFailed as last:
            told = last
            break
        now += wait
        if offer.name in asked and not (failure.may_repeat and offer.name == before and not wait):
            assert 0 <= now <= seconds + 1e-9
            assert now >= named.get(offer.name, 0) - 1e-9
        asked.append(offer.name)
    assert told in seen
    assert len(asked) <= targets + retries + 1


@pytest.mark.parametrize("roomy", [None, "abcd", "bd", "b", ""], ids=["unlimited", "all", "two", "one", "none"])
def test_a_target_that_was_benched_since_the_plan_was_made_is_asked_last(roomy: str | None) -> None:
    """A call may wait a minute for one that is silent, and others find out meanwhile that the next is down. Room counts before that."""
    vendors = {name: Vendor(base_url="http://a.example/v1") for name in "abcd"}
    routes = Routes(Config(vendors=vendors, models={"m": Model(to=tuple(f"{name}/x" for name in "abcd"), route=Route(by="order"))}))
    chat = parse_chat(b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}')
    plan = routes.plan(chat, Key("k", "", b"", "", "active", 0), random.Random(1))
    down, health = UpstreamFailed(ApiError("upstream_unavailable", "x")), Health()
    room = None if roomy is None else lambda offer: offer.name[0] in roomy
    tries = Tries(plan, 100, random.Random(1), began=0, health=health, has_room=room)
    for second in range(FAILURES_TO_BENCH):
        health.failed("b/x", down, 58 + second)
    offer, asked = plan.offers[0], ""
    while tries.more:
        offer, _ = tries.after(offer, down, 60)
        asked += offer.name[0]
    assert asked == {None: "cdb", "abcd": "cdb", "bd": "dbc", "b": "bcd", "": "cdb"}[roomy]


def test_what_a_failed_try_may_cost_is_in_the_row_and_never_on_the_bill() -> None:
    """A vendor that took the request and broke off, or was given up, may charge its input; the caller pays what served him, alone."""
    prices = [Prices(input=1_000, output=1_000), Prices(input=1, output=2)]
    broken = Script([chunk({"role": "assistant", "content": ""}), Break()])
    stuck = Script([Stall()])
    for first, options in ((broken, {}), (stuck, {"route": Route(first_token_seconds=2)})):
        alone, made = Made([OK], each=prices[1:]), Made([first], [OK], each=prices, **options)
        assert made.row.cost == alone.row.cost == (9 * 1 + 2 * 2) * 1_000
        assert made.row.operator_cost == 1 * 1_000_000  # the estimate of `Hi.`, one token
        assert alone.row.operator_cost is None


def test_a_vendor_that_refused_charges_nothing() -> None:
    """Refusals, also those inside a 200, and connections that never were."""
    prices = [Prices(input=1_000, output=1_000), Prices(input=1, output=2)]
    inside = Script([event({"error": {"message": "Overloaded", "type": "overloaded_error", "code": 529}})])
    for first in (BUSY, limited(2), Script(refuses=True), inside, Script([b"{}"], status=401)):
        made = Made([first], [OK], each=prices)
        assert (made.row.operator_cost, made.told[1]) == (None, "2")


def test_what_a_failed_try_has_reported_counts() -> None:
    """Thinking that was reported and never shown, too: a wallet pays nothing of it."""
    counts = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    reported = Script(
        [event({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": counts}), Break()]
    )
    wallet = Wallet("default", 10**12)
    made = Made([reported], [reported], each=[Prices(input=1, output=2)] * 2, wallets=[wallet])
    assert (made.row.outcome, made.row.cost, made.row.operator_cost) == ("failed", 0, 2 * (100 * 1 + 50 * 2) * 1_000)
    assert (wallet.balance, wallet.held) == (10**12, 0)


def test_where_the_vendors_own_price_is_known_it_counts() -> None:
    """The catalogue's, not what callers are charged."""
    list_price = PriceList((Term(Price(unit_prices({"input": 7_000_000_000, "output": 7_000_000_000}), "catalogue: a")),))
    broken = Script([chunk({"role": "assistant", "content": ""}), Break()])
    made = Made([broken], [OK], look_up=lambda *_: list_price)
    assert made.row.operator_cost == 7_000


def test_the_journal_has_it_before_the_next_is_asked() -> None:
    """If the process dies at the second target, the row that the next start makes has the first one's cost."""
    seen: list[bytes] = []
    prices = [Prices(input=1_000, output=1_000), Prices(input=1, output=2)]
    broken = ScriptedUpstream(Script([chunk({"role": "assistant", "content": ""}), Break()]))
    rig: Rig

    class Witness(ScriptedUpstream):
        async def ask(self, request: UpstreamRequest) -> ScriptedAnswer:
            seen.append(opening_record(rig.ledger.calls["req_1"].opening))
            return await super().ask(request)

    async def main() -> None:
        nonlocal rig
        rig = Rig(broken, Witness(OK), each=prices)
        await rig.call(MemoryClient(), body(stream=True))

    run_virtual(main())
    assert b'"operator_cost":1000000' in seen[0]


OF_VENDORS = [KeyRefused(ApiError("upstream_unavailable", "x"), blame=OPERATOR), unreachable("a", "no connection within 5 seconds")]


@pytest.mark.parametrize("failure", OF_VENDORS, ids=["key", "unreachable"])
def test_what_fails_for_all_models_of_a_vendor_benches_them_all(failure: UpstreamFailed) -> None:
    """[fault S16] Those of other vendors are not. One probe tries it, and an answer clears it for all: else each model waits to connect."""
    health = Health()
    names = ["a/x", "b/x"]
    assert [health.failed("a/x", failure, 0), health.failed("a/y", failure, 0)][0] is None
    assert [names[place] for place in health.order(names, 1)] == ["b/x", "a/x"]
    assert health.order(["a/z", "b/x"], 1) == [1, 0]
    assert health.order(["b/z", "a/x"], 1) == [0, 1]
    assert health.order(["a/x", "b/x"], 6) == [0, 1]
    assert health.order(["a/z", "b/x"], 6) == [1, 0]  # one call tries it at a time
    assert health.answered("a/x")
    assert health.order(["a/z", "b/x"], 6) == [0, 1]
    assert health.failed("a/x", failure, 7) is not None
    health.completed("a/z")
    assert health.order(names, 7) == [0, 1]
    assert PROBE_SECONDS > 0


def test_what_was_asked_before_a_target_was_benched_does_not_clear_it() -> None:
    """A stream that began a minute ago and ends now says nothing of the limit that was met since; what was asked since does."""
    health = Health()
    limit = UpstreamFailed(ApiError("upstream_rate_limit", "x", retry_after=17))
    assert health.failed("a/x", limit, 10) == 17
    assert not health.answered("a/x", 9.9)
    health.completed("a/x", 9.9)
    assert health.order(["a/x", "b/x"], 26) == [1, 0]
    assert health.answered("a/x", 12)
    assert health.order(["a/x", "b/x"], 13) == [0, 1]


def test_the_operator_is_told_which_credential_fails() -> None:
    """By the vendor's name: it is not one model that is down."""

    async def main() -> Rig:
        rig = Rig(ScriptedUpstream(Script([b'{"error": {"code": "invalid_api_key"}}'], status=401)), ScriptedUpstream(OK))
        for _ in range(FAILURES_TO_BENCH):
            await rig.call(MemoryClient(), body(stream=True))
        return rig

    rig = run_virtual(main())
    assert [(fact.target, fact.reason) for fact in rig.facts if isinstance(fact, TargetHealth)] == [("a", "key_refused")]


def test_what_is_in_flight_is_counted_until_the_call_has_ended() -> None:
    """However it ends: done, failed before the first piece, cut, or left by its client."""
    good, bad = whole_stream("a"), [*text("a"), Break()]
    for scripts in ([good], [bad], [[Stall()]], [[Break()]]):
        client = MemoryClient()
        upstreams = [Timed(Script(script)) for script in (*scripts, good)]
        held: list[int] = []

        async def main(client: MemoryClient = client, upstreams: list[Timed] = upstreams, held: list[int] = held) -> Rig:
            rig = Rig(*upstreams, route=Route(by="load"))
            task = asyncio.ensure_future(rig.call(client, body(stream=True)))
            await asyncio.sleep(1)
            held.append(sum(rig.dependencies.health.traffic._in_flight.values()))
            asyncio.get_running_loop().call_later(5, client.leave)
            await task
            return rig

        rig = run_virtual(main())
        assert held == [scripts == [[Stall()]]]
        assert rig.dependencies.health.traffic._in_flight == {}


def test_a_stream_that_answers_late_makes_its_target_slow() -> None:
    """The time to the first token of real calls decides, not that of the whole answer."""

    async def main() -> list[int]:
        slow, quick = Timed(Script([Stall(2), *whole_stream("a")])), Timed(Script([*text("b"), Stall(9), chunk({}, "stop")]))
        rig = Rig(slow, quick, route=Route(by="latency"))
        for _ in range(20):
            await rig.call(MemoryClient(), body(stream=True))
        return [len(slow.requests), len(quick.requests)]

    asked = run_virtual(main())
    assert asked[0] <= 4
    assert asked[1] >= 16
