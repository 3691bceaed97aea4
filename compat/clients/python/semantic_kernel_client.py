"""Semantic Kernel, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from openai import AsyncOpenAI
from pydantic import BaseModel
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.functions import KernelArguments, kernel_function
from told import *


# settings:
def connect(key=KEY):
    return OpenAIChatCompletion(ai_model_id=MODEL, async_client=AsyncOpenAI(base_url=f"{URL}/v1", api_key=key))


# :settings


class City(BaseModel):
    name: str
    people: int


class Weather:
    @kernel_function(description="Get the current weather of a city.")
    def get_weather(self, city: str) -> str:
        return get_weather(city)


async def plain():
    return str(await ChatCompletionAgent(service=connect(), name="a").get_response(messages=HELLO))


async def stream():
    agent = ChatCompletionAgent(service=connect(), name="a")
    return "".join([str(part) async for part in agent.invoke_stream(messages=HELLO)])


async def tools():
    return str(await ChatCompletionAgent(service=connect(), name="a", plugins=[Weather()]).get_response(messages=WEATHER))


async def schema():
    settings = OpenAIChatPromptExecutionSettings(response_format=City)
    agent = ChatCompletionAgent(service=connect(), name="a", arguments=KernelArguments(settings=settings))
    return City.model_validate_json(str(await agent.get_response(messages=CITY)))


async def bad_key():
    await ChatCompletionAgent(service=connect(BAD_KEY), name="a").get_response(messages=HELLO)


run(plain, stream, tools, schema, bad_key)
