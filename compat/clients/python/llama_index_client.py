"""LlamaIndex, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return OpenAILike(
        model=MODEL, api_base=f"{URL}/v1", api_key=key, is_chat_model=True, is_function_calling_model=True, context_window=8000
    )


# :settings


class City(BaseModel):
    """A city."""

    name: str
    people: int


def plain():
    return connect().chat([ChatMessage(HELLO)]).message.content


def stream():
    return "".join(part.delta or "" for part in connect().stream_chat([ChatMessage(HELLO)]))


def completions():
    llm = OpenAILike(model=MODEL, api_base=f"{URL}/v1", api_key=KEY, context_window=8000)  # not told that it is chat: /v1/completions
    return llm.complete(HELLO).text and "".join(part.delta for part in llm.stream_complete(HELLO))


async def tools():
    return str(await FunctionAgent(tools=[get_weather], llm=connect()).run(WEATHER))


def schema():
    return connect().as_structured_llm(City).chat([ChatMessage(CITY)]).raw


def bad_key():
    connect(BAD_KEY).chat([ChatMessage(HELLO)])


run(plain, stream, completions, tools, schema, bad_key)
