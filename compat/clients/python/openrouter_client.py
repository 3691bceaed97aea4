"""OpenRouter's own client, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from openrouter import OpenRouter
from openrouter.utils import RetryConfig
from told import *


# settings:
def connect(key=KEY):
    # Without this a request that a server cannot answer is made again for an hour.
    return OpenRouter(api_key=key, server_url=f"{URL}/v1", retry_config=RetryConfig("none", None, False))


# :settings

SAID = [{"role": "user", "content": HELLO}]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Get the weather.", "parameters": ARGUMENTS}}
FORM = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY_SCHEMA, "strict": True}}


def plain():
    return connect().chat.send(model=MODEL, messages=SAID).choices[0].message.content


def stream():
    chunks = list(connect().chat.send(model=MODEL, messages=SAID, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens, chunks[-1]
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def tools():
    asked = [{"role": "user", "content": WEATHER}]
    said = connect().chat.send(model=MODEL, messages=asked, tools=[TOOL]).choices[0].message
    [call] = said.tool_calls
    asked += [said, {"role": "tool", "tool_call_id": call.id, "content": get_weather(**json.loads(call.function.arguments))}]
    return connect().chat.send(model=MODEL, messages=asked, tools=[TOOL]).choices[0].message.content


def schema():
    asked = [{"role": "user", "content": CITY}]
    return json.loads(connect().chat.send(model=MODEL, messages=asked, response_format=FORM).choices[0].message.content)


def responses():
    events = list(connect().beta.responses.send(model=MODEL, input=HELLO, stream=True))
    return connect().beta.responses.send(model=MODEL, input=HELLO).status, events[-1].type


def embeddings():
    return len(connect().embeddings.generate(model=MODEL, input=HELLO).data[0].embedding)


def bad_key():
    connect(BAD_KEY).chat.send(model=MODEL, messages=SAID)


run(plain, stream, tools, schema, responses, embeddings, bad_key)
