"""(fault M16) A name has the price that the catalogue lists for it, not for one that looks like it, unless the operator says so."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from genai_prices.data import providers
from genai_prices.types import ClauseContains, ClauseEquals, ClauseRegex, ClauseStartsWith, ModelInfo, Provider

from aisa.config.load import ConfigErrors, load
from aisa.config.schema import Config
from aisa.prices.catalogue import catalogue_price, price_list
from aisa.prices.dated_names import with_dashes, without_date
from aisa.prices.matching import Found, Rule, find, is_closed, leaves, newest_check, rule_of
from aisa.prices.rules import PriceList
from aisa.routing import Routes
from repeats import some

AZURE = "https://my-name.openai.azure.com/openai/v1"


def vendor(name: str) -> Provider:
    """A vendor of the catalogue."""
    return next(provider for provider in providers if provider.id == name)


def rates(listed: PriceList | None) -> tuple[int, int] | None:
    """Input and output prices, in nano-dollars per million tokens."""
    return None if listed is None else (listed.at(1.8e9).prices.input, listed.at(1.8e9).prices.output)


@pytest.mark.parametrize(
    ("provider", "name", "rule"),
    [
        ("openai", "gpt-4o", Rule.NAME),
        ("openai", "GPT-4o", Rule.NAME),
        ("openai", "gpt-4o-2024-08-06", Rule.NAME),
        ("openai", "gpt-4-0613", Rule.NAME),
        ("openai", "gpt-5.2-20251211", Rule.DATE),
        ("anthropic", "claude-sonnet-4-5", Rule.NAME),
        ("anthropic", "claude-sonnet-4-5-20250929", Rule.DATE),
        ("anthropic", "claude-sonnet-4-5@20250929", Rule.DATE),
        ("anthropic", "claude-sonnet-4-20250514", Rule.DATE),
        ("anthropic", "claude-3-7-sonnet-latest", Rule.NAME),
        ("anthropic", "claude-opus-4-1-latest", Rule.ENDING),
        ("anthropic", "claude-sonnet-4-5-mega", Rule.ENDING),
        ("anthropic", "claude-sonnet-4-5-20251399", Rule.ENDING),
        ("deepseek", "deepseek-v4-pro", Rule.NAME),
        ("deepseek", "deepseek-v4-pro-max", Rule.ENDING),
        ("google", "claude-opus-5@20260601", Rule.DATE),
        ("google", "gemini-2.0-flash-001", Rule.INSIDE),
        ("google", "acme-gemini-1.5-pro", Rule.INSIDE),
        ("mistral", "mistral-large-2512", Rule.NAME),
        ("mistral", "magistral-medium-2509", Rule.DATE),
        ("mistral", "magistral-medium-latest", Rule.ENDING),
        ("azure", "acme-o4-mini", Rule.INSIDE),
        ("azure", "o4-mini-2025-04-16", Rule.NAME),
        ("azure", "DeepSeek-R1", Rule.OTHER_VENDOR),
        ("azure", "grok-3", Rule.OTHER_VENDOR),
        ("google", "claude-3-opus-20240229", Rule.DATE),
        ("x-ai", "grok-4.3-20260101", Rule.NAME),
        ("openai", "no-such-model", None),
    ],
)
def test_every_name_is_found_by_the_surest_rule_that_it_meets(provider: str, name: str, rule: Rule | None) -> None:
    """An ending that is a date, or that the catalogue names, is no open one."""
    found = find(vendor(provider), name)
    assert (found and found.rule) == rule
    if rule is None or rule > Rule.DATE:
        assert catalogue_price(provider, "", name) is None


@pytest.mark.heavy
def test_whatever_surrounds_a_listed_name_takes_its_price_away() -> None:
    """Of every model of the catalogue: no ending and no beginning that it does not list is priced, at any vendor."""
    priced = [
        (provider.id, name)
        for provider in providers
        for model in some(provider.models)
        for name in (f"{model.id}-ultra", f"acme-{model.id}", f"{model.id}-ultra-20250929")
        if (found := find(provider, name)) is not None and found.rule.sure
    ]
    assert priced == []


def test_every_listed_name_keeps_its_price() -> None:
    """Each name that the catalogue writes out is found by it, with the price of a model that writes it so."""
    for provider in providers:
        for model in some(provider.models):
            for clause in leaves(model.match):
                if isinstance(clause, ClauseEquals):
                    found = find(provider, clause.equals)
                    assert found is not None, clause.equals
                    assert found.rule is Rule.NAME, clause.equals


def test_a_borrowed_price_is_none_and_the_operators_word_makes_it_one() -> None:
    """Azure's DeepSeek-R1 costs more than the list that it would be taken from; a part of another name is no better."""
    assert catalogue_price("mine", AZURE, "DeepSeek-R1") is None
    assert catalogue_price("mine", AZURE, "acme-o4-mini") is None
    assert catalogue_price("openai", "", "gpt-4o") is not None


def loaded(folder: Path, text: str) -> Config:
    """Load a configuration of this text."""
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), {}, {}).config


def test_price_as_says_which_price_a_deployment_has_for_a_vendor_and_for_a_target(tmp_path: Path) -> None:
    """The target's word goes before the vendor's, configured prices before both, and a name outside the models has the vendor's."""
    config = loaded(
        tmp_path,
        f"vendors: {{azure: {{base_url: '{AZURE}', price_as: {{prod: openai/gpt-4o, typo: openai/gpt-nil}},"
        " prices: {DeepSeek-R1: {input: 1.35, output: 5.4}}}}\n"
        "models:\n"
        "  target: [{target: azure/prod, price_as: openai/gpt-4o-mini}]\n"
        "  vendor: [azure/prod]\n"
        "  own: {to: [{target: azure/prod, price_as: openai/gpt-4o-mini}], prices: {input: 7, output: 8}}\n"
        "  typo: [azure/typo]\n"
        "  r1: [azure/DeepSeek-R1]\n"
        "  other: [azure/DeepSeek-V3]\n",
    )
    routes = Routes(config, catalogue_price)
    lists = {name: routes.find(name).offers[0].price_list for name in [*config.models, "azure/prod"]}
    mini, full = (150_000_000, 600_000_000), (2_500_000_000, 10_000_000_000)
    assert {name: rates(listed) for name, listed in lists.items()} == {
        "target": mini,
        "vendor": full,
        "own": (7_000_000_000, 8_000_000_000),
        "typo": None,
        "r1": (1_350_000_000, 5_400_000_000),
        "other": None,
        "azure/prod": full,
    }
    assert lists["vendor"] is not None
    assert lists["vendor"].found.startswith(
        "as `price_as: openai/gpt-4o` says, by its own name, with the price of code that it runs that https://"
    )
    assert [bool(routes.find(name).unpriced) for name in ("typo", "other", "vendor")] == [True, True, False]


@pytest.mark.parametrize("value", ["gpt-4o", "/gpt-4o", "openai/", "' / '"])
def test_a_price_as_without_a_vendor_or_a_model_is_refused(tmp_path: Path, value: str) -> None:
    """Wherever it stands, with what would be right."""
    text = f"vendors: {{v: {{base_url: 'http://h', price_as: {{x: {value}}}}}}}\nmodels: {{m: [{{target: v/x, price_as: {value}}}]}}"
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, text)
    assert [problem.where.partition(" (")[0] for problem in caught.value.problems] == ["vendors.v.price_as.x", "models.m.0.price_as"]
    assert all("openai/gpt-4o" in problem.remedy for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("name", "undated"),
    [
        ("m-2024-08-06", "m"),
        ("m-20250929", "m"),
        ("m@20250929", "m"),
        ("m-250615", "m"),
        ("m-08-2024", "m"),
        ("m-05-20", "m"),
        ("m-0613", "m"),
        ("m-2512", "m"),
        ("m-2024-13-06", None),
        ("m-20250932", None),
        ("m-4513", None),
        ("m-0000", None),
        ("m-1900", None),
        ("m-8192", None),
        ("m-001", None),
        ("m-4-5", None),
        ("m20250929", None),
        ("m-latest", None),
    ],
)
def test_a_date_at_the_end_of_a_name_is_told_from_other_numbers(name: str, undated: str | None) -> None:
    """In every order that vendors write; a size or a version is no date."""
    assert without_date(name) == undated


def test_a_date_in_one_piece_is_written_as_the_catalogue_writes_it() -> None:
    """And nothing else is changed."""
    names = ["gpt-5.2-20251211", "gpt-5.2-2025-12-11", "m-2512", "m"]
    assert [with_dashes(name) for name in names] == ["gpt-5.2-2025-12-11", "gpt-5.2-2025-12-11", "m-2512", "m"]


def test_a_pattern_is_a_name_only_if_it_fixes_the_whole_of_it() -> None:
    """Open ones look for a part, or take anything somewhere; those in the catalogue that take a date are closed."""
    closed = [r"^m-\d{4}-\d{2}-\d{2}$", r"^(v/)?m-1\.13(-\d{8})?$", r"^composer\[fast=true\]$"]
    opened = [r"^m-\d", r"m$", r"^m.*$", r"^m[^/]+$", r"^m-\w+$", "^(?!.*-tts)m$"]
    assert ([is_closed(regex) for regex in closed], [is_closed(regex) for regex in opened]) == ([True] * 3, [False] * 6)
    model = ModelInfo(id="x", match=ClauseRegex(r"^m-\d"))
    assert rule_of(model, "m-5-ultra") is Rule.ENDING


def test_a_surer_rule_wins_over_the_order_of_the_list() -> None:
    """A model further down that has the very name is the one."""
    broad, named = ModelInfo(id="a", match=ClauseContains("m-1")), ModelInfo(id="b", match=ClauseEquals("m-1-mini"))
    begins = ModelInfo(id="c", match=ClauseStartsWith("m-1"))
    mine = Provider(id="p", name="P", api_pattern="p", models=[broad, begins, named])
    assert find(mine, "m-1-mini") == Found(mine, named, Rule.NAME)
    assert find(mine, "m-1-max") == Found(mine, begins, Rule.ENDING)


def test_how_old_the_list_is_comes_from_its_own_notes() -> None:
    """Which hold at least one, or nobody would be told; no day is guessed."""
    assert (newest_check() or date.min) >= date(2026, 10, 26)


def test_a_weekend_has_the_price_that_the_catalogue_tells_for_the_hour() -> None:
    """The catalogue tells hours and no weekdays: on a Saturday it is the weekday's peak. When this fails, it has caught up."""
    (flash,) = [model for model in vendor("deepseek").models if model.id == "deepseek-flash"]
    listed = price_list(flash, "")
    assert listed is not None
    friday, saturday = 1_795_762_800.0, 1_795_849_200.0  # 2026-11-27 and 28, 07:00 UTC
    assert listed.at(friday) == listed.at(saturday)
