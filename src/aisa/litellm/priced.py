"""What an entry of LiteLLM's configuration says of prices: its own, and the model whose price it has. Looks no price up."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from types import MappingProxyType

from aisa.litellm.providers import Tree, deployment_of

TOKENS_PER_PRICE = 1_000_000  # a price here is for a million tokens, there for one
#: Prices of an entry -> the kind of token here.
PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_reasoning_token": "reasoning",
}
#: LiteLLM's name of a provider -> the vendor in the price catalogue here.
CATALOGUE: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: name for name in "openai anthropic cerebras cohere deepseek groq minimax mistral novita openrouter perplexity zai".split()
        },
        "azure": "openai",
        "bedrock": "aws",
        "bedrock_converse": "aws",
        "cohere_chat": "cohere",
        "fireworks_ai": "fireworks",
        "gemini": "google",
        "moonshot": "moonshotai",
        "text-completion-openai": "openai",
        "together_ai": "together",
        "vertex_ai": "google",
        "xai": "x-ai",
    }
)
EVERYWHERE = ("global/", "global-standard/")  # Azure's deployments that cost what OpenAI does; data zones and regions cost more


def number_of(value: object) -> float | None:
    """Return a number, None for what is none. YAML's readers take some for texts, as `1e-5`, which has no point."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else nan
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def prices_in(params: Tree, info: Tree) -> dict[str, float]:
    """Return the prices of an entry by kind, in US dollars for a million tokens."""
    found = {ours: number_of(params.get(theirs, info.get(theirs))) for theirs, ours in PRICES.items()}
    return {kind: round(price * TOKENS_PER_PRICE, 9) for kind, price in found.items() if price is not None}


def listed_as(base: str, provider: str) -> str:
    """Return the model that an entry names for its price, as the catalogue here has it, `vendor/model`; nothing where that cannot be told.

    `provider` is whom the entry asks; a model of no known maker is theirs, but at Azure, which has those of many.
    """
    place = deployment_of({"model": base})
    whose = place.provider or ("" if "/" in base or provider == "azure" else provider)
    model = place.model
    if whose == "azure":
        model = next((model.removeprefix(each) for each in EVERYWHERE if model.startswith(each)), model)
        whose = "" if "/" in model else whose
    return f"{CATALOGUE[whose]}/{model}" if whose in CATALOGUE else ""
