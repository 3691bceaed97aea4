"""OpenAI's Python client against a running server when something goes wrong: which exception it raises, and that it never raises none.

Every error is also graded by the contract on its way to the client, see `recorder.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletionChunk

from aisa.testing.conformance import check_error
from recorder import recorded_client
from server import Front
from vendor import HELLO as WORDS

HELLO: list[Any] = [{"role": "user", "content": "Hello! Who are you?"}]
LEAVING_SECONDS_MAX = 4.0  # the contract says 0.1; a busy machine needs more; a client that is not noticed by itself is looked for after 5


@pytest.fixture
def client(front: Front) -> Iterator[OpenAI]:
    """A client that takes note of everything it is sent."""
    with recorded_client(front) as calling:
        yield calling


def create(client: OpenAI, model: str = "gpt-4.1", **more: Any) -> Any:
    """Make a call with as little as a call needs."""
    return client.chat.completions.create(**{"model": model, "messages": HELLO} | more)


BAD_REQUESTS = [
    ({"messages": [{"role": 5, "content": "x"}]}, "invalid_parameter_type", "messages[0].role"),
    ({"messages": []}, "invalid_request", "messages"),
    ({"messages": [{"role": "user"}]}, "missing_parameter", "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "missing_parameter", "messages[0].tool_call_id"),
    ({"temperature": "warm"}, "invalid_parameter_type", "temperature"),
    ({"n": 129}, "invalid_request", "n"),
    ({"top_logprobs": 3}, "invalid_request", "top_logprobs"),
    ({"stream_options": {"include_usage": True}}, "invalid_request", "stream_options"),
    ({"tool_choice": "required"}, "invalid_request", "tool_choice"),
    ({"extra_body": {"messages": None}}, "invalid_parameter_type", "messages"),
]


@pytest.mark.parametrize(("wrong", "code", "param"), BAD_REQUESTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_bad_request_is_told_by_field(client: OpenAI, wrong: dict[str, Any], code: str, param: str) -> None:
    """What is wrong with a request, and where, is in the exception; the id is that of the response."""
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, **wrong)
    error = caught.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
    assert error.request_id == error.response.headers["x-request-id"]
    assert error.body["request_id"] == error.request_id  # type: ignore[index] - the client types it as any object


BODIES = [
    (b'{"model": "m", "model": "m", "messages": [{"role": "user", "content": "x"}]}', "json_parse_error"),
    (b'{"model": "m", "messages": [{"role": "user", "content": NaN}]}', "json_parse_error"),
    (b'{"model": "m", "messages": [{"role": "user", "content": "\xff"}]}', "json_parse_error"),
    (b'{"model": "m", "messages": [{"role": "user", "content": "x"}]} {}', "json_parse_error"),
    (b"[" * 100_000, "json_parse_error"),
    (b"", "json_parse_error"),
    (b'{"messages": [{"role": "user", "content": "x"}]}', "missing_parameter"),
]


@pytest.mark.parametrize(("body", "code"), BODIES)
def test_a_body_that_no_client_would_write_is_a_bad_request(front: Front, body: bytes, code: str) -> None:
    """What is not one strict JSON object with the two fields that a call needs is refused as that, not guessed at."""
    headers = {"authorization": f"Bearer {front.server.key}", "content-type": "application/json"}
    response = httpx2.post(f"{front.server.api}/chat/completions", content=body, headers=headers, trust_env=False, verify=False)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
    assert check_error(response.content, response.status_code, response.headers) == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (openai.Omit(), "missing_api_key"),
        ("Bearer sk-aisa-wrong", "invalid_api_key"),
        ("Basic dTpw", "missing_api_key"),
    ],
    ids=["none", "wrong", "basic"],
)
def test_a_bad_key_is_an_authentication_error(client: OpenAI, sent: Any, code: str) -> None:
    """Without a key of this server nothing is answered, and the reason is told."""
    with pytest.raises(openai.AuthenticationError) as caught:
        create(client, extra_headers={"Authorization": sent})
    assert (caught.value.code, caught.value.type) == (code, "authentication_error")


def test_a_revoked_key_stops_working_at_once(front: Front) -> None:
    """A key that has just worked is refused right after its revocation, under a code of its own."""
    key = front.server.aisa("keys", "create", "leaver", "--quiet").strip()
    with recorded_client(front, api_key=key) as client:
        create(client)
        front.server.aisa("keys", "revoke", "leaver")
        with pytest.raises(openai.AuthenticationError) as caught:
            create(client)
    assert caught.value.code == "revoked_api_key"


def test_a_model_that_is_not_on_the_keys_list_is_a_permission_error(front: Front) -> None:
    """A key with an allow-list reaches the models on it, sees no others, and may not call them."""
    key = front.server.aisa("keys", "create", "narrow", "--models", "brief", "--quiet").strip()
    with recorded_client(front, api_key=key) as client:
        create(client, "brief")
        assert [model.id for model in client.models.list()] == ["brief"]
        with pytest.raises(openai.PermissionDeniedError) as caught:
            create(client)
        with pytest.raises(openai.PermissionDeniedError):
            client.models.retrieve("gpt-4.1")
    assert (caught.value.code, caught.value.param) == ("model_not_allowed", "model")


def test_a_model_that_nobody_serves_is_not_found(client: OpenAI) -> None:
    """An unknown name is refused with a hint at a known one, for a call and in the catalogue."""
    with pytest.raises(openai.NotFoundError) as caught:
        create(client, "gpt-41")
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("gpt-41")
    assert (caught.value.code, caught.value.param) == (missing.value.code, missing.value.param) == ("unknown_model", "model")
    assert "gpt-4.1" in caught.value.message


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_more_tokens_than_a_model_writes_are_unprocessable(client: OpenAI, field: str) -> None:
    """A limit of the model is told with the field that breaks it; the limit itself is allowed."""
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        create(client, "brief", **{field: 101})
    assert (caught.value.code, caught.value.param) == ("max_tokens_exceeded", field)
    assert "100" in caught.value.message
    assert create(client, "brief", **{field: 100}).choices


VENDOR_FAILURES = [
    ("local/status-400", openai.BadRequestError, 400, "invalid_request"),
    ("local/status-429", openai.RateLimitError, 429, "upstream_rate_limit"),
    ("local/status-401", openai.InternalServerError, 502, "upstream_unavailable"),
    ("local/status-404", openai.NotFoundError, 404, "unknown_model"),
    ("local/status-500", openai.InternalServerError, 502, "upstream_unavailable"),
    ("local/status-503", openai.InternalServerError, 503, "overloaded"),
    ("local/status-504", openai.InternalServerError, 504, "upstream_timeout"),
    ("impatient", openai.InternalServerError, 504, "upstream_timeout"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("model", "kind", "status", "code"), VENDOR_FAILURES, ids=[case[0] for case in VENDOR_FAILURES])
def test_a_vendor_that_fails_before_it_answers_is_an_exception_of_the_call(
    client: OpenAI, stream: bool, *, model: str, kind: type[openai.APIStatusError], status: int, code: str
) -> None:
    """Streamed or not, the call itself raises what the vendor's failure amounts to; a refused credential of ours is never a 401."""
    with pytest.raises(kind) as caught:
        create(client, model, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    if status in (429, 503):
        assert caught.value.response.headers["retry-after"] == "1"


def test_an_answer_that_is_no_completion_is_an_exception(client: OpenAI) -> None:
    """A program never gets an object without the members that its type promises."""
    with pytest.raises(openai.InternalServerError) as caught:
        create(client, "local/garbage")
    assert (caught.value.status_code, caught.value.code) == (502, "gateway_error")


BROKEN_STREAMS = [
    ("local/error-mid-stream", "overloaded"),
    ("local/cut-mid-stream", "upstream_unavailable"),
    ("local/reset-mid-stream", "upstream_unavailable"),
    ("local/unfinished", "upstream_unavailable"),
]


@pytest.mark.parametrize(("model", "code"), BROKEN_STREAMS)
def test_a_stream_that_fails_raises_after_what_was_said(client: OpenAI, model: str, code: str) -> None:
    """What came before the failure reaches the program, then the failure does: a stream that broke off never just ends."""
    said: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        said += words(create(client, model, stream=True))
    assert said == list(WORDS[:2])
    assert caught.value.code == code
    assert "local" in caught.value.message
    assert caught.value.body["request_id"].startswith("req_")  # type: ignore[index] - the client types it as any object


def words(stream: Stream[ChatCompletionChunk]) -> Iterator[str]:
    """Yield the pieces of text in a stream."""
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def test_the_stream_helper_raises_too(client: OpenAI) -> None:
    """A program that waits for the final completion is told that there is none."""
    with client.chat.completions.stream(model="local/cut-mid-stream", messages=HELLO) as stream, pytest.raises(openai.APIError):
        stream.get_final_completion()


def test_the_client_retries_an_overload_and_gets_its_answer(front: Front) -> None:
    """A vendor that is overloaded once costs a caller with retries nothing but the second that we ask it to wait."""
    with recorded_client(front, max_retries=2) as client:
        assert create(client, "local/once-503").choices[0].message.content == "".join(WORDS)
    assert len(front.vendor.asked("once-503")) == 2


def test_a_fault_of_our_credential_is_not_retried(front: Front) -> None:
    """The client is told that no retry can help, and believes it."""
    before = len(front.vendor.asked("status-403"))
    with recorded_client(front, max_retries=2) as client, pytest.raises(openai.InternalServerError) as caught:
        create(client, "local/status-403")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(front.vendor.asked("status-403")) == before + 1


@pytest.mark.parametrize("model", ["endless", "stall"])
def test_a_client_that_leaves_its_stream_stops_the_vendor(client: OpenAI, front: Front, model: str) -> None:
    """The vendor's connection is closed right after the client's, whether the vendor is talking or silent."""
    with create(client, f"local/{model}", stream=True) as stream:
        next(words(stream))
        (asked,) = front.vendor.asked(model)[-1:]
        assert not asked.gone.is_set()
        left = front.vendor.now()
    assert asked.gone.wait(LEAVING_SECONDS_MAX)
    print(f"the vendor's connection was closed {1000 * (asked.gone_at - left):.1f} ms after the client left")
    assert asked.gone_at - left < LEAVING_SECONDS_MAX
