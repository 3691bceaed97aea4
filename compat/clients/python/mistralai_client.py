"""mistralai, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from mistralai.client import Mistral
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return Mistral(api_key=key, server_url=URL)


# :settings

SAID = [{"role": "user", "content": HELLO}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": ARGUMENTS}}


class City(BaseModel):
    name: str
    people: int


def plain():
    return connect().chat.complete(model=MODEL, messages=SAID).choices[0].message.content


def stream():
    return "".join(
        event.data.choices[0].delta.content or "" for event in connect().chat.stream(model=MODEL, messages=SAID) if event.data.choices
    )


def tools():
    asked = [{"role": "user", "content": WEATHER}]
    events = [event.data for event in connect().chat.stream(model=MODEL, messages=asked, tools=[TOOL])]
    [call] = [call for event in events for choice in event.choices for call in choice.delta.tool_calls or ()]
    asked += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "get_weather", "tool_call_id": call.id, "content": get_weather(**json.loads(call.function.arguments))},
    ]
    return connect().chat.complete(model=MODEL, messages=asked, tools=[TOOL]).choices[0].message.content


def schema():
    return connect().chat.parse(model=MODEL, messages=[{"role": "user", "content": CITY}], response_format=City).choices[0].message.parsed


def embeddings():
    return len(connect().embeddings.create(model=MODEL, inputs=[HELLO, CITY]).data[1].embedding)


def bad_key():
    connect(BAD_KEY).chat.complete(model=MODEL, messages=SAID)


def models():
    return [model.id for model in connect().models.list().data]


run(plain, stream, tools, schema, embeddings, bad_key, models)
