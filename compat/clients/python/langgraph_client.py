"""LangGraph, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=key)


# :settings


class City(BaseModel):
    """A city."""

    name: str
    people: int


def asked(text):
    return {"messages": [{"role": "user", "content": text}]}


def plain():
    return create_react_agent(connect(), []).invoke(asked(HELLO))["messages"][-1].content


def stream():
    return "".join(part.content for part, _ in create_react_agent(connect(), []).stream(asked(HELLO), stream_mode="messages"))


def tools():
    messages = create_react_agent(connect(), [get_weather]).invoke(asked(WEATHER))["messages"]
    assert len(messages) == 4, messages
    return messages[-1].content


def schema():
    return create_react_agent(connect(), [], response_format=City).invoke(asked(CITY))["structured_response"]


def bad_key():
    create_react_agent(connect(BAD_KEY), []).invoke(asked(HELLO))


run(plain, stream, tools, schema, bad_key)
