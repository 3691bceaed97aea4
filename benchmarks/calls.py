"""The client of non-streamed calls: one write, one answer found by its content length, checked. Does not decode JSON."""

from __future__ import annotations

import json
import re
import time

from benchmarks.load import Channel

ANSWER_BYTES_MAX = 1 << 20  # the fake vendor's completion is 400 bytes; whoever sends a megabyte is broken
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
MARK = b" w000000 "  # the beginning of the fake vendor's text
CALL_MODEL = "bench-model"
PROMPT = "Write a haiku about a benchmark that measures what it says, and nothing else."


def request(model: str, *, key: str = "bench", stream: bool = False, words: str = PROMPT) -> bytes:
    """Return a whole chat-completions request, as an official client words it."""
    asked: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": words}]}
    if stream:
        asked |= {"stream": True}
    body = json.dumps(asked, separators=(",", ":")).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class CallChannel(Channel):
    """A connection for non-streamed calls."""

    pending = b""

    def begin(self) -> None:
        """Forget the previous answer."""
        self.pending = b""

    def data_received(self, data: bytes) -> None:
        """Finish the call when its body is complete; refuse what is not a 200 with the fake vendor's text in it."""
        if self.pending:
            data = self.pending + data
        head_end = data.find(b"\r\n\r\n")
        length = LENGTH.search(data, 0, head_end) if head_end >= 0 else None
        if length is None or len(data) < head_end + 4 + int(length[1]):
            self.pending = data
            if len(data) > ANSWER_BYTES_MAX or (head_end >= 0 and length is None):
                self.refuse("a non-streamed answer has no content length or no end", data)
            return
        if not data.startswith(b"HTTP/1.1 200 ") or MARK not in data:
            self.refuse("a call was not answered with a 200 and the upstream's text", data)
            return
        self.seconds = time.perf_counter() - self.due
        self.answered()
