"""smolagents, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from smolagents import OpenAIModel, ToolCallingAgent, tool
from told import *


# settings:
def connect(key=KEY):
    return OpenAIModel(model_id=MODEL, api_base=f"{URL}/v1", api_key=key)


# :settings

SAID = [{"role": "user", "content": [{"type": "text", "text": HELLO}]}]


def plain():
    return connect().generate(SAID).content


def stream():
    return "".join(part.content or "" for part in connect().generate_stream(SAID))


def tools():
    weather = tool(get_weather)
    said = connect().generate([{"role": "user", "content": [{"type": "text", "text": WEATHER}]}], tools_to_call_from=[weather])
    agent = ToolCallingAgent(tools=[weather], model=connect(), max_steps=2, verbosity_level=0)
    return said.tool_calls[0].function.name and str(agent.run(WEATHER))


def schema():
    form = {"type": "json_schema", "json_schema": {"name": "City", "schema": CITY_SCHEMA, "strict": True}}
    return json.loads(connect().generate([{"role": "user", "content": CITY}], response_format=form).content)


def bad_key():
    connect(BAD_KEY).generate(SAID)


run(plain, stream, tools, schema, bad_key)
