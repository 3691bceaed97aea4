"""The tests' own clock: time jumps where nothing else can happen, and waits a moment for what another thread or a socket may bring."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from aisa.testing.clock import GRACE_SECONDS, run_virtual

HOUR_SECONDS = 3_600.0


def test_time_jumps_to_the_next_timer_and_no_further() -> None:
    """A thousand hours pass while no socket and no thread is there, each as long as was asked."""

    async def main() -> float:
        for _ in range(1_000):
            await asyncio.sleep(HOUR_SECONDS)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1_000 * HOUR_SECONDS


def test_what_a_thread_brings_comes_before_a_timer() -> None:
    """A thread that works is waited for, however slow the machine: its result is there before the clock jumps, and it costs no time."""
    slow = threading.Event()

    def work() -> None:
        slow.wait(10 * GRACE_SECONDS)  # of real time, as on a machine that does ten other things

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with closing(socket.create_server(("127.0.0.1", 0))) as silent:
            loop.add_reader(silent, slow.set)  # a socket from which something might come, too
            await asyncio.wait_for(asyncio.to_thread(work), timeout=1.0)
            await asyncio.wait_for(loop.getaddrinfo("127.0.0.1", 80), timeout=1.0)
            loop.remove_reader(silent)
        return loop.time()

    assert run_virtual(main()) == 0.0


def spun() -> None:
    """Work for ten times as long as a socket is waited for."""
    began = time.thread_time()
    while time.thread_time() - began < 10 * GRACE_SECONDS:
        pass


def hashed() -> None:
    """Work about as long without the interpreter."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)


def test_what_a_socket_brings_comes_before_a_timer() -> None:
    """Bytes that are under way are read before the clock jumps."""

    async def main() -> bytes:
        here, there = socket.socketpair()
        with closing(here), closing(there):
            here.setblocking(False)
            there.send(b"news")
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(here, 10), timeout=1.0)

    assert run_virtual(main()) == b"news"


@pytest.mark.parametrize("work", [spun, hashed], ids=["with the interpreter", "beside it"])
def test_what_a_thread_brings_through_a_socket_comes_before_a_timer(work: Callable[[], object]) -> None:
    """A server of a test's in a thread, which nothing tells of: on a busy machine it took longer than a socket is waited for."""
    here, there = socket.socketpair()

    def serve() -> None:
        there.recv(10)
        work()
        there.send(b"news")

    async def main() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        here.setblocking(False)
        here.send(b"ask")
        return await asyncio.wait_for(loop.sock_recv(here, 10), timeout=1.0), loop.time()

    thread = threading.Thread(target=serve)
    thread.start()
    with closing(here), closing(there):
        assert run_virtual(main()) == (b"news", 0.0)
        thread.join()


class Slow(ThreadPoolExecutor):
    """Threads that take a while of real time to end, as on a machine that does ten other things."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End them."""
        threading.Event().wait(10 * GRACE_SECONDS)
        super().shutdown(wait, cancel_futures=cancel_futures)


def test_threads_are_waited_for_at_the_end() -> None:
    """Since Python 3.12 a runner gives them 300 seconds of the loop's time, which were over at once."""

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(Slow())
        await asyncio.to_thread(len, "")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_virtual(main())
