"""Writes src/aisa/edge/openapi.json from the routes, the request types and the errors, so that it cannot disagree with the parser.

Run `python tools/openapi_document.py` after changing any; a test fails when the file is stale. `--print` writes to
standard output instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from openapi_answers import answers
from openapi_terms import Document, json_body, ref

from aisa.edge.account import UNIX_SECONDS_MAX
from aisa.edge.app import BILLS, CHAT, COMPLETIONS, EMBEDDINGS, GEMINI, MESSAGES, PAGE, RERANK, RESPONSES, ROUTES, Answering
from aisa.edge.routes import Route
from aisa.errors import CODES
from aisa.wire.chat import Known
from aisa.wire.completions import KnownCompletions
from aisa.wire.embeddings import KnownEmbeddings
from aisa.wire.messages import KnownMessages
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.messages_errors import OVERLOADED
from aisa.wire.rerank import KnownRerank
from aisa.wire.responses import KnownResponses

DESTINATION = Path(__file__).parent.parent / "src/aisa/edge/openapi.json"

RANGE = "The range is OpenAI's; other values go to the vendor, and are refused if the model's entry or the vendor says so."
SUMMARIES = {
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), RANGE),
    "max_tokens": "The most output tokens; below 1 there is no bound.",
    "model": "Name of a model that `GET /v1/models` lists.",
    "messages": "The conversation so far.",
    "stream": "Send the answer as server-sent events while it is made.",
    "top_logprobs": "How many likely tokens to list at each place; needs `logprobs`. The model's own limit applies.",
    "functions": "The older form of `tools`.",
}
RESPONSES_SUMMARIES = {
    **dict.fromkeys(("temperature", "top_p"), RANGE),
    "model": SUMMARIES["model"],
    "input": "A text, or the items of the conversation so far.",
    "stream": SUMMARIES["stream"],
    "tools": "Functions, custom tools and namespaces of them; tools of the vendor's only where it has this API itself.",
    "max_output_tokens": "The most output tokens, hidden reasoning included; below 1 there is no bound.",
    "store": "Whether the response is kept for a while, where the operator has that on; elsewhere nothing is kept, and answers say so.",
    "previous_response_id": "A response that is kept, whose conversation goes before `input`. Refused where nothing is kept.",
}


MESSAGES_SUMMARIES = {
    "model": SUMMARIES["model"],
    "messages": SUMMARIES["messages"],
    "stream": SUMMARIES["stream"],
    "max_tokens": "The most output tokens, thinking included.",
    "tools": "Tools of the client's; those that Anthropic runs only where the vendor is Anthropic.",
    "output_config": "Effort, and the schema of the answer.",
}


COMPLETIONS_SUMMARIES = {
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), RANGE),
    "model": SUMMARIES["model"],
    "prompt": "What to go on from: a text, texts, a list of token ids, or a list of such lists; one text for models of conversations.",
    "stream": SUMMARIES["stream"],
    "suffix": "What is to stand behind the completion, where the vendor can fill in between.",
    "echo": "Whether the prompt is repeated before the completion, where the vendor can.",
    "best_of": "How many completions are made, of which the best `n` are given; each is paid for.",
    "logprobs": "How many likely tokens to list at each place.",
    "max_tokens": SUMMARIES["max_tokens"],
}
EMBEDDINGS_SUMMARIES = {
    "model": SUMMARIES["model"],
    "input": "What to embed: a text, a list of texts, a list of token ids, or a list of such lists.",
    "encoding_format": "Lists of numbers, or base64 of 32-bit floats, the lowest byte first.",
    "dimensions": "How many numbers a vector is to have, where the model can choose.",
    "input_type": "What the texts are for, where the vendor asks: `query`, `document`, `classification`, `clustering`, or its own word.",
}
RERANK_SUMMARIES = {
    "model": SUMMARIES["model"],
    "query": "What the documents are ranked by.",
    "documents": "Texts, or objects with `text`.",
    "top_n": "How many of them to return, the best first; by default all.",
    "return_documents": "Whether results have the documents too, which they do in some vendors' answers anyway.",
}


def failures(statuses: AbstractSet[int], component: str = "Error") -> Document:
    """The error answers of a route, by status."""
    meaning = {status: sorted(code for code, (other, _) in CODES.items() if other == status) for status in statuses}
    told = {status if component == "Error" or status != 503 else OVERLOADED: codes for status, codes in meaning.items()}
    return {str(status): {"description": ", ".join(codes), "content": json_body(ref(component))} for status, codes in sorted(told.items())}


def answer(description: str, component: str) -> Document:
    """A good answer."""
    return {"description": description, "content": json_body(ref(component))}


def window_parameters() -> list[Document]:
    """The parameters of a question about a span of time."""
    second = {"type": "integer", "minimum": 1, "maximum": UNIX_SECONDS_MAX}
    until = "UNIX seconds, not in it. 31 days after the start at most; by default now."
    return [
        {"name": "start_time", "in": "query", "description": "UNIX seconds; by default 7 days before the end.", "schema": second},
        {"name": "end_time", "in": "query", "description": until, "schema": second},
        {"name": "scope", "in": "query", "description": "Whose calls.", "schema": {"enum": ["key", "account"], "default": "key"}},
        {"name": "bucket_width", "in": "query", "description": "A day of UTC.", "schema": {"enum": ["1d"], "default": "1d"}},
    ]


class Shape(NamedTuple):
    """What the table of routes does not say of one: its good answer, and the statuses of its own failures."""

    good: Document
    fails: frozenset[int] = frozenset()
    more: Mapping[str, Any] = MappingProxyType({})


def shapes() -> dict[str, Shape]:
    """The shapes of all routes but that of the page for people, by path."""
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    health = answer("The state.", "Health")
    every = frozenset(status for status, _ in CODES.values())
    return {
        CHAT: Shape(called("ChatCompletion", "Events `data: {chunk}`, then `data: [DONE]`."), every, asking("Known", calls_whole())),
        RESPONSES: Shape(
            called("Response", "Events with their type as name, the last of them `response.completed`."), every, asking("KnownResponses")
        ),
        MESSAGES: Shape(called("Message", "Named events, the last of them `message_stop`."), every, asking("KnownMessages")),
        COMPLETIONS: Shape(
            called("Completion", "Events `data: {text_completion}`, then `data: [DONE]`."), every, asking("KnownCompletions")
        ),
        EMBEDDINGS: Shape(answer("The vectors.", "Embeddings"), every, asking("KnownEmbeddings")),
        RERANK: Shape(answer("The ranking.", "Ranking"), every, asking("KnownRerank")),
        f"{RESPONSES}/input_tokens": Shape(
            answer("The count.", "InputTokens"), every, {"requestBody": {"required": True, "content": json_body(ref("KnownResponses"))}}
        ),
        f"GET {RESPONSES}/{{id}}": Shape(answer("As it was answered.", "Response"), frozenset({404}), {"parameters": [name]}),
        f"DELETE {RESPONSES}/{{id}}": Shape(answer("It is forgotten.", "Deleted"), frozenset({404}), {"parameters": [name]}),
        f"{MESSAGES}/count_tokens": Shape(
            answer("The count.", "InputTokens"), every, {"requestBody": {"required": True, "content": json_body(ref("KnownMessages"))}}
        ),
        "/api/hello": Shape({"description": "Somebody is here.", "content": json_body({"type": "object"})}),
        "/v1/models": Shape(answer("The models.", "ModelList")),
        "/v1/models/{id}": Shape(answer("The model.", "Model"), frozenset({403, 404}), {"parameters": [name]}),
        "/v1/usage": Shape(answer("The sums.", "UsageReport"), frozenset({400, 503}), {"parameters": window_parameters()}),
        "/v1/usage/calls/{id}": Shape(answer("The receipt.", "Receipt"), frozenset({404, 503}), {"parameters": [name]}),
        "/v1/credits/balance": Shape(answer("What is left.", "Balance"), frozenset({503})),
        "/health/live": Shape(health),
        "/health/ready": Shape(health, more={"responses": {"200": health, "503": health}}),
        "/openapi.json": Shape({"description": "OpenAPI 3.1.", "content": json_body({"type": "object"})}),
    }


def once() -> Document:
    """The header with which a call is billed once."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Any text of your own. The same key with the same body within 24 hours is billed once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    }


def calls_whole() -> Document:
    """The header with which each call of a tool comes in one piece."""
    return {
        "name": "x-aisa-tool-calls",
        "in": "header",
        "description": "`whole`: in streams each call of a tool is one fragment, as Mistral's Python client gets it unasked.",
        "schema": {"enum": ["whole", "fragments"]},
    }


def asking(component: str, *more: Document) -> Document:
    """What a call is asked with; `more` are further parameters."""
    return {"parameters": [once(), *more], "requestBody": {"required": True, "content": json_body(ref(component))}}


def called(component: str, events: str) -> Document:
    """The good answer of a call: a document, or a stream of such events."""
    replayed = {"description": "The answer is that of an earlier request with the same key.", "schema": {"type": "string"}}
    stream = {"text/event-stream": {"schema": {"type": "string", "description": events}}}
    return {"description": "The answer.", "headers": {"idempotent-replayed": replayed}, "content": json_body(ref(component)) | stream}


def paths() -> Document:
    """The routes, as the table has them."""
    described: Document = {}
    known = shapes()
    for route in ROUTES + BILLS:
        if route.path not in (PAGE, GEMINI):  # Google describes its API itself
            name = route.path if route.path in known else f"{route.method} {route.path}"
            described.setdefault(route.path, {})[route.method.lower()] = operation(route, known.pop(name))
    assert not known, f"shapes of routes that are not in the table: {list(known)}"
    return described


def operation(route: Route[Answering], shape: Shape) -> Document:
    """One route."""
    fails = (shape.fails | ({401} if route.needs_key else set())) - {405}
    also = f" Also at `{'`, `'.join(route.aliases)}`." if route.aliases else ""
    return {
        "summary": route.summary,
        **({"description": also.strip()} if also else {}),
        **({} if route.needs_key else {"security": []}),
        "responses": {"200": shape.good} | failures(fails, "MessagesError" if route.door is MESSAGES_DOOR else "Error"),
        **shape.more,
    }


def document() -> Document:
    """The whole description."""
    _, components = msgspec.json.schema_components(
        [Known, KnownResponses, KnownMessages, KnownCompletions, KnownEmbeddings, KnownRerank], ref_template="#/components/schemas/{name}"
    )
    summed_up = {
        "Known": SUMMARIES,
        "KnownResponses": RESPONSES_SUMMARIES,
        "KnownMessages": MESSAGES_SUMMARIES,
        "KnownCompletions": COMPLETIONS_SUMMARIES,
        "KnownEmbeddings": EMBEDDINGS_SUMMARIES,
        "KnownRerank": RERANK_SUMMARIES,
    }
    for component, summaries in summed_up.items():
        for field, summary in summaries.items():
            components[component]["properties"][field]["description"] = summary
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
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(text())
    else:
        DESTINATION.write_text(text(), "utf-8")
