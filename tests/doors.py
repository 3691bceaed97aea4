"""A front door and a dialect of a protocol that nobody speaks: the least that makes one. Not a test.

A request is `{"model", "ask", "live"}`, an answer is lines: `+text`, `.` where there is nothing to say, `!code`, and `=tokens cost` at the
end. Of an answer that is not `live` the texts are one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from aisa.answer import Finish, Identity, Part, Piece, Report, Text
from aisa.errors import ApiError, UpstreamFailed
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Asked, Target
from aisa.usage import COUNTED, REPORTED, Usage
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.content import Content
from aisa.wire.door import Refused, Request
from aisa.wire.wish import Wish

PROTOCOL = NAME = "lines"


class LinesRequest:
    """A request; implements `wire.door.Request`."""

    task, choices, max_tokens, bounds_reasoning, bound_tells_length, bound_name = "", 1, None, False, False, "lines"

    def __init__(self, body: bytes) -> None:
        try:
            asked = json.loads(body)
            self.model, self.ask, self.stream = str(asked["model"]), str(asked["ask"]), bool(asked.get("live"))
        except (ValueError, KeyError) as error:
            raise ApiError("invalid_request", "These are no lines.") from error
        self.body_bytes = len(body)

    def wishes(self) -> list[Wish]:
        """None."""
        return []

    def tier(self) -> tuple[str, str]:
        """The usual one."""
        return "", ""

    def as_chat(self) -> ChatRequest:
        """The same in the words of chat completions."""
        return self.chat

    @cached_property
    def chat(self) -> ChatRequest:
        """The same."""
        messages = [{"role": "user", "content": self.ask}]
        return parse_chat(json.dumps({"model": self.model, "stream": self.stream, "messages": messages}).encode())


class LinesEncoder:
    """Writes lines; implements `wire.door.Encoder`."""

    cut: UpstreamFailed | None = None

    def __init__(self, *, live: bool) -> None:
        self.headers = [("content-type", "text/lines")]
        self._live = live
        self._said = ""

    def write(self, parts: Sequence[Part]) -> Piece | None:
        """A line for each text."""
        texts = [part for part in parts if isinstance(part, Text | Piece)]
        if not self._live:
            self._said += "".join([part.text for part in texts if isinstance(part, Text)])
            return None
        lines = [part.data if isinstance(part, Piece) else f"+{part.text}\n".encode() for part in texts]
        return Piece(b"".join(lines), sum([part.tokens for part in texts])) if lines else None

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """A line that says so."""
        return f"!{error.code} {request_id}\n".encode()

    def closing(self, parts: Sequence[Part]) -> bytes:
        """The texts of a document, and the last line."""
        self.write(parts)
        [report] = [part for part in parts if isinstance(part, Report)]
        document = b"" if self._live else f"+{self._said}\n".encode()
        return document + f"={report.usage.output_tokens} {report.cost_usd}\n".encode()


class LinesDoor:
    """The door; implements `wire.door.Door`."""

    protocol = outside_body = PROTOCOL
    keep_alive = b".\n"

    def read(self, body: bytes) -> Request:
        """Read a request."""
        return LinesRequest(body)

    def content(self, request: Request) -> Content:
        """What is asked."""
        return Content(request.body_bytes)

    def encoder(self, request: Request, *, call_id: str, created: int) -> LinesEncoder:
        """What writes lines."""
        return LinesEncoder(live=request.stream)

    def failure(self, error: ApiError, request_id: str) -> bytes:
        """A line that says so."""
        return f"!{error.code} {request_id}\n".encode()

    def refused(self, error: ApiError, request_id: str) -> Refused:
        """The same with its status."""
        return Refused(error.status, [("content-type", "text/lines")], self.failure(error, request_id))


def to_upstream(request: Request, target: Target) -> UpstreamRequest:
    """Ask what the last message says."""
    asked = request.as_chat().known.messages[-1].content
    return UpstreamRequest("/lines", (), msgspec.json.encode({"model": target.model, "ask": asked, "live": request.stream}))


class LinesDecoder:
    """Reads lines, each of them a token; implements `providers.shape.Decoder`."""

    def __init__(self, identity: Identity, *, live: bool, passes: bool) -> None:
        self.done, self.certain = False, True
        self.failure: UpstreamFailed | None = None
        self.finishing = self.tokens = self.reasoning_shown = self.held_bytes = 0
        self.choices_made = 1
        self.tier: str | None = None
        self.unknown: list[str] = []
        self._live, self._passes = live, passes
        self._owed: list[Part] = [identity]
        self._rest = b""
        self._said = False
        self._made = 0

    @property
    def finished(self) -> bool:
        """At the last line."""
        return self.done and self._live

    def feed(self, data: bytes) -> Sequence[Part]:
        """Read on."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        parts, self._owed = self._owed, []
        if not self._said:  # a bare opening: another target may still be asked
            parts, self._owed = [], parts
        return parts

    def end(self) -> Sequence[Part]:
        """An end before the last line is none."""
        if not self.done:
            self.failure = UpstreamFailed(ApiError("upstream_unavailable", "The vendor broke off."))
        return []

    def usage(self) -> Usage:
        """What the last line says, else the lines so far."""
        return Usage(5, self._made, source=REPORTED, input_source=REPORTED) if self.done else Usage(5, self.tokens, source=COUNTED)

    def usage_fault(self, usage: Usage) -> str:
        """None."""
        return ""

    def closing(self, cost_usd: str | None) -> Sequence[Part]:
        """The report."""
        return [Report(self.usage(), cost_usd)]

    def _take(self, line: bytes) -> None:
        said = line[1:].decode()
        self._said = self._said or bool(line)
        if line.startswith(b"+"):
            self.tokens += self._live
            self._owed.append(Piece(line + b"\n", 1) if self._live and self._passes else Text(0, said, int(self._live)))
        elif line.startswith(b"!"):
            self.failure = UpstreamFailed(ApiError("upstream_unavailable", "The vendor gave up."))
        elif line.startswith(b"="):
            self._made, self.done = int(said.split()[0]), True
            self._owed.append(Finish(0, "stop"))


def decoder(request: Request, target: Target, *, call_id: str, created: int, protocol: str) -> LinesDecoder:
    """What reads lines."""
    return LinesDecoder(Identity(call_id, created, target.model), live=request.stream, passes=protocol == PROTOCOL)


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, target: Target, asked: Asked) -> UpstreamFailed:
    """A vendor's refusal."""
    return UpstreamFailed(ApiError("upstream_unavailable", f"It answered {status}."))
