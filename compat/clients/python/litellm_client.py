"""LiteLLM (library), set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY, vendor="openai", path="/v1"):
    return {"model": f"{vendor}/{MODEL}", "api_base": URL + path, "api_key": key}


CONNECTED = (connect(), connect(vendor="anthropic", path=""), connect(vendor="gemini", path=f"/v1beta/models/{MODEL}"))
# :settings

SAID = [{"role": "user", "content": HELLO}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": ARGUMENTS}}


class City(BaseModel):
    name: str
    people: int


def plain():
    return [litellm.completion(**known, messages=SAID).choices[0].message.content for known in CONNECTED]


def stream():
    return [
        "".join(part.choices[0].delta.content or "" for part in litellm.completion(**known, messages=SAID, stream=True))
        for known in CONNECTED
    ]


def tools():
    answers = []
    for known in CONNECTED:
        asked = [{"role": "user", "content": WEATHER}]
        said = litellm.completion(**known, messages=asked, tools=[TOOL]).choices[0].message
        [call] = said.tool_calls
        asked += [said, {"role": "tool", "tool_call_id": call.id, "content": get_weather(**json.loads(call.function.arguments))}]
        answers.append(litellm.completion(**known, messages=asked, tools=[TOOL]).choices[0].message.content)
    return answers


def responses():
    return litellm.responses(**connect(), input=HELLO).output[0].content[0].text


def schema():
    said = [{"role": "user", "content": CITY}]
    return [
        City.model_validate_json(litellm.completion(**known, messages=said, response_format=City).choices[0].message.content)
        for known in CONNECTED
    ]


def embeddings():
    return len(litellm.embedding(**connect(), input=[HELLO]).data[0]["embedding"])


def bad_key():
    litellm.completion(**connect(BAD_KEY), messages=SAID)


run(plain, stream, tools, responses, schema, embeddings, bad_key)
