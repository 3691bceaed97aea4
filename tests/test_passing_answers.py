"""Answers that pass to a door of their vendor's protocol: read quickly they are what they are read slowly, whatever they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Part, Piece, Text
from aisa.providers import anthropic, responses
from aisa.providers.shape import Decoder, Target, told
from aisa.wire.messages import MessagesRequest
from aisa.wire.responses import parse_responses
from repeats import repeats

Json = dict[str, Any]
COUNT = st.integers(0, 2_000)
WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["", " w1", "é", '"', "\\", "\n", "\x7f", "😀"])
CLAUDE, GPT = Target("anthropic", "m-1", "anthropic", public="shown"), Target("acme", "m-1", "responses", public="shown")


def message_decoder(*, stream: bool, protocol: str = "anthropic") -> Decoder:
    """What reads an answer of Anthropic's."""
    body = {"model": "m", "max_tokens": 5_000, "stream": stream, "messages": [{"role": "user", "content": "Hi."}]}
    return anthropic.decoder(MessagesRequest(json.dumps(body).encode()), CLAUDE, call_id="req_1", created=1, protocol=protocol)


def response_decoder(*, stream: bool, protocol: str = "responses") -> Decoder:
    """What reads an answer of the Responses API."""
    body = json.dumps({"model": "m", "input": "Hi.", "stream": stream}).encode()
    return responses.decoder(parse_responses(body), GPT, call_id="req_1", created=1, protocol=protocol)


def seen(decoder: Decoder, body: bytes) -> Any:
    """All that the path asks of a document, and what the client gets."""
    decoder.feed(body)
    decoder.end()
    if decoder.failure is not None:
        return decoder.failure.error.code
    [piece] = decoder.closing("0.25")
    assert isinstance(piece, Piece)
    usage = decoder.usage()
    return (
        json.loads(piece.data),
        usage,
        told(decoder),
        decoder.choices_made,
        decoder.done,
        decoder.usage_fault(usage),
        list(decoder.unknown),
    )


MESSAGE_USAGE = st.fixed_dictionaries(
    {"input_tokens": COUNT, "output_tokens": COUNT},
    optional={
        "cache_read_input_tokens": st.none() | COUNT,
        "cache_creation_input_tokens": st.sampled_from([None, 0, 7]),
        "cache_creation": st.sampled_from(
            [None, {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, {"ephemeral_1h_input_tokens": 5}]
        ),
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": COUNT}),
        "service_tier": st.sampled_from([None, "standard", "priority", "batch"]),
        "speed": st.sampled_from([None, "standard", "fast"]),
        "server_tool_use": st.sampled_from([None, {"web_search_requests": 2}]),
        "inference_geo": st.sampled_from([None, "us"]),
    },
)
MESSAGE = st.fixed_dictionaries(
    {
        "id": st.just("msg_1"),
        "type": st.just("message"),
        "role": st.just("assistant"),
        "model": st.just("m-1"),
        "content": st.lists(
            st.builds(lambda text: {"type": "text", "text": text}, WORD)
            | st.builds(lambda given: {"type": "tool_use", "id": "t", "name": "f", "input": given}, st.dictionaries(WORD, WORD, max_size=2))
            | st.just({"type": "thinking", "thinking": "Hm.", "signature": "s"}),
            max_size=3,
        ),
        "stop_reason": st.sampled_from(["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal", "pause_turn"]),
        "stop_sequence": st.sampled_from([None, "x"]),
        "usage": MESSAGE_USAGE,
    }
)


@settings(deadline=None, max_examples=repeats(200))
@given(MESSAGE)
def test_a_message_is_read_quickly_as_it_is_read_slowly(message: Json) -> None:
    """A member that nobody knows makes no difference but to the way: same bill, same tier, same document."""
    quick = seen(message_decoder(stream=False), json.dumps(message).encode())
    slow = seen(message_decoder(stream=False), json.dumps(message | {"hologram": 1}).encode())
    if isinstance(slow, tuple):
        del slow[0]["hologram"]
    assert quick == slow


PART = st.builds(lambda text: {"type": "output_text", "text": text, "annotations": [], "logprobs": []}, WORD)
RESPONSE_USAGE = st.builds(
    lambda taken, made, off, **more: {"input_tokens": taken, "output_tokens": made, "total_tokens": taken + made + off, **more},
    COUNT,
    COUNT,
    st.sampled_from([0, 0, 0, 3]),
    input_tokens_details=st.sampled_from(
        [None, {"cached_tokens": 0}, {"cached_tokens": 3, "cache_write_tokens": 0}, {"cache_write_tokens": 2}]
    ),
    output_tokens_details=st.sampled_from([None, {"reasoning_tokens": 0}, {"reasoning_tokens": 4}]),
)
RESPONSE = st.fixed_dictionaries(
    {
        "id": st.just("resp_1"),
        "object": st.just("response"),
        "created_at": st.just(1),
        "model": st.just("m-1"),
        "status": st.sampled_from(["completed", "completed", "incomplete"]),
        "incomplete_details": st.none(),
        "error": st.none(),
        "store": st.booleans(),
        "service_tier": st.sampled_from([None, "default", "flex"]),
        "output": st.lists(
            st.builds(
                lambda number, parts: {"id": f"m{number}", "type": "message", "role": "assistant", "status": "completed", "content": parts},
                st.integers(0, 99),
                st.lists(PART, max_size=2),
            )
            | st.builds(
                lambda number, text: {
                    "id": f"c{number}", "type": "function_call", "status": "completed", "call_id": "c", "name": "f", "arguments": text
                },
                st.integers(0, 99),
                WORD,
            )
            | st.just({"id": "rs", "type": "reasoning", "summary": []}),
            max_size=3,
            unique_by=lambda item: item["id"],
        ),
        "usage": RESPONSE_USAGE,
    }
)  # fmt: skip


@settings(deadline=None, max_examples=repeats(200))
@given(RESPONSE)
def test_a_response_is_read_quickly_as_it_is_read_slowly(response: Json) -> None:
    """Uses of the vendor's tools, of which there are none, make no difference but to the way."""
    quick = seen(response_decoder(stream=False), json.dumps(response).encode())
    slow = seen(response_decoder(stream=False), json.dumps(response | {"tool_usage": {}}).encode())
    if isinstance(slow, tuple):
        del slow[0]["tool_usage"]
    assert quick == slow


# Streams: the events of a run pass without being read, each counted


def message_stream(words: Sequence[str]) -> list[bytes]:
    """A stream of Anthropic's."""
    head = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "shown",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    events: list[Json] = [
        {"type": "message_start", "message": {**head, "usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": len(words)}},
        {"type": "message_stop"},
    ]
    return [framed(event) for event in events]


def numbered(event: Json, number: int) -> Json:
    """An event with its number, as OpenAI writes it: behind everything."""
    return {**event, "sequence_number": number}


def numbered_early(event: Json, number: int) -> Json:
    """The same behind its type, and no padding."""
    rest = {name: value for name, value in event.items() if name not in ("type", "obfuscation")}
    return {"type": event["type"], "sequence_number": number, **rest}


def numbered_by_threes(event: Json, number: int) -> Json:
    """Events of which some are missing."""
    return {**event, "sequence_number": 3 * number}


def without_numbers(event: Json, _: int) -> Json:
    """Events as other servers write them."""
    return event


def response_stream(words: Sequence[str], told: Callable[[Json, int], Json] = numbered, rest: str = "") -> list[bytes]:
    """A stream of OpenAI's, with its padding. `rest` is what only its end says."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    whole = {"type": "output_text", "text": "".join(words) + rest, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [whole]}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "shown", "status": "in_progress", "output": []}
    used = {"input_tokens": 9, "output_tokens": len(words), "total_tokens": 9 + len(words)}
    events: list[Json] = [
        {"type": "response.created", "response": head},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **where, "part": {**whole, "text": ""}},
        *[
            {"type": "response.output_text.delta", **where, "delta": word, "logprobs": [], "obfuscation": "aZ0" * (len(word) % 3)}
            for word in words
        ],
        {"type": "response.output_text.done", **where, "text": whole["text"]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**head, "status": "completed", "output": [item], "usage": used}},
    ]
    return [framed(told(event, number)) for number, event in enumerate(events)]


def with_spaces(event: bytes) -> bytes:
    """The same event in other bytes, which nobody expects: it is read for itself."""
    name, data = event.removesuffix(b"\n\n").split(b"\ndata: ")
    return name + b"\ndata: " + json.dumps(json.loads(data)).encode() + b"\n\n"


def framed(event: Json) -> bytes:
    """An event with its name."""
    return f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


def fed(decoder: Decoder, reads: Sequence[bytes]) -> list[Part]:
    """What a decoder gives for these reads, without its end."""
    parts: list[Part] = []
    for data in reads:
        parts += decoder.feed(data)
    assert decoder.failure is None
    return parts


def cut(stream: bytes, ends: Sequence[int]) -> list[bytes]:
    """A stream in several reads."""
    places = sorted({0, len(stream), *[end % len(stream) for end in ends]})
    return [stream[begin:end] for begin, end in pairwise(places)]


SPEECHES: dict[str, Any] = {
    "anthropic": (message_stream, message_decoder),
    "responses": (response_stream, response_decoder),
    "responses numbered early": (partial(response_stream, told=numbered_early), response_decoder),
    "responses numbered by threes": (partial(response_stream, told=numbered_by_threes), response_decoder),
    "responses without numbers": (partial(response_stream, told=without_numbers), response_decoder),
}


@pytest.mark.parametrize("name", SPEECHES)
@settings(deadline=None, max_examples=repeats(150))
@given(words=st.lists(WORD.filter(bool), min_size=1, max_size=12), ends=st.lists(st.integers(0, 10_000), max_size=8), runs=st.booleans())
def test_a_stream_passes_whole_and_every_word_is_counted_as_if_it_had_been_read(
    name: str, words: list[str], ends: list[int], runs: bool
) -> None:
    """However it is cut and numbered: the same bytes, the same tokens after each event, the same bill as where each word is read."""
    write, decoder_of = SPEECHES[name]
    events = write(words * 3 if runs else words)
    whole = b"".join(events)
    passing, reading = decoder_of(stream=True), decoder_of(stream=True, protocol="openai")
    pieces = [part for part in fed(passing, cut(whole, ends)) if isinstance(part, Piece)]
    texts = [part for part in fed(reading, [*map(with_spaces, events)]) if isinstance(part, Text)]
    held = 2 if name == "anthropic" else 1  # the end waits for the bill
    assert b"".join([piece.data for piece in pieces]) == b"".join(events[:-held])
    shown = [after - before for piece in pieces for before, after in zip((0, *piece.counts), piece.counts or (piece.tokens,), strict=False)]
    counted = [part.tokens for part in texts]
    assert [tokens for tokens in shown if tokens] == [tokens for tokens in counted if tokens]
    assert (passing.usage(), passing.done) == (reading.usage(), reading.done)
    assert passing.tokens == reading.tokens == sum(counted)


@pytest.mark.parametrize("protocol", ["responses", "openai"])
@pytest.mark.parametrize("alone", [True, False])
def test_what_was_left_out_of_the_pieces_is_counted_where_it_is_told(protocol: str, alone: bool) -> None:
    """Behind words of several bytes a character, alone or in one read, no character of the rest is taken for told."""
    words, rest = ["één ", "één ", "één ", "één ", "één "], "zon"
    events = response_stream(words, rest=rest)
    quick, slow = response_decoder(stream=True, protocol=protocol), response_decoder(stream=True, protocol=protocol)
    fed(quick, events if alone else [*events[:5], b"".join(events[5:])])
    fed(slow, [*map(with_spaces, events)])
    assert quick.tokens == slow.tokens == len(words) + 1


@pytest.mark.parametrize("name", SPEECHES)
def test_what_looks_like_a_run_and_is_none_is_read(name: str) -> None:
    """Bytes that are no UTF-8, an error among the words, another block: none of it passes as further text."""
    write, decoder_of = SPEECHES[name]
    events = write(["one ", "two ", "three "])
    place = 2 if name == "anthropic" else 3
    broken = events[place + 2].replace(b"three", b"thr\xff\xfe")
    decoder = decoder_of(stream=True)
    for data in [*events[: place + 2], broken]:
        decoder.feed(data)
    assert decoder.failure is not None
    failing = framed({"type": "error", "error": {"type": "overloaded_error", "message": "no"}, "message": "no"})
    decoder = decoder_of(stream=True)
    parts = [part for data in [*events[: place + 2], failing + events[place + 2]] for part in decoder.feed(data)]
    assert decoder.failure is not None
    assert b"three" not in b"".join([part.data for part in parts if isinstance(part, Piece)])
