"""Requests are judged by their heads, and what is taken of bodies is bounded for all of them together. Real sockets, virtual time."""

from __future__ import annotations

import asyncio

import pytest

from aisa.errors import ApiError
from aisa.http.arrival import SLICES, UNJUDGED_BYTES_FREE, UnjudgedBudget
from aisa.http.connection import LINGER_SECONDS_MAX
from aisa.http.reply import Reply
from aisa.http.request import Request
from aisa.testing.clock import run_virtual
from http_server_rig import Client, Run, arrive, both_loops, echo, get, post, serving, until, wired

POST = b"POST / HTTP/1.1\r\nhost: test\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
MIB = 1 << 20


def nobody(_request: Request) -> None:
    """Refuse everyone."""
    raise ApiError("missing_api_key", "No key.")


def kilobyte(request: Request) -> int:
    """Take small bodies, but of one path what the server takes."""
    return 1 << 30 if request.path == "/any" else 1_000


async def refusal(client: Client) -> tuple[int, str]:
    """Status and code of the one reply that the connection ends with."""
    answer = await client.answer()
    assert (answer.headers["connection"], await client.rest()) == ("close", b"")
    return answer.status, answer.json["code"]


@both_loops
@pytest.mark.parametrize("framing", [b"content-length: 32505856\r\n", b"transfer-encoding: chunked\r\n", b"content-length: 9\r\n"])
@pytest.mark.parametrize("expect", [b"", b"expect: 100-continue\r\n"])
def test_a_request_is_refused_by_its_head_alone(run: Run, framing: bytes, expect: bytes) -> None:
    """[fault S1] The answer comes while no byte of the body has, and instead of a `100 Continue`; the connection ends with it."""

    async def scenario() -> None:
        async with serving(judging=nobody) as served:
            client = await served.connect()
            client.send(POST + framing + expect + b"\r\n")
            assert await refusal(client) == (401, "missing_api_key")
            [judged] = served.app.judged
            assert (judged.body, served.app.requests) == (b"", [])

    run(scenario())


def test_nothing_is_kept_of_a_body_that_was_refused_by_its_head() -> None:
    """[fault S1] Forty clients without a key that send megabytes and stop hold nothing, are answered and closed."""

    async def scenario() -> None:
        async with serving(judging=nobody) as served:
            clients = [await served.connect() for _ in range(40)]
            for client in clients:
                client.send(POST + b"content-length: 32505856\r\n\r\n" + b"a" * (2 * MIB))
            assert [await refusal(client) for client in clients] == [(401, "missing_api_key")] * 40
            assert served.server._shared.bodies.held == 0
            await asyncio.sleep(LINGER_SECONDS_MAX)
            await until(lambda: served.server.connections_count == 0)

    run_virtual(scenario())


@both_loops
def test_a_request_that_was_refused_and_is_whole_does_not_end_its_connection(run: Run) -> None:
    """A client that sends the next one in the same bytes is answered twice, in order, by the two verdicts."""

    def not_posts(request: Request) -> None:
        if request.method == "POST":
            nobody(request)

    async def scenario() -> None:
        async with serving(judging=not_posts) as served:
            client = await served.connect()
            client.send(post(b"body") + get("/next") + post(b""))
            statuses = [(await client.answer()).status for _ in range(3)]
            assert (statuses, served.app.requests[0].path, len(served.app.requests)) == ([401, 200, 401], "/next", 1)
            assert (await client.ask(get("/again"))).status == 200

    run(scenario())


def test_the_verdict_bounds_the_body_and_the_servers_own_limit_stays() -> None:
    """413 for a length above either, before the body, and for chunks as soon as one would pass it."""

    async def scenario() -> None:
        async with serving(judging=kilobyte, body_bytes_max=5_000) as served:
            for path, limit in (("/", 1_000), ("/any", 5_000)):
                assert (await (await served.connect()).ask(post(b"x" * limit, path))).status == 200
                over = POST.replace(b"/ ", path.encode() + b" ", 1)
                for head in (
                    over + b"content-length: %d\r\n\r\n" % (limit + 1),
                    over + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % (limit + 1),
                ):
                    client = await served.connect()
                    client.send(head)
                    assert await refusal(client) == (413, "request_too_large")

    run_virtual(scenario())


@both_loops
def test_a_client_that_asks_first_is_told_to_go_on_only_after_the_verdict(run: Run) -> None:
    """`100 Continue` for a good head, and then the body is read as any other."""

    async def scenario() -> None:
        async with serving(judging=kilobyte) as served:
            client = await served.connect()
            client.send(POST + b"content-length: 4\r\nexpect: 100-continue\r\n\r\n")
            assert (await client.answer()).status == 100
            assert len(served.app.judged) == 1
            assert (await client.ask(b"body")).json["body"] == "body"

    run(scenario())


def test_all_unfinished_bodies_share_one_budget() -> None:
    """[fault S1] The body that would pass it is refused with 503, gives back what it held, and the others go on."""

    async def scenario() -> None:
        async with serving(unfinished_bodies_bytes_max=100_000) as served:
            bodies = served.server._shared.bodies
            first, second = await served.connect(), await served.connect()
            first.send(POST + b"content-length: 60001\r\n\r\n" + b"x" * 60_000)
            await until(lambda: bodies.held == 60_000)
            second.send(CHUNKED + b"c350\r\n" + b"x" * 45_000)
            assert await refusal(second) == (503, "overloaded")
            await until(lambda: bodies.held == 60_000)
            assert (await first.ask(b"x")).status == 200
            assert bodies.held == 0
            third = await served.connect()
            third.send(POST + b"content-length: 90001\r\n\r\n" + b"x" * 90_000)
            await until(lambda: bodies.held == 90_000)
            third.close()
            await until(lambda: bodies.held == 0)

    run_virtual(scenario())


def head(size: int) -> bytes:
    """So much of a head without its end."""
    begin = get().removesuffix(b"\r\n") + b"x: "
    return begin + b"y" * (size - len(begin))


def test_all_unfinished_heads_share_one_budget() -> None:
    """[fault S1] Without a key 20,000 connections could hold 64 KiB each: the head that would pass the budget is refused with 503.

    It gives back what it held, the others go on, and a usual head is taken however full the budget is.
    """

    async def scenario() -> None:
        async with serving(echo) as served:
            unjudged = served.server._shared.unjudged = UnjudgedBudget(80_000)
            large = 50_000 + UNJUDGED_BYTES_FREE
            first, second, usual, leaving = [await served.connect() for _ in range(4)]
            first.send(head(large))
            await until(lambda: unjudged.held == 50_000)
            second.send(head(20_000))
            await until(lambda: unjudged.held > 50_000)
            second.send(b"y" * 40_000)
            assert await refusal(second) == (503, "overloaded")
            assert unjudged.held == 50_000
            usual.send(head(UNJUDGED_BYTES_FREE))
            leaving.send(head(25_000 + UNJUDGED_BYTES_FREE))
            await until(lambda: unjudged.held == 75_000)
            assert [(await each.ask(b"\r\n\r\n")).status for each in (usual, first)] == [200, 200]
            assert unjudged.held == 25_000
            leaving.close()
            await until(lambda: unjudged.held == 0)

    run_virtual(scenario())


@both_loops
def test_what_is_pipelined_behind_calls_is_in_that_budget_too(run: Run) -> None:
    """[fault S1] What has no room is thrown away: the call before it gets its whole answer, and the connection ends."""

    async def scenario() -> None:
        release = asyncio.Event()

        async def script(request: Request, reply: Reply) -> None:
            await release.wait()
            await echo(request, reply)

        async with serving(script) as served:
            unjudged = served.server._shared.unjudged = UnjudgedBudget(50_000)
            first, second = await served.connect(), await served.connect()
            behind = get("/again") * (40_000 // len(get("/again")))
            first.send(get() + behind)
            await until(lambda: unjudged.held > 20_000)
            second.send(get() + behind)
            await until(lambda: len(served.app.requests) == 2)
            assert unjudged.held < 40_000
            release.set()
            assert ((await second.answer()).json["path"], await second.rest()) == ("/", b"")
            asked = [(await first.answer()).json["path"] for _ in range(1 + len(behind) // len(get("/again")))]
            assert (asked[0], set(asked[1:]), unjudged.held) == ("/", {"/again"}, 0)

    run(scenario())


def test_what_has_no_room_may_arrive_between_two_requests() -> None:
    """[fault S1] The answer has ended, and what waits is to be read in the next turn: the connection ends instead."""
    told: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

        async def script(request: Request, reply: Reply) -> None:
            await echo(request, reply)
            arrive(connection, get("/again") * 400)

        connection, wire, app = wired(script)
        connection._shared.unjudged = UnjudgedBudget(0)
        arrive(connection, get() + get("/again"))
        await asyncio.sleep(LINGER_SECONDS_MAX + 1)
        assert ([request.path for request in app.requests], told) == (["/"], [])
        assert wire.written[-1].startswith(b"HTTP/1.1 200 ")
        connection.connection_lost(None)

    run_virtual(scenario())


def test_a_body_must_come_at_a_kilobyte_a_second_all_the_time() -> None:
    """In each span of 2 s here: 900 bytes/s are refused after it, 1,100 are not, however long that takes."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving(body_timeout_seconds=2.0) as served:
            for head, tail in ((POST + b"content-length: 50000\r\n\r\n", b""), (CHUNKED + b"c350\r\n", b"\r\n0\r\n\r\n")):
                slow, steady = await served.connect(), await served.connect()
                began = loop.time()
                feeds = [asyncio.create_task(feeding(client, head, tail, size)) for client, size in ((slow, 900), (steady, 1_100))]
                assert await refusal(slow) == (408, "request_timeout")
                assert 2 <= loop.time() - began < 2.6
                answer = await steady.answer()
                assert (answer.status, len(answer.json["body"]), loop.time() - began > 40) == (200, 50_000, True)
                for feed in feeds:
                    feed.cancel()

    run_virtual(scenario())


@pytest.mark.parametrize("sent", [0, 100, 1_000_000])
def test_a_body_that_stops_is_given_up_whatever_came_before(sent: int) -> None:
    """[fault S1] What a client has sent buys it no time: a window and one slice of it after the last byte, the connection ends."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving() as served:
            client = await served.connect()
            client.send(POST + b"content-length: 20000000\r\n\r\n" + b"x" * sent)
            await client.writer.drain()
            began = loop.time()
            answer = await client.answer()
            waited = loop.time() - began
            assert (answer.status, answer.json["code"], "20 seconds" in answer.json["message"]) == (408, "request_timeout", True)
            assert 20 <= waited <= 20 + 20 / SLICES + 0.1
            assert served.server._shared.bodies.held == 0

    run_virtual(scenario())


async def feeding(client: Client, head: bytes, tail: bytes, bytes_per_second: int) -> None:
    """Send a body of 50,000 bytes at a steady rate."""
    client.send(head)
    for _ in range(50_000 // bytes_per_second):
        client.send(b"x" * bytes_per_second)
        await asyncio.sleep(1)
    client.send(b"x" * (50_000 % bytes_per_second) + tail)
