"""What 38 real programs sent, and what they get: each request's answer is read by the official client of its door.

`client_requests.json` has the requests by program, as they were seen in November 2026: members, roles, schemas and headers as sent, texts
replaced, tools thinned out. The embedded model answers under every name.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from openai import OpenAI
from pydantic import BaseModel

from sdk_readers import ASKED, KEY, READERS
from server import PROCESS_SECONDS_MAX, Server, serving

Json = dict[str, Any]
REQUESTS: dict[str, list[Json]] = json.loads((Path(__file__).parent / "client_requests.json").read_bytes())
#: Which protocol is spoken where a path ends so.
SPOKEN = {
    "/chat/completions": "openai",
    "/responses": "responses",
    "/completions": "completions",
    "/messages": "anthropic",
    ":streamGenerateContent": "gemini",
    "/embeddings": "embeddings",
}
#: What is no request for an answer, or a mistake that the program makes on purpose: how it is answered.
TOLD = {
    ("GET", "/metrics"): 404,  # off unless the operator turns it on
    ("HEAD", "/metrics"): 404,
    ("GET", "/health"): 200,
    ("HEAD", "/api/hello"): 200,
    ("GET", "/v1/models"): 200,
    ("GET", "/v1/models/gpt-4o-mini"): 200,
    ("GET", "/v1/chat/completions"): 405,
    ("GET", "/v1/responses/resp_1"): 404,
    ("POST", "/v1/responses/input_tokens"): 200,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose embedded model has every name."""
    with serving(tmp_path_factory.mktemp("clients"), "embedded: {enabled: always}\n") as server:
        yield server


def answered(server: Server, asked: Json) -> tuple[int, str, bytes]:
    """Send a request; return the status, the kind of the answer, and its body."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PROCESS_SECONDS_MAX)
    headers = {**asked["headers"], "authorization": f"Bearer {server.key}"}
    body = json.dumps(asked["body"]) if "body" in asked else None
    try:
        connection.request(asked["method"], asked["path"], body, headers | ({"content-type": "application/json"} if body else {}))
        response = connection.getresponse()
        return response.status, response.headers.get("content-type", ""), response.read()
    finally:
        connection.close()


def openai_of(document: bytes) -> OpenAI:
    """OpenAI's client, of a server that answers with this document."""
    return OpenAI(**KEY, max_retries=0, http_client=replying(document))


def replying(document: bytes) -> httpx2.Client:
    """What answers each request with a document."""
    kind = {"content-type": "application/json"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=document, headers=kind)))


#: The official client's reading of a document, by protocol.
DOCUMENTS: dict[str, Callable[[bytes], BaseModel]] = {
    "openai": lambda body: openai_of(body).chat.completions.create(**ASKED),
    "responses": lambda body: openai_of(body).responses.create(model="m", input="Hello."),
    "completions": lambda body: openai_of(body).completions.create(model="m", prompt="Hello."),
    "embeddings": lambda body: openai_of(body).embeddings.create(model="m", input="Hello."),
    "anthropic": lambda body: Anthropic(**KEY, max_retries=0, http_client=replying(body)).messages.create(**ASKED, max_tokens=9),
}


@pytest.mark.parametrize("program", REQUESTS)
def test_each_request_of_a_real_program_gets_an_answer_that_its_client_reads(program: str, served: Server) -> None:
    """With a status of 200, and an end that the client knows; mistakes on purpose are told as such."""
    for number, asked in enumerate(REQUESTS[program]):
        status, kind, body = answered(served, asked)
        path, what = asked["path"].partition("?")[0], f"request {number} of {program}: {body[:300]!r}"
        if (asked["method"], path) in TOLD:
            assert status == TOLD[asked["method"], path], what
            continue
        if not asked["body"].get("model", "m"):
            assert (status, json.loads(body)["error"]["param"]) == (400, "model"), what
            continue
        assert status == 200, what
        protocol = next(protocol for end, protocol in SPOKEN.items() if path.endswith(end))
        if kind.startswith("text/event-stream"):
            read = READERS[protocol](body)
            assert (bool(read.end), read.failed) == (True, ""), what
        else:
            assert DOCUMENTS[protocol](body).model_dump(), what


def test_the_programs_are_all_there() -> None:
    """And every door is asked by some of them."""
    paths = {asked["path"].partition("?")[0] for requests in REQUESTS.values() for asked in requests}
    assert len(REQUESTS) == 38
    assert all(any(path.endswith(end) for path in paths) for end in SPOKEN)
