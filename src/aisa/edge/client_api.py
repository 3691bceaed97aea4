"""Whose API a client speaks, where the path that it asks for does not say: by its path's version and the headers that only it sends."""

from __future__ import annotations

from aisa.edge.gemini import KEY_HEADER
from aisa.http.server import Request
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GEMINI_DOOR
from aisa.wire.messages_door import MESSAGES_DOOR

BETA = "/v1beta"  # the version that only Gemini's API has
MESSAGES_VERSION = "anthropic-version"  # what every client of the Messages API sends


def client_door(request: Request) -> Door:
    """Return the door whose shapes a client reads, that of chat completions unless it is known for another."""
    if KEY_HEADER in request.headers or request.path.startswith(f"{BETA}/"):
        return GEMINI_DOOR
    return MESSAGES_DOOR if MESSAGES_VERSION in request.headers else CHAT_DOOR
