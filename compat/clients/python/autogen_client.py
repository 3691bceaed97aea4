"""AutoGen, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    known = {"vision": False, "function_calling": True, "json_output": True, "structured_output": True, "family": "unknown"}
    return OpenAIChatCompletionClient(model=MODEL, base_url=f"{URL}/v1", api_key=key, model_info=known)


# :settings

SAID = [UserMessage(content=HELLO, source="user")]


class City(BaseModel):
    name: str
    people: int


async def plain():
    return (await connect().create(SAID)).content


async def stream():
    return [part async for part in connect().create_stream(SAID)][-1].content


async def tools():
    agent = AssistantAgent("a", connect(), tools=[get_weather], reflect_on_tool_use=True)
    return (await agent.run(task=WEATHER)).messages[-1].content


async def schema():
    return City.model_validate_json((await connect().create([UserMessage(content=CITY, source="user")], json_output=City)).content)


async def bad_key():
    await connect(BAD_KEY).create(SAID)


run(plain, stream, tools, schema, bad_key)
