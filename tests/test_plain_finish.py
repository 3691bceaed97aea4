"""A finish that is held back as it came: whatever follows, it comes to what the loose way makes of the same events."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from aisa.answer import Piece
from aisa.providers import openai
from aisa.providers.shape import Decoder, Target
from aisa.wire.chat import parse_chat
from rig import DONE, body

TARGET = Target(vendor="acme", model="m", dialect=openai.NAME)
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}
USAGE = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}


def chunk_of(delta: Any, finish: str | None = None, /, **more: Any) -> dict[str, Any]:
    """One conformant chunk of one choice."""
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}


OPENING = chunk_of({"role": "assistant", "content": "", "refusal": None})
TEXT = chunk_of({"content": "Hi"})
FINISH = chunk_of({}, "stop")
FOLLOWING: list[Any] = [
    TEXT,
    FINISH,
    chunk_of({}, "length"),
    chunk_of({"content": ""}, "stop", system_fingerprint="f"),
    chunk_of({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "tool_calls"),
    {**HEAD, "choices": [], "usage": USAGE, "service_tier": "default"},
    {**HEAD, "choices": [], "usage": {**USAGE, "total_tokens": 9}},
    {"error": {"message": "no"}},
    "[DONE]",
]
#: Of the finish, other forms that say the same.
FINISHES = [
    FINISH,
    chunk_of({}, "length", system_fingerprint="f"),
    chunk_of({"role": "assistant", "content": ""}, "stop"),
    chunk_of({}, "stop", usage=None),
]


def events(trees: list[Any], *, loose: bool) -> bytes:
    """Write events as a vendor does, or with blank space that says the same and that nobody takes for conformant at a look."""
    texts = [tree if isinstance(tree, str) else json.dumps(tree, separators=(",", ":")) for tree in trees]
    if loose:
        texts = [text.replace('"finish_reason":"', '"finish_reason" : "').replace('"choices":[]', '"choices" : []') for text in texts]
    return b"".join([b"data: " + text.encode() + b"\n\n" for text in texts])


def seen(decoder: Decoder, pieces: list[Any]) -> list[Any]:
    """What a decoder has given and says of itself: values and not bytes."""
    told = [event for piece in pieces if isinstance(piece, Piece) for event in piece.data.decode().split("\n\n") if event]
    values = [event if event.endswith("[DONE]") else json.loads(event.removeprefix("data: ")) for event in told]
    failure = None if decoder.failure is None else decoder.failure.error.code
    counts = (sum([piece.tokens for piece in pieces]), decoder.tokens, decoder.usage(), decoder.tier)
    return [
        without_nulls(values),
        counts,
        failure,
        decoder.done,
        decoder.finishing,
        decoder.finished,
        decoder.certain,
        decoder.choices_made,
    ]


def without_nulls(values: list[Any]) -> list[Any]:
    """Leave out `logprobs` without content, which may be there or not."""
    for value in values:
        for choice in value["choices"] if isinstance(value, dict) and "choices" in value else []:
            choice.pop("logprobs", None)
    return values


def course(trees: list[Any], *, loose: bool, wanted: bool) -> list[Any]:
    """What comes of a stream: after each event, at the vendor's end, and behind the settlement."""
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    decoder = openai.decoder(parse_chat(body(stream=True, **options)), TARGET, call_id="1", created=1)
    states: list[Any] = []
    for tree in trees:
        if decoder.done or decoder.failure is not None:
            break
        states.append(seen(decoder, list(decoder.feed(events([tree], loose=loose)))))
    if not decoder.done and decoder.failure is None:
        states.append(seen(decoder, list(decoder.end())))
    if decoder.done:
        states.append(seen(decoder, list(decoder.closing("0.1"))))
    return states


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("finish", FINISHES)
def test_what_follows_a_finish_comes_to_the_same_as_where_no_event_is_conformant_at_a_look(finish: Any, wanted: bool) -> None:
    """Nothing, or up to three of: text, another finish, calls, usage that adds up or not, an error, the end; after each event."""
    for count in range(3):
        for following in itertools.product(FOLLOWING, repeat=count):
            trees = [OPENING, TEXT, finish, *following]
            assert course(trees, loose=False, wanted=wanted) == course(trees, loose=True, wanted=wanted), following


def test_a_conformant_finish_leaves_in_the_vendors_own_bytes() -> None:
    """Members that nobody knows, their order and the blanks are the vendor's."""
    data = b'data: {"model": "m", "id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"mine":1,"choices":['
    data += b'{"delta":{},"index":0,"finish_reason":"stop"}]}\n\n'
    decoder = openai.decoder(parse_chat(body(stream=True)), TARGET, call_id="1", created=1)
    decoder.feed(events([OPENING, TEXT], loose=False))
    assert decoder.feed(data) == []
    [piece] = decoder.feed(DONE)
    assert isinstance(piece, Piece)
    assert piece.data == data
