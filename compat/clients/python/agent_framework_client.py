"""Microsoft's Agent Framework, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from agent_framework import Agent
from agent_framework.anthropic import AnthropicClient
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY, **known):
    client = OpenAIChatClient(model=MODEL, base_url=f"{URL}/v1", api_key=key)
    return Agent(client, default_options={"store": False}, **known)  # else its second turn leaves the first one out


def connect_chat(**known):
    return Agent(OpenAIChatCompletionClient(model=MODEL, base_url=f"{URL}/v1", api_key=KEY), **known)


def connect_messages(**known):
    return Agent(AnthropicClient(model=MODEL, base_url=URL, api_key=KEY), **known)


# :settings

EACH = connect, connect_chat, connect_messages


class City(BaseModel):
    name: str
    people: int


async def plain():
    return [(await made().run(HELLO)).text for made in EACH]


async def stream():
    answers = []
    for made in EACH:
        said = made().run(HELLO, stream=True)
        assert len([part async for part in said]) > 2, "it came at once"
        answers.append((await said.get_final_response()).text)
    return answers


async def tools():
    answers = []
    for made in EACH:
        answer = await made(tools=[get_weather]).run(WEATHER)
        assert len(answer.messages) == 3, answer.messages
        answers.append(answer.text)
    return answers


async def schema():
    return [(await made().run(CITY, options={"response_format": City})).value for made in EACH]


async def bad_key():
    await connect(BAD_KEY).run(HELLO)


run(plain, stream, tools, schema, bad_key)
