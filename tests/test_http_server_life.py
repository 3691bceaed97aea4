"""The life of the HTTP server: how it listens, over TCP, TLS and unix sockets, how many it admits, and how it goes away."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from aisa.http.server import Reply, Request, tls_context
from aisa.http.sockets import SEND_BUFFER_BYTES, UNSENT_BYTES_MAX, tcp_listener
from aisa.testing.clock import run_virtual
from aisa.wire.port import SERVER_CLOSES
from http_server_rig import Client, Run, both_loops, echo, forever, get, pem, post, serving, trusting, until

__all__ = ["pem"]


@both_loops
def test_draining_lets_answers_finish_and_closes_the_rest(run: Run) -> None:
    """Idle connections close, new ones are refused, a call in flight ends properly with `connection: close`."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            await release.wait()
            await echo(request, reply)

        async with serving(script) as served:
            idle, busy, sending = await served.connect(), await served.connect(), await served.connect()
            busy.send(get("/busy"))
            sending.send(post(b"whole", "/sending").removesuffix(b"le"))
            await until(lambda: served.server.connections_count == 3 and served.app.requests)
            draining = asyncio.create_task(served.server.drain(5))
            assert await idle.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await served.connect()
            release.set()
            sending.send(b"le")
            for client in (busy, sending):
                answer = await client.answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
            for client in (busy, sending):
                client.close()
            await draining
            assert "draining" in repr(served.server)

    run(scenario())


@both_loops
@pytest.mark.parametrize("grace", [True, False])
def test_a_connection_whose_stream_did_not_say_that_it_was_the_last_takes_one_more_request(run: Run, grace: bool) -> None:
    """[issue 13] A client, or a proxy, that sends its next request at once would else meet a closing connection: 502 for a POST."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            if request.path == "/stream":
                reply.start(200, [], None)
                reply.write(b"began")
                await release.wait()
                reply.end()
            else:
                await echo(request, reply)

        async with serving(script) as served:
            client = await served.connect()
            client.send(get("/stream"))
            await client.reader.readuntil(b"began\r\n")
            if grace:
                served.server.keep_no_connections()
            draining = None if grace else asyncio.create_task(served.server.drain(5))
            await asyncio.sleep(0.01)
            release.set()
            await client.reader.readuntil(b"0\r\n\r\n")
            client.send(post(b"next", "/next"))
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await client.rest() == b""
            await (draining or served.server.drain(5))

    run(scenario())


@both_loops
def test_a_stream_that_began_before_the_drain_is_the_last_of_its_connection(run: Run) -> None:
    """Its head did not say so any more, but the connection closes behind it, and the drain ends with it."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            reply.write(b"began")
            await release.wait()
            reply.end()

        async with serving(script) as served:
            client = await served.connect()
            client.send(get())
            await client.reader.readuntil(b"began\r\n")
            began = asyncio.get_running_loop().time()
            draining = asyncio.create_task(served.server.drain(5))
            await asyncio.sleep(0.01)
            release.set()
            assert await client.rest() == b"0\r\n\r\n"
            await draining
            assert asyncio.get_running_loop().time() - began < 4

    run(scenario())


def test_a_call_that_outlives_the_drain_is_told_once_and_then_cut() -> None:
    """After `seconds` every call is cancelled once, and told why; who still does not end is cut 5 s later."""

    async def scenario() -> None:
        told: list[tuple[float, str, bool, bool]] = []

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [("content-type", "text/event-stream")], None)
            reply.write(b"data: 1\n\n")
            for _ in range(2):  # the second is the end of the test
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError as ending:
                    told.append((loop.time() - began, request.path, ending.args == (SERVER_CLOSES,), reply.gone))
                if request.path == "/obeys":
                    reply.write(b"data: bye\n\n")
                    reply.end()
                    return

        loop = asyncio.get_running_loop()
        async with serving(script) as served:
            obeys, defies = await served.connect(), await served.connect()
            obeys.send(get("/obeys"))
            defies.send(get("/defies"))
            await defies.reader.readuntil(b"data: 1\n\n\r\n")
            await until(lambda: served.server.calls_count == 2)
            began = loop.time()
            await served.server.drain(30)
            assert (await obeys.answer()).body == b"data: 1\n\ndata: bye\n\n"
            assert await defies.rest() == b""
            assert 35 <= loop.time() - began < 35.2
            assert [(round(at), *rest) for at, *rest in told] == [(30, "/obeys", True, False), (30, "/defies", True, False)]

    run_virtual(scenario())


def test_a_call_stopped_before_it_began_to_answer_says_that_the_server_goes_away() -> None:
    """A drain that runs out of patience answers 503 where no head was sent."""

    async def scenario() -> None:
        async with serving(forever) as served:
            client = await served.connect()
            client.send(get())
            await until(lambda: served.server.calls_count)
            await served.server.drain(0)
            answer = await client.answer()
            assert (answer.status, answer.json["code"]) == (503, "overloaded")

    run_virtual(scenario())


@pytest.mark.parametrize("begun", [b"POST /sending HT", post(b"whole", "/sending").removesuffix(b"le")], ids=["head", "body"])
def test_a_request_that_is_still_arriving_when_the_drain_ends_is_refused_and_not_cut(begun: bytes) -> None:
    """[fault O1] Its connection was closed without a word, 5 s after the drain: a client cannot know that it may send it again."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving(echo) as served:
            client = await served.connect()
            client.send(begun)
            await until(lambda: served.server.connections_count)
            began = loop.time()
            draining = asyncio.create_task(served.server.drain(3))
            answer = await client.answer()
            assert (answer.status, answer.json["code"], answer.headers["connection"]) == (503, "overloaded", "close")
            assert "Send the request again" in answer.json["message"]
            client.close()
            await draining
            assert loop.time() - began < 3.5
            assert served.app.requests == []

    run_virtual(scenario())


def test_accepted_connections_inherit_the_listeners_options() -> None:
    """Nagle is off, the send buffer small and unsent data bounded on what the kernel accepts."""
    with tcp_listener("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER_BYTES
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES_MAX


@both_loops
def test_a_unix_socket_is_private_and_replaces_only_a_dead_one(run: Run, tmp_path: Path) -> None:
    """Mode 0600; a stale file is replaced, a living server's or another file is not, and draining removes it."""

    async def scenario() -> None:
        path = str(tmp_path / "control.sock")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        async with serving() as served:
            await served.server.listen_unix(path)
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            client = Client(*await asyncio.open_unix_connection(path))
            assert (await client.ask(get("/v"))).json["path"] == "/v"
            with pytest.raises(OSError, match="another server"):
                await served.server.listen_unix(path)
            with pytest.raises(FileExistsError):
                await served.server.listen_unix(str(tmp_path / "plain"))
            assert (await client.ask(get("/still"))).json["path"] == "/still"
            client.close()
            await client.writer.wait_closed()

    (tmp_path / "plain").write_text("")
    run(scenario())
    assert not (tmp_path / "control.sock").exists()


@both_loops
def test_tls_carries_the_same_protocol(run: Run, pem: Path) -> None:
    """Requests, keep-alive and streams work over TLS, with HTTP/1.1 agreed upon."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            for piece in (b"some ", b"stream"):
                reply.write(piece)
            reply.end()

        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(**trusting(pem))
            assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            for _ in range(2):
                answer = await client.ask(post(b"x" * 100_000))
                assert (answer.body, served.app.requests[-1].body) == (b"some stream", b"x" * 100_000)
            began = asyncio.get_running_loop().time()
            await served.server.drain(5)
            assert asyncio.get_running_loop().time() - began < 1

    run(scenario())


def test_the_server_describes_itself() -> None:
    """Its representation says where it listens and how much is going on."""

    async def scenario() -> None:
        async with serving(forever) as served:
            (await served.connect()).send(get())
            await until(lambda: served.server.calls_count)
            host, port = served.address
            assert repr(served.server) == f"<HttpServer serving on {host}:{port}: 1 connections, 1 calls>"

    run_virtual(scenario())


@both_loops
def test_a_connection_that_came_last_has_its_request_answered(run: Run) -> None:
    """[issue 13] Its request is on its way when the server begins to go: it is answered, and not cut off by a close."""

    async def scenario() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            await until(lambda: served.server.connections_count == 1)
            draining = asyncio.create_task(served.server.drain(5))
            await asyncio.sleep(0.05)
            client.send(get())
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            client.close()
            await draining

    run(scenario())
