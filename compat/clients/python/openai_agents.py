"""openai-agents (Python), set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    set_tracing_disabled(True)  # else it sends traces to OpenAI
    set_default_openai_client(AsyncOpenAI(base_url=f"{URL}/v1", api_key=key))


# :settings

ARGUED = {"model": MODEL}


class City(BaseModel):
    name: str
    people: int


async def plain():
    connect()
    return (await Runner.run(Agent("a", **ARGUED), HELLO)).final_output


async def stream():
    connect()
    answer = Runner.run_streamed(Agent("a", **ARGUED), HELLO)
    events = [event async for event in answer.stream_events()]
    return len(events) > 4 and answer.final_output


async def tools():
    connect()
    answer = await Runner.run(Agent("a", tools=[function_tool(get_weather)], **ARGUED), WEATHER)
    assert len(answer.raw_responses) == 2, answer.raw_responses
    return answer.final_output


async def schema():
    connect()
    return (await Runner.run(Agent("a", output_type=City, **ARGUED), CITY)).final_output


async def bad_key():
    connect(BAD_KEY)
    await Runner.run(Agent("a", **ARGUED), HELLO)


run(plain, stream, tools, schema, bad_key)
