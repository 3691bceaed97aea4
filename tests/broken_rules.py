"""For each check a proxy that breaks just what it is about. Data for a test, and not a test.

What is broken at the head of a request, in its answer, its events, or in time is said by `Tamper`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from faults_rig import CLIENT_KEY
from tampering import PAGE, Headers, Tamper

Json = dict[str, Any]
DONE = b"data: [DONE]"
NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
AFTER = (
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":'
    b'[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}\n\n'
)
EXTRA = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":[]}'


def data(change: Callable[[Json], Json | None]) -> Tamper:
    """Change the JSON of each event; None drops it."""

    def event(block: bytes, _number: int) -> bytes:
        name, found, text = block.partition(b"data: ")
        if not found or text == b"[DONE]":
            return block
        value = change(json.loads(text))
        return b"" if value is None else name + b"data: " + json.dumps(value).encode()

    return Tamper(event=event)


def delta(change: Callable[[Json], object]) -> Tamper:
    """Change the delta of each choice."""

    def changed(value: Json) -> Json:
        for choice in value.get("choices", ()):
            change(choice["delta"])
        return value

    return data(changed)


def choice(change: Callable[[Json], object]) -> Tamper:
    """Change each choice of a chunk."""

    def changed(value: Json) -> Json:
        for each in value.get("choices", ()):
            change(each)
        return value

    return data(changed)


def call(change: Callable[[Json], object]) -> Tamper:
    """Change each fragment of a call of a tool."""
    return delta(lambda given: [change(fragment) for fragment in given.get("tool_calls", ())])


def document(change: Callable[[Json], object]) -> Tamper:
    """Change a document in place."""

    def changed(value: Json) -> Json:
        change(value)
        return value

    return Tamper(document=changed)


def member(name: str, value: object, kind: str | None = None) -> Tamper:
    """Set a member of each event, or of those of one type."""
    return data(lambda given: {**given, name: value} if kind in (None, given.get("type")) else given)


def without(kind: str) -> Tamper:
    """Drop the events of one type."""
    return data(lambda given: None if given.get("type") == kind else given)


def page(status: int, *where: str) -> Tamper:
    """Answer with a web page where the first line of a request has one of these words, or everywhere."""
    return Tamper(
        answers=lambda line, _headers, _body: (status, "text/html", PAGE) if not where or any(word in line for word in where) else None
    )


def told(change: Callable[[Headers], object]) -> Tamper:
    """Change the headers of answers."""
    return Tamper(told=change)


def asked(change: Callable[[Headers], object]) -> Tamper:
    """Change the headers of requests."""
    return Tamper(headers=change)


def each(change: Callable[[bytes, int], bytes]) -> Tamper:
    """Change each event as it is."""
    return Tamper(event=change)


def replaced(old: bytes, new: bytes) -> Tamper:
    """Replace bytes in each event."""
    return each(lambda block, _number: block.replace(old, new))


def numbered() -> Callable[[Json], Json]:
    """Return what gives each chunk an id of its own."""
    numbers = iter(range(1_000_000))
    return lambda value: {**value, "id": f"c{next(numbers)}"}


def doubled_usage(value: Json) -> Json:
    """Say usage in chunks with choices, too."""
    return {**value, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def wrong_sum(value: Json) -> Json:
    """Say a total that is none."""
    if value.get("usage"):
        value["usage"]["total_tokens"] += 1
    return value


def once(body: bytes) -> Tamper:
    """Answer with this JSON under 200, whatever is asked for."""
    return Tamper(answers=lambda _line, _headers, _body: (200, "application/json", body))


GOOD_KEY = {"authorization": f"Bearer {CLIENT_KEY}"}
PRETENDS = Tamper(event=lambda block, _number: b"" if b'"error"' in block else block, last=b"data: [DONE]\n\n")
DEAF = Tamper(deaf=True)
SWALLOWS = Tamper(swallows=True)
REFUSED_AS_200 = Tamper(status=lambda _status: 200)
FIRST: dict[str, Tamper] = {
    "no-key": asked(lambda headers: headers.update(GOOD_KEY)),
    "wrong-key": asked(lambda headers: headers.update(GOOD_KEY)),
    "key-arrives": asked(lambda headers: headers.pop("authorization", None)),
    "bad-json": Tamper(status=lambda status: 500 if status == 400 else status),
    "no-messages": page(400),
    "unknown-model": document(lambda value: value["error"].update(message="no")),
    "unknown-path": page(404),
    "wrong-method": page(405),
    "error-members": document(lambda value: value["error"].pop("param", None)),
    "request-id": told(lambda headers: headers.pop("x-request-id", None)),
    "models": once(b'{"object":"list","data":[]}'),
    "models-head": Tamper(status=lambda _status: 405),
    "health": page(404),
}
CHAT: dict[str, Tamper] = {
    "stream-type": told(lambda headers: headers.update({"content-type": "text/plain"})),
    "stream-cache": told(lambda headers: headers.update({"cache-control": "max-age=60"})),
    "stream-unpacked": told(lambda headers: headers.update({"content-encoding": "gzip"})),
    "stream-framing": Tamper(cuts=True),
    "events": each(lambda block, number: block if number != 3 else block[:-5]),
    "events-unnamed": each(lambda block, _number: b"event: message\n" + block),
    "role-once": delta(lambda given: given.update(role="assistant")),
    "role-supplied": delta(lambda given: given.pop("role", None)),
    "one-finish": choice(lambda given: given.update(finish_reason="stop")),
    "finish-known": choice(lambda given: given.update(finish_reason=given["finish_reason"] and "eos_token")),
    "finish-last": choice(lambda given: given["delta"].update(content="late") or given.update(finish_reason="stop")),
    "done-last": Tamper(last=EXTRA + b"\n\n"),
    "identity": data(numbered()),
    "chunk-object": member("object", "chat.completion"),
    "no-error-member": member("error", None),
    "usage-asked": data(doubled_usage),
    "usage-sum": data(wrong_sum),
    "usage-unasked": each(lambda block, _number: EXTRA + b"\n\n" + block if block == b"data: [DONE]" else block),
    "tool-indexes": call(lambda given: given.update(index=given["index"] + 1)),
    "tool-opening": call(lambda given: given.update(id="call_9") or given["function"].update(name="weather")),
    "tool-arguments": call(lambda given: given["function"].update(arguments="{")),
    "tool-finish": choice(lambda given: given.update(finish_reason=given["finish_reason"] and "length")),
    "characters": replaced("寿司".encode(), b"\xff\xfe"),
    "large-event": each(lambda block, _number: block if len(block) < 100_000 else b""),
    "max-tokens": choice(lambda given: given.update(finish_reason=given["finish_reason"] and "stop")),
    "choices": choice(lambda given: given.update(index=0)),
    "reuse-after-stream": Tamper(closes_after=1),
    "document-shape": document(lambda value: value.pop("id", None)),
    "document-message": document(lambda value: value["choices"][0]["message"].update(role="user")),
    "document-finish": document(lambda value: value["choices"][0].update(finish_reason=None)),
    "document-usage": document(lambda value: value.pop("usage", None)),
    "document-framing": told(lambda headers: headers.update({"content-type": "text/plain"})),
    "document-length": Tamper(short=7, closes_after=1),
    "document-tools": document(lambda value: [one.pop("id") for one in value["choices"][0]["message"]["tool_calls"]]),
    "large-request": Tamper(answers=lambda _line, _headers, body: (413, "text/html", PAGE) if len(body) > 1_048_576 else None),
    "expect-continue": Tamper(answers=lambda _line, headers, _body: (417, "text/html", PAGE) if "expect" in headers else None),
    "error-event": Tamper(event=lambda block, _number: b"" if b'"error"' in block else block),
    "error-unnamed": each(lambda block, _number: b"event: error\n" + block if b'"error"' in block else block),
    "error-text": each(lambda block, number: b"" if number == 2 else block),
    "cut-stream": PRETENDS,
    "reset-stream": PRETENDS,
    "unfinished-stream": PRETENDS,
    "early-status": REFUSED_AS_200,
    "early-document": page(503),
    "error-first": Tamper(answers=lambda _line, _headers, _body: (200, "text/event-stream", b'data: {"error":{"message":"no"}}\n\n')),
    "rate-limit": Tamper(status=lambda _status: 500),
    "retry-after": told(lambda headers: headers.update({"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"})),
    "vendor-page": page(502),
    "vendor-key": Tamper(status=lambda _status: 401),
    "asked-once": Tamper(repeats=True),
    "delay": Tamper(delay=0.2),
    "first-token": Tamper(holds_first=9),
    "one-by-one": Tamper(whole=2.0),
    "head-in-time": Tamper(holds_head=True),
    "thinking": Tamper(limit=45.0),
    "keep-alive": each(lambda block, _number: b"" if block.startswith(b":") else block),
    "idle-cut": each(lambda block, _number: b"" if b'"error"' in block else block),
    "long-stream": Tamper(limit=60.0),
    "long-document": Tamper(limit=60.0),
    "reuse-after-idle": Tamper(closes_under=1),
    "leaving-reset": DEAF,
    "leaving": DEAF,
    "leaving-idle": DEAF,
    "leaving-thinking": DEAF,
    "leaving-document": DEAF,
    "half-close": Tamper(takes_fin_for_leaving=True),
    "broken-end": Tamper(ends_at_fin=True),
    "unread-answer": SWALLOWS,
    "throttling": SWALLOWS,
    "slow-reader": each(lambda block, number: b"" if number == 100 else block),
}
BILLS: dict[str, Tamper] = {
    "receipt": page(404, "/v1/usage/calls/"),
    "receipt-agrees": document(lambda value: value["billed"].update(output_tokens=99)),
    "settled-first": document(lambda value: value.update(outcome="running")),
    "receipt-private": asked(lambda headers: headers.update(GOOD_KEY)),
    "idempotency": asked(lambda headers: headers.pop("idempotency-key", None)),
}
DOORS: dict[str, Tamper] = {
    "responses-order": without("response.created"),
    "responses-numbers": member("sequence_number", 7),
    "responses-text": data(lambda given: {**given, "response": {**given["response"], "output": []}} if "response" in given else given),
    "responses-failure": without("response.failed"),
    "messages-order": without("message_stop"),
    "messages-blocks": member("index", 3, "content_block_start"),
    "messages-names": replaced(b"event: content_block_delta", b"event: delta"),
    "messages-failure": without("error"),
    "messages-key": asked(lambda headers: headers.pop("x-api-key", None)),
    "messages-refusal": document(lambda value: value.pop("type", None)),
    "messages-count": document(lambda value: value.pop("input_tokens", None)),
    "gemini-lines": Tamper(last=b"data: [DONE]\n\n"),
    "gemini-finish": data(lambda given: {**given, "candidates": [{**one, "finishReason": None} for one in given.get("candidates", ())]}),
    "gemini-key": asked(lambda headers: headers.pop("x-goog-api-key", None)),
    "gemini-failure": data(lambda given: {"responseId": "x", **given} if "error" in given else given),
    "completions": member("object", "chat.completion.chunk"),
    "embeddings-base64": document(lambda value: [one.update(embedding=[0.5]) for one in value["data"]]),
    "embeddings-equal": document(lambda value: value["data"].reverse()),
    "rerank": document(lambda value: value["results"].reverse()),
}
#: What a check that looks at less would pass -> the check, and what is broken.
SUBTLE: dict[str, tuple[str, Tamper]] = {
    "one id for all answers": ("request-id", told(lambda headers: headers.update({"x-request-id": "req_1"}))),
    "no id in any chunk": ("identity", data(lambda value: {name: value[name] for name in value if name != "id"})),
    "the role is another": ("role-once", delta(lambda given: given.update(role="user") if "role" in given else None)),
    "a thought after the finish": ("finish-last", Tamper(event=lambda block, _number: block if block != DONE else AFTER + block)),
    "no tokens for a text": ("usage-sum", data(lambda value: {**value, "usage": NO_TOKENS} if value.get("usage") else value)),
    "no tokens for a document": ("document-usage", document(lambda value: value.update(usage=NO_TOKENS))),
    "an empty id": ("document-shape", document(lambda value: value.update(id=""))),
    "a second choice without text": (
        "choices",
        choice(lambda given: given["delta"].pop("content", None) if given["index"] else None),
    ),
    "a token lost in the middle": ("delay", each(lambda block, number: b"" if number == 20 else block)),
    "the last third at once": ("delay", Tamper(holds_after=27)),
    "a token lost in a long stream": ("long-stream", each(lambda block, number: b"" if number == 5 else block)),
    "an overload told as a wrong request": ("error-first", page(400, "POST")),
    "a message without its text": ("messages-order", without("content_block_delta")),
    "half of Gemini's text": ("gemini-finish", each(lambda block, number: b"" if number == 2 else block)),
    "half of a completion": ("completions", each(lambda block, number: b"" if number == 2 else block)),
}
BROKEN = {**FIRST, **CHAT, **BILLS, **DOORS}
