"""Request bodies that came compressed: read as if they had come plain, and never beyond their bounds."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.config.schema import Config, Server
from aisa.errors import ApiError
from aisa.http.packed_body import (
    HELD_FREE_BYTES,
    MEMBERS_MAX,
    PIECE_BYTES_MAX,
    RATIO_FREE_BYTES,
    RATIO_MAX,
    SLICE_BYTES,
    WINDOW_LOG_MAX,
    Unpacker,
)
from aisa.testing.clock import run_virtual
from faults_rig import body, failure, gateway, in_turn, plain, post, says, stream_of, until, whole
from repeats import repeats
from rig import document

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK = {"gzip": gzip.compress, "zstd": zstd.compress}
BYTES_MAX = 32 * 1024 * 1024


def unpacker(bytes_max: int = BYTES_MAX, held_bytes_max: int = 8 * BYTES_MAX) -> Unpacker:
    """Return what unpacks within these limits."""
    return Unpacker(Server(body_bytes_max=bytes_max, unfinished_bodies_bytes_max=held_bytes_max))


def read(packed: bytes, coding: str, bytes_max: int = BYTES_MAX) -> bytes:
    """Unpack a body."""

    async def main() -> bytes:
        return await unpacker(bytes_max).unpacked(packed, coding)

    return asyncio.run(main())


def refusal(packed: bytes, coding: str, bytes_max: int = BYTES_MAX) -> tuple[int, str, str]:
    """How a body is refused."""
    with pytest.raises(ApiError) as caught:
        read(packed, coding, bytes_max)
    return caught.value.status, caught.value.code, caught.value.message


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not pack."""
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "zstd", "GZIP", " zstd "])
@pytest.mark.parametrize("stream", [True, False])
def test_a_compressed_request_is_answered_like_a_plain_one(coding: str, stream: bool) -> None:
    """And reaches the vendor plain; the next one on the connection may be either."""

    async def main() -> None:
        packed = PACK[coding.strip().lower().removeprefix("x-")](body(stream=stream, user="ä" * 1_000))
        answer = stream_of("a", "b") if stream else plain(document())
        async with gateway(says(answer)) as home:
            for data, headers in (
                (packed, [f"content-encoding: {coding}"]),
                (body(stream=stream), []),
                (packed, [f"content-encoding: {coding}"]),
            ):
                reply = await home.ask(post(data, *headers))
                assert reply.status == 200
                if stream:
                    whole(reply.body)
            assert [json.loads(asked.body).get("user", "")[:2] for asked in home.vendor.asked] == ["ää", "", "ää"]

    run_virtual(main())


@pytest.mark.parametrize("coding", PACK)
def test_a_body_that_is_too_large_unpacked_is_413(coding: str) -> None:
    """Through the server, with its own limit: one byte more than it; nobody is asked, and the connection goes on."""

    async def main() -> None:
        limit = 100_000
        filler = limit - len(body(user=""))
        async with gateway(says(plain(document()))) as home:
            home.edge.configure(Config(server=Server(body_bytes_max=limit)))
            fits, over = (PACK[coding](body(user="x" * (filler + more))) for more in (0, 1))
            assert (await home.ask(post(fits, f"content-encoding: {coding}"))).status == 200
            failure(await home.ask(post(over, f"content-encoding: {coding}")), 413, "request_too_large")
            assert len(home.vendor.lines) == 1

    run_virtual(main())


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize("broken", ["cut", "littered", "nonsense", "empty"])
def test_a_body_that_cannot_be_unpacked_is_400(coding: str, broken: str) -> None:
    """Not what it is taken for, or not whole: no part of it is answered."""
    good = PACK[coding](body(user="x" * 5_000))
    data = {"cut": good[:-1], "littered": good + b"x", "nonsense": b"nonsense", "empty": b""}[broken]

    async def main() -> None:
        async with gateway(says(plain(document()))) as home:
            failure(await home.ask(post(data, f"content-encoding: {coding}")), 400, "invalid_request")
            assert home.vendor.lines == []

    run_virtual(main())


@pytest.mark.parametrize("coding", PACK)
def test_what_cannot_be_unpacked_is_told_in_our_words_with_the_place(coding: str) -> None:
    """[fault S24] And not in those of a library: what it is, how far it was good, and what to send."""
    good = PACK[coding](noise(300) * 3)
    damaged = good[:-6] + bytes(byte ^ 0xFF for byte in good[-6:])
    for data, words in (
        (b"nonsense", "does not begin as"),
        (damaged, "is damaged, "),
        (good[:-1], "ends in its middle, "),
        (b"", "does not begin"),
    ):
        _, _, message = refusal(data, coding)
        assert words in message
        assert "without Content-Encoding" in message
        assert not any(theirs in message for theirs in ("Error -", "incorrect", "Zstd", "zlib"))


@pytest.mark.parametrize("coding", PACK)
def test_wherever_a_body_is_cut_it_is_refused(coding: str) -> None:
    """Its checksum included."""
    packed = PACK[coding](noise(300) * 3)
    assert read(packed, coding) == noise(300) * 3
    for end in range(len(packed)):
        status, code, message = refusal(packed[:end], coding)
        assert (status, code) == (400, "invalid_request")
        assert coding in message


@settings(deadline=None, max_examples=repeats(60))
@given(st.integers(0, 2**32), st.sampled_from(sorted(PACK)), st.integers(1, 5))
def test_whatever_was_packed_comes_out(seed: int, coding: str, members: int) -> None:
    """In one member or several, of any size around the pieces and slices that are worked in, packing well or badly."""
    chance = random.Random(seed)
    sizes = [
        chance.choice([0, 1, SLICE_BYTES - 1, SLICE_BYTES, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, chance.randrange(600_000)])
        for _ in range(members)
    ]
    parts = [chance.choice([noise(size, seed), b"ab" * (size // 2), (noise(97, seed) * (size // 97 + 1))[:size]]) for size in sizes]
    packed = b"".join(PACK[coding](part) for part in parts)
    whole_text = b"".join(parts)
    if len(whole_text) <= max(RATIO_FREE_BYTES, RATIO_MAX * len(packed)):
        assert read(packed, coding) == whole_text
    else:
        assert refusal(packed, coding)[:2] == (413, "request_too_large")


@pytest.mark.parametrize("coding", PACK)
def test_the_limit_is_exact(coding: str) -> None:
    """As many bytes as it, and not one more."""
    text = noise(700_000)
    assert read(PACK[coding](text), coding, len(text)) == text
    assert refusal(PACK[coding](text), coding, len(text) - 1)[:2] == (413, "request_too_large")


@pytest.mark.parametrize("coding", PACK)
def test_what_grows_out_of_all_proportion_is_refused_before_it_is_there(coding: str) -> None:
    """A few kilobytes do not make us hold a gigabyte: at most the free part and two pieces, whatever would come."""
    bomb = PACK[coding](bytes(1 << 28))
    tracemalloc.start()
    status, code, message = refusal(bomb, coding, 1 << 30)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (status, code) == (413, "request_too_large")
    assert "100 times" in message
    assert peak < 4 * max(RATIO_FREE_BYTES, RATIO_MAX * len(bomb)) + 4 * PIECE_BYTES_MAX


@pytest.mark.parametrize("coding", PACK)
def test_a_short_text_may_pack_as_well_as_it_likes(coding: str) -> None:
    """A megabyte is no bomb."""
    assert len(read(PACK[coding](bytes(RATIO_FREE_BYTES)), coding)) == RATIO_FREE_BYTES


@pytest.mark.parametrize("coding", PACK)
def test_members_have_a_bound(coding: str) -> None:
    """Each costs some work, and may be of no byte at all."""
    assert read(PACK[coding](b"a") * MEMBERS_MAX, coding) == b"a" * MEMBERS_MAX
    status, code, message = refusal(PACK[coding](b"") * (MEMBERS_MAX + 1), coding)
    assert (status, code) == (400, "invalid_request")
    assert f"{MEMBERS_MAX} members" in message


@pytest.mark.parametrize("coding", PACK)
def test_what_bodies_unpack_to_has_a_bound_together(coding: str) -> None:
    """A few hundred kilobytes each held 32 MiB for as long as their calls ran. Beyond a free mebibyte each is in a bound of all.

    Whoever would go beyond it is told to come again, and what a call held is there again when it ends, however it ends.
    """
    half = noise(HELD_FREE_BYTES * 3).hex().encode()
    packed = PACK[coding](half)
    shared = unpacker(held_bytes_max=8 * HELD_FREE_BYTES)

    async def one(done: asyncio.Event) -> int:
        body = await shared.unpacked(packed, coding)
        await done.wait()
        return len(body)

    async def main() -> None:
        done = asyncio.Event()
        first = asyncio.create_task(one(done))
        await until(lambda: shared.held == 5 * HELD_FREE_BYTES)
        with pytest.raises(ApiError) as caught:
            await asyncio.create_task(one(done))
        assert (caught.value.status, caught.value.code) == (503, "overloaded")
        await asyncio.sleep(0)
        assert shared.held == 5 * HELD_FREE_BYTES, "what was refused holds nothing"
        small = asyncio.create_task(shared.unpacked(PACK[coding](bytes(1000)), coding))
        assert len(await small) == 1000
        assert shared.held == 5 * HELD_FREE_BYTES, "a small body is in no budget"
        done.set()
        assert await first == len(half)
        gone = asyncio.create_task(one(asyncio.Event()))
        await until(lambda: shared.held == 5 * HELD_FREE_BYTES)
        gone.cancel()
        await asyncio.wait([gone])
        await asyncio.sleep(0)
        assert shared.held == 0

    asyncio.run(main())


def test_a_server_takes_no_more_large_packed_bodies_at_once_than_it_has_room_for() -> None:
    """Through the server: while two calls wait for their vendor, a third is asked to come again, plain and small ones are served."""

    async def main() -> None:
        filler = noise(HELD_FREE_BYTES * 3 // 2).hex()
        packed = gzip.compress(body(user=filler))
        release = asyncio.Event()
        answers = [says(release, plain(document())), says(release, plain(document())), *[says(plain(document()))] * 3]
        limits = {"unfinished_bodies_bytes_max": 5 * HELD_FREE_BYTES, "body_bytes_max": 4 * HELD_FREE_BYTES}
        async with gateway(in_turn(*answers), server=limits) as home:
            waiting = [asyncio.create_task(home.ask(post(packed, "content-encoding: gzip"))) for _ in range(2)]
            await until(lambda: len(home.vendor.asked) == 2)
            failure(await home.ask(post(packed, "content-encoding: gzip")), 503, "overloaded")
            assert (await home.ask(post(gzip.compress(body()), "content-encoding: gzip"))).status == 200
            pieces = post(body(user=filler))
            assert (await home.ask(pieces)).status == 200, "who packs nothing is not held up by those who do"
            release.set()
            assert [reply.status for reply in await asyncio.gather(*waiting)] == [200, 200]
            assert (await home.ask(post(packed, "content-encoding: gzip"))).status == 200

    run_virtual(main())


def test_a_frame_that_asks_for_a_huge_window_is_refused() -> None:
    """Its reader would have to hold that much: 8 MiB are allowed."""
    text = noise(1 << 20)
    assert read(framed(text, WINDOW_LOG_MAX), "zstd") == text
    assert refusal(framed(text, WINDOW_LOG_MAX + 1), "zstd")[:2] == (400, "invalid_request")


def framed(text: bytes, window_log: int) -> bytes:
    """Pack as a stream of unknown size, so that the frame states its window."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return compressor.compress(text) + compressor.flush()


@pytest.mark.parametrize("coding", PACK)
def test_others_have_their_turn_while_a_large_body_is_unpacked(coding: str) -> None:
    """Between any two pieces."""
    packed = PACK[coding](noise(3_000_000))

    async def main() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        await unpacker().unpacked(packed, coding)
        counting.cancel()
        return turns

    assert asyncio.run(main()) >= 3_000_000 // PIECE_BYTES_MAX
