"""What a cap does not count is said where the cap is set and where it is looked at."""

from __future__ import annotations

import pytest

from aisa.cli.model_table import price_line, rates
from aisa.cli.status_lines import page
from aisa.config.schema import Config, Model, Prices, Vendor
from aisa.edge.admin_status import StatusShown, StoreShown
from aisa.edge.free_models import free_models
from aisa.edge.model_view import model_shown, models_shown
from aisa.known_models import Known
from aisa.routing import Routes

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
