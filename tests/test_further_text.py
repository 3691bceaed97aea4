"""More of a text that is open, which nearly all events of a stream are: what the short ways for it give is what the long ways give."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aisa.answer import Identity, Part, Piece, Text
from aisa.providers.outlet import Outlet
from aisa.wire.messages_door import FURTHER, MESSAGES_DOOR, StreamEncoder, event_of

TEXTS = ["a", " w", '"', '"content":"x"', "\\", "\n", "é", "\u2028", "😀", '{"a":1}', " ", "a"]
HEAD = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": '"content":"a"'}


def chunk(delta: dict[str, Any]) -> bytes:
    """A chunk as OpenAI writes it."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return b"data: " + msgspec.json.encode({**HEAD, "choices": [choice]}) + b"\n\n"


def given(datas: list[bytes]) -> list[Part]:
    """What an outlet for another door gives for these events."""
    outlet = Outlet(passes=False)
    parts: list[Part] = []
    for data in datas:
        parts += outlet.take([Piece(data, 1)], begun=True)
    return parts


def test_texts_between_the_same_bytes_are_those_of_the_chunks() -> None:
    """Also those that look like what stands around them, and after an event that is more than text."""
    datas = [chunk({"role": "assistant", "content": ""}), *[chunk({"content": text}) for text in TEXTS]]
    datas += [chunk({"reasoning_content": "hm"}), *[chunk({"content": text}) for text in TEXTS[::-1]]]
    said = [part for part in given(datas) if isinstance(part, Text) and part.text]
    assert [(part.choice, part.text) for part in said] == [(0, text) for text in TEXTS + TEXTS[::-1]]


@pytest.mark.parametrize("other", [{"content": "b", "refusal": "no"}, {"content": 'x","refusal":"no'}, {"content": None}])
def test_an_event_that_is_more_than_text_is_not_taken_for_text(other: dict[str, Any]) -> None:
    """Though it begins and ends as those before it."""
    parts = given([chunk({"role": "assistant", "content": ""}), chunk({"content": "a"}), chunk(other)])
    texts = [part.text for part in parts if isinstance(part, Text)]
    assert texts == ["", "a"][texts[0] != "" :] + ([other["content"]] if other["content"] else [])


@pytest.mark.parametrize("text", TEXTS)
def test_the_event_for_more_text_is_as_every_event_is_written(text: str) -> None:
    """Byte for byte, and it reads as what was said."""
    encoder = MESSAGES_DOOR.encoder(MESSAGES_DOOR.read(ASKED), call_id="req_1", created=1)
    assert isinstance(encoder, StreamEncoder)
    encoder.write([Identity("m", 1, "m"), Text(0, "begun", 1)])
    piece = encoder.write([Text(0, text, 3)])
    assert piece is not None
    assert piece.data == event_of({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    assert piece.tokens == 3
    assert json.loads(piece.data.partition(b"data: ")[2])["delta"]["text"] == text
    assert FURTHER.count(b"%") == 2


ASKED = json.dumps({"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi."}]}).encode()
