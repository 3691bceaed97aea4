"""(fault M11) A call costs what the service tier costs that its answer names, and nobody asks for one that has no price."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, StartDateConstraint

from aisa.config.load import ConfigErrors, load
from aisa.config.schema import Config, Model, Prices, PriceTier, Vendor, VendorTier
from aisa.errors import ApiError
from aisa.ledger.row import CallRow
from aisa.ledger.wallets import Wallet
from aisa.prices.catalogue import catalogue_price, price_list
from aisa.prices.rules import LookUp, configured, unlisted
from aisa.pricing import Tier, cost_of, unit_prices
from aisa.providers import completions_openai, gemini, responses
from aisa.providers.shape import Target, told
from aisa.routing import Routes
from aisa.testing.clock import run_virtual
from aisa.usage import Usage
from aisa.wire.chat import parse_chat
from aisa.wire.completions import CompletionsRequest
from aisa.wire.vendor_tier import tier_named
from one_call import INPUT
from rig import DONE, OPENING, MemoryClient, Rig, Script, ScriptedUpstream, body, chunk, document, event, text, usage

TIERED = Prices(input=2, output=8, service_tiers={"priority": VendorTier(input=3.5, output=14), "flex": VendorTier(factor=0.5)})
COSTS = {"": 9 * 2_000 + 3 * 8_000, "priority": 9 * 3_500 + 3 * 14_000, "flex": 9 * 1_000 + 3 * 4_000}
USUAL = "vendors.a.prices.some-model"
SOURCES = {tier: USUAL + (f".service_tiers.{tier}" if tier else "") for tier in COSTS}
COSTS["scale"], SOURCES["scale"] = COSTS[""], f"{USUAL}, as the tier 'scale' has none"


def said(tier: object, *, in_usage: bool = False) -> bytes:
    """A document that names a tier, or none."""
    answer = json.loads(document())
    if tier is not None:
        (answer["usage"] if in_usage else answer)["service_tier"] = tier
    return json.dumps(answer).encode()


def streamed(tiers: list[object]) -> list[bytes]:
    """A stream of three tokens whose six chunks name these tiers, or none where there is None."""
    events = [chunk(OPENING), *(chunk({"content": word}) for word in ("aa", "bb", "cc")), chunk({}, "stop"), usage(9, 3)]
    named: list[bytes] = []
    for each, tier in zip(events, tiers, strict=True):
        tree = json.loads(each.removeprefix(b"data: "))
        named.append(event(tree if tier is None else {**tree, "service_tier": tier}))
    return [*named, DONE]


def made(answer: list[bytes], *, wallet: Wallet | None = None, **fields: Any) -> tuple[MemoryClient, list[CallRow]]:
    """Make one call that is answered so."""
    client = MemoryClient()
    rig = Rig(ScriptedUpstream(Script(answer)), each=[TIERED], wallets=[wallet] if wallet else [])
    run_virtual(rig.call(client, body(**fields)))
    return client, rig.rows


@pytest.mark.parametrize(
    ("asked", "named", "tier"),
    [
        ("priority", "priority", "priority"),
        ("flex", "flex", "flex"),
        ("priority", "default", ""),  # the vendor had no room there
        ("auto", "priority", "priority"),
        (None, "flex", "flex"),
        ("priority", None, "priority"),
        ("flex", "auto", "flex"),
        ("auto", None, ""),
        ("default", "default", ""),
        ("standard_only", "standard", ""),
        ("priority", "on_demand", ""),
        ("Priority", "PRIORITY", "priority"),
        (None, "scale", "scale"),  # without a price of its own: the usual one
        ("flex", "SCALE", "scale"),
        ("priority", 7, "priority"),
        ("priority", "", "priority"),
    ],
)
def test_the_price_is_that_of_the_tier_that_the_answer_names_else_of_the_one_asked_for(asked: str | None, named: object, tier: str) -> None:
    """In a document and in a stream, wherever it stands there, the bill and the row's source are the same."""
    wish = {} if asked is None else {"service_tier": asked}
    answers = [([said(named)], False), ([said(named, in_usage=True)], False)]
    answers += [(streamed([named if place == at else None for place in range(6)]), True) for at in range(6)]
    answers.append((streamed([named] * 6), True))
    for answer, stream in answers:
        client, [row] = made(answer, stream=stream, **wish)
        assert (client.status, row.outcome, row.cost, row.price_source) == (200, "completed", COSTS[tier], SOURCES[tier])


def test_the_last_tier_that_a_stream_names_counts() -> None:
    """Vendors may begin with what was asked for and end with what it became."""
    _, [row] = made(streamed(["priority", "priority", "priority", "priority", "default", None]), stream=True, service_tier="priority")
    assert row.cost == COSTS[""]
    _, [row] = made(streamed(["default", None, "flex", None, None, None]), stream=True)
    assert row.cost == COSTS["flex"]


def test_a_stream_that_is_cut_costs_its_delivered_tokens_at_the_tier_that_it_had_named() -> None:
    """Before it names one, at the tier that was asked for."""
    taken = INPUT
    _, [row] = made(streamed(["priority"] * 6)[:3], stream=True, service_tier="priority")
    assert (row.outcome, row.cost) == ("cut", taken * 3_500 + 2 * 14_000)
    _, [row] = made(streamed(["default"] * 6)[:3], stream=True, service_tier="priority")
    assert (row.outcome, row.cost) == ("cut", taken * 2_000 + 2 * 8_000)
    _, [row] = made(text("aa", "bb"), stream=True, service_tier="priority")
    assert (row.outcome, row.cost) == ("cut", taken * 3_500 + 2 * 14_000)


@pytest.mark.parametrize(
    ("header", "in_report", "tier"),
    [
        ("standard", None, ""),
        ("priority", None, "priority"),
        ("flex", "ON_DEMAND_FLEX", "flex"),
        ("standard", "ON_DEMAND_PRIORITY", "priority"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_geminis_api_names_the_tier_in_a_header_alone(header: str, in_report: str | None, tier: str, *, stream: bool) -> None:
    """What was asked for as `priority` and served as `standard`, for want of room there, costs what the usual tier does."""
    used = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12, **({"trafficType": in_report} if in_report else {})}
    candidate = {"content": {"parts": [{"text": "a b c"}], "role": "model"}, "finishReason": "STOP", "index": 0}
    answer = {"candidates": [candidate], "usageMetadata": used, "modelVersion": "some-model", "responseId": "r"}
    script = Script([event(answer) if stream else json.dumps(answer).encode()], headers={"x-gemini-service-tier": header})
    rig = Rig(ScriptedUpstream(script), each=[TIERED], vendor={"dialect": "gemini"})
    run_virtual(rig.call(MemoryClient(), body(stream=stream, service_tier="priority")))
    [row] = rig.rows
    assert (row.outcome, row.cost, row.price_source) == ("completed", COSTS[tier], SOURCES[tier])


def in_completions(word: str) -> list[Any]:
    """A stream of text completions so far."""
    choice = {"index": 0, "text": "aa", "logprobs": None, "finish_reason": None}
    return [{"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "service_tier": word}]


def in_gemini(word: str) -> list[Any]:
    """A stream of Gemini's so far, in its usual shape."""
    traffic = {"default": "ON_DEMAND", "priority": "ON_DEMAND_PRIORITY"}[word]
    usage_so_far = {"promptTokenCount": 9, "candidatesTokenCount": 1, "totalTokenCount": 10, "trafficType": traffic}
    says = {"content": {"parts": [{"text": "aa"}], "role": "model"}, "index": 0}
    return [{"candidates": [says], "usageMetadata": usage_so_far, "modelVersion": "m", "responseId": "r"}]


def in_responses(word: str) -> list[Any]:
    """A stream of the Responses API so far."""
    response = {"id": "r", "model": "m", "status": "in_progress", "output": [], "usage": None, "service_tier": word}
    return [
        {"type": "response.created", "response": response},
        {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "aa"},
    ]


CUT = {"completions": (completions_openai, in_completions), "gemini": (gemini, in_gemini), "responses": (responses, in_responses)}


@pytest.mark.parametrize("name", CUT)
def test_the_tier_that_a_stream_has_named_so_far_is_known_in_every_dialect(name: str) -> None:
    """[fault M11] A cut stream costs what that does: where the vendor had no room in the tier asked for, that of the usual one."""
    dialect, write = CUT[name]
    chat = parse_chat(body(stream=True, service_tier="priority"))
    prompt = CompletionsRequest(json.dumps({"model": "fast", "stream": True, "prompt": "Hi"}).encode())
    for words, tier in ((["default"], ""), (["priority"], "priority"), (["priority", "default"], "")):
        target = Target("acme", "m", dialect.NAME, completions=dialect is completions_openai)
        decoder = dialect.decoder(prompt if target.completions else chat, target, call_id="c", created=1, protocol="typed parts")
        for each in (each for word in words for each in write(word)):
            decoder.feed(event(each))
        assert (told(decoder).tier, decoder.failure) == (tier, None)


@pytest.mark.parametrize(("tier", "token"), [("priority", (3_500, 14_000)), ("flex", (2_000, 8_000)), ("auto", (2_000, 8_000))])
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_held_is_enough_for_the_dearer_of_the_tier_asked_for_and_the_usual_one(
    tier: str, token: tuple[int, int], *, stream: bool
) -> None:
    """A wallet with a nano-dollar less asks nobody."""
    needs = INPUT * token[0] + (256 if stream else 4_096) * token[1]
    answer = streamed([None] * 6) if stream else [said(None)]
    client, rows = made(answer, wallet=Wallet("default", needs - 1), stream=stream, service_tier=tier)
    assert (client.status, rows) == (402, [])
    client, rows = made(answer, wallet=Wallet("default", needs), stream=stream, service_tier=tier)
    assert (client.status, len(rows)) == (200, 1)


def routed(
    prices: Prices | None, fields: dict[str, Any], *, allow: bool | None = None, look_up: LookUp = unlisted, **model: Any
) -> tuple[ApiError | None, int]:
    """The error of a call to a model on another machine, None for an answer, and how often its vendor was asked."""
    upstream = ScriptedUpstream(Script([said(None)]))
    rig = Rig(upstream)
    vendor = Vendor(base_url="https://api.openai.com/v1", prices={"o3": prices} if prices else {}, allow_unpriced=allow)
    rig.dependencies.routes = Routes(Config(vendors={"a": vendor}, models={"fast": Model(to=("a/o3",), **model)}), look_up)
    client = MemoryClient()
    try:
        run_virtual(rig.call(client, body(**fields)))
    except ApiError as error:
        return error, len(upstream.requests)
    assert client.status == 200
    return None, len(upstream.requests)


@pytest.mark.parametrize("fields", [{"service_tier": "turbo"}, {"speed": "fast"}, {"service_tier": "priority", "speed": "fast"}])
def test_a_tier_without_a_price_is_refused_before_the_vendor_is_asked(fields: dict[str, Any]) -> None:
    """422, with the member that asks for it, what has a price, and the setting that gives it one."""
    error, asked = routed(TIERED, fields)
    assert error is not None
    assert (error.status, error.code, error.param, asked) == (422, "unsupported_parameter", next(reversed(fields)), 0)
    assert "flex, priority" in error.message
    assert "`service_tiers`" in error.message
    assert routed(TIERED, fields, allow=True) == (None, 1)


@pytest.mark.parametrize("word", ["auto", "default", "standard_only", "flex", "priority", None])
def test_a_tier_with_a_price_and_the_vendors_own_choice_are_not_refused(word: str | None) -> None:
    """And neither is a tier that nobody names."""
    assert routed(TIERED, {"service_tier": word}) == (None, 1)


def test_a_model_may_allow_some_tiers_only() -> None:
    """Whatever has a price; the usual one needs no leave."""
    for allowed, refused in ((("flex",), ["priority"]), ((), ["flex", "priority"]), (("flex", "priority"), [])):
        found = {tier: routed(TIERED, {"service_tier": tier}, allowed_tiers=allowed) for tier in ("flex", "priority", "default")}
        assert [tier for tier, (error, _) in found.items() if error is not None] == refused
        assert all((error.status, error.param, asked) == (422, "service_tier", 0) for error, asked in found.values() if error is not None)


def test_of_several_targets_only_those_are_asked_that_have_a_price_for_the_tier() -> None:
    """One that lacks it is passed over, as one without any price is."""
    first, second = ScriptedUpstream(Script([said(None)])), ScriptedUpstream(Script([said("flex")]))
    rig = Rig(first, second)
    vendors = {
        name: Vendor(base_url=f"https://{name}.example/v1", prices={"m": prices})
        for name, prices in (("a", Prices(input=1, output=1)), ("b", TIERED))
    }
    rig.dependencies.routes = Routes(Config(vendors=vendors, models={"fast": Model(to=("a/m", "b/m"))}), unlisted)
    run_virtual(rig.call(MemoryClient(), body(service_tier="flex")))
    assert (len(first.requests), len(second.requests), rig.rows[0].cost) == (0, 1, COSTS["flex"])


@pytest.mark.parametrize(
    ("model", "tier", "nanos"),
    [("o3", "priority", 420_000_000), ("o3", "default", 240_000_000), ("o3", "flex", 120_000_000), ("gpt-5.4", "priority", 650_000_000)],
)
def test_the_catalogue_brings_the_prices_of_tiers_along(model: str, tier: str, nanos: int) -> None:
    """100,000 tokens in and 5,000 out: at o3's priority tier 100,000 x 3.5 + 5,000 x 14 = 420,000 micro-dollars, at gpt-5.4's 5 and 30."""
    listed = catalogue_price("openai", "https://api.openai.com/v1", model)
    assert listed is not None
    price = listed.at(1.8e9, tier_named(tier) or "")
    assert cost_of(Usage(100_000, 5_000), price.prices) == nanos
    assert price.source.endswith(f"({tier})") is (tier != "default")


def moments(model: ModelInfo) -> list[datetime]:
    """A moment on each day from which a price of a tier holds, and one long after."""
    limits = [variant.constraint for variant in model.price_variants or ()]
    days = {limit.start_date for limit in limits if isinstance(limit, StartDateConstraint)}
    return [*(datetime.combine(day, time(12), UTC) for day in days), datetime(2031, 7, 1, 2, 30, tzinfo=UTC)]


def test_every_tier_and_speed_of_the_catalogue_costs_what_the_catalogue_itself_says() -> None:
    """For every model that has some, at all times from the day on which the last of them began, on both sides of every threshold."""
    compared = 0
    for provider in providers:
        for model in provider.models:
            contexts = [each.when for each in model.price_variants or () if each.when.keys() <= {"service_tier", "speed"}]
            listed = price_list(model, "catalogue") if contexts else None
            for moment in moments(model)[-1:] if listed else ():
                for context in contexts:
                    (word,) = context.values()
                    ours = listed.at(moment.timestamp(), tier_named(word) or "").prices
                    theirs = model.get_prices(moment, context)
                    for size in (1_000, 200_001, 272_001):
                        given = theirs.calc_price({"input_tokens": size, "output_tokens": 700, "cache_read_tokens": size // 3})
                        assert abs(cost_of(Usage(size, 700, size // 3), ours) - given["total_price"] * 10**9) <= 1, (model.id, context)
                        compared += 1
    assert compared > 200


def test_in_a_service_tier_what_is_left_out_costs_as_outside_it_times_the_factor() -> None:
    """A kind that it prices holds for inputs of any size, unless it has thresholds of its own; the outer factor is on everything."""
    over = PriceTier(over_input_tokens=100, input=4, output=8)
    tiers = {
        "flex": VendorTier(factor=0.5),
        "priority": VendorTier(input=3, factor=2),
        "fast": VendorTier(output=6, tiers=(PriceTier(over_input_tokens=50, input=7, output=9),)),
    }
    setting = Prices(input=2, output=4, cached_input=1, tiers=(over,), service_tiers=tiers, factor=1.1)
    (term,) = configured(setting, "m")
    found = {name: price.prices for name, price in {"": term.price, **term.tiers}.items()}

    def rates(over: int = 0, **dollars: float) -> Any:
        made = unit_prices({kind: round(dollar * 10**9) for kind, dollar in dollars.items()})
        return Tier(over, made) if over else made

    def with_tiers(base: Any, *others: Tier) -> Any:
        return unit_prices({name: getattr(base, name) for name in ("input", "output", "cached_input")}, others)

    assert found == {
        "": with_tiers(rates(input=2.2, output=4.4, cached_input=1.1), rates(100, input=4.4, output=8.8)),
        "flex": with_tiers(rates(input=1.1, output=2.2, cached_input=0.55), rates(100, input=2.2, output=4.4)),
        "priority": with_tiers(rates(input=3.3, output=8.8, cached_input=2.2), rates(100, input=3.3, output=17.6)),
        "fast": with_tiers(rates(input=2.2, output=6.6, cached_input=1.1), rates(50, input=7.7, output=9.9)),
    }


BAD = {
    "prices: {input: 1, output: 1, service_tiers: {Priority: {factor: 2}}}": "small letters",
    "prices: {input: 1, output: 1, service_tiers: {auto: {factor: 2}}}": "no name of another service tier",
    "prices: {input: 1, output: 1, service_tiers: {flex: {}}}": "nothing that differs",
    "prices: {input: 1, output: 1, service_tiers: {flex: {factor: 0}}}": "a number above 0",
    "prices: {input: 1, output: 1, service_tiers: {flex: {input: 0.0000000001}}}": "nine decimals",
    "prices: {input: 1, output: 1, factor: 101}": "to 100",
    "allowed_tiers: [Flex]": "small letters",
}


@pytest.mark.parametrize(("setting", "words"), BAD.items(), ids=list(BAD))
def test_a_setting_of_tiers_that_means_nothing_is_told(setting: str, words: str, tmp_path: Path) -> None:
    """With what would be right."""
    path = tmp_path / "c.yaml"
    path.write_text(f"vendors: {{v: {{base_url: 'http://127.0.0.1:1/v1'}}}}\nmodels: {{m: {{to: [v/m], {setting}}}}}\n")
    with pytest.raises(ConfigErrors) as errors:
        load(str(path), {}, {})
    assert any(words in f"{problem.what} {problem.remedy}" for problem in errors.value.problems)
