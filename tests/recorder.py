"""Keeps what a server sends to OpenAI's Python client, and grades it by the contract and by OpenAI's schema. Changes nothing on the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
from jsonschema import Draft202012Validator
from openai import AsyncOpenAI, OpenAI

from aisa.testing.conformance import check_answer, check_error, check_stream
from server import Front

SCHEMA = json.loads((Path(__file__).parent / "schema" / "chat-completions.schema.json").read_bytes())
CHUNK, ANSWER, ERROR, MODELS, MODEL = (
    Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
    for name in ("CreateChatCompletionStreamResponse", "CreateChatCompletionResponse", "ErrorResponse", "ListModelsResponse", "Model")
)


def grade(sent: dict[str, Any], response: httpx2.Response, body: bytes, *, whole: bool) -> list[str]:
    """Return what is wrong with a response to a request's body. `whole`: the client did not leave before the end."""
    kind = response.headers["content-type"]
    if response.status_code != 200:
        return check_error(body, response.status_code, response.headers) + broken(ERROR, json.loads(body))
    if kind.startswith("text/event-stream"):
        events = [block.removeprefix(b"data: ") for block in body.split(b"\n\n")[:-1] if block.startswith(b"data: {")]
        faults = [fault for event in events for fault in broken_event(json.loads(event))]
        options = sent.get("stream_options") or {}
        rules = check_stream(body, include_usage=options.get("include_usage", False), choices=sent.get("n") or 1) if whole else []
        return faults + rules
    if "messages" in sent:
        return check_answer(body) + broken(ANSWER, json.loads(body))
    document = json.loads(body)
    return broken(MODELS if document["object"] == "list" else MODEL, document)


def broken_event(event: dict[str, Any]) -> list[str]:
    """Return what is wrong with an event: an error or a chunk."""
    return broken(ERROR if "error" in event else CHUNK, event)


def broken(schema: Draft202012Validator, document: object) -> list[str]:
    """Return where a document breaks a schema."""
    return [f"{fault.json_path}: {fault.message[:300]}" for fault in schema.iter_errors(document)]


class Recorder:
    """Every response so far: its body, and in `faults` what is wrong with any of them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.faults: list[str] = []

    def take(self, response: httpx2.Response, body: bytes, *, whole: bool) -> None:
        """Grade a response that has ended, or that the client has left."""
        sent = json.loads(response.request.content or b"{}")
        self.bodies.append(body)
        self.faults += [f"{response.request.url.path} {body[:80]!r}: {fault}" for fault in grade(sent, response, body, whole=whole)]


class Tee(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body of a response, copied as it passes."""

    def __init__(self, recorder: Recorder, response: httpx2.Response) -> None:
        self._recorder = recorder
        self._response = response
        self._stream: Any = response.stream  # either kind, as the client's is
        self._body = b""
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body."""
        for data in self._stream:
            self._body += data
            yield data
        self._whole = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        async for data in self._stream:
            self._body += data
            yield data
        self._whole = True

    def close(self) -> None:
        """End the response."""
        self._stream.close()
        self._recorder.take(self._response, self._body, whole=self._whole)

    async def aclose(self) -> None:
        """End the response."""
        await self._stream.aclose()
        self._recorder.take(self._response, self._body, whole=self._whole)


class RecordingTransport(httpx2.HTTPTransport):
    """A way to the server that records."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(verify=False)  # reading the machine's certificates takes longer than a test
        self._recorder = recorder

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        response = super().handle_request(request)
        response.request = request
        response.stream = Tee(self._recorder, response)
        return response


class AsyncRecordingTransport(httpx2.AsyncHTTPTransport):
    """A way to the server that records, for the asynchronous client."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(verify=False)  # reading the machine's certificates takes longer than a test
        self._recorder = recorder

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        response = await super().handle_async_request(request)
        response.request = request
        response.stream = Tee(self._recorder, response)
        return response


@contextmanager
def recorded_client(front: Front, **options: Any) -> Iterator[OpenAI]:
    """OpenAI's client. When the context ends, everything that it was sent must have been faultless."""
    recorder = Recorder()
    http_client = httpx2.Client(transport=RecordingTransport(recorder), trust_env=False)
    with OpenAI(http_client=http_client, **settings(front, options)) as client:
        yield client
    assert recorder.bodies
    assert recorder.faults == []


@asynccontextmanager
async def recorded_async_client(front: Front, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's asynchronous client, held to the same."""
    recorder = Recorder()
    http_client = httpx2.AsyncClient(transport=AsyncRecordingTransport(recorder), trust_env=False)
    async with AsyncOpenAI(http_client=http_client, **settings(front, options)) as client:
        yield client
    assert recorder.bodies
    assert recorder.faults == []


def settings(front: Front, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a client is made with: no retries, so that every failure is seen, and answers checked by the client's own types."""
    return {"base_url": front.server.api, "api_key": front.server.key, "max_retries": 0, "_strict_response_validation": True, **options}
