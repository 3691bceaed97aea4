"""Whose API a client speaks, where the path that it asks for does not say: by its path's version and the headers that only it sends."""

from __future__ import annotations

import re

from aisa.edge.elsewhere import OLLAMA
from aisa.edge.gemini import KEY_HEADER
from aisa.errors import ApiError
from aisa.http.server import Request
from aisa.wire.chat_door import CHAT_DOOR, ChatDoor
from aisa.wire.door import Door, Refused
from aisa.wire.gemini_door import GEMINI_DOOR
from aisa.wire.lenient_json import encode
from aisa.wire.messages_door import MESSAGES_DOOR

BETA = "/v1beta"  # the version that only Gemini's API has
#: `/api/chat/completions` is asked for by clients of OpenAI's that were given too much or too little of an address.
OLLAMA_PATH = re.compile(rf"/api/(?:{'|'.join(sorted(OLLAMA))})(?!/completions)(?:/|$)")
MESSAGES_VERSION = "anthropic-version"  # what every client of the Messages API sends


class OllamaRefusals(ChatDoor):
    """Refuses as Ollama does, whose clients show an `error` that is no text as `[object Object]`. Nothing else of its API is here."""

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """Return an error as a whole answer."""
        told = super().refused(error, request_id)
        return told._replace(body=encode({"error": error.message, "code": error.code, "request_id": request_id}))


OLLAMA_DOOR: Door = OllamaRefusals()


def client_door(request: Request) -> Door:
    """Return the door whose shapes a client reads, that of chat completions unless it is known for another."""
    if OLLAMA_PATH.match(request.path):
        return OLLAMA_DOOR
    if KEY_HEADER in request.headers or request.path.startswith(f"{BETA}/"):
        return GEMINI_DOOR
    return MESSAGES_DOOR if MESSAGES_VERSION in request.headers else CHAT_DOOR
