"""APIs that clients look for here and this version does not have: what to set in the client instead. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CHAT = "POST /v1/chat/completions"
_NOT_HERE = "This version has no"
_OPENAI = f"Set your client to an OpenAI-compatible vendor, with the base URL of this server and /v1: it has {_CHAT}."

#: The beginning of a path, which also counts without its `/v1` -> what to do.
ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "/v1/responses/": f"{_NOT_HERE} store of responses, and no count of a request's tokens. Send the whole conversation in `input` of "
        "POST /v1/responses each time; its tokens are in the `usage` of the answer.",
        "/v1/messages/": f"{_NOT_HERE} batches of messages. Send each call to POST /v1/messages.",
        "/v1beta": "Of Gemini's API there are models/MODEL:generateContent, streamGenerateContent and countTokens, and the list of models.",
        "/api/chat": f"{_NOT_HERE} Ollama API. {_OPENAI}",
        "/api/generate": f"{_NOT_HERE} Ollama API. {_OPENAI}",
        "/api/tags": f"{_NOT_HERE} Ollama API. {_OPENAI}",
        "/v1/moderations": f"{_NOT_HERE} moderations. Set another server for them in your client, or turn them off.",
        "/v1/images": f"{_NOT_HERE} images API. Set another server for images in your client; chat is {_CHAT}.",
        "/v1/audio": f"{_NOT_HERE} audio API. Set another server for speech in your client; chat is {_CHAT}.",
        "/v1/realtime": f"{_NOT_HERE} Realtime API. Set your client to chat, {_CHAT}.",
        "/v1/files": f"{_NOT_HERE} files. Put what the model is to read into the messages of {_CHAT}.",
        "/v1/batches": f"{_NOT_HERE} batches. Send each call to {_CHAT}.",
        "/v1/fine_tuning": f"{_NOT_HERE} fine-tuning. Use the vendor's own API for it.",
        "/v1/assistants": f"{_NOT_HERE} Assistants API. Set your client to Chat Completions, {_CHAT}.",
        "/v1/threads": f"{_NOT_HERE} Assistants API. Set your client to Chat Completions, {_CHAT}.",
        "/v1/conversations": f"{_NOT_HERE} Conversations API. Set your client to Chat Completions, {_CHAT}.",
        "/metrics": f"{_NOT_HERE} metrics. Its log has a line for every call; GET /health/ready says whether it wants calls.",
        "/admin": f"{_NOT_HERE} administration over HTTP. Use the command `aisa` on the server's machine.",
    }
)
