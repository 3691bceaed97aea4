"""`GET /v1/models` and `GET /v1/models/{id}`: what a key may call, in OpenAI's shape with our extra fields."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec

from aisa.edge.gemini import check_is_name
from aisa.edge.listed_models import visible
from aisa.keys.rules import Key
from aisa.money import Nanos, dollars_text
from aisa.offer import Entry
from aisa.pricing import FEES, KINDS, RARER, UnitPrices
from aisa.providers.model_facts import EFFORT, ModelFacts
from aisa.routing import Routes
from aisa.wire.efforts import EFFORTS

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


def model_list(routes: Routes, key: Key, created: int, *, now: float | None = None) -> bytes:
    """Return the list of models that a key may use. `created` and `now`, at which the prices hold, are UNIX seconds."""
    entries = visible(routes, key)
    moment = created if now is None else now
    return msgspec.json.encode({"object": "list", "data": [document(entry, created, moment) for entry in entries]})


def messages_model_list(routes: Routes, key: Key, created: int) -> bytes:
    """Return the same list in the shape of the Messages API."""
    data = [messages_document(entry, created) for entry in visible(routes, key)]
    ends = [data[0]["id"], data[-1]["id"]] if data else [None, None]
    return msgspec.json.encode({"data": data, "has_more": False, "first_id": ends[0], "last_id": ends[1]})


def messages_model(routes: Routes, key: Key, name: str, *, created: int) -> bytes:
    """Return one model in that shape. Raises ApiError unknown_model or model_not_allowed."""
    return msgspec.json.encode(messages_document(allowed(routes, key, name), created))


def messages_document(entry: Entry, created: int) -> Document:
    """Write one model for clients of the Messages API."""
    day = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    window, bound = entry.settings.context_window or entry.offers[0].target.context_window, entry.settings.max_output_tokens
    ends = shutdown_of(entry)
    life: Document = {"lifecycle": "active"} if ends is None else {"lifecycle": "deprecated", "retires_at": f"{ends}T00:00:00Z"}
    sizes = {"max_input_tokens": window, "max_tokens": bound}
    return {"type": "model", "id": entry.name, "display_name": entry.name, "created_at": day, **life, **sizes}


def one_model(routes: Routes, key: Key, name: str, *, created: int, now: float | None = None) -> bytes:
    """Return one model. Raises ApiError unknown_model or model_not_allowed."""
    return msgspec.json.encode(document(allowed(routes, key, name), created, created if now is None else now))


def allowed(routes: Routes, key: Key, name: str) -> Entry:
    """Return the model of a name in an address, if it is the key's. Raises ApiError as these do."""
    check_is_name(name)
    entry = routes.find(unquote(name))
    routes.allow(key, entry)
    return entry


def document(entry: Entry, created: int, now: float) -> Document:
    """Write one model. `owned_by` is the vendor that is asked first; prices are the dearest target's, US dollars per million tokens."""
    settings = entry.settings
    price = entry.dearest(now).price_at(now)
    return {
        "id": entry.name,
        "object": "model",
        "created": created,
        "owned_by": entry.offers[0].target.vendor,
        "context_window": settings.context_window or entry.offers[0].target.context_window,
        "max_output_tokens": settings.max_output_tokens,
        "max_top_logprobs": settings.max_top_logprobs,
        **described(entry),
        "prices": None if price is None else price_document(price.prices),
    }


def described(entry: Entry) -> Document:
    """Write what is known of a model beyond its sizes: of several targets what any of them takes, and the first end of any."""
    facts = [offer.target.facts or ModelFacts() for offer in entry.offers]
    rows = [each.row for each in facts if each.row is not None]
    takes = list(dict.fromkeys([kind for row in rows for kind in row.takes])) or ["text"]
    gives = list(dict.fromkeys([kind for row in rows for kind in row.gives])) or ["text"]
    lacking = [{*each.lacks, *each.unspoken} for each in facts]
    missing = {name for name in lacking[0] if all(name in each for each in lacking)}
    efforts = [word for word in EFFORTS if any(word in each.efforts for each in facts)]
    parameters = [*PARAMETERS, EFFORT] if efforts else PARAMETERS
    return {
        # By these two Mistral's own client tells what an entry is; it reads no list without `type`.
        "type": "base",
        "capabilities": {
            "completion_chat": "text" in gives,
            "function_calling": "tools" not in missing,
            "reasoning": bool(efforts),
            "vision": "image" in takes,
        },
        "modalities": list(entry.settings.modalities) or list(dict.fromkeys((*takes, *gives))),
        "input_modalities": takes,
        "output_modalities": gives,
        "supported_parameters": sorted([name for name in parameters if name not in missing]),
        "unsupported_parameters": sorted(missing),
        "reasoning_efforts": efforts,
        "aliases": list(entry.settings.aliases),
        "shutdown_date": shutdown_of(entry),
    }


def shutdown_of(entry: Entry) -> str | None:
    """Return the first day on which a target of a model ends, as YYYY-MM-DD; None where none is known."""
    facts = [offer.target.facts for offer in entry.offers]
    return min([each.shutdown.isoformat() for each in facts if each is not None and each.shutdown is not None], default=None)


def price_document(prices: UnitPrices) -> Document:
    """Write unit prices as exact JSON numbers: audio where it is priced apart, and tiers where there are any."""

    def number(nanos: Nanos) -> msgspec.Raw:
        return msgspec.Raw(dollars_text(nanos).encode())

    shown: Document = {kind: number(getattr(prices, kind)) for kind in KINDS if getattr(prices, kind) is not None}
    shown |= {kind: number(price) for kind in (*RARER, *FEES) if (price := getattr(prices, kind)) is not None}
    if prices.tiers:
        shown["tiers"] = [{"over_input_tokens": tier.over_input_tokens, **price_document(tier.prices)} for tier in prices.tiers]
    return shown
