"""google-genai (Python), set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from google import genai
from google.genai import types
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=URL))


# :settings

CLIENT = connect()


class City(BaseModel):
    name: str
    people: int


def plain():
    return CLIENT.models.generate_content(model=MODEL, contents=HELLO).text


def stream():
    parts = list(CLIENT.models.generate_content_stream(model=MODEL, contents=HELLO))
    assert parts[-1].usage_metadata.total_token_count
    return "".join(part.text or "" for part in parts)


def tools():
    answer = CLIENT.models.generate_content(model=MODEL, contents=WEATHER, config=types.GenerateContentConfig(tools=[get_weather]))
    assert len(answer.automatic_function_calling_history) == 3
    return answer.text


def schema():
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    return CLIENT.models.generate_content(model=MODEL, contents=CITY, config=config).parsed


def chat():
    chat = CLIENT.chats.create(model=MODEL)
    return chat.send_message(HELLO).text and chat.send_message(CITY).text


def count():
    return CLIENT.models.count_tokens(model=MODEL, contents=HELLO).total_tokens


def embeddings():
    return len(CLIENT.models.embed_content(model=MODEL, contents=[HELLO, CITY]).embeddings[1].values)


def bad_key():
    client = connect(BAD_KEY)
    client.models.generate_content(model=MODEL, contents=HELLO)


def models():
    return [model.name for model in CLIENT.models.list()]


run(plain, stream, tools, schema, chat, count, embeddings, bad_key, models)
