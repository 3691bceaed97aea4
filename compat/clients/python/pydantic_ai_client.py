"""pydantic-ai, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from told import *


# settings:
def connect(key=KEY):
    return OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=key))


def connect_chat():
    return OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY))


def connect_messages():
    return AnthropicModel(MODEL, provider=AnthropicProvider(base_url=URL, api_key=KEY))


def connect_gemini():
    return GoogleModel(MODEL, provider=GoogleProvider(base_url=URL, api_key=KEY))


# :settings


class City(BaseModel):
    name: str
    people: int


def plain():
    return Agent(connect()).run_sync(HELLO).output


async def stream():
    async with Agent(connect()).run_stream(HELLO) as answer:
        return "".join([text async for text in answer.stream_text(delta=True)])


def agent(model):
    answer = Agent(model, tools=[get_weather]).run_sync(WEATHER)
    assert len(answer.all_messages()) == 4, answer.all_messages()
    return answer.output


def tools():
    return agent(connect())


def chat_tools():
    return agent(connect_chat())


def messages_tools():
    return agent(connect_messages())


def gemini_tools():
    return agent(connect_gemini())


def schema():
    return [
        Agent(model, output_type=City).run_sync(CITY).output for model in (connect(), connect_chat(), connect_messages(), connect_gemini())
    ]


def bad_key():
    Agent(connect(BAD_KEY)).run_sync(HELLO)


run(plain, stream, tools, chat_tools, messages_tools, gemini_tools, schema, bad_key)
