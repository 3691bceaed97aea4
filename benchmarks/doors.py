"""What other doors cost beside that of chat completions, in our own Python with no sockets around it: the Messages and Responses APIs.

Either in front of a vendor of OpenAI's dialect, whose answer the door writes in its own words, or in front of one that speaks the door's
own protocol, whose bytes pass. Chat is measured again beside each round, as the machine's pace changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import uvloop

from benchmarks.calls import CALL_MODEL, PROMPT, request
from benchmarks.path import ARRIVAL_BYTES_MAX, CALLS, STREAM_MODEL, STREAMS, seconds_of_cpu
from benchmarks.plan import BURST_CHUNKS, Plan
from benchmarks.report import Row, Table, ratios, spread
from benchmarks.upstream import LAST_CHUNK, PROMPT_TOKENS, STREAM_HEAD, answer, reply_to

Json = dict[str, Any]
TEXT = " w000000 and a sentence to make up an answer of usual size."
WORDS = [f" w{number:06d}" for number in range(BURST_CHUNKS)]
SHAPES = ("call", "chunk that comes alone", "chunk of a burst")
OPENAI = "openai"


def framed(event: Json) -> bytes:
    """Return a named event as one chunk of a chunked body, as OpenAI's and Anthropic's servers write them."""
    data = f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def posted(path: str, body: Json, key: str) -> bytes:
    """Return a whole request."""
    sent = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


# Chat completions


def chat_asked(stream: bool, key: str) -> bytes:
    """A request of this API."""
    return request(STREAM_MODEL if stream else CALL_MODEL, key=key, stream=stream)


def chat_document() -> bytes:
    """An answer."""
    return reply_to(request(CALL_MODEL).partition(b"\r\n\r\n")[2]).first


def chat_events() -> list[bytes]:
    """A streamed answer, its head with its first event."""
    reply = reply_to(request(STREAM_MODEL, stream=True).partition(b"\r\n\r\n")[2])
    whole = b"".join((reply.first, *reply.rest)).removesuffix(LAST_CHUNK)
    return [line + b"\n\n\r\n" for line in whole.split(b"\n\n\r\n")[:-1]]


# Messages


def messages_asked(stream: bool, key: str, model: str = STREAM_MODEL) -> bytes:
    """A request of this API."""
    body: Json = {"model": model if stream else CALL_MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": PROMPT}]}
    return posted("/v1/messages", body | ({"stream": True} if stream else {}), key)


def message(content: list[Json], reason: str | None, tokens: int) -> Json:
    """A message."""
    head: Json = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "m", "content": content}
    return head | {"stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": tokens}}


def messages_document() -> bytes:
    """An answer."""
    return answer("200 OK", message([{"type": "text", "text": TEXT}], "end_turn", 16)).first


def messages_events(words: Sequence[str] = WORDS) -> list[bytes]:
    """A streamed answer."""
    deltas: list[Json] = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words]
    events: list[Json] = [
        {"type": "message_start", "message": message([], None, 1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": len(words)}},
        {"type": "message_stop"},
    ]
    return with_head([framed(event) for event in events])


# Responses


def responses_asked(stream: bool, key: str, model: str = STREAM_MODEL) -> bytes:
    """A request of this API."""
    body: Json = {"model": model if stream else CALL_MODEL, "store": False, "input": PROMPT}
    return posted("/v1/responses", body | ({"stream": True} if stream else {}), key)


def item(text: str, status: str = "completed") -> Json:
    """A message in a response."""
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content if status == "completed" else [],
    }


def response(output: list[Json], tokens: int | None) -> Json:
    """A response."""
    head: Json = {"id": "resp_bench", "object": "response", "created_at": 1, "model": "m", "error": None, "incomplete_details": None}
    head |= {"parallel_tool_calls": True, "store": False, "tool_choice": "auto", "tools": [], "output": output}
    if tokens is None:
        return {**head, "status": "in_progress", "usage": None}
    counts = {"input_tokens": PROMPT_TOKENS, "output_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {**head, "status": "completed", "usage": {**counts, **details}}


def responses_document() -> bytes:
    """An answer."""
    return answer("200 OK", response([item(TEXT)], 16)).first


def responses_events(words: Sequence[str] = WORDS) -> list[bytes]:
    """A streamed answer."""
    where: Json = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    whole = item("".join(words))
    part = whole["content"][0]
    events: list[Json] = [
        {"type": "response.created", "response": response([], None)},
        {"type": "response.in_progress", "response": response([], None)},
        {"type": "response.output_item.added", "output_index": 0, "item": item("", "in_progress")},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *[{"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words],
        {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
        {"type": "response.completed", "response": response([whole], len(words))},
    ]
    return with_head([framed({**event, "sequence_number": number}) for number, event in enumerate(events)])


def with_head(events: list[bytes]) -> list[bytes]:
    """Return a stream whose first event comes with the head of the answer."""
    return [STREAM_HEAD + events[0], *events[1:]]


class Speech(NamedTuple):
    """A protocol: how it is asked, and how it answers."""

    asked: Callable[[bool, str], bytes]
    document: Callable[[], bytes]
    events: Callable[[], list[bytes]]


CHAT = Speech(chat_asked, chat_document, chat_events)
DOORS = {
    "messages": (Speech(messages_asked, messages_document, messages_events), "anthropic"),
    "responses": (Speech(responses_asked, responses_document, responses_events), "responses"),
}


def pieces_of(vendor: Speech, shape: str) -> list[bytes]:
    """Return a vendor's answer as it arrives."""
    if shape == SHAPES[0]:
        return [vendor.document()]
    events = [*vendor.events(), LAST_CHUNK]
    if shape == SHAPES[1]:
        return events
    whole = b"".join(events)
    return [whole[start : start + ARRIVAL_BYTES_MAX] for start in range(0, len(whole), ARRIVAL_BYTES_MAX)]


def microseconds(asked: Speech, vendor: Speech, dialect: str, *, shape: str) -> float:
    """Return what a unit of a shape costs. Raises BenchFailed."""
    stream = shape != SHAPES[0]
    calls, units = (STREAMS, BURST_CHUNKS) if stream else (CALLS, 1)
    pieces = pieces_of(vendor, shape)
    return uvloop.run(seconds_of_cpu(calls, pieces, lambda key: asked.asked(stream, key), dialect=dialect)) * 1e6 / calls / units


def doors(plan: Plan) -> Table:
    """Measure calls and chunks of each door beside chat's."""
    rows: list[Row] = []
    for shape in SHAPES:
        cells = [(name, speech, CHAT, OPENAI) for name, (speech, _) in DOORS.items()]
        cells += [(name, speech, speech, own) for name, (speech, own) in DOORS.items()]
        taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(plan.rounds):
            for name, asked, vendor, dialect in cells:
                chat = microseconds(CHAT, CHAT, OPENAI, shape=shape)
                taken.setdefault((name, dialect), []).append((microseconds(asked, vendor, dialect, shape=shape), chat))
        for (name, dialect), pairs in taken.items():
            own, chat = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            rows.append((f"{shape}, {name} on {dialect}", spread(own), ratios(own, chat)))
    how = (
        f"As for the path: {CALLS:,} calls a round, and {STREAMS} streams of {BURST_CHUNKS} chunks, whose opening and end are in the "
        f"figure; {plan.rounds} rounds; microseconds of CPU, and times chat completions on OpenAI's dialect, measured right before. To be "
        "held: 1.5 times a call and a lone chunk on openai, 1.1 where the vendor speaks the door's own protocol, 6 us a chunk of a burst."
    )
    return Table("doors", "Other doors", how, (("per", 0), ("us", 2), ("times chat", 2)), tuple(rows))
