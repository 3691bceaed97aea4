"""What a cap does not count is said where the cap is set and where it is looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from aisa.cli.free_lines import free_rows, open_in_words
from aisa.cli.model_table import price_line, rates
from aisa.cli.status_lines import page
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.edge.admin_status import StatusShown, StoreShown
from aisa.edge.free_models import free_models
from aisa.edge.model_view import model_shown, models_shown
from aisa.known_models import Known
from aisa.routing import Routes
from server import environment, serving

NOW = 1_800_000_000.0
CONFIG = Config(
    vendors={
        "near": Vendor(base_url="http://127.0.0.1:11434/v1"),
        "let": Vendor(base_url="https://let.example/v1", allow_unpriced=True),
        "far": Vendor(base_url="https://far.example/v1"),
        "strict": Vendor(base_url="http://127.0.0.1:9/v1", allow_unpriced=False),
    },
    models={
        "local": Model(to=("near/llama",)),
        "allowed": Model(to=("let/x",)),
        "mixed": Model(to=("far/x", "near/llama")),
        "priced": Model(to=("near/llama",), prices=Prices(input=1.0, output=2.0)),
        "far-off": Model(to=("far/x",)),
        "refused": Model(to=("strict/x",)),
    },
)


def routes() -> Routes:
    """The routes, with what two vendors list."""
    return Routes(CONFIG, lambda *_asked: None, known=Known(lambda _vendor, _url: (), {"near": ("llama", "qwen"), "far": ("y",)}))


def test_a_model_without_a_price_is_free_only_where_it_is_asked_for_nothing() -> None:
    """On this machine and where the operator lets it be; a price makes it count, and what needs a price is never asked."""
    free = free_models(routes())
    assert {"local", "allowed", "mixed"} <= set(free)
    assert not {"priced", "far-off", "refused"} & set(free)
    assert any("qwen" in name for name in free), "what a vendor lists can be called too"
    assert free_models(routes(), ("priced", "local", "nowhere")) == ("local",)


def test_a_name_that_is_free_at_some_of_its_targets_is_told_by_those() -> None:
    """[a newcomer's] The name alone would say that no cap counts it, and it is billed as soon as the other target answers."""
    far = Vendor(base_url="https://far.example/v1", prices={"x": Prices(input=1.0, output=2.0)})
    models = {"good": Model(to=("near/err", "far/x")), "all": Model(to=("near/a", "near/b")), "asked": Model(to=("far/y", "near/c"))}
    found = Routes(msgspec.structs.replace(CONFIG, vendors=CONFIG.vendors | {"far": far}, models=models), lambda *_asked: None)
    assert free_models(found, tuple(models)) == ("near/err of good", "all", "asked"), "of `asked`, far/y needs a price and is never asked"
    assert ["near/err of good", "no price, so no spend cap and no wallet counts it"] in free_rows(found, NOW)
    assert "good" not in [name for name, _ in free_rows(found, NOW)]


def test_what_is_asked_of_a_vendor_by_its_own_name_is_told_where_no_price_is_needed_of_it() -> None:
    """First, as any model may be asked so; not where `models_only` fences it off, and not where an allow-list does."""
    assert [name for name in free_models(routes()) if name.endswith("/*")] == ["near/*", "let/*"]
    assert free_models(routes())[0] == "near/*"
    assert free_models(Routes(msgspec.structs.replace(CONFIG, models_only=True), lambda *_asked: None)) == ("local", "allowed", "mixed")
    said = open_in_words(free_models(routes()))
    for remedy in ("`vendors.near.prices`", "`vendors.near.allow_unpriced: false`", "`models_only: true`", "--models"):
        assert remedy in said
    assert open_in_words(("local",)) == ""


def test_a_priced_name_whose_target_is_free_by_its_own_name_is_told_with_its_price() -> None:
    """Only where that is so: not of a vendor that needs prices, nor where the target itself has one."""
    own = Vendor(base_url="http://127.0.0.1:9/v1", prices={"m": Prices(input=1.0, output=1.0)})
    price = Prices(input=1.0, output=2.0)
    models = {
        name: Model(to=(f"{vendor}/m",), prices=price) for name, vendor in (("a", "near"), ("b", "far"), ("c", "own"), ("d", "strict"))
    }
    config = msgspec.structs.replace(CONFIG, vendors=CONFIG.vendors | {"own": own}, models=models)
    found = Routes(config, lambda *_asked: None)
    assert [model.name for model in models_shown(found, NOW) if model.targets[0].free_by_own_name] == ["a"]
    rows = free_rows(found, NOW)
    assert ["near/m", "near/m is free by that name: its price, 1 input, 2 output, is that of the name a alone."] in rows
    assert free_rows(Routes(msgspec.structs.replace(config, models_only=True), lambda *_asked: None), NOW) == []


def test_the_commands_name_what_a_cap_does_not_count(tmp_path: Path) -> None:
    """[issue 14] All of them, with a remedy: the list of models and one of them, the status, the check, and where a cap is set."""
    vendors = "vendors: {other: {base_url: 'http://127.0.0.1:9/v1'}}\n"
    with serving(tmp_path, vendors + "models: {gpt-4.1: {to: [other/gpt-4.1], prices: {input: 2, output: 8}}}\n") as server:
        said = {
            "models": server.aisa("models"),
            "status": server.aisa("status"),
            "cap": server.aisa("keys", "create", "capped", "--spend-cap", "1/day"),
            "one": server.aisa("models", "gpt-4.1"),
        }
        command = [sys.executable, "-m", "aisa", "config", "check", "--config", str(tmp_path / "aisa.yaml")]
        said["check"] = subprocess.run(command, check=True, env=environment(), capture_output=True, text=True, timeout=60).stdout
    for place, text in said.items():
        assert "other/* is whatever is asked of other by its own name" in " ".join(text.split()), place
        assert "`vendors.other.prices`" in text, place
        assert ("other/gpt-4.1 is free by that name" in text) is (place in {"models", "one", "check"}), place


def test_what_can_be_done_about_a_free_model_is_told_with_a_new_key_alone(tmp_path: Path) -> None:
    """[fault P13] Each change of the key repeated the whole note, as its making, the status and the check of the configuration have it."""
    configuration = "vendors: {a: {base_url: 'http://127.0.0.1:1/v1', list_models: false}}\nmodels: {free: [a/x]}\n"
    with serving(tmp_path, configuration) as server:
        made = server.aisa("keys", "create", "capped", "--spend-cap", "1/day")
        changed = server.aisa("keys", "update", "capped", "--spend-cap", "2/day")
    assert "To have it counted: " in made
    assert ("without a price they are free." in changed, "To have it counted" in changed) == (True, False)


def test_models_say_what_is_free_and_what_is_refused() -> None:
    """In the table and in a sentence: both were `none` before."""
    shown = {model.name: model.targets[0] for model in models_shown(routes(), NOW)}
    assert {name: rates(shown[name]) for name in ("local", "priced", "far-off")} == {
        "local": ("free", "free"),
        "priced": ("1", "2"),
        "far-off": ("no price", "refused"),
    }
    assert "no spend cap or wallet counts it" in price_line(shown["allowed"])
    assert "never asked" in price_line(model_shown(routes(), "refused", NOW).targets[0])


@pytest.mark.parametrize(("names", "said"), [(("a",), "a: no price"), (tuple("abcdef"), "a, b, c, d and 2 more: no price"), ((), None)])
def test_the_status_names_what_no_cap_counts(names: tuple[str, ...], said: str | None) -> None:
    """A few of them, and how many there are besides; nothing where everything has a price."""
    status = StatusShown(True, {"aisa": "0"}, StoreShown("/data", 1, 0, 1 << 31, "1"), free_models=names)
    assert (said in page(status)) if said else ("no spend cap" not in page(status))
