"""OpenAI's asynchronous Python client against a running server, many calls at a time. What a single answer holds is tested elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import openai
import pytest
import uvloop
from openai import AsyncOpenAI
from pydantic import BaseModel

from recorder import recorded_async_client
from server import Front
from vendor import HELLO as WORDS

HELLO: list[Any] = [{"role": "user", "content": "Hello! Who are you?"}]
TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
CALLS = 40  # at the same time, on one client
LEAVING_SECONDS_MAX = 4.0  # the contract says 0.1; see test_openai_errors.py

Scenario = Callable[[AsyncOpenAI], Coroutine[Any, Any, None]]


class Answer(BaseModel):
    """A document that the model is to write."""

    name: str
    likes: list[str]


def run(front: Front, scenario: Scenario, **options: Any) -> None:
    """Run a scenario with a client that takes note of everything it is sent."""

    async def recorded() -> None:
        async with recorded_async_client(front, **options) as client:
            await scenario(client)

    uvloop.run(recorded())


async def text_of(client: AsyncOpenAI, model: str) -> list[str]:
    """Return the pieces of text in a stream."""
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
    return [chunk.choices[0].delta.content async for chunk in stream if chunk.choices and chunk.choices[0].delta.content]


def test_many_streams_at_once_do_not_mix(front: Front) -> None:
    """Each of many simultaneous calls, streamed or not, gets the whole of its own answer."""

    async def scenario(client: AsyncOpenAI) -> None:
        plain = [client.chat.completions.create(model="local/hello", messages=HELLO) for _ in range(CALLS)]
        streams = [text_of(client, "local/hello") for _ in range(CALLS)]
        answers, texts = await asyncio.gather(asyncio.gather(*plain), asyncio.gather(*streams))
        assert {answer.choices[0].message.content for answer in answers} == {"".join(WORDS)}
        assert len({answer._request_id for answer in answers}) == CALLS
        assert texts == [list(WORDS)] * CALLS

    run(front, scenario)


def test_the_asynchronous_helpers_work_as_the_others_do(front: Front) -> None:
    """A stream's final completion, a tool's call and a parsed document come out of the asynchronous client too."""

    async def scenario(client: AsyncOpenAI) -> None:
        completions = client.chat.completions
        async with completions.stream(model="gpt-4.1", messages=HELLO) as stream:
            deltas = [event.delta async for event in stream if event.type == "content.delta"]
            assert "".join(deltas) == (await stream.get_final_completion()).choices[0].message.content
        tools: Any = {"tools": [TOOL], "tool_choice": "required"}
        async with completions.stream(model="gpt-4.1", messages=HELLO, **tools) as stream:
            (call,) = (await stream.get_final_completion()).choices[0].message.tool_calls or []
            assert (call.function.name, call.function.arguments) == ("get_time", "{}")
        parsed = await completions.parse(model="gpt-4.1", messages=HELLO, response_format=Answer)
        assert isinstance(parsed.choices[0].message.parsed, Answer)
        assert "gpt-4.1" in [model.id async for model in client.models.list()]

    run(front, scenario)


@pytest.mark.parametrize("model", ["error-mid-stream", "cut-mid-stream", "reset-mid-stream", "unfinished"])
def test_an_asynchronous_stream_that_breaks_off_raises(front: Front, model: str) -> None:
    """It never just ends."""

    async def scenario(client: AsyncOpenAI) -> None:
        with pytest.raises(openai.APIError):
            await text_of(client, f"local/{model}")

    run(front, scenario)


def test_the_asynchronous_client_raises_and_retries_by_status(front: Front) -> None:
    """A rate limit is an exception of its own class after the retries that its headers allow."""

    async def scenario(client: AsyncOpenAI) -> None:
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="local/status-429", messages=HELLO)
        assert caught.value.code == "upstream_rate_limit"

    before = len(front.vendor.asked("status-429"))
    run(front, scenario, max_retries=1)
    assert len(front.vendor.asked("status-429")) == before + 2


def test_a_task_that_is_cancelled_stops_its_vendor(front: Front) -> None:
    """A program that gives up on a stream or on an answer closes the vendor's connection with it."""

    async def scenario(client: AsyncOpenAI) -> None:
        loop = asyncio.get_running_loop()
        assert await text_of(client, "local/hello") == list(WORDS)
        for model in ("endless", "silent"):
            number = len(front.vendor.asked(model)) + 1
            task = asyncio.ensure_future(text_of(client, f"local/{model}"))
            asked = await loop.run_in_executor(None, front.vendor.wait_for, model, number)
            left = front.vendor.now()
            task.cancel()
            assert await loop.run_in_executor(None, asked.gone.wait, LEAVING_SECONDS_MAX)
            print(f"{model}: closed {1000 * (asked.gone_at - left):.1f} ms after the task was cancelled")

    run(front, scenario)
