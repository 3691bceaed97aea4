"""Large bodies that come together: how much of them may wait to be parsed, for how long, and what the others are told. Fault S15."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aisa.bodies import PARSE_INLINE_BYTES_MAX, PARSE_WAIT_SECONDS_MAX, RETRY_SECONDS, BodyThreads, body_reader, body_work
from aisa.errors import ApiError
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from faults_rig import body

LARGE = body(x="y" * PARSE_INLINE_BYTES_MAX)


def test_a_large_body_that_finds_too_much_waiting_is_told_to_come_again() -> None:
    """[fault S15] 503 with a Retry-After, at once; those before it are read, and it is, when they are; small ones never wait.

    Each that had arrived made room for another before it was parsed, so what waited had no bound.
    """

    async def main() -> None:
        threads = BodyThreads(bytes_max=2 * len(LARGE))
        read = body_reader(threads)
        before = [asyncio.create_task(read(CHAT_DOOR, LARGE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await read(CHAT_DOOR, LARGE)
        assert (refused.value.code, refused.value.status, refused.value.retry_after) == ("overloaded", 503, RETRY_SECONDS)
        assert (await read(CHAT_DOOR, body())).model == "fast"
        assert [(await task).model for task in before] == ["fast", "fast"]
        assert (await read(CHAT_DOOR, LARGE)).model == "fast"

    run_virtual(main())


def test_a_body_that_is_larger_than_what_may_wait_is_read_when_it_is_alone() -> None:
    """`server.body_bytes_max` says how large one may be, not this."""

    async def main() -> None:
        read = body_reader(BodyThreads(bytes_max=1))
        assert [(await read(CHAT_DOOR, LARGE)).model for _ in range(2)] == ["fast", "fast"]

    run_virtual(main())


def test_a_large_body_whose_turn_does_not_come_is_told_to_come_again() -> None:
    """[fault S15] After 20 s, before anything times out; what has the turn goes on, and what left holds nothing."""

    async def main() -> None:
        threads, blocked = BodyThreads(bytes_max=3), threading.Event()
        await threads._turn.acquire()  # as a body has that takes for ever
        began = asyncio.get_running_loop().time()
        leaves = asyncio.create_task(threads.run(1, blocked.set))
        await asyncio.sleep(1)
        leaves.cancel()
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await threads.run(3, blocked.set)
        assert (refused.value.code, refused.value.retry_after) == ("overloaded", RETRY_SECONDS)
        assert asyncio.get_running_loop().time() - began == pytest.approx(1 + PARSE_WAIT_SECONDS_MAX, abs=0.1)
        threads._turn.release()
        await body_work(threads)(PARSE_INLINE_BYTES_MAX + 1, blocked.set)
        assert blocked.is_set()

    run_virtual(main())
