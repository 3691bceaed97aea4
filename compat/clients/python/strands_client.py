"""Strands, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from pydantic import BaseModel
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from told import *


# settings:
def connect(key=KEY):
    return OpenAIModel(client_args={"base_url": f"{URL}/v1", "api_key": key}, model_id=MODEL)


# :settings


class City(BaseModel):
    """A city."""

    name: str
    people: int


def asked(model, text, **more):
    return Agent(model=model, callback_handler=None, **more)(text)


def plain():
    return str(asked(connect(), HELLO))


async def stream():
    events = [event async for event in Agent(model=connect(), callback_handler=None).stream_async(HELLO)]
    return "".join(event["data"] for event in events if "data" in event)


def tools():
    answer = asked(connect(), WEATHER, tools=[tool(get_weather)])
    assert "get_weather" in answer.metrics.tool_metrics, answer.metrics
    return str(answer)


def schema():
    return asked(connect(), CITY, structured_output_model=City).structured_output


def bad_key():
    asked(connect(BAD_KEY), HELLO)


run(plain, stream, tools, schema, bad_key)
