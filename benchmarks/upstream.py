"""The fake vendor behind every subject of the bench: an OpenAI-dialect server whose answers are made before they are asked for.

Does no work per call beyond finding the body's end; the model's name is the script:
`bench-200x0` streams 200 chunks at once, `bench-500x20` 500 chunks 20 ms apart, `bench-silent` a role chunk and then nothing.
Run as a program it listens on a free loopback port, writes the port's number to standard output and ends when its input does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import uvloop

BODIES_MAX = 64  # distinct request bodies of one bench run are fewer than ten; each keeps its whole answer in memory
CHUNKS_MAX = 100_000  # 200 KiB/s for more than half an hour at 20 ms: longer than any soak stream
REQUEST_BYTES_MAX = 1 << 20
WRITE_BYTES_MAX = 65_536  # one write of a burst: what a fast vendor's TLS layer hands on at once, give or take
BACKLOG = 4_096  # a thousand streams are opened within a second

SCRIPT = re.compile(r"(?:.*/)?bench-(\d+)x(\d+)")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
ID = "chatcmpl-bench0"  # the same for every answer: nothing here looks at it
CREATED = 1_767_225_600  # the first second of 2026
PROMPT_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as bytes: `first` at once, then each of `rest` after another pause of `pause_seconds`. The connection stays open."""

    first: bytes
    rest: tuple[bytes, ...] = ()
    pause_seconds: float = 0.0


def answer(status: str, body: object) -> Reply:
    """Return a whole JSON answer."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return Reply(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)


def refusal(status: str, message: str) -> Reply:
    """Return an error in the vendor's shape."""
    return answer(status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}})


def usage(completion_tokens: int) -> dict[str, int]:
    """Return the usage block of an answer."""
    total = PROMPT_TOKENS + completion_tokens
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": completion_tokens, "total_tokens": total}


def completion(model: str) -> Reply:
    """Return a non-streamed completion, some 400 bytes of JSON. Its text begins with the same mark as the first streamed chunk."""
    message = {"role": "assistant", "content": " w000000 and a sentence to make up an answer of usual size.", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    common = {"id": ID, "object": "chat.completion", "created": CREATED, "model": model}
    return answer("200 OK", {**common, "choices": [choice], "usage": usage(16), "system_fingerprint": "fp_bench"})


def framed(payload: str) -> bytes:
    """Return one server-sent event as one chunk of a chunked body."""
    event = f"data: {payload}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def events(model: str, chunks: int, with_usage: bool) -> Iterator[bytes]:
    """Yield a stream's chunks of body: role, `chunks` numbered words, finish, usage if asked, `[DONE]`."""
    start = f'{{"id":"{ID}","object":"chat.completion.chunk","created":{CREATED},"model":"{model}",'
    rest = ',"usage":null}' if with_usage else "}"
    choice = start + '"choices":[{"index":0,"delta":%s,"finish_reason":%s}]' + rest
    yield framed(choice % ('{"role":"assistant","content":""}', "null"))
    for number in range(chunks):
        yield framed(choice % (f'{{"content":" w{number:06d}"}}', "null"))
    yield framed(choice % ("{}", '"stop"'))
    if with_usage:
        yield framed(f'{start}"choices":[],"usage":{json.dumps(usage(chunks), separators=(",", ":"))}}}')
    yield framed("[DONE]")


def stream(model: str, chunks: int, pause_ms: int, with_usage: bool) -> Reply:
    """Return a streamed answer: paced chunk by chunk, or in writes as large as possible."""
    head, *body = events(model, chunks, with_usage)
    if pause_ms:
        ending = b"".join(body[chunks:]) + LAST_CHUNK
        return Reply(STREAM_HEAD + head, (*body[:chunks], ending), pause_ms / 1000)
    whole = STREAM_HEAD + head + b"".join(body) + LAST_CHUNK
    pieces = [whole[at : at + WRITE_BYTES_MAX] for at in range(0, len(whole), WRITE_BYTES_MAX)]
    return Reply(pieces[0], tuple(pieces[1:]))


@lru_cache(maxsize=BODIES_MAX)
def reply_to(body: bytes) -> Reply:
    """Return the answer to a request body. What is no chat request gets the vendor's 400, an unknown model its 404."""
    try:
        asked: dict[str, Any] = json.loads(body)
        model = str(asked["model"])
        if not asked["messages"]:
            return refusal("400 Bad Request", "messages is empty")
    except (ValueError, LookupError, TypeError):
        return refusal("400 Bad Request", "not a chat request")
    if not asked.get("stream"):
        return completion(model)
    if model.endswith("bench-silent"):
        return Reply(STREAM_HEAD + next(events(model, 0, False)))
    script = SCRIPT.fullmatch(model)
    if script is None or int(script[1]) > CHUNKS_MAX:
        return refusal("404 Not Found", f"no script named {model}")
    return stream(model, int(script[1]), int(script[2]), b'"include_usage":true' in body.replace(b" ", b""))


class Connection(asyncio.Protocol):
    """One connection of a gateway. Answers requests in turn; pipelining is not understood."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.pending: bytes = b""
        self.reply = Reply(b"")
        self.at = 0
        self.due = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports have its methods, not its type

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop talking."""
        self.at = len(self.reply.rest)
        if self.timer is not None:
            self.timer.cancel()

    def pause_writing(self) -> None:
        """Hold back: whoever reads is slow."""
        self.paused = True

    def resume_writing(self) -> None:
        """Go on at the usual pace; what was missed is not made up for."""
        self.paused = False
        self.due = self.loop.time()
        if self.timer is None:
            self.go_on()

    def data_received(self, data: bytes) -> None:
        """Answer if the request is complete."""
        data = self.pending + data
        head_end = data.find(b"\r\n\r\n")
        length = LENGTH.search(data, 0, head_end) if head_end >= 0 else None
        body_end = head_end + 4 + (int(length[1]) if length else 0)
        if head_end < 0 or len(data) < body_end:
            self.pending = data
            if len(data) > REQUEST_BYTES_MAX:
                self.transport.abort()
            return
        self.pending = b""
        self.reply = self.reply_to(data[:head_end], data[head_end + 4 : body_end])
        self.transport.write(self.reply.first)
        self.at = 0
        if self.reply.rest:
            self.due = self.loop.time()
            self.wait_or_go_on()

    def reply_to(self, head: bytes, body: bytes) -> Reply:
        """Return the answer to a request."""
        return reply_to(body) if b"/chat/completions " in head[:80] else NO_ROUTE

    def wait_or_go_on(self) -> None:
        """Write the next piece when it is due. Due times are absolute, so that a late timer does not slow the stream down."""
        if self.reply.pause_seconds:
            self.due += self.reply.pause_seconds
            self.timer = self.loop.call_at(self.due, self.go_on)
        else:
            self.go_on()

    def go_on(self) -> None:
        """Write what is due."""
        self.timer = None
        rest = self.reply.rest
        while self.at < len(rest) and not self.paused:
            self.at += 1
            self.transport.write(rest[self.at - 1])
            if self.reply.pause_seconds and self.at < len(rest):
                return self.wait_or_go_on()
        return None


NO_ROUTE = refusal("404 Not Found", "only POST /v1/chat/completions is served")


async def listen(port: int = 0, connection: type[Connection] = Connection) -> asyncio.Server:
    """Start the fake vendor on a loopback port (0: a free one)."""
    return await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port, backlog=BACKLOG)


async def main(connection: type[Connection] = Connection) -> None:
    """Serve until standard input ends, which it does when the bench is gone."""
    server = await listen(connection=connection)
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    gc.disable()  # replies are shared and connections few: there is no garbage worth a pause in somebody's latency
    await over.wait()


if __name__ == "__main__":
    uvloop.run(main())
