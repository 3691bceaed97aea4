"""What a chunk costs whose vendor speaks another language than the client: our own Python, beside the relay of OpenAI's. No sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from struct import pack
from typing import Any
from zlib import crc32

import uvloop

from benchmarks.path import ARRIVAL_BYTES_MAX, STREAM_MODEL, STREAMS, asking, seconds_of_cpu
from benchmarks.plan import BURST_CHUNKS, BURST_DIALECT_BUDGET_US, PACED_DIALECT_BUDGET, Plan
from benchmarks.report import Row, Table, ratios, spread, verdict

TEXT = "The quick brown fox jumps over the lazy dog , again and again .".split()
WORDS = [f" {TEXT[at % len(TEXT)]}" for at in range(BURST_CHUNKS)]
INPUT = 12  # tokens of the request, as every vendor says here
RELAYED = "openai"
Event = dict[str, Any]


def openai_events() -> Iterator[bytes]:
    """Chat completions."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": STREAM_MODEL}

    def chunk(delta: Event, finish: str | None = None) -> bytes:
        return data({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    yield from (chunk({"content": word}) for word in WORDS)
    yield chunk({}, "stop")
    made = {"prompt_tokens": INPUT, "completion_tokens": BURST_CHUNKS, "total_tokens": INPUT + BURST_CHUNKS}
    yield data({**head, "choices": [], "usage": made})
    yield b"data: [DONE]\n\n"


def anthropic_events() -> Iterator[bytes]:
    """Anthropic's Messages."""
    usage = {"input_tokens": INPUT, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "usage": usage}
    yield named({"type": "message_start", "message": message})
    yield named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for word in WORDS:
        yield named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
    yield named({"type": "content_block_stop", "index": 0})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    yield named({"type": "message_delta", "delta": ending, "usage": {"output_tokens": BURST_CHUNKS}})
    yield named({"type": "message_stop"})


def gemini_events() -> Iterator[bytes]:
    """Gemini, which reports with every event."""
    for made, word in enumerate(WORDS, 1):
        candidate: Event = {"content": {"parts": [{"text": word}], "role": "model"}, "index": 0}
        if made == len(WORDS):
            candidate["finishReason"] = "STOP"
        details = [{"modality": "TEXT", "tokenCount": INPUT}]
        usage = {"promptTokenCount": INPUT, "candidatesTokenCount": made, "totalTokenCount": INPUT + made, "promptTokensDetails": details}
        yield data({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"}, end="\r\n\r\n")


def responses_events() -> Iterator[bytes]:
    """OpenAI's Responses."""
    response: Event = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": []}
    item: Event = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[Event] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}},
        *[{"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in WORDS],
    ]
    done = {**item, "status": "completed", "content": [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]}
    usage = {"input_tokens": INPUT, "output_tokens": BURST_CHUNKS, "total_tokens": INPUT + BURST_CHUNKS}
    events += [
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {**response, "status": "completed", "output": [done], "usage": usage}},
    ]
    yield from (named({**event, "sequence_number": number}) for number, event in enumerate(events))


def cohere_events() -> Iterator[bytes]:
    """Cohere's chat."""
    yield named({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}})
    yield named({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}})
    yield from (named({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}) for word in WORDS)
    yield named({"type": "content-end", "index": 0})
    counts = {"input_tokens": INPUT, "output_tokens": BURST_CHUNKS}
    yield named({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"billed_units": counts, "tokens": counts}}})


def bedrock_events() -> Iterator[bytes]:
    """Bedrock's Converse, in frames."""
    yield frame("messageStart", {"role": "assistant"})
    yield from (frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}, "p": "abcdef"}) for word in WORDS)
    yield frame("contentBlockStop", {"contentBlockIndex": 0})
    yield frame("messageStop", {"stopReason": "end_turn"})
    usage = {"inputTokens": INPUT, "outputTokens": BURST_CHUNKS, "totalTokens": INPUT + BURST_CHUNKS}
    yield frame("metadata", {"usage": usage, "metrics": {"latencyMs": 10}})


def data(event: Event, end: str = "\n\n") -> bytes:
    """An event without a name."""
    return f"data: {json.dumps(event, separators=(',', ':'))}{end}".encode()


def named(event: Event) -> bytes:
    """An event that is named as its type."""
    return f"event: {event['type']}\n".encode() + data(event)


def frame(kind: str, payload: Event) -> bytes:
    """A frame of AWS's event stream."""
    texts = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode() for name, value in texts.items()
    )
    body = json.dumps(payload, separators=(",", ":")).encode()
    prelude = pack(">II", 16 + len(headers) + len(body), len(headers))
    whole = prelude + pack(">I", crc32(prelude)) + headers + body
    return whole + pack(">I", crc32(whole))


SPOKEN: dict[str, Callable[[], Iterator[bytes]]] = {
    RELAYED: openai_events,
    "mistral": openai_events,
    "anthropic": anthropic_events,
    "gemini": gemini_events,
    "responses": responses_events,
    "cohere": cohere_events,
    "bedrock": bedrock_events,
}


def arrivals(events: list[bytes], *, alone: bool) -> list[bytes]:
    """Return what the connection brings: one event each time, or as many as fit into one read."""
    kind = "application/vnd.amazon.eventstream" if events[0][:1] == b"\0" else "text/event-stream"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    pieces = [b"%x\r\n%b\r\n" % (len(event), event) for event in events] + [b"0\r\n\r\n"]
    pieces[0] = head + pieces[0]
    if alone:
        return pieces
    whole = b"".join(pieces)
    return [whole[start : start + ARRIVAL_BYTES_MAX] for start in range(0, len(whole), ARRIVAL_BYTES_MAX)]


def dialects(plan: Plan) -> Table:
    """Measure each dialect's chunks, alone and in bursts. Dialects take turns, round by round; the relay's are the yardstick."""
    columns: dict[tuple[str, bool], list[float]] = {(name, alone): [] for name in SPOKEN for alone in (True, False)}
    made = {name: list(events()) for name, events in SPOKEN.items()}
    for _ in range(plan.rounds):
        for (name, alone), column in columns.items():
            pieces = arrivals(made[name], alone=alone)
            seconds = uvloop.run(seconds_of_cpu(STREAMS, pieces, partial(asking, STREAM_MODEL, True), dialect=name))
            column.append(seconds * 1e6 / STREAMS / BURST_CHUNKS)
    rows: list[Row] = []
    for name in SPOKEN:
        paced, burst = columns[name, True], columns[name, False]
        times = None if name == RELAYED else ratios(paced, columns[RELAYED, True])
        judged = (
            ("", "")
            if times is None
            else (verdict(times, PACED_DIALECT_BUDGET, "x"), verdict(spread(burst), BURST_DIALECT_BUDGET_US, "us"))
        )
        rows.append((name, spread(paced), times, judged[0], spread(burst), judged[1]))
    how = (
        f"The path of `path`, hot, of streams of {BURST_CHUNKS} chunks, {STREAMS} a round, whose opening and end are in the figure; "
        f"{plan.rounds} rounds; microseconds of CPU a chunk. Vendors that report with every event do so here."
    )
    titles = (("dialect", 0), ("comes alone", 2), ("x the relay", 2), ("", 0), ("in a burst", 2), ("", 0))
    return Table("dialects", "What another dialect costs", how, titles, tuple(rows))
