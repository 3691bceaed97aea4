"""Vendors that bill on after a cancelled request: reads the rest of their answers, so that the ledger knows what they will charge us.

The client is not concerned: its bill is settled before. Bounded in number, time and bytes; what does not fit is cancelled as elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from aisa.errors import UpstreamFailed
from aisa.providers.port import Answer
from aisa.providers.shape import Decoder
from aisa.usage import Usage


class Drains:
    """The answers being drained. `vendors` are those that bill on, `drains_max` how many answers may be drained at once."""

    def __init__(self, vendors: Collection[str] = (), *, drains_max: int = 0, seconds_max: float = 0.0) -> None:
        self._vendors = frozenset(vendors)
        self._drains_max = drains_max
        self._seconds_max = seconds_max
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def wanted(self, vendor: str) -> bool:
        """Tell whether an answer of this vendor is to be drained, and there is room."""
        return vendor in self._vendors and len(self._tasks) < self._drains_max

    def start(self, answer: Answer, decoder: Decoder, report: Callable[[Usage], None]) -> None:
        """Read an answer to its end in the background, then `report` what the vendor made; whatever happens, once."""
        task = asyncio.get_running_loop().create_task(self._drain(answer, decoder, report))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel what is being drained, and wait until each has reported."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self, answer: Answer, decoder: Decoder, report: Callable[[Usage], None]) -> None:
        try:
            async with asyncio.timeout(self._seconds_max):
                while not decoder.done and decoder.failure is None:
                    data = await answer.read()
                    if data:
                        decoder.feed(data)
                    else:
                        decoder.end()
        except (TimeoutError, UpstreamFailed):
            pass  # what was read until then is what we know
        finally:
            answer.close()
            report(decoder.usage())
