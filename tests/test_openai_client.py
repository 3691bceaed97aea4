"""OpenAI's Python client against a running server: what a program does with answers. Failures are in `test_openai_errors.py`.

Every response in here is also graded by the contract and by OpenAI's schema on its way to the client, see `recorder.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import httpx2
import pytest
from jsonschema import validate
from openai import OpenAI
from pydantic import BaseModel

from recorder import Recorder, RecordingTransport, recorded_client
from server import Front

MODEL = "gpt-4.1"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
WEATHER = {"name": "get_weather", "description": "The weather in a city.", "parameters": PARAMETERS}
TIME = {"name": "get_time", "description": "The time of day.", "parameters": {"type": "object", "properties": {}}}
TOOLS: list[Any] = [{"type": "function", "function": WEATHER}, {"type": "function", "function": TIME}]
NAMED = {"type": "function", "function": {"name": "get_weather"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}


class Forecast(BaseModel):
    """A document that the model is to write."""

    city: str
    sky: Literal["clear", "cloudy"]
    degrees: int
    hours: list[int]


@pytest.fixture
def client(front: Front) -> Iterator[OpenAI]:
    """A client that takes note of everything it is sent."""
    with recorded_client(front) as calling:
        yield calling


def says(content: str) -> list[Any]:
    """Return the messages of a conversation that opens with this."""
    return [{"role": "user", "content": content}]


HELLO = says("Hello! Who are you?")
ASKS_WEATHER = says("Please call get_weather for Paris.")


def test_a_plain_answer_is_a_message_with_its_usage(client: OpenAI) -> None:
    """An answer has text, a reason for its end, and counts that add up."""
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_a_stream_put_together_is_the_answer_that_was_not_streamed(client: OpenAI) -> None:
    """The same request says the same, streamed or not."""
    asked: dict[str, Any] = {"model": MODEL, "messages": HELLO, "seed": 7}
    answer = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(stream=True, **asked))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == answer.choices[0].message.content
    assert len(chunks) > 3


@pytest.mark.parametrize("model", ["local/hello", "local/sloppy"])
def test_the_words_of_a_vendor_arrive_as_it_sent_them(client: OpenAI, model: str) -> None:
    """Nothing is added to what the vendor says, lost or joined, streamed or not, and what a sloppy one leaves out is supplied."""
    answer = client.chat.completions.create(model=model, messages=HELLO)
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True))
    assert answer.choices[0].message.content == "Hello from the vendor."
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hello", " from", " the", " vendor", ".", None]


def test_the_stream_helper_tells_events_and_the_whole_completion(client: OpenAI) -> None:
    """The helper sees every piece of text, its end, and a completion that is put together from them."""
    with client.chat.completions.stream(model=MODEL, messages=HELLO, stream_options={"include_usage": True}) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    deltas = [event.delta for event in events if event.type == "content.delta"]
    done = [event.content for event in events if event.type == "content.done"]
    assert "".join(deltas) == done[0] == final.choices[0].message.content
    assert final.usage is not None
    assert final.usage.completion_tokens > 0


@pytest.mark.parametrize("choice", ["auto", "required", NAMED, ALLOWED], ids=["auto", "required", "named", "allowed"])
def test_a_tool_is_called_with_arguments_that_fit_its_schema(client: OpenAI, choice: Any) -> None:
    """Whichever way a tool is asked for, streamed or not, the call names it, and its arguments are a document of its schema."""
    asked: Any = {"model": MODEL, "messages": ASKS_WEATHER, "tools": TOOLS, "tool_choice": choice}
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion()
    for answer in (client.chat.completions.create(**asked), streamed):
        (call,) = answer.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "get_weather"
        validate(json.loads(call.function.arguments), PARAMETERS)
        assert answer.choices[0].finish_reason == ("stop" if choice is NAMED else "tool_calls")


def test_no_tool_is_called_when_none_is_wanted(client: OpenAI) -> None:
    """`tool_choice` none gets text, whatever the prompt says."""
    answer = client.chat.completions.create(model=MODEL, messages=ASKS_WEATHER, tools=TOOLS, tool_choice="none")
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


def test_two_streamed_tool_calls_are_told_apart_by_the_client(client: OpenAI) -> None:
    """The client's helper finds two calls in one stream, tells their arguments as they grow, and parses both."""
    asked = says("Please call get_weather for Paris and then get_time.")
    with client.chat.completions.stream(model=MODEL, messages=asked, tools=TOOLS, tool_choice="required") as stream:
        events = list(stream)
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert final.choices[0].finish_reason == "tool_calls"
    for place, call in enumerate(calls):
        grown = [event for event in events if event.type == "tool_calls.function.arguments.delta" and event.index == place]
        assert "".join(event.arguments_delta for event in grown) == call.function.arguments
    validate(json.loads(calls[0].function.arguments), PARAMETERS)
    assert json.loads(calls[1].function.arguments) == {}


def test_a_conversation_with_a_tool_ends_in_text(client: OpenAI) -> None:
    """The client's own message objects, sent back with the tool's result, are understood and answered in words."""
    first = client.chat.completions.create(model=MODEL, messages=ASKS_WEATHER, tools=TOOLS).choices[0].message
    (call,) = first.tool_calls or []
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'}
    second = client.chat.completions.create(model=MODEL, messages=[*ASKS_WEATHER, first, result], tools=TOOLS).choices[0]
    assert second.finish_reason == "stop"
    assert second.message.content


@pytest.mark.parametrize("choice", ["auto", {"name": "get_weather"}], ids=["auto", "named"])
def test_a_legacy_function_is_called(client: OpenAI, choice: Any) -> None:
    """The older form of tools is answered in the older form."""
    answer = client.chat.completions.create(model=MODEL, messages=ASKS_WEATHER, functions=[WEATHER], function_call=choice)  # type: ignore[list-item] - a constant dict
    call = answer.choices[0].message.function_call
    assert call is not None
    assert call.name == "get_weather"
    validate(json.loads(call.arguments), PARAMETERS)
    assert answer.choices[0].finish_reason == "function_call"


def test_a_streamed_legacy_function_call_adds_up(client: OpenAI) -> None:
    """The fragments of the older form have the name once, and arguments that join to a document."""
    asked: Any = {"model": MODEL, "messages": ASKS_WEATHER, "functions": [WEATHER], "stream": True}
    chunks = list(client.chat.completions.create(**asked))
    calls = [chunk.choices[0].delta.function_call for chunk in chunks if chunk.choices[0].delta.function_call]
    assert [call.name for call in calls if call.name] == ["get_weather"]
    validate(json.loads("".join(call.arguments or "" for call in calls)), PARAMETERS)
    assert chunks[-1].choices[0].finish_reason == "function_call"


def test_a_document_of_a_type_is_parsed_into_it(client: OpenAI) -> None:
    """What `parse` asks for as a JSON schema comes back as an object of the class."""
    answer = client.chat.completions.parse(model=MODEL, messages=says("A forecast for Paris."), response_format=Forecast)
    assert isinstance(answer.choices[0].message.parsed, Forecast)


def test_a_streamed_document_of_a_type_is_parsed_into_it(client: OpenAI) -> None:
    """The helper parses the same while it arrives."""
    with client.chat.completions.stream(model=MODEL, messages=says("A forecast for Paris."), response_format=Forecast) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Forecast)


def test_log_probabilities_tell_every_token_and_its_rivals(client: OpenAI) -> None:
    """The tokens told are the text, each with as many alternatives as were asked for, the likeliest first."""
    choice = client.chat.completions.create(model=MODEL, messages=HELLO, logprobs=True, top_logprobs=5).choices[0]
    assert choice.logprobs is not None
    told = choice.logprobs.content or []
    assert "".join(token.token for token in told) == choice.message.content
    for token in told:
        likely = [rival.logprob for rival in token.top_logprobs]
        assert len(likely) == 5
        assert likely == sorted(likely, reverse=True)


def test_streamed_log_probabilities_are_collected_by_the_client(client: OpenAI) -> None:
    """The helper has the same tokens in the end as were streamed."""
    with client.chat.completions.stream(model=MODEL, messages=HELLO, logprobs=True, top_logprobs=2) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.logprobs is not None
    assert "".join(token.token for token in final.logprobs.content or []) == final.message.content


def test_several_choices_are_numbered(client: OpenAI) -> None:
    """Two choices that were asked for are two answers, streamed or not."""
    asked: Any = {"model": MODEL, "messages": HELLO, "n": 2, "seed": 3}
    answer = client.chat.completions.create(**asked)
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(stream=True, **asked):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert texts == {choice.index: choice.message.content for choice in answer.choices}


def test_a_stop_sequence_ends_the_text_before_itself(client: OpenAI) -> None:
    """The text ends where the sequence would have begun, and does not hold it, streamed or not."""
    asked: Any = {"model": MODEL, "messages": HELLO, "seed": 11}
    whole = client.chat.completions.create(**asked).choices[0].message.content or ""
    word = whole.split()[3]
    cut = client.chat.completions.create(stop=[word, "never said"], **asked).choices[0]
    chunks = list(client.chat.completions.create(stop=word, stream=True, **asked))
    assert cut.message.content == "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.partition(word)[0]
    assert cut.finish_reason == chunks[-1].choices[0].finish_reason == "stop"


def test_a_limit_of_tokens_ends_the_text_and_says_so(client: OpenAI) -> None:
    """The reason for such an end is `length`, and the count is the limit."""
    asked: Any = {"model": MODEL, "messages": HELLO, "max_completion_tokens": 3}
    answer = client.chat.completions.create(**asked)
    *_, last = client.chat.completions.create(stream=True, **asked)
    assert answer.choices[0].finish_reason == last.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize("model", [MODEL, "local/hello"])
def test_usage_comes_last_in_a_stream_that_asks_for_it(client: OpenAI, model: str) -> None:
    """The last chunk has the counts and no choices; without being asked for there is none."""
    asked: Any = {"model": model, "messages": HELLO, "stream": True}
    chunks = list(client.chat.completions.create(stream_options={"include_usage": True}, **asked))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert [chunk for chunk in chunks[:-1] if chunk.usage] == []
    assert [chunk for chunk in client.chat.completions.create(**asked) if chunk.usage or not chunk.choices] == []


def test_usage_tells_the_cost_of_a_model_with_a_price(client: OpenAI) -> None:
    """Eleven tokens at two dollars a million and five at eight cost 62 millionths of a dollar, streamed or not."""
    asked: Any = {"model": "priced", "messages": HELLO}
    chunks = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **asked))
    for usage in (client.chat.completions.create(**asked).usage, chunks[-1].usage):
        assert usage is not None
        assert usage.to_dict()["cost"] == 0.000062


def test_the_raw_response_has_the_request_id_and_a_type(client: OpenAI) -> None:
    """The id in the header is the one that the client offers for support, and it differs from call to call."""
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    other = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert raw.headers["x-request-id"] == raw.request_id == raw.parse()._request_id
    assert raw.headers["content-type"] == "application/json"
    assert (raw.request_id or "").startswith("req_")
    assert other._request_id != raw.request_id


def test_a_streaming_response_is_read_as_it_comes(client: OpenAI) -> None:
    """The client's access to the bare lines works, and a stream has the type and the id in its head."""
    asked: Any = {"model": MODEL, "messages": HELLO, "stream": True}
    with client.chat.completions.with_streaming_response.create(**asked) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-request-id"].startswith("req_")
    assert lines[-1] == "data: [DONE]"


def test_models_are_listed_and_each_can_be_looked_up(client: OpenAI) -> None:
    """Every name in the list leads to the model of that name."""
    names = [model.id for model in client.models.list()]
    assert {"gpt-4.1", "brief", "impatient", "priced"} <= set(names)
    assert [client.models.retrieve(name).id for name in names] == names


def test_the_vendor_gets_our_credential_and_fields_that_we_do_not_know(client: OpenAI, front: Front) -> None:
    """The caller's key stays here, and a field of tomorrow is carried as it came."""
    asked: Any = {"model": "local/echo", "messages": HELLO, "extra_body": {"tomorrow": {"a": [1, None]}}}
    echoed = json.loads(client.chat.completions.create(**asked).choices[0].message.content or "")
    assert echoed["headers"]["authorization"] == "Bearer vendor-secret"
    assert echoed["body"] == {"model": "echo", "messages": HELLO, "tomorrow": {"a": [1, None]}}
    assert front.server.key not in json.dumps(echoed)


def test_calls_in_a_row_share_a_connection_to_the_vendor(client: OpenAI, front: Front) -> None:
    """After the first of several calls, streamed or not, no further connection is opened, and the one there is stays open."""
    opened = []
    for stream in (False, True) * 3:
        list(client.chat.completions.create(model="local/hello", messages=HELLO, stream=stream))  # reads a stream to its end
        opened.append(len(front.vendor.connections))
    assert len(set(opened)) == 1
    assert any(connection.closed_at is None for connection in front.vendor.connections)


def test_the_recorder_sees_a_bad_answer(front: Front) -> None:
    """What every other test here relies on notices a vendor that keeps neither the contract nor the schema."""
    recorder = Recorder()
    with OpenAI(
        base_url=front.vendor.url, api_key="x", http_client=httpx2.Client(transport=RecordingTransport(recorder), trust_env=False)
    ) as direct:
        direct.chat.completions.create(model="garbage", messages=HELLO)
        list(direct.chat.completions.create(model="unfinished", messages=HELLO, stream=True))
    assert len(recorder.bodies) == 2
    assert any("'hello' is not of type 'object'" in fault for fault in recorder.faults)
    assert any("a stream ends with [DONE]" in fault for fault in recorder.faults)
