"""openai (Python), set up by address and key alone. Run by `make clients`, which keeps what it saw in `docs/clients.md`."""

from openai import OpenAI
from pydantic import BaseModel
from told import *


# settings:
def connect(key=KEY):
    return OpenAI(base_url=f"{URL}/v1", api_key=key)


# :settings

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": ARGUMENTS}}


class City(BaseModel):
    name: str
    people: int


def plain():
    return connect().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": HELLO}]).choices[0].message.content


def stream():
    with connect().chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": HELLO}], stream_options={"include_usage": True}
    ) as events:
        final = [event for event in events] and events.get_final_completion()
    assert final.usage.total_tokens
    return final.choices[0].message.content


def tools():
    messages = [{"role": "user", "content": WEATHER}]
    said = connect().chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message
    call = said.tool_calls[0]
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": get_weather(**json.loads(call.function.arguments))}]
    return connect().chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message.content


def schema():
    return (
        connect()
        .chat.completions.parse(model=MODEL, messages=[{"role": "user", "content": CITY}], response_format=City)
        .choices[0]
        .message.parsed
    )


def responses():
    with connect().responses.stream(model=MODEL, input=HELLO) as events:
        return [event for event in events] and events.get_final_response().output_text


def responses_tools():
    tool = {"type": "function", "name": "get_weather", "parameters": ARGUMENTS, "strict": True}
    first = connect().responses.create(model=MODEL, input=WEATHER, tools=[tool])
    [call] = [item for item in first.output if item.type == "function_call"]
    said = [
        {"role": "user", "content": WEATHER},
        *first.output,
        {"type": "function_call_output", "call_id": call.call_id, "output": "Cold."},
    ]
    return connect().responses.create(model=MODEL, input=said, tools=[tool]).output_text


def responses_schema():
    return connect().responses.parse(model=MODEL, input=CITY, text_format=City).output_parsed


def completions():
    return "".join(part.choices[0].text for part in connect().completions.create(model=MODEL, prompt=[HELLO], stream=True) if part.choices)


def embeddings():
    return len(connect().embeddings.create(model=MODEL, input=[HELLO, CITY]).data[1].embedding)


def bad_key():
    connect(BAD_KEY).chat.completions.create(model=MODEL, messages=[{"role": "user", "content": HELLO}])


def models():
    return [model.id for model in connect().models.list()]


run(plain, stream, tools, schema, responses, responses_tools, responses_schema, completions, embeddings, bad_key, models)
