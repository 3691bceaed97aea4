"""Which target is asked first: by weight, load, latency or cost, by what a request shows, or as others that began the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.route import Route
from aisa.config.schema import Config, Model, Prices, PriceTier, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.errors import CALLER, ApiError, UpstreamFailed
from aisa.health import FAILURES_TO_BENCH, Health
from aisa.keys.rules import Key
from aisa.routing import Routes
from aisa.traffic import EXPLORE_SECONDS, FRESH_SECONDS, TARGETS_MAX, TargetTry, Traffic
from aisa.wire.chat import Message, parse_chat
from aisa.wire.completions import CompletionsRequest
from aisa.wire.door import Request
from aisa.wire.embeddings import EmbeddingsRequest
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.rerank import RerankRequest
from aisa.wire.responses_door import RESPONSES_DOOR
from repeats import repeats

ANYONE = Key("key_1", "test", b"", "sk-…", "active", 0)
DOWN = UpstreamFailed(ApiError("upstream_unavailable", "down"))
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "f"}}
TOOL = {"type": "function", "function": {"name": "f"}}


def vendors(count: int, **settings: Any) -> dict[str, Vendor]:
    """Vendors `a`, `b` and so on."""
    return {chr(97 + place): Vendor(base_url=f"http://{chr(97 + place)}.example/v1", **settings) for place in range(count)}


def routed(*to: str | TargetSetting, config: dict[str, Vendor] | None = None, **route: Any) -> Routes:
    """The routes of one model `m` at these targets."""
    model = Model(to=tuple(to), route=Route(**route) if route else None)
    return Routes(Config(vendors=config or vendors(4), models={"m": model}))


def weighed(**weights: int) -> list[TargetSetting]:
    """Targets `a/x` and so on with weights."""
    return [TargetSetting(target=f"{name}/x", weight=weight) for name, weight in weights.items()]


class Caller:
    """Plans calls to `m`, one after the other, with what is remembered of earlier ones."""

    def __init__(self, routes: Routes, seed: int = 1) -> None:
        self.routes, self.health, self.chance, self.now = routes, Health(), random.Random(seed), 0.0

    def order(self, content: Any = "Hi.", **fields: Any) -> list[str]:
        """The vendors of a call's targets, in order."""
        request = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
        chat = parse_chat(json.dumps(request).encode())
        plan = self.routes.plan(chat, ANYONE, self.chance, health=self.health, now=self.now, unix_seconds=1.7e9)
        return [offer.target.vendor for offer in plan.offers]

    def first(self, content: Any = "Hi.", **fields: Any) -> str:
        """The vendor that a call asks first."""
        return self.order(content, **fields)[0]


@pytest.mark.heavy
@pytest.mark.parametrize("route", [{}, {"by": "weights"}, {"by": "load"}])
def test_no_target_is_off_its_share_by_more_than_one_in_a_hundred(route: dict[str, Any]) -> None:
    """Over 10,000 calls, of the smallest share too: calls are spread evenly and not by lot. `load` of idle targets shares out the same."""
    weights = {"a": 70, "b": 20, "c": 9, "d": 1} if route.get("by") != "load" else {"a": 1, "b": 1, "c": 1, "d": 1}
    caller = Caller(routed(*weighed(**weights), **route))
    first = Counter(caller.first() for _ in range(10_000))
    for name, weight in weights.items():
        assert first[name] / 10_000 == pytest.approx(weight / sum(weights.values()), rel=0.05 if weight == 1 else 0.01)


@given(st.integers(0, 2**32), st.integers(1, 5))
@settings(deadline=None, max_examples=repeats(20))
def test_shares_hold_for_every_kind_of_call_among_others(seed: int, kinds: int) -> None:
    """Whoever makes every second or fifth call gets the same shares as all: the spread has no period."""
    caller = Caller(routed(*weighed(a=3, b=1), by="weights"), seed)
    first = [caller.first() for _ in range(2_000)]
    for kind in range(kinds):
        mine = first[kind::kinds]
        assert mine.count("a") / len(mine) == pytest.approx(0.75, abs=0.02)


def test_a_share_of_a_target_that_is_down_goes_to_the_others_by_weight() -> None:
    """It comes last until it is well, and then has its share again."""
    caller = Caller(routed(*weighed(a=2, b=2, c=1)))
    for _ in range(FAILURES_TO_BENCH):
        caller.health.failed("a/x", DOWN, 0)
    orders = [caller.order() for _ in range(3_000)]
    assert {order[-1] for order in orders} == {"a"}
    assert sum(order[0] == "b" for order in orders) / 3_000 == pytest.approx(2 / 3, abs=0.04)


def test_without_weights_a_route_by_weights_shares_equally() -> None:
    """A target that is written as text counts once."""
    caller = Caller(routed("a/x", "b/x", by="weights"))
    assert Counter(caller.first() for _ in range(100)).keys() == {"a", "b"}


def test_order_is_as_they_stand_whatever_the_weights_of_stand_bys() -> None:
    """A stand-by among them is asked last."""
    assert Caller(routed(*weighed(a=0, b=1, c=1), by="order")).order() == ["b", "c", "a"]


@pytest.mark.parametrize("by", ["weights", "load", "latency", "cost"])
def test_a_stand_by_comes_last_however_the_others_are_ordered(by: str) -> None:
    """Every target stays a fall-back."""
    caller = Caller(routed(*weighed(a=0, b=1, c=1), by=by))
    for _ in range(50):
        order = caller.order()
        assert (order[-1], sorted(order)) == ("a", ["a", "b", "c"])


def test_the_least_busy_is_asked_first() -> None:
    """For its weight: twice the weight takes twice the calls in flight; what has ended counts no more."""
    caller = Caller(routed(*weighed(a=2, b=1), by="load"))
    watches: list[tuple[str, TargetTry]] = []
    for _ in range(30):
        name = caller.first()
        watches.append((name, TargetTry(caller.health.traffic, f"{name}/x", 0, stream=True)))
    assert Counter(name for name, _ in watches) == {"a": 20, "b": 10}
    for name, watch in watches:
        if name == "b":
            watch.end()
    assert {caller.first() for _ in range(20)} == {"b"}
    for name, watch in watches:
        if name == "a":
            watch.end()
    assert caller.health.traffic._in_flight == {}


def serve(caller: Caller, delays: dict[str, float], calls: int) -> Counter[str]:
    """Make calls whose targets answer after these seconds; who served them."""
    served: Counter[str] = Counter()
    for _ in range(calls):
        name = caller.first(stream=True)
        watch = TargetTry(caller.health.traffic, f"{name}/x", caller.now, stream=True)
        caller.now += delays[name]
        watch.answered(caller.now)
        watch.end()
        served[name] += 1
    return served


def test_the_quickest_is_asked_first_and_the_others_are_tried_once_a_minute() -> None:
    """So a target that has become quicker is found, and a slow one costs a call in a minute."""
    caller = Caller(routed(*weighed(a=1, b=1, c=1), by="latency"))
    delays = {"a": 1.0, "b": 0.1, "c": 3.0}
    served = serve(caller, delays, 1_000)
    minutes = caller.now / FRESH_SECONDS
    assert served["b"] > 900
    assert 1 <= served["a"] <= minutes + 2
    assert 1 <= served["c"] <= minutes + 2
    delays["c"] = 0.01
    assert serve(caller, delays, 2_000)["c"] > 1_200


def test_targets_that_hardly_differ_share_the_calls() -> None:
    """A tenth more is chance; else one of them would be idle and the other crowded."""
    caller = Caller(routed(*weighed(a=1, b=1, c=1), by="latency"))
    served = serve(caller, {"a": 0.20, "b": 0.21, "c": 0.9}, 1_000)
    assert served["a"] > 350
    assert served["b"] > 350


def test_one_call_at_a_time_finds_out_how_quick_a_target_is() -> None:
    """A target that never answers takes one call in EXPLORE_SECONDS at most; its failing makes it as slow as it was waited for."""
    traffic = Traffic()
    assert traffic.may_explore("a/x", 0, stream=True)
    assert not any(traffic.may_explore("a/x", now, stream=True) for now in (0, 1, EXPLORE_SECONDS - 0.1))
    assert traffic.may_explore("a/x", EXPLORE_SECONDS, stream=True)
    watch = TargetTry(traffic, "a/x", 20, stream=True)
    watch.failed(DOWN, 25)
    assert traffic.delay("a/x", 26, stream=True) == 5
    assert traffic.delay("a/x", 26, stream=False) is None
    TargetTry(traffic, "b/x", 20, stream=True).failed(UpstreamFailed(ApiError("invalid_request", "x"), blame=CALLER), 25)
    assert traffic.delay("b/x", 26, stream=True) is None


def test_what_is_remembered_of_targets_is_bounded() -> None:
    """Names may come and go with each configuration."""
    traffic = Traffic()
    for number in range(3 * TARGETS_MAX):
        traffic.answered(f"v/{number}", 1, 0, stream=True)
        traffic.turn(f"m{number}", random.Random(1))
    assert (len(traffic._delays), len(traffic._turns)) == (TARGETS_MAX, TARGETS_MAX)


def test_the_cheapest_for_the_request_is_asked_first() -> None:
    """Much input and little output may be cheaper at another target than the reverse; without a price it is free."""
    config = {
        "a": Vendor(base_url="http://a.example/v1", prices={"x": Prices(input=1, output=30)}),
        "b": Vendor(base_url="http://b.example/v1", prices={"x": Prices(input=5, output=5)}),
        "c": Vendor(base_url="http://c.example/v1", prices={"x": Prices(input=50, output=50)}),
    }
    caller = Caller(routed("a/x", "b/x", "c/x", config=config, by="cost"))
    assert caller.order() == ["b", "a", "c"]
    assert caller.order("word " * 20_000, max_tokens=10) == ["a", "b", "c"]
    assert Caller(routed("a/x", "b/x", "d/x", config={**config, **vendors(4)}, by="cost")).first() in "abd"


def priced(**prices: Prices) -> dict[str, Vendor]:
    """Vendors of these names whose model `x` costs so much."""
    return {name: Vendor(base_url=f"http://{name}.example/v1", prices={"x": each}) for name, each in prices.items()}


class Looked(list[Message]):
    """Messages that know how often they were gone through."""

    looks = 0

    def __iter__(self) -> Iterator[Message]:
        """Go through them once more."""
        self.looks += 1
        return super().__iter__()


def test_pictures_are_looked_at_as_often_for_many_targets_as_for_two() -> None:
    """Hundreds of them take tens of milliseconds, in which no other call goes on: anew for each target they held all for half a second."""
    looks = set[int]()
    for names in ("ab", "abcdefgh"):
        chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": [PICTURE]}]}).encode())
        chat.known.messages = seen = Looked(chat.known.messages)
        prices = priced(**{name: Prices(input=place + 1, output=1) for place, name in enumerate(names)})
        routed(*(f"{name}/x" for name in names), config=prices, by="cost").plan(chat, ANYONE, random.Random(1), unix_seconds=1.7e9)
        looks.add(seen.looks)
    assert len(looks) == 1
    assert looks != {0}


def test_the_cheapest_is_so_with_its_fees_every_answer_and_pictures_for_what_they_are() -> None:
    """A fee for each call may be more than its tokens; `n` answers are as many outputs; a megabyte of base64 is no long prompt.

    A ranking is one search; vectors have no output.
    """
    fee = priced(a=Prices(input=0.1, output=0.1, per_request=0.005), b=Prices(input=2, output=2))
    caller = Caller(routed("a/x", "b/x", config=fee, by="cost"))
    assert (caller.first(), caller.first("word " * 4_000)) == ("b", "a")
    several = Caller(routed("a/x", "b/x", config=priced(a=Prices(input=0, output=10), b=Prices(input=100, output=1)), by="cost"))
    assert (several.first("word " * 100), several.first("word " * 100, n=5)) == ("a", "b")
    long = Prices(input=1, output=1, tiers=(PriceTier(over_input_tokens=100_000, input=9, output=9),))
    pictures = Caller(routed("a/x", "b/x", config=priced(a=long, b=Prices(input=2, output=2)), by="cost"))
    huge = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    assert (pictures.first([huge]), pictures.first("word " * 100_000)) == ("a", "b")
    texts = priced(a=Prices(input=0, output=0, per_search=0.002), b=Prices(input=0.02, output=50))
    routes = routed("a/x", "b/x", config=texts, by="cost")
    ranking = RerankRequest(json.dumps({"model": "m", "query": "q", "documents": ["a", "b"]}).encode())
    vectors = EmbeddingsRequest(json.dumps({"model": "m", "input": ["a"]}).encode())
    dear = routed("b/x", "c/x", config={**texts, **priced(c=Prices(input=0.03, output=0))}, by="cost")
    for table, request in ((routes, ranking), (dear, vectors)):
        plan = table.plan(request, ANYONE, random.Random(1), unix_seconds=1.7e9)
        assert plan.offers[0].target.vendor == "b"


def said(*texts: str) -> list[dict[str, str]]:
    """A conversation: a system prompt, then user and assistant in turn."""
    roles = ["system", *["user", "assistant"] * len(texts)]
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


@pytest.mark.heavy
def test_calls_that_begin_the_same_go_to_the_same_target() -> None:
    """Each turn of a conversation, whatever was said since; other conversations are shared out by weight."""
    caller = Caller(routed(*weighed(a=2, b=1, c=1, d=0), affinity="prompt"))
    first: Counter[str] = Counter()
    for number in range(2_000):
        turns = ("You help.", f"Question {number}", "Answer", "More", "Much more")
        names = {caller.first(messages=said(*turns[:count])) for count in range(2, 6)}
        assert len(names) == 1
        first.update(names)
    assert "d" not in first
    assert first["a"] / 2_000 == pytest.approx(0.5, abs=0.05)
    assert first["b"] / 2_000 == pytest.approx(0.25, abs=0.05)


def test_texts_that_begin_the_same_go_to_the_same_target() -> None:
    """As those of an editor that asks after each key: what follows the beginning changes nothing."""
    routes = routed(*weighed(a=1, b=1, c=1), affinity="prompt")

    def first(prompt: str | list[int], seed: int) -> str:
        request = CompletionsRequest(json.dumps({"model": "m", "prompt": prompt}).encode())
        return routes.plan(request, ANYONE, random.Random(seed), health=Health(), unix_seconds=1.7e9).offers[0].target.vendor

    assert all(len({first(f"{number} {'a' * 5_000}{more}", more) for more in range(5)}) == 1 for number in range(20))
    assert {first(f"{number}", 1) for number in range(50)} == set("abc")
    assert {first([number, 7], 1) for number in range(50)} == set("abc"), "not all that are given as tokens to one"
    assert all(len({first([number] * 1_024 + [more], more) for more in range(5)}) == 1 for number in range(20))


def test_targets_without_weights_share_the_beginnings_equally() -> None:
    """That they are written in an order makes them no fall-backs then."""
    caller = Caller(routed("a/x", "b/x", "c/x", affinity="prompt"))
    first = Counter(caller.first(f"Question {number}") for number in range(900))
    assert all(250 < first[name] < 350 for name in "abc")


def test_a_named_cache_key_counts_before_the_words() -> None:
    """Also over other words; and another key is another beginning."""
    caller = Caller(routed(*weighed(a=1, b=1, c=1), affinity="prompt"))
    assert len({caller.first(f"Question {number}", prompt_cache_key="user-7") for number in range(50)}) == 1
    assert len({caller.first("The same.", prompt_cache_key=f"user-{number}") for number in range(50)}) == 3


def test_only_what_belongs_to_a_lost_target_moves() -> None:
    """When one comes or goes the others keep their conversations, whose beginnings they have in their caches; also while one is down."""
    four, three = (Caller(routed(*weighed(**dict.fromkeys(names, 1)), affinity="prompt")) for names in ("abcd", "abc"))
    for number in range(300):
        before, after = (caller.first(f"Question {number}") for caller in (four, three))
        assert before in ("d", after)
    for _ in range(FAILURES_TO_BENCH):
        four.health.failed("d/x", DOWN, 0)
    assert {four.first(f"Question {number}") for number in range(300)} == {"a", "b", "c"}


def test_the_order_of_a_process_is_that_of_every_other() -> None:
    """Two servers send a conversation to the same target: nothing of it depends on chance or on Python's own hashes."""
    one, other = (Caller(routed(*weighed(a=1, b=1, c=1), affinity="prompt"), seed) for seed in (1, 2))
    assert [one.first(f"{number}") for number in range(50)] == [other.first(f"{number}") for number in range(50)]
    assert one.first("Hello.") == "a"


def test_affinity_orders_the_rest_as_the_route_says() -> None:
    """The target that has the beginning first, then by cost."""
    config = {
        name: Vendor(base_url=f"http://{name}.example/v1", prices={"x": Prices(input=n, output=n)}) for n, name in enumerate("abcd", 1)
    }
    caller = Caller(routed("d/x", "c/x", "b/x", "a/x", config=config, by="cost", affinity="prompt"))
    for number in range(30):
        rest = caller.order(f"Question {number}")[1:]
        assert rest == sorted(rest)


TAKES = [
    TargetSetting(target="a/x", takes=()),
    TargetSetting(target="b/x", takes=("tools", "image")),
    TargetSetting(target="c/x", takes=("audio",)),
]


@pytest.mark.parametrize(
    ("content", "fields", "names"),
    [
        ("Hi.", {}, {"a", "b", "c"}),
        ([{"type": "text", "text": "Hi."}], {}, {"a", "b", "c"}),
        ([PICTURE], {}, {"b"}),
        ([SOUND], {}, {"c"}),
        ("Hi.", {"tools": [TOOL]}, {"b"}),
        ("Hi.", {"functions": [{"name": "f"}]}, {"b"}),
        ("Hi.", {"tools": []}, {"a", "b", "c"}),
        ([PICTURE], {"tools": [TOOL]}, {"b"}),
    ],
)
def test_a_request_goes_only_where_what_it_shows_is_taken(content: Any, fields: dict[str, Any], names: set[str]) -> None:
    """Pictures, sound, tools; text goes everywhere."""
    for route in ({}, {"by": "weights"}, {"affinity": "prompt"}):
        assert set(Caller(routed(*TAKES, **route)).order(content, **fields)) == names


@pytest.mark.parametrize(
    ("content", "fields", "param", "said"),
    [
        ([FILE], {}, "messages", "takes files."),
        ([PICTURE, FILE], {"tools": [TOOL]}, "messages", "takes files."),
        ([SOUND], {"tools": [TOOL]}, "tools", "takes tools together with sound."),
        ([SOUND, PICTURE], {}, "messages", "takes sound together with pictures."),
    ],
)
def test_what_no_target_takes_is_refused_by_name(content: Any, fields: dict[str, Any], param: str, said: str) -> None:
    """422, before anybody is asked; what nobody takes alone is told before what only goes together nowhere."""
    with pytest.raises(ApiError) as caught:
        Caller(routed(*TAKES)).order(content, **fields)
    assert (caught.value.status, caught.value.code, caught.value.param) == (422, "unsupported_parameter", param)
    assert caught.value.message.endswith(said)


def test_a_target_of_which_nobody_said_what_it_takes_takes_everything() -> None:
    """Its vendor judges."""
    assert Caller(routed("d/x", *TAKES)).order([FILE]) == ["d"]


def test_every_door_shows_what_its_requests_hold() -> None:
    """The rule is the same for pictures in Anthropic's, Google's and the Responses API's words."""
    picture = "data:image/png;base64,iVBORw0KGgo="
    bodies = [
        (MESSAGES_DOOR, {"max_tokens": 9, "messages": [{"role": "user", "content": [anthropic_picture(picture)]}]}),
        (RESPONSES_DOOR, {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": picture}]}]}),
    ]
    routes = routed(*TAKES)
    for door, fields in bodies:
        request = door.read(json.dumps({"model": "m", **fields}).encode())
        assert [offer.name for offer in routes.plan(request, ANYONE, random.Random(1)).offers] == ["b/x"], door


def anthropic_picture(url: str) -> dict[str, Any]:
    """A picture in Anthropic's words."""
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


SIZES = [
    TargetSetting(target="a/x", context_window=1_000),
    TargetSetting(target="b/x", context_window=100_000),
    TargetSetting(target="c/x"),
]


def test_a_long_prompt_goes_only_where_it_fits() -> None:
    """By our estimate, the output that is asked for included; a window that is not known may hold it."""
    caller = Caller(routed(*SIZES, by="order"))
    assert caller.order("word " * 100) == ["a", "b", "c"]
    assert caller.order("word " * 2_000) == ["b", "c"]
    assert caller.order("word " * 801) == ["b", "c"]
    assert caller.order("word " * 100, max_tokens=800) == ["a", "b", "c"]
    assert caller.order("word " * 100, max_tokens=900) == ["b", "c"]
    assert caller.order("word " * 200_000) == ["c"]


def test_a_prompt_that_fits_nowhere_by_our_estimate_is_the_vendors_to_judge() -> None:
    """It may be denser than we think; no call fails that would have succeeded."""
    assert Caller(routed(*SIZES[:2], by="order")).order("word " * 200_000) == ["a", "b"]


def test_a_long_text_goes_only_where_it_fits_whoever_asks() -> None:
    """Each text of vectors, of a ranking and of completions has a window to itself: the largest counts, and not their sum."""
    routes, long, short = routed(*SIZES, by="order"), "word " * 2_000, ["word " * 100] * 50
    requests: dict[str, list[Request]] = {
        "abc": [
            EmbeddingsRequest(json.dumps({"model": "m", "input": short}).encode()),
            RerankRequest(json.dumps({"model": "m", "query": "q", "documents": short}).encode()),
            CompletionsRequest(json.dumps({"model": "m", "prompt": short}).encode()),
        ],
        "bc": [
            EmbeddingsRequest(json.dumps({"model": "m", "input": [long]}).encode()),
            EmbeddingsRequest(json.dumps({"model": "m", "input": list(range(1_001))}).encode()),
            RerankRequest(json.dumps({"model": "m", "query": long, "documents": ["a"]}).encode()),
            CompletionsRequest(json.dumps({"model": "m", "prompt": ["a", long]}).encode()),
            CompletionsRequest(json.dumps({"model": "m", "prompt": "word " * 100, "max_tokens": 900}).encode()),
        ],
    }
    for expected, asked in requests.items():
        for request in asked:
            plan = routes.plan(request, ANYONE, random.Random(1), unix_seconds=1.7e9)
            assert "".join(offer.target.vendor for offer in plan.offers) == expected, request


def test_the_bytes_of_a_picture_are_no_long_prompt() -> None:
    """A megabyte of base64 is some hundred tokens."""
    huge = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    assert Caller(routed(*SIZES, by="order")).order([huge]) == ["a", "b", "c"]


@settings(deadline=None, max_examples=repeats(200))
@given(st.integers(0, 2**32), st.sampled_from([None, "order", "weights", "latency", "load", "cost"]), st.booleans())
def test_every_target_is_in_every_order_once(seed: int, by: str | None, sticks: bool) -> None:
    """Whatever happened before, and stand-bys behind the others of their step; only what is benched is moved behind those."""
    chance = random.Random(seed)
    weights = {name: chance.choice([0, 1, 1, 5]) for name in "abcd"[: chance.randint(2, 4)]}
    route = {"by": by, "affinity": "prompt" if sticks else "none"}
    caller = Caller(routed(*weighed(**weights), **route), seed)
    for _ in range(30):
        caller.now += chance.choice([0, 1, 100])
        order = caller.order(f"Question {chance.random()}", stream=chance.random() < 0.5)
        assert sorted(order) == sorted(weights)
        assert all(weights[one] or not weights[other] for one, other in pairwise(order))
        watch = TargetTry(caller.health.traffic, f"{order[0]}/x", caller.now, stream=True)
        watch.failed(DOWN, caller.now + 1) if chance.random() < 0.3 else watch.answered(caller.now + chance.random())
