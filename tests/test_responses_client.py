"""OpenAI's Python client at `/v1/responses` of a running server, in front of the embedded model and of a vendor of chat completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import APIError, APIStatusError, BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response, ResponseFunctionToolCall
from pydantic import BaseModel

from responses_reading import codex_turn, faults_in
from server import Front

MODEL = "gpt-4.1"
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Forecast(BaseModel):
    """A document that the model is to write."""

    city: str
    degrees: int


@pytest.fixture
def client(front: Front) -> Iterator[OpenAI]:
    """A client that never tries again."""
    with OpenAI(base_url=front.server.api, api_key=front.server.key, max_retries=0) as calling:
        yield calling


def test_a_response_has_its_text_and_its_usage(client: OpenAI) -> None:
    """And says that nothing of it is kept."""
    response = client.responses.create(model=MODEL, input="Hello! Who are you?", instructions="Be brief.", store=True, metadata={"a": "b"})
    assert response.output_text
    assert (response.status, response.store, response.metadata, response.model) == ("completed", False, {"a": "b"}, MODEL)
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0


def test_a_stream_put_together_is_the_response_that_was_not_streamed(client: OpenAI) -> None:
    """By the client's own helper, and from the deltas; the end comes once and last."""
    asked: dict[str, Any] = {"model": MODEL, "input": "Hello! Who are you?", "temperature": 0}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(stream=True, **asked))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert [event.type for event in events].index("response.completed") == len(events) - 1
    with client.responses.stream(**asked) as stream:
        assert stream.get_final_response().output_text == whole.output_text


def test_a_conversation_goes_on_with_the_items_of_the_answer(client: OpenAI) -> None:
    """The client's own objects are given back as they came, the tool's result behind them."""
    conversation: list[Any] = [{"role": "user", "content": "Please call get_weather for Paris."}]
    first = client.responses.create(model=MODEL, input=conversation, tools=[WEATHER], tool_choice="required")
    [call] = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    assert (call.name, "city" in call.arguments) == ("get_weather", True)
    conversation += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    second = client.responses.create(model=MODEL, input=conversation, tools=[WEATHER])
    assert second.output_text


def test_a_call_is_streamed_and_parsed(client: OpenAI) -> None:
    """In a namespace too: the client gets the name that it gave."""
    crew: Any = {"type": "namespace", "name": "crew", "description": "Others.", "tools": [{**WEATHER, "name": "ask"}]}
    with client.responses.stream(model=MODEL, input="Please call ask for Paris.", tools=[crew], tool_choice="required") as stream:
        [call] = stream.get_final_response().output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.namespace, call.name) == ("crew", "ask")


def test_a_schema_is_kept(client: OpenAI) -> None:
    """Whole and streamed, read into the caller's type."""
    parsed = client.responses.parse(model=MODEL, input="The weather in Paris.", text_format=Forecast).output_parsed
    assert isinstance(parsed, Forecast)
    with client.responses.stream(model=MODEL, input="The weather in Paris.", text_format=Forecast) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Forecast)


def test_a_bound_on_the_output_makes_a_response_incomplete(client: OpenAI) -> None:
    """With the reason, and the text up to there."""
    response = client.responses.create(model=MODEL, input="Hello! Who are you?", max_output_tokens=3)
    assert response.incomplete_details is not None
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text


@pytest.mark.parametrize("model", ["local/hello", "local/sloppy"])
def test_the_words_of_a_vendor_of_chat_completions_arrive(client: OpenAI, model: str) -> None:
    """Streamed or not, though its protocol is another."""
    whole: Response = client.responses.create(model=model, input="Hi.")
    with client.responses.stream(model=model, input="Hi.") as stream:
        assert stream.get_final_response().output_text == whole.output_text != ""


def test_failures_are_exceptions_with_words(client: OpenAI, front: Front) -> None:
    """Before the stream with a status of their own, inside it with the vendor's fault told."""
    with pytest.raises(BadRequestError, match="whole conversation"):
        client.responses.create(model=MODEL, input="Hi.", previous_response_id="resp_1")
    with pytest.raises(NotFoundError, match="keep_minutes"):
        client.responses.retrieve("resp_1")
    assert client.responses.input_tokens.count(model=MODEL, input="Hi there.", instructions="Be brief.").input_tokens > 3
    with pytest.raises(APIStatusError) as unknown:
        client.responses.create(model="nobody/nothing", input="Hi.")
    assert (unknown.value.status_code, unknown.value.code) == (404, "model_not_found")
    with pytest.raises(APIError) as cut, client.responses.stream(model="local/cut-mid-stream", input="Hi.") as stream:
        stream.get_final_response()
    assert "broke off" in str(cut.value)


def test_what_arrives_on_the_wire_keeps_the_promises(front: Front) -> None:
    """As bytes, by the longer path and the shorter: what Codex reads is in them."""
    asked = {
        "model": MODEL,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}],
        "stream": True,
    }
    for path in ("/v1/responses", "/responses"):
        answer = httpx2.post(front.server.url + path, json=asked, headers={"authorization": f"Bearer {front.server.key}"}, timeout=30)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert faults_in(answer.content) == []
        items, end = codex_turn(answer.content)
        assert ([item["type"] for item in items], end["type"]) == (["message"], "response.completed")


def test_a_call_with_an_idempotency_key_is_made_and_billed_once(front: Front, client: OpenAI) -> None:
    """The same document again, byte for byte and under the same id; a stream is not sent again, and says where its receipt is."""
    asked: dict[str, Any] = {"model": "priced", "input": "Hi."}
    before = len(front.vendor.requests)
    first, second = (client.responses.with_raw_response.create(**asked, extra_headers={"idempotency-key": "r-1"}) for _ in range(2))
    assert first.content == second.content
    assert (first.headers["x-request-id"], second.headers["idempotent-replayed"]) == (second.headers["x-request-id"], "true")
    with client.responses.stream(**asked, extra_headers={"idempotency-key": "r-2"}) as stream:
        cost = stream.get_final_response().model_dump()["usage"]["cost"]
    assert cost == first.parse().model_dump()["usage"]["cost"] > 0
    with pytest.raises(APIStatusError, match="receipt") as again:
        client.responses.create(**asked, stream=True, extra_headers={"idempotency-key": "r-2"})
    assert (again.value.status_code, len(front.vendor.requests) - before) == (409, 2)
