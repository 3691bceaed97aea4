"""On the way to a vendor of the OpenAI dialect the messages of a request are decoded once, however large and whatever they hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest

from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR

TARGET = Target("v", "m", "openai")
PICTURE = "data:image/png;base64," + "A" * 40_000
CONTENTS: dict[str, Any] = {
    "text": "word " * 20_000,
    "parts": [{"type": "text", "text": "word " * 20_000}],
    "a picture": [{"type": "image_url", "image_url": {"url": PICTURE}}],
    "a picture as a string": [{"type": "image_url", "image_url": PICTURE}, {"type": "text", "text": "?"}],
    "sound": [{"type": "input_audio", "input_audio": {"data": "A" * 40_000, "format": "wav"}}],
    "a file": [{"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 40_000, "filename": "a.pdf"}}],
}


def times_decoded(work: Callable[[], object]) -> int:
    """How often JSON was decoded into plain values while something was done."""
    count = 0

    def seen(_frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "c_call" and argument is msgspec.json.decode

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def body(content: Any, **fields: Any) -> bytes:
    """A request."""
    return json.dumps({"model": "fast", "messages": [{"role": "user", "content": content}], **fields}).encode()


def test_the_count_counts() -> None:
    """What makes values of JSON, and nothing else that is called so."""
    assert times_decoded(lambda: (msgspec.json.decode(b"1"), b"x".decode(), msgspec.json.decode(b"{}"))) == 2


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", CONTENTS)
def test_messages_are_decoded_once(kind: str, stream: bool) -> None:
    """Once into values; estimating the input and writing the request add none. Dividing the body into members makes none."""
    data = body(CONTENTS[kind], stream=stream)

    def work() -> None:
        chat = parse_chat(data)
        CHAT_DOOR.content(chat)
        openai.to_upstream(chat, TARGET)

    assert times_decoded(work) == 1


def test_a_picture_as_a_string_reaches_the_vendor_as_an_object() -> None:
    """Written while its tree is there; all else of the message as it came."""
    given = [{"type": "image_url", "image_url": PICTURE, "x": 1}, {"type": "other", "image_url": "stays"}, {"type": "text", "text": "é"}]
    sent = json.loads(openai.to_upstream(parse_chat(body(given)), TARGET).body)
    assert sent["messages"][0]["content"] == [{**given[0], "image_url": {"url": PICTURE}}, *given[1:]]


def test_messages_without_such_a_picture_pass_in_the_clients_own_bytes() -> None:
    """Blanks, escapes and the form of numbers included."""
    data = b'{"model": "fast", "messages":  [ {"role":"user", "content":[{"type":"text","text":"\\u0041", "n": 1.50}]} ]}'
    assert (
        b'[ {"role":"user", "content":[{"type":"text","text":"\\u0041", "n": 1.50}]} ]' in openai.to_upstream(parse_chat(data), TARGET).body
    )
