"""Where the bodies of requests are read: small ones at once, large ones in a thread, as other streams would wait. Knows no protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aisa.wire.door import Door, Request

PARSE_INLINE_BYTES_MAX = 262_144  # a millisecond; larger bodies are parsed in a thread, between whose steps other streams have their turn
#: Bodies that are parsed at the same time. Threads share one interpreter: of several each would take as long as all of them together.
PARSES_MAX = 1


def body_threads() -> ThreadPoolExecutor:
    """Return the threads for large bodies: one at a time."""
    return ThreadPoolExecutor(PARSES_MAX, thread_name_prefix="parse")


def body_reader(threads: ThreadPoolExecutor) -> Callable[[Door, bytes], Awaitable[Request]]:
    """Return what parses request bodies: small ones at once, large ones in a thread."""

    async def read(door: Door, body: bytes) -> Request:
        if len(body) <= PARSE_INLINE_BYTES_MAX:
            return door.read(body)
        return await asyncio.get_running_loop().run_in_executor(threads, door.read, body)

    return read


def body_work(threads: ThreadPoolExecutor) -> Callable[[int, Callable[[], object]], Awaitable[None]]:
    """Return what does other work that takes as long as a body is large: for small ones at once, for large ones in a thread."""

    async def work(body_bytes: int, task: Callable[[], object]) -> None:
        if body_bytes <= PARSE_INLINE_BYTES_MAX:
            task()
        else:
            await asyncio.get_running_loop().run_in_executor(threads, task)

    return work
