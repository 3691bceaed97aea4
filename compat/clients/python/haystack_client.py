"""Haystack, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY, **more):
    return OpenAIChatGenerator(model=MODEL, api_base_url=f"{URL}/v1", api_key=Secret.from_token(key), **more)


# :settings


class City(BaseModel):
    name: str
    people: int


def plain():
    return connect().run([ChatMessage.from_user(HELLO)])["replies"][0].text


def stream():
    parts = []
    connect(streaming_callback=parts.append).run([ChatMessage.from_user(HELLO)])
    return "".join(part.content for part in parts)


def tools():
    agent = Agent(chat_generator=connect(), tools=[create_tool_from_function(get_weather)])
    messages = agent.run(messages=[ChatMessage.from_user(WEATHER)])["messages"]
    assert len(messages) == 4, messages
    return messages[-1].text


def schema():
    return City.model_validate_json(
        connect(generation_kwargs={"response_format": City}).run([ChatMessage.from_user(CITY)])["replies"][0].text
    )


def bad_key():
    connect(BAD_KEY).run([ChatMessage.from_user(HELLO)])


run(plain, stream, tools, schema, bad_key)
