"""A vendor's own list of its models: how it is asked for in each dialect and what it says. Sans-IO."""

from __future__ import annotations

from typing import cast

import msgspec

from aisa.names import MODEL_NAME_CHARACTERS_MAX
from aisa.providers.anthropic import VERSION
from aisa.providers.port import ABOVE, UpstreamRequest
from aisa.wire.trees import is_list

PREFIX = "models/"  # Gemini lists its names with it and takes them without
NAMES_MAX = 5_000  # of a list that are kept; the longest real ones have some 700
#: Where the list is: these vendors send pages of it, and this many at most at once. Cohere has it in the first version of its API alone.
PATHS = {"anthropic": "/models?limit=1000", "cohere": f"{ABOVE}/v1/models?page_size=1000", "gemini": "/models?pageSize=1000"}
ENDPOINTS = ("chat", "embed", "rerank")  # of Cohere's that are asked here
HEADERS = {"anthropic": (("anthropic-version", VERSION),)}


def models_request(dialect: str, headers: tuple[tuple[str, str], ...]) -> UpstreamRequest:
    """Return the request for the list. `headers` are those that every request to the vendor has."""
    told = (("accept", "application/json"), *HEADERS.get(dialect, ()), *headers)
    return UpstreamRequest(path=PATHS.get(dialect, "/models"), headers=told, body=b"", method="GET")


def read_models(body: bytes) -> list[str] | None:
    """Return the names of the models that answer, in the vendor's order, None for what is no list of them.

    Lists come as `data` (OpenAI and most), as `models` (Gemini, Ollama, Cohere) or bare (Together); a name is an `id` or else a `name`.
    """
    try:
        tree: object = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(tree, dict):
        whole = cast("dict[str, object]", tree)
        tree = whole["data"] if "data" in whole else whole.get("models") or None
    if not isinstance(tree, list):
        return None
    entries = [cast("dict[str, object]", entry) for entry in cast("list[object]", tree) if isinstance(entry, dict)]
    if tree and not entries:
        return None
    named = [entry.get("id", entry.get("name")) for entry in entries if _answers(entry)]
    names = [name.removeprefix(PREFIX) for name in named if isinstance(name, str)]
    fit = [name for name in names if 0 < len(name) <= MODEL_NAME_CHARACTERS_MAX and name.isprintable() and name == name.strip()]
    return list(dict.fromkeys(fit))[:NAMES_MAX]


def _answers(entry: dict[str, object]) -> bool:
    """Say whether a listed model may be asked, as far as its list says what it does: Gemini's has such as make embeddings alone."""
    methods, endpoints = entry.get("supportedGenerationMethods"), entry.get("endpoints")
    if is_list(endpoints):
        return any(name in ENDPOINTS for name in endpoints)
    return not is_list(methods) or "generateContent" in methods
