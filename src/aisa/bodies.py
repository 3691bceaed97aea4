"""Where the bodies of requests are read: small ones at once, large ones in a thread, as other streams would wait. Knows no protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aisa.errors import ApiError
from aisa.wire.door import Door, Request

PARSE_INLINE_BYTES_MAX = 262_144  # a millisecond; larger bodies are parsed in a thread, between whose steps other streams have their turn
#: Bodies that are parsed at the same time. Threads share one interpreter: of several each would take as long as all of them together.
PARSES_MAX = 1
#: What bodies that are parsed or wait for it hold together, counted as they came; one alone may have more.
#: Those that still arrive may hold as much by default: without this each that has arrived would make room for another.
PARSES_BYTES_MAX = 268_435_456
PARSE_WAIT_SECONDS_MAX = 20.0  # as long as a body's bytes may be silent; 256 MiB take five seconds, on a busy machine ten
RETRY_SECONDS = 5.0  # after which somebody who was refused is told to come again

T = TypeVar("T")


class BodyThreads:
    """The threads for large bodies, and who waits for one."""

    def __init__(self, *, bytes_max: int = PARSES_BYTES_MAX) -> None:
        self._threads = ThreadPoolExecutor(PARSES_MAX, thread_name_prefix="parse")
        self._bytes_max = bytes_max
        self._held_bytes = 0
        self._turn = asyncio.Semaphore(PARSES_MAX)

    async def run(self, body_bytes: int, task: Callable[[], T]) -> T:
        """Do a body's work when it has its turn. Raises ApiError overloaded where too much waits already, or it waits for too long."""
        if self._held_bytes and self._held_bytes + body_bytes > self._bytes_max:
            raise overloaded()
        self._held_bytes += body_bytes
        try:
            await self._take_turn()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, task)
            finally:
                self._turn.release()
        finally:
            self._held_bytes -= body_bytes

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(PARSE_WAIT_SECONDS_MAX):
                await self._turn.acquire()
        except TimeoutError:
            raise overloaded() from None


def overloaded() -> ApiError:
    """Return the refusal of a large body that would wait for too long, or for which there is no room."""
    message = f"This server reads other large requests now, and takes more of {PARSE_INLINE_BYTES_MAX} bytes and above in a moment."
    return ApiError("overloaded", message, retry_after=RETRY_SECONDS)


def body_threads() -> BodyThreads:
    """Return the threads for large bodies: one at a time."""
    return BodyThreads()


def body_reader(threads: BodyThreads) -> Callable[[Door, bytes], Awaitable[Request]]:
    """Return what parses request bodies: small ones at once, large ones in a thread."""

    async def read(door: Door, body: bytes) -> Request:
        if len(body) <= PARSE_INLINE_BYTES_MAX:
            return door.read(body)
        return await threads.run(len(body), lambda: door.read(body))

    return read


def body_work(threads: BodyThreads) -> Callable[[int, Callable[[], object]], Awaitable[None]]:
    """Return what does other work that takes as long as a body is large: for small ones at once, for large ones in a thread."""

    async def work(body_bytes: int, task: Callable[[], object]) -> None:
        if body_bytes <= PARSE_INLINE_BYTES_MAX:
            task()
        else:
            await threads.run(body_bytes, task)

    return work
