"""Moving here from LiteLLM's proxy: its configuration as ours, and its virtual keys, whose clients need not change theirs."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aisa.cli.commands import aisa
from aisa.clock import system_chance, wall_clock
from aisa.config.load import load
from aisa.errors import ApiError
from aisa.keys.rules import DISABLED, SECRET_CHARS_MIN
from aisa.keys.store import KeyStore
from aisa.litellm.exported_keys import KeyWanted, NotAnExport, Skipped, rows_of, wanted
from aisa.litellm.providers import PRESETS, deployment_of
from aisa.litellm.translated import translated
from aisa.prices.catalogue import catalogue_price
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.vendors.table import ROWS

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BEDROCK = "https://bedrock-runtime."


def entry(name: str, model: str, info: dict[str, Any] | None = None, **params: object) -> dict[str, Any]:
    """Return an entry of a `model_list`."""
    return {"model_name": name, "litellm_params": {"model": model, **params}, **({"model_info": info} if info else {})}


def made(*entries: dict[str, Any], **sections: object) -> tuple[dict[str, Any], list[str]]:
    """Translate a configuration; return ours and where something was left behind."""
    translation = translated({"model_list": list(entries), **sections})
    return json.loads(json.dumps(translation.config)), [note.where for note in translation.notes]


# The configuration


def test_an_entry_becomes_a_vendor_and_a_model() -> None:
    """Its key as a reference; nothing is written that the vendor's row says."""
    config, left = made(entry("fast", "openai/gpt-4.1", api_key="os.environ/OPENAI_API_KEY"))
    assert config == {"vendors": {"openai": {"api_key": "${OPENAI_API_KEY}"}}, "models": {"fast": {"to": ["openai/gpt-4.1"]}}}
    assert left == []


def test_entries_of_one_name_share_the_calls_and_entries_of_one_vendor_share_it() -> None:
    """By `weight`, else by the limits that LiteLLM shares them by; another key is another vendor."""
    config, left = made(
        entry("m", "openai/a", api_key="k1", weight=3),
        entry("m", "openai/b", api_key="k1"),
        entry("m", "openai/a", api_key="k2", rpm=7),
    )
    assert list(config["vendors"]) == ["openai", "openai-2"]
    assert config["models"]["m"]["to"] == [
        {"target": "openai/a", "weight": 3},
        {"target": "openai/b", "weight": 1},
        {"target": "openai-2/a", "weight": 7},
    ]
    assert left == ["model_list.2.litellm_params.rpm"]


@pytest.mark.parametrize("provider", PRESETS)
def test_every_provider_that_is_carried_over_is_a_vendor_that_is_known(provider: str) -> None:
    """Under the name that LiteLLM has for it."""
    assert PRESETS[provider] in ROWS
    assert deployment_of({"model": f"{provider}/some/model"})[:2] == (provider, "some/model")


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        *[(name, "openai") for name in ("gpt-4o", "o3", "ft:gpt-4o-mini:org::id", "text-embedding-3-small", "codex-mini-latest")],
        *[("claude-x", "anthropic"), ("llama", ""), ("acme/x", ""), ("acme.x", ""), ("gemini-3", "vertex_ai")],
        *[(name, "cohere") for name in ("command-r", "embed-english-v3.0", "rerank-v3.5")],
        *[(name, "bedrock") for name in ("anthropic.claude-opus-4-5-v1:0", "us.meta.llama4-scout-v1:0", "openai.gpt-oss-120b-1:0")],
    ],
)
def test_a_model_without_its_provider_is_whose_litellm_says_or_nobodys(model: str, provider: str) -> None:
    """Nothing is guessed."""
    assert deployment_of({"model": model}).provider == provider
    _, left = made(entry("m", model, api_key="k"))
    assert left == ([] if provider else ["model_list.0"])


@pytest.mark.parametrize(
    ("version", "base_url", "query"),
    [
        (None, "https://r.openai.azure.com/openai/v1", None),
        ("preview", "https://r.openai.azure.com/openai/v1", None),
        ("2024-10-21", "https://r.openai.azure.com/openai/deployments/mine", {"api-version": "2024-10-21"}),
        ("2025-01-01-preview", "https://r.openai.azure.com/openai/deployments/mine", {"api-version": "2025-01-01-preview"}),
    ],
)
def test_a_deployment_of_azures_is_asked_as_it_was(version: str | None, base_url: str, query: dict[str, str] | None) -> None:
    """By the versionless API, or by its own path with a dated version; its price is that of the model that it deploys."""
    params = {"api_base": "https://r.openai.azure.com/", "api_key": "k", "api_version": version}
    config, left = made(entry("m", "azure/mine", {"base_model": "azure/gpt-4o"}, **params))
    vendor = config["vendors"]["azure"]
    assert (vendor["base_url"], vendor.get("query"), vendor["api_key_as"]) == (base_url, query, "header:api-key")
    assert (vendor["price_as"], left) == ({"mine": "openai/gpt-4o"}, [])
    assert made(entry("m", "azure/mine", **params))[1] == ["vendors.azure"]


R = "https://r.services.ai.azure.com"
KEY_HEADER = "header:api-key"
#: A model of `azure_ai/`, the entry's address and version -> the address here, the query, the dialect, and how the key goes.
FOUNDRY: list[tuple[str, str, str | None, tuple[str, dict[str, str] | None, str | None, str]]] = [
    ("Llama-3.3-70B-Instruct", R, None, (f"{R}/openai/v1", None, None, KEY_HEADER)),
    ("grok-4", f"{R}/models/", "2024-05-01-preview", (f"{R}/openai/v1", None, None, KEY_HEADER)),
    ("x", f"{R}/models/chat/completions?api-version=2024-05-01-preview", None, (f"{R}/openai/v1", None, None, KEY_HEADER)),
    ("x", f"{R}/openai/v1/", None, (f"{R}/openai/v1", None, None, KEY_HEADER)),
    ("claude-opus-5-5", R, None, (f"{R}/anthropic/v1", None, "anthropic", KEY_HEADER)),
    ("claude-opus-5-5", f"{R}/anthropic", None, (f"{R}/anthropic/v1", None, "anthropic", KEY_HEADER)),
    ("claude-opus-5-5", f"{R}/anthropic/v1/messages", None, (f"{R}/anthropic/v1", None, "anthropic", KEY_HEADER)),
    ("command-r", "https://c.eastus2.models.ai.azure.com/v1", None, ("https://c.eastus2.models.ai.azure.com/v1", None, None, "bearer")),
    ("x", "https://c.x.com/chat/completions?api-version=1", None, ("https://c.x.com", {"api-version": "1"}, None, "bearer")),
    ("x", "https://c.inference.ml.azure.com", None, ("https://c.inference.ml.azure.com", None, None, "bearer")),
]


@pytest.mark.parametrize(("model", "base", "version", "expected"), FOUNDRY)
def test_a_model_of_azures_foundry_is_asked_where_it_is(
    model: str, base: str, version: str | None, expected: tuple[str, dict[str, str] | None, str | None, str], tmp_path: Path
) -> None:
    """By the versionless API, by Anthropic's, or at a serverless endpoint; what comes of it is a configuration that is served."""
    params = {"api_base": base, "api_key": "k", "api_version": version}
    config, left = made(entry("m", f"azure_ai/{model}", {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}, **params))
    [(name, vendor)] = config["vendors"].items()
    assert (vendor["base_url"], vendor.get("query"), vendor.get("dialect"), vendor["api_key_as"]) == expected
    assert (config["models"]["m"]["to"], left) == ([f"{name}/{model}"], [])
    (tmp_path / "aisa.yaml").write_text(json.dumps(config))
    loaded = load(str(tmp_path / "aisa.yaml"), {}, {}).config
    assert loaded.vendors[name].dialect == (expected[2] or "openai")


def test_a_model_of_azures_foundry_has_no_price_but_its_own_and_may_be_an_applications() -> None:
    """What it is called there says nothing of its price; the environment has its address where the entry has none."""
    app = {"tenant_id": "t", "client_id": "c", "client_secret": "os.environ/SECRET"}
    config, left = made(entry("m", "azure_ai/grok-4", **app))
    [(name, vendor)] = config["vendors"].items()
    assert (vendor["base_url"], left) == ("${AZURE_AI_API_BASE}/openai/v1", [f"vendors.{name}"])
    assert vendor["azure_credentials"] == [{"tenant_id": "t", "client_id": "c", "client_secret": "${SECRET}"}]


def test_a_variable_that_ends_in_a_slash_makes_no_broken_address(tmp_path: Path) -> None:
    """An address from the environment is put before a path."""
    config, _ = made(entry("m", "azure/gpt-4o", {"base_model": "gpt-4o"}, api_base="os.environ/BASE", api_key="k"))
    (tmp_path / "aisa.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    loaded = load(str(tmp_path / "aisa.yaml"), {"BASE": "https://r.openai.azure.com/"}, {}).config
    assert loaded.vendors["azure"].base_url == "https://r.openai.azure.com/openai/v1"


@pytest.mark.parametrize(
    ("model", "target", "vendor"),
    [
        ("openai/responses/gpt-5.2", "openai/gpt-5.2", {"dialect": "responses"}),
        ("bedrock/us-west-2/amazon.nova-pro-v1:0", "bedrock/amazon.nova-pro-v1:0", {"base_url": f"{BEDROCK}us-west-2.amazonaws.com"}),
        ("bedrock/converse/us-gov-east-1/a.b-v1:0", "bedrock/a.b-v1:0", {"base_url": f"{BEDROCK}us-gov-east-1.amazonaws.com"}),
        ("bedrock/invoke/us.anthropic.c-v1:0", "bedrock/us.anthropic.c-v1:0", {"aws_credentials": ["default"]}),
        ("huggingface/together/deepseek-ai/R1", "huggingface/deepseek-ai/R1:together", {}),
        ("huggingface/deepseek-ai/R1", "huggingface/deepseek-ai/R1", {}),
        ("text-completion-openai/gpt-3.5-turbo-instruct", "openai/gpt-3.5-turbo-instruct", {}),
    ],
)
def test_what_a_models_name_says_besides_is_carried_over(model: str, target: str, vendor: dict[str, Any]) -> None:
    """By which protocol it is asked, in which region, at whose machines; a name with that in front is nobody's here."""
    config, left = made(entry("m", model))
    assert (config["models"]["m"]["to"], left) == ([target], [])
    [settings] = config["vendors"].values()
    assert settings.items() >= vendor.items()


def test_an_azure_deployment_that_is_asked_for_responses_has_no_deployment_in_its_path() -> None:
    """With a dated version; the versionless API has none anyhow."""
    at = {"api_base": "https://r.openai.azure.com/", "api_key": "k"}
    dated, _ = made(entry("m", "azure/responses/o4", api_version="2025-04-01-preview", **at))
    assert dated["models"]["m"]["to"] == ["azure/o4"]
    assert dated["vendors"]["azure"].items() >= {"base_url": "https://r.openai.azure.com/openai", "dialect": "responses"}.items()
    assert made(entry("m", "azure/responses/o4", **at))[0]["vendors"]["azure"]["base_url"] == "https://r.openai.azure.com/openai/v1"


@pytest.mark.parametrize(
    "base", ["https://gw.example/anthropic", "https://gw.example/anthropic/v1/messages", "https://gw.example/anthropic/v1/"]
)
def test_to_an_address_of_anthropics_api_litellm_adds_the_route(base: str) -> None:
    """As its own client does: with the version, unless it is there."""
    config, _ = made(entry("m", "anthropic/claude-opus-5-5", api_base=base, api_key="k"))
    assert config["vendors"]["anthropic"]["base_url"] == "https://gw.example/anthropic/v1"


def test_each_organization_of_an_entry_is_a_target() -> None:
    """As LiteLLM makes a deployment for each."""
    config, _ = made(entry("m", "openai/x", api_key="k", organization=["os.environ/A", "org-b"]))
    assert [vendor["headers"]["OpenAI-Organization"] for vendor in config["vendors"].values()] == ["${A}", "org-b"]
    assert [target["weight"] for target in config["models"]["m"]["to"]] == [1, 1]


def test_of_vertex_ai_what_is_not_googles_is_left_out_and_credentials_in_the_file_are_told() -> None:
    """Claude is asked in another way there. Either name of the project's setting counts."""
    config, left = made(
        entry("c", "vertex_ai/claude-sonnet-4-5@20250929", vertex_project="p"),
        entry("g", "vertex_ai/gemini-2.5-pro", vertex_ai_project="p", vertex_ai_location="us-east5", vertex_credentials='{"type": "x"}'),
    )
    assert list(config["models"]) == ["g"]
    assert config["vendors"]["vertex"]["base_url"].startswith(
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/"
    )
    assert left == ["model_list.0", "model_list.1.litellm_params.vertex_credentials"]


def test_targets_of_a_later_order_are_stand_bys() -> None:
    """Those of the first share the calls, whichever way they stand in the file."""
    config, left = made(
        entry("m", "openai/c", api_key="k", order=3),
        entry("m", "openai/a", api_key="k", order=1, weight=2),
        entry("m", "openai/b", api_key="k", order=1),
        entry("m", "openai/d", api_key="k"),
        router_settings={"routing_strategy": "least-busy"},
    )
    shared = [{"target": "openai/a", "weight": 2}, {"target": "openai/b", "weight": 1}]
    assert config["models"]["m"] == {"to": [*shared, "openai/c", "openai/d"]}
    assert left == ["router_settings.routing_strategy"]  # there is nothing that it could choose by


def test_everybodys_fall_backs_are_those_of_models_without_their_own() -> None:
    """By either name that LiteLLM has for them, and of no model itself; the router's time-outs are the models'."""
    for section in ({"fallbacks": [{"a": ["c"]}, {"*": ["b"]}]}, {"fallbacks": [{"a": ["c"]}], "default_fallbacks": ["b"]}):
        config, left = made(
            *[entry(name, f"openai/{name}", api_key="k") for name in "abc"], router_settings={**section, "timeout": 30, "stream_timeout": 9}
        )
        assert {name: model["to"] for name, model in config["models"].items()} == {
            "a": ["openai/a", "openai/c"],
            "b": ["openai/b"],
            "c": ["openai/c", "openai/b"],
        }
        assert [(model["answer_timeout_seconds"], model["idle_timeout_seconds"]) for model in config["models"].values()] == [(30, 9)] * 3
        assert left == []


def test_what_is_said_of_a_model_and_matters_is_never_lost_without_a_word() -> None:
    """Who may call it, and prices that are none here; a file that names others has nothing but that."""
    _, left = made(entry("m", "openai/x", {"access_groups": ["beta"], "input_cost_per_image": 1, "supports_vision": True}, api_key="k"))
    assert left == ["model_list.0.model_info.access_groups", "model_list.0.model_info.input_cost_per_image"]
    assert [note for note in translated({"include": ["models.yaml"]}).notes if "import each" in note.what]


def test_what_chooses_and_what_falls_back_is_carried_over() -> None:
    """Strategies, retries, fall-backs behind the model's own targets, other names, time-outs, dropped parameters."""
    config, left = made(
        entry("a", "openai/x", api_key="k", timeout=60, stream_timeout=5),
        entry("a", "openai/y", api_key="k"),
        entry("b", "groq/z", api_key="k", drop_params=True),
        litellm_settings={"fallbacks": [{"b": ["a"]}], "num_retries": 2, "request_timeout": 90},
        router_settings={"routing_strategy": "latency-based-routing", "model_group_alias": {"other": "a"}},
    )
    a, b = config["models"]["a"], config["models"]["b"]
    assert (a["route"], b["route"]) == ({"by": "latency", "retries": 2}, {"retries": 2})
    assert (a["aliases"], a["answer_timeout_seconds"], a["idle_timeout_seconds"]) == (["other"], 60, 5)
    assert (b["to"], b["unsupported"], b["answer_timeout_seconds"]) == (["groq/z", "openai/x", "openai/y"], "drop", 90)
    assert left == []


def test_targets_with_fall_backs_are_not_ranked_among_them() -> None:
    """A fall-back comes last here only where targets are asked in order or by weight, and that is said."""
    config, left = made(
        entry("a", "openai/x", api_key="k"),
        entry("a", "openai/y", api_key="k"),
        entry("b", "groq/z", api_key="k"),
        router_settings={"routing_strategy": "least-busy", "fallbacks": [{"a": ["b"]}]},
    )
    assert "route" not in config["models"]["a"]
    assert config["models"]["a"]["to"][-1] == "groq/z"
    assert left == ["router_settings.fallbacks"]


def test_prices_and_sizes_are_carried_over() -> None:
    """Of a token there, of a million here; a server of one's own is free there, and may be unpriced here."""
    config, _ = made(
        entry(
            "a",
            "openai/x",
            {"max_input_tokens": 1000, "max_output_tokens": 50},
            input_cost_per_token=1.5e-7,
            output_cost_per_token=6e-7,
            api_key="k",
        ),
        entry("b", "ollama/llama3", api_base="http://gpu:11434/"),
        entry("c", "openai_like/z", api_base="http://h/v1", api_key="k"),
    )
    assert config["vendors"]["openai"]["prices"] == {"x": {"input": 0.15, "output": 0.6}}
    assert config["models"]["a"] == {"to": [{"target": "openai/x", "context_window": 1000}], "max_output_tokens": 50}
    assert config["vendors"]["ollama"] == {"preset": "ollama", "base_url": "http://gpu:11434/v1", "allow_unpriced": True}
    assert config["vendors"]["openai-like"] == {"base_url": "http://h/v1", "api_key": "k"}


def test_numbers_that_yaml_takes_for_texts_are_numbers() -> None:
    """`1e-5` has no point, so its readers give a text: prices, sizes, weights and time-outs are carried over all the same."""
    prices = yaml.safe_load("{input_cost_per_token: 1e-6, output_cost_per_token: 1e-5}")
    info = yaml.safe_load("{max_input_tokens: 1e5, max_output_tokens: '64'}")
    assert prices == {"input_cost_per_token": "1e-6", "output_cost_per_token": "1e-5"}, "or there is nothing to prove"
    config, left = made(
        entry("a", "openai/x", info, **prices, api_key="k", weight="2e1", timeout="3e1"),
        entry("a", "openai/y", api_key="k", weight=True),
        router_settings={"stream_timeout": "9"},
    )
    assert config["vendors"]["openai"]["prices"] == {"x": {"input": 1, "output": 10}}
    model = config["models"]["a"]
    assert model["to"] == [{"target": "openai/x", "context_window": 100_000, "weight": 20}, {"target": "openai/y", "weight": 1}]
    assert (model["max_output_tokens"], model["answer_timeout_seconds"], model["idle_timeout_seconds"]) == (64, 30, 9)
    assert left == []


@pytest.mark.parametrize("name", ["text-embedding-004", "text-multilingual-embedding-002"])
def test_googles_vectors_are_not_asked_of_openai(name: str) -> None:
    """LiteLLM asks Vertex AI for them, whose vectors are not spoken here; the name of OpenAI's begins alike."""
    config, left = made(entry("m", name, vertex_project="p"))
    assert (config, left) == ({}, ["model_list.0"])


@pytest.mark.parametrize(
    ("model", "base", "price_as"),
    [
        ("gemini/tuned", "gemini/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gemini/tuned", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("xai/mine", "xai/grok-4.3", "x-ai/grok-4.3"),
        ("bedrock/arn:aws:bedrock:x", "us.amazon.nova-pro-v1:0", "aws/us.amazon.nova-pro-v1:0"),
        ("openai/mine", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("groq/mine", "llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        ("azure/mine", "azure/gpt-4o", "openai/gpt-4o"),
        ("azure/mine", "azure/global/gpt-4o", "openai/gpt-4o"),
        ("azure/mine", "azure/eu/gpt-4o", None),  # a tenth dearer
        ("azure/mine", "kimi-k2.5-preview", None),
        ("openai/mine", "replicate/x", None),
    ],
)
def test_whose_price_a_deployment_has_is_said_in_the_catalogues_words(model: str, base: str, price_as: str | None) -> None:
    """Every maker's models were written as OpenAI's, or under LiteLLM's name of the maker: names without a price, so nothing started."""
    config, left = made(entry("m", model, {"base_model": base}, api_key="k", api_base="https://h.example/v1"))
    [(name, vendor)] = config["vendors"].items()
    assert vendor.get("price_as") == (None if price_as is None else {model.partition("/")[2]: price_as})
    assert left == ([f"vendors.{name}"] if price_as is None else [])
    if price_as is not None and not price_as.startswith("aws/"):
        vendor_there, _, model_there = price_as.partition("/")
        assert catalogue_price(vendor_there, "", model_there) is not None


def test_what_stands_in_a_variable_is_read_where_no_reference_can_stand() -> None:
    """A model, a weight, a price; of the environment, or of the file's own. One that is not set is told, and no secret is read."""
    params = {"api_base": "os.environ/BASE", "api_key": "os.environ/KEY", "weight": "os.environ/SHARE"}
    tree = {
        "model_list": [
            entry("a", "os.environ/MODEL", **params, aws_secret_access_key="os.environ/KEY"),
            entry("b", "os.environ/OWN", **params, timeout="os.environ/GONE"),
            entry("c", "os.environ/GONE", **params),
        ],
        "environment_variables": {"OWN": "groq/x"},
    }
    translation = translated(tree, {"MODEL": "hosted_vllm/qwen", "KEY": "sesame", "BASE": "http://h/v1", "SHARE": "3"})
    config = json.loads(json.dumps(translation.config))
    assert {name: model["to"] for name, model in config["models"].items()} == {"a": ["vllm/qwen"], "b": ["groq/x"]}
    assert [vendor["base_url"] for vendor in config["vendors"].values()] == ["${BASE}", "${BASE}"]
    assert "sesame" not in str(translation)
    told = {note.where: note.what for note in translation.notes}
    assert "read and is written as `hosted_vllm/qwen`" in told["model_list.0.litellm_params.model"]
    assert "`GONE` of the environment, which is not set" in told["model_list.1.litellm_params.timeout"]
    assert "`GONE` of the environment, which is not set" in told["model_list.2.litellm_params.model"]


def test_two_prices_of_one_model_are_told() -> None:
    """LiteLLM's are by entry, and here by model of a vendor: the last would have been everybody's, without a word."""
    prices = ({"input_cost_per_token": each, "output_cost_per_token": each} for each in (1e-6, 2e-6, 1e-6))
    config, left = made(*[entry(name, "openai/x", api_key="k", **each) for name, each in zip("abc", prices, strict=True)])
    assert config["vendors"]["openai"]["prices"] == {"x": {"input": 1, "output": 1}}
    assert left == ["vendors.openai.prices"]


def test_a_price_of_one_side_alone_is_told() -> None:
    """Here both are needed: it is not lost without a word, and not guessed."""
    config, left = made(entry("a", "openai/x", api_key="k", input_cost_per_token=1e-6))
    assert "prices" not in config["vendors"]["openai"]
    assert left == ["vendors.openai"]


def test_what_is_no_entry_is_told_and_changes_no_place() -> None:
    """Places are those of the file."""
    translation = translated({"model_list": ["nonsense", entry("m", "nobody-knows/x"), None]})
    assert [note.where for note in translation.notes] == ["model_list.0", "model_list.1", "model_list.2"]


def test_a_target_stands_once_in_a_route() -> None:
    """However many fall-backs name it: it would be asked again when it has just failed."""
    config, _ = made(
        *[entry(name, f"openai/{name}", api_key="k") for name in "abc"],
        litellm_settings={"fallbacks": [{"a": ["b", "c", "b"]}, {"*": ["c"]}], "default_fallbacks": ["c"]},
    )
    assert {name: model["to"] for name, model in config["models"].items()} == {
        "a": ["openai/a", "openai/b", "openai/c"],
        "b": ["openai/b", "openai/c"],
        "c": ["openai/c"],
    }


def test_what_has_no_counterpart_is_named_with_its_place() -> None:
    """Each, and what to do instead where there is something."""
    _, left = made(
        entry("a", "openai/x", api_key="k", temperature=0.1, cache=None),
        entry("p", "openai/dall-e", {"mode": "image_generation"}, api_key="k"),
        entry("q", "replicate/x", api_key="k"),
        entry("r*", "openai/r*", api_key="k"),
        litellm_settings={"callbacks": ["x"], "context_window_fallbacks": [{"a": ["b"]}], "fallbacks": [{"a": ["gone"]}]},
        router_settings={"model_group_alias": {"z": "gone"}, "redis_host": "h"},
        general_settings={"master_key": "sk", "database_url": "u", "alerting": []},
        environment_variables={"A": "b"},
        guardrails=[{}],
    )
    assert sorted(left) == sorted(
        [
            "model_list.0.litellm_params.temperature",
            *("model_list.1", "model_list.2", "model_list.3"),
            *("litellm_settings.fallbacks", "litellm_settings.context_window_fallbacks", "litellm_settings.callbacks"),
            *("router_settings.model_group_alias.z", "router_settings.redis_host"),
            *("general_settings.master_key", "general_settings.database_url", "general_settings.alerting"),
            *("environment_variables.A", "guardrails"),
        ]
    )


def test_a_wildcard_is_the_vendor_itself() -> None:
    """Under the name by which callers know it; what the star alone was is said."""
    config, left = made(entry("anthropic/*", "anthropic/*", api_key="k"), entry("*", "openai/*", api_key="o"))
    assert config == {"vendors": {"anthropic": {"api_key": "k"}, "openai": {"api_key": "o"}}}
    assert left == ["model_list.1"]
    other, told = made(entry("anthropic/*", "anthropic/*", api_key="1"), entry("anthropic/*", "anthropic/*", api_key="2"))
    assert (list(other["vendors"]), told) == (["anthropic", "anthropic-2"], ["model_list.1"])


def test_the_vendor_of_a_wildcard_has_the_name_that_callers_use() -> None:
    """Whatever stands before it: an entry with other settings gets another vendor's name."""
    config, left = made(entry("m", "anthropic/x", api_key="1"), entry("anthropic/*", "anthropic/*", api_key="2"))
    assert config["vendors"] == {"anthropic": {"api_key": "2"}, "anthropic-2": {"preset": "anthropic", "api_key": "1"}}
    assert (config["models"], left) == ({"m": {"to": ["anthropic-2/x"]}}, [])


@pytest.mark.parametrize("prefix", ["openai", "gpt"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_wildcard_and_an_entry_with_the_same_settings_share_a_vendor(prefix: str, *, first: bool) -> None:
    """[fault P2] So that a bare name has one vendor, and can be called. The same wildcard once more is no other vendor, either."""
    key = "os.environ/OPENAI_API_KEY"
    one, every = entry("gpt-4o", "openai/gpt-4o", api_key=key), entry(f"{prefix}/*", "openai/*", api_key=key)
    config, left = made(*([every, one] if first else [one, every]), every)
    settings = {"api_key": "${OPENAI_API_KEY}", **({} if prefix == "openai" else {"preset": "openai"})}
    assert config == {"vendors": {prefix: settings}, "models": {"gpt-4o": {"to": [f"{prefix}/gpt-4o"]}}}
    assert left == []


def test_a_credential_by_name_is_where_it_stands() -> None:
    """In `credential_list`; one that is not there is told."""
    credentials = [{"credential_name": "c", "credential_values": {"api_key": "os.environ/K"}}]
    config, left = made(entry("m", "groq/x", litellm_credential_name="c"), credential_list=credentials)
    assert (config["vendors"], left) == ({"groq": {"api_key": "${K}"}}, [])
    assert made(entry("m", "groq/x", litellm_credential_name="d"), credential_list=credentials)[1] == ["model_list.0"]


def run(*arguments: str, **environment: str) -> Result:
    """Run a command without looking at this machine."""
    base: dict[str, Any] = {
        "AISA_CONFIG": None,
        "AISA_DATA_DIR": None,
        "NO_COLOR": "1",
        "AISA_DISCOVERY_LOOPBACK": "never",
        "COLUMNS": "200",
    }
    return CliRunner().invoke(aisa, arguments, env={**base, **environment}, prog_name="aisa", catch_exceptions=False)


WHOLE = {
    "model_list": [
        entry("gpt", "openai/gpt-4.1", api_key="os.environ/OPENAI_API_KEY"),
        entry(
            "gpt",
            "azure/mine",
            {"base_model": "azure/gpt-4.1"},
            api_base="os.environ/BASE",
            api_key="os.environ/AZURE",
            api_version="2024-10-21",
        ),
        entry("claude", "anthropic/claude-opus-5-5", api_key="sk-ant-literal ${x}"),
        entry("gemini", "gemini/gemini-3.8-flash", api_key="os.environ/GEMINI_API_KEY"),
        entry("vertex", "vertex_ai/gemini-3.8-flash", vertex_project="p", vertex_location="us-central1"),
        entry("mistral", "mistral/mistral-large-2512", api_key="k"),
        entry("local", "ollama/llama3", api_base="http://127.0.0.1:11434"),
        entry("vllm", "hosted_vllm/tiny", api_base="http://127.0.0.1:8000/v1"),
        entry("odd\nname: {injected: true}", "replicate/x"),
    ],
    "litellm_settings": {"drop_params": True, "fallbacks": [{"claude": ["gpt"]}]},
}


def test_what_is_written_is_a_configuration_that_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`aisa config check` takes it as it is; only its owner may read it; what is left behind is in comments, whatever its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "litellm.yaml").write_text(yaml.safe_dump(WHOLE), encoding="utf-8")
    result = run("config", "import", "litellm", "litellm.yaml")
    assert (result.exit_code, "8 vendors and 7 models" in result.output) == (0, True), result.output
    assert (tmp_path / "aisa.yaml").stat().st_mode & 0o777 == 0o600
    text = (tmp_path / "aisa.yaml").read_text(encoding="utf-8")
    assert re.search(r"^# Not carried over: model_list\.8: .*replicate/x", text, re.MULTILINE)
    environment = {"OPENAI_API_KEY": "o", "AZURE": "a", "BASE": "https://r.openai.azure.com/", "GEMINI_API_KEY": "g"}
    check = run("config", "check", **environment)
    assert check.exit_code == 0, check.output
    config = load("aisa.yaml", environment, {}).config
    assert config.vendors["anthropic"].api_key == "sk-ant-literal ${x}"
    assert "injected" not in config.models
    assert config.vendors["google"].dialect == "gemini"


def test_nothing_is_written_over_and_nothing_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there, a file that is no configuration, and one with nothing to carry over end with status 2."""
    monkeypatch.chdir(tmp_path)
    for name, content in (("good", yaml.safe_dump(WHOLE)), ("list", "[1]"), ("broken", "a: ["), ("empty", "model_list: []")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert run("config", "import", "litellm", "good", "--output", "out.yaml").exit_code == 0
    before = (tmp_path / "out.yaml").read_text(encoding="utf-8")
    for name, said in (("good", "there already"), ("list", "no mapping"), ("broken", "not valid YAML"), ("empty", "nothing that could")):
        result = run("config", "import", "litellm", name, "--output", "out.yaml" if name == "good" else f"{name}.yaml")
        assert (result.exit_code, said in result.output) == (2, True), result.output
    assert (tmp_path / "out.yaml").read_text(encoding="utf-8") == before


# The keys


def secret(number: int) -> str:
    """Return a virtual key as LiteLLM makes them."""
    return f"sk-{number:022d}"


def row(number: int, **columns: object) -> dict[str, Any]:
    """Return a row of LiteLLM's table, whose key is known by its SHA-256."""
    token = sha256(secret(number).encode()).hexdigest()
    base = {"token": token, "key_name": f"sk-...{secret(number)[-4:]}", "key_alias": f"alias {number}", "spend": 0.0, "models": []}
    return {**base, "aliases": {}, "config": {}, "permissions": {}, "blocked": None, "max_budget": None, "budget_duration": None, **columns}


ROWS_EXPORTED = [
    row(1),
    row(2, models=["gpt-4.1", "claude"], rpm_limit=60, tpm_limit="1000", max_parallel_requests=3, max_budget=12.5, budget_duration="30d"),
    row(3, blocked=True, expires="2027-03-01T12:00:00Z"),
    row(4, team_id="team-a", key_alias=None),
]


def as_pg_dump(rows: list[dict[str, Any]]) -> str:
    """Write rows as `pg_dump` does."""
    names = list(dict.fromkeys([name for each in rows for name in each]))

    def cell(value: object) -> str:
        if value is None:
            return "\\N"
        if isinstance(value, bool):
            return "t" if value else "f"
        text = (
            "{" + ",".join(map(str, value)) + "}"
            if isinstance(value, list)
            else json.dumps(value)
            if isinstance(value, dict)
            else str(value)
        )
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

    lines = ["\t".join([cell(each.get(name)) for name in names]) for each in rows]
    head = f'COPY public."LiteLLM_VerificationToken" ({", ".join(names)}) FROM stdin;'
    return "\n".join(["SET x = 1;", 'COPY public."Other" (token) FROM stdin;', "zzz", "\\.", head, *lines, "\\.", "", "-- end"])


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Write rows as `psql --csv` does."""
    names = list(dict.fromkeys([name for each in rows for name in each]))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for each in rows:
        cells = {name: "{" + ",".join(value) + "}" if isinstance(value, list) else value for name, value in each.items()}
        writer.writerow({name: json.dumps(value) if isinstance(value, dict) else value for name, value in cells.items()})
    return text.getvalue()


FORMS = {
    "json": json.dumps,
    "lines": lambda rows: "\n".join(map(json.dumps, rows)),
    "route": lambda rows: json.dumps({"keys": rows, "total_count": len(rows)}),
    "csv": as_csv,
    "pg_dump": as_pg_dump,
}


@pytest.mark.parametrize("form", FORMS)
def test_virtual_keys_work_here_as_they_worked_there(form: str, tmp_path: Path) -> None:
    """By the secrets that their clients have, which nobody here has seen; with their limits, models, cap, end and state; once."""
    export = tmp_path / "export"
    export.write_text(FORMS[form](ROWS_EXPORTED), encoding="utf-8")
    data = str(tmp_path / "data")
    result = run("keys", "import", "litellm", str(export), "--data-dir", data)
    assert (result.exit_code, "Imported 4 keys." in result.output) == (0, True), result.output
    again = run("keys", "import", "litellm", str(export), "--data-dir", data)
    assert "Imported 0 keys; 4 were here before." in again.output
    database = open_database(data, migrate)
    try:
        keys = KeyStore(database, wall_clock, system_chance())
        one, two = keys.verify(secret(1)), keys.verify(secret(2))
        assert (one.label, one.models, one.spend_cap, one.hint, one.account) == ("alias 1", None, None, "…0001", "default")
        assert (two.models, two.rpm, two.tpm, two.concurrency) == (("gpt-4.1", "claude"), 60, 1000, 3)
        assert (two.spend_cap, two.spend_window) == (12_500_000_000, "month")
        three = keys.known(secret(3))
        assert three is not None
        assert (three.state, three.expires_at) == (DISABLED, 1_803_902_400)
        four = keys.verify(secret(4))
        assert (four.account, four.label) == ("team-a", "litellm-" + sha256(secret(4).encode()).hexdigest()[:8])
        with pytest.raises(ApiError):
            keys.verify(sha256(secret(1).encode()).hexdigest())  # what stands in the database is no key
    finally:
        database.close()


def become(**columns: object) -> KeyWanted | Skipped:
    """Return what one row becomes."""
    return wanted(row(1, **columns), account=None, now=NOW)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"team_id": "litellm-dashboard"}, "login"),
        ({"expires": "2026-11-27T00:00:00Z"}, "expired on 2026-11-27"),
        ({"expires": "2026-11-27 00:00:00.123"}, "expired"),
        ({"models": ["no-default-models"]}, "no model"),
        ({"models": ["no-default-models"] * 2}, "no model"),
        ({"models": "['gpt-4.1', 'claude']"}, "`models` cannot be read"),
        ({"models": "{a\nb}"}, "`models` cannot be read"),
        ({"expires": "12/01/2026 10:00"}, "`expires` cannot be read"),
        ({"rpm_limit": "many"}, "`rpm_limit` cannot be read"),
        ({"max_budget": "NaN"}, "`max_budget` cannot be read"),
        ({"max_budget": "5 USD"}, "`max_budget` cannot be read"),
    ],
)
def test_a_key_that_is_of_no_use_is_left_out_with_the_reason(columns: dict[str, object], why: str) -> None:
    """The others are made."""
    skipped = become(**columns)
    assert isinstance(skipped, Skipped)
    assert why in skipped.why


@pytest.mark.parametrize(
    ("columns", "cap", "disabled", "note"),
    [
        ({"max_budget": 5, "budget_duration": "24h"}, "5/day", False, ""),
        ({"max_budget": "0.25", "budget_duration": "7d"}, "0.25/week", False, ""),
        ({"max_budget": 5, "budget_duration": "2mo"}, "5/month", False, "`2mo`"),
        ({"max_budget": 5, "spend": 1.5}, "5/month", False, "3.50 are left"),
        ({"max_budget": 5, "spend": 5}, "5/month", True, "0.00 are left"),
        ({"max_budget": 0}, None, True, "nothing"),
        ({"max_budget": "Infinity"}, None, False, ""),
        ({"permissions": {"x": 1}}, None, False, "`permissions`"),
        ({"budget_id": "b-1"}, None, False, "`budget_id`"),
        ({"models": ["all-team-models"]}, None, False, "team's list of models"),
        ({"rpm_limit": 0}, None, True, "`rpm_limit` is nothing"),
        ({"tpm_limit": 0.0, "max_budget": 5, "budget_duration": "1d"}, "5/day", True, "`tpm_limit` is nothing"),
        ({"max_parallel_requests": "0"}, None, True, "`max_parallel_requests` is nothing"),
        ({"tpm_limit": "Infinity", "expires": "infinity"}, None, False, ""),
    ],
)
def test_a_budget_becomes_a_cap_and_is_never_lost_without_a_word(
    columns: dict[str, object], cap: str | None, disabled: bool, note: str
) -> None:
    """One that has no counterpart bounds the key all the same, and one that is used up leaves it disabled."""
    key = become(**columns)
    assert isinstance(key, KeyWanted)
    assert (key.asked.get("spend_cap"), key.disabled) == (cap, disabled)
    assert (note in " ".join(key.notes)) if note else key.notes == ()


def test_every_model_is_no_list_of_models() -> None:
    """LiteLLM's own words for all of them."""
    for models in (["all-proxy-models"], ["all-team-models"], ["*"], []):
        key = become(models=models)
        assert isinstance(key, KeyWanted)
        assert "models" not in key.asked


def test_labels_that_are_taken_get_an_ending_and_failures_do_not_stop_the_others(tmp_path: Path) -> None:
    """Two keys of one alias both come over; one that cannot is told at the end."""
    rows = [row(1, key_alias="same"), row(2, key_alias="same"), row(3, models=["x" * 5_000]), row(4)]
    (tmp_path / "export").write_text(json.dumps(rows), encoding="utf-8")
    result = run("keys", "import", "litellm", str(tmp_path / "export"), "--data-dir", str(tmp_path / "data"), "--account", "acme")
    assert result.exit_code == 1
    assert "Imported 3 keys." in result.output
    assert "1 key could not be imported" in result.output
    listed = json.loads(run("keys", "list", "--json", "--data-dir", str(tmp_path / "data")).output)
    assert {key["account"] for key in listed} == {"acme"}
    assert sorted(key["label"][:4] for key in listed) == ["alia", "same", "same"]


def test_keys_come_into_a_team_of_this_server(tmp_path: Path) -> None:
    """[issue 13] Of its account, whatever team they were of there, so that it can have that team's budget; a wrong account makes none."""
    (tmp_path / "export").write_text(json.dumps([row(1, team_id="there"), row(2, team_id=None)]), encoding="utf-8")
    at = ("--data-dir", str(tmp_path / "data"))
    run("teams", "create", "research", "--account", "acme", "--spend-cap", "200/month", *at)
    words = ("keys", "import", "litellm", str(tmp_path / "export"), "--team", "research", *at)
    assert "of the team research, " in run(*words, "--dry-run").output
    refused = run(*words, "--account", "other")
    assert (refused.exit_code, "in the account 'other'" in refused.output) == (1, True)
    assert run(*words).exit_code == 0
    listed = json.loads(run("keys", "list", "--json", *at).output)
    assert [(key["account"], key["team"]["name"]) for key in listed] == [("acme", "research")] * 2


def test_a_row_without_its_token_is_named_and_the_others_are_imported(tmp_path: Path) -> None:
    """One such row among good ones kept all of them out, and was not named."""
    rows = [row(1), {name: value for name, value in row(2).items() if name != "token"}, row(3)]
    (tmp_path / "export").write_text(json.dumps(rows), encoding="utf-8")
    result = run("keys", "import", "litellm", str(tmp_path / "export"), "--data-dir", str(tmp_path / "data"))
    assert (result.exit_code, "Imported 2 keys." in result.stdout) == (1, True)
    assert "row 2 (alias 2)" in result.stderr
    assert "1 key could not be imported" in result.stderr


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    """Not even the data folder."""
    (tmp_path / "export").write_text(json.dumps(ROWS_EXPORTED), encoding="utf-8")
    result = run("keys", "import", "litellm", str(tmp_path / "export"), "--data-dir", str(tmp_path / "data"), "--dry-run")
    assert (result.exit_code, "Would import 4 keys." in result.output) == (0, True)
    assert not (tmp_path / "data").exists()


def test_a_dry_run_says_of_each_key_what_the_import_will_say(tmp_path: Path) -> None:
    """Of one that is refused in the same words and with the same status, and of one that is there twice that it is here before."""
    rows = [row(1), row(2, token="ab"), row(3, token="c" * 600), row(1, key_alias="again"), row(4, models=["x" * 2_000])]
    (tmp_path / "export").write_text(json.dumps(rows), encoding="utf-8")
    words = ("keys", "import", "litellm", str(tmp_path / "export"), "--data-dir", str(tmp_path / "data"))
    dry, done = run(*words, "--dry-run"), run(*words)
    assert (dry.exit_code, done.exit_code) == (1, 1), dry.output
    assert dry.stderr == done.stderr
    assert "Would import 1 key; 1 were here before." in dry.stdout
    assert "Imported 1 key; 1 were here before." in done.stdout


def test_a_dry_run_lists_each_key_with_the_terms_that_it_would_have_here(tmp_path: Path) -> None:
    """Account, models, cap, limits and expiry, and below it what is another thing here than it was there."""
    rows = [
        row(1, key_alias="app", models=["a", "b"], team_id="acme", rpm_limit=60, max_budget=5, budget_duration="30s"),
        row(2, key_alias="free", models=[], team_id=None, max_budget=None, rpm_limit=None, tpm_limit=None, expires="2999-01-01T00:00:00Z"),
    ]
    (tmp_path / "export").write_text(json.dumps(rows), encoding="utf-8")
    said = run("keys", "import", "litellm", str(tmp_path / "export"), "--data-dir", str(tmp_path / "data"), "--dry-run").output
    assert "  app  of the account acme, a and b, at most 5 US dollars a month, 60 calls a minute, no expiry\n" in said
    assert "  app  its budget holds for `30s` there, and for a month here.\n" in said
    assert "  free  of the account default, every model, no cap, until 2999-01-01T00:00:00Z\n" in said


@pytest.mark.parametrize(
    ("strategy", "several", "said"),
    [("usage-based-routing-v2", True, "calls in flight"), ("usage-based-routing", True, "calls in flight")]
    + [(strategy, False, "written nowhere") for strategy in ("usage-based-routing-v2", "least-busy", "latency-based-routing")]
    + [("simple-shuffle", False, ""), ("least-busy", True, ""), ("adaptive", True, "no counterpart"), ({"a": 1}, True, "no counterpart")],
)
def test_a_strategy_that_is_another_thing_here_or_is_written_nowhere_is_told(strategy: object, several: bool, said: str) -> None:
    """Nobody has to compare the two files to see that his setting is not in the new one."""
    entries = [entry("m", "openai/a", api_key="k"), *([entry("m", "openai/b", api_key="k")] if several else [])]
    notes = translated({"model_list": entries, "router_settings": {"routing_strategy": strategy}}).notes
    assert [said in note.what for note in notes] == [True] * bool(said)


def test_a_master_key_that_is_too_short_is_told_with_what_to_do() -> None:
    """`sk-1234` is in all of LiteLLM's examples, and `keys create --import` does not take it."""
    [note] = translated({"model_list": [entry("m", "openai/a", api_key="k")], "general_settings": {"master_key": "sk-1234"}}).notes
    assert f"takes {SECRET_CHARS_MIN} characters or more" in note.what
    assert note.what.endswith("aisa keys create NAME.")


def test_a_line_of_json_ends_at_its_line_feed_alone() -> None:
    """An alias may have what Unicode calls the end of a line, as JSON writes it."""
    odd = json.dumps(row(1, key_alias="a\u2028b\x85c"), ensure_ascii=False)
    assert [each["key_alias"] for each in rows_of(f"{odd}\n{json.dumps(row(2))}\n")] == ["a\u2028b\x85c", "alias 2"]


@pytest.mark.parametrize(
    "text",
    [pytest.param("token,metadata\n1," + "x" * 200_000, id="wide"), "", "[]", "{}", "a,b\n1,2\n", '[{"x": 1}]', "{nonsense", "hello"],
)
def test_a_file_that_is_no_export_is_told(text: str) -> None:
    """And nothing is imported."""
    with pytest.raises(NotAnExport):
        rows_of(text)


def test_an_export_that_was_cut_is_told() -> None:
    """A dump that ends within the table would lose keys in silence."""
    whole = as_pg_dump(ROWS_EXPORTED)
    with pytest.raises(NotAnExport, match="middle"):
        rows_of(whole[: whole.rindex("\\.")])
