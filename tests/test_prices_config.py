"""Prices in the configuration: every way to write them, every digit of them, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aisa.config.load import ConfigErrors, load
from aisa.config.reference import json_schema
from aisa.config.schema import Config, Model, Prices, PriceTier
from aisa.money import dollars_text
from aisa.prices.rules import configured, unlisted
from aisa.routing import Routes
from repeats import repeats

VENDOR = "vendors: {v: {base_url: 'http://127.0.0.1:1/v1'}}\n"


def loaded(folder: Path, text: str, **environment: str) -> Config:
    """Load a configuration of this text."""
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), environment, {}).config


def prices_in(folder: Path, text: str, **environment: str) -> Prices | tuple[Prices, ...] | None:
    """The prices of a model whose prices are written so."""
    model = loaded(folder, VENDOR + f"models: {{m: {{to: [v/m], prices: {text}}}}}", **environment).models["m"]
    assert isinstance(model, Model)
    return model.prices


def test_prices_are_one_set_or_several_by_date_with_tiers_and_audio(tmp_path: Path) -> None:
    """Each form comes out as written; a date may be quoted, bare, or from the environment."""
    assert prices_in(tmp_path, "{input: 1, output: 2.5, input_audio: 3, output_audio: 4}") == Prices(
        input=1, output=2.5, input_audio=3, output_audio=4
    )
    tier = PriceTier(over_input_tokens=200_000, input=2, output=3, cached_input=0.5)
    assert prices_in(
        tmp_path,
        "[{input: 1, output: 1}, {from: 2026-12-01, input: 1, output: 2,"
        " tiers: [{over_input_tokens: 200000, input: 2, output: 3, cached_input: 0.5}]},"
        " {from: '2027-01-01', input: 0, output: 0}, {from: '${DAY}', input: '${PRICE}', output: 0}]",
        DAY="2028-02-29",
        PRICE="0.1",
    ) == (
        Prices(input=1, output=1),
        Prices(input=1, output=2, from_=date(2026, 12, 1), tiers=(tier,)),
        Prices(input=0, output=0, from_=date(2027, 1, 1)),
        Prices(input=0.1, output=0, from_=date(2028, 2, 29)),
    )
    assert prices_in(tmp_path, "") is None


def test_a_vendor_may_have_prices_by_model_and_say_whether_they_are_needed(tmp_path: Path) -> None:
    """In the same forms as a model's, under the names that the vendor has for its models."""
    text = "vendors: {v: {base_url: http://h, allow_unpriced: true, prices: {a/b-1: {input: 1, output: 2}, 4.1: [{input: 3, output: 4}]}}}"
    vendor = loaded(tmp_path, text).vendors["v"]
    assert vendor.allow_unpriced is True
    assert vendor.prices == {"a/b-1": Prices(input=1, output=2), "4.1": (Prices(input=3, output=4),)}
    assert loaded(tmp_path, VENDOR).vendors["v"].allow_unpriced is None


#: what `prices` is -> where below it the only problem is, words of what is wrong, words of the remedy
BAD = {
    "{input: 1}": (".output", "required", "output tokens"),
    "{input: 1, output: 1, audio: 1}": (".audio", "no such setting", "`input_audio`"),
    "{input: -1, output: 1}": (".input", "from 0 to 1,000,000", "input tokens"),
    "{input: .nan, output: 1}": (".input", "from 0 to 1,000,000", "input tokens"),
    "{input: '1', output: 1}": (".input", "from 0 to 1,000,000", "input tokens"),
    "{input: 1, output: 1, output_audio: 0.1234567891}": (".output_audio", "nine decimals", "Round"),
    "{input: 1, output: 1, per_search: 1001}": (".per_search", "from 0 to 1,000", "search"),
    "{input: 20000, output: 1, factor: 100}": ("", "2,000,000 dollars", "may cost 1,000,000"),
    "{input: 1, output: 200000, factor: 2, hours: [{days: [sat], factor: 3}]}": ("", "1,200,000 dollars", "may cost 1,000,000"),
    "{input: 1, output: 1, factor: 2, service_tiers: {flex: {output: 600000}}}": ("", "1,200,000 dollars", "may cost 1,000,000"),
    "{input: 1, output: 1, factor: 2, tiers: [{over_input_tokens: 5, input: 600000, output: 1}]}": (
        "",
        "1,200,000 dollars",
        "may cost 1,000,000",
    ),
    "{input: 1, output: 1, from: tomorrow}": (".from", 'a date such as 2026-12-01, but found "tomorrow"', "midnight UTC"),
    "{input: 1, output: 1, from: 2026-13-01}": (".from", "Expected a date such as", "Day on which"),
    "{input: 1, output: 1, from: 2026-12-01 10:00:00}": (".from", "a date such as", "midnight UTC"),
    "{input: 1, output: 1, from: 20261201}": (".from", "a date such as", "midnight UTC"),
    "{input: 1, output: 1, from_: 2026-12-01}": (".from_", "no such setting", "`from`"),
    "[]": ("", "empty", "remove the line"),
    "[{input: 1, output: 1}, {input: 2, output: 2}]": ("", "More than one of the entries has no `from`", "one may be without"),
    "[{input: 1, output: 1, from: 2026-12-01}, {input: 2, output: 2, from: '2026-12-01'}]": (
        "",
        "begin on 2026-12-01",
        "Give each the day",
    ),
    "[{input: 1}]": (".0.output", "required", "output tokens"),
    "[{input: 1, output: 1}, 5]": (".1", "found 5", "set of prices"),
    "[{input: 1, output: 1, from: 2026-12-01}, {input: 1, output: 0.12345678912}]": (".1.output", "nine decimals", "Round"),
    "5": ("", "mapping of settings or a list", "set of prices"),
    "{input: 1, output: 1, tiers: {over_input_tokens: 5}}": (".tiers", "a list", "large input"),
    "{input: 1, output: 1, tiers: [{input: 1, output: 1}]}": (".tiers.0.over_input_tokens", "required", "The tier holds"),
    "{input: 1, output: 1, tiers: [{over_input_tokens: 0, input: 1, output: 1}]}": (".tiers.0.over_input_tokens", "from 1 up", "tier"),
    "{input: 1, output: 1, tiers: [{over_input_tokens: 5, input: 1}]}": (".tiers.0.output", "required", "in the tier"),
    "{input: 1, output: 1, tiers: [{over_input_tokens: 5, input: 0.1234567891, output: 1}]}": (".tiers.0.input", "nine decimals", "Round"),
    "{input: 1, output: 1, tiers: [{over_input_tokens: 5, input: 1, output: 1, from: 2026-12-01}]}": (
        ".tiers.0.from",
        "no such",
        "`models",
    ),
    "{input: 1, output: 1, tiers: [{over_input_tokens: 5, input: 1, output: 1}, {over_input_tokens: 5, input: 2, output: 2}]}": (
        ".tiers",
        "the same `over_input_tokens`",
        "threshold of its own",
    ),
}


@pytest.mark.parametrize("place", ["models.m.prices", "vendors.v.prices.x"])
@pytest.mark.parametrize(("text", "expected"), BAD.items(), ids=list(BAD))
def test_a_mistake_in_prices_is_told_with_its_place_and_its_remedy(
    tmp_path: Path, text: str, expected: tuple[str, str, str], place: str
) -> None:
    """Each mistake alone is one problem that names the setting, wherever prices may stand."""
    under = f"models: {{m: {{to: [v/m], prices: {text}}}}}"
    vendor = f"vendors: {{v: {{base_url: 'http://h', prices: {{x: {text}}}}}}}"
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, VENDOR + under if place.startswith("models") else vendor)
    (problem,) = caught.value.problems
    below, what, remedy = expected
    assert problem.where.partition(" (")[0] == place + below
    assert what in problem.what
    assert remedy in problem.remedy
    assert problem.remedy.endswith((".", "?"))


@settings(max_examples=repeats(200), deadline=None)
@given(nanos=st.integers(0, 10**15))
@example(nanos=999_999_999_999_999)
@example(nanos=1)
def test_every_digit_of_a_price_counts(tmp_path_factory: pytest.TempPathFactory, nanos: int) -> None:
    """What the file says is what is charged, to the last of nine decimals, although YAML makes a float of it on the way."""
    text = dollars_text(nanos)
    setting = prices_in(tmp_path_factory.mktemp("digits"), f"{{input: {text}, output: '${{PRICE}}'}}", PRICE=text)
    (term,) = configured(setting, "")
    assert (term.price.prices.input, term.price.prices.output) == (nanos, nanos)


def test_loaded_prices_are_those_that_calls_are_charged(tmp_path: Path) -> None:
    """From the file to the route of a call, with the place of each told as the file numbers it."""
    text = VENDOR + "models: {m: {to: [v/m], prices: [{from: 2026-12-01, input: 2, output: 2}, {input: 1, output: 1}]}}"
    (offer,) = Routes(loaded(tmp_path, text), unlisted).find("m").offers
    price_list = offer.price_list
    assert price_list is not None
    assert [price_list.at(moment).source for moment in (0.0, 1.9e9)] == ["models.m.prices.1", "models.m.prices.0"]


@pytest.mark.parametrize(
    ("prices", "accepted"),
    [
        ({"input": 1, "output": 1}, True),
        ([{"input": 1, "output": 1, "from": "2026-12-01"}], True),
        ({"input": 1, "output": 1, "tiers": [{"over_input_tokens": 5, "input": 1, "output": 1}]}, True),
        ({"input": "${PRICE}", "output": 1}, True),
        ({"input": 1, "output": 1, "from_": "2026-12-01"}, False),
        ([{"input": 1}], False),
        ({"input": 1, "output": 1, "tiers": [{"input": 1, "output": 1}]}, False),
    ],
)
def test_an_editor_judges_prices_as_the_loader_does(prices: object, *, accepted: bool) -> None:
    """The JSON Schema knows the same forms, for models and for vendors."""
    schema = jsonschema.Draft202012Validator(json_schema())
    assert schema.is_valid({"models": {"m": {"to": ["v/m"], "prices": prices}}}) is accepted
    assert schema.is_valid({"vendors": {"v": {"base_url": "http://h", "prices": {"x": prices}}}}) is accepted
