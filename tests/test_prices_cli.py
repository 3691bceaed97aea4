"""`aisa prices`: what it says of a price, of where it comes from and of what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import available_timezones

import pytest
import yaml
from click.testing import CliRunner, Result
from msgspec.structs import replace

from aisa.cli.commands import aisa
from aisa.config.load import load
from aisa.prices.catalogue import catalogue_price
from aisa.prices.rules import unlisted
from aisa.routing import Routes

CLEAN = {"HOST": None, "PORT": None, "AISA_DATA_DIR": None, "AISA_CONFIG": None, "OPENAI_API_KEY": None, "NO_COLOR": None, "COLUMNS": "100"}
CONFIG = """\
vendors:
  openai: {base_url: "https://api.openai.com/v1"}
  deepseek: {base_url: "https://api.deepseek.com"}
  local: {base_url: "http://127.0.0.1:1/v1", prices: {fine-tuned: {input: 0.3, output: 0.6}}}
models:
  gpt-4.1: [openai/gpt-4.1]
  dated:
    to: [openai/gpt-4.1]
    prices:
      - {from: 2026-12-01, input: 3, output: 4.5, input_audio: 40, tiers: [{over_input_tokens: 200000, input: 6, output: 9}]}
  night: [deepseek/deepseek-chat]
  missing: [openai/no-such-model]
  free: [local/stand-in]
  chain: [local/stand-in, openai/gpt-4.1, local/fine-tuned, openai/no-such-model]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in a working directory with a configuration."""
    monkeypatch.chdir(tmp_path)
    Path("aisa.yaml").write_text(CONFIG, encoding="utf-8")


def run(*arguments: str, **environment: str) -> Result:
    """Run `aisa prices`."""
    return CliRunner().invoke(aisa, ("prices", *arguments), env={**CLEAN, **environment}, prog_name="aisa", catch_exceptions=False)


def shown(*arguments: str) -> list[str]:
    """The lines that are printed, with single spaces."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_price_is_explained_with_target_source_kinds_and_an_example() -> None:
    """One from the catalogue says which one, and under which name it was found."""
    lines = shown("gpt-4.1")
    assert lines[0] == "gpt-4.1 is served by openai/gpt-4.1."
    assert lines[1].startswith("Source of its price: catalogue genai-prices ")
    assert lines[1].endswith(": openai/gpt-4.1")
    assert lines[2].startswith("Found by its own name, with the price of code that it runs that https://")
    assert ". The last check that this list notes: 20" in lines[2]
    assert lines[2].endswith(" days before.")
    for line in (
        "input 2",
        "cached input 0.5",
        "cache write 2 (as input)",
        "output 8",
        "reasoning 8 (as output)",
    ):
        assert line in lines
    refused = next(line for line in lines if line.startswith("Requests that ask for something of no price"))
    assert "audio in the input (`input_audio`)" in refused
    assert "per_search" not in refused  # which it has
    assert lines[-1] == "1,000 input and 500 output tokens cost (1,000 × 2 + 500 × 8) / 1,000,000 = 0.006 US dollars."


def test_a_configured_price_names_its_file_and_line_and_all_prices_over_time() -> None:
    """From its day on it counts, with its tiers; before, the catalogue does, and both are shown with the one that holds marked."""
    after, before = shown("dated", "--at", "2026-12-01"), shown("dated", "--at", "2026-11-30T23:59")
    assert "Source of its price: models.dated.prices.0 (aisa.yaml, line 10)" in after
    assert "TOKENS US DOLLARS PER MILLION OVER 200,000 INPUT TOKENS" in after
    assert "input audio 40 -" in after
    assert "→ 2026-12-01 all day 3 4.5 models.dated.prices.0" in after
    assert any(line.startswith("Source of its price: catalogue") for line in before)
    assert "2026-12-01 all day 3 4.5 models.dated.prices.0" in before
    assert any(line.startswith("→ always all day 2 8 catalogue") for line in before)


def test_a_price_by_the_hour_shows_its_hours() -> None:
    """The catalogue has cheaper nights of one vendor."""
    day, night = shown("night", "--at", "2026-11-22T12:00"), shown("night", "--at", "2026-11-22T20:00")
    assert day[-1] != night[-1]
    assert any(line.startswith("→ always 00:30 to 16:30 0.27 1.1") for line in day)
    assert any(line.startswith("→ always all day 0.135 0.55") for line in night)


@pytest.mark.skipif(not available_timezones(), reason="this machine has no time zones")
def test_prices_of_a_time_zone_are_shown_by_its_clock_and_calendar() -> None:
    """In the table and as JSON, the day on which they begin too."""
    hours = "time_zone: Asia/Shanghai, hours: [{from: '09:00', to: '12:00', days: [mon], factor: 2}]"
    Path("aisa.yaml").write_text(CONFIG + f"  zoned: {{to: [local/z], prices: [{{from: 2026-12-01, input: 1, output: 2, {hours}}}]}}\n")
    assert "→ 2026-12-01 09:00 to 12:00 on mon in Asia/Shanghai 2 4 models.zoned.prices.0.hours.0" in shown(
        "zoned", "--at", "2026-12-07T03:59"
    )
    assert "→ 2026-12-01 all day in Asia/Shanghai 1 2 models.zoned.prices.0" in shown("zoned", "--at", "2026-12-07T04:00")
    terms = json.loads(run("zoned", "--json").stdout)["terms"]
    assert [(term["from"], term["daily"], term["time_zone"]) for term in terms] == [
        ("2026-12-01", ["09:00", "12:00"], "Asia/Shanghai"),
        ("2026-12-01", None, "Asia/Shanghai"),
    ]


def test_a_name_without_an_entry_is_explained_too() -> None:
    """As a caller may write it."""
    assert "Source of its price: vendors.local.prices.fine-tuned (aisa.yaml, line 4)" in shown("local/fine-tuned")
    assert "Source of its price: the embedded model is free" in shown("embedded/tiny")


def test_each_target_of_a_chain_is_shown_at_its_price() -> None:
    """(fault M1) In the list and one by one: what serves the call is what it costs, and what is free or never asked is said to be."""
    lines = shown("chain")
    for line in (
        "No price at local/stand-in: free of charge.",
        "Source of its price at local/fine-tuned: vendors.local.prices.fine-tuned (aisa.yaml, line 4)",
        "No price at openai/no-such-model: it is never asked.",
    ):
        assert line in lines
    assert any(line.startswith("Source of its price at openai/gpt-4.1: catalogue genai-prices ") for line in lines)
    start = (listed := shown()).index("chain - - - no price: free of charge")
    assert listed[start + 1].startswith("or openai/gpt-4.1 2 0.5 8 catalogue genai-prices ")
    assert listed[start + 2] == "or local/fine-tuned 0.3 0.3 (as input) 0.6 vendors.local.prices.fine-tuned (aisa.yaml, line 4)"
    assert listed[start + 3] == "or openai/no-such-model - - - no price: refused"
    document = json.loads(run("chain", "--json").stdout)
    assert (document["prices"]["output"], [each["refused"] for each in document["targets"]]) == (8, [False, False, False, True])


def check(config: str, command: str = "config check") -> Result:
    """Run `aisa config check`, or another command, on a configuration."""
    Path("aisa.yaml").write_text(config, encoding="utf-8")
    return CliRunner().invoke(aisa, command.split(), env=CLEAN, prog_name="aisa", catch_exceptions=False)


@pytest.mark.parametrize("command", ["config check", "serve"])
def test_a_target_without_a_price_is_refused_with_its_line_and_remedies(command: str) -> None:
    """(fault M1) First, second and third, weighted or not, before anything starts; not one on this machine, nor one that may be free."""
    config = (
        "vendors:\n"
        "  far: {base_url: 'https://far.example/v1'}\n"
        "  near: {base_url: 'http://127.0.0.1:1/v1'}\n"
        "  gift: {base_url: 'https://gift.example/v1', allow_unpriced: true}\n"
        "models:\n"
        "  first: [far/x]\n"
        "  second: [near/x, far/y]\n"
        "  third:\n"
        "    to:\n"
        "      - near/x\n"
        "      - {target: gift/x, weight: 1}\n"
        "      - {target: far/z, weight: 1}\n"
        "  priced: {to: [near/x, far/z], prices: {input: 1, output: 1}}\n"
    )
    result = check(config, command)
    said = " ".join(result.stderr.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert said.count("has no price.") == 3
    for words in (
        "models.first.to.0 (aisa.yaml, line 6) The target `far/x` has no price. The price catalogue does not know this vendor. → Set",
        "→ Set `vendors.far.prices.x` or `vendors.far.price_as.x`, or `models.first.prices`",
        "models.second.to.1 (aisa.yaml, line 7) The target `far/y` has no price.",
        "models.third.to.2 (aisa.yaml, line 12) The target `far/z` has no price.",
        "Or set `vendors.far.allow_unpriced: true`, to let it be used free of charge.",
    ):
        assert words in said


def test_a_configuration_whose_targets_all_have_a_price_is_accepted() -> None:
    """(fault M1) From the catalogue, from the vendor, from the model, or none needed."""
    config = (
        "vendors:\n"
        "  openai: {base_url: 'https://api.openai.com/v1', prices: {mine: {input: 1, output: 1}}}\n"
        "  near: {base_url: 'http://[::1]:1'}\n"
        "models:\n"
        "  a: [near/x, openai/gpt-4.1, openai/mine]\n"
        "  b: {to: [openai/no-such], prices: {input: 0, output: 0}}\n"
        "  c: [embedded/tiny, near/x]\n"
    )
    assert (check(config).exit_code, check(config).stderr) == (0, "")


def test_all_models_are_listed_with_price_and_source() -> None:
    """Those without a price too, and what that means for calls."""
    lines = shown("--at", "2027-01-01")
    assert lines[0] == "MODEL INPUT CACHED OUTPUT SOURCE"
    assert any(line.startswith("gpt-4.1 2 0.5 8 catalogue genai-prices ") for line in lines)
    for line in (
        "dated 3 3 (as input) 4.5 models.dated.prices.0 (aisa.yaml, line 10)",
        "missing - - - no price: refused",
        "free - - - no price: free of charge",
        "embedded/tiny 0 0 0 the embedded model is free",
    ):
        assert line in lines


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "missing",
            ["has no price", "Calls to it are refused", "`vendors.openai.prices.no-such-model`", "`vendors.openai.allow_unpriced: true`"],
        ),
        ("free", ["has no price", "Calls to it are free of charge", "`vendors.local.prices.stand-in`"]),
        ("nobody/knows", ["does not exist here", "aisa prices"]),
        ("mising", ["Did you mean 'missing'?", "aisa prices"]),
    ],
)
def test_what_has_no_price_is_status_1_with_the_remedy(model: str, words: list[str]) -> None:
    """An unknown model and one that nobody knows the price of."""
    for arguments in ((model,), (model, "--json")):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert [word for word in words if word not in " ".join(result.stderr.split())] == []


@pytest.mark.parametrize(
    ("target", "said", "price_as"),
    [
        ("google/models/gemini-2.5-pro", "as `google/gemini-2.5-pro` without `models/`", "google/gemini-2.5-pro"),
        ("google/google/gemini-2.5-flash", "as `google/gemini-2.5-flash` without `google/`", "google/gemini-2.5-flash"),
        ("anthropic/anthropic/claude-sonnet-4-5", "as `anthropic/claude-sonnet-4-5` without `anthropic/`", "anthropic/claude-sonnet-4-5"),
        ("fireworks/accounts/fireworks/models/kimi-k3-us", "without `accounts/fireworks/models/`", "fireworks/kimi-k3-us"),
        ("azure/gpt-4o", "take it for `openai/gpt-4o`, in another vendor's list", "openai/gpt-4o"),
        ("azure/acme-o4-mini", "take it for `azure/o4-mini`, by a part of its name", "azure/o4-mini"),
        ("openai/gpt-4o-mini-2031-01-01", "as `openai/gpt-4o-mini` without `-2031-01-01`", "openai/gpt-4o-mini"),
        ("proxy/openai/gpt-4o", "`openai` lists it, which need not be what this vendor charges", "openai/gpt-4o"),
        ("openrouter/openai/gpt-4o:free", "`:free` is free there: look up what it costs", ""),
        ("openrouter/openai/gpt-4o:nitro", "`:nitro` takes dearer hosts", ""),
        ("openrouter/openai/gpt-4o:online", "`:online` adds fees", ""),
        ("openrouter/anthropic/claude-sonnet-4.5:floor", "`:floor` takes cheaper ones", ""),
        ("openrouter/openai/gpt-4o:exacto", "`:exacto` may cost otherwise: look up", ""),
        ("google/publishers/google/models/gemini-2.5-pro", "without `publishers/google/models/`", "google/gemini-2.5-pro"),
        ("mistral/mistralai/mistral-small-latest", "without `mistralai/`", "mistral/mistral-small-latest"),
        ("xai/x-ai/grok-4.3-latest", "as `x-ai/grok-4.3` without `x-ai/`", "x-ai/grok-4.3-latest"),
        ("openai/ft:gpt-4o-mini-2024-07-18:acme::abc", "by its beginning, which would take any ending", "openai/ft:gpt-4o-mini"),
        ("openai/whisper-1", "prices that are not charged here: audio_hours", ""),
        ("openrouter/deepseek/deepseek-chat:free", "without any price", ""),
        ("proxy/gpt-4o", "does not know this vendor", ""),
        ("openai/no-such", "does not know this name at `openai`", ""),
    ],
)
def test_a_name_that_is_nearly_listed_is_refused_with_what_is_known_and_the_lines_to_write(target: str, said: str, price_as: str) -> None:
    """(fault M18) Those lines, pasted into the configuration, give it the price; nothing else does."""
    base = (
        "vendors:\n"
        "  google: {base_url: 'https://generativelanguage.googleapis.com/v1beta/openai'}\n"
        "  anthropic: {base_url: 'https://api.anthropic.com/v1'}\n"
        "  fireworks: {base_url: 'https://api.fireworks.ai/inference/v1'}\n"
        "  azure: {base_url: 'https://x.openai.azure.com/openai/v1'}\n"
        "  openai: {base_url: 'https://api.openai.com/v1'}\n"
        "  openrouter: {base_url: 'https://openrouter.ai/api/v1'}\n"
        "  proxy: {base_url: 'https://llm.corp.example/v1'}\n"
        "  mistral: {base_url: 'https://api.mistral.ai/v1'}\n"
        "  xai: {base_url: 'https://api.x.ai/v1'}\n"
    )
    Path("aisa.yaml").write_text(base, encoding="utf-8")
    refused = run(target)
    assert refused.exit_code == 1
    assert said in " ".join(refused.stderr.split())
    vendor, _, model = target.partition("/")
    written = yaml.safe_load(refused.stderr[refused.stderr.rindex("\nvendors:\n") :])["vendors"][vendor]
    assert written == ({"price_as": {model: price_as}} if price_as else {"prices": {model: {"input": 0.0, "output": 0.0}}})
    document = yaml.safe_load(base)
    document["vendors"][vendor] |= written
    Path("aisa.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    priced = run(target)
    assert priced.exit_code == 0
    assert not price_as or f"Found as `price_as: {price_as}` says, by its" in " ".join(priced.stdout.split())


def test_a_price_as_that_the_catalogue_does_not_know_is_told() -> None:
    """(fault M18) Not that the model's own name has no price."""
    said = check("vendors: {openai: {base_url: 'https://api.openai.com/v1', price_as: {x: openai/gpt-nil}}}\nmodels: {m: [openai/x]}\n")
    assert said.exit_code == 2
    assert "Its `price_as: openai/gpt-nil` is no name" in " ".join(said.stderr.split())


@pytest.mark.parametrize("setting", ["", "allow_unpriced: true, "])
def test_a_price_as_of_a_model_that_only_callers_name_is_told_before_they_do(setting: str) -> None:
    """[fault M18] It would be refused, or free where the vendor may be: once, with its line. One that is listed, or has prices, is none."""
    vendor = "vendors:\n  far: {base_url: 'https://far.example/v1', %sprice_as: {x: openai/gpt-nil, y: openai/gpt-4o}%s}\n"
    said = check(vendor % (setting, ""))
    assert said.exit_code != 0
    assert " ".join(said.stderr.split()).count("`openai/gpt-nil` is no name that the price catalogue has a price for.") == 1
    assert "vendors.far.price_as.x (" in said.stderr
    assert "price_as.y" not in said.stderr
    assert check(vendor % (setting, ", prices: {x: {input: 1, output: 1}}")).exit_code == 0


def test_json_has_everything_in_exact_numbers() -> None:
    """For one model, and for all."""
    result = run("dated", "--json", "--at", "2027-01-01")
    document = json.loads(result.stdout, parse_float=str)
    assert (document["model"], document["at"]) == ("dated", "2027-01-01T00:00:00Z")
    assert [(each["target"], each["refused"]) for each in document["targets"]] == [("openai/gpt-4.1", False)]
    assert (document["source"], document["origin"]) == ("models.dated.prices.0", "aisa.yaml, line 10")
    assert document["prices"]["output"] == "4.5"
    assert document["prices"]["tiers"][0]["over_input_tokens"] == 200_000
    assert [term["from"] for term in document["terms"]] == ["2026-12-01", None]
    assert document["example"] == {"input_tokens": 1000, "output_tokens": 500, "cost": "0.00525"}
    listed = {entry["model"]: entry for entry in json.loads(run("--json").stdout)}
    assert list(listed)[:7] == ["gpt-4.1", "dated", "night", "missing", "free", "chain", "embedded/tiny"]
    assert listed["gpt-4.1-mini"]["prices"]["output"] == 1.6  # which nothing configures, and a caller may use
    assert [listed[name]["refused"] for name in ("missing", "free")] == [True, False]
    assert listed["missing"]["prices"] is None


def test_a_broken_configuration_and_a_bad_date_are_status_2() -> None:
    """Whatever is asked wrongly is said readably."""
    assert run("--at", "yesterday").exit_code == 2
    Path("aisa.yaml").write_text("models: 5", encoding="utf-8")
    for arguments in ((), ("gpt-4.1",)):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "the configuration has 1 problem" in result.stderr


def test_the_help_fits_a_terminal() -> None:
    """And says what an exit with 1 means."""
    result = run("-h")
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "Exits with 1" in result.stdout


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.4"])
def test_what_has_no_price_comes_with_lines_to_paste_that_change_nothing_else(model: str) -> None:
    """[fault M18] Pasted as they are, every price stays what it was, tiers by size and by service included; the missing are comments."""
    name = f"openai/{model}"
    before = run(name, "--at", "2026-11-28").stdout
    lines = before[before.index("vendors:\n  openai:") : before.index("1,000 input and 500 output")]
    assert "        # per_source:\n" in lines
    assert "input_audio: 0" not in lines
    pasted = yaml.safe_load(CONFIG)
    pasted["vendors"]["openai"]["prices"] = yaml.safe_load(lines)["vendors"]["openai"]["prices"]
    old = json.loads(run(name, "--json").stdout)
    Path("aisa.yaml").write_text(yaml.safe_dump(pasted), encoding="utf-8")
    new = json.loads(run(name, "--json").stdout)
    assert new["source"] == f"vendors.openai.prices.{model}"
    assert {key: value for key, value in new["prices"].items() if key != "source"} == {
        key: value for key, value in old["prices"].items() if key != "source"
    }
    loaded = Routes(load("aisa.yaml", {}, {}).config, unlisted).find(name).offers[0].price_list
    listed = catalogue_price("openai", "https://api.openai.com/v1", model)
    assert loaded is not None
    assert listed is not None
    moment = 1.8e9
    for tier in ("", *listed.terms[-1].tiers):
        for size in (1, 272_000, 272_001, 10**6):
            ours, theirs = (replace(each.at(moment, tier).prices.for_input(size), tiers=()) for each in (loaded, listed))
            assert ours == theirs
