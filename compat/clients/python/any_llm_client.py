"""any-llm, set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import any_llm
from told import *


# settings:
def connect(key=KEY, provider="openai", path="/v1"):
    return {"model": MODEL, "provider": provider, "api_base": URL + path, "api_key": key}


CONNECTED = (connect(), connect(provider="anthropic", path=""), connect(provider="gemini", path=""))
# :settings

SAID = [{"role": "user", "content": HELLO}]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Get the weather.", "parameters": ARGUMENTS}}
FORM = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY_SCHEMA, "strict": True}}


def plain():
    return [any_llm.completion(**known, messages=SAID).choices[0].message.content for known in CONNECTED]


def stream():
    answers = []
    for known in CONNECTED:
        chunks = any_llm.completion(**known, messages=SAID, stream=True)
        answers.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
    return all(answers) and answers


def tools():
    answers = []
    for known in CONNECTED:
        asked = [{"role": "user", "content": WEATHER}]
        said = any_llm.completion(**known, messages=asked, tools=[TOOL]).choices[0].message
        [call] = said.tool_calls
        asked += [said, {"role": "tool", "tool_call_id": call.id, "content": get_weather(**json.loads(call.function.arguments))}]
        answers.append(any_llm.completion(**known, messages=asked, tools=[TOOL]).choices[0].message.content)
    return answers


def responses():
    events = list(any_llm.responses(**connect(), input_data=HELLO, stream=True))
    return any_llm.responses(**connect(), input_data=HELLO).output_text, len(events)


def schema():
    said = any_llm.completion(**connect(), messages=[{"role": "user", "content": CITY}], response_format=FORM)
    return json.loads(said.choices[0].message.content)


def embeddings():
    return len(any_llm.embedding(**connect(), inputs=HELLO).data[0].embedding)


def models():
    return [model.id for model in any_llm.list_models(provider="openai", api_base=f"{URL}/v1", api_key=KEY)]


def bad_key():
    any_llm.completion(**connect(BAD_KEY), messages=SAID)


run(plain, stream, tools, responses, schema, embeddings, models, bad_key)
