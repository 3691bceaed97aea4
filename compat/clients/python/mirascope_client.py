"""mirascope, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from mirascope import llm
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    llm.register_provider("openai", scope="openai/", base_url=f"{URL}/v1", api_key=key)
    llm.register_provider("anthropic", scope="anthropic/", base_url=URL, api_key=key)
    llm.register_provider("google", scope="google/", base_url=URL, api_key=key)


# :settings

NAMES = [f"openai/{MODEL}", f"openai/{MODEL}:completions", f"anthropic/{MODEL}", f"google/{MODEL}"]
weather = llm.tool(get_weather)


class City(BaseModel):
    name: str
    people: int


def each(ask):
    connect()
    return [ask(llm.model(name)) for name in NAMES]


def plain():
    return each(lambda model: model.call(HELLO).text())


def stream():
    return each(lambda model: "".join(model.stream(HELLO).text_stream()))


def tools():
    def turns(model):
        answer = model.call(WEATHER, tools=[weather])
        assert answer.tool_calls, answer
        return answer.resume(answer.execute_tools()).text()

    return each(turns)


def schema():
    return each(lambda model: model.call(CITY, format=City).parse())


def bad_key():
    connect(BAD_KEY)
    llm.model(NAMES[0]).call(HELLO)


run(plain, stream, tools, schema, bad_key)
