"""`GET /v1/models` and `GET /v1/models/{id}`: what a key may call, in OpenAI's shape with our extra fields."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from aisa.keys.rules import Key
from aisa.money import Nanos, dollars_text
from aisa.pricing import UnitPrices
from aisa.routing import Entry, Routes, allow, visible

Document = dict[str, object]

#: Parameters that the OpenAI dialect carries whatever the model; a model that takes fewer says so itself.
PARAMETERS = [
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
]


def model_list(routes: Routes, key: Key, created: int) -> bytes:
    """Return the list of models that a key may use. `created` is UNIX seconds."""
    return msgspec.json.encode({"object": "list", "data": [document(entry, created) for entry in visible(routes, key).values()]})


def one_model(routes: Routes, key: Key, name: str, *, created: int) -> bytes:
    """Return one model. Raises ApiError unknown_model or model_not_allowed."""
    entry = routes.find(unquote(name))
    allow(key, entry.name)
    return msgspec.json.encode(document(entry, created))


def document(entry: Entry, created: int) -> Document:
    """Write one model. `owned_by` is the vendor that is asked first; prices are US dollars per million tokens."""
    settings = entry.settings
    first = entry.steps[0][0][0]
    return {
        "id": entry.name,
        "object": "model",
        "created": created,
        "owned_by": first.vendor,
        "context_window": settings.context_window,
        "max_output_tokens": settings.max_output_tokens,
        "max_top_logprobs": settings.max_top_logprobs,
        "modalities": list(settings.modalities) or ["text"],
        "supported_parameters": PARAMETERS,
        "prices": None if entry.prices is None else price_list(entry.prices),
    }


def price_list(prices: UnitPrices) -> Document:
    """Write unit prices as exact JSON numbers."""

    def number(nanos: Nanos) -> msgspec.Raw:
        return msgspec.Raw(dollars_text(nanos).encode())

    return {field: number(getattr(prices, field)) for field in UnitPrices.__struct_fields__}
