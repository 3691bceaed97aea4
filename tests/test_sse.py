"""Server-sent events: what comes out does not depend on how the bytes arrive."""

from __future__ import annotations

import pytest

from aisa.wire.sse import Event, EventTooLarge, SseDecoder

EVENT_BYTES_MAX = 8 << 20

#: (what it shows, the stream, the events). The grammar is the WHATWG event stream's.
CASES: list[tuple[str, bytes, list[Event]]] = [
    ("one event", b"data: a\n\n", [(b"", b"a")]),
    ("two events", b"data: a\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    ("no space after the colon", b"data:a\n\n", [(b"", b"a")]),
    ("only one space is taken off", b"data:  a\n\n", [(b"", b" a")]),
    ("carriage return and line feed", b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")]),
    ("carriage returns alone", b"data: a\r\rdata: b\r\r", [(b"", b"a"), (b"", b"b")]),
    ("mixed line ends", b"data: a\r\n\ndata: b\n\r\n", [(b"", b"a"), (b"", b"b")]),
    ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
    ("several data lines", b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
    ("comments", b": hello\n\ndata: a\n: in between\n\n", [(b"", b"a")]),
    ("a named event", b"event: error\ndata: a\n\n", [(b"error", b"a")]),
    ("an event without data", b"event: ping\n\ndata: a\n\n", [(b"", b"a")]),
    ("empty data", b"data:\n\ndata: a\n\n", [(b"", b"a")]),
    ("other fields", b"id: 7\nretry: 3000\ndata: a\n\nretry: 1\n\n", [(b"", b"a")]),
    ("a field without a colon", b"data\n\ndata: a\n\n", [(b"", b"a")]),
    ("many blank lines", b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    ("no blank line at the end", b"data: a\n\ndata: b", [(b"", b"a"), (b"", b"b")]),
    ("one newline at the end", b"data: a\n\ndata: b\n", [(b"", b"a"), (b"", b"b")]),
    ("a status in a comment, of a failure", b':HTTP_STATUS/429\ndata: {"code":"a"}\n\n', [(b"", b'{"status_code":429,"code":"a"}')]),
    ("a status in a comment, of none", b':HTTP_STATUS/200\ndata: {"a":1}\n\n', [(b"", b'{"a":1}')]),
    ("what is no status in a comment", b':HTTP_STATUS/x\ndata: {"a":1}\n\n', [(b"", b'{"a":1}')]),
    ("a status in a comment, of a spaced failure", b':HTTP_STATUS/500\ndata:  { "code": 1}\n\n', [(b"", b'{"status_code":500,"code": 1}')]),
    ("a status and no object", b":HTTP_STATUS/500\ndata: a\n\n", [(b"", b"a")]),
    ("an error as a body", b'data: a\n\n{"error": {"code": 503}}', [(b"", b"a"), (b"", b'{"error": {"code": 503}}')]),
    ("an error as a body of lines", b'data: a\n\n[{\r\n  "error": 1\r\n}]\r\n', [(b"", b"a"), (b"", b'[{\n  "error": 1\n}]\n')]),
    ("another body", b'data: a\n\n{"object": 1}', [(b"", b"a")]),
    ("text beyond ASCII", "data: é\u2028😀\n\n".encode(), [(b"", "é\u2028😀".encode())]),
]


def decode(*parts: bytes) -> list[Event]:
    """Feed the parts and the end."""
    decoder = SseDecoder(EVENT_BYTES_MAX)
    events = [event for part in parts for event in decoder.feed(part)]
    return events + decoder.end()


@pytest.mark.parametrize(("stream", "events"), [pytest.param(stream, events, id=name) for name, stream, events in CASES])
def test_events_do_not_depend_on_how_the_bytes_arrive(stream: bytes, events: list[Event]) -> None:
    """[M8] Whole, in two parts split anywhere, in three, and byte by byte."""
    assert decode(stream) == events
    assert decode(*[stream[at : at + 1] for at in range(len(stream))]) == events
    for first in range(len(stream)):
        assert decode(stream[:first], stream[first:]) == events
        for second in range(first, min(first + 4, len(stream))):
            assert decode(stream[:first], stream[first:second], stream[second:]) == events


def test_an_endless_event_is_refused_at_the_bound() -> None:
    """[M9] Memory is bounded whether the line arrives in large parts or small ones."""
    decoder = SseDecoder(EVENT_BYTES_MAX)
    part = b"x" * 65_536
    for _ in range(EVENT_BYTES_MAX // len(part)):
        decoder.feed(part)
    with pytest.raises(EventTooLarge):
        decoder.feed(part)


def test_a_large_event_below_the_bound_passes() -> None:
    """[M9] Inline images reach megabytes."""
    data = b"x" * (3 << 20)
    stream = b"data: " + data + b"\n\n"
    assert decode(*[stream[at : at + 10_000] for at in range(0, len(stream), 10_000)]) == [(b"", data)]
