"""CrewAI, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import os

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}
from crewai import LLM, Agent
from crewai.tools import tool
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY, **more):
    return LLM(model=f"openai/{MODEL}", base_url=f"{URL}/v1", api_key=key, **more)


# :settings


class City(BaseModel):
    name: str
    people: int


def plain():
    return connect().call(HELLO)


def stream():
    return connect(stream=True).call(HELLO)


def tools():
    called = []

    @tool("get_weather")
    def weather(city: str) -> str:
        """Get the current weather of a city."""
        called.append(city)
        return get_weather(city)

    answer = Agent(role="a", goal="g", backstory="b", llm=connect(), tools=[weather]).kickoff(WEATHER)
    assert called, answer.raw
    return answer.raw


def responses():
    return connect(api="responses").call(HELLO)


def schema():
    return connect(response_format=City).call(CITY)


def bad_key():
    connect(BAD_KEY).call(HELLO)


run(plain, stream, tools, responses, schema, bad_key)
