"""What Gemini's clients ask for beside answers, and what their addresses say: models in Google's shape, what to count. Calls nobody."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec

from aisa.edge.elsewhere import GEMINI_METHODS
from aisa.edge.listed_models import visible
from aisa.errors import ApiError
from aisa.keys.rules import Key
from aisa.offer import Entry
from aisa.routing import Routes
from aisa.wire.door import Door, Request
from aisa.wire.gemini import parse_gemini
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.gemini_embeddings_door import GeminiEmbeddingsDoor
from aisa.wire.gemini_names import member
from aisa.wire.strict_json import parse_object
from aisa.wire.trees import Tree, is_tree

ANSWER, STREAM, COUNT = "generateContent", "streamGenerateContent", "countTokens"
EMBED, EMBED_ALL = "embedContent", "batchEmbedContents"
METHODS = [ANSWER, STREAM, COUNT, EMBED, EMBED_ALL]
MODELS = "models/"
POST = "POST, OPTIONS"  # what may be asked where a method stands behind a model's name
KEY_HEADER = "x-goog-api-key"


class Asked(NamedTuple):
    """What an address asks for: a model, and what is to be done."""

    model: str
    method: str


def asked_at(name: str, query: str) -> Asked:
    """Read what stands behind `/models/` in an address. Raises ApiError unknown_endpoint, invalid_request."""
    model, _, method = name.rpartition(":")
    if not model or method not in METHODS:
        told = GEMINI_METHODS.get(method, f"Gemini's API here has {', '.join(METHODS)}, as in models/MODEL:{ANSWER}, and no other methods.")
        raise ApiError("unknown_endpoint", told)
    if method == STREAM and dict(parse_qsl(query)).get("alt") != "sse":
        raise ApiError("invalid_request", "Streams are sent as server-sent events only. Add `?alt=sse` to the address.", param="alt")
    return Asked(unquote(model), method)


def check_is_name(name: str) -> None:
    """Raise ApiError method_not_allowed for a model's name with a method behind it: who asks with GET wants what a POST does."""
    _, _, method = name.rpartition(":")
    if method in METHODS:
        raise ApiError("method_not_allowed", f"What a model is to do is asked with POST: send `:{method}` so, with a body.", allow=POST)


def door_of(asked: Asked) -> Door:
    """Return the door for what an address asks for."""
    if asked.method in (EMBED, EMBED_ALL):
        return GeminiEmbeddingsDoor(asked.model, batch=asked.method == EMBED_ALL)
    return GeminiDoor(asked.model, stream=asked.method == STREAM)


def to_be_counted(body: bytes, asked: Asked) -> Request:
    """Return the request whose tokens a body asks for. Raises ApiError."""
    inner = member(parse_object(body, '{"contents": [...]}'), "generateContentRequest")
    return parse_gemini(msgspec.json.encode(inner) if is_tree(inner) else body, asked.model, stream=False)


def gemini_models(routes: Routes, key: Key) -> bytes:
    """Return the models that a key may use."""
    return msgspec.json.encode({"models": [described(entry) for entry in visible(routes, key)]})


def gemini_model(routes: Routes, key: Key, name: str) -> bytes:
    """Return one model. Raises ApiError as `check_is_name`, unknown_model, model_not_allowed."""
    check_is_name(name)
    entry = routes.find(unquote(name))
    routes.allow(key, entry)
    return msgspec.json.encode(described(entry))


def described(entry: Entry) -> Tree:
    """Write one model."""
    window = entry.offers[0].target.context_window
    limits = {"inputTokenLimit": window, "outputTokenLimit": entry.settings.max_output_tokens}
    known: Tree = {name: value for name, value in limits.items() if value is not None}
    return {"name": MODELS + entry.name, "displayName": entry.name, **known, "supportedGenerationMethods": METHODS}
