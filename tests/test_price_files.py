"""Price lists in files: what an entry means, which names find it, how lists are ranked, what is said of bad ones, and how two compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aisa.cli.commands import aisa
from aisa.config.schema import Config, Model, Target, Vendor
from aisa.ledger.audit import differences_of
from aisa.prices.catalogue import catalogue_price
from aisa.prices.listed_entry import NotCharged, prices_of
from aisa.prices.price_file import PriceFile, open_price_file, price_sources, ranked
from aisa.prices.rules import PriceList, configured, unlisted
from aisa.pricing import cost_of
from aisa.routing import Routes
from aisa.testing.client import MemoryClient
from aisa.testing.clock import run_virtual
from aisa.testing.upstream import Script, ScriptedUpstream
from aisa.usage import Breakdown, Usage
from repeats import repeats
from rig import Rig, body, document

CLEAN = {"HOST": None, "PORT": None, "AISA_DATA_DIR": None, "AISA_CONFIG": None, "OPENAI_API_KEY": None, "NO_COLOR": None, "COLUMNS": "100"}
PLAIN = {"litellm_provider": "novita", "mode": "chat", "input_cost_per_token": 2e-07, "output_cost_per_token": 5e-07}
LIST: Mapping[str, Any] = {
    "sample_spec": {"input_cost_per_token": 0.0, "max_input_tokens": "as the vendor says it", "mode": "one of: chat, embedding"},
    "novita/maker/Big-1": PLAIN,
    "openai-own": {**PLAIN, "litellm_provider": "openai", "input_cost_per_token": 4e-06, "max_input_tokens": 4_000},
    "gpt-4.1": {**PLAIN, "litellm_provider": "openai", "input_cost_per_token": 2e-06, "output_cost_per_token": 9e-06},
    "gemini/flash": {**PLAIN, "litellm_provider": "gemini"},
    "flash": {**PLAIN, "litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 3e-07},
    "azure/own": {**PLAIN, "litellm_provider": "azure"},
    "openai/picture": {**PLAIN, "litellm_provider": "openai", "mode": "image_generation"},
    "openai/free": {**PLAIN, "litellm_provider": "openai", "input_cost_per_token": 0.0},
}


def written(folder: Path, entries: Mapping[str, object] = LIST, name: str = "list.json") -> Path:
    """Write a price list."""
    path = folder / name
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def listed(folder: Path) -> PriceFile:
    """The list above."""
    return open_price_file(str(written(folder)))


def priced(entry: Mapping[str, object]) -> PriceList:
    """What an entry comes to."""
    return PriceList(configured(prices_of(entry), "list"))


NIGHT = {"input_cost_per_token": 1e-07, "windows": [{"hours_utc": "22:00-06:00", "weekdays": ["mon", "Tuesday", 3]}]}
#: members besides the plain ones, usage, service tier, and what it costs in nano-dollars, with the arithmetic
KINDS: list[tuple[dict[str, Any], Usage, str, int]] = [
    ({}, Usage(input_tokens=1_000, output_tokens=500), "", 1_000 * 200 + 500 * 500),
    (
        {"cache_read_input_token_cost": 2e-08},
        Usage(input_tokens=1_000, output_tokens=10, cached_tokens=900),
        "",
        100 * 200 + 900 * 20 + 10 * 500,
    ),
    (
        {"input_cost_per_token_cache_hit": 3e-08},
        Usage(input_tokens=1_000, output_tokens=10, cached_tokens=900),
        "",
        100 * 200 + 900 * 30 + 5_000,
    ),
    (
        {"cache_creation_input_token_cost": 2.5e-07, "cache_creation_input_token_cost_above_1hr": 4e-07},
        Usage(input_tokens=1_000, output_tokens=0, cache_write_tokens=800, breakdown=Breakdown(cache_write_1h_tokens=300)),
        "",
        200 * 200 + 500 * 250 + 300 * 400,
    ),
    (
        {"cache_creation_input_token_cost_above_12hr": 6e-07},
        Usage(input_tokens=100, output_tokens=0, cache_write_tokens=100, breakdown=Breakdown(cache_write_12h_tokens=100)),
        "",
        100 * 600,
    ),
    ({"output_cost_per_reasoning_token": 7e-07}, Usage(input_tokens=0, output_tokens=50, reasoning_tokens=30), "", 20 * 500 + 30 * 700),
    (
        {"input_cost_per_audio_token": 1e-06, "output_cost_per_audio_token": 2e-06},
        Usage(input_tokens=100, output_tokens=50, input_audio_tokens=80, output_audio_tokens=40),
        "",
        20 * 200 + 80 * 1_000 + 10 * 500 + 40 * 2_000,
    ),
    (
        {"cache_read_input_audio_token_cost": 1e-07, "input_cost_per_audio_token": 1e-06, "cache_read_input_token_cost": 5e-08},
        Usage(input_tokens=100, output_tokens=0, cached_tokens=90, input_audio_tokens=100, breakdown=Breakdown(cached_audio_tokens=90)),
        "",
        90 * 100 + 10 * 1_000,
    ),
    (
        {"input_cost_per_image_token": 3e-07, "output_cost_per_image_token": 3e-05},
        Usage(input_tokens=10, output_tokens=10, breakdown=Breakdown(input_image_tokens=4, output_image_tokens=10)),
        "",
        6 * 200 + 4 * 300 + 10 * 30_000,
    ),
    ({"input_cost_per_request": 0.005}, Usage(input_tokens=10, output_tokens=0), "", 10 * 200 + 5_000_000),
    (
        {"search_context_cost_per_query": {f"search_context_size_{size}": 0.01 for size in ("low", "medium", "high")}},
        Usage(input_tokens=10, output_tokens=0, breakdown=Breakdown(searches=2)),
        "",
        10 * 200 + 2 * 10_000_000,
    ),
    # a call above a threshold costs that for all of its tokens; what has no price of its own there costs what it costs below
    ({"input_cost_per_token_above_200k_tokens": 4e-07}, Usage(input_tokens=200_000, output_tokens=1), "", 200_000 * 200 + 500),
    ({"input_cost_per_token_above_200k_tokens": 4e-07}, Usage(input_tokens=200_001, output_tokens=1), "", 200_001 * 400 + 500),
    (
        {
            "input_cost_per_token": None,
            "tiered_pricing": [{"range": [0, 32e3], **PLAIN}, {"range": [32e3, 1e6], "input_cost_per_token": 1e-06}],
        },
        Usage(input_tokens=32_001, output_tokens=1),
        "",
        32_001 * 1_000 + 500,
    ),
    # service tiers, alone and with a threshold of their own
    (
        {"input_cost_per_token_priority": 5e-07, "output_cost_per_token_priority": 1e-06},
        Usage(input_tokens=10, output_tokens=10),
        "priority",
        10 * 500 + 10 * 1_000,
    ),
    ({"input_cost_per_token_flex": 1e-07}, Usage(input_tokens=10, output_tokens=10), "flex", 10 * 100 + 10 * 500),
    (
        {
            "input_cost_per_token_priority": 5e-07,
            "input_cost_per_token_above_272k_tokens": 4e-07,
            "input_cost_per_token_above_272k_tokens_priority": 9e-07,
            "output_cost_per_token_above_272k_tokens": 8e-07,
        },
        Usage(input_tokens=300_000, output_tokens=10),
        "priority",
        300_000 * 900 + 10 * 800,
    ),
    # thinking whose price repeats that of the output is output, and so it is where only the output of a service tier has a price
    (
        {"output_cost_per_reasoning_token": 5e-07, "output_cost_per_token_priority": 9e-07},
        Usage(input_tokens=0, output_tokens=50, reasoning_tokens=30),
        "priority",
        50 * 900,
    ),
    (
        {"output_cost_per_reasoning_token": 7e-07, "output_cost_per_token_flex": 2e-07},
        Usage(input_tokens=0, output_tokens=50, reasoning_tokens=30),
        "flex",
        50 * 200,
    ),
    (
        {"output_cost_per_reasoning_token": 5e-07, "output_cost_per_token_above_200k_tokens": 8e-07},
        Usage(input_tokens=200_001, output_tokens=50, reasoning_tokens=30),
        "",
        200_001 * 200 + 50 * 800,
    ),
    # what a service tier does not say of a step is the dearer of what it costs below and of what the usual tier costs there
    (
        {"input_cost_per_token_flex": 1e-07, "input_cost_per_token_above_200k_tokens": 4e-07, "output_cost_per_token_flex": 3e-07},
        Usage(input_tokens=200_001, output_tokens=10),
        "flex",
        200_001 * 400 + 10 * 300,
    ),
    (
        {"input_cost_per_token_priority": 5e-07, "input_cost_per_token_above_200k_tokens": 4e-07},
        Usage(input_tokens=200_001, output_tokens=0),
        "priority",
        200_001 * 500,
    ),
    (
        {
            "input_cost_per_token_flex": 1e-07,
            "input_cost_per_token_above_128k_tokens_flex": 15e-08,
            "input_cost_per_token_above_128k_tokens": 3e-07,
            "input_cost_per_token_above_256k_tokens": 6e-07,
        },
        Usage(input_tokens=256_001, output_tokens=0),
        "flex",
        256_001 * 600,
    ),
    # prices of batches, and a second name for the same price, change nothing
    ({"input_cost_per_token_batches": 1e-07}, Usage(input_tokens=10, output_tokens=0), "", 10 * 200),
    ({"citation_cost_per_token": 2e-07}, Usage(input_tokens=10, output_tokens=0), "", 10 * 200),
    (
        {"cache_read_input_token_cost": 2e-08, "cache_read_input_image_token_cost": 2e-08},
        Usage(input_tokens=10, output_tokens=0, cached_tokens=10),
        "",
        10 * 20,
    ),
    # what is embedded or ranked: no output, and what a ranking costs by the query is a search
    ({"mode": "embedding", "output_cost_per_token": 0.0}, Usage(input_tokens=10, output_tokens=0), "", 10 * 200),
    ({"mode": "rerank", "output_cost_per_token": None}, Usage(input_tokens=10, output_tokens=0), "", 10 * 200),
    (
        {"mode": "rerank", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "input_cost_per_query": 0.002},
        Usage(input_tokens=10, output_tokens=0, breakdown=Breakdown(searches=3, uncharged_input_tokens=10)),
        "",
        3 * 2_000_000,
    ),
    # written as text, as lists made from YAML have it
    ({"input_cost_per_token": "3e-07"}, Usage(input_tokens=10, output_tokens=0), "", 10 * 300),
]


@pytest.mark.parametrize(("members", "usage", "tier", "cost"), KINDS)
def test_every_kind_of_price_in_a_list_costs_what_it_says(members: dict[str, Any], usage: Usage, tier: str, cost: int) -> None:
    """In nano-dollars, where the list has dollars a token."""
    members = {**PLAIN, **members}
    steps = [
        {key: value for key, value in step.items() if key not in ("litellm_provider", "mode")} for step in members.get("tiered_pricing", ())
    ]
    price_list = priced({**members, **({"tiered_pricing": steps} if steps else {})})
    assert price_list.has(tier)
    assert cost_of(usage, price_list.at(0, tier).prices) == cost


#: members besides the plain ones -> words of why there is no price
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"mode": "image_edit"}, "as a model for image_edit"),
    ({"mode": "rerank", "input_cost_per_token": 0, "output_cost_per_token": 0}, "without a price for its input"),
    ({"mode": "embedding", "input_cost_per_token": 0}, "without a price for its input"),
    ({"mode": "embedding", "input_cost_per_query": 7e-05}, "not charged here: input_cost_per_query"),
    ({"mode": None}, "without a `mode`"),
    ({"input_cost_per_token": 0}, "without a price for its input"),
    ({"output_cost_per_token": None}, "without a price for its output"),
    ({"input_cost_per_token": -1e-06}, "no number from 0 up: input_cost_per_token"),
    ({"input_cost_per_token": True}, "no number from 0 up"),
    ({"output_cost_per_token": "cheap"}, "no number from 0 up"),
    ({"input_cost_per_token": 2.0}, "too high to be meant: input_cost_per_token"),
    ({"citation_cost_per_token": 2e-06}, "not charged here: citation_cost_per_token"),
    ({"output_cost_per_image": 0.1}, "not charged here: output_cost_per_image"),
    ({"output_cost_per_second": 0.1}, "not charged here: output_cost_per_second"),
    ({"citation_cost_per_token": 3e-06}, "not charged here: citation_cost_per_token"),
    ({"cache_read_input_token_cost": 2e-08, "cache_read_input_image_token_cost": 3e-08}, "not charged here: cache_read_input_image"),
    ({"a_cost_of_tomorrow": 1e-06}, "not charged here: a_cost_of_tomorrow"),
    ({"tiered_pricing": [{"range": "0-5"}]}, "`range` cannot be read"),
    ({"tiered_pricing": [{"range": [0, 5], "output_cost_per_song": 1}]}, "tiered_pricing.output_cost_per_song"),
    ({f"input_cost_per_token_above_{n}k_tokens": 4e-07 for n in range(1, 6)}, "more steps by context length"),
    ({"off_peak_pricing": {**NIGHT, "weekday_timezone": "Asia/Shanghai"}}, "do not begin at midnight UTC"),
    ({"off_peak_pricing": {**NIGHT, "windows": [{"hours_utc": "22-6"}]}}, "hours cannot be read"),
    ({"off_peak_pricing": {**NIGHT, "windows": [{"hours_utc": "22:00-06:00", "weekdays": [8]}]}}, "days cannot be read"),
    ({"off_peak_pricing": NIGHT, "input_cost_per_token_above_200k_tokens": 4e-07}, "by hour and by context length at once"),
]


@pytest.mark.parametrize(("members", "words"), REFUSED)
def test_an_entry_with_a_part_that_cannot_be_charged_has_no_price(members: dict[str, Any], words: str) -> None:
    """Otherwise the bill would be too small: it says which part."""
    with pytest.raises(NotCharged, match=words):
        prices_of({**PLAIN, **members})


def test_searches_have_a_price_only_where_their_size_does_not_matter() -> None:
    """No answer says how much was searched for."""
    sizes = {"search_context_size_low": 0.005, "search_context_size_medium": 0.008, "search_context_size_high": 0.012}
    assert priced({**PLAIN, "search_context_cost_per_query": sizes}).at(0).prices.per_search is None


@settings(max_examples=repeats(200), deadline=None)
@given(moment=st.integers(0, 4_000_000_000), begin=st.integers(0, 1_439), end=st.integers(0, 1_439), days=st.sets(st.integers(1, 7)))
def test_cheaper_hours_hold_on_the_day_of_the_moment(moment: int, begin: int, end: int, days: set[int]) -> None:
    """Over midnight too, and all day where they end as they begin; compared with the calendar."""
    hours = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    rule: dict[str, Any] = {"hours_utc": [hours], **({"weekdays": sorted(days)} if days else {})}
    entry = {**PLAIN, "off_peak_pricing": {"input_cost_per_token": 1e-07, "windows": [rule]}}
    now = datetime.fromtimestamp(moment, UTC)
    minute = now.hour * 60 + now.minute
    within = begin <= minute < end if begin < end else minute >= begin or minute < end or begin == end
    cheaper = within and (not days or now.isoweekday() in days)
    assert priced(entry).at(moment).prices.input == (100_000_000 if cheaper else 200_000_000)


#: a vendor's name and address here, its model -> the name in the list, None where it has no price
FOUND: list[tuple[str, str, str, str | None]] = [
    ("mine", "https://api.novita.ai/v3/openai", "maker/Big-1", "novita/maker/Big-1"),
    ("mine", "https://api.novita.ai/v3/openai", "MAKER/big-1", "novita/maker/Big-1"),
    ("mine", "https://api.novita.ai/v3/openai", "maker/big-1-2026-02-01", "novita/maker/Big-1"),
    ("mine", "https://api.novita.ai/v3/openai", "maker/big-1-20260201", "novita/maker/Big-1"),
    ("mine", "https://api.novita.ai/v3/openai", "maker/big-1-turbo", None),
    ("mine", "https://api.novita.ai/v3/openai", "big-1", None),
    ("mine", "https://api.openai.com/v1", "openai-own", "openai-own"),
    ("mine", "https://API.OPENAI.COM./v1", "openai-own", "openai-own"),
    ("openai", "https://eu.api.openai.com/v1", "openai-own", None),
    ("mine", "https://api.openai.com.example/v1", "openai-own", None),
    ("openai", "https://elsewhere.example/v1", "openai-own", None),
    ("openai", "http://10.1.2.3/v1", "openai-own", "openai-own"),
    ("google", "https://generativelanguage.googleapis.com/v1beta", "flash", "gemini/flash"),
    ("google", "https://aiplatform.googleapis.com/v1", "flash", "flash"),
    ("google", "https://europe-west1-aiplatform.googleapis.com/v1", "flash", None),
    ("mine", "https://me.openai.azure.com/openai", "own", "azure/own"),
    ("mine", "https://meopenai.azure.com/openai", "own", None),
    ("novita", "http://127.0.0.1:1", "openai-own", None),
    ("openai", "", "picture", None),
    ("openai", "", "free", None),
    ("openai", "", "x" * 201, None),
]


@pytest.mark.parametrize(("vendor", "base_url", "model", "name"), FOUND)
def test_a_list_prices_a_name_only_of_the_vendor_that_it_has_it_for(
    tmp_path: Path, vendor: str, base_url: str, model: str, name: str | None
) -> None:
    """By its address, else, at a private one, by its name; with a date at the end or not, and with no other ending."""
    found = listed(tmp_path)(vendor, base_url, model)
    assert (None if found is None else found.at(0).source) == (None if name is None else f"catalogue list.json: {name}")


def test_a_region_may_charge_otherwise_so_its_vendor_needs_a_factor(tmp_path: Path) -> None:
    """An unknown address needs `price_factor`, which is on the price; a name under `price_as` needs none."""
    vendor = Vendor(base_url="https://resold.example/v1", api_key="k")
    to = ("openai/openai-own",)
    lists = listed(tmp_path)
    assert not Routes(Config(vendors={"openai": vendor}, models={"m": Model(to=to)}), lists).find("m").offers[0].price_list
    config = Config(vendors={"openai": replace(vendor, price_factor=1.5)}, models={"m": Model(to=to)})
    price_list = Routes(config, lists).find("m").offers[0].price_list
    assert price_list is not None
    assert price_list.at(0).prices.input == 6_000_000_000
    aliased = Model(to=(Target(target="any/deployed", price_as="openai/openai-own"),))
    config = Config(vendors={"any": vendor}, models={"m": aliased})
    price_list = Routes(config, lists).find("m").offers[0].price_list
    assert price_list is not None
    assert price_list.context_window == 4_000
    assert price_list.found.startswith("as `price_as: openai/openai-own` says, by its own name in list.json, a file of 20")


def test_the_built_in_catalogue_comes_first_unless_the_ranking_says_otherwise(tmp_path: Path) -> None:
    """A file fills what it lacks; named before it, a file wins; of two files the first."""
    one = str(written(tmp_path))
    two = str(written(tmp_path, {"gpt-4.1": {**LIST["gpt-4.1"], "output_cost_per_token": 1e-06}, "two": LIST["openai-own"]}, "two.json"))

    def output(ranking: list[str], model: str = "gpt-4.1") -> int | None:
        found = price_sources(ranking, catalogue_price)("openai", "", model)
        return None if found is None else found.at(0).prices.output // 1_000_000

    assert output([]) == output([one]) == output([one, two]) == 8_000
    assert output([], "openai-own") is None
    assert output([one], "openai-own") == 500
    assert output([one, two], "two") == 500
    assert output([one, "built-in"]) == output([one, two, "built-in"]) == 9_000
    assert output([two, "built-in", one]) == 1_000


def test_a_call_s_row_names_the_list_and_the_entry_that_its_price_is_from(tmp_path: Path) -> None:
    """With the cost: 9 tokens x 0.2 and 3 x 0.5 micro-dollars."""
    lists = listed(tmp_path)
    as_novita = ranked([unlisted, lambda _vendor, _base_url, _model: lists("novita", "", "maker/big-1")])
    rig = Rig(ScriptedUpstream(Script([document()])), look_up=as_novita)
    run_virtual(rig.call(MemoryClient(), body()))
    [row] = rig.rows
    assert (row.price_source, row.cost) == ("catalogue list.json: novita/maker/Big-1", 9 * 200 + 3 * 500)
    assert list(differences_of(row)) == []


CONFIG = """\
price_catalogues: {lists}
vendors:
  novita: {{base_url: "https://api.novita.ai/v3/openai"}}
  openai: {{base_url: "https://api.openai.com/v1"}}
models:
  big: [novita/maker/big-1]
  gpt: [openai/gpt-4.1]
"""


def run(folder: Path, command: str, lists: object = ("list.json",)) -> Result:
    """Run a command where the list and a configuration are; the files that it names are looked for there."""
    written(folder)
    (folder / "aisa.yaml").write_text(CONFIG.format(lists=json.dumps(lists)), encoding="utf-8")
    return CliRunner().invoke(aisa, command.split(), env=CLEAN, prog_name="aisa", catch_exceptions=False)


def test_aisa_prices_says_which_file_has_a_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of which day it is; and, where there is none, what the file has of the name."""
    monkeypatch.chdir(tmp_path)
    lines = run(tmp_path, "prices big").stdout.splitlines()
    assert lines[1] == "Source of its price: catalogue list.json: novita/maker/Big-1"
    assert lines[2].startswith("Found by its own name in list.json, a file of 20")
    assert "the last check" not in " ".join(lines).lower()
    assert "genai-prices" in run(tmp_path, "prices gpt").stdout
    assert "list.json: gpt-4.1" in run(tmp_path, "prices gpt", ["list.json", "built-in"]).stdout
    said = " ".join(run(tmp_path, "prices openai/picture").stderr.split())
    assert "list.json lists it as `openai/picture`, but as a model for image_generation." in said
    assert "list.json does not list it for this vendor." in " ".join(run(tmp_path, "prices openai/unheard").stderr.split())


@pytest.mark.parametrize("command", ["config check", "serve", "prices"])
@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (["none.json"], "price_catalogues.0 (aisa.yaml, line 1) There is no file none.json. → Name a file in the format of LiteLLM's"),
        (["list.json", "text.json"], "price_catalogues.1 (text.json) It is no JSON object of models:"),
        (["other.json"], "price_catalogues.0 (other.json) It has no entry with `litellm_provider`, `mode` and `input_cost_per_token`"),
        (["rows.json"], "price_catalogues.0 (rows.json) It is no JSON object of models:"),
        (["list.json", "sub/list.json"], "Two of the lists are called list.json, and rows of calls name them so."),
        (["list.json"] * 9, "There are 9 lists."),
        (["~/list.json"], "A `~` at the beginning is a name like any other here"),
        ([f"{'x' * 120}.json"], "A file's name has 125 characters."),
        ("list.json", "Expected a list, each entry text"),
    ],
)
def test_a_bad_list_keeps_the_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, lists: object, words: str
) -> None:
    """It is named with what is wrong and what would be right, before anything starts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name, text in (("text.json", "prices: none"), ("other.json", '{"a": {"b": 1}, "c": 2}'), ("rows.json", "[1]")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    written(tmp_path / "sub")
    (tmp_path / f"{'x' * 120}.json").write_text("{}", encoding="utf-8")
    result = run(tmp_path, command, lists)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


def test_two_lists_are_compared_kind_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of models that both have, what differs; of the others their number."""
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path, "prices --diff list.json")
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    rows = [[cell.strip() for cell in line if cell] for line in lines]
    assert rows[0] == ["MODEL", "KIND", "OURS", "THEIRS"]
    assert ["openai/gpt-4.1", "output", "8", "9"] in rows
    assert ["openai/gpt-4.1", "cached input", "0.5", "2"] in rows  # which the list has not, so that it costs what input does
    assert ["openai/gpt-4.1", "priority (input)", "3.5", "-"] in rows
    assert not any(row[:2] == ["openai/gpt-4.1", "input"] for row in rows)
    assert "Of 1 models in both lists 1 differ." in result.stdout
    assert "5 more are in list.json alone, 2 have no price there that can be charged." in result.stdout
    found = json.loads(run(tmp_path, "prices openai/gpt-4.1 --diff list.json --json").stdout)
    assert {"model": "openai/gpt-4.1", "kind": "output", "ours": 8, "theirs": 9} in found


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("prices --diff none.json", 2, "none.json It cannot be read: No such file or directory. → Name a list in the format of LiteLLM's"),
        ("prices nobody/knows --diff list.json", 1, "nobody/knows Not both lists have it. → Write it as vendor/model."),
        ("prices openai/picture --diff list.json", 1, "not with a price that can be charged"),
    ],
)
def test_nothing_to_compare_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, status: int, words: str) -> None:
    """A file that is none, and a model that is not in both."""
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path, command)
    assert (result.exit_code, result.stdout) == (status, "")
    assert words in " ".join(result.stderr.split())
