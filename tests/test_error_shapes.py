"""A failure inside an answer with status 200 is the same failure in every dialect, whichever shape it has and wherever it stands.

Behind one address there may be a gateway, a proxy or another vendor, each with a shape of its own.
"""

from __future__ import annotations

import json
import tracemalloc
from types import ModuleType
from typing import Any

import pytest

from aisa.errors import CALLER, UpstreamFailed
from aisa.providers import anthropic, bedrock, cohere, gemini, mistral, openai, responses
from aisa.providers.shape import Decoder, Target
from aisa.wire.chat import parse_chat

STREAMED = (anthropic, cohere, gemini, mistral, openai, responses)
DIALECTS = (*STREAMED, bedrock)
RATE, LONG = "upstream_rate_limit", "context_length_exceeded"
#: What a vendor, a gateway or a proxy says, and what that is.
SHAPES: dict[str, tuple[Any, str]] = {
    "an object": ({"error": {"type": "rate_limit_error", "message": "slow down"}}, RATE),
    "a text": ({"error": "Too many requests"}, RATE),
    "a type": ({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}, RATE),
    "a type and no object": ({"type": "error", "message": "Too many requests"}, RATE),
    "a type and a code": ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, RATE),
    "a message and a code": ({"message": "Too many requests", "code": 429}, RATE),
    "a code that is a word": ({"code": "Throttling", "message": "slow", "request_id": "1"}, RATE),
    "a detail": ({"detail": "Rate limit exceeded"}, RATE),
    "a list": ({"errors": [{"message": "Rate limit exceeded", "code": 1000}]}, RATE),
    "a base_resp": ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, RATE),
    "an array": ([{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}], RATE),
    "an object that says so": ({"object": "error", "message": "prompt is too long: 9 tokens > 8 maximum", "code": 400}, LONG),
}
NOT_UNDERSTOOD = "The vendor 'acme' sent an answer that could not be understood."
shapes = pytest.mark.parametrize("shape", SHAPES)
#: What each dialect's streams begin with, up to the first word.
BEGUN: dict[str, list[dict[str, Any]]] = {
    "anthropic": [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 2}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    ],
    "gemini": [{"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "index": 0}]}],
    "cohere": [
        {"type": "message-start", "id": "c1"},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}},
    ],
    "responses": [
        {"type": "response.created", "response": {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hi"},
    ],
}
CHUNKS = [{"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}]


def decoder_of(dialect: ModuleType, *, stream: bool, protocol: str = "openai") -> Decoder:
    """What reads an answer of a dialect for a chat client, or for one of another protocol."""
    chat = parse_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "stream": stream}).encode())
    decoder: Decoder = dialect.decoder(chat, Target("acme", "m-1", dialect.NAME), call_id="1", created=1, protocol=protocol)
    return decoder


def failure_of(decoder: Decoder, arrival: list[bytes]) -> UpstreamFailed:
    """How an answer failed."""
    for data in arrival:
        decoder.feed(data)
        if decoder.failure is not None:
            return decoder.failure
    decoder.end()
    assert decoder.failure is not None, "it did not fail"
    return decoder.failure


@pytest.mark.parametrize("begun", [b'{"x":"', b'[{"x":"', b' {"x":"'])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.NAME)
def test_what_is_held_of_a_body_that_is_no_stream_counts(dialect: ModuleType, begun: bytes) -> None:
    """[fault S7] Of each such call 64 MiB were held outside `stream.large_events_bytes_max`."""
    decoder = decoder_of(dialect, stream=True)
    for data in (begun, *[b"y" * 100_000] * 3):
        decoder.feed(data)
    assert (decoder.failure, 300_000 <= decoder.held_bytes <= 300_000 + len(begun)) == (None, True)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.NAME)
def test_nothing_is_held_of_blanks_in_front_of_a_body(dialect: ModuleType) -> None:
    """[fault S7] They were kept without a bound, and copied at each read: 30 MB of them cost 12 s of CPU."""
    said, code = SHAPES["an object"]
    body = json.dumps(said).encode()
    tracemalloc.start()
    try:
        decoder = decoder_of(dialect, stream=True)
        for _ in range(50):
            decoder.feed(b" \r\n\t" * 25_000)
            assert decoder.held_bytes == 0
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000
    assert failure_of(decoder, [body[:1], body[1:]]).error.code == code


@pytest.mark.parametrize("dialect", STREAMED, ids=lambda dialect: dialect.NAME)
def test_a_byte_order_mark_in_front_of_a_body_says_nothing_however_it_is_cut(dialect: ModuleType) -> None:
    """With blanks around it, too."""
    said, code = SHAPES["an object"]
    body = b" \xef\xbb\xbf \n" + json.dumps(said).encode()
    for cut in range(8):
        assert failure_of(decoder_of(dialect, stream=True), [body[:cut], body[cut : cut + 1], body[cut + 1 :]]).error.code == code


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.NAME)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
@shapes
def test_an_error_in_place_of_an_answer_is_what_it_says(dialect: ModuleType, shape: str, stream: bool) -> None:
    """Where a stream was asked too, and not only that something broke off: whose fault it is, and whether waiting helps."""
    said, code = SHAPES[shape]
    body = json.dumps(said).encode()
    for arrival in ([body], [body[:1], body[1:]]):
        failure = failure_of(decoder_of(dialect, stream=stream), arrival)
        assert failure.error.code == code
        assert (failure.blame == CALLER) == (code == LONG)


#: What is answered at an address that is none of the API's.
OTHERS = {
    "a page": b"<!doctype html>\n<html>\n\n<body>Welcome: all</body>\n\n</html>\n",
    "text": b"data center is up\nerror: none\n",
    "a word": b"ok",
    "a number": b"12",
    "nothing": b"",
    "blanks": b" \n",
    "an array of nothing": b"[]",
    "an event of nothing": b"event: ping\n\n",
    "comments": b": hello\n\n: hello\n\n",
}


@pytest.mark.parametrize("protocol", ["openai", "its own"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.NAME)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_answer_was_not_broken_off(dialect: ModuleType, other: str, protocol: str, *, stream: bool) -> None:
    """A stream was said to be incomplete of which nothing was sent; whole and byte by byte."""
    for arrival in ([OTHERS[other]] if OTHERS[other] else [], [bytes([byte]) for byte in OTHERS[other]]):
        decoder = decoder_of(dialect, stream=stream, protocol=dialect.NAME if protocol == "its own" else protocol)
        failure = failure_of(decoder, arrival)
        assert "broke off" not in failure.error.message
        if not (dialect is bedrock and other == "an array of nothing"):  # which is a refusal without words
            assert (failure.error.code, failure.error.message) == ("gateway_error", NOT_UNDERSTOOD)


@pytest.mark.parametrize("protocol", ["openai", "its own"])
@pytest.mark.parametrize("dialect", STREAMED, ids=lambda dialect: dialect.NAME)
def test_a_stream_that_has_begun_was_broken_off(dialect: ModuleType, protocol: str) -> None:
    """Behind whichever event, and within the first."""
    begun = [f"data: {json.dumps(event)}\n\n".encode() for event in BEGUN.get(dialect.NAME, CHUNKS)]
    for arrival in ([b"".join(begun[: last + 1])] for last in range(len(begun))):
        decoder = decoder_of(dialect, stream=True, protocol=dialect.NAME if protocol == "its own" else protocol)
        assert "broke off" in failure_of(decoder, arrival).error.message


@pytest.mark.parametrize("dialect", [cohere, gemini, responses], ids=lambda dialect: dialect.NAME)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_a_document_of_something_else_was_not_broken_off(dialect: ModuleType, *, stream: bool) -> None:
    """An object that shows nothing of an answer."""
    assert failure_of(decoder_of(dialect, stream=stream), [b"{}"]).error.message == NOT_UNDERSTOOD


@pytest.mark.parametrize("dialect", STREAMED, ids=lambda dialect: dialect.NAME)
@pytest.mark.parametrize("place", ["first", "in the middle"])
@pytest.mark.parametrize("name", ["", "event: error\n", "event: message\n"], ids=["no name", "error", "message"])
@shapes
def test_an_error_as_an_event_is_what_it_says(dialect: ModuleType, shape: str, place: str, name: str) -> None:
    """Whatever the event is called, at the beginning of a stream and behind its first word, and byte by byte."""
    said, code = SHAPES[shape]
    begun = BEGUN.get(dialect.NAME, CHUNKS) if place != "first" else []
    stream = ("".join(f"data: {json.dumps(event)}\n\n" for event in begun) + f"{name}data: {json.dumps(said)}\n\n").encode()
    for arrival in ([stream], [bytes([byte]) for byte in stream]):
        assert failure_of(decoder_of(dialect, stream=True), arrival).error.code == code


@pytest.mark.parametrize("dialect", [anthropic, responses, gemini], ids=lambda dialect: dialect.NAME)
@shapes
def test_clients_of_the_same_protocol_are_told_the_same(dialect: ModuleType, shape: str) -> None:
    """What passes is looked at as closely as what is translated."""
    said, code = SHAPES[shape]
    for stream in (True, False):
        for body in [json.dumps(said)] + ([f"data: {json.dumps(said)}\n\n"] if stream else []):
            decoder = decoder_of(dialect, stream=stream, protocol=dialect.NAME)
            assert failure_of(decoder, [body.encode()]).error.code == code
