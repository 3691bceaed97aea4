"""The tests' own clock: time jumps where nothing else can happen, and waits a moment for what another thread or a socket may bring."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing

from aisa.testing.clock import run_virtual

HOUR_SECONDS = 3_600.0


def test_time_jumps_to_the_next_timer_and_no_further() -> None:
    """A thousand hours pass while no socket and no thread is there, each as long as was asked."""

    async def main() -> float:
        for _ in range(1_000):
            await asyncio.sleep(HOUR_SECONDS)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1_000 * HOUR_SECONDS


def test_what_a_thread_brings_comes_before_a_timer() -> None:
    """A thread that works is waited for: its result is there before the clock jumps to the time-out."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.run_in_executor(None, sum, range(1_000)), timeout=1.0)
        return loop.time()

    assert run_virtual(main()) < 1.0


def test_what_a_socket_brings_comes_before_a_timer() -> None:
    """Bytes that are under way are read before the clock jumps."""

    async def main() -> bytes:
        here, there = socket.socketpair()
        with closing(here), closing(there):
            here.setblocking(False)
            there.send(b"news")
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(here, 10), timeout=1.0)

    assert run_virtual(main()) == b"news"
