"""Bare names go to the vendor that has the model; what is not known is refused with what was likely meant."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
import pytest

from aisa.config.schema import Config, Embedded, Model, Prices, Vendor
from aisa.edge.listed_models import visible
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.known_models import Known
from aisa.prices.catalogue import catalogue_names, catalogue_price
from aisa.prices.rules import PriceList, unlisted
from aisa.routing import OFFERED_MAX, Routes
from aisa.wire.chat import parse_chat
from rig import body

OPENAI, AZURE = Vendor(base_url="https://api.openai.com/v1"), Vendor(base_url="https://x.openai.azure.com/openai/v1", allow_unpriced=True)
CLAUDE = Vendor(base_url="https://api.anthropic.com/v1", dialect="anthropic")
LOCAL = Vendor(base_url="http://127.0.0.1:9/v1")
VENDORS = {"openai": OPENAI, "anthropic": CLAUDE, "azure": AZURE, "local": LOCAL}
LISTS = {"azure": ("gpt-4o", "Phi-4"), "local": ("qwen3", "meta-llama/Llama-3.1-8B", "gpt-4o")}


def routes(
    config: Config | None = None, lists: Mapping[str, tuple[str, ...]] = MappingProxyType(LISTS), awaited: frozenset[str] = frozenset()
) -> Routes:
    """Routes with the real price catalogue, and with LISTS unless something else is known."""
    made = Known(catalogue_names, lists, awaited)
    return Routes(config or Config(vendors=VENDORS), catalogue_price, known=made)


def goes_to(name: str, table: Routes | None = None, key: Key | None = None) -> list[str]:
    """The targets of a call."""
    key = key or Key("key_1", "test", b"", "sk-…", "active", 0)
    return [offer.name for offer in (table or routes()).plan(parse_chat(body(model=name)), key, random.Random(1)).offers]


def refusal(name: str, table: Routes | None = None, key: Key | None = None) -> ApiError:
    """The error of a call that must be refused."""
    with pytest.raises(ApiError) as caught:
        goes_to(name, table, key)
    return caught.value


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("gpt-4.1", "openai/gpt-4.1"),  # the catalogue
        ("GPT-4.1", "openai/gpt-4.1"),  # in any case of its letters
        ("OpenAI/GPT-4.1", "openai/gpt-4.1"),  # also behind its vendor, whose price is that of its own spelling
        ("azure/phi-4", "azure/Phi-4"),
        ("azure/Nobody-Knows", "azure/Nobody-Knows"),
        ("aisa/gpt-4.1", "openai/gpt-4.1"),
        ("gpt-4.1-2025-04-14", "openai/gpt-4.1-2025-04-14"),  # a dated snapshot, which no list names
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("phi-4", "azure/Phi-4"),  # the vendor's own list, and its spelling
        ("meta-llama/llama-3.1-8b", "local/meta-llama/Llama-3.1-8B"),  # a slash that divides nothing
        ("qwen3", "local/qwen3"),
    ],
)
def test_a_bare_name_goes_to_the_one_vendor_that_has_it(name: str, target: str) -> None:
    """[fault P2] A second vendor takes no name away from the first."""
    assert goes_to(name) == [target]


def test_a_name_that_several_vendors_have_is_refused_with_all_of_them_unless_one_is_preferred() -> None:
    """[fault P2] No silent guess: the price may differ. The order of `models_prefer` decides, and only among those that have it."""
    error = refusal("gpt-4o")
    assert (error.status, error.code, error.param) == (404, "unknown_model", "model")
    for target in ("'openai/gpt-4o'", "'azure/gpt-4o'", "'local/gpt-4o'", "models_prefer"):
        assert target in error.message
    assert goes_to("gpt-4o", routes(Config(vendors=VENDORS, models_prefer=("anthropic", "local", "openai")))) == ["local/gpt-4o"]
    assert goes_to("gpt-4.1", routes(Config(vendors=VENDORS, models_prefer=("azure",)))) == ["openai/gpt-4.1"]


def test_a_vendor_at_which_a_model_has_no_price_does_not_count_beside_one_at_which_it_has() -> None:
    """Azure lists every model there is; without a price for them no call could go there."""
    config = Config(vendors={"openai": OPENAI, "azure": msgspec.structs.replace(AZURE, allow_unpriced=None)})
    assert goes_to("gpt-4o", routes(config)) == ["openai/gpt-4o"]
    assert "no price" in refusal("own-9", routes(config, lists={"azure": ("own-9",)})).message, (
        "nobody else has it, and why it cannot be used is told"
    )


def test_a_model_of_the_configuration_comes_before_every_vendor() -> None:
    """Its name is the operator's word, whoever else has it."""
    config = Config(vendors=VENDORS, models={"gpt-4o": Model(to=("anthropic/claude-haiku-4-5",))})
    assert goes_to("GPT-4o", routes(config)) == ["anthropic/claude-haiku-4-5"]


def test_settings_of_a_vendor_say_which_models_it_has() -> None:
    """A price, a `price_as` and a target elsewhere each prove that the operator means it to be there."""
    here = Vendor(base_url="http://10.0.0.9/v1", prices={"tuned": Prices(input=1, output=1)}, price_as={"prod": "openai/gpt-4o"})
    config = Config(vendors={"openai": OPENAI, "here": here}, models={"fast": Model(to=("here/small",), prices=Prices(input=1, output=1))})
    table = Routes(config, catalogue_price)
    assert [goes_to(name, table) for name in ("tuned", "prod")] == [["here/tuned"], ["here/prod"]]
    assert table.models.holders("small")[0].target == "here/small"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("gpt-4.1-mnii", "'gpt-4.1-mini'"),
        ("opnai/gpt-4.1", "'openai/gpt-4.1'"),
        ("claud-sonnet-4-5", "'claude-sonnet-4-5'"),
        ("QWEN-3", "'qwen3'"),
    ],
)
def test_an_unknown_name_is_refused_with_a_name_that_works(asked: str, meant: str) -> None:
    """[fault P2] "Did you mean" names what can be called as it stands there."""
    error = refusal(asked)
    assert error.code == "unknown_model"
    assert meant in error.message
    suggested = error.message.partition("Did you mean ")[2].rstrip("?").replace("'", "").split(", ")
    assert all(goes_to(name) for name in suggested)


@pytest.mark.parametrize(("asked", "meant"), [("gtp-4.1", "'gpt-4.1'"), ("openai/gtp-4.1", "'openai/gpt-4.1'"), ("gpt-iamge-1", "")])
def test_a_name_that_the_only_vendor_may_have_is_refused_with_one_that_works(asked: str, meant: str) -> None:
    """[fault P2] It gets every name, so a slip of the pen was only told to lack a price. One that lacks it, too, is no help."""
    table = routes(Config(vendors={"openai": OPENAI}), lists={})
    error = refusal(asked, table)
    assert (error.status, error.code) == (404, "unknown_model")
    assert "`vendors.openai.prices`" in error.message
    assert meant in error.message
    suggested = error.message.partition("Did you mean ")[2].partition("?")[0].replace("'", "").split(", ")
    assert all(goes_to(name, table) for name in suggested if name)


def test_a_name_that_the_vendor_has_is_not_taken_for_a_slip() -> None:
    """It lacks its price and nothing else: the vendor lists it, or the configuration has it."""
    table = routes(Config(vendors={"openai": OPENAI}, models={"gpt-4.2": Model(to=("openai/gpt-own",))}), lists={"openai": ("gpt-5.0x",)})
    assert not [name for name in ("gpt-5.0x", "openai/gpt-5.0x", "gpt-4.2") if "Did you mean" in refusal(name, table).message]


@pytest.mark.parametrize(
    "table",
    [
        routes(Config(vendors={"openai": OPENAI})),
        routes(Config(vendors={"local": LOCAL})),
        routes(Config(vendors={"openai": OPENAI, "anthropic": CLAUDE})),
        routes(Config(vendors={"openai": OPENAI, "anthropic": CLAUDE}), awaited=frozenset({"openai"})),
    ],
)
@pytest.mark.parametrize("beside", ["", "openai/", "local/"])
def test_a_key_in_place_of_a_model_is_not_told(table: Routes, beside: str) -> None:
    """[fault S11] Whatever keeps the name from being used: its price, the key's list, or that nobody knows it."""
    secret = "sk-aisa-" + "x9" * 21
    listed = Key("key_1", "test", b"", "sk-…", "active", 0, models=("gpt-4.1",))
    assert secret not in refusal(beside + secret, table, listed).message


def test_a_name_that_only_an_ambiguous_model_is_like_is_suggested_with_its_vendor() -> None:
    """`gpt-4o` itself would be refused, so it is no help."""
    assert "'openai/gpt-4o'" in refusal("gpt-4oo").message


def test_the_only_vendor_gets_every_name_though_no_list_has_it() -> None:
    """As before; a known name is written as the vendor writes it."""
    table = routes(Config(vendors={"openai": msgspec.structs.replace(OPENAI, allow_unpriced=True)}), lists={})
    assert [goes_to(name, table) for name in ("GPT-4.1", "aisa/new-one")] == [["openai/gpt-4.1"], ["openai/new-one"]]


def test_a_fence_lets_only_configured_names_through() -> None:
    """[fault P9] Neither vendor/model, nor a bare name, nor the built-in model, and the list shows no more than that."""
    config = Config(vendors=VENDORS, models={"fast": Model(to=("openai/gpt-4.1",))}, models_only=True, embedded=Embedded(enabled="always"))
    table = routes(config)
    assert goes_to("Fast", table) == goes_to("aisa/fast", table) == ["openai/gpt-4.1"]
    for name in ("openai/gpt-4.1", "gpt-4.1", "embedded/tiny", "aisa/openai/gpt-4.1", "qwen3", "anything"):
        assert refusal(name, table).code == "unknown_model", name
    assert "'fast'" in refusal("fats", table).message
    assert [entry.name for entry in visible(table, Key("key_1", "test", b"", "sk-…", "active", 0))] == ["fast"]


def test_an_allow_list_means_the_model_by_every_name_of_it() -> None:
    """[fault P9] `gpt-4.1` and `openai/gpt-4.1` are one thing while openai has the name; the same model elsewhere is another."""
    key = Key("key_1", "test", b"", "sk-…", "active", 0, models=("gpt-4.1", "openai/gpt-4o", "Phi-4"))
    for name in ("gpt-4.1", "openai/gpt-4.1", "OpenAI/gpt-4.1", "azure/phi-4", "openai/gpt-4o"):
        assert goes_to(name, key=key)
    for name in ("azure/gpt-4.1", "azure/gpt-4o", "openai/gpt-4.1-mini", "embedded/tiny"):
        assert refusal(name, key=key).code == "model_not_allowed", name
    bare = Key("key_1", "test", b"", "sk-…", "active", 0, models=("gpt-4o",))
    assert refusal("openai/gpt-4o", key=bare).code == "model_not_allowed", "several vendors have it, so the name means none of them"
    config = Config(vendors=VENDORS, models={"gpt-4.1": Model(to=("anthropic/claude-haiku-4-5",))})
    assert refusal("openai/gpt-4.1", routes(config), key).code == "model_not_allowed", "the name is the configuration's"


def test_what_can_be_used_is_listed_by_the_name_that_works() -> None:
    """[fault P1] A vendor's own list where it has given one, else the catalogue's; without a price only where none is needed."""
    anyone = Key("key_1", "test", b"", "sk-…", "active", 0)
    names = [entry.name for entry in visible(routes(), anyone)]
    assert names[0] == "embedded/tiny"
    assert {"gpt-4.1", "claude-sonnet-4-5", "Phi-4", "qwen3", "openai/gpt-4o", "azure/gpt-4o", "local/gpt-4o"} <= set(names)
    assert "gpt-4o" not in names
    assert len(names) == len(set(names))
    listed = routes(lists={"openai": ("gpt-4.1", "made-up"), "local": ()})
    ours = [entry.name for entry in visible(listed, anyone) if entry.offers[0].target.vendor in ("openai", "local")]
    assert ours == ["gpt-4.1"], "made-up has no price, so a call to it would be refused"
    for name in names:
        if name != "embedded/tiny":
            assert goes_to(name)


def test_an_allow_list_is_listed_as_far_as_it_leads_somewhere() -> None:
    """Also names that no list has, such as a dated one."""
    key = Key("key_1", "test", b"", "sk-…", "active", 0, models=("gpt-4.1-2025-04-14", "gone", "azure/Phi-4"))
    assert [entry.name for entry in visible(routes(), key)] == ["gpt-4.1-2025-04-14", "azure/Phi-4"]


@pytest.mark.heavy
def test_a_list_without_end_is_shown_up_to_a_bound() -> None:
    """A vendor cannot make the document as long as it likes."""
    table = routes(lists={"local": tuple(f"m{number}" for number in range(OFFERED_MAX + 5))})
    assert sum(entry.offers[0].target.vendor == "local" for entry in table.offered) == OFFERED_MAX


def test_an_unknown_name_is_asked_again_while_a_first_list_is_on_its_way() -> None:
    """It is no 404 yet: SDKs repeat a 503, and the list comes within seconds. What is known does not wait."""
    table = routes(lists={}, awaited=frozenset({"local"}))
    error = refusal("qwen3", table)
    assert (error.status, error.code, error.retry_after) == (503, "overloaded", 1)
    assert goes_to("gpt-4.1", table) == ["openai/gpt-4.1"]
    assert goes_to("qwen3", table.knowing(Known(lists=LISTS))) == ["local/qwen3"]
    assert refusal("nonsense", table.knowing(Known(lists=LISTS))).code == "unknown_model"


def test_who_has_a_name_is_found_out_once() -> None:
    """The catalogue takes milliseconds for a name, and callers ask for the same ones."""
    asked: list[str] = []

    def counting(vendor: str, base_url: str, model: str) -> PriceList | None:
        asked.append(model)
        return unlisted(vendor, base_url, model)

    table = Routes(Config(vendors={"a": LOCAL, "b": LOCAL}), counting)
    for _ in range(3):
        assert refusal("made-up", table).code == "unknown_model"
    assert asked == ["made-up", "made-up"], "once at each vendor"


@pytest.mark.parametrize("name", ["", "x" * 5_000, "a/", "/", "\u0130stanbul", "models/../x"])
def test_odd_names_are_refused_like_others(name: str) -> None:
    """No name costs more than another, and none breaks anything."""
    assert refusal(name).code in ("unknown_model", "invalid_request", "missing_parameter")


def test_parts_of_names_are_no_models() -> None:
    """The catalogue has ids that it matches names by, and that no model answers to: they are not offered."""
    names = catalogue_names("openai", "https://api.openai.com/v1")
    assert "gpt-4o-mini" in names
    assert [name for name in names if not name[-1].isalnum()] == []
