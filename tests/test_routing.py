"""Which targets a name means, in which order, and who may ask."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from aisa.config.schema import Config, Embedded, Model, Prices, Vendor
from aisa.config.schema import Target as TargetSetting
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.pricing import UnitPrices, cost_of
from aisa.routing import Routes, visible
from aisa.usage import Usage
from aisa.wire.chat import parse_chat

ANYONE = Key("key_1", "test", b"", "sk-…", "active", 0)
VENDORS = {"a": Vendor(base_url="http://a.example/v1", api_key="aaaa"), "b": Vendor(base_url="http://b.example/v1")}


def targets(config: Config, model: str, seed: int = 1, key: Key = ANYONE, **fields: object) -> list[str]:
    """The targets of a call, as vendor/model."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi."}], **fields}).encode()
    plan = Routes(config).plan(parse_chat(body), key, random.Random(seed))
    return [f"{target.vendor}/{target.model}" for target in plan.targets]


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
    assert list(visible(Routes(NAMED), key)) == ["fast"]


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
    prices = Routes(config).find("m").prices
    assert prices == UnitPrices(
        input=1_250_000_000, output=10_000_000_000, cached_input=1_250_000_000, cache_write=1_250_000_000, reasoning=1
    )


def test_each_token_is_charged_once_at_its_own_price() -> None:
    """Cached and cache-write tokens are part of the input, reasoning of the output; one rounding, half up."""
    prices = UnitPrices(input=1_000_000, output=10_000_000, cached_input=100_000, cache_write=2_000_000, reasoning=3_000_000)
    usage = Usage(input_tokens=100, output_tokens=50, cached_tokens=40, cache_write_tokens=10, reasoning_tokens=20)
    assert cost_of(usage, prices) == 50 * 1 + 4 + 10 * 2 + 30 * 10 + 20 * 3
    assert cost_of(Usage(input_tokens=1), UnitPrices(500_000, 0, 0, 0, 0)) == 1
    assert cost_of(Usage(input_tokens=1), UnitPrices(499_999, 0, 0, 0, 0)) == 0


def test_always_means_under_every_name_that_nothing_else_serves() -> None:
    """For trying out a client against names that are not there yet, beside real ones."""
    config = Config(vendors=VENDORS, models=NAMED.models, embedded=Embedded(enabled="always"))
    assert targets(config, "gpt-5") == ["embedded/gpt-5"]
    assert targets(config, "fast") == ["a/x", "b/y"]
    assert targets(Config(vendors={"a": VENDORS["a"]}, embedded=Embedded(enabled="always")), "gpt-5") == ["embedded/gpt-5"]
