"""instructor, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import instructor
from anthropic import Anthropic
from openai import OpenAI
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY, mode=instructor.Mode.TOOLS):
    return instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=key), mode=mode)


def connect_messages():
    return instructor.from_anthropic(Anthropic(base_url=URL, api_key=KEY))


# :settings


class City(BaseModel):
    """A city."""

    name: str
    people: int


ASKED = {"model": MODEL, "messages": [{"role": "user", "content": CITY}], "response_model": City}


def tools():
    return connect().chat.completions.create(**ASKED)


def messages_tools():
    return connect_messages().messages.create(**ASKED, max_tokens=1000)


def schema():
    modes = (instructor.Mode.JSON_SCHEMA, instructor.Mode.JSON, instructor.Mode.RESPONSES_TOOLS)
    return [connect(mode=mode).chat.completions.create(**ASKED) for mode in modes]


def stream():
    return list(connect().chat.completions.create_partial(**ASKED))


def bad_key():
    connect(BAD_KEY).chat.completions.create(**ASKED)


run(tools, messages_tools, schema, stream, bad_key)
