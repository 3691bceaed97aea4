"""Prints what clients that stop reading a long stream have of it, what "written" would have billed, and what aisa bills. A rig, not a test.

    python tools/delivered.py --streams 5 --seed 1

Each client reads some tokens of a stream that comes as fast as it is taken, stops until nothing moves any more, counts what its own system
has, read or not, and resets the connection. Three servers send the same stream: two plain relays that count a token once the kernel has
taken it, one with the kernel's buffers and one with aisa's, and aisa itself, whose receipt is asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import random
import re
import socket
import sys
import termios
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from running_aisa import aisa, receipt_of

from aisa.http.sockets import tcp_listener

EVENTS = 60_000  # 12 MB: more than the kernels of both sides hold together
TOKENS_READ_MAX = 1_500
RECEIVE_BYTES = 65_536  # of a client's system, unread; a fixed size, because a kernel that chooses for itself takes more and more
QUIET_SECONDS = 1.0  # without a byte arriving: all that can move has moved, and was acknowledged
RECEIPT_SECONDS_MAX = 10.0  # a receipt is final a tenth of a second after the reset
PEEK_BYTES_MAX = 1 << 24
TOKEN = re.compile(rb'"content":"w\d+ "[^\n]*\n\n')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: -\r\n\r\n"
HAD = "client had"
COLUMNS = ("client read", "written with the kernel's buffers", HAD, "written with aisa's", HAD, "billed by aisa", HAD)
CONFIGURATION = """\
log: {{format: "off"}}
vendors: {{v: {{base_url: "http://127.0.0.1:{port}/v1", api_key: k}}}}
models: {{m: {{to: [v/m], prices: {{input: 1, output: 2}}}}}}
"""

Sender = Callable[[asyncio.StreamWriter], Awaitable[None]]


def framed(delta: dict[str, str]) -> bytes:
    """Return an event of a stream as a chunk of a chunked body."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    event = b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


STREAM = [framed({"role": "assistant", "content": ""}), *(framed({"content": f"w{number} "}) for number in range(EVENTS))]


class Relay:
    """A server that answers every request with the stream. `written` are the tokens of the last answer that its kernel has taken."""

    def __init__(self) -> None:
        self.written = 0
        self._server: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> int:
        """Serve on a socket and return its port."""
        self._server = await asyncio.start_server(self._answer, sock=listener)
        return int(listener.getsockname()[1])

    def close(self) -> None:
        """Stop."""
        assert self._server is not None, "it was told to listen"
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # so that `drain` returns when the kernel has everything
        self.written = -1  # the opening is no token
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            for event in STREAM:
                writer.write(event)
                await writer.drain()
                self.written += 1
        except ConnectionError:
            pass  # this is how each stream here ends
        finally:
            writer.close()


async def stall(port: int, key: str, tokens: int) -> tuple[str, int]:
    """Read so many tokens of a stream, stop, and reset. Returns the call's id and the tokens that this side had."""
    loop = asyncio.get_running_loop()
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Go."}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, (head + body).encode())
        received = b""
        while len(TOKEN.findall(received)) < tokens:
            received += await loop.sock_recv(sock, 4_096)
        before = -1
        while before != (now := waiting_bytes(sock)):
            before = now
            await asyncio.sleep(QUIET_SECONDS)
        received += sock.recv(PEEK_BYTES_MAX, socket.MSG_PEEK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return received.partition(b"x-request-id: ")[2].split(b"\r\n")[0].decode(), len(TOKEN.findall(received))


def waiting_bytes(sock: socket.socket) -> int:
    """Return how many bytes wait unread in a socket."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


async def final_receipt(port: int, key: str, call: str) -> Any:
    """Wait until a call's receipt will not change any more, and return it."""
    async with asyncio.timeout(RECEIPT_SECONDS_MAX):
        while not (receipt := await asyncio.to_thread(receipt_of, port, key, call))["final"]:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)
    return receipt


def plain_listener() -> socket.socket:
    """Return a listening socket as the system makes it."""
    return socket.create_server(("127.0.0.1", 0))


async def main(streams: int, seed: int) -> None:
    """Measure and print a table."""
    chance = random.Random(seed)  # noqa: S311 - chooses how far clients read
    vendor, usual, small = Relay(), Relay(), Relay()
    vendor_port, usual_port = await vendor.listen(plain_listener()), await usual.listen(plain_listener())
    small_port = await small.listen(tcp_listener("127.0.0.1", 0))
    print("".join(f"| {name} " for name in COLUMNS) + "|")
    print(len(COLUMNS) * "|---:" + "|")
    with aisa(CONFIGURATION.format(port=vendor_port)) as (port, key):
        for _ in range(streams):
            tokens = chance.randrange(1, TOKENS_READ_MAX)
            cells = [tokens]
            for relay, relay_port in ((usual, usual_port), (small, small_port)):
                _, had = await stall(relay_port, key, tokens)
                cells += [relay.written, had]
            call, had = await stall(port, key, tokens)
            cells += [(await final_receipt(port, key, call))["billed"]["output_tokens"], had]
            print("".join(f"| {cell:,} " for cell in cells) + "|", flush=True)
    for relay in (vendor, usual, small):
        relay.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=5, help="how many rows the table has")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="of how far each client reads")
    options = parser.parse_args()
    uvloop.run(main(options.streams, options.seed))
