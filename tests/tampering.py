"""A proxy that breaks one thing: between a client and a gateway, over real sockets. What it breaks is data. Not a test.

Without anything to break it is a plain proxy: events pass one by one, who leaves is passed on, a half-close too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aisa.checks.client import Address, BareConnection, NoAnswer, Response, connect

Headers = dict[str, str]
PAGE = b"<html><body>Bad Gateway</body></html>"
FAR_SECONDS = 200.0  # for what waits behind a silent vendor
DEAF_SECONDS = 30.0  # after which a client that left is passed on by a proxy that takes its time


@dataclass(frozen=True)
class Tamper:
    """What is broken.

    `headers` and `told` change the headers of a request and of an answer, `event` each event of a stream (and its number), `document`
    a body that is none. `answers` answers in the gateway's place where it returns something. `last` stands at a stream's end, however that
    came. Connections are closed after so many answers, or under the request behind them. Times are seconds: `delay` of each event,
    `whole` before a stream is sent all at once, `limit` of an answer, `silence` of it. Events before the number `holds_first` wait for it,
    those behind `holds_after` for the stream's end.
    """

    headers: Callable[[Headers], object] = lambda _headers: None
    body: Callable[[bytes], bytes] = lambda body: body
    status: Callable[[int], int] = lambda status: status
    told: Callable[[Headers], object] = lambda _headers: None
    event: Callable[[bytes, int], bytes] = lambda event, _number: event
    document: Callable[[Any], Any] | None = None
    raw: Callable[[bytes], bytes] = lambda body: body
    answers: Callable[[str, Headers, bytes], tuple[int, str, bytes] | None] = lambda _line, _headers, _body: None
    last: bytes | None = None
    delay: float = 0.0
    whole: float = 0.0
    holds_head: bool = False
    holds_first: int = 0
    holds_after: int = 0
    limit: float = FAR_SECONDS
    silence: float = FAR_SECONDS
    deaf: bool = False
    takes_fin_for_leaving: bool = False
    ends_at_fin: bool = False
    swallows: bool = False
    repeats: bool = False
    closes_after: int = 0
    closes_under: int = 0
    short: int = 0
    cuts: bool = False


@asynccontextmanager
async def tampering(port: int, tamper: Tamper) -> AsyncIterator[int]:
    """Run the proxy in front of a port, and yield its own."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # it is one
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, NoAnswer, asyncio.CancelledError):
            for served in itertools.count(1):
                await Passage(tamper, port, reader, writer=writer).serve()
                if served == tamper.closes_after:
                    break
                if served == tamper.closes_under:
                    await reader.readuntil(b"\r\n\r\n")
                    break
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class Passage:
    """One request and its answer."""

    def __init__(self, tamper: Tamper, port: int, reader: asyncio.StreamReader, *, writer: asyncio.StreamWriter) -> None:
        self.tamper, self.port, self.reader, self.writer = tamper, port, reader, writer

    async def serve(self) -> None:
        """Pass it on, and the answer back."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head[:-4].split("\r\n")
        headers = {name: value.strip() for name, _, value in (each.partition(":") for each in lines)}
        early = self.tamper.answers(line, headers, b"") if "expect" in headers else None
        if "expect" in headers and early is None:
            del headers["expect"]
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b"" if early else await self.reader.readexactly(int(headers.get("content-length", "0")))
        own = early or self.tamper.answers(line, headers, body)
        if own is not None:
            self.write_head(own[0], {"content-type": own[1], "content-length": str(len(own[2]))})
            self.writer.write(own[2])
            return
        self.tamper.headers(headers)
        body = self.tamper.body(body)
        if body:
            headers["content-length"] = str(len(body))
        request = "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1") + body
        for _ in range(2 if self.tamper.repeats else 1):
            upstream = await connect(Address("127.0.0.1", self.port))
            try:
                await upstream.send(request)
                status = await self.both(upstream, to_head=line.startswith("HEAD"))
            finally:
                upstream.close()
            if status < 500:
                break

    async def both(self, upstream: BareConnection, *, to_head: bool) -> int:
        """Pass the answer back while watching whether the client leaves."""
        answering = asyncio.ensure_future(self.answer(upstream, to_head=to_head))
        leaving = asyncio.ensure_future(self.watch(upstream))
        try:
            async with asyncio.timeout(self.tamper.limit):
                return await answering
        except TimeoutError:
            self.give_up()
            raise ConnectionResetError from None
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    def give_up(self) -> None:
        """Say 504 where nothing was said yet."""
        self.write_head(504, {"content-type": "text/html", "content-length": str(len(PAGE))})
        self.writer.write(PAGE)

    async def watch(self, upstream: BareConnection) -> None:
        """Pass on that the client left, or only finished sending."""
        with suppress(ConnectionError):
            await self.reader._wait_for_data("watch") if not self.reader.at_eof() else None  # without taking the next request
            if not self.reader.at_eof():
                return
            if self.tamper.ends_at_fin:
                self.writer.write(b"0\r\n\r\n")
            if self.tamper.takes_fin_for_leaving or self.tamper.ends_at_fin:
                self.writer.close()
            elif not self.tamper.deaf:
                upstream.half_close()
                return
        if self.tamper.deaf:
            await asyncio.sleep(DEAF_SECONDS)
        upstream.close()

    async def answer(self, upstream: BareConnection, *, to_head: bool) -> int:
        """Pass an answer back."""
        response = await upstream.head(self.tamper.silence, to_head=to_head)
        status, headers = self.tamper.status(response.status), dict(response.headers)
        self.tamper.told(headers)
        if response.kind == "text/event-stream" and status == 200:
            await self.stream(upstream, response, headers)
            return status
        body = (await upstream.rest(response, FAR_SECONDS)).body
        if self.tamper.document is not None and body:
            body = json.dumps(self.tamper.document(json.loads(body))).encode()
        body = self.tamper.raw(body)
        if self.tamper.repeats and status >= 500 and len(self.writer.transport.get_extra_info("peername")) and not hasattr(self, "again"):
            self.again = True
            return status
        headers.pop("transfer-encoding", None)
        if not to_head:
            headers["content-length"] = str(len(body) + self.tamper.short)
        self.write_head(status, headers)
        self.writer.write(b"" if to_head else body)
        await self.drain()
        return status

    async def stream(self, upstream: BareConnection, response: Response, headers: Headers) -> None:
        """Pass the events of a stream."""
        headers["transfer-encoding"] = "chunked"
        if not self.tamper.holds_head:
            self.write_head(200, headers)
        waiting, number, held, late = b"", 0, list[bytes](), list[asyncio.Task[None]]()
        while piece := await upstream.piece(response, self.tamper.silence):
            *blocks, waiting = (waiting + piece).split(b"\n\n")
            for block in blocks:
                number += 1
                sent = self.tamper.event(block, number)
                held += [sent + b"\n\n"] if sent else []
            if self.tamper.holds_head and (b"data:" in b"".join(held) or response.ended):
                self.write_head(200, headers)
                object.__setattr__(self, "tamper", Tamper())
            if self.tamper.whole or self.tamper.holds_head or number < self.tamper.holds_first or 0 < self.tamper.holds_after < number:
                continue
            data, held = b"".join(held), []
            if self.tamper.delay:
                late.append(asyncio.ensure_future(self.later(data)))
            else:
                await self.send(data)
        if self.tamper.whole:
            await asyncio.sleep(self.tamper.whole)
        await asyncio.gather(*late)
        await self.send(b"".join(held))
        if self.tamper.cuts or (self.tamper.last is None and response.ended != "whole"):
            self.writer.transport.abort()
            return
        await self.send(self.tamper.last or b"")
        self.writer.write(b"0\r\n\r\n")

    async def later(self, data: bytes) -> None:
        """Send after a while."""
        await asyncio.sleep(self.tamper.delay)
        await self.send(data)

    async def send(self, data: bytes) -> None:
        """Send body bytes as a chunk."""
        if data and not (self.tamper.deaf and self.writer.transport.is_closing()):
            self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await self.drain()

    async def drain(self) -> None:
        """Wait until they are taken, unless this proxy takes everything."""
        if not self.tamper.swallows and not self.tamper.deaf:
            await self.writer.drain()

    def write_head(self, status: int, headers: Headers) -> None:
        """Send the head."""
        lines = [f"HTTP/1.1 {status} Passed", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
