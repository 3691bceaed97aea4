"""anthropic (Python), set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from anthropic import Anthropic, beta_tool
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return Anthropic(base_url=URL, api_key=key)


# :settings

ASKED = {"model": MODEL, "max_tokens": 1000}


class City(BaseModel):
    name: str
    people: int


def plain():
    return connect().messages.create(**ASKED, messages=[{"role": "user", "content": HELLO}]).content[0].text


def stream():
    with connect().messages.stream(**ASKED, messages=[{"role": "user", "content": HELLO}]) as events:
        text = "".join(events.text_stream)
        assert events.get_final_message().usage.output_tokens
        return text


def tools():
    runner = connect().beta.messages.tool_runner(**ASKED, messages=[{"role": "user", "content": WEATHER}], tools=[beta_tool(get_weather)])
    turns = list(runner)
    assert [turn.stop_reason for turn in turns] == ["tool_use", "end_turn"], turns
    return turns[-1].content[0].text


def schema():
    return connect().messages.parse(**ASKED, messages=[{"role": "user", "content": CITY}], output_format=City).parsed_output


def count():
    return connect().messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": HELLO}]).input_tokens


def bad_key():
    connect(BAD_KEY).messages.create(**ASKED, messages=[{"role": "user", "content": HELLO}])


def models():
    return [model.id for model in connect().models.list()]


run(plain, stream, tools, schema, count, bad_key, models)
