"""What a read of many events comes to, of which those of further text are taken together, is what each event by itself comes to.

In dialects that are translated: with whatever stands between the texts, in one read, in any other, and read the long way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.answer import Part, Text
from aisa.providers import bedrock, cohere, gemini
from aisa.providers.shape import Decoder, Target, told
from aisa.testing.aws_frames import frame
from aisa.wire.chat_door import CHAT_DOOR
from repeats import repeats
from test_dialect_corpus import state

ASKED = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'
Event = dict[str, Any]
#: Texts: words, what is escaped, half a character, and nothing.
WORDS = st.sampled_from([" one", "two", "drei\u00df", "\u4e16\u754c", '"', "\n", "\\", "\x7f", "\ud83d", "\ude00", "\U0001f600", ""])
HALVES = ("\\ud83d", "\\ude00")  # as `repr` shows them


class Dialect(NamedTuple):
    """How a dialect says things in a stream."""

    module: ModuleType
    opening: list[Event]
    text: Callable[[str, int], Event]  # in a block
    others: list[Event]  # what may stand between texts
    ending: list[Event]
    write: Callable[[Event], bytes]
    report: Callable[[list[Event], Any], list[Event]] = lambda events, draw: events  # with what is told beside each


def named(event: Event) -> bytes:
    """An event that is named as its type."""
    return f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def of_cohere(content: Event, index: int = 0, **members: Any) -> Event:
    """Content in Cohere's words."""
    return {"type": "content-delta", "index": index, "delta": {"message": {"content": content}}, **members}


COHERE = Dialect(
    module=cohere,
    opening=[{"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}}],
    text=lambda text, index: of_cohere({"text": text}, index),
    others=[
        of_cohere({"thinking": "hm"}),
        of_cohere({"text": " sure"}, logprobs={"text": " sure", "token_ids": [1], "logprobs": [-0.5]}),
        of_cohere({"text": "more", "brand_new": 1}),
        {"type": "content-end", "index": 0},
        {"type": "content-start", "index": 1, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}},
        {
            "type": "citation-start",
            "delta": {
                "message": {
                    "citations": {
                        "start": 1,
                        "end": 3,
                        "text": "ne",
                        "content_index": 1,
                        "sources": [{"type": "document", "id": "d", "document": {"url": "https://a.example", "title": "A"}}],
                    }
                }
            },
        },
        {"type": "brand-new"},
    ],
    ending=[{"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 5, "output_tokens": 3}}}}],
    write=named,
)


def of_gemini(part: Event, choice: int = 0, **members: Any) -> Event:
    """A part of an answer in Gemini's words."""
    return {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": choice}], **members}


def with_running_counts(events: list[Event], draw: Any) -> list[Event]:
    """The same with what Gemini reports beside them: counts that do not fall, and some that cannot be or have something missing.

    (One that falls behind our own, of text with which nothing was told, or grows without a text, as with half a character, changes what
    has not left yet, which of a burst is more.)
    """
    if any(half in repr(events) for half in HALVES):
        return events
    made, told = 0, []
    for event in events:
        [candidate, *_] = event["candidates"] or [{}]
        [part, *_] = candidate.get("content", {}).get("parts", [{}])
        if candidate.get("index") == 0 and (part.get("text") or "functionCall" in part) and not part.get("thought"):
            made += draw(st.sampled_from([1, 1, 1, 2, 2, 9_000]))
        usage: Event = {"promptTokenCount": 5, "candidatesTokenCount": made, "totalTokenCount": 5 + made}
        usage |= draw(st.sampled_from([{}, {}, {}, {}, {"thoughtsTokenCount": 4}, {"trafficType": "ON_DEMAND_PRIORITY"}]))
        if draw(st.integers(0, 6)) == 0:
            del usage[draw(st.sampled_from(["promptTokenCount", "totalTokenCount"]))]
        named_so = draw(st.sampled_from(["m-1", "m-1", "m-1", "m-2"]))
        told.append({**event, "usageMetadata": usage, "modelVersion": named_so, "responseId": "r1"})
    return told


GEMINI = Dialect(
    module=gemini,
    opening=[],
    text=lambda text, choice: of_gemini({"text": text}, choice),
    others=[
        of_gemini({"text": "hm", "thought": True}),
        of_gemini({"text": "so", "thoughtSignature": "c2ln"}),
        of_gemini({"functionCall": {"name": "f", "args": {"a": 1}}}),
        of_gemini({"text": "more"}, brand_new=1),
        {"candidates": []},
    ],
    ending=[{"candidates": [{"finishReason": "STOP", "index": 0}]}],
    write=lambda event: f"data: {json.dumps(event, separators=(',', ':'))}\r\n\r\n".encode(),
    report=with_running_counts,
)


def of_bedrock(kind: str, **members: Any) -> Event:
    """An event of Bedrock's; `of` is its kind, which its frame names."""
    return {"of": kind, **members}


def framed(event: Event) -> bytes:
    """Such an event in its frame."""
    payload = {name: value for name, value in event.items() if name != "of"}
    headers = {":event-type": event["of"], ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload, separators=(",", ":")).encode())


BEDROCK = Dialect(
    module=bedrock,
    opening=[of_bedrock("messageStart", role="assistant")],
    text=lambda text, block: of_bedrock("contentBlockDelta", contentBlockIndex=block, delta={"text": text}, p="abc"),
    others=[
        of_bedrock("contentBlockDelta", contentBlockIndex=2, delta={"reasoningContent": {"text": "hm"}}),
        of_bedrock("contentBlockDelta", contentBlockIndex=2, delta={"reasoningContent": {"signature": "c2ln"}}),
        of_bedrock("contentBlockDelta", contentBlockIndex=0, delta={"text": "more"}, brand_new=1),
        of_bedrock("contentBlockStop", contentBlockIndex=0),
        of_bedrock("contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "t1", "name": "f"}}),
        of_bedrock("contentBlockDelta", contentBlockIndex=3, delta={"toolUse": {"input": '{"a":1}'}}),
        of_bedrock("brandNew"),
    ],
    ending=[
        of_bedrock("messageStop", stopReason="end_turn"),
        of_bedrock("metadata", usage={"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}),
    ],
    write=framed,
)
DIALECTS = [COHERE, GEMINI, BEDROCK]
dialects = pytest.mark.parametrize("dialect", [pytest.param(each, id=each.module.NAME) for each in DIALECTS])


def decoder_of(dialect: Dialect) -> Decoder:
    """What reads a stream for a client of chat completions."""
    target = Target("acme", "m-1", dialect.module.NAME, state=state())
    decoder: Decoder = dialect.module.decoder(CHAT_DOOR.read(ASKED), target, call_id="c", created=1, protocol="openai")
    return decoder


def come_to(dialect: Dialect, reads: Sequence[bytes]) -> Any:
    """All that is told of a stream that came in these reads."""
    decoder = decoder_of(dialect)
    parts: list[Part] = []
    for data in reads:
        parts += decoder.feed(data)
        if decoder.failure or decoder.done:
            break
    else:
        parts += decoder.end()
    failure = None if decoder.failure is None else (decoder.failure.error.code, decoder.failure.error.message)
    counted = (decoder.tokens, decoder.reasoning_shown, msgspec.to_builtins(decoder.usage()))
    return [part for part in parts if not (isinstance(part, Text) and not part.text)], counted, failure, told(decoder)


def events_of(dialect: Dialect, draw: Any) -> list[Event]:
    """Texts with now and then something between them; complete or not."""
    text = st.builds(dialect.text, WORDS, st.sampled_from([0, 0, 0, 1]))
    said = draw(st.lists(text | text | text | st.sampled_from(dialect.others), max_size=12))
    ending = draw(st.sampled_from([dialect.ending, dialect.ending, [], [*dialect.ending, dialect.text("x", 0)]]))
    return dialect.report(dialect.opening + said + ending, draw)


@dialects
@settings(max_examples=repeats(200), deadline=None)
@given(st.data())
def test_a_burst_comes_to_what_its_events_come_to_one_by_one(dialect: Dialect, data: Any) -> None:
    """The same parts with the same tokens, the same counts, report, end and failure; also cut anywhere, and at the end of what was sent."""
    events = [dialect.write(event) for event in events_of(dialect, data.draw)]
    whole = b"".join(events)
    if events and data.draw(st.booleans()):
        whole = whole[: -data.draw(st.integers(1, len(events[-1])))]
        events[-1] = whole[len(b"".join(events[:-1])) :]
    alone = come_to(dialect, events)
    assert come_to(dialect, [whole]) == alone
    cut = data.draw(st.integers(0, len(whole)))
    assert come_to(dialect, [whole[:cut], whole[cut:]]) == alone


@settings(max_examples=repeats(200), deadline=None)
@given(st.lists(st.tuples(st.sampled_from([" one", "two", "drei\u00df"]), st.integers(1, 9)), min_size=1, max_size=8), st.data())
def test_a_running_count_that_falls_takes_nothing_back_in_a_burst_either(said: list[tuple[str, int]], data: Any) -> None:
    """(fault M4) What the vendor has said by a point holds, however many events came in one read: a stream that is cut costs the same."""
    events = []
    for text, told_of in said:
        usage = {"promptTokenCount": 5, "candidatesTokenCount": told_of, "totalTokenCount": 5 + told_of}
        events.append(GEMINI.write({**of_gemini({"text": text}), "usageMetadata": usage, "modelVersion": "m-1", "responseId": "r1"}))
    alone = come_to(GEMINI, events)
    assert [part.tokens for part in alone[0] if isinstance(part, Text)] == [
        max(0, told_of - max([before for _, before in said[:place]], default=0)) for place, (_, told_of) in enumerate(said)
    ]
    whole = b"".join(events)
    cut = data.draw(st.integers(0, len(whole)))
    assert come_to(GEMINI, [whole]) == come_to(GEMINI, [whole[:cut], whole[cut:]]) == alone


@dialects
@settings(max_examples=repeats(200), deadline=None)
@given(st.data())
def test_a_template_says_what_a_decoder_does(dialect: Dialect, data: Any) -> None:
    """Events that have a member more, which nobody knows, have no template, and come to the same."""
    events = events_of(dialect, data.draw)
    long_way = [dialect.write({**event, "brand_new": number}) for number, event in enumerate(events)]
    assert come_to(dialect, [b"".join(map(dialect.write, events))]) == come_to(dialect, [b"".join(long_way)])
