"""Writes src/aisa/edge/openapi.json from the request types and the error table, so that the document cannot disagree with the parser.

Run `python tools/openapi_document.py` after changing either; a test fails when the file is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from aisa.errors import CODES
from aisa.wire.chat import Known

DESTINATION = Path(__file__).parent.parent / "src/aisa/edge/openapi.json"
Document = dict[str, Any]

SUMMARIES = {
    "model": "Name of a model that `GET /v1/models` lists.",
    "messages": "The conversation so far.",
    "stream": "Send the answer as server-sent events while it is made.",
    "top_logprobs": "How many likely tokens to list at each place; needs `logprobs`. The model's own limit applies.",
    "functions": "The older form of `tools`.",
}


def ref(name: str) -> Document:
    """Refer to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_body(schema: Document) -> Document:
    """A JSON media type."""
    return {"application/json": {"schema": schema}}


def object_of(properties: Document, required: list[str] | None = None) -> Document:
    """An object schema with all members required unless said otherwise."""
    return {"type": "object", "properties": properties, "required": required if required is not None else list(properties)}


def nullable(kind: str) -> Document:
    """A type or null."""
    return {"type": [kind, "null"]}


def answers() -> Document:
    """The schemas of what we send."""
    text, number = {"type": "string"}, {"type": "integer"}
    reasons = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}
    usage = object_of({"prompt_tokens": number, "completion_tokens": number, "total_tokens": number})
    usage["properties"] |= {"cost": {"type": "number", "description": "US dollars; present when the model has a price."}}
    message = object_of({"role": {"const": "assistant"}, "content": nullable("string"), "refusal": nullable("string")})
    choice = object_of({"index": number, "message": message, "logprobs": nullable("object"), "finish_reason": reasons})
    delta_choice = object_of({"index": number, "delta": {"type": "object"}, "finish_reason": {"oneOf": [reasons, {"type": "null"}]}})
    head = {"id": text, "created": number, "model": text}
    model = {"id": text, "object": {"const": "model"}, "created": number, "owned_by": text}
    error = {"type": text, "code": {"enum": sorted(CODES)}, "message": text, "param": nullable("string"), "request_id": text}
    return {
        "Usage": usage,
        "ChatCompletion": object_of(
            {
                **head,
                "object": {"const": "chat.completion"},
                "choices": {"type": "array", "items": choice, "minItems": 1},
                "usage": ref("Usage"),
            }
        ),
        "ChatCompletionChunk": object_of(
            {**head, "object": {"const": "chat.completion.chunk"}, "choices": {"type": "array", "items": delta_choice}}
        ),
        "Model": object_of(model),
        "ModelList": object_of({"object": {"const": "list"}, "data": {"type": "array", "items": ref("Model")}}),
        "Health": object_of({"status": text}),
        "Error": object_of({"error": object_of(error)}),
    }


def failures(statuses: set[int]) -> Document:
    """The error answers of a route, by status."""
    meaning = {status: sorted(code for code, (other, _) in CODES.items() if other == status) for status in statuses}
    return {str(status): {"description": ", ".join(codes), "content": json_body(ref("Error"))} for status, codes in sorted(meaning.items())}


def get(summary: str, good: Document, statuses: set[int], **more: Any) -> Document:
    """A GET operation."""
    return {"get": {"summary": summary, "responses": {"200": good} | failures(statuses), **more}}


def paths() -> Document:
    """The routes."""
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    stream = {"text/event-stream": {"schema": {"type": "string", "description": "Events `data: {chunk}`, then `data: [DONE]`."}}}
    good = {"description": "The answer.", "content": json_body(ref("ChatCompletion")) | stream}
    every = {status for status, _ in CODES.values()} - {405}
    chat = {
        "summary": "Create a chat completion",
        "requestBody": {"required": True, "content": json_body(ref("Known"))},
        "responses": {"200": good} | failures(every),
    }
    health = {"description": "The state.", "content": json_body(ref("Health"))}
    return {
        "/v1/chat/completions": {"post": chat},
        "/v1/models": get("List models", {"description": "The models.", "content": json_body(ref("ModelList"))}, {401}),
        "/v1/models/{id}": get(
            "Describe a model", {"description": "The model.", "content": json_body(ref("Model"))}, {401, 403, 404}, parameters=[name]
        ),
        "/health/live": get("Whether the process runs", health, set(), security=[]),
        "/health/ready": {
            "get": {
                "summary": "Whether new calls are wanted",
                "security": [],
                "responses": {"200": health, "503": health},
            }
        },
        "/openapi.json": get(
            "This document", {"description": "OpenAPI 3.1.", "content": json_body({"type": "object"})}, set(), security=[]
        ),
    }


def document() -> Document:
    """The whole description."""
    _, components = msgspec.json.schema_components([Known], ref_template="#/components/schemas/{name}")
    for field, summary in SUMMARIES.items():
        components["Known"]["properties"][field]["description"] = summary
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aisa",
            "version": "{{version}}",
            "description": "One endpoint and one key for every language model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths(),
        "components": {"schemas": {**components, **answers()}, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def text() -> str:
    """The document as the file holds it."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DESTINATION.write_text(text(), "utf-8")
