"""Under which names price lists in LiteLLM's format have a vendor, by its address or its name here. Reads no list."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aisa.prices.rules import is_private

VERTEX = (
    *("vertex_ai", "vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai-mistral_models", "vertex_ai-llama_models"),
    *("vertex_ai-openai_models", "vertex_ai-deepseek_models", "vertex_ai-qwen_models", "vertex_ai-zai_models", "vertex_ai-ai21_models"),
)

#: A vendor's host -> its names in such lists, the likeliest first. Hosts of regions are none of them: they may charge otherwise.
HOSTS: Mapping[str, tuple[str, ...]] = {
    "api.openai.com": ("openai",),
    "api.anthropic.com": ("anthropic",),
    "generativelanguage.googleapis.com": ("gemini",),
    "aiplatform.googleapis.com": VERTEX,
    "api.mistral.ai": ("mistral",),
    "api.deepseek.com": ("deepseek",),
    "api.groq.com": ("groq",),
    "api.x.ai": ("xai",),
    "openrouter.ai": ("openrouter",),
    "api.perplexity.ai": ("perplexity",),
    "api.cohere.com": ("cohere_chat", "cohere"),
    "api.cohere.ai": ("cohere_chat", "cohere"),
    "api.together.xyz": ("together_ai",),
    "api.together.ai": ("together_ai",),
    "api.fireworks.ai": ("fireworks_ai",),
    "api.cerebras.ai": ("cerebras",),
    "api.deepinfra.com": ("deepinfra",),
    "api.novita.ai": ("novita",),
    "api.moonshot.ai": ("moonshot",),
    "api.z.ai": ("zai",),
    "api.minimax.io": ("minimax",),
    "dashscope-intl.aliyuncs.com": ("dashscope",),
    "api.sambanova.ai": ("sambanova",),
    "api.hyperbolic.xyz": ("hyperbolic",),
    "api.studio.nebius.ai": ("nebius",),
    "inference.api.nscale.com": ("nscale",),
    "api.lambda.ai": ("lambda_ai",),
    "api.ai21.com": ("ai21",),
    "api.jina.ai": ("jina_ai",),
    "api.voyageai.com": ("voyage",),
    "ai-gateway.vercel.sh": ("vercel_ai_gateway",),
}
#: The same of vendors that give each customer a host of his own, by its end.
HOST_ENDINGS: Mapping[str, tuple[str, ...]] = {".openai.azure.com": ("azure",), ".services.ai.azure.com": ("azure_ai", "azure")}
#: What vendors are called here and in the price catalogue, where such lists call them otherwise.
OTHERWISE: Mapping[str, tuple[str, ...]] = {
    "google": ("gemini",),
    "vertex": VERTEX,
    "vertex_ai": VERTEX,
    "x-ai": ("xai",),
    "together": ("together_ai",),
    "fireworks": ("fireworks_ai",),
    "cohere": ("cohere_chat", "cohere"),
    "aws": ("bedrock_converse", "bedrock"),
    "bedrock": ("bedrock_converse", "bedrock"),
}


def names_in_lists(vendor: str, base_url: str) -> tuple[str, ...]:
    """Return a vendor's names in such lists; none where its public address is unknown, as a region or a reseller may charge otherwise.

    At a private address, as of a proxy, and without one, the vendor's name counts.
    """
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    if host and not is_private(host):
        return HOSTS.get(host) or next((names for end, names in HOST_ENDINGS.items() if host.endswith(end)), ())
    return OTHERWISE.get(vendor.lower(), (vendor.lower(),))
