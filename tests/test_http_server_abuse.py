"""Clients that break the rules: bad framing, too much, too slow, too many. Each is refused soon, in words, and holds little."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import struct
from pathlib import Path

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.errors import ApiError
from aisa.http.connection import CONNECTIONS_OVER_MAX, LINGER_BYTES_MAX, LINGER_SECONDS_MAX
from aisa.http.reply import Reply
from aisa.http.request import HEADER_LINES_MAX, Request, RequestReader
from aisa.http.sockets import BACKLOG_CONNECTIONS_MAX
from aisa.testing.clock import run_virtual
from http_server_rig import Client, Run, ScriptedApp, both_loops, echo, forever, get, post, serving, until
from repeats import repeats

POST = b"POST / HTTP/1.1\r\nhost: test\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"

#: What is wrong -> the bytes, which end where a server that only waits for more would go on waiting.
MALFORMED = {
    "length and chunked": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunked and length": POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\n",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\n",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\n",
    "a negative length": POST + b"content-length: -3\r\n\r\n",
    "a signed length": POST + b"content-length: +3\r\n\r\n",
    "a length with an underscore": POST + b"content-length: 1_0\r\n\r\n",
    "a hexadecimal length": POST + b"content-length: 0x3\r\n\r\n",
    "an empty length": POST + b"content-length:\r\n\r\n",
    "a length in other digits": POST + b"content-length: \xb2\r\n\r\n",
    "a length beyond 64 bits": POST + b"content-length: 99999999999999999999\r\n\r\n",
    "gzip and chunked": POST + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "gzip": POST + b"transfer-encoding: gzip\r\n\r\n",
    "identity": POST + b"transfer-encoding: identity\r\n\r\n",
    "chunked twice": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunked behind a control character": POST + b"transfer-encoding: \x0bchunked\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nhost: test\r\nx: a\r\n b\r\n\r\n",
    "a folded first header": b"GET / HTTP/1.1\r\n host: test\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nhost: test\n\n",
    "one bare line feed": b"GET / HTTP/1.1\r\nhost: test\nx: y\r\n\r\n",
    "a bare line feed at the end": b"GET / HTTP/1.1\r\nhost: test\r\n\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nhost: test\rx: y\r\n\r\n",
    "a NUL in a value": b"GET / HTTP/1.1\r\nhost: test\r\nx: a\0b\r\n\r\n",
    "a NUL in a name": b"GET / HTTP/1.1\r\nhost: test\r\nx\0: a\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nhost : test\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nhost\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\n: test\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\naccept: */*\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: test\r\nHost: test\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "version 2.0": b"GET / HTTP/2.0\r\nhost: test\r\n\r\n",
    "version 0.9": b"GET / HTTP/0.9\r\nhost: test\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another protocol": b"DESCRIBE / RTSP/1.0\r\nhost: test\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\nhost: test\r\n\r\n",
    "an unknown method in small letters": b"Brew / HTTP/1.1\r\nhost: test\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nhost: test\r\n\r\n",
    "a tab behind an unknown method": b"BREW\t/ HTTP/1.1\r\nhost: test\r\n\r\n",
    "a NUL in a value behind an unknown method": b"BREW / HTTP/1.1\r\nhost: test\r\nx: a\0b\r\n\r\n",
    "another protocol's method": b"BREW / SIP/2.0\r\nhost: test\r\n\r\n",
    "two blanks": b"GET  / HTTP/1.1\r\nhost: test\r\n\r\n",
    "a relative target": b"GET x HTTP/1.1\r\nhost: test\r\n\r\n",
    "a control character in the target": b"GET /\x01 HTTP/1.1\r\nhost: test\r\n\r\n",
    "the beginning of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no chunk size": CHUNKED + b"\r\n",
    "a chunk size that is no number": CHUNKED + b"xyz\r\n",
    "a negative chunk size": CHUNKED + b"-1\r\n",
    "a chunk size with 0x": CHUNKED + b"0x1\r\n",
    "a chunk size with an underscore": CHUNKED + b"1_0\r\n",
    "a chunk size with a blank": CHUNKED + b" 1\r\n",
    "a chunk size of 17 digits": CHUNKED + b"10000000000000000\r\n",
    "a chunk size that ends with a line feed": CHUNKED + b"1\nx\r\n",
    "a chunk size that ends with a carriage return": CHUNKED + b"1\rx\r\n",
    "a NUL in a chunk extension": CHUNKED + b"1;\0\r\n",
    "an endless chunk extension": CHUNKED + b"1;" + b"x" * 5_000,
    "a chunk longer than its size": CHUNKED + b"1\r\nxy\r\n",
    "a bare line feed after a chunk": CHUNKED + b"1\r\nx\n",
    "a NUL in a trailer": CHUNKED + b"0\r\nx: \0\r\n",
    "a trailer that is none": CHUNKED + b"0\r\nGET /smuggled HTTP/1.1\r\n",
    "a folded trailer": CHUNKED + b"0\r\nx: a\r\n b\r\n",
    "a bare line feed after the trailers": CHUNKED + b"0\r\n\n",
    "endless trailers": CHUNKED + b"0\r\n" + b"x: y\r\n" * 4_000,
}


async def refusal(client: Client) -> tuple[int, str, str]:
    """Status, code and message of the one reply that the connection ends with."""
    answer = await client.answer()
    assert (answer.headers["connection"], await client.rest()) == ("close", b"")
    return answer.status, answer.json["code"], answer.json["message"]


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_request_that_could_be_read_in_two_ways_is_refused_at_once(data: bytes) -> None:
    """400, the connection ends, and neither it nor what follows reaches the app, however the bytes arrive."""

    async def scenario() -> None:
        async with serving() as served:
            for pieces in ([data + get("/smuggled")], [data], [data[at : at + 1] for at in range(len(data))][:200]):
                client = await served.connect()
                began = asyncio.get_running_loop().time()
                for piece in pieces:
                    client.send(piece)
                    if len(pieces) > 1:
                        await asyncio.sleep(0)
                if len(data) <= 200 or len(pieces) == 1:
                    status, code, message = await refusal(client)
                    assert (status, code, message[-1], served.app.requests) == (400, "invalid_request", ".", [])
                    assert asyncio.get_running_loop().time() - began < 1

    run_virtual(scenario())


@pytest.mark.parametrize("method", ["BREW", "PRINT", "GETS", "G", "X-Y".upper(), "A" * 300])
def test_a_method_that_the_parser_does_not_know_is_the_apps_to_judge(method: str) -> None:
    """[fault S1] It was 400 before 431, 404 and 405 were looked at. Its body is no request, however the bytes arrive."""

    async def scenario() -> None:
        async with serving() as served:
            smuggled = b"GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n"
            head = f"{method} /a HTTP/1.1\r\nhost: test\r\ncontent-length: {len(smuggled)}\r\n\r\n".encode()
            for pieces in ([head + smuggled], [bytes([byte]) for byte in head + smuggled]):
                client = await served.connect()
                for piece in pieces:
                    client.send(piece)
                    if len(pieces) > 1:
                        await asyncio.sleep(0)
                assert (await client.answer()).status == 200
            assert [(request.method, request.path, request.body) for request in served.app.requests] == [(method, "/a", smuggled)] * 2

    run_virtual(scenario())


def test_tls_at_a_plain_port_is_told_as_what_it_is() -> None:
    """The log had an invalid method, and whoever wrote https:// in a client had to guess."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            client.send(MALFORMED["the beginning of TLS"])
            assert "TLS came where this server speaks plain HTTP" in (await refusal(client))[2]

    run_virtual(scenario())


def chunks_of(size: int, body: bytes) -> bytes:
    """A chunked body in chunks of one size."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "data", [chunks_of(1, bytes(100_000)), chunks_of(2, bytes(200_000)), CHUNKED + b"1;" + b"x" * 4_000 + b"\r\nx\r\n" * 5]
)
def test_a_body_that_is_hardly_more_than_framing_is_refused(data: bytes) -> None:
    """[fault S12] Beyond 16 KiB and twice the body; what is read until then costs a few milliseconds."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            client.send(data)
            assert (await refusal(client))[:2] == (400, "invalid_request")
            assert served.app.requests == []

    run_virtual(scenario())


@pytest.mark.parametrize(("size", "length"), [(1, 3_000), (3, 300_000), (16, 300_000), (1_000, 300_000), (70_000, 300_000)])
def test_small_chunks_are_taken_as_long_as_they_carry_something(size: int, length: int) -> None:
    """The body is the same whatever its chunks are, and however they are cut on their way."""
    body = bytes(at % 251 for at in range(length))
    data = chunks_of(size, body)
    for step in (len(data), 65_536, 7_919):
        reader = RequestReader(1_000, length, anything)
        seen = [reader.feed(data[at : at + step]) for at in range(0, len(data), step)]
        assert [request.body == body for request in seen if request is not None] == [True]
    with pytest.raises(ApiError, match=f"limit of {length - 1} bytes"):
        read_all_raising(RequestReader(1_000, length - 1, anything), data)


def read_all_raising(reader: RequestReader, data: bytes) -> None:
    """Feed in pieces of one read."""
    for at in range(0, len(data), 65_536):
        reader.feed(data[at : at + 65_536])


def test_connect_is_refused_by_its_name() -> None:
    """A proxy's method is `method_not_allowed`, and what was meant for the tunnel is not read as a request."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            client.send(b"CONNECT test:443 HTTP/1.1\r\nhost: test\r\n\r\n" + get("/smuggled"))
            assert (await refusal(client))[:2] == (405, "method_not_allowed")
            assert served.app.requests == []

    run_virtual(scenario())


@both_loops
def test_headers_over_the_limit_are_refused_whether_they_end_or_not(run: Run) -> None:
    """431 states the limit in bytes; a head of exactly that size is taken."""

    async def scenario() -> None:
        async with serving(header_bytes_max=2_048) as served:
            exact = get("/", f"x: {'y' * (2_048 - len(get('/', 'x: ')) - 2)}\r\n")
            assert (len(exact), (await (await served.connect()).ask(exact)).status) == (2_048, 200)
            for data in (exact.replace(b"x: ", b"x: y"), exact[:-4] + b"y" * 100_000, get("/" + "y" * 100_000)):
                client = await served.connect()
                client.send(data)
                status, code, message = await refusal(client)
                assert (status, code, "2048 bytes" in message) == (431, "headers_too_large", True)

    run(scenario())


def test_more_header_lines_than_the_limit_are_refused() -> None:
    """200 lines are taken, 201 are not, and repeats of one name count."""

    async def scenario() -> None:
        async with serving() as served:
            taken = await (await served.connect()).ask(get("/", "x: y\r\n" * (HEADER_LINES_MAX - 1)))
            client = await served.connect()
            client.send(get("/", "x: y\r\n" * HEADER_LINES_MAX))
            status, code, message = await refusal(client)
            assert (taken.status, status, code, "200" in message) == (200, 431, "headers_too_large", True)

    run_virtual(scenario())


@both_loops
def test_a_body_over_the_limit_is_refused_before_it_is_read(run: Run) -> None:
    """413 comes at the head for a stated length, without a 100 Continue, and at the chunk's size for a chunked one."""

    async def scenario() -> None:
        async with serving(body_bytes_max=2_000) as served:
            assert (await (await served.connect()).ask(post(b"x" * 2_000))).status == 200
            chunked = await (await served.connect()).ask(CHUNKED + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 2 + b"0\r\n\r\n")
            assert (chunked.status, len(chunked.json["body"])) == (200, 2_000)
            for data in (
                POST + b"content-length: 2001\r\nexpect: 100-continue\r\n\r\n",
                CHUNKED + b"7d1\r\n",
                CHUNKED + b"7d0\r\n%b\r\n1\r\n" % (b"x" * 2000),
                CHUNKED + b"ffffffffffffffff\r\n",
            ):
                client = await served.connect()
                client.send(data)
                status, code, message = await refusal(client)
                assert (status, code, "2000 bytes" in message) == (413, "request_too_large", True)

    run(scenario())


@both_loops
def test_a_refused_client_that_goes_on_sending_gets_to_read_why(run: Run) -> None:
    """What follows a refusal is read and thrown away, so the answer is not lost to a reset."""

    async def scenario() -> None:
        async with serving(body_bytes_max=1_024) as served:
            client = await served.connect()
            client.send(POST + b"content-length: 20000000\r\n\r\n")
            for _ in range(200):
                client.send(b"x" * 100_000)
                await client.writer.drain()
            status, code, _ = await refusal(client)
            assert (status, code) == (413, "request_too_large")
            client.close()
            await until(lambda: served.server.connections_count == 0)

    run(scenario())


@both_loops
def test_the_last_reply_of_a_connection_is_not_lost_to_what_is_pipelined_behind_it(run: Run) -> None:
    """A connection that the app closes is read on for a while, so that its reply survives 20 MB that nobody will answer."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.closes = True
            await asyncio.sleep(0.01)
            await echo(request, reply)

        async with serving(script) as served:
            client = await served.connect()
            client.send(get("/last"))
            for _ in range(200):
                client.send(get("/" + "x" * 10_000) * 10)
                await client.writer.drain()
            assert ((await client.answer()).json["path"], await client.rest()) == ("/last", b"")
            assert len(served.app.requests) == 1

    run(scenario())


def test_a_refused_client_that_never_stops_sending_is_cut() -> None:
    """Throwing away ends with the client's silence after 10 s, or with its excess."""

    async def scenario() -> None:
        async with serving(body_bytes_max=1_024) as served:
            client = await served.connect()
            client.send(POST + b"content-length: 20000\r\n\r\n")
            await refusal(client)
            await asyncio.sleep(LINGER_SECONDS_MAX - 1)
            assert served.server.connections_count == 1
            await asyncio.sleep(2)
            assert served.server.connections_count == 0

            client = await served.connect()
            client.send(POST + b"content-length: 20000\r\n\r\n")
            await refusal(client)
            began = asyncio.get_running_loop().time()
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < 2 * LINGER_BYTES_MAX:
                    client.send(b"x" * 1_000_000)
                    await client.writer.drain()
                    sent += 1_000_000
            assert (asyncio.get_running_loop().time() - began < LINGER_SECONDS_MAX, sent >= LINGER_BYTES_MAX) == (True, True)
            await until(lambda: served.server.connections_count == 0)

    run_virtual(scenario())


def test_a_head_that_does_not_come_in_time_is_refused() -> None:
    """408 after 10 s from accept or from a later request's first byte, however steadily bytes drip in."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving() as served:
            for first in (b"", get("/first")):
                client = await served.connect()
                if first:
                    assert (await client.ask(first)).status == 200
                    await asyncio.sleep(30)
                began = loop.time()
                drip = asyncio.create_task(dripping(client, get("/", "x: " + "y" * 100 + "\r\n"), 1.0))
                status, code, message = await refusal(client)
                drip.cancel()
                assert (status, code, "10 seconds" in message) == (408, "request_timeout", True)
                assert 9.9 <= loop.time() - began < 10.2

    run_virtual(scenario())


async def dripping(client: Client, data: bytes, gap_seconds: float) -> None:
    """Send one byte at a time."""
    for at in range(len(data)):
        client.send(data[at : at + 1])
        await asyncio.sleep(gap_seconds)


def test_a_connection_without_a_request_ends_after_the_head_time_out() -> None:
    """A client that connects and is silent is told the same as one that is slow."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            assert (await refusal(client))[:2] == (408, "request_timeout")
            assert 9.9 <= asyncio.get_running_loop().time() < 10.2
            await until(lambda: served.server.connections_count == 1)

    run_virtual(scenario())


def test_each_body_has_its_own_time_out() -> None:
    """Two bodies of 15 s each on one connection are both in time."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            for _ in range(2):
                client.send(post(b"body")[:-1])
                await asyncio.sleep(15)
                assert (await client.ask(b"y")).status == 200

    run_virtual(scenario())


def test_an_idle_connection_is_closed_without_a_word() -> None:
    """75 s after the last reply; an empty line does not count as the beginning of a request."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            await client.ask(get())
            await asyncio.sleep(60)
            await client.ask(get())
            began = asyncio.get_running_loop().time()
            client.send(b"\r\n")
            assert (await client.rest(), round(asyncio.get_running_loop().time() - began)) == (b"", 75)

    run_virtual(scenario())


def test_a_time_out_ends_with_its_connection() -> None:
    """A client that left in the middle of a request is not refused afterwards."""

    async def scenario() -> None:
        async with serving() as served:
            for data in (get()[:-2], post(b"whole")[:-2]):
                client = await served.connect()
                client.send(data)
                await asyncio.sleep(1)
                client.close()
            await asyncio.sleep(100)
            assert (served.app.refused, served.complaints) == ([], [])

    run_virtual(scenario())


def test_no_time_out_ends_a_call_that_runs() -> None:
    """A call may take longer than every time-out of its connection together."""

    async def scenario() -> None:
        async def script(request: Request, reply: object) -> None:
            await asyncio.sleep(1_000)
            await echo(request, reply)  # type: ignore[arg-type] # the script's reply

        async with serving(script) as served:
            client = await served.connect()
            assert [(await client.ask(data)).status for data in (get(), post(b"x"))] == [200, 200]

    run_virtual(scenario())


@both_loops
def test_one_connection_too_many_is_told_so_and_the_others_go_on(run: Run) -> None:
    """503 `overloaded` states the limit; when one leaves, another is admitted."""

    async def scenario() -> None:
        async with serving(connections_max=2) as served:
            first, second = await served.connect(), await served.connect()
            assert [(await client.ask(get())).status for client in (first, second)] == [200, 200]
            third = await served.connect()
            third.send(get("/refused"))
            status, code, message = await refusal(third)
            assert (status, code, "2 connections" in message) == (503, "overloaded", True)
            third.close()
            second.close()
            await until(lambda: served.server.connections_count == 1)
            assert (await (await served.connect()).ask(get("/admitted"))).status == 200
            assert "/refused" not in [request.path for request in served.app.requests]

    run(scenario())


def test_far_too_many_connections_are_cut_without_a_word() -> None:
    """A hundred refused ones are let read; beyond them nothing is written, so a flood costs no memory."""

    async def scenario() -> None:
        async with serving(connections_max=1) as served:
            clients = [await served.connect() for _ in range(CONNECTIONS_OVER_MAX + 11)]
            await until(lambda: len(served.app.refused) == CONNECTIONS_OVER_MAX)
            answers = [await client.rest() for client in clients[1:]]
            assert sum(b" 503 " in answer for answer in answers) == CONNECTIONS_OVER_MAX
            assert sum(answer == b"" for answer in answers) == 10

    run_virtual(scenario())


@both_loops
def test_a_lack_of_file_descriptors_neither_spins_nor_stops_the_server(run: Run) -> None:
    """Open connections go on, complaints stay few, and new connections are served when descriptors are free again."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving() as served:
            client = await served.connect()
            assert (await client.ask(get())).status == 200
            with socket.socket() as late, no_descriptors():
                late.setblocking(False)
                await loop.sock_connect(late, served.address)
                for _ in range(20):
                    await asyncio.sleep(0.02)
                    assert (await client.ask(get())).status == 200
                complaints = len(served.complaints)
            assert complaints <= 64
            await asyncio.sleep(1.1)
            assert (await (await served.connect()).ask(get())).status == 200

    run(scenario())


@contextlib.contextmanager
def no_descriptors():
    """Leave this process no file descriptor to open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


@both_loops
def test_an_app_that_cannot_even_refuse_costs_only_the_connection(run: Run) -> None:
    """An error in `refuse`, or a refusal left open, cuts the connection and is told to the loop."""

    class Broken(ScriptedApp):
        def refuse(self, error: ApiError, reply: Reply, _request: Request | None) -> None:
            if error.code == "invalid_request":
                raise ValueError("broken")

    async def scenario() -> None:
        async with serving(header_bytes_max=1_024) as served:
            served.server._shared.app = Broken(echo)
            for data in (b"nonsense\r\n\r\n", get("/" + "x" * 2_000)):
                client = await served.connect()
                client.send(data)
                assert await client.rest() == b""
            assert [complaint.split(" ")[0] for complaint in served.complaints] == ["broken", "the"]
            assert (await (await served.connect()).ask(get())).status == 200

    run(scenario())


@both_loops
def test_a_burst_of_connections_finds_room_in_the_backlog(run: Run) -> None:
    """The listening socket queues 4096 connections, or as many as the system allows."""

    async def scenario() -> None:
        async with serving(forever) as served:
            (listener,) = served.server._listeners
            told = listener.sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)  # type: ignore[attr-defined] # of Server
            assert struct.unpack_from("I", told, 28)[0] == expected

    expected = min(BACKLOG_CONNECTIONS_MAX, int(Path("/proc/sys/net/core/somaxconn").read_text()))
    run(scenario())


# The reader alone, without sockets


def anything(_request: Request) -> None:
    """Take every request."""


def read_all(reader: RequestReader, pieces: list[bytes]) -> list[Request | str]:
    """The requests that arrive in pieces, and the code of the refusal that ended them, if any."""
    seen: list[Request | str] = []
    idle = True
    try:
        for piece in pieces:
            data = piece.lstrip(b"\r\n") if idle else piece
            while data:
                request = reader.feed(data)
                data = b""
                if request is not None:
                    seen.append(request)
                    data = reader.rest.lstrip(b"\r\n")
            idle = reader.is_idle
    except ApiError as error:
        seen.append(error.code)
    return seen


STREAM = (
    get("/1", "x: 1\r\nX: 2\r\n")
    + post(b"body", "/2")
    + CHUNKED.replace(b"POST /", b"POST /3")
    + b"3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nx: y\r\n\r\n"
    + post(b"", "/4", "connection: upgrade\r\nupgrade: x\r\n")
    + post(b"\r\n\r\n", "/5")
    + get("/6")
)


def test_requests_do_not_depend_on_how_their_bytes_arrive() -> None:
    """Six requests are the same whole, split in two at every byte, and byte by byte."""
    whole = read_all(RequestReader(1_000, 1_000, anything), [STREAM])
    assert [request if isinstance(request, str) else (request.path, request.body) for request in whole] == [
        ("/1", b""),
        ("/2", b"body"),
        ("/3", b"abc0123456789"),
        ("/4", b""),
        ("/5", b"\r\n\r\n"),
        ("/6", b""),
    ]
    for at in range(1, len(STREAM)):
        assert read_all(RequestReader(1_000, 1_000, anything), [STREAM[:at], STREAM[at:]]) == whole, at
    assert read_all(RequestReader(1_000, 1_000, anything), [STREAM[at : at + 1] for at in range(len(STREAM))]) == whole


SIGNS = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b"\0", b"0", b"1", b"a", b"\xff"]
LINES = [b"GET / HTTP/1.1", b"POST /x?y HTTP/1.1", b"HTTP/1.0", b"host: a", b"connection: close", b"x:y", b"3\r\nabc"]
FRAMING = [b"content-length: 3", b"content-length: 0", b"transfer-encoding: chunked"]
NOISE = st.lists(st.sampled_from(SIGNS + LINES + FRAMING), max_size=12).map(b"".join)


class Watcher:
    """Notes after how many bytes llhttp takes a head for complete."""

    def __init__(self) -> None:
        self.heads = 0

    def on_headers_complete(self) -> None:
        """Called at the end of a head."""
        self.heads += 1


@settings(max_examples=repeats(1_500), deadline=None)
@given(NOISE, st.booleans())
def test_llhttp_and_the_reader_agree_on_where_a_head_ends(noise: bytes, begun: bool) -> None:
    """The parser never takes a head for complete anywhere but at its first empty line, which is where the reader cuts it."""
    data = (b"GET / HTTP/1.1\r\nhost: a\r\n" + noise if begun else noise.lstrip(b"\r\n")) + b"\r\n\r\n"
    watcher = Watcher()
    parser = httptools.HttpRequestParser(watcher)
    with contextlib.suppress(httptools.HttpParserError):
        for at in range(len(data)):
            with contextlib.suppress(httptools.HttpParserUpgrade):
                parser.feed_data(data[at : at + 1])
            if watcher.heads:
                assert data.index(b"\r\n\r\n") + 4 == at + 1
                break


@settings(max_examples=repeats(1_500), deadline=None)
@given(NOISE, st.booleans())
def test_noise_is_read_the_same_whole_and_byte_by_byte(noise: bytes, begun: bool) -> None:
    """Neither the requests found in noise nor their refusal depend on how it is cut, and nothing else is ever raised."""
    data = b"POST / HTTP/1.1\r\nhost: a\r\n" + noise if begun else noise
    whole = read_all(RequestReader(10_000, 100, anything), [data])
    assert read_all(RequestReader(10_000, 100, anything), [data[at : at + 1] for at in range(len(data))]) == whole
