"""Inspect AI, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from inspect_ai.model import GenerateConfig, ResponseSchema, get_model
from inspect_ai.tool import tool
from inspect_ai.util import json_schema
from pydantic import BaseModel
from told import *


# settings:
def connect(vendor="openai", path="/v1", key=KEY, **more):
    return get_model(f"{vendor}/{MODEL}", base_url=URL + path, api_key=key, memoize=False, **more)


def each(**more):
    return [
        connect(responses_api=True, **more),
        connect(responses_api=False, **more),
        connect("anthropic", "", **more),
        connect("google", "", **more),
    ]


# :settings


class City(BaseModel):
    name: str
    people: int


@tool
def weather():
    async def execute(city: str) -> str:
        """Get the current weather of a city.

        Args:
            city: The name of the city.
        """
        return get_weather(city)

    return execute


async def plain():
    answers = [(await model.generate(HELLO)).completion for model in each()]
    return all(answers) and answers


async def tools():
    answers = []
    for model in each():
        messages, answer = await model.generate_loop(WEATHER, tools=[weather()])
        assert [message.role for message in messages].count("tool") == 1, messages
        answers.append(answer.completion)
    return all(answers) and answers


async def schema():
    config = GenerateConfig(response_schema=ResponseSchema(name="city", json_schema=json_schema(City)))
    return [City.model_validate_json((await model.generate(CITY)).completion) for model in each(config=config)]


async def bad_key():
    await connect(key=BAD_KEY, config=GenerateConfig(max_retries=0)).generate(HELLO)


run(plain, tools, schema, bad_key)
