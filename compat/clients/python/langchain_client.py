"""LangChain (Python), set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return [
        ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=key),
        ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=key, use_responses_api=True),
        ChatAnthropic(model=MODEL, base_url=URL, api_key=key),
        ChatGoogleGenerativeAI(model=MODEL, base_url=URL, api_key=key),
    ]


# :settings


class City(BaseModel):
    """A city."""

    name: str
    people: int


def plain():
    return [model.invoke(HELLO).text for model in connect()]


def stream():
    return ["".join(part.text for part in model.stream(HELLO)) for model in connect()]


def tools():
    answers = []
    for model in connect():
        bound = model.bind_tools([get_weather])
        said = bound.invoke(WEATHER)
        [call] = said.tool_calls
        result = {"role": "tool", "tool_call_id": call["id"], "content": get_weather(**call["args"])}
        answers.append(bound.invoke([{"role": "user", "content": WEATHER}, said, result]).text)
    return all(answers) and answers


def schema():
    return [model.with_structured_output(City).invoke(CITY) for model in connect()]


def embeddings():
    return len(
        OpenAIEmbeddings(model="text-embedding-3-small", base_url=f"{URL}/v1", api_key=KEY, check_embedding_ctx_length=False).embed_query(
            HELLO
        )
    )


def bad_key():
    connect(BAD_KEY)[0].invoke(HELLO)


run(plain, stream, tools, schema, embeddings, bad_key)
