"""A client on a bare socket: sends what it is given, notes when what arrived, leaves as rudely as wished. Judges and repairs nothing.

A library would hide what is to be seen: where a body was cut, how long an event waited, what lies in this machine's kernel.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import ssl
import struct
import sys
import termios
from typing import Any, NamedTuple

READ_BYTES_MAX = 65_536  # of one read
HEAD_BYTES_MAX = 131_072  # of a response's head; real ones have 1 to 4 KiB
BODY_BYTES_MAX = 67_108_864  # of one answer; the longest that a check asks for has 11 MB
#: Of one segment, as on any network. Loopback's of 64 KiB are larger than the small buffers that a proxy is given, and where a window opens
#: by less than one, TCP waits for its timers: 8 tokens each 200 ms were seen behind HAProxy.
SEGMENT_BYTES = 1_448
SECONDS_MAX = 30.0  # for what should take less than one
PEEKED_BYTES_MAX = 8_388_608  # of what the kernel holds; the receive buffers of those who stop reading are far smaller
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero: closing sends a RST

WHOLE, CUT, WAS_RESET, NO_MORE = "whole", "cut", "reset", "silent"


class Address(NamedTuple):
    """Where an endpoint is. `context` is for TLS."""

    host: str
    port: int
    context: ssl.SSLContext | None = None


class NoAnswer(Exception):
    """The connection ended, or nothing came, before there was a head."""


class Response:
    """An answer as it arrived. `pieces` are parts of the body, without its framing, with the loop's time of each.

    `ended` says how: WHOLE as its framing has it, CUT by a FIN too early, WAS_RESET, NO_MORE within the time; "" while it goes on.
    """

    def __init__(self, status: int, headers: dict[str, str], *, sent_at: float, head_at: float, interim: tuple[int, ...]) -> None:
        self.status, self.headers, self.sent_at, self.head_at, self.interim = status, headers, sent_at, head_at, interim
        self.pieces: list[tuple[float, bytes]] = []
        self.ended = ""
        self.ended_at = 0.0

    @property
    def body(self) -> bytes:
        """The body so far."""
        return b"".join(data for _, data in self.pieces)

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class BareConnection:
    """One connection. Reading raises TimeoutError never: an answer that does not go on is NO_MORE."""

    def __init__(self, made: socket.socket, tls: ssl.SSLObject | None, *, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._socket, self._tls, self._incoming, self._outgoing = made, tls, incoming, outgoing
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._left: int | None = None  # of the body or of the running chunk; None until it is known
        self._chunked = self._until_close = False
        self._sent_at = 0.0

    async def send(self, data: bytes) -> None:
        """Send all of it. Raises ConnectionError."""
        self._sent_at = self._loop.time()
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, data)
            return
        self._tls.write(data)
        await self._loop.sock_sendall(self._socket, self._outgoing.read())

    async def head(self, seconds: float = SECONDS_MAX, *, to_head: bool = False) -> Response:
        """Return the next answer's head. Raises NoAnswer. `to_head`: the request was HEAD, whose answer has no body."""
        interim: list[int] = []
        while True:
            status, headers = await self._one_head(seconds)
            if status >= 200:
                break
            interim.append(status)
        response = Response(status, headers, sent_at=self._sent_at, head_at=self._loop.time(), interim=tuple(interim))
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        self._left = int(length) if length.isdecimal() and not self._chunked else None
        self._until_close = not self._chunked and self._left is None
        if to_head or status in (204, 304) or self._left == 0:
            self._left, self._until_close = 0, False
            self._end(response, WHOLE)
        return response

    async def closes_within(self, seconds: float) -> bool:
        """Wait, and say whether the other side closed the connection meanwhile."""
        return await self._more(seconds) in (CUT, WAS_RESET)

    async def interim(self, seconds: float = SECONDS_MAX) -> int:
        """Return the status of the next head alone, which may be a 1xx. Raises NoAnswer."""
        return (await self._one_head(seconds))[0]

    async def _one_head(self, seconds: float) -> tuple[int, dict[str, str]]:
        while (end := self._arrived.find(b"\r\n\r\n")) < 0:
            how = "" if len(self._arrived) <= HEAD_BYTES_MAX else "the head has no end"
            how = how or await self._more(seconds)
            if how:
                told = {
                    CUT: "the connection was closed",
                    WAS_RESET: "the connection was reset",
                    NO_MORE: f"nothing came for {seconds:.0f} s",
                }
                begun = f", after {bytes(self._arrived[:40])!r}, which is no HTTP/1.1" if self._arrived else ""
                raise NoAnswer(told.get(how, how) + begun)
        first, *lines = self._arrived[:end].decode("latin-1").split("\r\n")
        del self._arrived[: end + 4]
        number = first.split(" ")[1:2]
        if not first.startswith("HTTP/1.") or not number or not number[0].isdecimal():
            raise NoAnswer(f"the answer begins with {first[:60]!r}, which is no HTTP/1.1")
        headers: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines):
            known = name.strip().lower()
            headers[known] = f"{headers[known]}, {value.strip()}" if known in headers else value.strip()
        return int(number[0]), headers

    async def piece(self, response: Response, seconds: float = SECONDS_MAX) -> bytes:
        """Return the next part of the body; b"" when it has ended, which `response.ended` explains."""
        while not response.ended:
            data = self._next_part(response)
            if data:
                response.pieces.append((self._loop.time(), data))
                return data
            how = "" if data is None else await self._more(seconds)
            if how:
                self._end(response, WHOLE if how == CUT and self._until_close else how)
        return b""

    async def rest(self, response: Response, seconds: float = SECONDS_MAX) -> Response:
        """Read to the end; `seconds` are for the whole rest."""
        until, size = self._loop.time() + seconds, 0
        while not response.ended and size <= BODY_BYTES_MAX:
            size += len(await self.piece(response, max(0.0, until - self._loop.time())))
        return response

    def _next_part(self, response: Response) -> bytes | None:
        """Return what has arrived of the body; None when it has ended."""
        if self._until_close:
            return self._take(len(self._arrived))
        if self._chunked and not self._left:
            self._left = self._chunk_size(response)
        if not self._left:
            return None if response.ended else b""
        data = self._take(min(self._left, len(self._arrived)))
        self._left -= len(data)
        if not self._left and not self._chunked:
            self._end(response, WHOLE)
        return data

    def _chunk_size(self, response: Response) -> int | None:
        """Return the size of the chunk that begins, None while that is not known; the last one ends the answer."""
        if self._arrived.startswith(b"\r\n"):
            del self._arrived[:2]
        end = self._arrived.find(b"\r\n")
        if end <= 0:
            return None
        try:
            size = int(bytes(self._arrived[:end]).partition(b";")[0], 16)
        except ValueError:
            self._end(response, CUT)
            return None
        if not size:
            if self._arrived.find(b"\r\n", end + 2) < 0:
                return None
            self._arrived.clear()
            self._end(response, WHOLE)
            return None
        del self._arrived[: end + 2]
        return size

    def _take(self, count: int) -> bytes:
        data = bytes(self._arrived[:count])
        del self._arrived[:count]
        return data

    def _end(self, response: Response, how: str) -> None:
        response.ended, response.ended_at = how, self._loop.time()

    async def _more(self, seconds: float) -> str:
        """Read what comes next; return "" or how there is no more."""
        try:
            async with asyncio.timeout(seconds):
                data = await self._loop.sock_recv(self._socket, READ_BYTES_MAX)
        except TimeoutError:
            return NO_MORE
        except (ConnectionError, OSError):
            return WAS_RESET
        if not data:
            return CUT
        if self._tls is None:
            self._arrived += data
            return ""
        self._incoming.write(data)
        return self._decrypted()

    def _decrypted(self) -> str:
        assert self._tls is not None, "the caller looked"
        try:
            while True:
                data = self._tls.read(READ_BYTES_MAX)
                if not data:
                    return CUT
                self._arrived += data
        except ssl.SSLWantReadError:
            return ""
        except ssl.SSLError:
            return CUT

    def waiting(self) -> bytes:
        """Return what the kernel has and nobody has read; of TLS only its size, as that many zero bytes."""
        if self._tls is not None:
            size = array.array("i", [0])
            fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, size)
            return bytes(size[0])
        try:
            return bytes(self._arrived) + self._socket.recv(PEEKED_BYTES_MAX, socket.MSG_PEEK)
        except (BlockingIOError, ConnectionError):
            return bytes(self._arrived)

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self._tls is not None

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave: a FIN, or a RST if something was not read."""
        self._socket.close()

    def reset(self) -> None:
        """Leave with a RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._socket.close()


async def connect(address: Address, *, receive_bytes: int | None = None) -> BareConnection:
    """Connect. `receive_bytes` bounds what this machine's kernel takes unread. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, where) in enumerate(found, 1):
        made = socket.socket(family, kind, protocol)
        try:
            return await _connected(made, where, address, receive_bytes=receive_bytes)
        except BaseException as error:
            made.close()
            if number == len(found) or not isinstance(error, ConnectionRefusedError):
                raise
    raise OSError(f"{address.host} has no address")


async def _connected(made: socket.socket, where: tuple[Any, ...], address: Address, *, receive_bytes: int | None) -> BareConnection:
    loop, incoming, outgoing = asyncio.get_running_loop(), ssl.MemoryBIO(), ssl.MemoryBIO()
    if receive_bytes is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    async with asyncio.timeout(SECONDS_MAX):
        await loop.sock_connect(made, where)
        tls = None if address.context is None else address.context.wrap_bio(incoming, outgoing, server_hostname=address.host)
        if tls is not None:
            await _shake_hands(made, tls, incoming=incoming, outgoing=outgoing)
    if sys.platform == "linux":
        # Else loopback, whose segments are as large as a server's send buffer, waits 40 ms for each acknowledgement.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return BareConnection(made, tls, incoming=incoming, outgoing=outgoing)


async def _shake_hands(made: socket.socket, tls: ssl.SSLObject, *, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            await loop.sock_sendall(made, outgoing.read())
            data = await loop.sock_recv(made, READ_BYTES_MAX)
            if not data:
                raise ConnectionResetError("the connection was closed during the TLS handshake") from None
            incoming.write(data)
    await loop.sock_sendall(made, outgoing.read())
