"""Which vendor a model of LiteLLM's configuration is served by, and as what a vendor here it is written. Reads no file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from aisa.wire.trees import is_tree

Tree = Mapping[str, object]

#: LiteLLM's name of a provider -> the row in `aisa.vendors`.
PRESETS: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in "openai azure anthropic bedrock mistral cohere groq deepseek xai openrouter cerebras sambanova".split()},
        **{name: name for name in "huggingface nebius novita perplexity moonshot dashscope minimax ollama vllm github".split()},
        "azure_ai": "azure",
        "gemini": "google",
        "vertex_ai": "vertex",
        "bedrock_converse": "bedrock",
        "cohere_chat": "cohere",
        "text-completion-openai": "openai",
        "together_ai": "together",
        "fireworks_ai": "fireworks",
        "nvidia_nim": "nvidia",
        "zai": "zhipu",
        "ollama_chat": "ollama",
        "hosted_vllm": "vllm",
        "lm_studio": "lmstudio",
        "llamafile": "llamacpp",
        "litellm_proxy": "litellm",
    }
)
#: Providers that are any server with OpenAI's protocol, at the address that the entry gives.
ANY_SERVER = frozenset({"openai_like", "custom_openai"})
#: Whose a model is that stands without its provider, as LiteLLM has it.
BARE = (
    (re.compile(r"(?:ft:)?(?:gpt-|o[134](?:-|$)|chatgpt-|codex-|computer-use-|text-embedding-(?:3-|ada-)|davinci|babbage).*"), "openai"),
    (re.compile(r"claude-[^:]*"), "anthropic"),
    (re.compile(r"(?:gemini-|text-(?:multilingual-)?embedding-).*"), "vertex_ai"),
    (re.compile(r"(?:command-|embed-|rerank-|c4ai-).*"), "cohere"),
    (re.compile(r"(?:[a-z]{2,6}\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|minimax|mistral|openai|qwen|writer)\.[a-z].*"), "bedrock"),
)
#: How Bedrock is asked there, and where, before the model; here it is asked through Converse.
BEDROCK = re.compile(r"(?:(?:converse|invoke|converse_like)/)?(?:(?P<region>[a-z]{2}(?:-[a-z]+){1,2}-\d)/)?(?P<model>.+)")
RESPONSES = "responses"
FOUNDRY, FOUNDRY_HOST = "azure_ai", ".services.ai.azure.com"
ENTRA = ("tenant_id", "client_id", "client_secret")  # of an application at Microsoft's identity service
ROUTES = re.compile(r"(?:/models)?(?:/v1/messages|/chat/completions)?$")  # what an address may end with there, and does not here
VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")


class Deployment(NamedTuple):
    """A model at a provider, as an entry of `model_list` names it; `provider` is empty where nobody can tell.

    `dialect` is what the name asks for where that is not the provider's own, `region` where it says to go.
    """

    provider: str
    model: str
    dialect: str = ""
    region: str = ""


def deployment_of(params: Tree) -> Deployment:
    """Return where an entry's model is served."""
    name = str(params.get("model") or "")
    given = params.get("custom_llm_provider")
    provider, slash, model = name.partition("/")
    if isinstance(given, str) and given:
        return named(given, model if slash and provider == given else name)
    if slash and (provider in PRESETS or provider in ANY_SERVER):
        return named(provider, model)
    if slash:
        return Deployment("", name)
    return Deployment(next((whose for pattern, whose in BARE if pattern.fullmatch(name)), ""), name)


def named(provider: str, model: str) -> Deployment:
    """Return what the model's name says besides the model: by which protocol it is asked, in which region, at whose machines."""
    if provider in ("openai", "azure") and model.startswith(f"{RESPONSES}/"):
        return Deployment(provider, model.removeprefix(f"{RESPONSES}/"), dialect=RESPONSES)
    if PRESETS.get(provider) == "bedrock" and (found := BEDROCK.fullmatch(model)):
        return Deployment(provider, found["model"], region=found["region"] or "")
    if provider == "huggingface" and model.count("/") == 2:  # whose machines, whose model, and its name
        host, _, of_host = model.partition("/")
        return Deployment(provider, f"{of_host}:{host}")
    return Deployment(provider, model)


def written(value: object) -> str:
    """Return a value as this configuration has it: a variable of the environment as a reference, all else as it is."""
    text = str(value)
    found = VARIABLE.fullmatch(text.strip())
    return f"${{{found[1]}}}" if found else text.replace("${", "$${")


def vendor_of(place: Deployment, params: Tree) -> tuple[dict[str, object], list[str]]:
    """Return the settings of the vendor that serves an entry, and which of the entry's members they carry."""
    preset = PRESETS.get(place.provider)
    settings: dict[str, object] = {} if preset is None else {"preset": preset}
    carried = ["model", "custom_llm_provider", "api_base", "base_url", "api_key", "api_version", "extra_headers", "organization"]
    base = params.get("api_base") or params.get("base_url")
    region = place.region or params.get("aws_region_name")
    if place.dialect:
        settings["dialect"] = place.dialect
    if place.provider in ("azure", FOUNDRY):
        settings |= _azure(place, base, params) if place.provider == "azure" else _foundry(place, base, params)
        carried += ENTRA
    elif base:
        settings["base_url"] = _versioned(place.provider, written(base))
        if preset is not None and preset in DIALECTS:
            settings["dialect"] = DIALECTS[preset]
    elif preset == "vertex":
        settings |= _vertex(params)
        carried += [f"{vertex}_{what}" for vertex in ("vertex", "vertex_ai") for what in ("project", "location")]
        carried += [] if is_inline(params.get("vertex_credentials")) else ["vertex_credentials"]
    elif preset == "bedrock" and region:
        settings["base_url"] = f"https://bedrock-runtime.{written(region)}.amazonaws.com"
        settings["dialect"] = "bedrock"
        carried += ["aws_region_name"]
    if preset == "bedrock" and not params.get("api_key"):
        settings["aws_credentials"] = [written(params.get("aws_profile_name") or "default")]
        carried += ["aws_profile_name"]
    if params.get("api_key"):
        settings["api_key"] = written(params["api_key"])
    headers = params.get("extra_headers")
    lines = {str(name): written(value) for name, value in headers.items()} if is_tree(headers) else {}
    if params.get("organization"):
        lines["OpenAI-Organization"] = written(params["organization"])
    if lines:
        settings["headers"] = lines
    return settings, carried


#: Rows whose dialect an entry with an address of its own has to name, as it has only traits from its row.
DIALECTS: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in ("anthropic", "bedrock", "cohere", "mistral")},
        "google": "gemini",
        "vertex": "gemini",
        "perplexity": "responses",
    }
)


def _versioned(provider: str, base: str) -> str:
    """Return an address up to the route: for Ollama and Anthropic LiteLLM adds the version itself."""
    base = base.rstrip("/").removesuffix("/messages" if provider == "anthropic" else "/")
    return f"{base}/v1" if provider in ("ollama", "ollama_chat", "anthropic") and not base.endswith("/v1") else base


def _azure(place: Deployment, base: object, params: Tree) -> dict[str, object]:
    """Return an Azure resource: by its versionless API, or, where a dated version is named, one deployment of it.

    The Responses API has no deployment in its path.
    """
    settings: dict[str, object] = {"api_key_as": "header:api-key"}
    version = str(params.get("api_version") or "")
    if base is not None:
        root = written(base).rstrip("/").removesuffix("/openai/v1").removesuffix("/openai")
        dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}(?:-preview)?", version) or version.startswith("os.environ/")
        of_dated = "openai" if place.dialect else f"openai/deployments/{place.model}"
        settings["base_url"] = f"{root}/{of_dated}" if dated else f"{root}/openai/v1"
        if dated:
            settings["query"] = {"api-version": written(version)}
    return settings | _entra(params)


def _entra(params: Tree) -> dict[str, object]:
    """Return the application that asks, where the entry names one."""
    return {"azure_credentials": [{name: written(params[name]) for name in ENTRA}]} if all(map(params.get, ENTRA)) else {}


def _foundry(place: Deployment, base: object, params: Tree) -> dict[str, object]:
    """Return a resource of Azure's Foundry: Claude by Anthropic's API, others by the versionless one, which has the same deployments.

    LiteLLM asks those by the older API of model inference, whose `/models` is a route here. At any other host, a serverless endpoint's,
    the entry's address is that of chat completions, and the key is a bearer's.
    """
    root, _, query = written(base if base is not None else "os.environ/AZURE_AI_API_BASE").partition("?")
    root = ROUTES.sub("", root.rstrip("/"), count=1)
    settings: dict[str, object] = {"api_key_as": "header:api-key", **_entra(params)}
    if place.model.startswith("claude"):
        return settings | {"base_url": f"{root.partition('/anthropic')[0]}/anthropic/v1", "dialect": "anthropic"}
    if FOUNDRY_HOST in root or "${" in root:
        return settings | {"base_url": f"{root.removesuffix('/openai/v1')}/openai/v1"}
    version = str(params.get("api_version") or query.partition("api-version=")[2].partition("&")[0])
    return {"base_url": root, "api_key_as": "bearer", **_entra(params), **({"query": {"api-version": written(version)}} if version else {})}


def _vertex(params: Tree) -> dict[str, object]:
    settings: dict[str, object] = {}
    project, place = (params.get(f"vertex_{what}") or params.get(f"vertex_ai_{what}") for what in ("project", "location"))
    if project:
        where = written(place or "global")
        host = "aiplatform.googleapis.com" if where == "global" else f"{where}-aiplatform.googleapis.com"
        settings["base_url"] = f"https://{host}/v1/projects/{written(project)}/locations/{where}/publishers/google"
        settings["dialect"] = "gemini"
    credentials = params.get("vertex_credentials")
    settings["google_credentials"] = [written(credentials) if credentials and not is_inline(credentials) else "default"]
    return settings


def is_inline(credentials: object) -> bool:
    """Tell whether credentials stand in the file itself, and not in one that it names."""
    return is_tree(credentials) or (isinstance(credentials, str) and "{" in credentials)
