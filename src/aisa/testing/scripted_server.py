"""A scripted vendor on a socket: plays the scenario that a request names, and keeps what came of each. Refuses only what is no request.

Which scenario: `scenario:NAME` anywhere in the request's text, else a model of that name (the part behind the last slash), else the one
that it was given as its own. Times are the event loop's, in seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec

from aisa.testing.scenario import Answer, Scenario, ScenarioUnfit, Step
from aisa.testing.scripted_words import Words, document, event, ranking, refusal_of, text_of, vectors

Json = dict[str, Any]
REQUEST_BYTES_MAX = 67_108_864  # of one request; what gateways take has at most 32 MiB
SEND_BUFFER_BYTES = 16_384  # what the kernel holds of an answer that nobody reads: what was made and what was taken must not differ by much
BATCH_TOKENS = 16  # of a burst that go out in one write
PLAYED_MAX = 10_000  # requests that are remembered; who simulates for days wants no more
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero: closing sends a RST
NAMED = re.compile(rb"scenario:([A-Za-z0-9][\w.-]*)(?:#([\w-]+))?")


class Played:
    """One request and what came of it: `tokens` were made, at `times` (of each write), and at `gone_at` it was hung up on, or broke off."""

    def __init__(self, scenario: str, mark: str, asked: Mapping[str, object], *, headers: Mapping[str, str], began: float) -> None:
        self.scenario, self.mark, self.asked, self.headers, self.began = scenario, mark, asked, headers, began
        self.tokens = 0
        self.times: list[float] = []
        self.ended = self.broke_off = False
        self.gone = asyncio.Event()
        self.gone_at = 0.0


class ScriptedServer:
    """The vendor. `scenarios` are found by name; `own` is played where none is named. `played` is every request so far."""

    def __init__(self, scenarios: Mapping[str, Scenario], own: str, *, tell: Callable[[Played], None] | None = None) -> None:
        if own not in scenarios:
            raise ScenarioUnfit(own, "There is no scenario of this name.", "`aisa simulate --list` names them.")
        self.scenarios, self.own = scenarios, own
        self.played: list[Played] = []
        self.port = 0
        self.tell = tell
        self._lines: set[_Line] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Line(self), host, port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for line in list(self._lines):
            line.stop()

    def marked(self, mark: str) -> list[Played]:
        """Return the requests that carried a mark: `scenario:NAME#MARK`."""
        return [played for played in self.played if played.mark == mark]

    def choose(self, asked: Mapping[str, object], body: bytes) -> tuple[Scenario, str]:
        """Return the scenario of a request, and its mark."""
        found = NAMED.search(body)
        name = found[1].decode().rstrip(".") if found else str(asked.get("model", "")).rpartition("/")[2]
        mark = (found[2] or b"").decode() if found else ""
        return self.scenarios.get(name) or self.scenarios[self.own], mark

    def note(self, played: Played) -> int:
        """Remember a request, and return how many came before it for the same scenario and mark."""
        earlier = sum((each.scenario, each.mark) == (played.scenario, played.mark) for each in self.played)
        self.played.append(played)
        del self.played[:-PLAYED_MAX]
        return earlier

    def attach(self, line: _Line, *, open_: bool) -> None:
        """Take note of a connection that was opened, or lost."""
        (self._lines.add if open_ else self._lines.discard)(line)


class _Line(asyncio.Protocol):
    """The vendor's end of one connection."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._arrived = b""
        self._lost = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self._played: Played | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport), "a stream's"
        self._transport = transport
        transport.set_write_buffer_limits(0)
        made: socket.socket = transport.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._server.attach(self, open_=True)

    def data_received(self, data: bytes) -> None:
        """Answer a request that is whole."""
        self._arrived += data
        if self._task is not None and not self._task.done():
            return
        head, found, rest = self._arrived.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = _body_of(rest, headers)
        if body is None or len(self._arrived) > REQUEST_BYTES_MAX:
            if headers.get("expect", "").lower() == "100-continue" and not rest:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        data, size = body
        self._arrived = rest[size:]
        self._task = self._loop.create_task(self._answer(first.split(" "), headers, data))

    async def _answer(self, line: list[str], headers: Mapping[str, str], body: bytes) -> None:
        with suppress(ConnectionError):
            path = line[1].partition("?")[0] if len(line) > 1 else ""
            if line[0] in ("GET", "HEAD"):
                listed = [{"id": name, "object": "model", "created": 1, "owned_by": "scripted"} for name in self._server.scenarios]
                self._whole(200, {}, json.dumps({"object": "list", "data": listed}).encode(), bare=line[0] == "HEAD")
            else:
                await self._play(path, _object_in(body), headers=headers, body=body)
        if "close" in headers.get("connection", "").lower() or line[-1] == "HTTP/1.0":
            self._transport.close()

    async def _play(self, path: str, given: Json | None, *, headers: Mapping[str, str], body: bytes) -> None:
        asked = given or {}
        scenario, mark = self._server.choose(asked, body)
        played = self._played = Played(scenario.name, mark, asked, headers=headers, began=self._loop.time())
        answer = scenario.answer(self._server.note(played))
        try:
            await self._pause(answer.after_seconds)
            if answer.raw is not None or answer.body is not None:
                self._whole(answer.status, answer.headers, answer.raw if answer.raw is not None else (answer.body or "").encode())
            elif answer.json is not msgspec.UNSET:
                self._whole(answer.status, answer.headers, msgspec.json.encode(answer.json))
            elif path.endswith("/embeddings"):
                self._whole(200, {}, json.dumps(vectors(asked)).encode())
            elif path.endswith("/rerank"):
                self._whole(200, {}, json.dumps(ranking(asked)).encode())
            elif (refusal := refusal_of(path, given)) is not None:
                self._whole(*refusal)
            else:
                completion = not path.endswith("/chat/completions")
                await self._talk(asked, answer, played, completion=completion)
            played.ended = True
        finally:
            if self._server.tell is not None:
                self._server.tell(played)

    async def _talk(self, asked: Json, answer: Answer, played: Played, *, completion: bool) -> None:
        """Go through the steps, as a stream or for a document."""
        streamed = bool(asked.get("stream"))
        words, started = Words(asked, completion=completion), False
        head = _head(answer.status, {"content-type": "text/event-stream", **answer.headers, "transfer-encoding": "chunked"})
        for step in answer.steps:
            if step.cut or step.reset:
                await self._break_off(rudely=step.reset)
            if step.hang:
                await self._pause(float("inf"))
            await self._pause(step.wait_seconds or 0.0)
            if not streamed:
                await self._pause(step.every_seconds * step.times)
                continue
            if not started:
                started = True
                self._transport.write(head)
                await self._send(words.opening() if answer.role else b"")
            await self._do(step, words, played)
        if not streamed:
            status, value = document(asked, answer, completion=completion)
            played.tokens = value.get("usage", {}).get("completion_tokens", 0)
            self._whole(status, answer.headers, json.dumps(value).encode())
            return
        self._transport.write((b"" if started else head) + b"0\r\n\r\n")

    async def _do(self, step: Step, words: Words, played: Played) -> None:
        if step.say is not None:
            await self._say(step, words, played)
        elif step.call is not None:
            await self._send(words.call(step.call))
            played.tokens += 1
            played.times.append(self._loop.time())
        elif step.send is not None:
            await self._send(step.send.encode())
        elif step.end is not None:
            await self._send(words.end(step.end))
        elif step.action == "event":
            await self._send(event(step.event))

    async def _say(self, step: Step, words: Words, played: Played) -> None:
        said = 0
        while said < step.times and not words.over:
            count = 1 if step.every_seconds else min(BATCH_TOKENS, step.times - said)
            await self._pause(step.every_seconds)
            await self._send(b"".join(words.token(text_of(step, number)) for number in range(said, said + count)))
            said += count
            played.tokens += count
            played.times.append(self._loop.time())

    async def _pause(self, seconds: float) -> None:
        """Wait. Raises ConnectionResetError as soon as it is hung up on."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), None if seconds == float("inf") else seconds)
        if self._lost.is_set():
            raise ConnectionResetError

    async def _send(self, data: bytes) -> None:
        """Send body bytes as one chunk, and wait until the kernel has them."""
        if data:
            if self._lost.is_set():
                raise ConnectionResetError
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            await self._writable.wait()
            if self._lost.is_set():
                raise ConnectionResetError

    def _whole(self, status: int, headers: Mapping[str, str], body: bytes, *, bare: bool = False) -> None:
        given = {"content-type": "application/json", **headers}
        self._transport.write(_head(status, {**given, "content-length": str(len(body))}) + (b"" if bare else body))

    async def _break_off(self, *, rudely: bool) -> None:
        if self._played is not None:
            self._played.broke_off = True
        made: socket.socket = self._transport.get_extra_info("socket")
        if rudely:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
        else:
            self._transport.close()
        await self._lost.wait()
        raise ConnectionResetError

    def connection_lost(self, exc: Exception | None) -> None:
        """Note when, and wake whatever waits."""
        self._server.attach(self, open_=False)
        if self._played is not None and not self._played.ended:
            self._played.gone_at = self._loop.time()
            self._played.gone.set()
        self._lost.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The other side does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    def stop(self) -> None:
        """Drop everything."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()


def _object_in(body: bytes) -> Json | None:
    """Return the object that a body is, None if it is none."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("Json", value) if isinstance(value, dict) else None


def _body_of(rest: bytes, headers: Mapping[str, str]) -> tuple[bytes, int] | None:
    """Return a request's body and how many bytes it took; None while it is not whole."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        size = int(headers.get("content-length", "0")) if headers.get("content-length", "0").isdecimal() else 0
        return (rest[:size], size) if len(rest) >= size else None
    data, at = b"", 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        size = int(rest[at:end].partition(b";")[0] or b"0", 16)
        if len(rest) < end + 2 + size + 2:
            return None
        data, at = data + rest[end + 2 : end + 2 + size], end + 2 + size + 2
        if not size:
            return data, at
    return None


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
