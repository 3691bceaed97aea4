"""Agno, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from agno.agent import Agent
from agno.models.openai import OpenAIResponses
from agno.models.openai.like import OpenAILike
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return OpenAILike(id=MODEL, base_url=f"{URL}/v1", api_key=key)


def connect_responses():
    return OpenAIResponses(id=MODEL, base_url=f"{URL}/v1", api_key=KEY)


# :settings


class City(BaseModel):
    name: str
    people: int


def plain():
    return Agent(model=connect()).run(HELLO).content


def stream():
    return "".join(part.content or "" for part in Agent(model=connect()).run(HELLO, stream=True))


def tools():
    answer = Agent(model=connect(), tools=[get_weather]).run(WEATHER)
    assert answer.tools, answer
    return answer.content


def responses_tools():
    answer = Agent(model=connect_responses(), tools=[get_weather]).run(WEATHER)
    assert answer.tools, answer
    return answer.content


def schema():
    answer = Agent(model=connect(), output_schema=City).run(CITY).content
    assert isinstance(answer, City), answer
    return answer


def bad_key():
    answer = Agent(model=connect(BAD_KEY)).run(HELLO)
    raise RuntimeError(answer.content)  # it tells the error as an answer


run(plain, stream, tools, responses_tools, schema, bad_key)
