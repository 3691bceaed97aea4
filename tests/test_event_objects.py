"""Characters that were cut between two events, and JSON that only strict readers refuse, in every dialect. Fault W4."""

from __future__ import annotations

import json
from functools import partial
from types import ModuleType
from typing import Any

import msgspec
import pytest

from aisa.answer import Reasoning, Text
from aisa.providers import anthropic, bedrock, cohere, gemini, responses
from aisa.providers.event_objects import EventObjects, document_in
from aisa.providers.shape import Target
from aisa.testing.aws_frames import JSON, frame
from aisa.wire.chat import parse_chat
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR

ASKED = {"model": "m-1", "stream": True, "messages": [{"role": "user", "content": "Hi."}]}
FIRST, SECOND = "\\ud83d", "\\ude00"  # of a grinning face, as JSON escapes them
GRIN = "\U0001f600"


def events(*written: str) -> bytes:
    """A stream of events, each with its name where it has one."""
    return "".join(f"event: {json.loads(text, strict=False).get('type', '')}\ndata: {text}\n\n" for text in written).encode()


def anthropic_stream(*texts: str, kind: str = "text") -> bytes:
    """A message of one block that says these, or thinks them."""
    started = {"text": {"type": "text", "text": ""}, "thinking": {"type": "thinking", "thinking": "", "signature": ""}}[kind]
    opening = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}}
    begun = {"type": "content_block_start", "index": 0, "content_block": started}
    delta = '{"type":"content_block_delta","index":0,"delta":{"type":"%s_delta","%s":"%s"}}'
    end = [{"type": "content_block_stop", "index": 0}, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}]
    said = [delta % (kind, kind, text) for text in texts]
    return events(json.dumps(opening), json.dumps(begun), *said, *map(json.dumps, end), '{"type":"message_stop"}')


def responses_stream(*texts: str, kind: str = "text") -> bytes:
    """A response that says these, or thinks them."""
    name = "output_text" if kind == "text" else "reasoning_summary_text"
    delta = '{"type":"response.%s.delta","item_id":"i1","output_index":0,"content_index":0,"summary_index":0,"delta":"%s"}'
    ended = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "model": "m", "output": []}}
    return events(
        '{"type":"response.created","response":{"id":"resp_1","model":"m"}}',
        '{"type":"response.output_item.added","output_index":0,"item":{"id":"i1","type":"%s"}}'
        % ("message" if kind == "text" else "reasoning"),
        '{"type":"response.content_part.added","item_id":"i1","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}',
        *[delta % (name, text) for text in texts],
        json.dumps(ended),
    )


def gemini_stream(*texts: str, kind: str = "text") -> bytes:
    """Candidates that say these, or think them."""
    event = '{"candidates":[{"content":{"parts":[{"text":"%s"}]},"index":0}]}'
    event = event.replace('"}]', '","thought":true}]') if kind == "thinking" else event
    said = [event % text for text in texts]
    return events(*said, '{"candidates":[{"finishReason":"STOP","index":0}]}')


def cohere_stream(*texts: str, kind: str = "text") -> bytes:
    """A message that says these, or thinks them."""
    delta = '{"type":"content-delta","index":0,"delta":{"message":{"content":{"%s":"%s"}}}}'
    said = [delta % (kind, text) for text in texts]
    return events('{"type":"message-start","id":"c1"}', *said, '{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}')


def bedrock_stream(*texts: str, kind: str = "text") -> bytes:
    """A message that says these, or thinks them, in frames."""
    delta = '{"text":"%s"}' if kind == "text" else '{"reasoningContent":{"text":"%s"}}'
    said = [("contentBlockDelta", '{"contentBlockIndex":0,"delta":' + delta % text + "}") for text in texts]
    end = [("contentBlockStop", '{"contentBlockIndex":0}'), ("messageStop", '{"stopReason":"end_turn"}'), ("metadata", '{"usage":{}}')]
    payloads = [("messageStart", '{"role":"assistant"}'), *said, *end]
    return b"".join(frame({":message-type": "event", ":event-type": name, **JSON}, payload.encode()) for name, payload in payloads)


STREAMS: dict[ModuleType, Any] = {
    anthropic: anthropic_stream,
    bedrock: bedrock_stream,
    cohere: cohere_stream,
    gemini: gemini_stream,
    responses: responses_stream,
}
EACH = [(dialect, kind) for dialect in STREAMS for kind in ("text", "thinking")]


def said_in(dialect: ModuleType, body: bytes, kind: str) -> str:
    """What a client of chat completions is told of a body that comes whole, and the same byte by byte."""
    told: list[str] = []
    for arrival in ([body], [body[place : place + 1] for place in range(len(body))]):
        decoder = dialect.decoder(
            parse_chat(json.dumps(ASKED).encode()), Target("acme", "m-1", dialect.NAME), call_id="1", created=1, protocol="chat"
        )
        parts = [part for data in arrival for part in decoder.feed(data)] + list(decoder.end())
        assert decoder.failure is None
        wanted = Text if kind == "text" else Reasoning
        told.append("".join(part.text for part in parts if isinstance(part, wanted)))
    assert told[0] == told[1]
    return told[0]


@pytest.mark.parametrize(("dialect", "kind"), EACH, ids=[f"{dialect.NAME}-{kind}" for dialect, kind in EACH])
def test_a_character_that_was_cut_between_two_events_is_whole(dialect: ModuleType, kind: str) -> None:
    """[fault W4] In text and in thinking; what follows, plain or cut as well, is told behind it."""
    stream = partial(STREAMS[dialect], kind=kind)
    assert said_in(dialect, stream(f"a{FIRST}", f"{SECOND}b", "c"), kind) == f"a{GRIN}bc"
    assert said_in(dialect, stream("a", f"b{FIRST}", f"{SECOND}{FIRST}", SECOND, "c"), kind) == f"ab{GRIN}{GRIN}c"


@pytest.mark.parametrize("dialect", STREAMS, ids=[dialect.NAME for dialect in STREAMS])
def test_a_half_that_stays_alone_is_told_as_such_and_nothing_is_lost(dialect: ModuleType) -> None:
    """[fault W4] Wherever it stands: before plain text, before another first half, or where nothing follows at all."""
    stream = STREAMS[dialect]
    assert said_in(dialect, stream(f"a{FIRST}", "b", "c"), "text") == "a\ufffdbc"
    assert said_in(dialect, stream(f"a{FIRST}", f"{FIRST}b"), "text") == "a\ufffd\ufffdb"
    assert said_in(dialect, stream("a", f"b{FIRST}"), "text") == "ab\ufffd"
    assert said_in(dialect, stream(f"{SECOND}a"), "text") == "\ufffda"


@pytest.mark.parametrize(
    ("dialect", "door", "stream", "asked"),
    [
        (anthropic, MESSAGES_DOOR, anthropic_stream, {"max_tokens": 9, "messages": ASKED["messages"]}),
        (responses, RESPONSES_DOOR, responses_stream, {"input": "Hi."}),
    ],
    ids=["messages", "responses"],
)
def test_what_passes_to_the_vendors_own_clients_is_strict_json(dialect: ModuleType, door: Any, stream: Any, asked: dict[str, Any]) -> None:
    """[fault W4] Their parsers refuse half a character as ours does: what was cut leaves whole, and numbers that are none as null."""
    request = door.read(json.dumps({"model": "m-1", "stream": True, **asked}).encode())
    decoder = dialect.decoder(request, Target("acme", "m-1", dialect.NAME), call_id="1", created=1, protocol=door.protocol)
    body = stream(f"a{FIRST}", f"{SECOND}b", "c").replace(b'"index":0,"delta"', b'"index":0,"odd":NaN,"delta"')
    parts = [*decoder.feed(body), *decoder.end()]
    passed = b"".join(part.data for part in parts if hasattr(part, "data"))
    told = [msgspec.json.decode(line[6:]) for line in passed.splitlines() if line.startswith(b"data: ")]
    deltas = [event["delta"] for event in told if "delta" in event]
    assert "".join(delta if isinstance(delta, str) else delta.get("text", "") for delta in deltas) == f"a{GRIN}bc"
    assert decoder.failure is None


def test_an_event_waits_only_for_the_next_and_only_where_it_ends_in_half_a_character() -> None:
    """Whatever is in it besides; what strict JSON takes is not looked through, and keeps its bytes."""
    objects = EventObjects()
    assert objects.take(b'{"a":"b"}') == [({"a": "b"}, b'{"a":"b"}')]
    assert objects.take(b'{"a":["x","\\ud83d"],"b":NaN}') == []
    assert objects.waiting
    first, second = objects.take(b'{"a":["y","\\ude00z"]}', {"kind": "k"}) or ()
    assert first == ({"a": ["x", GRIN], "b": None}, b"")
    assert second == ({"a": ["y", "z"], "kind": "k"}, b"")
    assert not objects.waiting
    assert objects.end() == []
    assert objects.take(b"nothing") is None


def test_a_document_leaves_as_strict_json_and_in_its_own_bytes_if_it_is() -> None:
    """As what passes whole to a vendor's own clients."""
    assert document_in(b'{"a" : 1}') == ({"a": 1}, b'{"a" : 1}')
    assert document_in(b'\xef\xbb\xbf{"a":NaN,"b":"\\ud83d"}') == ({"a": None, "b": "\ufffd"}, '{"a":null,"b":"\ufffd"}'.encode())
    assert document_in(b"[1]") is None
