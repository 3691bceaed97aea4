"""A connection's requests with the same head: read like any other, judged each time, and no other request is taken for one of them."""

from __future__ import annotations

import random

import pytest

from aisa.errors import ApiError
from aisa.http.request import LENGTH_DIGITS_MAX, Judge, Request, RequestReader
from aisa.testing.clock import run_virtual
from faults_rig import body, failure, gateway, post
from repeats import repeats
from test_delivered import Revocable
from test_edge import GOOD

HEAD = "POST /v1/chat HTTP/1.1\r\nhost: a\r\nContent-Length:  {}\r\nauthorization: Bearer k\r\n\r\n"
BYTES_MAX = 1_000


def request_of(body: bytes, head: str = HEAD) -> bytes:
    """A whole request."""
    return head.format(len(body)).encode() + body


def anything(_request: Request) -> int | None:
    """Take every request."""
    return None


def warm(judge: Judge = anything) -> RequestReader:
    """A reader that has read three requests with one head."""
    reader = RequestReader(BYTES_MAX, BYTES_MAX, judge)
    for data in (b"first", b"again", b"third"):
        request = reader.feed(request_of(data))
        assert request is not None
        assert request.body == data
    return reader


def outcome(reader: RequestReader, data: bytes) -> tuple[object, ...]:
    """What reading these bytes comes to: the request, or the refusal, and what is left."""
    try:
        request = reader.feed(data)
    except ApiError as error:
        return (error.code, error.message)
    if request is None:
        return (None, reader.in_body, reader.body_bytes)
    return (request.method, request.path, request.query, request.headers, request.body, request.version, reader.rest, reader.keep_alive)


SIMILAR = [
    request_of(b"other length than before"),
    request_of(b""),
    request_of(b"x" * BYTES_MAX),
    request_of(b"x" * (BYTES_MAX + 1)),
    request_of(b"third") + b"GET /next HTTP/1.1\r\n",
    request_of(b"third")[:-1],
    HEAD.format("005").encode() + b"third",
    HEAD.format("+5").encode() + b"third",
    HEAD.format("5 ").encode() + b"third",
    HEAD.format("5, 5").encode() + b"third",
    HEAD.format("-5").encode() + b"third",
    HEAD.format("\u0665").encode() + b"third",
    HEAD.format("0" * LENGTH_DIGITS_MAX + "5").encode() + b"third",
    HEAD.format("").encode() + b"third",
    request_of(b"third", HEAD.replace("Bearer k", "Bearer l")),
    request_of(b"third", HEAD.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")),
    request_of(b"third", HEAD.replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n")),
    request_of(b"third", HEAD.replace("POST", "PUT")),
    request_of(b"third", HEAD.replace("/chat", "/chat?q=1")),
]


@pytest.mark.parametrize("data", SIMILAR)
def test_whatever_follows_a_repeated_head_is_read_as_on_a_new_connection(data: bytes) -> None:
    """Another length, a length in other words, another secret, a part of a request: what was known of the last head adds nothing."""
    assert outcome(warm(), data) == outcome(RequestReader(BYTES_MAX, BYTES_MAX, anything), data)


def test_heads_with_any_byte_changed_are_read_as_on_a_new_connection() -> None:
    """A byte that is left out, doubled or another one, anywhere in head or body."""
    chance = random.Random(8)
    good = request_of(b"third")
    for _ in range(repeats(2_000)):
        at, size = chance.randrange(len(good)), chance.choice((0, 1, 2))
        data = good[:at] + bytes(chance.choices(range(256), k=size)) + good[at + 1 :]
        if data[:1] not in (b"\r", b"\n"):
            assert outcome(warm(), data) == outcome(RequestReader(BYTES_MAX, BYTES_MAX, anything), data), data


def test_every_request_is_judged_and_what_was_derived_from_the_head_comes_with_it() -> None:
    """The judge sees a request without its body, however often its head came before; its memo is that of the heads that repeat."""
    seen: list[tuple[bytes, bool]] = []

    def judge(request: Request) -> int | None:
        seen.append((request.body, request.memo is not None))
        request.memo = "seen"
        return 5 if len(seen) > 3 else None

    reader = warm(judge)
    with pytest.raises(ApiError, match="the limit is 5 bytes"):
        reader.feed(request_of(b"sixsix"))
    assert seen == [(b"", False), (b"", False), (b"", True), (b"", True)]


def test_a_key_that_is_revoked_is_refused_on_a_connection_that_has_used_it() -> None:
    """The head is known, and so is what it asks for; whether its key is good is asked each time."""

    async def main() -> None:
        keys = Revocable()
        async with gateway(GOOD, keys=keys) as home:
            caller = await home.client()
            for _ in range(4):
                await caller.send(post(body()))
                assert (await caller.reply()).status == 200
            keys.revoked = True
            await caller.send(post(body()))
            failure(await caller.reply(), 401, "revoked_api_key")

    run_virtual(main())
