"""The embedded model as a vendor: status, headers, bytes, pace and timeouts. Not what it says."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator

from aisa.embedded.upstream import READ_BYTES_MAX, TURN_BYTES_MAX, EmbeddedAnswer, EmbeddedUpstream
from aisa.providers.port import Answer, Upstream, UpstreamRequest
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_answer, check_stream

Json = dict[str, Any]

TOOL: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PERSON: Json = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ENDLESS: Json = {"logit_bias": {"0": -100}}


def upstream(tokens_per_second: float = 0, seed: int = 1) -> EmbeddedUpstream:
    """Return the embedded model with a fixed clock and chance."""
    return EmbeddedUpstream(tokens_per_second, lambda: 1_700_000_000.7, random.Random(seed))


def request(prompt: str = "Tell me about the sea.", path: str = "/chat/completions", **fields: Any) -> UpstreamRequest:
    """Return a chat request as bytes."""
    body = {"model": "some-model", "messages": [{"role": "user", "content": prompt}], **fields}
    return UpstreamRequest(path=path, headers=(("authorization", "Bearer x"),), body=json.dumps(body).encode())


async def read_all(answer: Answer) -> bytes:
    """Read an answer to its end."""
    body = b""
    while data := await answer.read():
        assert len(data) <= READ_BYTES_MAX
        body += data
    answer.close()
    return body


def ask(wanted: UpstreamRequest, seed: int = 1) -> tuple[EmbeddedAnswer, bytes]:
    """Send a request; return the answer and its whole body."""

    async def main() -> tuple[EmbeddedAnswer, bytes]:
        answer = await upstream(seed=seed).ask(wanted)
        return answer, await read_all(answer)

    return run_virtual(main())


REQUESTS: list[Json] = [
    {},
    {"prompt": "Write a haiku about APIs."},
    {"n": 3},
    {"max_tokens": 2},
    {"logprobs": True, "top_logprobs": 5},
    {"stop": ["a"]},
    {"prompt": "weather in Rome", "tools": [TOOL]},
    {"prompt": "weather in Rome", "tools": [TOOL], "n": 2, "tool_choice": "required"},
    {"prompt": "weather in Rome", "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    {"prompt": "weather in Rome", "functions": [TOOL["function"]]},
    {"prompt": "weather in Rome", "functions": [TOOL["function"]], "max_tokens": 1},
    {"prompt": "clock", "tools": [{"type": "custom", "custom": {"name": "clock"}}]},
    {"response_format": {"type": "json_object"}},
    {"logit_bias": {str(1 + 0xE2): 100}, "max_tokens": 3},
    {"logit_bias": {"0": 100}},
]


@pytest.mark.parametrize("fields", REQUESTS)
@pytest.mark.parametrize("include_usage", [False, True])
def test_every_stream_keeps_every_rule_of_the_contract(fields: Json, include_usage: bool) -> None:
    """The checker that grades vendors and gateways finds nothing wrong."""
    extra = {"stream_options": {"include_usage": True}} if include_usage else {}
    answer, body = ask(request(**fields, stream=True, **extra))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert check_stream(body, include_usage=include_usage, choices=fields.get("n", 1)) == []
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("fields", REQUESTS)
def test_every_whole_answer_keeps_every_rule_of_the_contract(fields: Json) -> None:
    """The checker finds nothing wrong, and the length is announced."""
    answer, body = ask(request(**fields))
    assert (answer.status, answer.headers) == (200, {"content-type": "application/json", "content-length": str(len(body))})
    assert check_answer(body) == []
    assert json.loads(body)["created"] == 1_700_000_000


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        (request(modalities=["audio"], audio={"voice": "x", "format": "wav"}, stream=True), 400, "unsupported_parameter"),
        (request(temperature="hot"), 400, "unsupported_value"),
        (UpstreamRequest(path="/chat/completions", headers=(), body=b"{"), 400, None),
        (UpstreamRequest(path="/chat/completions", headers=(), body=b"[]"), 400, "unsupported_value"),
        (request(path="/images"), 404, None),
    ],
)
def test_what_cannot_be_answered_is_an_openai_error(wanted: UpstreamRequest, status: int, code: str | None) -> None:
    """Status, JSON body and the four members that clients read, also for a stream."""
    answer, body = ask(wanted)
    error = json.loads(body)["error"]
    assert (answer.status, answer.headers["content-type"], error["code"]) == (status, "application/json", code)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def test_the_same_request_with_a_seed_gets_the_same_bytes_but_for_the_ids() -> None:
    """A user's test suite can rely on what a seed or temperature 0 gives."""
    for fields in ({"seed": 3}, {"temperature": 0}):
        bodies = [json.loads(ask(request(**fields), seed)[1]) for seed in (1, 2)]
        assert bodies[0].pop("id") != bodies[1].pop("id")
        assert bodies[0] == bodies[1]


def test_a_stream_keeps_the_pace_that_was_set() -> None:
    """At 20 tokens a second, 40 tokens take two seconds, whether they are streamed or not, and each arrives in its time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await upstream(20).ask(request(**ENDLESS, max_tokens=40, stream=True))
        assert loop.time() == begun
        times = list[float]()
        while b"[DONE]" not in await answer.read():
            times.append(loop.time() - begun)
        assert len(times) == 40
        assert times == pytest.approx([(number + 1) / 20 for number in range(40)])
        begun = loop.time()
        await upstream(20).ask(request(**ENDLESS, max_tokens=40))
        assert loop.time() - begun == pytest.approx(2)

    run_virtual(main())


def test_a_reader_who_was_slow_gets_no_burst() -> None:
    """After a pause of the reader the next token takes its usual time, and those missed are not made up for."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        answer = await upstream(10).ask(request(**ENDLESS, stream=True))
        await answer.read()
        await asyncio.sleep(60)
        begun = loop.time()
        for _ in range(5):
            await answer.read()
        assert loop.time() - begun == pytest.approx(0.5)

    run_virtual(main())


@pytest.mark.parametrize("stream", [True, False])
def test_the_event_loop_gets_its_turn_at_least_every_32_tokens(stream: bool) -> None:
    """Another task runs many times while a long answer is written as fast as possible."""

    async def main() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await read_all(await upstream().ask(request(**ENDLESS, max_tokens=640, stream=stream)))
        task.cancel()
        return turns

    assert run_virtual(main()) >= 20


def test_nothing_is_generated_that_is_not_read() -> None:
    """A read brings a few kilobytes however long the answer is, and closing ends it for good."""

    async def main() -> None:
        answer = await upstream().ask(request(**ENDLESS, max_tokens=30_000, stream=True))
        for _ in range(3):
            data = await answer.read()
            assert data.count(b"data: ") <= 33
            assert len(data) < TURN_BYTES_MAX * 2
        answer.close()
        answer.close()
        assert await answer.read() == b""

    run_virtual(main())


def test_an_event_larger_than_a_read_arrives_in_several() -> None:
    """With log-probabilities of the whole vocabulary an event has more than 64 KiB, and no read returns more than that."""
    _, body = ask(request(stream=True, logprobs=True, top_logprobs=2_736, max_tokens=2))
    assert max(map(len, body.split(b"\n\n"))) > READ_BYTES_MAX
    assert check_stream(body, include_usage=False) == []


def test_it_is_what_the_port_asks_for() -> None:
    """A type checker and this assignment agree that the class is an Upstream."""
    way: Upstream = upstream()
    assert callable(way.ask)


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Serve the embedded model on a loopback port with the least HTTP that clients need; yield its base URL."""
    model = upstream()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        answer = await model.ask(UpstreamRequest("/chat/completions", (), body))
        lines = [f"HTTP/1.1 {answer.status} X", "connection: close", *(f"{name}: {value}" for name, value in answer.headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        writer.write(await read_all(answer))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/v1"


def with_client(use: Callable[[openai.AsyncOpenAI], Coroutine[Any, Any, None]]) -> None:
    """Run a function with the official client pointed at the embedded model."""

    async def main() -> None:
        async with served() as url, openai.DefaultAsyncHttpxClient(trust_env=False) as transport:
            await use(openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0, http_client=transport))

    asyncio.run(main())


def test_the_official_client_reads_a_stream_with_tools_and_usage() -> None:
    """The strict helper of the client puts the call together, and its arguments follow the schema."""

    async def use(client: openai.AsyncOpenAI) -> None:
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": "weather in Rome"}], "tools": [TOOL]}
        async with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            final = await stream.get_final_completion()
        calls = final.choices[0].message.tool_calls
        assert calls is not None
        assert json.loads(calls[0].function.arguments) == {"city": "Rome"}
        assert final.choices[0].finish_reason == "tool_calls"
        assert final.usage is not None

    with_client(use)


def test_the_official_client_reads_text_logprobs_and_documents() -> None:
    """Both forms of an answer are what the client's types say."""

    async def use(client: openai.AsyncOpenAI) -> None:
        form: Any = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": "Ann is 44"}], "response_format": form}
        whole = await client.chat.completions.create(**asked, n=2, logprobs=True, top_logprobs=2)
        for choice in whole.choices:
            Draft202012Validator(PERSON).validate(json.loads(choice.message.content or ""))
            assert choice.logprobs is not None
            assert len((choice.logprobs.content or [])[0].top_logprobs) == 2
        text = ""
        async for chunk in await client.chat.completions.create(model="m", messages=asked["messages"], stream=True):
            text += chunk.choices[0].delta.content or ""
        assert text
        with pytest.raises(openai.BadRequestError, match="web_search_options"):
            await client.chat.completions.create(model="m", messages=asked["messages"], web_search_options={})

    with_client(use)
