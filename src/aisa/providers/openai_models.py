"""The OpenAI dialect's list of models: how it is asked for and what it says. Sans-IO."""

from __future__ import annotations

import msgspec

from aisa.providers.port import UpstreamRequest

PREFIX = "models/"  # Gemini's compatible route lists its names with it and takes them without


class _Listed(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Listed]


def models_request(headers: tuple[tuple[str, str], ...]) -> UpstreamRequest:
    """Return the request for the list. `headers` are those that every request to the vendor has."""
    return UpstreamRequest(path="/models", headers=(("accept", "application/json"), *headers), body=b"", method="GET")


def read_models(body: bytes) -> list[str] | None:
    """Return the models' names in the vendor's order, None for what is no list of them."""
    try:
        tree: object = msgspec.json.decode(body)
        listed = msgspec.convert(tree if isinstance(tree, dict) else {"data": tree}, _List)  # Together sends the bare list
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return [model.id.removeprefix(PREFIX) for model in listed.data]
