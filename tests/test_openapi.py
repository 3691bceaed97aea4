"""The OpenAPI description, and the running server held to it by generated requests, good and bad. Generates no streams' worth of text."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

import aisa
from aisa.testing.conformance import check_answer, check_error, check_stream
from server import Server

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
PATH = "/v1/chat/completions"
EXAMPLES_MAX = 40  # of each route, on top of what schemathesis tries systematically; some 1,500 requests in all
OUTPUT_TOKENS_MAX = 20  # of an answer here: what it says does not matter
STREAM_EVENTS_MAX = 1_000  # more than the longest stream here has: schemathesis hangs up after these
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.ignored_auth,
    openapi_checks.unsupported_method,
]


def requests(document: Json, mode: str) -> Any:
    """Return the description as a source of requests: `positive` keep it, `all` are also those that break it. The same every time."""
    generation = {"mode": mode, "max-examples": EXAMPLES_MAX, "deterministic": True, "database": "none"}
    settings = {"generation": generation, "max-stream-events": STREAM_EVENTS_MAX}
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(settings))


def answerable(document: Json) -> Json:
    """Return the description narrowed to calls that must be answered: what no schema can say of fields together is true of all of them."""
    narrow = copy.deepcopy(document)
    narrow["paths"] = {PATH: narrow["paths"][PATH]}
    del narrow["paths"][PATH]["post"]["parameters"]  # the same Idempotency-Key with another body is a conflict
    text, flag = {"type": "string"}, {"type": "boolean"}
    message = {"role": {"enum": ["system", "developer", "user", "assistant"]}, "content": {"anyOf": [text, PARTS]}}
    known = document["components"]["schemas"]["Known"]["properties"]
    free = ("model", "messages", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "metadata", "user", "tools")
    limits = {
        "model": known["model"],
        "stream": flag,
        "logprobs": {"const": True},
        "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 200},
        "n": {"type": "integer", "minimum": 1, "maximum": 3},
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": OUTPUT_TOKENS_MAX},
        "tools": {"type": "array", "items": TOOL, "maxItems": 2},
    }
    required = ["model", "messages", "logprobs", "max_tokens"]
    schemas = narrow["components"]["schemas"]
    schemas["Message"] = {"type": "object", "properties": message, "required": ["role", "content"], "additionalProperties": False}
    schemas["Known"] = {"type": "object", "properties": {name: known[name] for name in free} | limits, "required": required}
    schemas["Known"]["additionalProperties"] = False
    return narrow


PARTS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
        "required": ["type", "text"],
        "additionalProperties": False,
    },
}
TOOL = {
    "type": "object",
    "properties": {
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "properties": {"name": {"enum": ["f", "get_time"]}, "parameters": {"const": {"type": "object"}}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
    "required": ["type", "function"],
    "additionalProperties": False,
}
DOCUMENT: Json = json.loads((ROOT / "src/aisa/edge/openapi.json").read_text(encoding="utf-8").replace("{{version}}", aisa.__version__))
EVERY = requests(DOCUMENT, "all")
ANSWERABLE = requests(answerable(DOCUMENT), "positive")


@EVERY.parametrize()
def test_every_generated_request_is_answered_as_the_document_says(case: schemathesis.Case, server: Server) -> None:
    """Whatever is sent, the status, the type and the body are among those that the document promises, and an error is one of ours."""
    response = call(case, server)
    streamed = any(
        kind.startswith("text/event-stream") for kind in response.headers.get("content-type", [])
    )  # its schema is that of the whole body, not of an event
    case.validate_response(response, checks=CHECKS, excluded_checks=[openapi_checks.response_schema_conformance] if streamed else [])
    if response.status_code >= 400 and case.path.startswith("/v1/messages"):
        assert response.json()["request_id"] == response.headers["request-id"][0]  # its shape is the schema's to hold
    elif response.status_code >= 400 and not (case.method == "POST" and "/models/" in case.path):  # Gemini's, with Google's errors
        headers = {name: ", ".join(values) for name, values in response.headers.items()}
        assert check_error(response.content, response.status_code, headers) == []


@ANSWERABLE.parametrize()
def test_every_generated_call_that_can_be_answered_is(case: schemathesis.Case, server: Server) -> None:
    """A call whose fields fit together gets a good answer, a stream if it wants one, and never a refusal."""
    # To JSON Schema 1.0 is an integer as good as 1; to us, as to OpenAI, it is not.
    case.body = {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in case.body.items()}
    response = call(case, server)
    assert response.status_code == 200, response.text
    if case.body.get("stream"):  # whose schema is that of the whole body, while schemathesis would compare each event with it
        case.validate_response(response, checks=CHECKS, excluded_checks=[openapi_checks.response_schema_conformance])
        assert check_stream(response.content, include_usage=False, choices=case.body.get("n", 1)) == []
    else:
        case.validate_response(response, checks=CHECKS)
        assert check_answer(response.content) == []


def call(case: schemathesis.Case, server: Server) -> schemathesis.Response:
    """Send a generated request with a good key."""
    return case.call(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"})


def test_the_document_is_current() -> None:
    """The file that is served is what the request types and the error table make of it; `make docs` rewrites it."""
    command = [sys.executable, str(ROOT / "tools" / "openapi_document.py"), "--print"]
    written = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    assert (ROOT / "src/aisa/edge/openapi.json").read_text(encoding="utf-8") == written


def test_the_document_is_served_as_it_is(server: Server) -> None:
    """Whoever asks the server, without a key, gets the document with the version that runs."""
    response = httpx2.get(f"{server.url}/openapi.json", trust_env=False, verify=False)
    assert response.json() == DOCUMENT
    assert response.json()["info"]["version"] == aisa.__version__


def test_the_document_is_valid_openapi() -> None:
    """It is of version 3.1, every reference in it leads somewhere, and its schemas are JSON Schemas."""
    EVERY.validate()
    assert re.fullmatch(r"3\.1\.\d", DOCUMENT["openapi"])
