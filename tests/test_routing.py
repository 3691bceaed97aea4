"""Which targets a name means, in which order, and who may ask."""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from datetime import date

import pytest

from aisa.config.schema import Config, Embedded, Model, Prices, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.edge.listed_models import visible
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.prices.rules import Price, PriceList, Term, unlisted
from aisa.pricing import UnitPrices, cost_of, unit_prices
from aisa.routing import NAMES_KEPT_MAX, Routes
from aisa.usage import Usage
from aisa.wire.chat import parse_chat

ANYONE = Key("key_1", "test", b"", "sk-…", "active", 0)
VENDORS = {"a": Vendor(base_url="http://a.example/v1", api_key="aaaa"), "b": Vendor(base_url="http://b.example/v1")}


def targets(config: Config, model: str, seed: int = 1, key: Key = ANYONE, **fields: object) -> list[str]:
    """The targets of a call, as vendor/model."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi."}], **fields}).encode()
    plan = Routes(config).plan(parse_chat(body), key, random.Random(seed))
    assert all(offer.name == f"{offer.target.vendor}/{offer.target.model}" for offer in plan.offers)
    return [offer.name for offer in plan.offers]


def refusal(config: Config, model: str, key: Key = ANYONE, **fields: object) -> ApiError:
    """The error for a call that must be refused."""
    with pytest.raises(ApiError) as caught:
        targets(config, model, key=key, **fields)
    return caught.value


NAMED = Config(vendors=VENDORS, models={"fast": Model(to=("a/x", "b/y")), "GLM-5": Model(to=("a/glm",))})


@pytest.mark.parametrize("name", ["fast", "FAST", "Fast", "aisa/fast", "aisa/FAST"])
def test_a_name_matches_exactly_else_whatever_its_case_else_without_prefix(name: str) -> None:
    """The order of the contract: exact, case-insensitive, without `aisa/`."""
    assert targets(NAMED, name) == ["a/x", "b/y"]


def test_an_exact_match_wins_over_one_of_another_case() -> None:
    """Two models may differ in case only."""
    config = Config(vendors=VENDORS, models={"M": Model(to=("a/big",)), "m": Model(to=("a/small",))})
    assert (targets(config, "m"), targets(config, "M")) == (["a/small"], ["a/big"])


def test_vendor_and_model_need_no_entry() -> None:
    """The first slash divides; the model's name may have slashes of its own."""
    assert targets(NAMED, "a/meta-llama/llama-3") == ["a/meta-llama/llama-3"]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """Once models are listed, nothing else is guessed."""
    error = refusal(NAMED, "fats")
    assert (error.status, error.code, error.param) == (404, "unknown_model", "model")
    assert "'fast'" in error.message


def test_a_bare_name_goes_to_the_only_vendor_when_no_models_are_listed() -> None:
    """With OPENAI_API_KEY alone, `gpt-4.1` just works."""
    assert targets(Config(vendors={"openai": VENDORS["a"]}), "gpt-4.1") == ["openai/gpt-4.1"]


def test_without_any_vendor_the_embedded_model_answers_under_every_name() -> None:
    """And in that name; the header says who it is."""
    assert targets(Config(), "gpt-5") == ["embedded/gpt-5"]
    assert refusal(Config(embedded=Embedded(enabled="never")), "gpt-5").code == "unknown_model"


def test_with_a_vendor_the_embedded_model_answers_only_to_its_own_name() -> None:
    """A typo must not be answered with babble once real models are there."""
    assert refusal(NAMED, "gpt-5").code == "unknown_model"
    assert targets(NAMED, "embedded/tiny") == ["embedded/tiny"]


@pytest.mark.heavy
def test_weights_share_the_traffic_and_every_target_stays_a_fallback() -> None:
    """Three to one, over 4,000 draws."""
    weighted = Model(to=(TargetSetting(target="a/x", weight=3), TargetSetting(target="b/y", weight=1)))
    config = Config(vendors=VENDORS, models={"big": weighted})
    first = Counter(targets(config, "big", seed)[0] for seed in range(4000))
    assert first["a/x"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert sorted(targets(config, "big")) == ["a/x", "b/y"]


def test_a_weight_of_zero_is_a_stand_by() -> None:
    """It is asked last, always."""
    model = Model(to=(TargetSetting(target="a/x", weight=0), TargetSetting(target="b/y", weight=1)))
    config = Config(vendors=VENDORS, models={"big": model})
    assert {tuple(targets(config, "big", seed)) for seed in range(50)} == {("b/y", "a/x")}


def test_a_model_outside_the_keys_list_is_refused() -> None:
    """Also by its vendor/model spelling; the list's case does not matter."""
    key = Key("key_1", "test", b"", "sk-…", "active", 0, models=("FAST",))
    assert targets(NAMED, "fast", key=key) == ["a/x", "b/y"]
    for name in ("GLM-5", "a/x", "embedded/tiny"):
        assert refusal(NAMED, name, key=key).code == "model_not_allowed"
    assert [entry.name for entry in visible(Routes(NAMED), key)] == ["fast"]


LIMITED = Config(vendors=VENDORS, models={"small": Model(to=("a/x",), max_output_tokens=100, max_top_logprobs=20)})


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_more_output_than_the_model_writes_is_refused(field: str) -> None:
    """422, naming the field that was sent."""
    error = refusal(LIMITED, "small", **{field: 101})
    assert (error.status, error.code, error.param) == (422, "max_tokens_exceeded", field)
    assert targets(LIMITED, "small", **{field: 100}) == ["a/x"]


def test_more_logprobs_than_the_model_gives_are_refused() -> None:
    """A model's limit, not the parser's."""
    error = refusal(LIMITED, "small", logprobs=True, top_logprobs=123)
    assert (error.status, error.code, error.param) == (422, "unsupported_parameter", "top_logprobs")


def test_unknown_models_come_before_forbidden_ones_and_those_before_limits() -> None:
    """The order of checks: 404, 403, 422."""
    key = Key("key_1", "test", b"", "sk-…", "active", 0, models=("other",))
    assert refusal(LIMITED, "nothing", key=key, max_tokens=101).status == 404
    assert refusal(LIMITED, "small", key=key, max_tokens=101).status == 403


def test_prices_become_whole_nano_dollars_and_kinds_inherit() -> None:
    """Cached input costs what input does unless said otherwise."""
    config = Config(vendors=VENDORS, models={"m": Model(to=("a/x",), prices=Prices(input=1.25, output=10, reasoning=0.000000001))})
    assert price_of(Routes(config), "m") == Price(
        UnitPrices(
            input=1_250_000_000,
            output=10_000_000_000,
            cached_input=1_250_000_000,
            cache_write=1_250_000_000,
            reasoning=1,
        ),
        "models.m.prices",
    )


def test_each_token_is_charged_once_at_its_own_price() -> None:
    """Cached, cache-write and audio tokens are part of the input, reasoning and audio of the output; one rounding, half up."""
    prices = UnitPrices(*(nanos * 100_000 for nanos in (10, 100, 1, 20, 30, 40, 50)))
    usage = Usage(100, 50, cached_tokens=40, cache_write_tokens=10, reasoning_tokens=20, input_audio_tokens=5, output_audio_tokens=6)
    assert cost_of(usage, prices) == 45 * 1 + 4 + 10 * 2 + 5 * 4 + 24 * 10 + 20 * 3 + 6 * 5
    assert cost_of(Usage(input_tokens=1), unit_prices({"input": 500_000})) == 1
    assert cost_of(Usage(input_tokens=1), unit_prices({"input": 499_999})) == 0


class Catalogue:
    """A look-up that knows the models of vendor `a` whose name begins with `known`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, vendor: str, base_url: str, model: str) -> PriceList | None:
        """Return a list of one price."""
        self.asked.append((vendor, base_url, model))
        known = vendor == "a" and model.startswith("known")
        return PriceList((Term(Price(unit_prices({"input": 7}), "catalogue")),)) if known else None


def price_of(routes: Routes, name: str, at: float = 0.0) -> Price | None:
    """The price of a name at a moment, at its first target."""
    return routes.find(name).offers[0].price_at(at)


def source_of(routes: Routes, name: str, at: float = 0.0) -> str | None:
    """Who says the price of a name at a moment."""
    price = price_of(routes, name, at)
    return None if price is None else price.source


ONE = Prices(input=1, output=1)
LATER = Prices(input=2, output=2, from_=date(2026, 12, 1))
DECEMBER = 1_796_083_200.0
PRICED = Config(
    vendors={
        "a": Vendor(base_url="http://a.example/v1", prices={"known-b": ONE, "later": (LATER,)}),
        "b": Vendor(base_url="http://b.example/v1", prices={"y": ONE}),
    },
    models={
        "own": Model(to=("a/known",), prices=ONE),
        "vendors": Model(to=("a/known-b",)),
        "listed": Model(to=("a/known", "b/y")),
        "second": Model(to=("b/none", "a/known")),
        "both": Model(to=("a/known", "b/none"), prices=ONE),
        "soon": Model(to=("a/known",), prices=(LATER,)),
        "soon-only": Model(to=("b/none",), prices=(LATER,)),
        "mine": Model(to=("embedded/tiny",)),
        "sold": Model(to=("embedded/tiny",), prices=ONE),
    },
)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("own", "models.own.prices"),
        ("vendors", "vendors.a.prices.known-b"),
        ("listed", "catalogue"),
        ("second", None),
        ("a/none", None),
        ("a/known-b", "vendors.a.prices.known-b"),
        ("a/known-c", "catalogue"),
        ("b/y", "vendors.b.prices.y"),
        ("mine", "the embedded model is free"),
        ("embedded/tiny", "the embedded model is free"),
        ("sold", "models.sold.prices"),
    ],
)
def test_the_models_price_comes_before_its_vendors_and_that_before_the_catalogues(name: str, source: str | None) -> None:
    """At the first target; each further one has a price of its own."""
    assert source_of(Routes(PRICED, Catalogue()), name) == source


def test_each_target_of_a_model_has_its_own_price_unless_the_model_has_one() -> None:
    """(fault M1) What a call costs follows from who serves it: the second target's price is not the first one's."""
    routes = Routes(PRICED, Catalogue())
    sources = {name: [price and price.source for price in prices_of(routes, name)] for name in ("listed", "second", "both")}
    assert sources == {
        "listed": ["catalogue", "vendors.b.prices.y"],
        "second": [None, "catalogue"],
        "both": ["models.both.prices", "models.both.prices"],
    }


def prices_of(routes: Routes, name: str) -> list[Price | None]:
    """The prices of a name at its targets, in order."""
    return [offer.price_at(0.0) for offer in routes.find(name).offers]


def chain(*to: str | TargetSetting, **settings: object) -> Config:
    """A model `m` at these targets: vendor `a` is elsewhere with a catalogue's price for `known`, `b` too without any, `local` is here."""
    vendors = {
        "a": Vendor(base_url="http://a.example/v1"),
        "b": Vendor(base_url="http://b.example/v1", **settings),
        "local": Vendor(base_url="http://127.0.0.1:9/v1"),
    }
    return Config(vendors=vendors, models={"m": Model(to=to)})


@pytest.mark.parametrize(
    ("config", "asked", "unpriced"),
    [
        (chain("local/x", "a/known"), ["local/x", "a/known"], []),
        (chain("local/x", "b/y"), ["local/x"], ["b/y"]),
        (chain("a/known", "b/y", "local/x"), ["a/known", "local/x"], ["b/y"]),
        (chain("b/y", "a/known"), ["a/known"], ["b/y"]),
        (chain(TargetSetting(target="a/known"), TargetSetting(target="b/y", weight=9)), ["a/known"], ["b/y"]),
        (chain("a/known", "b/y", "b/z"), ["a/known"], ["b/y", "b/z"]),
        (chain("a/known", "b/y", allow_unpriced=True), ["a/known", "b/y"], []),
    ],
)
def test_a_target_that_needs_a_price_and_has_none_is_never_asked(config: Config, asked: list[str], unpriced: list[str]) -> None:
    """(fault M1) Wherever it stands in the list: the others serve the call, and it is never free."""
    routes = Routes(config, Catalogue())
    for seed in range(20):
        plan = routes.plan(parse_chat(ASKS_M), ANYONE, random.Random(seed))
        assert [offer.name for offer in plan.offers] == asked
    assert [offer.name for offer in routes.find("m").unpriced] == unpriced


def test_a_model_all_of_whose_targets_lack_a_price_is_refused() -> None:
    """(fault M1) Not only when the first one does."""
    with pytest.raises(ApiError, match=r"'m' has no price here.*`vendors\.b\.prices`"):
        Routes(chain("b/y", "b/z"), Catalogue()).plan(parse_chat(ASKS_M), ANYONE, random.Random(1))


ASKS_M = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}]}).encode()


def test_until_a_price_begins_the_next_source_counts_or_else_the_price_itself() -> None:
    """A future price does not take away the one of today."""
    routes = Routes(PRICED, Catalogue())
    for name, before in (("soon", "catalogue"), ("soon-only", "models.soon-only.prices.0"), ("a/later", "vendors.a.prices.later.0")):
        after = before if name != "soon" else "models.soon.prices.0"
        assert (source_of(routes, name, DECEMBER - 1), source_of(routes, name, DECEMBER)) == (before, after)


def test_the_catalogue_is_asked_only_where_the_configuration_leaves_a_gap() -> None:
    """Of each target, with the vendor's name and address and the model's name there."""
    catalogue = Catalogue()
    Routes(PRICED, catalogue)
    a, b = "http://a.example/v1", "http://b.example/v1"
    known, none = ("a", a, "known"), ("b", b, "none")
    assert catalogue.asked == [known, none, known, known, none]


def test_a_name_that_callers_make_up_is_looked_up_once_and_kept_within_a_bound() -> None:
    """Often used names stay, and neither many names nor long ones fill the memory."""
    catalogue = Catalogue()
    routes = Routes(Config(vendors=VENDORS), catalogue)
    for _ in range(3):
        assert source_of(routes, "a/known") == "catalogue"
    assert len(catalogue.asked) == 1
    routes.find("b/" + "x" * 1_000)
    assert routes._kept.cache_info().currsize == 1
    for number in range(NAMES_KEPT_MAX + 100):
        routes.find(f"b/{number}")
        routes.find("a/known")
    assert catalogue.asked.count(("a", "http://a.example/v1", "known")) == 1
    assert routes._kept.cache_info().currsize == NAMES_KEPT_MAX
    routes.find("b/0")
    assert catalogue.asked.count(("b", "http://b.example/v1", "0")) == 2


def unpriced(allow: bool | None = None, base_url: str = "http://a.example/v1", **entry: object) -> Config:
    """A configuration whose model `m` has no price."""
    vendors = {"a": Vendor(base_url=base_url, allow_unpriced=allow), "b": VENDORS["b"]}
    return Config(vendors=vendors, models={"m": Model(to=("a/x",), **entry)})


@pytest.mark.parametrize("name", ["m", "M", "a/x", "aisa/m"])
def test_a_model_without_a_price_is_refused_and_the_operator_is_told_what_to_do(name: str) -> None:
    """As unknown, before the key's list is looked at; the message names both remedies."""
    key = Key("key_1", "test", b"", "sk-…", "active", 0, models=("other",))
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "Hi."}]}).encode()
    with pytest.raises(ApiError) as caught:
        Routes(unpriced(), unlisted).plan(parse_chat(body), key, random.Random(1))
    error = caught.value
    assert (error.status, error.code, error.param) == (404, "unknown_model", "model")
    assert "has no price here" in str(error)
    assert "`vendors.a.prices`" in str(error)
    assert "`vendors.a.allow_unpriced`" in str(error)


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        (unpriced(), True),
        (unpriced(allow=True), False),
        (unpriced(allow=False), True),
        (unpriced(base_url="http://127.0.0.1:11434/v1"), False),
        (unpriced(base_url="http://localhost:11434/v1"), False),
        (unpriced(base_url="http://10.0.0.9:11434/v1"), True),
        (unpriced(base_url="http://127.0.0.1:11434/v1", allow=False), True),
        (unpriced(prices=ONE), False),
    ],
)
def test_only_where_it_is_allowed_or_on_this_machine_may_a_model_be_without_a_price(config: Config, *, refused: bool) -> None:
    """The default follows the vendor's address, and a setting overrules it both ways."""
    chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}]}).encode())
    with pytest.raises(ApiError, match="no price") if refused else contextlib.nullcontext():
        Routes(config, unlisted).plan(chat, ANYONE, random.Random(1))


def test_without_a_look_up_no_model_needs_a_price() -> None:
    """Tests of other things need neither a catalogue nor prices."""
    assert targets(unpriced(), "m") == ["a/x"]


def test_always_means_under_every_name_that_nothing_else_serves() -> None:
    """For trying out a client against names that are not there yet, beside real ones."""
    config = Config(vendors=VENDORS, models=NAMED.models, embedded=Embedded(enabled="always"))
    assert targets(config, "gpt-5") == ["embedded/gpt-5"]
    assert targets(config, "fast") == ["a/x", "b/y"]
    assert targets(Config(vendors={"a": VENDORS["a"]}, embedded=Embedded(enabled="always")), "gpt-5") == ["embedded/gpt-5"]


def test_how_much_fits_a_target_is_known_from_its_own_line_else_the_models_else_the_catalogue() -> None:
    """[fault B4] By it a prompt that is too long for one target finds another."""
    listed = PriceList((Term(Price(unit_prices({"input": 1, "output": 1}), "listed")),), context_window=3_000)
    to = (TargetSetting(target="a/x", context_window=1_000), TargetSetting(target="b/y"))

    def windows(model: Model, known: PriceList | None) -> list[int | None]:
        routes = Routes(Config(vendors=VENDORS, models={"fast": model}), lambda *_: known)
        offers = routes.find("fast").offers
        return [offer.target.context_window for offer in offers]

    assert windows(Model(to=to, context_window=2_000), listed) == [1_000, 2_000]
    assert windows(Model(to=to), listed) == [1_000, 3_000]
    assert windows(Model(to=to), None) == [1_000, None]


@pytest.mark.parametrize("name", ["A/some-model", "a/some-model", "aisa/A/some-model"])
def test_a_vendors_name_matches_whatever_its_case(name: str) -> None:
    """Point P16: As a model's does; the name that the row keeps is the configuration's, and what follows is the caller's."""
    entry = Routes(Config(vendors=VENDORS, models={"small": Model(to=("a/x",))})).find(name)
    assert entry.name == "a/some-model"
