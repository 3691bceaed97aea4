"""The quick way for chunks of plain text gives what the slow way would, whatever the text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.wire.chat import parse_chat
from rig import DONE, HEAD, OPENING, chunk, content_of, events_of

TARGET = Target("local", "some-model", "openai")
TEXTS = st.lists(
    st.text(min_size=1) | st.sampled_from(['","usage":null', "\\", '"', '"content":"', "data: x", "\n\n", "é", "]}"]), max_size=12
)


def relayed(stream: bytes, **options: object) -> tuple[bytes, int]:
    """What a client gets of a vendor's stream, and the tokens counted in its pieces."""
    request = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi."}], **options}
    decoder = openai.decoder(parse_chat(json.dumps(request).encode()), TARGET, call_id="1", created=1)
    pieces = decoder.feed(stream) + decoder.end()
    assert decoder.failure is None
    return b"".join(piece.data for piece in pieces) + decoder.closing(None), sum(piece.tokens for piece in pieces)


@given(TEXTS, st.booleans(), st.booleans())
def test_every_text_arrives_as_it_was_sent(texts: list[str], null_usage: bool, asked: bool) -> None:
    """Quotes, escapes and bytes that look like our own framing are text like any other, with null usage or without."""
    more = {"usage": None} if null_usage else {}
    chunks = [{**HEAD, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more} for text in texts]
    for ascii_only in (True, False):
        events = [b"data: " + json.dumps(item, ensure_ascii=ascii_only).encode() + b"\n\n" for item in chunks]
        sent, tokens = relayed(
            chunk(OPENING) + b"".join(events) + chunk({}, "stop") + DONE, stream_options={"include_usage": asked} if asked else None
        )
        assert content_of(sent) == "".join(texts)
        assert tokens == len(texts)
        assert all(("usage" in item) is asked for item in events_of(sent) if isinstance(item, dict))


def test_text_after_a_finish_reason_comes_before_it_although_it_looks_like_the_text_before() -> None:
    """[fault W1] The quick way is closed once a finish is held back: nothing may overtake it, nothing is lost."""
    sent, tokens = relayed(
        chunk(OPENING) + chunk({"content": "a"}) + chunk({"content": "b"}) + chunk({}, "stop") + chunk({"content": "c"}) + DONE
    )
    assert (content_of(sent), tokens) == ("abc", 3)
    assert [item["choices"][0]["finish_reason"] for item in events_of(sent)[:-1]] == [None, None, None, None, "stop"]


def test_a_chunk_of_another_stream_among_familiar_ones_is_renamed() -> None:
    """One id per stream, even when a vendor changes it in the middle."""
    other = chunk({"content": "c"}).replace(b"chatcmpl-1", b"chatcmpl-2")
    sent, _ = relayed(chunk(OPENING) + chunk({"content": "a"}) + other + chunk({"content": "d"}) + chunk({}, "stop") + DONE)
    assert content_of(sent) == "acd"
    assert {item["id"] for item in events_of(sent) if isinstance(item, dict)} == {"chatcmpl-1"}
