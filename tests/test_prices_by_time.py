"""Prices by the hour and the day of the week, and by region: what holds when and where (faults M12, M16)."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import available_timezones

import pytest
from genai_prices.data import providers
from genai_prices.types import TimeOfDateConstraint

from aisa.cli.price_tables import since
from aisa.config.load import ConfigErrors, load
from aisa.config.schema import Config, Model, PriceHours, Prices, PriceTier, Vendor, VendorTier
from aisa.prices.catalogue import catalogue_price
from aisa.prices.corrections import ALIASES, CORRECTIONS, DEEPSEEK_PAGE, FEES, Alias, Correction, Fee
from aisa.prices.matching import Rule, find
from aisa.prices.rules import PriceList, configured, times
from aisa.prices.spelling import clue
from aisa.routing import Routes

WEEK = ("mon", "tue", "wed", "thu", "fri")
#: Twice the price between 01:00 and 04:00 and between 06:00 and 10:00, Monday to Friday.
PEAKS = Prices(
    input=0.15,
    output=0.6,
    cached_input=0.003,
    hours=(PriceHours(days=WEEK, from_="01:00", to="04:00", factor=2), PriceHours(days=WEEK, from_="06:00", to="10:00", factor=2)),
)


def at(prices: Prices, moment: str, tier: str = "") -> tuple[float, float]:
    """Return input and output prices in dollars at a moment in UTC."""
    price = PriceList(configured(prices, "p")).at(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp(), tier).prices
    return price.input / 1e9, price.output / 1e9


@pytest.mark.parametrize(
    ("moment", "peak"),
    [
        ("2026-11-28T07:00", False),  # a Saturday
        ("2026-11-29T02:00", False),
        ("2026-11-27T07:00", True),  # the Friday before
        ("2026-11-27T00:59:59", False),
        ("2026-11-27T01:00", True),
        ("2026-11-27T03:59:59", True),
        ("2026-11-27T04:00", False),
        ("2026-11-30T09:59", True),
        ("2026-11-30T10:00", False),
        ("1969-12-31T07:00", True),  # a Wednesday
    ],
)
def test_hours_and_days_of_the_week_say_what_a_call_costs(moment: str, *, peak: bool) -> None:
    """To the second, and at the weekend the price outside of them."""
    assert at(PEAKS, moment) == ((0.3, 1.2) if peak else (0.15, 0.6))


def test_a_window_over_midnight_counts_to_the_day_on_which_it_begins() -> None:
    """Friday from 22:00 to 06:00 ends on Saturday; Thursday's night is none."""
    night = Prices(input=1, output=1, hours=(PriceHours(days=("fri",), from_="22:00", to="06:00", input=0.5),))
    hours = ("27T05:00", "27T21:59", "27T22:00", "28T05:59", "28T06:00")
    found = [at(night, f"2026-11-{hour}")[0] for hour in hours]
    assert found == [1, 1, 0.5, 0.5, 1]


def test_the_first_entry_that_holds_counts_and_a_whole_day_needs_no_hours() -> None:
    """Sundays are free of one kind; what an entry does not say is as outside, times its factor."""
    setting = Prices(
        input=10,
        output=20,
        per_search=0.01,
        factor=1.1,
        hours=(PriceHours(days=("sun",), output=0), PriceHours(factor=0.5, per_search=0.02)),
        tiers=(PriceTier(over_input_tokens=100, input=20, output=40),),
        service_tiers={"flex": VendorTier(factor=0.5)},
    )
    assert at(setting, "2026-11-29T12:00") == (11, 0)
    assert at(setting, "2026-11-30T12:00") == (5.5, 11)
    assert at(setting, "2026-11-30T12:00", "flex") == (2.75, 5.5)
    first, second, usual = configured(setting, "p")
    assert (first.price.source, second.price.source, usual.price.source) == ("p.hours.0", "p.hours.1", "p")
    assert (second.price.prices.per_search, usual.price.prices.per_search) == (20_000_000, 10_000_000)
    assert second.price.prices.tiers[0].prices.input == 11_000_000_000
    assert second.price.prices.tiers[0].prices.per_search == 20_000_000


def test_hours_of_dated_prices_hold_with_their_prices_alone() -> None:
    """Each entry of a list has its own."""
    older = Prices(input=1, output=1, hours=(PriceHours(factor=3),))
    newer = Prices(input=10, output=10, from_=datetime(2026, 12, 1, tzinfo=UTC).date(), hours=(PriceHours(days=("tue",), factor=2),))
    terms = PriceList(configured((older, newer), "p"))
    found = [terms.at(datetime(2026, month, day, tzinfo=UTC).timestamp()).prices.input / 1e9 for month, day in ((11, 30), (12, 1), (12, 2))]
    assert found == [3, 20, 10]


#: Twice the price from half past two to half past three in the morning, and on Sundays else a tenth more.
BERLIN = Prices(
    input=1,
    output=1,
    time_zone="Europe/Berlin",
    hours=(PriceHours(from_="02:30", to="03:30", factor=2), PriceHours(days=("sun",), factor=1.1)),
)
needs_zones = pytest.mark.skipif(not available_timezones(), reason="this machine has no time zones")


@needs_zones
@pytest.mark.parametrize(
    ("moment", "dollars"),
    [
        ("2026-03-28T22:59:59", 1),  # Saturday, one second to midnight
        ("2026-03-28T23:00", 1.1),
        ("2026-03-29T00:59:59", 1.1),  # 01:59:59; the next second it is three
        ("2026-03-29T01:00", 2),
        ("2026-03-29T01:30", 1.1),
        ("2026-03-29T21:59:59", 1.1),  # the Sunday has 23 hours
        ("2026-03-29T22:00", 1),
        ("2026-10-24T22:00", 1.1),
        ("2026-10-25T00:30", 2),  # half past two
        ("2026-10-25T00:59:59", 2),
        ("2026-10-25T01:00", 1.1),  # two once more
        ("2026-10-25T01:29:59.5", 1.1),
        ("2026-10-25T01:30", 2),  # half past two once more, and on to half past three
        ("2026-10-25T02:30", 1.1),
        ("2026-10-25T22:59:59", 1.1),  # the Sunday has 25 hours
        ("2026-10-25T23:00", 1),
        ("2026-01-14T01:30", 2),  # in winter and in summer
        ("2026-07-15T01:30", 1),
        ("2026-07-15T00:30", 2),
    ],
)
def test_hours_are_those_of_a_clock_in_the_time_zone(moment: str, dollars: float) -> None:
    """An hour that is left out holds at no moment, and one that comes twice counts twice; a day is as long as it is there."""
    assert at(BERLIN, moment) == (dollars, dollars)


@needs_zones
@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Asia/Shanghai", "2026-12-01", "2026-11-30T16:00"),
        ("America/St_Johns", "2026-12-01", "2026-12-01T03:30"),
        ("Asia/Kathmandu", "2026-12-01", "2026-11-30T18:15"),
        ("Pacific/Kiritimati", "2026-12-01", "2026-11-30T10:00"),
        ("America/Havana", "2026-03-08", "2026-03-08T05:00"),  # midnight is left out: the day begins at one
        ("America/Havana", "2026-11-01", "2026-11-01T04:00"),  # midnight comes twice: the first is meant
    ],
)
def test_dated_prices_begin_at_midnight_of_their_time_zone(zone: str, day: str, begins: str) -> None:
    """To the second."""
    newer = Prices(input=2, output=2, from_=date.fromisoformat(day), time_zone=zone)
    prices = PriceList(configured((Prices(input=1, output=1), newer), "p"))
    start = datetime.fromisoformat(begins).replace(tzinfo=UTC).timestamp()
    assert [prices.at(start + seconds).prices.input / 1e9 for seconds in (-1, 0)] == [1, 2]


@needs_zones
def test_a_night_over_midnight_belongs_to_the_weekday_of_its_zone() -> None:
    """Friday in Shanghai from ten in the evening, which is two in the afternoon in UTC."""
    night = Prices(input=1, output=1, time_zone="Asia/Shanghai", hours=(PriceHours(days=("fri",), from_="22:00", to="06:00", input=0.5),))
    moments = ("27T13:59", "27T14:00", "27T21:59", "27T22:00", "26T14:00", "28T14:00")
    assert [at(night, f"2026-11-{moment}")[0] for moment in moments] == [1, 0.5, 0.5, 1, 1, 1]


@needs_zones
def test_the_first_day_of_all_is_no_problem_in_any_zone() -> None:
    """Where it begins before the calendar does, too."""
    for zone in ("Asia/Shanghai", "America/St_Johns", "UTC"):
        [term] = configured(Prices(input=1, output=1, from_=date.min, time_zone=zone), "p")
        assert since(term) in (None, "0001-01-01")
        assert term.holds(0)


@pytest.mark.parametrize(
    ("zone", "remedy"),
    [
        ("Asia/Shangai", "Did you mean Asia/Shanghai?"),
        ("europe/berlin", "Did you mean Europe/Berlin?"),
        ("shanghai", "Did you mean Asia/Shanghai?"),
        ("+08:00", "IANA"),
        ("", "IANA"),
        ("America", "Did you mean"),
        ("../etc/passwd", "IANA"),
        ("/etc/localtime", "IANA"),
        ("localtime", "IANA"),
        ("posixrules", "IANA"),
        ("Factory", "IANA"),
        ("posix/Asia/Tokyo", "Did you mean Asia/Tokyo?"),
        ("right/Europe/Berlin", "Europe/Berlin"),
        ("x" * 5000, "IANA"),
    ],
)
@needs_zones
def test_a_time_zone_that_is_none_is_a_problem_with_its_remedy(zone: str, remedy: str, tmp_path: Path) -> None:
    """Under a model and under a vendor."""
    path = tmp_path / "c.yaml"
    prices = f"{{input: 1, output: 1, time_zone: {zone!r}}}"
    entries = (
        f"vendors: {{v: {{base_url: 'http://127.0.0.1:1/v1', prices: {{m: {prices}}}}}}}\nmodels: {{m: {{to: [v/m], prices: {prices}}}}}"
    )
    path.write_text(entries)
    with pytest.raises(ConfigErrors) as failed:
        load(str(path), {}, {})
    problems = failed.value.problems
    assert {problem.where.partition(" ")[0] for problem in problems} == {"models.m.prices.time_zone", "vendors.v.prices.m.time_zone"}
    assert all(remedy in problem.remedy and len(problem.what) < 120 for problem in problems)


def test_a_machine_without_time_zones_says_what_to_install_and_needs_none_for_utc(tmp_path: Path) -> None:
    """As Python looks them up: in folders, and in a package."""
    path = tmp_path / "c.yaml"
    script = "import sys; sys.modules['tzdata'] = None; from aisa.cli.commands import aisa; aisa()"
    for zone, code, words in (("UTC", 0, ""), ("Asia/Shanghai", 1, "pip install tzdata")):
        path.write_text(
            VENDOR + f"models: {{m: {{to: [v/m], prices: {{input: 1, output: 1, time_zone: {zone}, hours: [{{factor: 2}}]}}}}}}"
        )
        command = (sys.executable, "-c", script, "config", "check", "--config", str(path))
        result = subprocess.run(command, env={"PYTHONTZPATH": ""}, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (result.returncode == 0) == (code == 0), result.stderr
        assert words in result.stdout + result.stderr


VENDOR = "vendors: {v: {base_url: 'http://127.0.0.1:1/v1'}}\n"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('[{from: "25:00", factor: 2}]', ".0.from", "25:00"),
        ('[{from: "08:00", to: "08:00", factor: 2}]', "", "no time at all"),
        ("[{days: [sat]}]", "", "nothing that differs"),
        ("[{days: [someday], factor: 2}]", ".0.days.0", "mon"),
        ("[{factor: 0, input: 1}]", ".0.factor", "multiplied"),
        ("[{input: 0.1234567891}]", ".0.input", "nine decimals"),
    ],
)
def test_hours_that_cannot_be_are_a_problem_with_its_place(text: str, where: str, what: str, tmp_path: Path) -> None:
    """In the same words as other settings."""
    path = tmp_path / "c.yaml"
    path.write_text(VENDOR + f"models: {{m: {{to: [v/m], prices: {{input: 1, output: 1, hours: {text}}}}}}}")
    with pytest.raises(ConfigErrors) as failed:
        load(str(path), {}, {})
    [problem] = failed.value.problems
    assert f"models.m.prices.hours{where}" in problem.where
    assert what in problem.what + problem.remedy


def priced(vendor: Vendor, model: str = "gpt-5.4") -> tuple[float, str] | None:
    """Return what a million input tokens of a model cost at a vendor that is called openai, and who says so."""
    config = Config(vendors={"openai": vendor}, models={"m": Model(to=(f"openai/{model}",))})
    price_list = Routes(config, catalogue_price).find("m").offers[0].price_list
    price = None if price_list is None else price_list.at(1.8e9)
    return price and (price.prices.input / 1e9, price.source)


EU = "https://eu.api.openai.com/v1"


def test_a_known_name_at_an_address_that_the_catalogue_does_not_know_has_no_price_without_a_factor() -> None:
    """A region that charges 1.1 times the list price is never priced at 1.0: 2.5 x 1.1 = 2.75. What is said of it names the setting."""
    assert priced(Vendor(base_url=EU)) is None
    assert "vendors.openai.price_factor" in clue("openai", EU, "gpt-5.4").said
    found = priced(Vendor(base_url=EU, price_factor=1.1))
    assert found is not None
    assert found[0] == 2.75
    assert found[1].endswith("openai/gpt-5.4, times 1.1")
    assert (priced(Vendor(base_url=EU, price_factor=1)) or (0,))[0] == 2.5
    assert (priced(Vendor(base_url="https://api.openai.com/v1")) or (0,))[0] == 2.5
    assert (priced(Vendor(base_url="https://api.openai.com/v1", price_factor=2)) or (0,))[0] == 5
    assert (priced(Vendor(base_url=EU, price_as={"gpt-5.4": "openai/gpt-5.4"})) or (0,))[0] == 2.5


def test_a_factor_is_on_every_kind_of_token_in_every_tier_and_on_no_fee() -> None:
    """Of the catalogue's prices; those that the operator has set stay."""
    listed = catalogue_price("openai", "", "gpt-5.4")
    assert listed is not None
    for before, after in zip(listed.terms, times(listed, 1.1).terms, strict=True):
        pairs = [(before.price, after.price), *[(before.tiers[name], after.tiers[name]) for name in before.tiers]]
        for old, new in pairs:
            sizes = zip([tier.prices for tier in old.prices.tiers], [tier.prices for tier in new.prices.tiers], strict=True)
            for one, other in [(old.prices, new.prices), *sizes]:
                assert other.output * 10 == one.output * 11
                assert other.cached_input * 10 == one.cached_input * 11
                assert other.per_search == one.per_search
    own = Vendor(base_url=EU, price_factor=2, prices={"gpt-5.4": Prices(input=1, output=1)})
    assert (priced(own) or (0,))[0] == 1


@pytest.mark.parametrize("correction", CORRECTIONS, ids=[correction.model for correction in CORRECTIONS])
def test_a_correction_is_still_needed_and_has_its_page(correction: Correction) -> None:
    """(fault M16) The catalogue has the entry, with hours and without days of the week. When it has caught up, the row can go."""
    provider = next(provider for provider in providers if provider.id == correction.vendor)
    model = next(model for model in provider.models if model.id == correction.model)
    assert isinstance(model.prices, list)
    windows = [entry.constraint for entry in model.prices if isinstance(entry.constraint, TimeOfDateConstraint)]
    assert windows, "it has no hours any more"
    assert {field.name for field in dataclasses.fields(TimeOfDateConstraint)} == {"start_time", "end_time"}, "it may know days of the week"
    assert correction.page.startswith("https://")
    assert correction.read <= datetime.now(UTC).date()


@pytest.mark.parametrize(("fee", "model"), [(fee, model) for fee in FEES for model in sorted(fee.models or ())])
def test_a_fee_is_still_lacking_and_every_tier_of_the_model_has_it(fee: Fee, model: str) -> None:
    """[fault M12] Codex offers a search with every request: without its price it was refused, or what was searched cost nothing."""
    provider = next(provider for provider in providers if provider.id == fee.vendor)
    entry = next(each for each in provider.models if each.id == model)
    kinds = [each.prices for each in entry.prices] if isinstance(entry.prices, list) else [entry.prices]
    assert not any(each.web_searches_kcount for each in kinds), "the catalogue has caught up"
    assert fee.page.startswith("https://")
    assert fee.read <= datetime.now(UTC).date()
    listed = catalogue_price(fee.vendor, "https://api.openai.com/v1", model)
    assert listed is not None
    assert fee.page in listed.found
    for term in listed.terms:
        for price in (term.price, *term.tiers.values()):
            sizes = [tier.prices for tier in price.prices.tiers]
            assert {(each.per_search, each.per_file_search) for each in (price.prices, *sizes)} == {(10_000_000, 2_500_000)}


@pytest.mark.parametrize("fee", [fee for fee in FEES if fee.models is None], ids=lambda fee: fee.vendor)
def test_a_fee_of_all_models_of_a_vendor_is_lacking_in_the_catalogue(fee: Fee) -> None:
    """[fault M12] It has no such price for any; those that have the price beside it get it, and no other price changes."""
    provider = next(provider for provider in providers if provider.id == fee.vendor)
    assert fee.page.startswith("https://")
    assert fee.read <= datetime.now(UTC).date()
    found = 0
    for model in provider.models:
        listed = catalogue_price(fee.vendor, "http://127.0.0.1:9", model.id)
        for price in () if listed is None else [term.price for term in listed.terms]:
            has = not fee.beside or getattr(price.prices, fee.beside) is not None
            assert {kind: getattr(price.prices, kind) for kind in fee.prices} == {
                kind: fee.prices[kind] if has else None for kind in fee.prices
            }
            found += has
    assert found > 15


def test_a_fee_takes_no_other_price_and_goes_to_no_model_that_is_not_named() -> None:
    """A model that always searches has a price of its own for that, which this is not."""
    search = catalogue_price("openai", "https://api.openai.com/v1", "gpt-4o-search-preview")
    assert search is not None
    assert search.terms[0].price.prices.per_search is None
    codex = catalogue_price("openai", "https://api.openai.com/v1", "gpt-5.3-codex")
    assert codex is not None
    assert codex.terms[0].price.prices.input == 1_750_000_000


@pytest.mark.parametrize("alias", ALIASES, ids=[alias.name for alias in ALIASES])
def test_an_alias_is_still_stale_and_has_its_page(alias: Alias) -> None:
    """(fault M16) The catalogue takes the name for a model of another price. When it has caught up, the row can go."""
    provider = next(provider for provider in providers if provider.id == alias.vendor)
    stale, true = find(provider, alias.name), find(provider, alias.model)
    assert stale is not None
    assert true is not None
    assert (stale.rule.sure, true.rule) == (True, Rule.NAME)
    assert stale.model.prices != true.model.prices, "it has caught up"
    assert alias.page.startswith("https://")
    assert alias.read <= datetime.now(UTC).date()
    listed = catalogue_price(alias.vendor, "", alias.name.upper())
    assert listed is not None
    assert (alias.page in listed.found, alias.model in listed.terms[0].price.source) == (True, True)


@pytest.mark.parametrize("name", ["grok-4", "grok-4-latest", "grok-4-fast", "grok-code-fast", "grok-3-latest", "Grok-Code-Fast-1"])
def test_every_name_of_an_entry_that_became_another_model_costs_what_that_does(name: str) -> None:
    """(fault M16) The catalogue's own aliases of a model that xAI redirects are as stale as its name."""
    listed, served = (catalogue_price("xai", "https://api.x.ai/v1", each) for each in (name, "grok-4.3"))
    assert listed is not None
    assert served is not None
    assert listed.terms == served.terms
    assert listed.terms[0].price.prices.input == 1_250_000_000


@pytest.mark.parametrize(("moment", "dollars"), [("2026-11-28T07:00", (0.15, 0.6)), ("2026-11-27T07:00", (0.3, 1.2))])
def test_deepseek_costs_no_peak_price_at_a_weekend(moment: str, dollars: tuple[float, float]) -> None:
    """(fault M16) A Saturday and a Friday, within the hours of the peak."""
    listed = catalogue_price("deepseek", "https://api.deepseek.com", "deepseek-flash")
    assert listed is not None
    price = listed.at(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()).prices
    assert (price.input / 1e9, price.output / 1e9) == dollars
    assert DEEPSEEK_PAGE in listed.found
